/* plan_block.c - our own network blocks port 25: waited for with one probe, and left behind without a herd.
 *
 * That it does, and that it does no more, is noticed elsewhere (queue/port25.h).  What needs 25 and has no
 * connection waits meanwhile; every 1 to 30 minutes one of them is tried, another one each time; one more at
 * once when an operator says that it is time.  When it is over the sites go on some at a time.
 */
#include "queue/plan.h"

#define PROBE_FIRST   60000
#define PROBE_MAX     (30 * UINT64_C(60000))
#define RELEASE_MS    100
#define RELEASE_SITES 10 /* every so often */

static void plan_probe(struct schedule *s, uint64_t at)
{
	s->block.probe_at = at;
	plan_event(s, &s->block.event, at);
}

static void block(struct schedule *s, uint64_t now)
{
	if (s->block.on)
		return;
	s->block.on = true;
	s->block.since = now;
	s->block.pause = PROBE_FIRST;
	s->block.probe = NULL;
	plan_probe(s, now + s->block.pause);
}

bool plan_block_holds(struct schedule *s, struct site *site, uint64_t now)
{
	bool held = !list_empty(&site->held);

	(void)now;
	if (!site->needs_25 || site->n_lanes > 0 || s->block.probe == site || (!s->block.on && !held))
		return false;
	if (!held) {
		list_push_back(&s->block.held, &site->held);
		s->block.n_held++;
	}
	return true;
}

static void let_go(struct schedule *s, struct site *site)
{
	if (list_empty(&site->held))
		return;
	list_remove(&site->held);
	s->block.n_held--;
}

void plan_block_forget(struct schedule *s, struct site *site)
{
	let_go(s, site);
	if (s->block.probe != site || site->n_lanes > 0)
		return;
	s->block.probe = NULL;
	if (s->block.on)
		plan_probe(s, s->now); /* somebody else then */
}

static void unblock(struct schedule *s, uint64_t now)
{
	if (!s->block.on)
		return;
	s->block.on = false;
	s->block.probe = NULL;
	plan_event(s, &s->block.event, now + RELEASE_MS);
}

void plan_block_probe_over(struct schedule *s, struct site *site, uint64_t now)
{
	struct block *b = &s->block;

	if (b->probe != site)
		return;
	b->probe = NULL;
	if (!b->on)
		return;
	b->pause = b->pause * 2 < PROBE_MAX ? b->pause * 2 : PROBE_MAX;
	plan_probe(s, now + b->pause);
}

static void probe(struct schedule *s, struct site *site, uint64_t now)
{
	let_go(s, site);
	s->block.probe = site;
	site->until = 0;
	plan_site_place(s, site, now);
}

void plan_block_doubt(struct schedule *s, struct site *site, uint64_t now)
{
	struct block *b = &s->block;

	if (!b->on || b->probe || list_empty(&site->held))
		return;
	b->pause = PROBE_FIRST / 2;
	plan_probe(s, now + PROBE_FIRST);
	probe(s, site, now);
}

void plan_block_event(struct schedule *s, uint64_t now)
{
	struct block *b = &s->block;
	struct site *site;

	if (b->on) {
		if (b->probe || list_empty(&b->held))
			plan_probe(s, now + PROBE_FIRST);
		else
			probe(s, container_of(b->held.next, struct site, held), now);
		return;
	}
	for (unsigned n = 0; n < RELEASE_SITES && !list_empty(&b->held); n++) {
		site = container_of(b->held.next, struct site, held);
		let_go(s, site);
		if (site->timed_out) {
			site->losses = 0;
			site->until = 0;
			site->timed_out = false;
		}
		plan_site_place(s, site, now);
	}
	if (!list_empty(&b->held))
		plan_event(s, &b->event, now + RELEASE_MS);
}

void schedule_blocked(const struct schedule *s, struct schedule_block *ret)
{
	*ret = (struct schedule_block){ .blocked = s->block.on, .sites = s->block.n_held };
	if (!s->block.on)
		return;
	ret->since_ms = plan_out(s, s->block.since);
	ret->probe_ms = plan_out(s, s->block.probe_at);
}

void schedule_block(struct schedule *s, bool blocked, uint64_t now_ms)
{
	uint64_t now = plan_now(s, now_ms);

	if (blocked)
		block(s, now);
	else
		unblock(s, now);
}
