/* The committed page must say what the table says. */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "conf/directives.h"
#include "conf/file.h"

static void the_page_is_what_the_table_makes(void **state)
{
	struct buf page, made;
	const char *begin, *end;

	(void)state;
	buf_init(&page, 1 << 20);
	buf_init(&made, 1 << 20);
	assert_int_equal(conf_file_read(TEST_SOURCE_DIR "/doc/man/postern.conf.5", &page), 0);
	buf_byte(&page, '\0');
	begin = strstr((const char *)buf_slice(&page).p, ".\\\" The reference begins");
	end = strstr((const char *)buf_slice(&page).p, ".\\\" The reference ends");
	assert_non_null(begin);
	assert_non_null(end);
	begin = strchr(begin, '\n') + 1;
	conf_reference(&made);
	if (!slice_eq(buf_slice(&made), slice_of(begin, (size_t)(end - begin))))
		fail_msg("doc/man/postern.conf.5 is out of date: run scripts/make-conf-man");
	buf_done(&page);
	buf_done(&made);
}

/* What a default or a limit cannot be is found here, not by a user. */
static void every_row_is_whole(void **state)
{
	(void)state;
	for (size_t i = 0; i < conf_n_directives; i++) {
		const struct conf_directive *d = &conf_directives[i];

		if (!d->help || d->help[strlen(d->help) - 1] != '.')
			fail_msg("%s: help is not whole sentences", d->path);
		if ((d->type == CONF_T_WORD) != (d->words != NULL))
			fail_msg("%s: words", d->path);
		if (conf_directive(d->scope, slice_str(d->path)) != d)
			fail_msg("%s: stands in the table twice", d->path);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_page_is_what_the_table_makes),
		cmocka_unit_test(every_row_is_whole),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
