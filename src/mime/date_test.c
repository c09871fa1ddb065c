#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "mime/date.h"

static const struct {
	uint64_t unix_s;
	const char *text;
} cases[] = {
	{ 0, "Thu, 1 Jan 1970 00:00:00 +0000" },
	{ 951782399, "Mon, 28 Feb 2000 23:59:59 +0000" },
	{ 951782400, "Tue, 29 Feb 2000 00:00:00 +0000" },
	{ 951868800, "Wed, 1 Mar 2000 00:00:00 +0000" },
	{ 978307199, "Sun, 31 Dec 2000 23:59:59 +0000" },
	{ 1078012800, "Sun, 29 Feb 2004 00:00:00 +0000" },
	{ 1795304383, "Sat, 21 Nov 2026 23:39:43 +0000" },
	{ 4107542400, "Mon, 1 Mar 2100 00:00:00 +0000" }, /* 2100 is no leap year */
	{ 253402300799, "Fri, 31 Dec 9999 23:59:59 +0000" },
};

static void check(uint64_t unix_ms, const char *want)
{
	char have[64];
	struct buf b;

	buf_init(&b, 64);
	mime_date_put(unix_ms, &b);
	assert_true(buf_ok(&b) && slice_copy(buf_slice(&b), have, sizeof(have)));
	assert_string_equal(have, want);
	buf_done(&b);
}

static void dates(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check(cases[i].unix_s * 1000 + 999, cases[i].text);
}

/* Another calendar's opinion, a day and an odd time at once, until 2200. */
static void as_the_c_library(void **state)
{
	(void)state;
	for (time_t t = 0; t < 7258118400; t += 86400 * 3 + 3671) {
		char want[64];
		struct tm tm;

		gmtime_r(&t, &tm);
		strftime(want, sizeof(want), "%a, %-d %b %Y %T +0000", &tm);
		check((uint64_t)t * 1000, want);
	}
}

/* A clock gone mad costs neither time nor memory. */
static void far_future(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 64);
	mime_date_put(UINT64_MAX, &b);
	assert_true(buf_ok(&b));
	buf_done(&b);
}

static const struct {
	const char *text;
	int64_t unix_s; /* -1: no date */
} read_cases[] = {
	{ "Thu, 1 Jan 1970 00:00:00 +0000", 0 },
	{ "Sat, 21 Nov 2026 23:39:43 +0000", 1795304383 },
	{ " 21 Nov 2026 23:39:43 +0000 (UTC)", 1795304383 },
	{ "Sun, 22 Nov 2026 00:39:43 +0100 (CET)\r\n", 1795304383 },
	{ "Sat, 21 Nov 2026 13:09:43 -1030", 1795304383 },
	{ "Sat,21 Nov 2026\r\n\t23:39:43 GMT", 1795304383 },
	{ "Sat, 21 Nov 26 15:39:43 PST", 1795304383 },
	{ "sat, 21 nov 126 23:39:43 Z", 1795304383 },
	{ "Sat, 21 Nov 2026 23:39 +0000", 1795304340 },
	{ "(a (b\\) c) d) Sat, 21 (x) Nov 2026 23 : 39 : 43 +0000", 1795304383 },
	{ "Thu, 29 Feb 2024 12:00:00 +0000", 1709208000 },
	{ "Thu, 29 Feb 2023 12:00:00 +0000", -1 },
	{ "31 Nov 2026 00:00:00 +0000", -1 },
	{ "0 Nov 2026 00:00:00 +0000", -1 },
	{ "21 Nov 2026 24:00:00 +0000", -1 },
	{ "21 Nov 2026 23:39:43 +0060", -1 },
	{ "21 Nov 2026 23:39:43 +0000 x", -1 },
	{ "21 Nov 2026", -1 },
	{ "21 Foo 2026 00:00:00 +0000", -1 },
	{ "1 Jan 1970 00:00:00 +0100", -1 },
	{ "1 Jan 1969 00:00:00 +0000", -1 },
	{ "021 Nov 2026 00:00:00 +0000", -1 },
	{ "", -1 },
	{ "99999999999999999999", -1 },
};

static void dates_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(read_cases) / sizeof(read_cases[0]); i++) {
		uint64_t ms = 7;
		bool ok = mime_date_read(slice_str(read_cases[i].text), &ms);

		if (ok != (read_cases[i].unix_s >= 0) ||
		    (ok && ms != (uint64_t)read_cases[i].unix_s * 1000) || (!ok && ms != 7))
			fail_msg("%s: %d %llu", read_cases[i].text, ok, (unsigned long long)ms);
	}
}

/* What is written is read. */
static void there_and_back(void **state)
{
	(void)state;
	for (uint64_t s = 0; s < 253402300799; s += 86400 * 29 + 3671) {
		uint64_t ms = 0;
		struct buf b;

		buf_init(&b, 64);
		mime_date_put(s * 1000, &b);
		assert_true(mime_date_read(buf_slice(&b), &ms) && ms == s * 1000);
		buf_done(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dates),	  cmocka_unit_test(dates_read),
		cmocka_unit_test(there_and_back), cmocka_unit_test(as_the_c_library),
		cmocka_unit_test(far_future),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
