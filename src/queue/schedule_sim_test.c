/* Whose turn it is among accounts, sites and classes; and what is listed and counted. */
#include "queue/ages.h"
#include "queue/schedule_world.h"

/* ---- whose turn it is ---- */

static void test_fair_between_accounts(void **state)
{
	struct world w;

	(void)state;
	setup(&w);
	w.site.connections = 2;
	add(&w, 2000, 1, 1, SCHEDULE_NORMAL);
	run(&w, T0 + DAY, 100);
	add(&w, 20, 1, 2, SCHEDULE_NORMAL);
	add(&w, 20, 1, 3, SCHEDULE_NORMAL);
	run(&w, T0 + DAY, w.done + 66);
	assert_int_equal(w.by_client[2], 20);
	assert_int_equal(w.by_client[3], 20);
	run(&w, T0 + DAY, 2040);
	assert_int_equal(w.by_client[1], 2000);
	teardown(&w);
}

/* Somebody with mail for many sites does not make one with mail for one site wait for his lanes. */
static void test_fair_over_sites(void **state)
{
	struct schedule_setup few = { .lanes_max = 4, .opening_max = 4 };
	struct world w;

	(void)state;
	setup(&w);
	schedule_configure(w.s, &few);
	for (unsigned i = 0; i < 150; i++)
		add(&w, 1, i, 1, SCHEDULE_NORMAL);
	add(&w, 1, 199, 2, SCHEDULE_NORMAL);
	run(&w, T0 + DAY, 12);
	assert_int_equal(w.by_client[2], 1);
	run(&w, T0 + DAY, 151);
	assert_int_equal(w.done, 151);
	teardown(&w);
}

static void test_classes(void **state)
{
	struct world w;

	(void)state;
	setup(&w);
	w.site.connections = 1;
	add(&w, 1000, 1, 1, SCHEDULE_BULK);
	run(&w, T0 + DAY, 50);
	add(&w, 160, 1, 1, SCHEDULE_URGENT);
	add(&w, 100, 1, 1, SCHEDULE_NORMAL);
	run(&w, T0 + DAY, 50 + 212); /* ten rounds of 16, 4 and 1 */
	assert_int_equal(w.by_class[SCHEDULE_URGENT], 160);
	assert_in_range(w.by_class[SCHEDULE_NORMAL], 39, 42);
	assert_in_range(w.by_class[SCHEDULE_BULK], 59, 62);
	teardown(&w);
}

/* Bulk for many slow sites does not take all lanes there are. */
static void test_lanes_kept_for_the_urgent(void **state)
{
	struct schedule_setup few = { .lanes_max = 40 };
	struct world w;

	(void)state;
	setup(&w);
	schedule_configure(w.s, &few);
	w.takes = 10 * MINUTE;
	for (unsigned i = 0; i < 150; i++)
		add(&w, 10, i, 1, SCHEDULE_BULK);
	run(&w, T0 + 5 * MINUTE, UINT64_MAX);
	assert_int_equal(w.opened, 30);
	add(&w, 1, 199, 1, SCHEDULE_URGENT);
	run(&w, T0 + 5 * MINUTE + SECOND, UINT64_MAX);
	assert_int_equal(w.lanes_at[199], 1);
	teardown(&w);
}

/* ---- the listing ---- */

static void test_summary(void **state)
{
	struct schedule_site_view v;
	uint64_t cursor = 0;
	struct world w;

	(void)state;
	setup(&w);
	w.how[1] = AWAY;
	add(&w, 40, 1, 1, SCHEDULE_NORMAL);
	run(&w, T0 + 2 * HOUR, UINT64_MAX);
	add(&w, 3, 1, 1, SCHEDULE_NORMAL);
	run(&w, T0 + 2 * HOUR + MINUTE, UINT64_MAX);
	assert_true(schedule_next_site(w.s, &cursor, w.now, &v));
	assert_true(slice_eq(v.name, slice_str("mx1")));
	assert_int_equal(v.parts, 43);
	assert_int_equal(v.ready, 43);
	assert_int_equal(v.age[0], 3);
	assert_int_equal(v.age[2], 40);
	assert_true(v.until_ms > w.now);
	assert_true(slice_eq(v.text, slice_str("words")));
	assert_false(schedule_next_site(w.s, &cursor, w.now, &v));
	teardown(&w);
}

/* However they come and go, all are counted, and about as old as they are. */
static void test_ages(void **state)
{
	static const uint64_t limits[] = { 5 * MINUTE, 30 * MINUTE, 4 * HOUR, DAY };
	static uint64_t began[20000];
	struct ages a = { 0 };
	uint64_t count[5] = { 0 }, now = T0, sum = 0, old = 0;
	unsigned n = 0;

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		now += 10 * SECOND;
		began[n++] = now - (i % 7 == 0 ? HOUR : 0);
		ages_add(&a, began[n - 1], now);
		if (i % 3 == 0) {
			unsigned k = (i * 7919U) % n;

			ages_remove(&a, began[k]);
			began[k] = began[--n];
		}
	}
	ages_count(&a, now, limits, 4, count);
	for (unsigned i = 0; i < 5; i++)
		sum += count[i];
	assert_int_equal(sum, n);
	for (unsigned i = 0; i < n; i++)
		old += now - began[i] >= DAY;
	assert_in_range(count[4], old * 3 / 4, old * 5 / 4);
	for (unsigned i = 0; i < n; i++)
		ages_remove(&a, began[i]);
	for (unsigned i = 0; i < a.spans; i++)
		assert_int_equal(a.n[i], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fair_between_accounts),
		cmocka_unit_test(test_fair_over_sites),
		cmocka_unit_test(test_classes),
		cmocka_unit_test(test_lanes_kept_for_the_urgent),
		cmocka_unit_test(test_summary),
		cmocka_unit_test(test_ages),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
