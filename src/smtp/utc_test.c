#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "smtp/utc.h"

static void test_both_ways(void **state)
{
	static const struct {
		const char *text;
		uint64_t s;
	} rows[] = {
		{ "1970-01-01T00:00:00Z", 0 },
		{ "1972-02-29T12:00:00Z", 68212800 },
		{ "2000-02-29T00:00:00Z", 951782400 },
		{ "2000-12-31T23:59:59Z", 978307199 },
		{ "2027-01-15T08:00:00Z", 1800000000 },
		{ "2100-03-01T00:00:00Z", 4107542400 },
		{ "9999-12-31T23:59:59Z", 253402300799 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char room[32];
		struct buf text;
		uint64_t s;

		assert_true(smtp_utc_parse(slice_str(rows[i].text), &s));
		assert_int_equal(s, rows[i].s);
		buf_init_in(&text, room, sizeof(room));
		smtp_utc_put(s, &text);
		assert_true(slice_eq(buf_slice(&text), slice_str(rows[i].text)));
	}
	for (uint64_t day = 0; day < 300 * 366; day += 17) { /* each day's beginning, there and back */
		char room[32];
		struct buf text;
		uint64_t s;

		buf_init_in(&text, room, sizeof(room));
		smtp_utc_put(day * 86400, &text);
		assert_true(smtp_utc_parse(buf_slice(&text), &s));
		assert_int_equal(s, day * 86400);
	}
}

static void test_refused(void **state)
{
	static const char *const rows[] = {
		"",
		"2027-01-15",
		"2027-01-15T08:00:00",
		"2027-01-15T08:00:00+0100",
		"2027-01-15T08:00:00+24:00",
		"1970-01-01T00:00:00+00:01",
		"2027-01-15 08:00:00Z",
		"2027-02-29T00:00:00Z",
		"2027-13-01T00:00:00Z",
		"2027-00-01T00:00:00Z",
		"2027-01-00T00:00:00Z",
		"2027-01-32T00:00:00Z",
		"2027-01-15T24:00:00Z",
		"2027-01-15T08:60:00Z",
		"2027-01-15T08:00:00Zx",
		"2027-01-15T08:00:00.Z",
		"1969-12-31T00:00:00Z",
		"2027-1-15T08:00:00Z",
		"-027-01-15T08:00:00Z",
	};
	uint64_t s;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_false(smtp_utc_parse(slice_str(rows[i]), &s));
	assert_true(smtp_utc_parse(SLICE_LIT("2027-01-15t08:00:00.999z"), &s));
	assert_true(smtp_utc_parse(SLICE_LIT("2027-01-15T09:30:00+01:30"), &s));
	assert_int_equal(s, 1800000000);
	assert_true(smtp_utc_parse(SLICE_LIT("2027-01-15T07:00:00-01:00"), &s));
	assert_int_equal(s, 1800000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_both_ways),
					    cmocka_unit_test(test_refused) };

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
