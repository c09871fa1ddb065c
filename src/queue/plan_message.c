/* plan_message.c - messages: what is known of each, and what an operator does to it. */
#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

#include "queue/plan.h"

#define HOUR_MS	       (UINT64_C(3600) * 1000)
#define RECIPIENTS_MAX (UINT16_MAX - 1)

static struct message **bucket_of(const struct schedule *s, const char *id)
{
	unsigned char h[crypto_shorthash_BYTES];
	uint64_t v;

	crypto_shorthash(h, (const unsigned char *)id, ID_LEN, s->hash_key);
	memcpy(&v, h, sizeof(v));
	return &s->bucket[v & (s->buckets - 1)];
}

struct message *plan_message_find(const struct schedule *s, const struct id *id)
{
	struct message *m = *bucket_of(s, id->text);

	while (m && memcmp(m->id, id->text, ID_LEN) != 0)
		m = m->next;
	return m;
}

/* Without memory the table stays as it is, and gets slower. */
static void grow(struct schedule *s)
{
	size_t old = s->buckets;
	struct message **was = s->bucket, **bucket;

	if (s->n < s->buckets)
		return;
	bucket = calloc(old * 2, sizeof(struct message *));
	if (!bucket)
		return;
	s->bucket = bucket;
	s->buckets = old * 2;
	for (size_t i = 0; i < old; i++)
		while (was[i]) {
			struct message *m = was[i], **to;

			was[i] = m->next;
			to = bucket_of(s, m->id);
			m->next = *to;
			*to = m;
		}
	free(was);
}

static void unhash(struct schedule *s, struct message *m)
{
	struct message **at = bucket_of(s, m->id);

	while (*at != m)
		at = &(*at)->next;
	*at = m->next;
	s->n--;
}

uint8_t *plan_states(struct message *m)
{
	return m->recipients <= sizeof(m->few) ? m->few : (uint8_t *)&m->part[m->parts];
}

static uint16_t *order_of(const struct message *m)
{
	size_t states = m->recipients <= sizeof(m->few) ? 0 : (m->recipients + 1U) & ~1U;

	return (uint16_t *)(void *)((char *)(uintptr_t)&m->part[m->parts] + states);
}

uint32_t plan_rcpt(const struct message *m, const struct part *p, uint32_t i)
{
	return m->parts == 1 ? i : order_of(m)[p->first + i];
}

struct part *plan_part_of(struct message *m, uint32_t rcpt)
{
	for (uint16_t k = 0; k < m->parts; k++)
		for (uint32_t i = 0; m->parts > 1 && i < m->part[k].n; i++)
			if (plan_rcpt(m, &m->part[k], i) == rcpt)
				return &m->part[k];
	return &m->part[0];
}

void plan_turn_rcpt(struct message *m, struct part *p, uint32_t rcpt, enum schedule_rcpt to)
{
	uint8_t *state = &plan_states(m)[rcpt];
	uint16_t *count[SCHEDULE_RCPTS] = { [SCHEDULE_READY] = &p->ready,
					    [SCHEDULE_ACTIVE] = &p->active,
					    [SCHEDULE_DEFERRED] = &p->deferred };

	if (count[*state])
		--*count[*state];
	if (count[to])
		++*count[to];
	m->count[*state]--;
	m->count[to]++;
	*state = (uint8_t)to;
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
	return SCHEDULE_IS_FAILED;
}

void plan_message_changed(struct schedule *s, struct message *m)
{
	s->by_state[m->state]--;
	m->state = (uint8_t)state_of(m);
	s->by_state[m->state]++;
}

/* ---- coming and going ---- */

static uint32_t to_of(const struct schedule_message *add, uint32_t rcpt)
{
	return add->destination ? add->destination[rcpt] : SCHEDULE_LOCAL;
}

struct sorted {
	uint32_t to;
	uint16_t rcpt;
};

static int by_destination(const void *a, const void *b)
{
	const struct sorted *x = a, *y = b;

	if (x->to != y->to)
		return x->to < y->to ? -1 : 1;
	return (x->rcpt > y->rcpt) - (x->rcpt < y->rcpt);
}

static uint16_t count_parts(const struct schedule_message *add, struct sorted *v)
{
	uint16_t n = 1;

	for (uint32_t i = 0; i < add->recipients; i++)
		v[i] = (struct sorted){ to_of(add, i), (uint16_t)i };
	qsort(v, add->recipients, sizeof(*v), by_destination);
	for (uint32_t i = 1; i < add->recipients; i++)
		n = (uint16_t)(n + (v[i].to != v[i - 1].to));
	return n;
}

static void fill_part(struct schedule *s, struct message *m, struct part *p,
		      const struct schedule_message *add, uint64_t *ret_due)
{
	uint64_t due = UINT64_MAX;

	for (uint32_t i = 0; i < p->n; i++) {
		uint32_t rcpt = plan_rcpt(m, p, i);
		uint32_t tried = add->rcpt_attempts ? add->rcpt_attempts[rcpt] : add->attempts;
		uint64_t at = plan_in(s, add->rcpt_due_ms ? add->rcpt_due_ms[rcpt] : add->due_ms);

		p->ready = (uint16_t)(p->ready + (add->rcpt[rcpt] == SCHEDULE_READY));
		p->deferred = (uint16_t)(p->deferred + (add->rcpt[rcpt] == SCHEDULE_DEFERRED));
		if (tried > p->attempts)
			p->attempts = tried < UINT16_MAX ? (uint16_t)tried : UINT16_MAX;
		if (add->rcpt[rcpt] == SCHEDULE_DEFERRED && at < due)
			due = at;
	}
	p->begun = p->ready > 0 && p->deferred > 0; /* in the midst of a round */
	*ret_due = due;
}

static struct message *message_new(struct schedule *s, const struct schedule_message *add)
{
	struct sorted *v = NULL, one = { .to = to_of(add, 0) };
	size_t size = sizeof(struct message);
	uint16_t parts = 1, at = 0;
	struct message *m;

	if (add->recipients > 1) {
		v = malloc(add->recipients * sizeof(*v));
		if (!v)
			return NULL;
		parts = count_parts(add, v);
	}
	size += parts * sizeof(struct part);
	size += add->recipients <= sizeof(m->few) ? 0 : (add->recipients + 1) & ~1U;
	size += parts > 1 ? add->recipients * sizeof(uint16_t) : 0;
	m = calloc(1, size);
	if (!m || !heap_reserve(&s->parts, s->n_parts + parts)) {
		free(m);
		free(v);
		return NULL;
	}
	m->recipients = (uint16_t)add->recipients;
	m->parts = parts;
	for (uint32_t i = 0; i < add->recipients; i++) {
		const struct sorted *r = v ? &v[i] : &one;

		assert(add->rcpt[i] < SCHEDULE_RCPTS && add->rcpt[i] != SCHEDULE_ACTIVE);
		plan_states(m)[i] = add->rcpt[i];
		m->count[add->rcpt[i]]++;
		if (i > 0 && r->to != r[-1].to)
			at++;
		if (m->part[at].n++ == 0) {
			m->part[at].first = (uint16_t)i;
			m->part[at].index = at;
			m->part[at].to = plan_destination(s, r->to);
		}
		if (parts > 1)
			order_of(m)[i] = r->rcpt;
	}
	free(v);
	return m;
}

int schedule_add(struct schedule *s, const struct schedule_message *add, uint64_t now_ms)
{
	static const uint8_t rank[SCHEDULE_CLASSES] = {
		[SCHEDULE_URGENT] = FAIR_URGENT, [SCHEDULE_NORMAL] = FAIR_NORMAL, [SCHEDULE_BULK] = FAIR_BULK
	};
	uint64_t now = plan_now(s, now_ms), release = plan_in(s, add->release_ms);
	struct account *account;
	struct message *m, **at;

	if (plan_message_find(s, &add->id))
		return -EEXIST;
	if (add->recipients == 0 || add->recipients > RECIPIENTS_MAX)
		return -EINVAL;
	account = plan_account(s, add->account);
	m = account ? message_new(s, add) : NULL;
	if (!m) {
		if (account)
			plan_account_drop(s, account);
		return -ENOMEM;
	}
	memcpy(m->id, add->id.text, ID_LEN);
	m->account = account;
	m->class = rank[add->class] & 3U;
	m->held = add->held;
	m->since = plan_in(s, add->accepted_ms);
	if (add->release_ms > 0 && release > m->since)
		m->since = release;
	grow(s);
	at = bucket_of(s, m->id);
	m->next = *at;
	*at = m;
	s->n++;
	s->n_parts += m->parts;
	m->state = (uint8_t)state_of(m);
	s->by_state[m->state]++;
	for (uint16_t i = 0; i < m->parts; i++) {
		struct part *p = &m->part[i];
		uint64_t due;

		list_init(&p->link);
		plan_destination_hold(s, p->to);
		fill_part(s, m, p, add, &due);
		p->asleep = add->release_ms > 0 && release > now;
		if (p->asleep && (due == UINT64_MAX || due < release))
			due = release;
		plan_part(s, m, p, due, now);
	}
	return 0;
}

static void message_free(struct message *m)
{
	free(m);
}

void plan_message_forget(struct schedule *s, struct message *m, uint64_t now)
{
	unhash(s, m);
	s->by_state[m->state]--;
	m->removed = true;
	for (uint16_t i = 0; i < m->parts; i++) {
		plan_part(s, m, &m->part[i], UINT64_MAX, now);
		plan_destination_release(s, m->part[i].to);
	}
	s->n_parts -= m->parts;
	plan_account_drop(s, m->account);
	m->account = NULL;
	if (m->jobs == 0) /* else the last job frees it */
		message_free(m);
}

int schedule_remove(struct schedule *s, const struct id *id)
{
	struct message *m = plan_message_find(s, id);

	if (!m)
		return -ENOENT;
	plan_message_forget(s, m, s->now);
	return 0;
}

/* ---- an operator's ---- */

static void replan(struct schedule *s, struct message *m, uint64_t now)
{
	for (uint16_t i = 0; i < m->parts; i++)
		plan_part(s, m, &m->part[i], plan_part_due(&m->part[i]), now);
	plan_message_changed(s, m);
}

int schedule_hold(struct schedule *s, const struct id *id)
{
	struct message *m = plan_message_find(s, id);

	if (!m)
		return -ENOENT;
	m->held = true;
	replan(s, m, s->now);
	return 0;
}

/* What an operator wants tried is tried, however old it is: it lives an hour more. */
static void live_on(struct schedule *s, struct message *m, uint64_t now)
{
	uint64_t since = now + HOUR_MS - s->setup.life_ms;

	if (m->since + s->setup.life_ms >= now + HOUR_MS)
		return;
	for (uint16_t i = 0; i < m->parts; i++)
		if (m->part[i].kind != PART_CLOSED) {
			ages_remove(&m->part[i].to->ages, m->since);
			ages_add(&m->part[i].to->ages, since, now);
		}
	m->since = since;
}

int schedule_release(struct schedule *s, const struct id *id, uint64_t now_ms)
{
	struct message *m = plan_message_find(s, id);

	if (!m)
		return -ENOENT;
	m->held = false;
	live_on(s, m, plan_now(s, now_ms));
	for (uint16_t i = 0; i < m->parts; i++)
		m->part[i].asleep = false;
	replan(s, m, s->now);
	return 0;
}

int schedule_retry(struct schedule *s, const struct id *id, uint64_t now_ms)
{
	struct message *m = plan_message_find(s, id);
	int n = 0;

	if (!m)
		return -ENOENT;
	live_on(s, m, plan_now(s, now_ms));
	for (uint16_t k = 0; k < m->parts; k++) {
		struct part *p = &m->part[k];
		int before = n;

		for (uint32_t i = 0; i < p->n; i++) {
			uint32_t rcpt = plan_rcpt(m, p, i);
			uint8_t state = plan_states(m)[rcpt];

			if (state == SCHEDULE_DEFERRED || state == SCHEDULE_FAILED) {
				plan_turn_rcpt(m, p, rcpt, SCHEDULE_READY);
				n++;
			}
		}
		p->asleep = false;
		p->begun = p->begun && n == before;
	}
	replan(s, m, s->now);
	return n;
}

int schedule_retry_now(struct schedule *s, const struct id *id, uint64_t now_ms)
{
	int n = schedule_retry(s, id, now_ms);
	struct message *m = plan_message_find(s, id);
	uint64_t now = plan_now(s, now_ms);

	for (uint16_t i = 0; m && i < m->parts; i++) {
		struct destination *d = m->part[i].to;

		if (d->site)
			plan_site_forgive(s, d->site, now);
		else if (d->state == TO_WAIT || d->state == TO_DOOM)
			plan_destination_unknown(s, d, now);
	}
	return n;
}

int schedule_settle(struct schedule *s, const struct id *id, uint32_t recipient, enum schedule_rcpt to)
{
	struct message *m = plan_message_find(s, id);
	struct part *p;
	uint8_t state;
	uint64_t due;

	assert(to == SCHEDULE_DONE || to == SCHEDULE_FAILED);
	if (!m || recipient >= m->recipients)
		return -ENOENT;
	state = plan_states(m)[recipient];
	if (state == SCHEDULE_ACTIVE || state == SCHEDULE_DONE ||
	    (to == SCHEDULE_DONE && state != SCHEDULE_FAILED))
		return -EBUSY;
	p = plan_part_of(m, recipient);
	due = plan_part_due(p);
	plan_turn_rcpt(m, p, recipient, to);
	plan_part(s, m, p, p->deferred > 0 || p->asleep ? due : UINT64_MAX, s->now);
	plan_message_changed(s, m);
	if (m->count[SCHEDULE_DONE] == m->recipients)
		plan_message_forget(s, m, s->now);
	return 0;
}

void schedule_unsettle(struct schedule *s, const struct id *id, uint32_t recipient, uint64_t due_ms,
		       uint64_t now_ms)
{
	struct message *m = plan_message_find(s, id);
	uint64_t now = plan_now(s, now_ms), wait = due_ms > now_ms ? due_ms - now_ms : 0, due;
	struct part *p;

	if (!m || recipient >= m->recipients || plan_states(m)[recipient] != SCHEDULE_FAILED)
		return;
	live_on(s, m, now);
	p = plan_part_of(m, recipient);
	due = plan_part_due(p);
	plan_turn_rcpt(m, p, recipient, SCHEDULE_DEFERRED);
	plan_part(s, m, p, due < now + wait ? due : now + wait, now);
	plan_message_changed(s, m);
}

/* ---- looking ---- */

bool schedule_look(const struct schedule *s, const struct id *id, struct schedule_view *ret)
{
	const struct message *m = plan_message_find(s, id);
	uint64_t due = UINT64_MAX;

	if (!m)
		return false;
	*ret = (struct schedule_view){ .state = (enum schedule_state)m->state, .held = m->held };
	for (unsigned i = 0; i < SCHEDULE_RCPTS; i++)
		ret->count[i] = m->count[i];
	for (uint16_t i = 0; i < m->parts; i++) {
		const struct part *p = &m->part[i];

		if (p->attempts > ret->attempts)
			ret->attempts = p->attempts;
		if (heap_has(&p->due) && p->place == PART_NOWHERE && p->due.key < due)
			due = p->due.key;
	}
	ret->due_ms = due < UINT64_MAX ? plan_out(s, due) : 0;
	ret->since_ms = plan_out(s, m->since);
	return true;
}

enum schedule_rcpt schedule_look_rcpt(const struct schedule *s, const struct id *id, uint32_t recipient)
{
	struct message *m = plan_message_find(s, id);

	return m && recipient < m->recipients ? (enum schedule_rcpt)plan_states(m)[recipient] : SCHEDULE_DONE;
}
