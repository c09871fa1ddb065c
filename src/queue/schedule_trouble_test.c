/* Sites that are away, complain or cannot be reached: what waits, and for how long. */
#include "queue/schedule_world.h"

/* A site that is away for two hours: few probes, one at a time, and no message was tried. */
static void test_site_away(void **state)
{
	struct schedule_view v;
	struct id id;
	struct world w;

	(void)state;
	setup(&w);
	w.how[1] = AWAY;
	add(&w, 5000, 1, 1, SCHEDULE_NORMAL);
	run(&w, T0 + 2 * HOUR, UINT64_MAX);
	assert_in_range(w.opened, 10, 20);
	assert_int_equal(w.attempts, 0);
	id = id_of(7, 1, SCHEDULE_NORMAL);
	assert_true(schedule_look(w.s, &id, &v));
	assert_int_equal(v.attempts, 0);
	assert_int_equal(v.state, SCHEDULE_IS_QUEUED);
	w.how[1] = WELL;
	w.most_lanes = 0;
	run(&w, T0 + 2 * HOUR + 34 * MINUTE, 1);
	assert_int_equal(w.done, 1);
	assert_in_range(w.most_lanes, 1, 2); /* a single probe, and more only when it went well */
	run(&w, w.now + 10 * MINUTE, UINT64_MAX);
	assert_int_equal(w.done, 5000);
	teardown(&w);
}

/* A site that wants nothing for a while gets nothing for that long, its lanes idle out, and another complaint
 * of the same moment makes it no longer than it says. */
static void test_pause(void **state)
{
	struct schedule_site_view v;
	uint64_t cursor = 0, begun;
	struct world w;

	(void)state;
	setup(&w);
	add(&w, 400, 1, 1, SCHEDULE_NORMAL);
	run(&w, T0 + DAY, 50);
	begun = w.now;
	schedule_heard(w.s, w.lane[0].lane, SLICE_LIT("4.7.1"), SLICE_LIT("not before tea"));
	schedule_pause(w.s, w.lane[0].lane, HOUR, w.now);
	schedule_pause(w.s, w.lane[0].lane, 30 * MINUTE, w.now);
	schedule_pause(w.s, w.lane[0].lane, 0, w.now);
	run(&w, w.now + SECOND, UINT64_MAX); /* what was under way */
	assert_in_range(w.done, 50, 70);
	while (schedule_next_site(w.s, &cursor, w.now, &v) && !slice_eq(v.name, SLICE_LIT("mx1")))
		;
	assert_true(slice_eq(v.text, SLICE_LIT("not before tea")));
	assert_in_range(v.until_ms, begun + HOUR, begun + HOUR + HOUR / 10);
	run(&w, begun + HOUR - 1, UINT64_MAX);
	assert_in_range(w.done, 50, 70);
	assert_int_equal(w.lanes_at[1], 0);
	run(&w, begun + HOUR + HOUR / 10 + MINUTE, UINT64_MAX);
	assert_int_equal(w.done, 400);
	teardown(&w);
}

/* A lane that ends with such a complaint: the pause holds, and then one lane at a time until it works. */
static void test_pause_and_loss(void **state)
{
	struct world w;

	(void)state;
	setup(&w);
	w.how[1] = AWAY;
	add(&w, 100, 1, 1, SCHEDULE_NORMAL);
	work(&w);
	assert_int_equal(w.opened, 4);
	schedule_pause(w.s, w.flight[0].lane, 20 * MINUTE, w.now);
	run(&w, T0 + 20 * MINUTE - 1, UINT64_MAX);
	assert_int_equal(w.opened, 4);
	w.how[1] = WELL;
	w.most_lanes = 0;
	run(&w, T0 + DAY, 1);
	assert_in_range(w.now, T0 + 20 * MINUTE, T0 + 23 * MINUTE);
	assert_in_range(w.most_lanes, 1, 2);
	teardown(&w);
}

/* And if it stays away, they get too old without ever having been tried. */
static void test_expires_behind_a_site(void **state)
{
	struct world w;

	(void)state;
	setup(&w);
	w.how[1] = AWAY;
	add(&w, 3000, 1, 1, SCHEDULE_NORMAL);
	run(&w, T0 + 5 * DAY - 1, UINT64_MAX);
	assert_int_equal(w.expired, 0);
	run(&w, T0 + 5 * DAY + SECOND, UINT64_MAX);
	assert_int_equal(w.expired, 3000);
	assert_int_equal(w.attempts, 0);
	teardown(&w);
}

/* After a start: what was deferred keeps its time, what was due goes out at the site's pace. */
static void test_no_herd_after_a_start(void **state)
{
	struct world w;

	(void)state;
	setup(&w);
	w.site.connections = 5;
	for (unsigned i = 0; i < 4000; i++) {
		struct schedule_message m = message(&w, 1, SCHEDULE_NORMAL);

		m.attempts = 3;
		m.due_ms = i < 2000 ? T0 - HOUR : T0 + HOUR;
		m.accepted_ms = T0 - DAY;
		put(&w, m, 1, SCHEDULE_DEFERRED);
	}
	run(&w, T0 + SECOND, UINT64_MAX);
	assert_in_range(w.done, 10, 5 * SECOND / 100 + 5);
	run(&w, T0 + HOUR - 1, UINT64_MAX);
	assert_int_equal(w.done, 2000);
	assert_int_equal(w.most_lanes, 5);
	run(&w, T0 + 2 * HOUR, UINT64_MAX);
	assert_int_equal(w.done, 4000);
	teardown(&w);
}

/* The network blocks port 25: after three sites it is known, and then there is one probe now and then. */
static void test_port_25_blocked(void **state)
{
	struct schedule_block b;
	uint64_t opened, before;
	struct world w;

	(void)state;
	setup(&w);
	for (unsigned i = 0; i < SITES; i++)
		w.how[i] = BLOCKED;
	for (unsigned i = 0; i < 4; i++)
		add(&w, 2, i, 1, SCHEDULE_NORMAL);
	run(&w, T0 + MINUTE, UINT64_MAX);
	schedule_blocked(w.s, &b);
	assert_true(b.blocked);
	assert_in_range(b.since_ms, T0 + 30 * SECOND, T0 + MINUTE);
	for (unsigned i = 4; i < SITES; i++)
		add(&w, 2, i, 1, SCHEDULE_NORMAL);
	opened = w.opened;
	run(&w, T0 + 6 * HOUR, UINT64_MAX);
	assert_in_range(w.opened - opened, 8, 20);
	assert_int_equal(w.attempts, 0);
	schedule_blocked(w.s, &b);
	assert_in_range(b.sites, SITES - 2, SITES);
	for (unsigned i = 0; i < SITES; i++)
		w.how[i] = WELL;
	while (b.blocked && w.now < T0 + 7 * HOUR) {
		run(&w, w.now + SECOND / 20, UINT64_MAX);
		schedule_blocked(w.s, &b);
	}
	assert_false(b.blocked);
	/* They go on, and not all at once. */
	before = w.opened;
	run(&w, w.now + SECOND, UINT64_MAX);
	assert_in_range(w.opened - before, 20, 120);
	run(&w, w.now + MINUTE, UINT64_MAX);
	assert_int_equal(w.done, 2 * SITES);
	teardown(&w);
}

/* An operator's retry is the next probe; of many there is one at a time. */
static void test_port_25_doubted(void **state)
{
	struct schedule_message m[2];
	struct schedule_block b;
	uint64_t opened;
	struct world w;

	(void)state;
	setup(&w);
	for (unsigned i = 0; i < 5; i++)
		w.how[i] = BLOCKED;
	for (unsigned i = 0; i < 3; i++)
		add(&w, 1, i, 1, SCHEDULE_NORMAL);
	for (unsigned i = 0; i < 2; i++) {
		m[i] = message(&w, 1, SCHEDULE_NORMAL);
		put(&w, m[i], 3 + i, SCHEDULE_READY);
	}
	run(&w, T0 + 3 * HOUR, UINT64_MAX);
	schedule_blocked(w.s, &b);
	assert_true(b.blocked);
	run(&w, b.probe_ms + MINUTE, UINT64_MAX); /* that one is over, the next one half an hour away */
	opened = w.opened;
	for (unsigned i = 0; i < 10; i++)
		schedule_retry_now(w.s, &m[i % 2].id, w.now);
	run(&w, w.now + 40 * SECOND, UINT64_MAX);
	assert_int_equal(w.opened - opened, 1);
	for (unsigned i = 0; i < 5; i++)
		w.how[i] = WELL;
	schedule_retry_now(w.s, &m[0].id, w.now);
	run(&w, w.now + 30 * SECOND, UINT64_MAX);
	schedule_blocked(w.s, &b);
	assert_false(b.blocked);
	assert_int_equal(w.done, 5);
	teardown(&w);
}

/* A site or two that time out, among others that do not, are their own fault. */
static void test_not_blocked(void **state)
{
	struct schedule_block b;
	struct world w;

	(void)state;
	setup(&w);
	for (unsigned i = 0; i < 10; i++) {
		w.how[i] = BLOCKED;
		add(&w, 1, i, 1, SCHEDULE_NORMAL);
		add(&w, 1, 50 + i, 1, SCHEDULE_NORMAL);
		run(&w, w.now + MINUTE, UINT64_MAX);
		schedule_blocked(w.s, &b);
		assert_false(b.blocked);
	}
	teardown(&w);
}

/* What hangs is named, and named again. */
static void test_overdue(void **state)
{
	struct schedule_overdue o;
	struct schedule_question q;
	struct world w;

	(void)state;
	setup(&w);
	add(&w, 1, 1, 1, SCHEDULE_NORMAL);
	assert_true(schedule_next_resolve(w.s, w.now, &q));
	assert_int_equal(schedule_wait_ms(w.s, w.now), 2 * MINUTE);
	assert_false(schedule_next_overdue(w.s, w.now + 2 * MINUTE - 1, &o));
	assert_true(schedule_next_overdue(w.s, w.now + 2 * MINUTE, &o));
	assert_int_equal(o.kind, SCHEDULE_OVERDUE_RESOLVE);
	assert_true(o.number == q.number);
	assert_false(schedule_next_overdue(w.s, w.now + 2 * MINUTE, &o));
	assert_true(schedule_next_overdue(w.s, w.now + 4 * MINUTE, &o));
	teardown(&w);
}

/* Nothing of it before its time, and its life begins then. */
static void test_future_release(void **state)
{
	struct schedule_message m;
	struct world w;

	(void)state;
	setup(&w);
	m = message(&w, 1, SCHEDULE_NORMAL);
	m.release_ms = T0 + 20 * DAY;
	put(&w, m, 1, SCHEDULE_READY);
	run(&w, T0 + 20 * DAY - 1, UINT64_MAX);
	assert_int_equal(w.attempts + w.opened + w.expired, 0);
	run(&w, T0 + 20 * DAY + SECOND, UINT64_MAX);
	assert_int_equal(w.done, 1);
	teardown(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_site_away),
		cmocka_unit_test(test_pause),
		cmocka_unit_test(test_pause_and_loss),
		cmocka_unit_test(test_expires_behind_a_site),
		cmocka_unit_test(test_no_herd_after_a_start),
		cmocka_unit_test(test_port_25_blocked),
		cmocka_unit_test(test_port_25_doubted),
		cmocka_unit_test(test_not_blocked),
		cmocka_unit_test(test_overdue),
		cmocka_unit_test(test_future_release),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
