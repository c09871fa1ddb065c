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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dates),
		cmocka_unit_test(as_the_c_library),
		cmocka_unit_test(far_future),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
