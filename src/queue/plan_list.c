/* plan_list.c - looking: where a recipient goes and what it waits for, and what waits for which site. */
#include "queue/plan.h"

#define MINUTE_MS UINT64_C(60000)
#define HOUR_MS	  (60 * MINUTE_MS)

static const uint64_t age_limit[SCHEDULE_AGES - 1] = { 5 * MINUTE_MS, 30 * MINUTE_MS, 4 * HOUR_MS,
						       24 * HOUR_MS, 72 * HOUR_MS };

static void said_by(const struct said *said, struct slice *ret_status, struct slice *ret_text)
{
	*ret_status = slice_str(said ? said->status : "");
	*ret_text = slice_str(said ? said->text : "");
}

/* Left alone until then; or no source of its pool can be used before. */
static uint64_t waits_until(const struct site *site, uint64_t now)
{
	uint64_t at = 0;

	if (site->until > now)
		return site->until;
	if (!site->pool || site->n_lanes > 0 || plan_pool_pick(site->pool, now, &at))
		return 0;
	return at;
}

bool schedule_look_route(const struct schedule *s, const struct id *id, uint32_t recipient,
			 struct schedule_rcpt_view *ret)
{
	struct message *m = plan_message_find(s, id);
	const struct destination *d;
	const struct part *p;

	if (!m || recipient >= m->recipients)
		return false;
	p = plan_part_of(m, recipient);
	d = p->to;
	*ret = (struct schedule_rcpt_view){ .state = (enum schedule_rcpt)plan_states(m)[recipient],
					    .destination = slice_of(d->text, d->text_n),
					    .site = slice_str(d->site ? d->site->name : "") };
	if (ret->state == SCHEDULE_DEFERRED)
		ret->due_ms = plan_out(s, p->due.key);
	if (d->site) {
		struct slice status;

		said_by(d->site->heard, &status, &ret->heard);
		ret->blocked = s->block.on && !list_empty(&d->site->held);
		if (waits_until(d->site, s->now) > 0)
			ret->waits_until_ms = plan_out(s, waits_until(d->site, s->now));
		ret->trouble = d->site->losses > 0 || d->site->pauses > 0;
		said_by(d->site->said, &ret->status, &ret->text);
	} else {
		ret->trouble = d->said != NULL;
		if (d->state == TO_WAIT)
			ret->waits_until_ms = plan_out(s, d->until);
		said_by(d->said, &ret->status, &ret->text);
	}
	return true;
}

static void add_destination(const struct destination *d, uint64_t now, struct schedule_site_view *ret)
{
	ret->ready += d->by[PART_READY];
	ret->active += d->by[PART_ACTIVE];
	ret->deferred += d->by[PART_DEFERRED];
	ages_count(&d->ages, now, age_limit, SCHEDULE_AGES - 1, ret->age);
}

static void view_site(const struct schedule *s, const struct site *site, uint64_t now,
		      struct schedule_site_view *ret)
{
	struct list *at, *after;

	*ret = (struct schedule_site_view){ .name = slice_str(site->name),
					    .key = site->key,
					    .lanes = site->n_lanes,
					    .blocked = s->block.on && !list_empty(&site->held) };
	ret->lanes_limit = site->losses > 0		       ? 1
			   : site->allowed < site->connections ? site->allowed
							       : site->connections;
	if (waits_until(site, now) > 0)
		ret->until_ms = plan_out(s, waits_until(site, now));
	said_by(site->heard ? site->heard : site->said, &ret->status, &ret->text);
	LIST_EACH (&site->destinations, at, after)
		add_destination(container_of(at, struct destination, of_site), now, ret);
}

static void view_destination(const struct schedule *s, const struct destination *d, uint64_t now,
			     struct schedule_site_view *ret)
{
	*ret = (struct schedule_site_view){ .name = slice_of(d->text, d->text_n) };
	if (d->state == TO_WAIT)
		ret->until_ms = plan_out(s, d->until);
	said_by(d->said, &ret->status, &ret->text);
	add_destination(d, now, ret);
}

/* The cursor counts destinations.  A site is told where the first of its destinations is. */
bool schedule_next_site(const struct schedule *s, uint64_t *cursor, uint64_t now_ms,
			struct schedule_site_view *ret)
{
	uint64_t now = plan_in(s, now_ms);

	while (*cursor < s->n_to) {
		const struct destination *d = s->to[(*cursor)++];

		if (!d || (d->site && d->site->destinations.next != &d->of_site))
			continue;
		if (d->site)
			view_site(s, d->site, now, ret);
		else
			view_destination(s, d, now, ret);
		ret->parts = ret->ready + ret->active + ret->deferred;
		if (ret->parts > 0 || ret->lanes > 0)
			return true;
	}
	return false;
}

bool schedule_look_destination(const struct schedule *s, struct slice text, uint64_t now_ms,
			       struct schedule_site_view *ret)
{
	struct map_node *node = map_find(&s->destinations, text);
	const struct destination *d = node ? container_of(node, struct destination, node) : NULL;
	uint64_t now = plan_in(s, now_ms);

	if (!d)
		return false;
	if (d->site)
		view_site(s, d->site, now, ret);
	else
		view_destination(s, d, now, ret);
	ret->parts = ret->ready + ret->active + ret->deferred;
	return true;
}
