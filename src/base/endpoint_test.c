/* What names a place to connect to, and what does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/endpoint.h"

static void test_parse(void **state)
{
	static const struct {
		const char *text, *shown; /* shown NULL: refused; "": as text */
	} rows[] = {
		{ "unix:/run/dovecot/lmtp", "" },
		{ "UNIX:/a", "unix:/a" },
		{ "unix:relative", NULL },
		{ "unix:", NULL },
		{ "/run/dovecot/lmtp", NULL },
		{ "127.0.0.1:24", "" },
		{ "127.0.0.1", NULL },
		{ "127.0.0.1:", NULL },
		{ "127.0.0.1:0", NULL },
		{ "127.0.0.1:65536", NULL },
		{ "127.0.0.1:24x", NULL },
		{ "[::1]:24", "" },
		{ "::1:24", NULL },
		{ "[127.0.0.1]:24", NULL },
		{ "[::1]24", NULL },
		{ "localhost:24", NULL },
		{ "", NULL },
		/* 107 octets of path fit, 108 do not. */
		{ "unix:/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
		  "" },
		{ "unix:/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
		  NULL },
	};
	char text[ENDPOINT_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct endpoint e = { .port = 7 };
		bool ok = endpoint_parse(slice_str(rows[i].text), &e);

		if (ok != (rows[i].shown != NULL))
			fail_msg("%s: %s", rows[i].text, ok ? "taken" : "refused");
		if (!ok)
			assert_int_equal(e.port, 7);
		else
			assert_string_equal(endpoint_format(&e, text),
					    rows[i].shown[0] ? rows[i].shown : rows[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_parse) };

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
