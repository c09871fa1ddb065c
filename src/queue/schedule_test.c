/* What one call does to the schedule, and how it takes a clock that is set. */
#include "queue/schedule_small.h"

#include <errno.h>

#include "queue/clock.h"

static const uint8_t one[] = { SCHEDULE_READY };

/* About that: a fifth more or less. */
static void assert_about(uint64_t ms, uint64_t plan)
{
	assert_in_range(ms, plan - plan / 5, plan + plan / 5);
}

static void test_delivered(void **state)
{
	struct schedule *s = make(4);
	struct schedule_job j;
	struct schedule_answer a;
	struct schedule_view v;
	struct id id = add(s, 1, one, 1, T0);

	(void)state;
	assert_int_equal(schedule_wait_ms(s, T0), 0);
	assert_true(next(s, T0, &j));
	assert_string_equal(j.id.text, id.text);
	assert_int_equal(j.n, 1);
	assert_int_equal(j.attempt, 1);
	assert_true(schedule_look(s, &id, &v));
	assert_int_equal(v.state, SCHEDULE_IS_ACTIVE);
	assert_false(next(s, T0, &j)); /* never twice */
	assert_false(schedule_answer(s, j.number, 1, SCHEDULE_SAID_DELIVERED, T0, &a));
	assert_false(schedule_answer(s, j.number + 1, 0, SCHEDULE_SAID_DELIVERED, T0, &a));
	assert_true(schedule_answer(s, j.number, 0, SCHEDULE_SAID_DELIVERED, T0, &a));
	assert_int_equal(a.now, SCHEDULE_DONE);
	assert_false(schedule_answer(s, j.number, 0, SCHEDULE_SAID_DELIVERED, T0, &a));
	assert_false(schedule_look(s, &id, &v));
	assert_true(schedule_wait_ms(s, T0) == UINT64_MAX);
	schedule_free(s);
}

static void test_earliest_first_and_jobs_bounded(void **state)
{
	struct schedule *s = make(2);
	struct schedule_job j[3];
	struct schedule_answer a;

	(void)state;
	add(s, 1, one, 1, T0);
	add(s, 2, one, 1, T0 + 1);
	add(s, 3, one, 1, T0 + 2);
	assert_true(next(s, T0 + 5, &j[0]));
	assert_true(next(s, T0 + 5, &j[1]));
	assert_string_equal(j[0].id.text, id_of(1).text);
	assert_string_equal(j[1].id.text, id_of(2).text);
	assert_false(next(s, T0 + 5, &j[2]));
	assert_true(schedule_wait_ms(s, T0 + 5) > HOUR); /* until a job ends */
	assert_true(schedule_answer(s, j[0].number, 0, SCHEDULE_SAID_DELIVERED, T0 + 6, &a));
	assert_true(next(s, T0 + 6, &j[2]));
	schedule_free(s);
}

static void test_retries(void **state)
{
	static const uint64_t after[] = { 1, 5, 15, 30, 60 }; /* minutes; then 2 to 4 hours */
	struct schedule *s = make(1);
	struct schedule_job j;
	struct schedule_answer a;
	struct schedule_view v;
	uint64_t now = T0;
	struct id id = add(s, 1, one, 1, T0);
	unsigned tries = 0;

	(void)state;
	for (;; tries++) {
		assert_int_equal(schedule_wait_ms(s, now), 0);
		assert_true(next(s, now, &j));
		assert_int_equal(j.attempt, tries + 1);
		assert_true(schedule_answer(s, j.number, 0, SCHEDULE_SAID_DEFERRED, now, &a));
		assert_int_equal(a.attempts, tries + 1);
		if (a.now == SCHEDULE_FAILED)
			break;
		assert_int_equal(a.now, SCHEDULE_DEFERRED);
		if (tries < 5)
			assert_about(a.next_ms - now, after[tries] * MINUTE);
		else if (a.next_ms < T0 + SCHEDULE_LIFE_MS - MINUTE)
			assert_in_range(a.next_ms - now, 2 * HOUR, 4 * HOUR);
		assert_int_equal(schedule_wait_ms(s, now), a.next_ms - now);
		assert_false(next(s, a.next_ms - 1, &j));
		now = a.next_ms;
	}
	assert_true(a.expired);
	assert_int_equal(now, T0 + SCHEDULE_LIFE_MS - MINUTE); /* the last attempt is near the end */
	assert_true(schedule_look(s, &id, &v));		       /* kept */
	assert_int_equal(v.state, SCHEDULE_IS_FAILED);
	assert_int_equal(v.due_ms, 0);
	/* An operator may have it tried once more. */
	assert_int_equal(schedule_retry(s, &id, now), 1);
	assert_true(next(s, now, &j));
	assert_true(schedule_answer(s, j.number, 0, SCHEDULE_SAID_DELIVERED, now, &a));
	assert_int_equal(schedule_retry(s, &id, now), -ENOENT);
	schedule_free(s);
}

/* One job of a message may hold a hundred recipients; the rest follow in others. */
static void test_many_recipients(void **state)
{
	uint8_t rcpt[250] = { 0 };
	struct schedule *s = make(8);
	struct schedule_job j[4];
	struct schedule_answer a;
	struct schedule_view v;
	bool seen[250] = { false };
	struct id id;

	(void)state;
	rcpt[7] = SCHEDULE_FAILED;
	rcpt[8] = SCHEDULE_DONE;
	id = add(s, 1, rcpt, 250, T0);
	for (int i = 0; i < 3; i++) {
		assert_true(next(s, T0, &j[i]));
		assert_int_equal(j[i].n, i < 2 ? 100 : 48);
		for (uint32_t k = 0; k < j[i].n; k++) {
			assert_false(seen[j[i].rcpt[k]]);
			seen[j[i].rcpt[k]] = true;
		}
	}
	assert_false(seen[7] || seen[8]);
	assert_false(next(s, T0, &j[3]));
	for (int i = 0; i < 3; i++)
		for (uint32_t k = 0; k < j[i].n; k++)
			assert_true(schedule_answer(s, j[i].number, j[i].rcpt[k], SCHEDULE_SAID_DELIVERED, T0,
						    &a));
	assert_true(schedule_look(s, &id, &v));
	assert_int_equal(v.state, SCHEDULE_IS_FAILED);
	assert_int_equal(v.count[SCHEDULE_DONE], 249);
	assert_int_equal(schedule_remove(s, &id), 0);
	assert_false(schedule_look(s, &id, &v));
	schedule_free(s);
}

static void test_hold(void **state)
{
	static const uint8_t two[] = { SCHEDULE_READY, SCHEDULE_DEFERRED };
	struct schedule_message m = { .id = id_of(1),
				      .accepted_ms = T0,
				      .held = true,
				      .rcpt = two,
				      .due_ms = T0 + HOUR,
				      .attempts = 3,
				      .recipients = 2 };
	struct schedule *s = make(1);
	struct schedule_job j;
	struct schedule_answer a;
	struct schedule_view v;

	(void)state;
	assert_int_equal(schedule_add(s, &m, T0), 0);
	assert_int_equal(schedule_add(s, &m, T0), -EEXIST);
	assert_true(schedule_wait_ms(s, T0 + 2 * HOUR) == UINT64_MAX);
	assert_false(next(s, T0 + 2 * HOUR, &j));
	assert_int_equal(schedule_release(s, &m.id, T0), 0);
	assert_true(next(s, T0, &j));
	assert_int_equal(j.n, 1);
	/* Held while it is under way: that job goes on, no other begins. */
	assert_int_equal(schedule_hold(s, &m.id), 0);
	assert_true(schedule_look(s, &m.id, &v));
	assert_int_equal(v.state, SCHEDULE_IS_ACTIVE);
	assert_true(schedule_answer(s, j.number, 0, SCHEDULE_SAID_DELIVERED, T0, &a));
	assert_false(next(s, T0 + 2 * HOUR, &j));
	assert_int_equal(schedule_release(s, &m.id, T0), 0);
	assert_int_equal(schedule_wait_ms(s, T0), HOUR); /* its deferral still counts */
	assert_true(next(s, T0 + HOUR, &j));
	assert_int_equal(j.attempt, 4);
	schedule_free(s);
}

static void test_carrier_away(void **state)
{
	struct schedule *s = make(2);
	struct schedule_job j;
	struct schedule_answer a;
	uint64_t now = T0, pause = 0;

	(void)state;
	add(s, 1, one, 1, T0);
	for (unsigned i = 0; i < 10; i++) {
		uint64_t before = pause;

		assert_true(next(s, now, &j));
		assert_int_equal(j.attempt, 1); /* coming back is no attempt */
		set_local(s, false);
		pause = schedule_pause_ms(i);
		schedule_give_back(s, j.number, now + pause);
		assert_false(schedule_answer(s, j.number, 0, SCHEDULE_SAID_DELIVERED, now, &a));
		assert_false(next(s, now, &j));
		assert_int_equal(schedule_wait_ms(s, now), pause);
		set_local(s, true);
		assert_int_equal(schedule_wait_ms(s, now), pause);
		assert_true(pause >= 1000 && pause <= MINUTE && pause >= before);
		now += pause;
	}
	assert_int_equal(pause, MINUTE);
	schedule_free(s);
}

/* Nothing can be handed out for days: what is too old comes out all the same, the rest waits. */
static void test_expired_while_closed(void **state)
{
	struct schedule *s = make(2);
	uint64_t late = T0 + SCHEDULE_LIFE_MS;
	struct schedule_job j;
	struct schedule_answer a;
	struct id old = add(s, 1, one, 1, T0);

	(void)state;
	set_local(s, false);
	add(s, 2, one, 1, T0 + 5000);
	assert_false(next_doomed(s, late - 1, &j));
	assert_true(next_doomed(s, late, &j));
	assert_true(slice_eq(id_slice(&j.id), id_slice(&old)));
	assert_true(schedule_answer(s, j.number, 0, SCHEDULE_SAID_DEFERRED, late, &a));
	assert_true(a.expired);
	assert_int_equal(a.now, SCHEDULE_FAILED);
	assert_false(next_doomed(s, late, &j));
	schedule_free(s);
}

static void test_removed_under_way(void **state)
{
	struct schedule *s = make(1);
	struct schedule_job j, k;
	struct schedule_answer a;
	struct id id = add(s, 1, one, 1, T0);

	(void)state;
	assert_true(next(s, T0, &j));
	assert_int_equal(schedule_remove(s, &id), 0);
	assert_int_equal(schedule_remove(s, &id), -ENOENT);
	add(s, 2, one, 1, T0);
	assert_false(next(s, T0, &k)); /* local is still busy with it */
	assert_false(schedule_answer(s, j.number, 0, SCHEDULE_SAID_DELIVERED, T0, &a));
	assert_true(next(s, T0, &k));
	schedule_free(s);
}

/* However the clock is set: what is ready stays ready, what is deferred waits its
 * time and no longer, and nothing ages by the jump. */
static void test_clock_set(void **state)
{
	static const int64_t jumps[] = { -24 * (int64_t)HOUR, 24 * 8 * (int64_t)HOUR, -(int64_t)(T0 + 1) };

	(void)state;
	for (size_t i = 0; i < sizeof(jumps) / sizeof(jumps[0]); i++) {
		struct schedule *s = make(4);
		struct schedule_job j;
		struct schedule_answer a;
		struct id deferred = add(s, 1, one, 1, T0), ready;
		uint64_t now = jumps[i] < -(int64_t)T0 ? 0 : T0 + (uint64_t)jumps[i], after;

		assert_true(next(s, T0, &j));
		assert_true(schedule_answer(s, j.number, 0, SCHEDULE_SAID_DEFERRED, T0, &a));
		after = a.next_ms - T0;
		ready = add(s, 2, one, 1, T0);
		schedule_shift(s, jumps[i]);
		assert_true(next(s, now, &j));
		assert_string_equal(j.id.text, ready.text);
		if (now > 0) {
			assert_int_equal(schedule_wait_ms(s, now), after);
			assert_false(next(s, now + after - 1, &j));
		}
		assert_true(next(s, now + after, &j));
		assert_string_equal(j.id.text, deferred.text);
		assert_true(schedule_answer(s, j.number, 0, SCHEDULE_SAID_DEFERRED, now + after, &a));
		assert_int_equal(a.now, SCHEDULE_DEFERRED);
		assert_about(a.next_ms - now - after, 5 * MINUTE);
		schedule_free(s);
	}
}

static void test_clock_noticed(void **state)
{
	static const struct {
		uint64_t wall_ms, steady_ms;
		int64_t by_ms;
	} looks[] = {
		{ T0, 1000, 0 },
		{ T0 + 5000, 6000, 0 },
		{ T0 + 7000 - 1999, 8000, 0 }, /* slewed */
		{ T0 + 7000 - 2000, 8000, -2000 },
		{ T0 + 8000 - 2000, 9000, 0 }, /* said once */
		{ T0 + 9000 + HOUR, 10000, HOUR + 2000 },
		{ 10, 11000, 10 - (int64_t)(T0 + 10000 + HOUR) },
	};
	struct queue_clock c = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(looks) / sizeof(looks[0]); i++)
		assert_int_equal(queue_clock_look(&c, looks[i].wall_ms, looks[i].steady_ms), looks[i].by_ms);
}

/* What failed is done when its sender knows; what an operator gives up has failed. */
static void test_settle(void **state)
{
	static const uint8_t three[] = { SCHEDULE_FAILED, SCHEDULE_READY, SCHEDULE_DEFERRED };
	struct schedule *s = make(4);
	struct id id = add(s, 1, three, 3, T0);
	struct schedule_view v;
	struct schedule_job j;

	(void)state;
	assert_int_equal(schedule_settle(s, &id, 1, SCHEDULE_DONE), -EBUSY); /* it did not fail */
	assert_int_equal(schedule_settle(s, &id, 3, SCHEDULE_DONE), -ENOENT);
	assert_int_equal(schedule_settle(s, &id, 0, SCHEDULE_DONE), 0);
	assert_int_equal(schedule_settle(s, &id, 0, SCHEDULE_DONE), -EBUSY);
	assert_int_equal(schedule_settle(s, &id, 0, SCHEDULE_FAILED), -EBUSY); /* nobody is told twice */
	assert_int_equal(schedule_settle(s, &id, 2, SCHEDULE_FAILED), 0);
	assert_true(next(s, T0, &j));
	assert_int_equal(j.n, 1);
	assert_int_equal(schedule_settle(s, &id, 1, SCHEDULE_FAILED), -EBUSY); /* under way */
	schedule_give_back(s, j.number, T0);
	assert_int_equal(schedule_settle(s, &id, 1, SCHEDULE_FAILED), 0);
	assert_false(next(s, T0, &j));
	assert_true(schedule_look(s, &id, &v));
	assert_int_equal(v.state, SCHEDULE_IS_FAILED);
	assert_int_equal(schedule_settle(s, &id, 1, SCHEDULE_DONE), 0);
	assert_int_equal(schedule_settle(s, &id, 2, SCHEDULE_DONE), 0);
	assert_false(schedule_look(s, &id, &v)); /* forgotten */
	assert_int_equal(schedule_settle(s, &id, 2, SCHEDULE_DONE), -ENOENT);
	schedule_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_settle),
		cmocka_unit_test(test_delivered),
		cmocka_unit_test(test_earliest_first_and_jobs_bounded),
		cmocka_unit_test(test_retries),
		cmocka_unit_test(test_many_recipients),
		cmocka_unit_test(test_hold),
		cmocka_unit_test(test_carrier_away),
		cmocka_unit_test(test_expired_while_closed),
		cmocka_unit_test(test_removed_under_way),
		cmocka_unit_test(test_clock_set),
		cmocka_unit_test(test_clock_noticed),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
