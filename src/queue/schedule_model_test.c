/* Random events, held against a simple model. */
#include "queue/schedule_small.h"

#include <errno.h>

#define MODEL_MESSAGES 40
#define MODEL_RCPTS    130
#define MODEL_JOBS     3

struct model {
	bool there, held;
	uint32_t n;
	uint64_t added;
	struct {
		bool open, active, final;
	} rcpt[MODEL_RCPTS];
};

static uint32_t lcg;
static uint32_t roll(uint32_t below)
{
	lcg = lcg * 1664525 + 1013904223;
	return (lcg >> 8) % below;
}

static void model_answer(struct schedule *s, struct model *m, struct schedule_job *j, unsigned which,
			 uint32_t at, uint64_t now, bool gently)
{
	enum schedule_result said = gently ? SCHEDULE_SAID_DELIVERED : (enum schedule_result)roll(3);
	uint32_t rcpt = j->rcpt[at];
	struct schedule_answer a;
	bool known = schedule_answer(s, j->number, rcpt, said, now, &a);

	assert_int_equal(known, m[which].there && m[which].rcpt[rcpt].active);
	j->rcpt[at] = j->rcpt[--j->n];
	if (!known)
		return;
	m[which].rcpt[rcpt].active = false;
	if (a.now == SCHEDULE_DONE)
		m[which].rcpt[rcpt].open = false;
	m[which].rcpt[rcpt].final = a.now == SCHEDULE_FAILED;
	if (a.now == SCHEDULE_DEFERRED)
		assert_true(a.next_ms > now);
}

static bool model_gone(const struct model *m)
{
	for (uint32_t i = 0; i < m->n; i++)
		if (m->rcpt[i].open)
			return false;
	return true;
}

static void model_check(struct schedule *s, const struct model *m)
{
	struct schedule_counters c;
	uint64_t there = 0, sum = 0;

	schedule_count(s, &c);
	for (unsigned i = 0; i < MODEL_MESSAGES; i++) {
		struct schedule_view v;
		struct id id = id_of(i);

		assert_int_equal(schedule_look(s, &id, &v), m[i].there);
		there += m[i].there;
	}
	for (unsigned i = 0; i < SCHEDULE_STATES; i++)
		sum += c.by_state[i];
	assert_int_equal(c.messages, there);
	assert_int_equal(sum, there);
	assert_true(c.jobs <= MODEL_JOBS);
}

static unsigned which_of(struct id id)
{
	for (unsigned i = 0; i < MODEL_MESSAGES; i++)
		if (!strcmp(id_of(i).text, id.text))
			return i;
	fail();
	return 0;
}

static void model_take(struct schedule *s, struct model *m, uint64_t now, bool local,
		       struct schedule_job *jobs)
{
	struct schedule_job j;
	unsigned which, at = 0;

	if (!next(s, now, &j))
		return;
	while (at < MODEL_JOBS && jobs[at].n > 0)
		at++;
	assert_true(local && at < MODEL_JOBS);
	which = which_of(j.id);
	assert_true(m[which].there && !m[which].held && j.n > 0 && j.n <= SCHEDULE_JOB_MAX);
	for (uint32_t i = 0; i < j.n; i++) {
		assert_true(m[which].rcpt[j.rcpt[i]].open && !m[which].rcpt[j.rcpt[i]].active &&
			    !m[which].rcpt[j.rcpt[i]].final);
		m[which].rcpt[j.rcpt[i]].active = true;
	}
	jobs[at] = j;
}

static void lose_jobs(struct schedule *s, struct model *m, struct schedule_job *jobs, uint64_t now)
{
	for (unsigned i = 0; i < MODEL_JOBS; i++)
		if (jobs[i].n > 0)
			schedule_give_back(s, jobs[i].number, now + 1000);
	for (unsigned i = 0; i < MODEL_MESSAGES; i++)
		for (uint32_t k = 0; k < m[i].n; k++)
			m[i].rcpt[k].active = false;
	for (unsigned i = 0; i < MODEL_JOBS; i++)
		jobs[i].n = 0;
}

static bool work_left(struct schedule *s, const struct schedule_job *jobs, uint64_t now)
{
	return schedule_wait_ms(s, now) != UINT64_MAX || jobs[0].n + jobs[1].n + jobs[2].n > 0;
}

static void random_life(uint32_t seed)
{
	static struct model m[MODEL_MESSAGES];
	static struct schedule_job jobs[MODEL_JOBS];
	struct schedule *s = make(MODEL_JOBS);
	uint64_t now = T0;
	bool local = true;

	lcg = seed;
	memset(m, 0, sizeof(m));
	memset(jobs, 0, sizeof(jobs));
	for (unsigned step = 0; step <= 4000 || work_left(s, jobs, now); step++) {
		unsigned i = roll(MODEL_MESSAGES), e = step < 4000 ? roll(12) : 6 + roll(4);
		struct id id = id_of(i);
		struct schedule_job *j = &jobs[roll(MODEL_JOBS)];
		uint8_t rcpt[MODEL_RCPTS] = { 0 };

		if (step == 4000) { /* from now on all goes well */
			local = true;
			set_local(s, true);
			lose_jobs(s, m, jobs, now);
			for (unsigned k = 0; k < MODEL_MESSAGES; k++) {
				id = id_of(k);
				schedule_release(s, &id, now);
				m[k].held = false;
				schedule_retry(s, &id, now);
				for (uint32_t r = 0; r < m[k].n; r++)
					m[k].rcpt[r].final = false;
			}
			continue;
		}
		assert_true(step < 100000);
		switch (e) {
		case 0:
		case 1:
			if (m[i].there)
				break;
			memset(&m[i], 0, sizeof(m[i]));
			m[i].there = true;
			m[i].n = 1 + roll(MODEL_RCPTS);
			for (uint32_t k = 0; k < m[i].n; k++)
				m[i].rcpt[k].open = true;
			add(s, i, rcpt, m[i].n, now);
			break;
		case 2:
			assert_int_equal(schedule_hold(s, &id), m[i].there ? 0 : -ENOENT);
			m[i].held = m[i].there;
			break;
		case 3:
			assert_int_equal(schedule_release(s, &id, now), m[i].there ? 0 : -ENOENT);
			m[i].held = false;
			break;
		case 4:
			if (roll(8) > 0)
				break;
			assert_int_equal(schedule_remove(s, &id), m[i].there ? 0 : -ENOENT);
			m[i].there = false;
			break;
		case 5:
			if (roll(8) > 0)
				break;
			local = !local;
			set_local(s, local);
			lose_jobs(s, m, jobs, now);
			break;
		case 6:
		case 7:
			model_take(s, m, now, local, jobs);
			break;
		case 8:
		case 11:
			for (uint32_t k = 0; k < 50 && j->n > 0; k++) {
				unsigned which = which_of(j->id);

				model_answer(s, m, j, which, roll(j->n), now, step >= 4000);
				if (m[which].there && model_gone(&m[which]))
					m[which].there = false;
			}
			break;
		case 9:
			now += roll(2) ? roll(1000) : roll((uint32_t)HOUR);
			break;
		default:
			if (schedule_retry(s, &id, now) >= 0)
				for (uint32_t k = 0; k < m[i].n; k++)
					m[i].rcpt[k].final = false;
		}
		model_check(s, m);
	}
	for (unsigned i = 0; i < MODEL_MESSAGES; i++)
		assert_false(m[i].there); /* everything that was not removed got where it should */
	schedule_free(s);
}

static void test_random_lives(void **state)
{
	(void)state;
	for (uint32_t seed = 1; seed <= 12; seed++)
		random_life(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_random_lives) };

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
