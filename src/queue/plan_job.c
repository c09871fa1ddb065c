/* plan_job.c - jobs: what is handed out next, and what became of it. */
#include <stdlib.h>

#include "queue/plan.h"

#define MINUTE_MS UINT64_C(60000)
#define LAST_MS	  MINUTE_MS /* the last attempt is that long before the end */

/* ---- when it is tried again ---- */

uint64_t schedule_retry_at(uint32_t attempts, uint64_t now_ms)
{
	static const uint64_t minutes[] = { 1, 5, 15, 30, 60, 240 };
	size_t last = sizeof(minutes) / sizeof(minutes[0]) - 1;
	size_t at = attempts > 0 ? attempts - 1 : 0;

	return now_ms + minutes[at < last ? at : last] * MINUTE_MS;
}

/* With a fifth more or less; later somewhere between two and four hours. */
static uint64_t retry_at(const struct schedule *s, const struct message *m, uint32_t attempts, uint64_t now)
{
	uint64_t plan = schedule_retry_at(attempts, 0), spread = attempts > 5 ? plan / 2 : plan / 5 * 2;
	uint64_t low = attempts > 5 ? plan / 2 : plan - plan / 5;

	return now + low + plan_hash(s, m->id, ID_LEN, attempts) % (spread + 1);
}

/* ---- jobs ---- */

static struct job *job_new(struct schedule *s, struct part *p, uint32_t rcpt_max, bool doomed)
{
	uint32_t n = doomed ? (uint32_t)p->ready + p->deferred : p->ready, most = SCHEDULE_JOB_MAX;
	struct job *j;

	if (rcpt_max > 0 && rcpt_max < most)
		most = rcpt_max;
	n = n < most ? n : most;
	j = calloc(1, sizeof(*j) + n * sizeof(j->rcpt[0]));
	if (!j)
		return NULL;
	j->number = slots_put(&s->jobs, j);
	if (j->number == 0) {
		free(j);
		return NULL;
	}
	j->n = j->left = (uint16_t)n;
	list_init(&j->of_lane);
	list_init(&j->by_age);
	return j;
}

static void begin(struct schedule *s, struct part *p, struct job *j, uint64_t now, struct schedule_job *ret)
{
	struct message *m = plan_message_of(p);
	uint16_t at = 0;

	j->message = m;
	j->part = p->index;
	j->begun = now;
	list_push_back(&s->jobs_by_age, &j->by_age);
	m->jobs++;
	if (j->lane && !p->begun) {
		p->begun = true;
		p->attempts = (uint16_t)(p->attempts + (p->attempts < UINT16_MAX));
	}
	*ret = (struct schedule_job){
		.number = j->number, .lane = j->lane ? j->lane->number : 0, .attempt = p->attempts, .n = j->n
	};
	memcpy(ret->id.text, m->id, ID_LEN);
	for (uint32_t i = 0; at < j->n; i++) {
		uint32_t rcpt = plan_rcpt(m, p, i);
		uint8_t state = plan_states(m)[rcpt];

		if (state != SCHEDULE_READY && (j->lane || state != SCHEDULE_DEFERRED))
			continue;
		plan_turn_rcpt(m, p, rcpt, SCHEDULE_ACTIVE);
		ret->rcpt[at] = rcpt;
		j->rcpt[at++] = (uint16_t)rcpt;
	}
	plan_part(s, m, p, plan_part_due(p), now);
	plan_message_changed(s, m);
}

void plan_job_end(struct schedule *s, struct job *j, uint64_t now)
{
	struct message *m = j->message;
	struct lane *l = j->lane;

	slots_drop(&s->jobs, j->number);
	list_remove(&j->of_lane);
	list_remove(&j->by_age);
	free(j);
	if (--m->jobs == 0 && m->removed)
		free(m);
	if (l)
		plan_lane_over(s, l, now);
}

/* A quarter of the jobs is kept for what is not bulk. */
static unsigned classes(const struct schedule *s)
{
	if (s->jobs.n >= s->jobs_max)
		return 0;
	return s->jobs.n < s->jobs_max - s->jobs_max / 4 ? FAIR_ALL : FAIR_ALL & ~(1U << FAIR_BULK);
}

struct site *plan_job_site(struct schedule *s, uint64_t now)
{
	unsigned mask = classes(s);
	struct fair_item *i;

	while (mask && (i = fair_head(&s->queue[RUN], mask))) {
		struct site *site = container_of(i, struct site, run);

		if (plan_site_share(s, site, mask, now) && plan_site_lane(s, site, now))
			return site;
		plan_site_place(s, site, now);
	}
	return NULL;
}

bool schedule_next_job(struct schedule *s, uint64_t now_ms, struct schedule_job *ret)
{
	uint64_t now = plan_now(s, now_ms);
	struct site *site;
	struct share *h;
	struct part *p;
	struct lane *l;
	struct job *j;

	plan_turn(s, now);
	site = plan_job_site(s, now);
	if (!site)
		return false;
	h = plan_site_share(s, site, classes(s), now);
	l = plan_site_lane(s, site, now);
	p = plan_share_part(h);
	j = job_new(s, p, l->rcpt_max, false);
	if (!j)
		return false;
	fair_took(&s->queue[RUN], &site->run);
	turns_took(&site->turns, (enum fair_class)h->key.class);
	plan_share_took(h);
	bucket_take(&site->pace, now);
	if (!site->mailboxes)
		bucket_take(&h->key.account->pace, now);
	j->lane = l;
	list_push_back(&l->jobs, &j->of_lane);
	plan_lane_took(s, l, now);
	begin(s, p, j, now, ret);
	plan_site_place(s, site, now);
	return true;
}

/* ---- what goes nowhere ---- */

bool plan_job_doomed(struct schedule *s)
{
	return s->jobs.n < s->jobs_max && (!list_empty(&s->doomed) || !list_empty(&s->doomed_to));
}

bool schedule_next_doomed(struct schedule *s, uint64_t now_ms, struct schedule_job *ret,
			  struct schedule_doom *why)
{
	uint64_t now = plan_now(s, now_ms);
	bool expired = !list_empty(&s->doomed);
	const struct said *said;
	struct destination *d;
	struct part *p;
	struct job *j;

	plan_turn(s, now);
	expired = !list_empty(&s->doomed);
	if (!plan_job_doomed(s))
		return false;
	if (expired) {
		p = container_of(s->doomed.next, struct part, link);
	} else {
		const struct flow *f;

		d = container_of(s->doomed_to.next, struct destination, link);
		f = container_of(d->flows.next, struct flow, of_destination);
		p = container_of(f->parts.next, struct part, link);
	}
	d = p->to;
	j = job_new(s, p, 0, true);
	if (!j)
		return false;
	begin(s, p, j, now, ret);
	said = d->site && d->site->said ? d->site->said : d->said ? d->said : &s->none;
	*why = (struct schedule_doom){ .expired = expired,
				       .status = slice_str(said->status),
				       .text = slice_str(said->text),
				       .destination = slice_of(d->text, d->text_n),
				       .site = slice_str(d->site ? d->site->name : "") };
	return true;
}

/* ---- what became of it ---- */

/* Nothing of the round was tried, or what was is over: then it has not begun. */
static void not_begun(struct part *p)
{
	if (!p->begun || p->active > 0 || p->deferred > 0)
		return;
	p->begun = false;
	p->attempts--;
}

void schedule_give_back(struct schedule *s, uint64_t number, uint64_t due_ms)
{
	struct job *j = slots_get(&s->jobs, number);
	uint64_t due = plan_in(s, due_ms);
	struct message *m;
	struct part *p;

	if (!j)
		return;
	m = j->message;
	p = &m->part[j->part];
	for (uint16_t i = 0; i < j->n; i++)
		if (j->rcpt[i] != JOB_GONE && plan_states(m)[j->rcpt[i]] == SCHEDULE_ACTIVE)
			plan_turn_rcpt(m, p, j->rcpt[i], SCHEDULE_READY);
	if (j->lane)
		not_begun(p);
	if (!m->removed) {
		uint64_t was = plan_part_due(p);

		p->asleep = due > s->now && p->ready > 0;
		if (p->asleep && due < was)
			was = due;
		plan_part(s, m, p, was, s->now);
		plan_message_changed(s, m);
	}
	plan_job_end(s, j, s->now);
}

/* Takes the recipient out of the job; false if it is not (or no longer) in it. */
static bool take_answer(struct job *j, uint32_t recipient)
{
	for (uint32_t i = 0; i < j->n; i++)
		if (j->rcpt[i] == recipient && recipient != JOB_GONE) {
			j->rcpt[i] = JOB_GONE;
			j->left--;
			return true;
		}
	return false;
}

void schedule_put_back(struct schedule *s, uint64_t number, uint32_t recipient, uint64_t now_ms)
{
	struct job *j = slots_get(&s->jobs, number);
	uint64_t now = plan_now(s, now_ms);
	struct message *m = j ? j->message : NULL;

	if (!j || !take_answer(j, recipient))
		return;
	if (!m->removed && plan_states(m)[recipient] == SCHEDULE_ACTIVE) {
		struct part *p = &m->part[j->part];

		plan_turn_rcpt(m, p, recipient, SCHEDULE_READY);
		not_begun(p);
		plan_part(s, m, p, plan_part_due(p), now);
		plan_message_changed(s, m);
	}
	if (j->left == 0)
		plan_job_end(s, j, now);
}

/* *due: when the part's deferred recipients are tried again. */
static void defer(struct schedule *s, const struct message *m, const struct part *p, uint64_t now,
		  uint64_t *due, struct schedule_answer *a)
{
	uint64_t end = m->since + s->setup.life_ms, next = retry_at(s, m, p->attempts, now);

	if (next >= end && now + 5 * LAST_MS < end)
		next = end - LAST_MS;
	if (next >= end) {
		a->expired = true;
		a->now = SCHEDULE_FAILED;
		return;
	}
	a->now = SCHEDULE_DEFERRED;
	a->next_ms = plan_out(s, next);
	*due = next;
}

/* What the answer says about the site. */
static void tell_site(struct schedule *s, struct job *j, enum schedule_result said, uint64_t now)
{
	struct lane *l = j->lane;

	if (!l)
		return;
	if (said == SCHEDULE_SAID_SLOW) {
		plan_site_slow(s, l->site, now);
	} else if (said != SCHEDULE_SAID_PAUSE && !j->told) {
		l->worked = true;
		plan_site_well(l->site, now);
	}
	j->told = true;
}

bool schedule_answer(struct schedule *s, uint64_t job, uint32_t recipient, enum schedule_result said,
		     uint64_t now_ms, struct schedule_answer *ret)
{
	uint64_t now = plan_now(s, now_ms), due;
	struct job *j = slots_get(&s->jobs, job);
	struct schedule_answer a = { .now = SCHEDULE_DONE };
	struct message *m;
	struct part *p;
	bool there;

	if (!j || !take_answer(j, recipient))
		return false;
	m = j->message;
	p = &m->part[j->part];
	tell_site(s, j, said, now);
	there = !m->removed && plan_states(m)[recipient] == SCHEDULE_ACTIVE;
	if (there) {
		memcpy(a.id.text, m->id, ID_LEN);
		a.attempts = p->attempts;
		due = plan_part_due(p);
		if (said == SCHEDULE_SAID_FAILED)
			a.now = SCHEDULE_FAILED;
		else if (said != SCHEDULE_SAID_DELIVERED)
			defer(s, m, p, now, &due, &a);
		plan_turn_rcpt(m, p, recipient, a.now);
		plan_part(s, m, p, due, now);
		plan_message_changed(s, m);
		if (m->count[SCHEDULE_DONE] == m->recipients)
			plan_message_forget(s, m, now);
		*ret = a;
	}
	if (j->left == 0)
		plan_job_end(s, j, now);
	return there;
}
