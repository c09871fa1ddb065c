#include "queue/schedule.h"

#include <assert.h>
#include <errno.h>

#include "base/list.h"
#include "base/map.h"
#include "queue/heap.h"

#define PAUSE_FIRST_MS 1000
#define PAUSE_MAX_MS   60000

struct message {
	struct map_node node;
	struct heap_node due; /* in the heap while something is ready or deferred and it is not held */
	struct id id;
	uint64_t accepted_ms;
	uint64_t ready_ms, retry_ms; /* when its ready and its deferred recipients are due */
	uint32_t attempts;	     /* the round under way, or the last one */
	bool held;
	enum schedule_state state; /* as counted */
	uint32_t count[SCHEDULE_RCPTS];
	uint32_t recipients;
	uint8_t rcpt[];
};

struct job {
	uint64_t number;	 /* 0: this place is free */
	struct message *message; /* NULL: removed meanwhile */
	uint32_t n, left;
	uint32_t rcpt[SCHEDULE_JOB_MAX]; /* UINT32_MAX: answered */
};

struct schedule {
	struct map messages;
	struct heap due;
	uint64_t by_state[SCHEDULE_STATES];
	struct job *job;
	unsigned jobs_max, jobs;
	uint64_t last_number;
	bool open;
};

const char *schedule_state_name(enum schedule_state state)
{
	static const char *const names[SCHEDULE_STATES] = {
		[SCHEDULE_IS_ACTIVE] = "active", [SCHEDULE_IS_HELD] = "held",
		[SCHEDULE_IS_QUEUED] = "queued", [SCHEDULE_IS_DEFERRED] = "deferred",
		[SCHEDULE_IS_FAILED] = "failed", [SCHEDULE_IS_WAITING] = "waiting",
	};

	return state < SCHEDULE_STATES ? names[state] : "unknown";
}

uint64_t schedule_retry_at(uint32_t attempts, uint64_t now_ms)
{
	static const uint64_t minutes[] = { 1, 5, 15, 30, 60 };
	size_t last = sizeof(minutes) / sizeof(minutes[0]) - 1;
	size_t at = attempts > 0 ? attempts - 1 : 0;

	return now_ms + minutes[at < last ? at : last] * 60000;
}

int schedule_new(unsigned jobs_max, struct schedule **ret)
{
	struct schedule *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->job = calloc(jobs_max, sizeof(*s->job));
	r = s->job ? map_init(&s->messages) : -ENOMEM;
	if (r < 0) {
		free(s->job);
		free(s);
		return r;
	}
	s->jobs_max = jobs_max;
	heap_init(&s->due);
	*ret = s;
	return 0;
}

void schedule_free(struct schedule *s)
{
	struct map_node *node;

	if (!s)
		return;
	while ((node = map_take_any(&s->messages)))
		free(container_of(node, struct message, node));
	map_done(&s->messages);
	heap_done(&s->due);
	free(s->job);
	free(s);
}

static struct message *find(const struct schedule *s, const struct id *id)
{
	struct map_node *node = map_find(&s->messages, id_slice(id));

	return node ? container_of(node, struct message, node) : NULL;
}

static enum schedule_state state_of(const struct message *m)
{
	if (m->count[SCHEDULE_ACTIVE] > 0)
		return SCHEDULE_IS_ACTIVE;
	if (m->held)
		return SCHEDULE_IS_HELD;
	if (m->count[SCHEDULE_READY] > 0)
		return SCHEDULE_IS_QUEUED;
	if (m->count[SCHEDULE_DEFERRED] > 0)
		return SCHEDULE_IS_DEFERRED;
	return m->count[SCHEDULE_FAILED] > 0 ? SCHEDULE_IS_FAILED : SCHEDULE_IS_WAITING;
}

/* Whatever changed: count it under its state and put it where it belongs in the heap.
 * The heap has room for every message, see schedule_add(). */
static void replan(struct schedule *s, struct message *m)
{
	uint64_t at = UINT64_MAX;

	s->by_state[m->state]--;
	m->state = state_of(m);
	s->by_state[m->state]++;
	if (m->count[SCHEDULE_READY] > 0)
		at = m->ready_ms;
	if (m->count[SCHEDULE_DEFERRED] > 0 && m->retry_ms < at)
		at = m->retry_ms;
	if (m->held || m->count[SCHEDULE_READY] + m->count[SCHEDULE_DEFERRED] == 0)
		heap_remove(&s->due, &m->due);
	else
		heap_set(&s->due, &m->due, at);
}

static void turn(struct message *m, uint32_t recipient, enum schedule_rcpt to)
{
	m->count[m->rcpt[recipient]]--;
	m->rcpt[recipient] = (uint8_t)to;
	m->count[to]++;
}

static void forget(struct schedule *s, struct message *m)
{
	for (unsigned i = 0; i < s->jobs_max; i++)
		if (s->job[i].message == m)
			s->job[i].message = NULL;
	s->by_state[m->state]--;
	heap_remove(&s->due, &m->due);
	map_remove(&s->messages, &m->node);
	free(m);
}

int schedule_add(struct schedule *s, const struct schedule_message *add, uint64_t now_ms)
{
	struct message *m;

	if (find(s, &add->id))
		return -EEXIST;
	m = calloc(1, sizeof(*m) + add->recipients);
	if (!m || !heap_reserve(&s->due, s->messages.n + 1)) {
		free(m);
		return -ENOMEM;
	}
	m->id = add->id;
	m->accepted_ms = add->accepted_ms;
	m->ready_ms = now_ms;
	m->retry_ms = add->due_ms;
	m->attempts = add->attempts > 0 ? add->attempts : 1;
	m->held = add->held;
	m->recipients = add->recipients;
	for (uint32_t i = 0; i < add->recipients; i++) {
		assert(add->rcpt[i] < SCHEDULE_RCPTS && add->rcpt[i] != SCHEDULE_ACTIVE);
		m->rcpt[i] = add->rcpt[i];
		m->count[m->rcpt[i]]++;
	}
	map_insert(&s->messages, &m->node, id_slice(&m->id));
	m->state = state_of(m);
	s->by_state[m->state]++;
	replan(s, m);
	return 0;
}

int schedule_remove(struct schedule *s, const struct id *id)
{
	struct message *m = find(s, id);

	if (!m)
		return -ENOENT;
	forget(s, m);
	return 0;
}

int schedule_hold(struct schedule *s, const struct id *id)
{
	struct message *m = find(s, id);

	if (!m)
		return -ENOENT;
	m->held = true;
	replan(s, m);
	return 0;
}

int schedule_release(struct schedule *s, const struct id *id, uint64_t now_ms)
{
	struct message *m = find(s, id);

	if (!m)
		return -ENOENT;
	m->held = false;
	m->ready_ms = now_ms;
	replan(s, m);
	return 0;
}

int schedule_retry(struct schedule *s, const struct id *id, uint64_t now_ms)
{
	struct message *m = find(s, id);
	int n = 0;

	if (!m)
		return -ENOENT;
	for (uint32_t i = 0; i < m->recipients; i++)
		if (m->rcpt[i] == SCHEDULE_DEFERRED || m->rcpt[i] == SCHEDULE_FAILED) {
			turn(m, i, SCHEDULE_READY);
			n++;
		}
	if (n > 0)
		m->attempts++;
	m->ready_ms = now_ms;
	replan(s, m);
	return n;
}

/* ---- jobs ---- */

int schedule_settle(struct schedule *s, const struct id *id, uint32_t recipient, enum schedule_rcpt to)
{
	struct message *m = find(s, id);

	assert(to == SCHEDULE_DONE || to == SCHEDULE_FAILED);
	if (!m || recipient >= m->recipients)
		return -ENOENT;
	if (m->rcpt[recipient] == SCHEDULE_ACTIVE || m->rcpt[recipient] == SCHEDULE_DONE ||
	    (to == SCHEDULE_DONE && m->rcpt[recipient] != SCHEDULE_FAILED))
		return -EBUSY;
	turn(m, recipient, to);
	if (m->count[SCHEDULE_DONE] == m->recipients)
		forget(s, m);
	else
		replan(s, m);
	return 0;
}

static struct job *find_job(struct schedule *s, uint64_t number)
{
	for (unsigned i = 0; number > 0 && i < s->jobs_max; i++)
		if (s->job[i].number == number)
			return &s->job[i];
	return NULL;
}

static void end_job(struct schedule *s, struct job *j)
{
	j->number = 0;
	j->message = NULL;
	s->jobs--;
}

uint64_t schedule_pause_ms(unsigned losses)
{
	uint64_t ms = losses < 7 ? (uint64_t)PAUSE_FIRST_MS << losses : PAUSE_MAX_MS;

	return ms < PAUSE_MAX_MS ? ms : PAUSE_MAX_MS;
}

void schedule_open(struct schedule *s, bool open)
{
	s->open = open;
}

void schedule_give_back(struct schedule *s, uint64_t number, uint64_t due_ms)
{
	struct job *j = find_job(s, number);
	struct message *m = j ? j->message : NULL;

	if (!j)
		return;
	for (uint32_t i = 0; m && i < j->n; i++)
		if (j->rcpt[i] != UINT32_MAX && m->rcpt[j->rcpt[i]] == SCHEDULE_ACTIVE)
			turn(m, j->rcpt[i], SCHEDULE_READY);
	if (m) {
		m->ready_ms = due_ms;
		replan(s, m);
	}
	end_job(s, j);
}

static bool can_start(const struct schedule *s)
{
	return s->open && s->jobs < s->jobs_max;
}

/* The message that is due first, if it is due. */
static struct message *next_due(const struct schedule *s, uint64_t now_ms)
{
	struct heap_node *top = heap_top(&s->due);

	return top && top->key <= now_ms ? container_of(top, struct message, due) : NULL;
}

static void begin_job(struct schedule *s, struct message *m, uint64_t now_ms, struct schedule_job *ret)
{
	struct job *j = s->job;

	while (j->number > 0)
		j++;
	if (m->count[SCHEDULE_DEFERRED] > 0 && m->retry_ms <= now_ms) {
		for (uint32_t i = 0; i < m->recipients; i++)
			if (m->rcpt[i] == SCHEDULE_DEFERRED)
				turn(m, i, SCHEDULE_READY);
		m->attempts++;
		m->ready_ms = now_ms;
	}
	j->number = ++s->last_number;
	j->message = m;
	j->n = 0;
	for (uint32_t i = 0; i < m->recipients && j->n < SCHEDULE_JOB_MAX; i++)
		if (m->rcpt[i] == SCHEDULE_READY) {
			turn(m, i, SCHEDULE_ACTIVE);
			j->rcpt[j->n++] = i;
		}
	j->left = j->n;
	s->jobs++;
	replan(s, m);
	ret->number = j->number;
	ret->id = m->id;
	ret->attempt = m->attempts;
	ret->n = j->n;
	memcpy(ret->rcpt, j->rcpt, j->n * sizeof(j->rcpt[0]));
}

bool schedule_next(struct schedule *s, uint64_t now_ms, struct schedule_job *ret)
{
	struct message *m = can_start(s) ? next_due(s, now_ms) : NULL;

	if (m)
		begin_job(s, m, now_ms, ret);
	return m != NULL;
}

bool schedule_next_expired(struct schedule *s, uint64_t now_ms, struct schedule_job *ret)
{
	struct message *m = s->jobs < s->jobs_max ? next_due(s, now_ms) : NULL;

	if (!m || now_ms <= m->accepted_ms + SCHEDULE_LIFE_MS)
		return false;
	begin_job(s, m, now_ms, ret);
	return true;
}

uint64_t schedule_wait_ms(struct schedule *s, uint64_t now_ms)
{
	const struct heap_node *top = heap_top(&s->due);

	if (!can_start(s) || !top)
		return UINT64_MAX;
	return top->key > now_ms ? top->key - now_ms : 0;
}

/* Takes the recipient out of the job; false if it is not (or no longer) in it. */
static bool take_answer(struct schedule *s, struct job *j, uint32_t recipient)
{
	for (uint32_t i = 0; i < j->n; i++)
		if (j->rcpt[i] == recipient) {
			j->rcpt[i] = UINT32_MAX;
			if (--j->left == 0)
				end_job(s, j);
			return true;
		}
	return false;
}

static void defer(struct message *m, uint32_t recipient, uint64_t now_ms, struct schedule_answer *a)
{
	a->next_ms = schedule_retry_at(m->attempts, now_ms);
	if (a->next_ms > m->accepted_ms + SCHEDULE_LIFE_MS) {
		a->expired = true;
		a->now = SCHEDULE_FAILED;
		a->next_ms = 0;
	} else {
		a->now = SCHEDULE_DEFERRED;
		m->retry_ms = a->next_ms;
	}
	turn(m, recipient, a->now);
}

bool schedule_answer(struct schedule *s, uint64_t job, uint32_t recipient, enum schedule_result said,
		     uint64_t now_ms, struct schedule_answer *ret)
{
	struct job *j = find_job(s, job);
	struct message *m = j ? j->message : NULL;
	struct schedule_answer a = { .now = SCHEDULE_DONE };

	if (!j || recipient == UINT32_MAX || !take_answer(s, j, recipient))
		return false;
	if (!m || m->rcpt[recipient] != SCHEDULE_ACTIVE)
		return false;
	a.id = m->id;
	a.attempts = m->attempts;
	if (said == SCHEDULE_SAID_DEFERRED) {
		defer(m, recipient, now_ms, &a);
	} else {
		a.now = said == SCHEDULE_SAID_DELIVERED ? SCHEDULE_DONE : SCHEDULE_FAILED;
		turn(m, recipient, a.now);
	}
	if (m->count[SCHEDULE_DONE] == m->recipients)
		forget(s, m);
	else
		replan(s, m);
	*ret = a;
	return true;
}

/* ---- the clock ---- */

static uint64_t shifted(uint64_t ms, int64_t by)
{
	if (by < 0)
		return ms > (uint64_t)-by ? ms - (uint64_t)-by : 0;
	return ms + (uint64_t)by;
}

void schedule_shift(struct schedule *s, int64_t by_ms)
{
	struct map_node *node = NULL;

	while ((node = map_next(&s->messages, node))) {
		struct message *m = container_of(node, struct message, node);

		m->accepted_ms = shifted(m->accepted_ms, by_ms);
		m->ready_ms = shifted(m->ready_ms, by_ms);
		m->retry_ms = shifted(m->retry_ms, by_ms);
		m->due.key = shifted(m->due.key, by_ms); /* of all alike: the heap stays in order */
	}
}

/* ---- looking ---- */

bool schedule_look(const struct schedule *s, const struct id *id, struct schedule_view *ret)
{
	const struct message *m = find(s, id);

	if (!m)
		return false;
	ret->state = m->state;
	ret->held = m->held;
	ret->attempts = m->attempts;
	ret->due_ms = heap_has(&m->due) ? m->due.key : 0;
	memcpy(ret->count, m->count, sizeof(ret->count));
	return true;
}

enum schedule_rcpt schedule_look_rcpt(const struct schedule *s, const struct id *id, uint32_t recipient)
{
	const struct message *m = find(s, id);

	return m && recipient < m->recipients ? (enum schedule_rcpt)m->rcpt[recipient] : SCHEDULE_DONE;
}

void schedule_count(const struct schedule *s, struct schedule_counters *ret)
{
	ret->messages = s->messages.n;
	ret->jobs = s->jobs;
	memcpy(ret->by_state, s->by_state, sizeof(ret->by_state));
}
