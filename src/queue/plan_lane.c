/* plan_lane.c - lanes: opened where they are wanted, closed when they are not. */
#include <stdlib.h>

#include "queue/plan.h"

#define GONE_MS 1000 /* then a site is tried again, when it was not the site's fault */

/* A quarter is kept for what is not bulk. */
unsigned plan_lane_classes(const struct schedule *s)
{
	bool any = false;

	for (unsigned i = 0; i < SCHEDULE_CARRIER_LOCAL && !any; i++)
		any = s->carrier[i].takes;
	if (!any || s->n_lanes >= s->setup.lanes_max || s->opening >= s->setup.opening_max)
		return 0;
	return s->n_lanes < s->setup.lanes_max - s->setup.lanes_max / 4 ? FAIR_ALL
									: FAIR_ALL & ~(1U << FAIR_BULK);
}

struct site *plan_lane_site(struct schedule *s, uint64_t now)
{
	struct fair_item *i;
	unsigned classes = plan_lane_classes(s);
	uint64_t at;

	while (classes && (i = fair_head(&s->queue[WANT], classes))) {
		struct site *site = container_of(i, struct site, want);

		/* All its accounts are to wait; it is behind port 25; or another site took a source's last.
		 */
		if (!plan_site_share(s, site, FAIR_ALL, now) || plan_block_holds(s, site, now) ||
		    (site->pool && !plan_pool_pick(site->pool, now, &at)))
			plan_site_place(s, site, now);
		else
			return site;
	}
	return NULL;
}

static struct lane *lane_new(struct schedule *s, struct site *site, uint64_t now)
{
	struct lane *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->number = slots_put(&s->lanes, l);
	if (l->number == 0) {
		free(l);
		return NULL;
	}
	l->site = site;
	l->since = l->begun = now;
	l->carrier = SCHEDULE_CARRIER_LOCAL;
	list_init(&l->of_site);
	list_init(&l->of_carrier);
	list_init(&l->link);
	list_init(&l->jobs);
	list_push_back(&site->lanes, &l->of_site);
	site->n_lanes++;
	site->all_lanes++;
	return l;
}

bool schedule_next_lane(struct schedule *s, uint64_t now_ms, struct schedule_lane *ret)
{
	uint64_t now = plan_now(s, now_ms), at;
	struct site *site;
	struct source *src;
	struct lane *l;

	plan_turn(s, now);
	site = plan_lane_site(s, now);
	l = site ? lane_new(s, site, now) : NULL;
	if (!l)
		return false;
	l->to = plan_share_part(plan_site_share(s, site, FAIR_ALL, now))->to;
	src = site->pool ? plan_pool_pick(site->pool, now, &at) : NULL;
	l->source = src;
	if (src)
		plan_source_lane(site->pool, src);
	list_push_back(&s->opening_lanes, &l->link);
	s->n_lanes++;
	s->opening++;
	*ret = (struct schedule_lane){ .number = l->number,
				       .destination = slice_of(l->to->text, l->to->text_n),
				       .site = slice_str(site->name),
				       .key = site->key,
				       .source = slice_str(src ? src->address : ""),
				       .helo = slice_str(src ? src->helo : ""),
				       .probe = site->losses > 0 || s->block.probe == site };
	fair_took(&s->queue[WANT], &site->want);
	plan_site_place(s, site, now);
	return true;
}

void schedule_lane_opened(struct schedule *s, uint64_t lane, unsigned carrier)
{
	struct lane *l = slots_get(&s->lanes, lane);

	if (!l || carrier >= SCHEDULE_CARRIERS)
		return;
	l->carrier = carrier;
	list_remove(&l->of_carrier);
	list_push_back(&s->carrier[carrier].lanes, &l->of_carrier);
}

static void set_idle(struct schedule *s, struct lane *l, uint64_t now)
{
	l->since = now;
	list_remove(&l->link);
	if (!l->attached)
		list_push_back(&s->idle_lanes, &l->link);
}

void schedule_lane_ready(struct schedule *s, uint64_t lane, unsigned rcpt_max, unsigned mail_max,
			 uint64_t now_ms)
{
	uint64_t now = plan_now(s, now_ms);
	struct lane *l = slots_get(&s->lanes, lane);

	if (!l)
		return;
	plan_block_probe_over(s, l->site, now);
	if (l->source)
		plan_source_well(s, l->site->pool, l->source, now);
	if (l->state != LANE_OPENING)
		return;
	s->opening--;
	l->state = LANE_READY;
	l->to = NULL;
	l->rcpt_max = rcpt_max;
	l->mail_max = mail_max;
	set_idle(s, l, now);
	plan_site_place(s, l->site, now);
}

uint64_t schedule_lane_attach(struct schedule *s, unsigned carrier, unsigned window, uint64_t now_ms)
{
	uint64_t now = plan_now(s, now_ms);
	struct lane *l = lane_new(s, s->local, now);

	if (!l)
		return 0;
	l->attached = true;
	l->state = LANE_READY;
	l->window = window;
	schedule_lane_opened(s, l->number, carrier);
	plan_site_place(s, s->local, now);
	return l->number;
}

void schedule_carrier(struct schedule *s, unsigned carrier, bool takes, uint64_t now_ms)
{
	uint64_t now = plan_now(s, now_ms);
	struct list *at, *after;

	if (carrier >= SCHEDULE_CARRIERS || s->carrier[carrier].takes == takes)
		return;
	s->carrier[carrier].takes = takes;
	LIST_EACH (&s->carrier[carrier].lanes, at, after)
		plan_site_place(s, container_of(at, struct lane, of_carrier)->site, now);
}

/* ---- jobs in its hands ---- */

void plan_lane_took(struct schedule *s, struct lane *l, uint64_t now)
{
	unsigned most = l->site->per_connection;

	if (l->mail_max > 0 && (most == 0 || l->mail_max < most))
		most = l->mail_max;
	l->hands++;
	l->site->hands++;
	l->taken++;
	list_remove(&l->link);
	if (l->source)
		plan_source_took(l->source, now);
	/* Behind the other lanes of its site. */
	list_remove(&l->of_site);
	list_push_back(&l->site->lanes, &l->of_site);
	if (!l->attached && most > 0 && l->taken >= most)
		plan_lane_retire(s, l, now);
}

void plan_lane_retire(struct schedule *s, struct lane *l, uint64_t now)
{
	if (l->state == LANE_CLOSE || l->state == LANE_CLOSING)
		return;
	if (l->state == LANE_OPENING)
		s->opening--;
	l->state = LANE_CLOSE;
	l->since = now;
	l->to = NULL;
	l->site->n_lanes--;
	list_remove(&l->link);
	if (l->hands == 0 && !l->attached)
		list_push_back(&s->to_close, &l->link);
}

static unsigned lanes_allowed(const struct site *site)
{
	return site->allowed < site->connections ? site->allowed : site->connections;
}

void plan_lane_over(struct schedule *s, struct lane *l, uint64_t now)
{
	l->hands--;
	l->site->hands--;
	if (l->hands == 0 && l->state == LANE_CLOSE && !l->attached) {
		list_remove(&l->link);
		list_push_back(&s->to_close, &l->link);
	} else if (l->hands == 0 && l->state == LANE_READY && !l->attached) {
		set_idle(s, l, now);
		if (l->site->n_lanes > lanes_allowed(l->site))
			plan_lane_retire(s, l, now);
	}
	plan_site_place(s, l->site, now);
}

/* ---- the end ---- */

/* Idle for long; or not so long, but another site could use it. */
static bool idle_due(const struct schedule *s, uint64_t now)
{
	const struct lane *l = container_of(s->idle_lanes.next, struct lane, link);

	if (list_empty(&s->idle_lanes))
		return false;
	return now >= l->since + s->setup.idle_ms ||
	       (s->n_lanes >= s->setup.lanes_max && list_empty(&s->closing_lanes) &&
		fair_mask(&s->queue[WANT]) != 0);
}

bool plan_lane_close_due(const struct schedule *s, uint64_t now)
{
	return !list_empty(&s->to_close) || idle_due(s, now);
}

bool schedule_next_close(struct schedule *s, uint64_t now_ms, uint64_t *ret_lane)
{
	uint64_t now = plan_now(s, now_ms);
	struct lane *l;

	plan_turn(s, now);
	if (list_empty(&s->to_close) && !idle_due(s, now))
		return false;
	if (list_empty(&s->to_close))
		plan_lane_retire(s, container_of(s->idle_lanes.next, struct lane, link), now);
	l = container_of(s->to_close.next, struct lane, link);
	l->state = LANE_CLOSING;
	l->since = now;
	list_remove(&l->link);
	list_push_back(&s->closing_lanes, &l->link);
	*ret_lane = l->number;
	plan_site_place(s, l->site, now);
	return true;
}

void plan_lane_free(struct schedule *s, struct lane *l)
{
	if (l->state == LANE_OPENING)
		s->opening--;
	if (l->state == LANE_OPENING || l->state == LANE_READY)
		l->site->n_lanes--;
	l->site->all_lanes--;
	if (!l->attached)
		s->n_lanes--;
	list_remove(&l->of_site);
	list_remove(&l->of_carrier);
	list_remove(&l->link);
	slots_drop(&s->lanes, l->number);
	plan_source_drop(l->source);
	free(l);
}

static bool any_works(const struct site *site)
{
	struct list *at, *after;

	LIST_EACH (&site->lanes, at, after)
		if (container_of(at, struct lane, of_site)->worked)
			return true;
	return false;
}

/* What its end says about its site.  alone: no other lane to it works. */
static void judge(struct schedule *s, struct site *site, enum schedule_lane_end end, bool alone, bool worked,
		  bool after_loss, uint64_t now)
{
	switch (end) {
	case SCHEDULE_LANE_CLOSED:
	case SCHEDULE_LANE_SOURCE:
		return;
	case SCHEDULE_LANE_GONE:
	case SCHEDULE_LANE_MOVED:
	case SCHEDULE_LANE_NOWHERE:
		if (site->until < now + GONE_MS)
			site->until = now + GONE_MS;
		return;
	case SCHEDULE_LANE_BROKEN:
		if (worked)
			return;
		break;
	case SCHEDULE_LANE_UNREACHABLE:
	case SCHEDULE_LANE_TIMED_OUT:
	case SCHEDULE_LANE_BUSY:
		break;
	}
	if (!alone) {
		site->steep = false;
		site->grown = 0;
		site->allowed = site->n_lanes > 1 ? site->n_lanes : 1;
	} else if (after_loss) { /* those that failed together count once */
		site->timed_out = end == SCHEDULE_LANE_TIMED_OUT;
		plan_site_lost(s, site, now);
	}
}

void schedule_lane_closed(struct schedule *s, uint64_t lane, enum schedule_lane_end end, struct slice status,
			  struct slice text, uint64_t now_ms)
{
	uint64_t now = plan_now(s, now_ms);
	struct lane *l = slots_get(&s->lanes, lane);
	bool worked, after_loss, blocked;
	struct destination *to;
	struct site *site;

	if (!l)
		return;
	site = l->site;
	to = l->to;
	worked = l->worked;
	after_loss = l->begun >= site->cut;
	while (!list_empty(&l->jobs))
		schedule_give_back(s, container_of(l->jobs.next, struct job, of_lane)->number, now_ms);
	if (text.n > 0 && end != SCHEDULE_LANE_CLOSED && end != SCHEDULE_LANE_MOVED &&
	    end != SCHEDULE_LANE_NOWHERE)
		plan_site_said(site, status, text);
	blocked = s->block.on && site->needs_25 && end == SCHEDULE_LANE_TIMED_OUT;
	if (end == SCHEDULE_LANE_SOURCE && l->source)
		plan_source_lost(l->source, l->begun, now);
	else if (end == SCHEDULE_LANE_SOURCE)
		end = SCHEDULE_LANE_UNREACHABLE;
	plan_lane_free(s, l);
	plan_block_probe_over(s, site, now);
	if (end == SCHEDULE_LANE_MOVED && to)
		plan_destination_unknown(s, to, now);
	else if (end == SCHEDULE_LANE_NOWHERE && to && to->site == site)
		plan_destination_nowhere(s, to, status, text, now);
	if (!blocked) /* else it is not this site's fault */
		judge(s, site, end, !any_works(site), worked, after_loss, now);
	plan_site_place(s, site, now);
}
