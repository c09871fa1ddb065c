#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

#include "queue/plan.h"

#define PAUSE_FIRST_MS 1000
#define PAUSE_MAX_MS   60000
#define TURN_PARTS     256 /* that become due in one turn */
#define TURN_EVENTS    256
#define IDLE_KEPT      4096 /* destinations and sites without mail that are remembered */

const char *schedule_state_name(enum schedule_state state)
{
	static const char *const names[SCHEDULE_STATES] = {
		[SCHEDULE_IS_ACTIVE] = "active", [SCHEDULE_IS_HELD] = "held",
		[SCHEDULE_IS_QUEUED] = "queued", [SCHEDULE_IS_DEFERRED] = "deferred",
		[SCHEDULE_IS_FAILED] = "failed",
	};

	return state < SCHEDULE_STATES ? names[state] : "unknown";
}

uint64_t schedule_pause_ms(unsigned losses)
{
	uint64_t ms = losses < 7 ? (uint64_t)PAUSE_FIRST_MS << losses : PAUSE_MAX_MS;

	return ms < PAUSE_MAX_MS ? ms : PAUSE_MAX_MS;
}

static uint64_t or_default(uint64_t v, uint64_t otherwise)
{
	return v > 0 ? v : otherwise;
}

void schedule_configure(struct schedule *s, const struct schedule_setup *setup)
{
	bool paced = s->setup.account_per_minute != setup->account_per_minute;

	s->setup = (struct schedule_setup){
		.life_ms = or_default(setup->life_ms, SCHEDULE_LIFE_MS),
		.seed = setup->seed,
		.lanes_max = (unsigned)or_default(setup->lanes_max, 500),
		.opening_max = (unsigned)or_default(setup->opening_max, 100),
		.resolves_max = (unsigned)or_default(setup->resolves_max, 200),
		.idle_ms = or_default(setup->idle_ms, 20000),
		.resolve_age_ms = or_default(setup->resolve_age_ms, 120000),
		.open_age_ms = or_default(setup->open_age_ms, 600000),
		.job_age_ms = or_default(setup->job_age_ms, UINT64_C(2) * 3600 * 1000),
		.account_per_minute = setup->account_per_minute,
	};
	if (paced)
		plan_accounts_configure(s, s->now);
}

static int make_maps(struct schedule *s)
{
	struct map *maps[] = { &s->flows, &s->shares, &s->destinations, &s->sites, &s->accounts };

	for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++)
		if (map_init(maps[i]) < 0)
			return -ENOMEM;
	s->buckets = 1024;
	s->bucket = calloc(s->buckets, sizeof(struct message *));
	return s->bucket ? 0 : -ENOMEM;
}

static void make_lists(struct schedule *s)
{
	struct list *lists[] = { &s->jobs_by_age, &s->asked,	  &s->opening_lanes, &s->closing_lanes,
				 &s->idle_lanes,  &s->to_close,	  &s->doomed,	     &s->doomed_to,
				 &s->idle_to,	  &s->idle_sites, &s->pools,	     &s->block.held };

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		list_init(lists[i]);
	for (unsigned i = 0; i < SCHEDULE_CARRIERS; i++)
		list_init(&s->carrier[i].lanes);
	for (unsigned q = 0; q < QUEUES; q++)
		fair_init(&s->queue[q]);
	heap_init(&s->parts);
	heap_init(&s->events);
}

/* Mailboxes: a site that was always there. */
static int make_local(struct schedule *s)
{
	struct schedule_site local = { .name = SLICE_LIT("local"), .mailboxes = true, .pool = SCHEDULE_NONE };
	struct destination *d;

	s->local = plan_site_new(s, &local);
	if (!s->local || schedule_destination(s, local.name) != SCHEDULE_LOCAL)
		return -ENOMEM;
	s->local->built_in = true;
	d = s->to[SCHEDULE_LOCAL];
	plan_destination_hold(s, d); /* never forgotten */
	d->state = TO_SITE;
	d->site = s->local;
	d->until = UINT64_MAX;
	list_push_back(&s->local->destinations, &d->of_site);
	return 0;
}

int schedule_new(unsigned jobs_max, struct schedule **ret)
{
	struct schedule *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->jobs_max = jobs_max;
	randombytes_buf(s->hash_key, sizeof(s->hash_key));
	schedule_configure(s, &(struct schedule_setup){ 0 });
	make_lists(s);
	s->block.event = (struct event){ .kind = EVENT_BLOCK };
	s->n_events = 1;
	if (!heap_reserve(&s->events, 1) || make_maps(s) < 0 || make_local(s) < 0) {
		schedule_free(s);
		return -ENOMEM;
	}
	*ret = s;
	return 0;
}

static void free_all(struct schedule *s)
{
	struct map_node *node;
	uint32_t at = 0;
	void *thing;

	while ((thing = slots_next(&s->jobs, &at))) {
		struct message *m = ((struct job *)thing)->message;

		if (--m->jobs == 0 && m->removed)
			free(m);
		free(thing);
	}
	at = 0;
	while ((thing = slots_next(&s->lanes, &at))) {
		plan_source_drop(((struct lane *)thing)->source);
		free(thing);
	}
	for (size_t i = 0; s->bucket && i < s->buckets; i++)
		while (s->bucket[i]) {
			struct message *m = s->bucket[i];

			s->bucket[i] = m->next;
			free(m);
		}
	while (s->flows.bucket && (node = map_take_any(&s->flows)))
		free(container_of(node, struct flow, node));
	while (s->shares.bucket && (node = map_take_any(&s->shares)))
		free(container_of(node, struct share, node));
	while (s->destinations.bucket && (node = map_take_any(&s->destinations))) {
		struct destination *d = container_of(node, struct destination, node);

		free(d->said);
		free(d);
	}
	while (s->sites.bucket && (node = map_take_any(&s->sites))) {
		struct site *site = container_of(node, struct site, node);

		free(site->said);
		free(site->heard);
		free(site);
	}
}

void schedule_free(struct schedule *s)
{
	struct map *maps[] = { s ? &s->flows : NULL, s ? &s->shares : NULL, s ? &s->destinations : NULL,
			       s ? &s->sites : NULL, s ? &s->accounts : NULL };

	if (!s)
		return;
	free_all(s);
	if (s->accounts.bucket)
		plan_accounts_done(s);
	plan_pools_done(s);
	for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++)
		map_done(maps[i]);
	heap_done(&s->parts);
	heap_done(&s->events);
	slots_done(&s->jobs);
	slots_done(&s->lanes);
	slots_done(&s->questions);
	free(s->to);
	free(s->to_free);
	free(s->bucket);
	free(s);
}

uint64_t plan_hash(const struct schedule *s, const void *p, size_t n, uint64_t extra)
{
	const unsigned char *b = p;
	uint64_t h = s->setup.seed ^ extra * UINT64_C(0x9e3779b97f4a7c15) ^ UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < n; i++)
		h = (h ^ b[i]) * UINT64_C(0x100000001b3);
	h = (h ^ h >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	h = (h ^ h >> 27) * UINT64_C(0x94d049bb133111eb);
	return h ^ h >> 31;
}

void plan_said(struct said **to, struct slice status, struct slice text)
{
	if (!*to)
		*to = calloc(1, sizeof(**to));
	if (!*to) /* then nobody knows why */
		return;
	if (!slice_copy(slice_head(status, sizeof((*to)->status) - 1), (*to)->status, sizeof((*to)->status)))
		(*to)->status[0] = '\0';
	if (!slice_copy(slice_head(text, sizeof((*to)->text) - 1), (*to)->text, sizeof((*to)->text)))
		(*to)->text[0] = '\0';
}

/* ---- time ---- */

void plan_event(struct schedule *s, struct event *e, uint64_t at)
{
	heap_set(&s->events, &e->node, at);
}

static void happen(struct schedule *s, struct event *e, uint64_t now)
{
	switch (e->kind) {
	case EVENT_SITE:
		plan_site_place(s, e->of, now);
		break;
	case EVENT_DESTINATION:
		plan_destination_unknown(s, e->of, now);
		break;
	case EVENT_ACCOUNT:
		plan_account_wake(s, e->of, now);
		break;
	case EVENT_POOL:
		plan_pool_wake(s, e->of, now);
		break;
	case EVENT_BLOCK:
		plan_block_event(s, now);
		break;
	}
}

/* Of what has no mail, some is remembered for a while. */
static void forget_idle(struct schedule *s)
{
	while (s->n_idle_to > IDLE_KEPT)
		plan_destination_free(s, container_of(s->idle_to.next, struct destination, link));
	while (s->n_idle_sites > IDLE_KEPT)
		plan_site_free(s, container_of(s->idle_sites.next, struct site, idle));
}

static bool is_due(const struct heap *h, uint64_t now)
{
	const struct heap_node *top = heap_top(h);

	return top && top->key <= now;
}

void plan_turn(struct schedule *s, uint64_t now)
{
	for (unsigned n = 0; n < TURN_EVENTS && is_due(&s->events, now); n++) {
		struct event *e = container_of(heap_top(&s->events), struct event, node);

		heap_remove(&s->events, &e->node);
		happen(s, e, now);
	}
	for (unsigned n = 0; n < TURN_PARTS && is_due(&s->parts, now); n++)
		plan_part_pop(s, container_of(heap_top(&s->parts), struct part, due), now);
	forget_idle(s);
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* When the first of things that came one after the other is that old. */
static uint64_t old_at(const struct list *l, uint64_t since, uint64_t age)
{
	return list_empty(l) ? UINT64_MAX : since + age;
}

static uint64_t overdue_at(const struct schedule *s)
{
	const struct list *l;
	uint64_t at = UINT64_MAX;

	l = &s->asked;
	at = sooner(at, old_at(l, container_of(l->next, struct destination, asked_link)->asked,
			       s->setup.resolve_age_ms));
	l = &s->opening_lanes;
	at = sooner(at, old_at(l, container_of(l->next, struct lane, link)->since, s->setup.open_age_ms));
	l = &s->closing_lanes;
	at = sooner(at, old_at(l, container_of(l->next, struct lane, link)->since, s->setup.open_age_ms));
	l = &s->jobs_by_age;
	return sooner(at, old_at(l, container_of(l->next, struct job, by_age)->begun, s->setup.job_age_ms));
}

uint64_t schedule_wait_ms(struct schedule *s, uint64_t now_ms)
{
	uint64_t now = plan_now(s, now_ms), at = overdue_at(s);
	const struct heap_node *part, *event;

	plan_turn(s, now);
	part = heap_top(&s->parts);
	event = heap_top(&s->events);
	if (plan_job_doomed(s) || plan_lane_close_due(s, now) || plan_job_site(s, now) ||
	    plan_lane_site(s, now) ||
	    (fair_mask(&s->queue[ASK]) != 0 && s->questions.n < s->setup.resolves_max))
		return 0;
	/* Looking may have put something to sleep. */
	event = heap_top(&s->events);
	at = sooner(at, part ? part->key : UINT64_MAX);
	at = sooner(at, event ? event->key : UINT64_MAX);
	if (!list_empty(&s->idle_lanes))
		at = sooner(at,
			    container_of(s->idle_lanes.next, struct lane, link)->since + s->setup.idle_ms);
	if (at == UINT64_MAX)
		return at;
	return at > now ? at - now : 0;
}

void schedule_shift(struct schedule *s, int64_t by_ms)
{
	s->ahead += by_ms;
}

static bool overdue(struct list *l, struct list *link, uint64_t *since, uint64_t age, uint64_t now,
		    struct schedule_overdue *ret)
{
	if (list_empty(l) || *since + age > now)
		return false;
	ret->age_ms = now - *since;
	*since = now;
	list_remove(link);
	list_push_back(l, link);
	return true;
}

bool schedule_next_overdue(struct schedule *s, uint64_t now_ms, struct schedule_overdue *ret)
{
	uint64_t now = plan_now(s, now_ms);
	struct destination *d = container_of(s->asked.next, struct destination, asked_link);
	struct job *j = container_of(s->jobs_by_age.next, struct job, by_age);
	struct list *lanes[] = { &s->opening_lanes, &s->closing_lanes };
	struct schedule_overdue r = { 0 };

	if (overdue(&s->asked, &d->asked_link, &d->asked, s->setup.resolve_age_ms, now, &r)) {
		r.kind = SCHEDULE_OVERDUE_RESOLVE;
		r.number = d->question;
		*ret = r;
		return true;
	}
	for (unsigned i = 0; i < 2; i++) {
		struct lane *l = container_of(lanes[i]->next, struct lane, link);

		if (!overdue(lanes[i], &l->link, &l->since, s->setup.open_age_ms, now, &r))
			continue;
		r.kind = SCHEDULE_OVERDUE_LANE;
		r.number = r.lane = l->number;
		*ret = r;
		return true;
	}
	if (!overdue(&s->jobs_by_age, &j->by_age, &j->begun, s->setup.job_age_ms, now, &r))
		return false;
	r.kind = SCHEDULE_OVERDUE_JOB;
	r.number = j->number;
	r.lane = j->lane ? j->lane->number : 0;
	*ret = r;
	return true;
}

/* ---- numbers ---- */

void schedule_count(const struct schedule *s, struct schedule_counters *ret)
{
	*ret = (struct schedule_counters){ .messages = s->n,
					   .jobs = s->jobs.n,
					   .lanes = s->n_lanes,
					   .opening = s->opening,
					   .resolving = s->questions.n,
					   .destinations = s->destinations.n,
					   .sites = s->sites.n };
	memcpy(ret->by_state, s->by_state, sizeof(ret->by_state));
}
