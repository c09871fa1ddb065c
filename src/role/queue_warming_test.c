/* A day's share of a source that warms up is not sent again after a restart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "role/queue_warming.h"

#define DAY (UINT64_C(24) * 3600 * 1000)
#define T0  (UINT64_C(20000) * DAY)

static struct schedule *make(uint64_t now)
{
	const struct schedule_source source[] = {
		{ .address = SLICE_LIT("new"),
		  .weight = 1,
		  .warm_begins_ms = T0,
		  .warm_first = 50,
		  .warm_days = 9 },
		{ .address = SLICE_LIT("old"), .weight = 1 },
	};
	struct schedule *s;

	assert_int_equal(schedule_new(16, &s), 0);
	assert_int_not_equal(schedule_pool(s, SLICE_LIT("pool"), source, 2, now), SCHEDULE_NONE);
	return s;
}

/* What it has sent on that day; 0: nothing that counts. */
static uint64_t sent(const struct schedule *s, uint64_t day)
{
	struct schedule_warming v;
	size_t cursor = 0;
	uint64_t n = 0;

	while (schedule_next_warming(s, &cursor, &v)) {
		assert_true(slice_eq(v.source, SLICE_LIT("new")));
		n += v.day == day ? v.sent : 0;
	}
	return n;
}

static void test_over_a_restart(void **state)
{
	const struct schedule_warming some = { SLICE_LIT("new"), 1, 7 };
	const struct schedule_warming others[] = { { SLICE_LIT("old"), 1, 9 },
						   { SLICE_LIT("new"), 2, 9 },
						   { SLICE_LIT("gone"), 1, 9 } };
	char dir[] = "/tmp/postern-warming-XXXXXX", path[80];
	struct schedule *s = make(T0 + DAY);
	struct buf last;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/spool", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	buf_init(&last, QUEUE_WARMING_MAX);
	queue_warming_remember(dir, s, T0 + DAY); /* there is nothing yet */
	for (size_t i = 0; i < 3; i++)
		schedule_warmed(s, &others[i], T0 + DAY);
	assert_int_equal(sent(s, 1), 0);
	schedule_warmed(s, &some, T0 + DAY);
	queue_warming_keep(dir, s, &last);
	buf_done(&last);
	schedule_free(s);

	s = make(T0 + DAY + DAY / 2);
	queue_warming_remember(dir, s, T0 + DAY + DAY / 2);
	assert_int_equal(sent(s, 1), 7);
	schedule_free(s);

	s = make(T0 + 2 * DAY); /* another day */
	queue_warming_remember(dir, s, T0 + 2 * DAY);
	assert_int_equal(sent(s, 1), 0);
	schedule_free(s);

	snprintf(path, sizeof(path), "%s/spool/sources-today", dir);
	assert_int_equal(unlink(path), 0);
	snprintf(path, sizeof(path), "%s/spool", dir);
	assert_int_equal(rmdir(path), 0); /* nothing else lies there */
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_over_a_restart) };

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
