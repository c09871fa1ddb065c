/* To add a case: a row with who writes to whom, and the rule that it takes. */
#include "route/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define PATTERNS(...)                                                                                   \
	{                                                                                               \
		(char *const[]){ __VA_ARGS__ }, sizeof((char *const[]){ __VA_ARGS__ }) / sizeof(char *) \
	}

static const struct route_table_rule rules[] = {
	{ .to = PATTERNS("boss@Example.ORG") },					       /* 0 */
	{ .to = PATTERNS("example.org", ".example.net") },			       /* 1 */
	{ .from = PATTERNS("<>") },						       /* 2 */
	{ .accounts = PATTERNS("news@example.com", ".example.com") },		       /* 3 */
	{ .to = PATTERNS("a.example", "b.example"), .from = PATTERNS("example.com") }, /* 4 */
	{ .to = PATTERNS("*"), .from = PATTERNS("all@example.com") },		       /* 5 */
	{ .to = PATTERNS("never.example") }, /* 6: the last takes all */
};

static const struct {
	const char *to, *from, *account;
	size_t rule;
} rows[] = {
	{ "boss@example.org", "x@y.example", "", 0 },
	{ "BOSS@EXAMPLE.ORG", "x@y.example", "", 0 },
	{ "bosses@example.org", "x@y.example", "", 1 },
	{ "a@EXAMPLE.org", "", "", 1 },
	{ "a@b.example.org", "x@y.example", "", 6 },
	{ "a@example.net", "x@y.example", "", 6 },
	{ "a@b.example.net", "x@y.example", "", 1 },
	{ "a@c.b.example.net", "x@y.example", "", 1 },
	{ "a@bexample.net", "x@y.example", "", 6 },
	{ "a@x.example", "", "", 2 },
	{ "a@x.example", "x@y.example", "news@example.com", 3 },
	{ "a@x.example", "x@y.example", "old@example.com", 6 },
	{ "a@x.example", "x@y.example", "old@b.example.com", 3 },
	{ "a@b.example", "x@example.com", "", 4 },
	{ "a@b.example", "x@y.example", "", 6 },
	{ "a@c.example", "x@example.com", "", 6 },
	{ "a@c.example", "all@example.com", "", 5 },
	{ "\"a@example.org\"@c.example", "x@y.example", "", 6 },
	{ "no-domain", "x@y.example", "", 6 },
	{ "@", "@", "@", 6 },
};

static void test_rows(void **state)
{
	struct route_table *t;

	(void)state;
	assert_int_equal(route_table_new(rules, sizeof(rules) / sizeof(rules[0]), &t), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t got = route_table_find(t, slice_str(rows[i].to), slice_str(rows[i].from),
					      slice_str(rows[i].account));

		if (got != rows[i].rule)
			fail_msg("%s from %s takes rule %zu", rows[i].to, rows[i].from, got);
	}
	route_table_free(t);
}

static void test_long_addresses_match_nobody(void **state)
{
	static char *const all[] = { "*" };
	const struct route_table_rule two[] = { { .to = PATTERNS("x.example") }, { .to = { 0 } } };
	const struct route_table_rule star[] = { { .to = { all, 1 } }, { .to = { 0 } } };
	static unsigned char big[ROUTE_ADDRESS_MAX + 1];
	struct route_table *t;

	(void)state;
	memset(big, 'a', sizeof(big));
	memcpy(big + sizeof(big) - 10, "@x.example", 10);
	assert_int_equal(route_table_new(two, 2, &t), 0);
	assert_int_equal(route_table_find(t, slice_of(big, sizeof(big)), SLICE_LIT(""), SLICE_LIT("")), 1);
	assert_int_equal(route_table_find(t, slice_of(big + 1, sizeof(big) - 1), SLICE_LIT(""),
					  SLICE_LIT("")),
			 0);
	route_table_free(t);
	assert_int_equal(route_table_new(star, 2, &t), 0);
	assert_int_equal(route_table_find(t, slice_of(big, sizeof(big)), SLICE_LIT(""), SLICE_LIT("")), 0);
	route_table_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_long_addresses_match_nobody),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
