/* plan_pace.c - accounts and pools of sources: so many messages a minute, and a day. */
#include <errno.h>
#include <stdlib.h>

#include "queue/plan.h"

#define DAY_MS	      (UINT64_C(24) * 3600 * 1000)
#define QUOTA_MAX     UINT64_C(1000000000)
#define REST_FIRST_MS UINT64_C(1000) /* of a source that cannot be used */
#define REST_MAX_MS   (30 * UINT64_C(60000))

static uint64_t sooner(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* ---- accounts ---- */

struct account *plan_account(struct schedule *s, uint64_t id)
{
	struct map_node *node = map_find(&s->accounts, slice_of(&id, sizeof(id)));
	struct account *a = node ? container_of(node, struct account, node) : NULL;

	if (!a) {
		a = calloc(1, sizeof(*a));
		if (!a || !heap_reserve(&s->events, s->n_events + 1)) {
			free(a);
			return NULL;
		}
		s->n_events++;
		a->id = id;
		a->pace.per_minute = id > 0 ? s->setup.account_per_minute : 0;
		a->event = (struct event){ .kind = EVENT_ACCOUNT, .of = a };
		list_init(&a->parked);
		for (unsigned q = 0; q < QUEUES; q++)
			for (unsigned c = 0; c < FAIR_CLASSES; c++)
				fair_seat_init(&a->seat[q][c]);
		map_insert(&s->accounts, &a->node, slice_of(&a->id, sizeof(a->id)));
	}
	a->refs++;
	return a;
}

/* One with a pace of its own is remembered without mail; one with the setup's until it could send as if
 * nothing had been before. */
static void forget(struct schedule *s, struct account *a, uint64_t now)
{
	if (a->refs > 0 || a->own)
		return;
	if (a->pace.per_minute > 0 && a->pace.next_us > now * 1000) {
		plan_event(s, &a->event, a->pace.next_us / 1000 + 1);
		return;
	}
	heap_remove(&s->events, &a->event.node);
	s->n_events--;
	map_remove(&s->accounts, &a->node);
	free(a);
}

void plan_account_drop(struct schedule *s, struct account *a)
{
	a->refs--;
	forget(s, a, s->now);
}

void plan_accounts_done(struct schedule *s)
{
	struct map_node *node;

	while ((node = map_take_any(&s->accounts)))
		free(container_of(node, struct account, node));
}

/* What went already counts: a new pace is none to begin anew with. */
static void set_pace(struct schedule *s, struct account *a, unsigned per_minute, uint64_t now)
{
	if (a->pace.per_minute == per_minute)
		return;
	a->pace.per_minute = per_minute;
	if (a->pace.next_us > now * 1000)
		a->pace.next_us = now * 1000;
	plan_account_wake(s, a, now);
}

int schedule_account_pace(struct schedule *s, uint64_t account, unsigned per_minute, uint64_t now_ms)
{
	uint64_t now = plan_now(s, now_ms);
	struct account *a = plan_account(s, account);

	if (!a)
		return -ENOMEM;
	a->own = a->told = true;
	set_pace(s, a, per_minute, now);
	plan_account_drop(s, a);
	return 0;
}

void schedule_paces_begin(struct schedule *s)
{
	struct map_node *node = NULL;

	while ((node = map_next(&s->accounts, node)))
		container_of(node, struct account, node)->told = false;
}

/* By the setup, all but those with one of their own. */
void plan_accounts_configure(struct schedule *s, uint64_t now)
{
	struct map_node *node = s->accounts.bucket ? map_next(&s->accounts, NULL) : NULL, *next;

	for (; node; node = next) {
		struct account *a = container_of(node, struct account, node);

		next = map_next(&s->accounts, node);
		if (a->own)
			continue;
		a->refs++;
		set_pace(s, a, a->id > 0 ? s->setup.account_per_minute : 0, now);
		plan_account_drop(s, a);
	}
}

void schedule_paces_end(struct schedule *s, uint64_t now_ms)
{
	uint64_t now = plan_now(s, now_ms);
	struct map_node *node = NULL;

	while ((node = map_next(&s->accounts, node))) {
		struct account *a = container_of(node, struct account, node);

		a->own = a->own && a->told;
	}
	plan_accounts_configure(s, now);
}

void plan_account_park(struct schedule *s, struct share *h, uint64_t at)
{
	struct account *a = h->key.account;

	list_remove(&h->link);
	list_push_back(&a->parked, &h->link);
	h->parked = true;
	plan_event(s, &a->event, at);
}

void plan_account_wake(struct schedule *s, struct account *a, uint64_t now)
{
	heap_remove(&s->events, &a->event.node);
	if (a->refs == 0) { /* it was only remembered */
		forget(s, a, now);
		return;
	}
	while (!list_empty(&a->parked)) {
		struct share *h = container_of(a->parked.next, struct share, link);

		list_remove(&h->link);
		h->parked = false;
		list_push_back(&h->key.site->round[h->key.class], &h->link);
		plan_site_place(s, h->key.site, now);
	}
}

/* ---- sources ---- */

static uint64_t quota(const struct source *src, uint64_t day)
{
	uint64_t n = src->warm_first;

	for (uint64_t i = 0; i < day && n < QUOTA_MAX; i++)
		n += later(n * src->warm_growth / 100, src->warm_growth > 0);
	return n;
}

static uint64_t warm_at(const struct source *src, uint64_t now)
{
	uint64_t day;

	if (src->warm_days == 0)
		return 0;
	if (now < src->warm_begins)
		return src->warm_begins;
	day = (now - src->warm_begins) / DAY_MS;
	if (day >= src->warm_days || src->day != day || src->today < quota(src, day))
		return 0;
	return src->warm_begins + (day + 1) * DAY_MS;
}

uint64_t plan_source_at(const struct source *src, uint64_t now)
{
	return later(bucket_at(&src->pace, now), warm_at(src, now));
}

static uint64_t day_of(const struct source *src, uint64_t now)
{
	return src->warm_days > 0 && now > src->warm_begins ? (now - src->warm_begins) / DAY_MS : 0;
}

void plan_source_took(struct source *src, uint64_t now)
{
	uint64_t day = day_of(src, now);

	bucket_take(&src->pace, now);
	if (src->day != day)
		src->today = 0;
	src->day = day;
	src->today++;
}

void plan_source_lane(struct pool *p, struct source *src)
{
	src->refs++;
	src->pass += 1000 / src->weight;
	(void)p;
}

void plan_source_drop(struct source *src)
{
	if (src && --src->refs == 0)
		free(src);
}

/* Those that failed together count once. */
void plan_source_lost(struct source *src, uint64_t begun, uint64_t now)
{
	uint64_t ms = src->losses < 16 ? REST_FIRST_MS << src->losses : REST_MAX_MS;

	if (begun < src->cut)
		return;
	src->until = now + (ms < REST_MAX_MS ? ms : REST_MAX_MS);
	src->cut = now;
	src->losses++;
}

void plan_source_well(struct schedule *s, struct pool *p, struct source *src, uint64_t now)
{
	if (src->losses == 0)
		return;
	src->losses = 0;
	src->until = 0;
	if (p)
		plan_pool_wake(s, p, now);
}

void plan_pool_forgive(struct pool *p)
{
	for (size_t i = 0; i < p->n; i++)
		p->source[i]->until = 0;
}

struct source *plan_pool_pick(struct pool *p, uint64_t now, uint64_t *ret_at)
{
	struct source *best = NULL;
	uint64_t at = UINT64_MAX;

	for (size_t i = 0; i < p->n; i++) {
		struct source *src = p->source[i];
		uint64_t room = later(plan_source_at(src, now), src->until > now ? src->until : 0);

		if (room > 0)
			at = sooner(at, room);
		else if (!best || src->pass < best->pass)
			best = src;
	}
	if (!best)
		*ret_at = at;
	return best;
}

/* ---- pools ---- */

struct pool *plan_pool(const struct schedule *s, uint32_t number)
{
	struct list *at, *after;

	LIST_EACH (&s->pools, at, after) {
		struct pool *p = container_of(at, struct pool, link);

		if (p->number == number)
			return p;
	}
	return NULL;
}

void plan_pool_park(struct schedule *s, struct site *site, uint64_t at)
{
	struct pool *p = site->pool;

	list_push_back(&p->parked, &site->parked);
	if (!heap_has(&p->event.node) || at < p->event.node.key)
		plan_event(s, &p->event, at);
}

void plan_pool_wake(struct schedule *s, struct pool *p, uint64_t now)
{
	struct list woken;

	heap_remove(&s->events, &p->event.node);
	list_init(&woken);
	while (!list_empty(&p->parked)) {
		struct list *link = p->parked.next;

		list_remove(link);
		list_push_back(&woken, link);
	}
	while (!list_empty(&woken))
		plan_site_place(s, container_of(woken.next, struct site, parked), now);
}

static struct pool *find_pool(const struct schedule *s, struct slice name)
{
	struct list *at, *after;

	LIST_EACH (&s->pools, at, after) {
		struct pool *p = container_of(at, struct pool, link);

		if (slice_eq(slice_str(p->name), name))
			return p;
	}
	return NULL;
}

static struct pool *pool_new(struct schedule *s, struct slice name)
{
	struct pool *p = calloc(1, sizeof(*p));

	if (!p || !heap_reserve(&s->events, s->n_events + 1) || !slice_copy(name, p->name, sizeof(p->name))) {
		free(p);
		return NULL;
	}
	s->n_events++;
	p->number = s->n_pools++;
	p->event = (struct event){ .kind = EVENT_POOL, .of = p };
	list_init(&p->parked);
	list_push_back(&s->pools, &p->link);
	return p;
}

static struct source *source_of(struct pool *p, struct slice address)
{
	for (size_t i = 0; p && i < p->n; i++)
		if (slice_eq(slice_str(p->source[i]->address), address))
			return p->source[i];
	return NULL;
}

bool schedule_next_warming(const struct schedule *s, size_t *cursor, struct schedule_warming *ret)
{
	struct list *at, *after;
	size_t n = 0;

	LIST_EACH (&s->pools, at, after) {
		const struct pool *p = container_of(at, struct pool, link);

		for (size_t i = 0; i < p->n; i++) {
			const struct source *src = p->source[i];

			if (src->warm_days == 0 || src->today == 0 || n++ < *cursor)
				continue;
			*cursor = n;
			*ret = (struct schedule_warming){ slice_str(src->address), src->day, src->today };
			return true;
		}
	}
	return false;
}

void schedule_warmed(struct schedule *s, const struct schedule_warming *w, uint64_t now_ms)
{
	uint64_t now = plan_now(s, now_ms);
	struct list *at, *after;

	LIST_EACH (&s->pools, at, after) {
		struct source *src = source_of(container_of(at, struct pool, link), w->source);

		if (!src || src->warm_days == 0 || now < src->warm_begins || w->day != day_of(src, now))
			continue;
		src->today = later(w->sent, src->day == w->day ? src->today : 0);
		src->day = w->day;
	}
}

/* What it sent stays counted. */
static struct source *source_get(struct schedule *s, struct pool *p, const struct schedule_source *w)
{
	struct source *src = source_of(p, w->address);
	bool fresh = !src;

	if (fresh)
		src = calloc(1, sizeof(*src));
	if (!src)
		return NULL;
	if (fresh && !slice_copy(w->address, src->address, sizeof(src->address))) {
		free(src);
		return NULL;
	}
	if (!slice_copy(w->helo, src->helo, sizeof(src->helo)))
		src->helo[0] = '\0';
	src->refs++;
	src->weight = w->weight > 0 ? w->weight : 1;
	src->pass = 0; /* all begin alike again */
	src->pace.per_minute = w->per_minute;
	src->losses = 0; /* it may be mended */
	src->until = 0;
	src->warm_begins = plan_in(s, w->warm_begins_ms);
	src->warm_first = w->warm_first;
	src->warm_growth = w->warm_growth_percent;
	src->warm_days = w->warm_begins_ms > 0 ? w->warm_days : 0;
	return src;
}

uint32_t schedule_pool(struct schedule *s, struct slice name, const struct schedule_source *source, size_t n,
		       uint64_t now_ms)
{
	uint64_t now = plan_now(s, now_ms);
	struct source **v = calloc(n > 0 ? n : 1, sizeof(struct source *));
	struct pool *p = find_pool(s, name);
	size_t got = 0;

	if (!p && v)
		p = pool_new(s, name);
	while (v && p && got < n && (v[got] = source_get(s, p, &source[got])))
		got++;
	if (!v || !p || got < n) {
		while (got > 0)
			plan_source_drop(v[--got]);
		free(v);
		return SCHEDULE_NONE;
	}
	for (size_t i = 0; i < p->n; i++)
		plan_source_drop(p->source[i]);
	free(p->source);
	p->source = v;
	p->n = n;
	plan_pool_wake(s, p, now);
	return p->number;
}

void plan_pools_done(struct schedule *s)
{
	while (!list_empty(&s->pools)) {
		struct pool *p = container_of(s->pools.next, struct pool, link);

		for (size_t i = 0; i < p->n; i++)
			plan_source_drop(p->source[i]);
		free(p->source);
		list_remove(&p->link);
		free(p);
	}
}
