/* plan_site.c - sites: how many lanes each may have, and when it is left alone. */
#include <stdlib.h>

#include "queue/plan.h"

#define ALLOWED_FIRST 4	   /* lanes to a site of which nothing is known */
#define LOSS_FIRST_MS 1000 /* after a connection failed */
#define LOSS_MAX_MS   (30 * UINT64_C(60000))
#define SLOW_FIRST_MS 10000 /* when one lane is still too many */
#define SLOW_MAX_MS   (5 * UINT64_C(60000))
#define CUT_MS	      5000 /* complaints of one moment count once */
#define HANDS_FEW     2	   /* jobs in a lane's hands while there may be more lanes */

struct site *plan_site_new(struct schedule *s, const struct schedule_site *w)
{
	struct site *site = calloc(1, sizeof(*site));

	if (!site || !heap_reserve(&s->events, s->n_events + 1)) {
		free(site);
		return NULL;
	}
	s->n_events++;
	memcpy(site->key, w->key, SCHEDULE_KEY);
	list_init(&site->destinations);
	list_init(&site->lanes);
	for (unsigned c = 0; c < FAIR_CLASSES; c++)
		list_init(&site->round[c]);
	fair_item_init(&site->run);
	fair_item_init(&site->want);
	list_init(&site->parked);
	list_init(&site->held);
	list_init(&site->idle);
	site->event = (struct event){ .kind = EVENT_SITE, .of = site };
	site->allowed = ALLOWED_FIRST;
	site->steep = true;
	plan_site_is(s, site, w);
	map_insert(&s->sites, &site->node, slice_of(site->key, SCHEDULE_KEY));
	return site;
}

void plan_site_is(struct schedule *s, struct site *site, const struct schedule_site *w)
{
	struct slice name = slice_head(w->name, sizeof(site->name) - 1);

	if (!slice_copy(name, site->name, sizeof(site->name)))
		site->name[0] = '\0';
	site->connections = w->connections;
	site->window = w->window > 0 ? w->window : 1;
	site->per_connection = w->per_connection;
	site->pace.per_minute = w->per_minute;
	site->needs_25 = w->needs_25;
	site->mailboxes = w->mailboxes;
	site->pool = plan_pool(s, w->pool);
}

void plan_site_free(struct schedule *s, struct site *site)
{
	plan_block_forget(s, site);
	fair_remove(&site->run);
	fair_remove(&site->want);
	list_remove(&site->parked);
	list_remove(&site->idle);
	s->n_idle_sites--;
	heap_remove(&s->events, &site->event.node);
	s->n_events--;
	map_remove(&s->sites, &site->node);
	free(site->said);
	free(site->heard);
	free(site);
}

/* ---- whether it can take a job, or wants a lane ---- */

unsigned plan_site_mask(const struct site *site)
{
	unsigned mask = 0;

	for (unsigned c = 0; c < FAIR_CLASSES; c++)
		mask |= (unsigned)!list_empty(&site->round[c]) << c;
	return mask;
}

static unsigned cap(const struct site *site)
{
	if (site->losses > 0)
		return site->connections > 0 ? 1 : 0;
	return site->allowed < site->connections ? site->allowed : site->connections;
}

static unsigned window_of(const struct site *site, const struct lane *l)
{
	if (l->attached)
		return l->window;
	if (site->losses > 0)
		return 1;
	return site->n_lanes < cap(site) && site->window > HANDS_FEW ? HANDS_FEW : site->window;
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* The first lane that takes one more job; *ret_at: when a source will have room, if only that is lacking. */
static struct lane *usable_lane(const struct schedule *s, const struct site *site, uint64_t now,
				uint64_t *ret_at)
{
	struct list *at, *after;

	LIST_EACH (&site->lanes, at, after) {
		struct lane *l = container_of(at, struct lane, of_site);
		uint64_t room;

		if (l->state != LANE_READY || l->hands >= window_of(site, l) || !s->carrier[l->carrier].takes)
			continue;
		room = l->source ? plan_source_at(l->source, now) : 0;
		if (room == 0)
			return l;
		*ret_at = sooner(*ret_at, room);
	}
	return NULL;
}

struct lane *plan_site_lane(struct schedule *s, struct site *site, uint64_t now)
{
	uint64_t at = UINT64_MAX;

	return usable_lane(s, site, now, &at);
}

static bool wants_lane(const struct site *site, uint64_t now, uint64_t *ret_at)
{
	uint64_t at = UINT64_MAX;

	if (site->n_lanes >= cap(site) || site->all_lanes >= site->connections ||
	    site->waiting + site->hands <= UINT64_C(2) * site->n_lanes)
		return false;
	if (!site->pool || plan_pool_pick(site->pool, now, &at))
		return true;
	*ret_at = sooner(*ret_at, at);
	return false;
}

static void set_idle(struct schedule *s, struct site *site)
{
	bool idle = !site->built_in && list_empty(&site->destinations) && list_empty(&site->lanes);

	if (idle == !list_empty(&site->idle))
		return;
	list_remove(&site->idle);
	s->n_idle_sites -= !idle;
	s->n_idle_sites += idle;
	if (idle)
		list_push_back(&s->idle_sites, &site->idle);
}

static void put_or_not(struct schedule *s, unsigned queue, struct fair_item *i, struct site *site, bool put)
{
	unsigned mask = plan_site_mask(site), c = 0;
	struct share *h;

	if (!put) {
		fair_remove(i);
		return;
	}
	while (!(mask >> c & 1))
		c++;
	h = container_of(site->round[c].next, struct share, link);
	fair_put(&s->queue[queue], i, (enum fair_class)c, &h->key.account->seat[queue][c]);
}

void plan_site_place(struct schedule *s, struct site *site, uint64_t now)
{
	bool something = plan_site_mask(site) != 0, run = false, want = false;
	uint64_t at = 0, room = UINT64_MAX;

	list_remove(&site->parked);
	heap_remove(&s->events, &site->event.node);
	set_idle(s, site);
	if (!something)
		plan_block_forget(s, site);
	else if (!plan_block_holds(s, site, now))
		at = site->until > now ? site->until : bucket_at(&site->pace, now);
	else
		something = false;
	if (something && at == 0) {
		run = usable_lane(s, site, now, &room) != NULL;
		want = wants_lane(site, now, &room);
		if (!run && !want && room < UINT64_MAX)
			plan_pool_park(s, site, room);
	} else if (something) {
		plan_event(s, &site->event, at);
	}
	put_or_not(s, RUN, &site->run, site, run);
	put_or_not(s, WANT, &site->want, site, want);
}

/* The share whose turn it is there, if its account's pace allows it; those that must wait are parked. */
struct share *plan_site_share(struct schedule *s, struct site *site, unsigned mask, uint64_t now)
{
	while ((mask & plan_site_mask(site)) != 0) {
		enum fair_class c = turns_pick(&site->turns, mask & plan_site_mask(site));
		struct share *h = container_of(site->round[c].next, struct share, link);
		uint64_t at = site->mailboxes ? 0 : bucket_at(&h->key.account->pace, now);

		if (at == 0)
			return h;
		plan_account_park(s, h, at);
	}
	return NULL;
}

/* ---- how it goes ---- */

/* With up to a tenth more, so that sites that failed together do not return together. */
static uint64_t growing(const struct schedule *s, const struct site *site, uint64_t first, uint64_t most,
			unsigned times)
{
	uint64_t ms = times < 16 ? first << times : most;

	ms = ms < most ? ms : most;
	return ms + plan_hash(s, site->key, SCHEDULE_KEY, times) % (ms / 10 + 1);
}

void plan_site_well(struct site *site, uint64_t now)
{
	if (site->losses > 0) {
		site->losses = 0;
		site->until = 0;
	}
	site->timed_out = false;
	if (site->until <= now)
		site->pauses = 0;
	if (site->allowed >= site->connections || site->n_lanes + 1 < site->allowed)
		return;
	site->grown++;
	if (!site->steep && site->grown < site->allowed)
		return;
	site->allowed++;
	site->grown = 0;
}

void plan_site_lost(struct schedule *s, struct site *site, uint64_t now)
{
	uint64_t until;

	until = now + growing(s, site, LOSS_FIRST_MS, LOSS_MAX_MS, site->losses);
	if (site->until < until) /* else it is paused */
		site->until = until;
	site->losses++;
	site->cut = now;
	site->allowed = 1;
	site->grown = 0;
	site->steep = true;
	plan_site_place(s, site, now);
}

void plan_site_slow(struct schedule *s, struct site *site, uint64_t now)
{
	unsigned had = site->n_lanes < site->allowed ? site->n_lanes : site->allowed;

	if (site->cut > 0 && now < site->cut + CUT_MS)
		return;
	site->cut = now;
	site->steep = false;
	site->grown = 0;
	site->allowed = had > 1 ? had / 2 : 1;
	if (had <= 1)
		site->until = now + growing(s, site, SLOW_FIRST_MS, SLOW_MAX_MS, site->pauses++);
	plan_site_place(s, site, now);
}

/* With up to a tenth more, so that sites do not return together. */
void plan_site_pause(struct schedule *s, struct site *site, uint64_t ms, uint64_t now)
{
	uint64_t until = now + ms + plan_hash(s, site->key, SCHEDULE_KEY, now) % (ms / 10 + 1);

	/* Complaints of one moment count once, but the longest pause of them holds. */
	if (site->until <= now)
		site->allowed = site->allowed > 1 ? site->allowed / 2 : 1;
	site->steep = false;
	if (site->until < now + ms)
		site->until = until;
	plan_site_place(s, site, now);
}

void schedule_pause(struct schedule *s, uint64_t lane, uint64_t ms, uint64_t now_ms)
{
	uint64_t now = plan_now(s, now_ms);
	struct lane *l = slots_get(&s->lanes, lane);

	if (l && ms > 0)
		plan_site_pause(s, l->site, ms, now);
}

void plan_site_forgive(struct schedule *s, struct site *site, uint64_t now)
{
	site->until = 0;
	if (site->pool)
		plan_pool_forgive(site->pool);
	plan_site_place(s, site, now);
	plan_block_doubt(s, site, now);
}

void plan_site_said(struct site *site, struct slice status, struct slice text)
{
	plan_said(&site->said, status, text);
	free(site->heard);
	site->heard = NULL;
}

void schedule_heard(struct schedule *s, uint64_t lane, struct slice status, struct slice text)
{
	struct lane *l = slots_get(&s->lanes, lane);

	if (l)
		plan_said(&l->site->heard, status, text);
}
