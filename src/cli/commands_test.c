#include "cli/cli.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct {
	const char *typed, *near; /* NULL: nothing is near enough to be worth a guess */
} cases[] = {
	{ "serv", "serve" },
	{ "servee", "serve" },
	{ "stauts", "status" },
	{ "relaod", "reload" },
	{ "confgi", "config" },
	{ "verison", "version" },
	{ "x", NULL },
	{ "", NULL },
	{ "start", NULL },
	{ "rol", NULL /* role is not for people */ },
	{ "a-name-that-is-longer-than-any-command", NULL },
};

static void nearest_name(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *got = cli_nearest(cases[i].typed);

		if (cases[i].near ? !got || strcmp(got, cases[i].near) != 0 : got != NULL)
			fail_msg("'%s': got '%s'", cases[i].typed, got ? got : "nothing");
	}
}

/* What `postern help` prints must be there for every command. */
static void rows_are_complete(void **state)
{
	(void)state;
	for (const struct cli_command *c = cli_commands; c->name; c++) {
		assert_non_null(c->run);
		assert_non_null(c->usage);
		assert_ptr_equal(cli_find(c->name), c); /* no name twice */
		if (c->more)
			assert_int_equal(c->more[strlen(c->more) - 1], '\n');
	}
	assert_null(cli_find("nonsense"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nearest_name),
		cmocka_unit_test(rows_are_complete),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
