/* How fast a site is given mail, and from which source addresses. */
#include "queue/schedule_world.h"

static void test_pace_of_site_and_account(void **state)
{
	struct world w;

	(void)state;
	setup(&w);
	w.site.per_minute = 60;
	add(&w, 2000, 1, 1, SCHEDULE_NORMAL);
	run(&w, T0 + 10 * MINUTE, UINT64_MAX);
	assert_in_range(w.done, 595, 601);
	teardown(&w);

	setup(&w);
	assert_int_equal(schedule_account_pace(w.s, 1, 600, w.now), 0);
	for (unsigned i = 0; i < 20; i++)
		add(&w, 500, i, 1, SCHEDULE_NORMAL);
	add(&w, 500, 3, 2, SCHEDULE_NORMAL);
	run(&w, T0 + 5 * MINUTE, UINT64_MAX);
	assert_in_range(w.by_client[1], 2980, 3010);
	assert_int_equal(w.by_client[2], 500);
	teardown(&w);
}

/* All accounts alike, but for those with a pace of their own, until they have none any more. */
static void test_pace_by_the_setup(void **state)
{
	struct schedule_setup paced = { .account_per_minute = 60 };
	struct world w;

	(void)state;
	setup(&w);
	schedule_configure(w.s, &paced);
	assert_int_equal(schedule_account_pace(w.s, 2, 600, w.now), 0);
	assert_int_equal(schedule_account_pace(w.s, 3, 0, w.now), 0);
	for (unsigned i = 0; i < 4; i++)
		add(&w, 3000, i, i, SCHEDULE_NORMAL); /* the first is nobody's */
	run(&w, T0 + 4 * MINUTE, UINT64_MAX);
	assert_int_equal(w.by_client[0], 3000);
	assert_in_range(w.by_client[1], 235, 242);
	assert_in_range(w.by_client[2], 2380, 2420);
	assert_int_equal(w.by_client[3], 3000);
	schedule_paces_begin(w.s);
	assert_int_equal(schedule_account_pace(w.s, 3, 0, w.now), 0);
	schedule_paces_end(w.s, w.now);
	run(&w, T0 + 6 * MINUTE, UINT64_MAX);
	assert_in_range(w.by_client[1], 352, 363);
	assert_in_range(w.by_client[2], 2495, 2545);
	paced.account_per_minute = 0;
	schedule_configure(w.s, &paced);
	run(&w, T0 + 30 * MINUTE, UINT64_MAX);
	assert_int_equal(w.done, 12000);
	teardown(&w);
}

/* Mail that comes one by one finds no full bucket each time, and what is over is forgotten. */
static void test_pace_is_remembered_without_mail(void **state)
{
	struct schedule_setup paced = { .account_per_minute = 6 };
	struct world w;

	(void)state;
	setup(&w);
	schedule_configure(w.s, &paced);
	for (unsigned i = 0; i < 120; i++) {
		add(&w, 1, 1, 1, SCHEDULE_NORMAL);
		run(&w, T0 + (i + 1) * SECOND, UINT64_MAX);
	}
	assert_in_range(w.done, 12, 14);
	run(&w, T0 + HOUR, UINT64_MAX);
	assert_int_equal(w.done, 120);
	teardown(&w);
}

/* What goes to mailboxes of ours is not counted. */
static void test_no_pace_to_mailboxes(void **state)
{
	struct schedule_setup paced = { .account_per_minute = 60 };
	struct world w;

	(void)state;
	setup(&w);
	schedule_configure(w.s, &paced);
	w.site.mailboxes = true;
	add(&w, 1000, 1, 1, SCHEDULE_NORMAL);
	run(&w, T0 + 5 * MINUTE, UINT64_MAX);
	assert_int_equal(w.done, 1000);
	teardown(&w);
}

static void test_warming_up(void **state)
{
	const struct schedule_source source[] = {
		{ .address = SLICE_LIT("192.0.2.1"),
		  .weight = 1,
		  .warm_begins_ms = T0,
		  .warm_first = 50,
		  .warm_growth_percent = 100,
		  .warm_days = 4 },
	};
	uint64_t before = 0, day[5];
	struct world w;

	(void)state;
	setup(&w);
	w.site.pool = schedule_pool(w.s, SLICE_LIT("new"), source, 1, w.now);
	assert_int_not_equal(w.site.pool, SCHEDULE_NONE);
	/* Of a start before this one. */
	schedule_warmed(w.s, &(struct schedule_warming){ SLICE_LIT("192.0.2.1"), 0, 20 }, w.now);
	add(&w, 3000, 1, 1, SCHEDULE_NORMAL);
	for (unsigned i = 0; i < 4; i++) {
		run(&w, T0 + (i + 1) * DAY - 1, UINT64_MAX);
		day[i] = w.done - before;
		before = w.done;
	}
	assert_int_equal(day[0], 30);
	assert_int_equal(day[1], 100);
	assert_int_equal(day[2], 200);
	assert_int_equal(day[3], 400);
	run(&w, T0 + 4 * DAY + HOUR, UINT64_MAX);
	assert_int_equal(w.done, 3000);
	teardown(&w);
}

static void test_sources_by_weight(void **state)
{
	const struct schedule_source source[] = {
		{ .address = SLICE_LIT("192.0.2.1"), .weight = 3 },
		{ .address = SLICE_LIT("192.0.2.2"), .weight = 1 },
	};
	unsigned first = 0, n = 0;
	struct schedule_question q;
	struct schedule_lane l;
	struct world w;

	(void)state;
	setup(&w);
	w.site.pool = schedule_pool(w.s, SLICE_LIT("two"), source, 2, w.now);
	for (unsigned i = 0; i < 40; i++)
		add(&w, 1, i, 1, SCHEDULE_NORMAL);
	while (schedule_next_resolve(w.s, w.now, &q))
		resolve(&w, &q);
	for (; schedule_next_lane(w.s, w.now, &l); n++)
		first += slice_eq(l.source, slice_str("192.0.2.1"));
	assert_int_equal(n, 40);
	assert_in_range(first, 29, 31);
	teardown(&w);
}

/* An address that is none of this machine's: it rests, longer each time, and the others take its share. */
static void test_a_source_that_cannot_be_used(void **state)
{
	const struct schedule_source source[] = {
		{ .address = SLICE_LIT("good"), .weight = 1 },
		{ .address = SLICE_LIT("bad"), .weight = 1 },
	};
	struct schedule_site_view view;
	struct schedule_question q;
	struct schedule_lane l;
	unsigned tries = 0;
	struct world w;

	(void)state;
	setup(&w);
	w.site.pool = schedule_pool(w.s, SLICE_LIT("two"), source, 2, w.now);
	for (unsigned i = 0; i < 8; i++)
		add(&w, 1, i, 1, SCHEDULE_NORMAL);
	while (schedule_next_resolve(w.s, w.now, &q))
		resolve(&w, &q);
	for (unsigned good = 0; good < 8;) {
		assert_true(schedule_next_lane(w.s, w.now, &l));
		if (slice_eq(l.source, slice_str("good"))) {
			good++;
			continue;
		}
		assert_true(slice_eq(l.source, slice_str("bad")));
		tries++;
		schedule_lane_closed(w.s, l.number, SCHEDULE_LANE_SOURCE, SLICE_LIT("4.3.0"),
				     SLICE_LIT("no such address"), w.now);
	}
	assert_int_equal(tries, 1);
	/* Alone in its pool: what goes out by it waits, and it is said why. */
	w.site.pool = schedule_pool(w.s, SLICE_LIT("one"), &source[1], 1, w.now);
	tries = 0;
	add(&w, 1, 9, 1, SCHEDULE_NORMAL);
	while (schedule_next_resolve(w.s, w.now, &q))
		resolve(&w, &q);
	for (uint64_t end = w.now + HOUR; w.now < end; w.now += SECOND)
		while (schedule_next_lane(w.s, w.now, &l)) {
			assert_true(slice_eq(l.source, slice_str("bad")));
			tries++;
			schedule_lane_closed(w.s, l.number, SCHEDULE_LANE_SOURCE, SLICE_LIT("4.3.0"),
					     SLICE_LIT("no such address"), w.now);
			assert_false(schedule_next_lane(w.s, w.now, &l));
		}
	assert_in_range(tries, 10, 15);
	assert_true(schedule_look_destination(w.s, SLICE_LIT("mx d9"), w.now, &view));
	assert_true(view.until_ms > w.now);
	assert_true(slice_eq(view.text, SLICE_LIT("no such address")));
	/* Once it works it works for all. */
	w.now = view.until_ms;
	assert_true(schedule_next_lane(w.s, w.now, &l));
	schedule_lane_opened(w.s, l.number, 0);
	schedule_lane_ready(w.s, l.number, 0, 0, w.now);
	assert_true(schedule_look_destination(w.s, SLICE_LIT("mx d9"), w.now, &view));
	assert_int_equal(view.until_ms, 0);
	teardown(&w);
}

/* Lanes grow while it goes well, to the limit; after complaints there are fewer. */
static void test_as_many_lanes_as_it_can_bear(void **state)
{
	struct world w;

	(void)state;
	setup(&w);
	w.site.connections = 30;
	add(&w, 20000, 1, 1, SCHEDULE_NORMAL);
	run(&w, T0 + HOUR, 10);
	assert_in_range(w.lanes_at[1], 4, 20);
	run(&w, T0 + HOUR, 2000);
	assert_int_equal(w.lanes_at[1], 30);
	assert_int_equal(w.most_lanes, 30);
	w.how[1] = COMPLAINS;
	run(&w, w.now + 30 * SECOND, UINT64_MAX);
	assert_in_range(w.lanes_at[1], 0, 4);
	w.how[1] = WELL;
	run(&w, w.now + 10 * MINUTE, UINT64_MAX);
	assert_true(w.lanes_at[1] > 10 || w.done >= 15000);
	teardown(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pace_of_site_and_account),
		cmocka_unit_test(test_pace_by_the_setup),
		cmocka_unit_test(test_pace_is_remembered_without_mail),
		cmocka_unit_test(test_no_pace_to_mailboxes),
		cmocka_unit_test(test_warming_up),
		cmocka_unit_test(test_sources_by_weight),
		cmocka_unit_test(test_a_source_that_cannot_be_used),
		cmocka_unit_test(test_as_many_lanes_as_it_can_bear),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
