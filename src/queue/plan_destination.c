/* plan_destination.c - destinations: their names, and where each leads. */
#include <stdlib.h>

#include "queue/plan.h"

#define WAIT_FIRST_MS 60000 /* until a destination that could not be resolved is asked again */
#define WAIT_MAX_MS   (60 * UINT64_C(60000))
#define DOOM_MS	      60000 /* that a permanent failure is believed */
#define LOOK_AT	      16    /* flows, for the most urgent one */

struct destination *plan_destination(const struct schedule *s, uint32_t number)
{
	return number < s->n_to && s->to[number] ? s->to[number] : s->to[SCHEDULE_LOCAL];
}

static bool number_it(struct schedule *s, struct destination *d)
{
	if (s->n_to_free > 0) {
		d->number = s->to_free[--s->n_to_free];
	} else {
		if (s->n_to == s->room_to) {
			uint32_t room = s->room_to ? s->room_to * 2 : 64;
			struct destination **to = reallocarray(s->to, room, sizeof(struct destination *));
			uint32_t *spare;

			if (!to)
				return false;
			s->to = to;
			spare = reallocarray(s->to_free, room, sizeof(*spare));
			if (!spare)
				return false;
			s->to_free = spare;
			s->room_to = room;
		}
		d->number = s->n_to++;
	}
	s->to[d->number] = d;
	return true;
}

uint32_t schedule_destination(struct schedule *s, struct slice text)
{
	struct map_node *node = map_find(&s->destinations, text);
	struct destination *d;

	if (node)
		return container_of(node, struct destination, node)->number;
	if (text.n > UINT16_MAX || !heap_reserve(&s->events, s->n_events + 1))
		return SCHEDULE_NONE;
	d = calloc(1, sizeof(*d) + text.n);
	if (!d || !number_it(s, d)) {
		free(d);
		return SCHEDULE_NONE;
	}
	s->n_events++;
	if (text.n > 0)
		memcpy(d->text, text.p, text.n);
	d->text_n = (uint16_t)text.n;
	list_init(&d->asked_link);
	list_init(&d->of_site);
	list_init(&d->flows);
	list_init(&d->link);
	fair_item_init(&d->ask);
	d->event = (struct event){ .kind = EVENT_DESTINATION, .of = d };
	map_insert(&s->destinations, &d->node, slice_of(d->text, d->text_n));
	list_push_back(&s->idle_to, &d->link);
	s->n_idle_to++;
	return d->number;
}

void plan_destination_hold(struct schedule *s, struct destination *d)
{
	if (d->refs++ > 0)
		return;
	list_remove(&d->link);
	s->n_idle_to--;
}

void plan_destination_release(struct schedule *s, struct destination *d)
{
	if (--d->refs > 0)
		return;
	list_remove(&d->link);
	list_push_back(&s->idle_to, &d->link);
	s->n_idle_to++;
}

/* Of a site that leads nowhere, or about to be. */
static void leave_site(struct schedule *s, struct destination *d, uint64_t now)
{
	struct site *site = d->site;
	struct list *at, *after;

	if (!site)
		return;
	LIST_EACH (&d->flows, at, after)
		plan_flow_detach(s, container_of(at, struct flow, of_destination));
	site->waiting -= d->waiting;
	d->site = NULL;
	list_remove(&d->of_site);
	plan_site_place(s, site, now);
}

/* For good: what waits for it fails, with what was said. */
static void doom(struct schedule *s, struct destination *d, uint64_t now)
{
	d->losses = 0;
	d->state = TO_DOOM;
	d->until = now + DOOM_MS;
	if (d->waiting > 0)
		list_push_back(&s->doomed_to, &d->link);
}

void plan_destination_nowhere(struct schedule *s, struct destination *d, struct slice status,
			      struct slice text, uint64_t now)
{
	if (d->state != TO_SITE)
		return; /* it was asked anew meanwhile */
	leave_site(s, d, now);
	heap_remove(&s->events, &d->event.node);
	plan_said(&d->said, status, text);
	doom(s, d, now);
}

static void stop_asking(struct schedule *s, struct destination *d)
{
	slots_drop(&s->questions, d->question);
	d->question = 0;
	list_remove(&d->asked_link);
}

void plan_destination_free(struct schedule *s, struct destination *d)
{
	uint32_t at = 0;
	struct lane *l;

	if (d->state == TO_ASKED)
		stop_asking(s, d);
	leave_site(s, d, s->now);
	while (!list_empty(&s->opening_lanes) && (l = slots_next(&s->lanes, &at)))
		if (l->to == d)
			l->to = NULL;
	heap_remove(&s->events, &d->event.node);
	s->n_events--;
	list_remove(&d->link);
	s->n_idle_to--;
	map_remove(&s->destinations, &d->node);
	s->to[d->number] = NULL;
	s->to_free[s->n_to_free++] = d->number;
	free(d->said);
	free(d);
}

/* Whose question it is: of the most urgent that wait, as far as one looks. */
void plan_destination_ask(struct schedule *s, struct destination *d)
{
	const struct flow *best = NULL;
	struct list *at, *after;
	unsigned n = 0;

	LIST_EACH (&d->flows, at, after) {
		const struct flow *f = container_of(at, struct flow, of_destination);

		if (!best || f->key.class < best->key.class)
			best = f;
		if (++n == LOOK_AT)
			break;
	}
	if (!best)
		fair_remove(&d->ask);
	else
		fair_put(&s->queue[ASK], &d->ask, (enum fair_class)best->key.class,
			 &best->key.account->seat[ASK][best->key.class]);
}

void plan_destination_unknown(struct schedule *s, struct destination *d, uint64_t now)
{
	if (d->state == TO_ASKED)
		return;
	leave_site(s, d, now);
	heap_remove(&s->events, &d->event.node);
	if (d->state == TO_DOOM && d->waiting > 0)
		list_remove(&d->link);
	d->state = TO_UNKNOWN;
	if (d->waiting > 0)
		plan_destination_ask(s, d);
}

void plan_destination_waits(struct schedule *s, struct destination *d, uint64_t now)
{
	switch (d->state) {
	case TO_SITE:
		/* While it has lanes they find out by themselves whether it leads elsewhere by now. */
		if (d->until <= now && d->site->n_lanes == 0)
			plan_destination_unknown(s, d, now);
		else
			plan_site_place(s, d->site, now);
		break;
	case TO_DOOM:
		if (d->until <= now)
			plan_destination_unknown(s, d, now);
		else if (list_empty(&d->link))
			list_push_back(&s->doomed_to, &d->link);
		break;
	case TO_UNKNOWN:
		plan_destination_ask(s, d);
		break;
	case TO_ASKED:
	case TO_WAIT:
		break;
	}
}

/* ---- asking ---- */

bool schedule_next_resolve(struct schedule *s, uint64_t now_ms, struct schedule_question *ret)
{
	uint64_t now = plan_now(s, now_ms);
	struct fair_item *i;
	struct destination *d;

	plan_turn(s, now);
	i = s->questions.n < s->setup.resolves_max ? fair_head(&s->queue[ASK], FAIR_ALL) : NULL;
	if (!i)
		return false;
	d = container_of(i, struct destination, ask);
	d->question = slots_put(&s->questions, d);
	if (d->question == 0)
		return false;
	fair_took(&s->queue[ASK], i);
	fair_remove(i);
	d->state = TO_ASKED;
	d->asked = now;
	list_push_back(&s->asked, &d->asked_link);
	ret->number = d->question;
	ret->destination = slice_of(d->text, d->text_n);
	return true;
}

static struct site *site_of(struct schedule *s, const struct schedule_site *w)
{
	struct map_node *node = map_find(&s->sites, slice_of(w->key, SCHEDULE_KEY));

	return node ? container_of(node, struct site, node) : plan_site_new(s, w);
}

static bool attach(struct schedule *s, struct destination *d, struct site *site, uint64_t now)
{
	struct list *at, *after;
	bool whole = true;

	d->site = site;
	list_remove(&site->idle);
	list_push_back(&site->destinations, &d->of_site);
	site->waiting += d->waiting;
	LIST_EACH (&d->flows, at, after) {
		struct flow *f = container_of(at, struct flow, of_destination);

		plan_flow_attach(s, f);
		whole = whole && f->share;
	}
	if (!whole)
		leave_site(s, d, now);
	return whole;
}

static void wait_a_while(struct schedule *s, struct destination *d, uint64_t now)
{
	uint64_t pause = d->losses < 7 ? (uint64_t)WAIT_FIRST_MS << d->losses : WAIT_MAX_MS;

	if (pause > WAIT_MAX_MS)
		pause = WAIT_MAX_MS;
	pause += plan_hash(s, d->text, d->text_n, d->losses) % (pause / 4);
	d->losses++;
	d->state = TO_WAIT;
	d->until = now + pause;
	plan_event(s, &d->event, d->until);
}

void schedule_resolved(struct schedule *s, uint64_t question, const struct schedule_site *w, uint64_t ttl_ms,
		       uint64_t now_ms)
{
	uint64_t now = plan_now(s, now_ms);
	struct destination *d = slots_get(&s->questions, question);
	struct site *site;

	if (!d)
		return;
	stop_asking(s, d);
	site = site_of(s, w);
	if (site) {
		if (!list_empty(&site->idle))
			s->n_idle_sites--;
		list_remove(&site->idle);
		plan_site_is(s, site, w);
	}
	if (!site || !attach(s, d, site, now)) {
		wait_a_while(s, d, now);
		if (site)
			plan_site_place(s, site, now);
		return;
	}
	d->losses = 0;
	d->state = TO_SITE;
	d->until = now + ttl_ms;
	plan_site_place(s, site, now);
}

void schedule_unresolved(struct schedule *s, uint64_t question, bool permanent, struct slice status,
			 struct slice text, uint64_t now_ms)
{
	uint64_t now = plan_now(s, now_ms);
	struct destination *d = slots_get(&s->questions, question);

	if (!d)
		return;
	stop_asking(s, d);
	plan_said(&d->said, status, text);
	if (!permanent) {
		wait_a_while(s, d, now);
		return;
	}
	doom(s, d, now);
}

void schedule_forget_sites(struct schedule *s, uint64_t now_ms)
{
	uint64_t now = plan_now(s, now_ms);
	uint32_t at = 0;
	struct lane *l;

	for (uint32_t i = 0; i < s->n_to; i++)
		if (s->to[i] && i != SCHEDULE_LOCAL && s->to[i]->state != TO_ASKED)
			plan_destination_unknown(s, s->to[i], now);
	while ((l = slots_next(&s->lanes, &at)))
		if (!l->attached)
			plan_lane_retire(s, l, now);
}
