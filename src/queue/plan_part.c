/* plan_part.c - parts: when each is looked at again, and the lines that ready ones stand in. */
#include <stdlib.h>

#include "queue/plan.h"

#define NO_MEMORY_MS 1000 /* then a part that found no line is put into one again */

static uint64_t expiry(const struct schedule *s, const struct message *m)
{
	return m->since + s->setup.life_ms;
}

uint64_t plan_part_due(const struct part *p)
{
	return p->deferred > 0 || p->asleep ? p->due.key : UINT64_MAX;
}

static enum part_kind kind_of(const struct message *m, const struct part *p)
{
	if (m->removed)
		return PART_CLOSED;
	if (p->active > 0)
		return PART_ACTIVE;
	if (p->ready > 0)
		return PART_READY;
	return p->deferred > 0 ? PART_DEFERRED : PART_CLOSED;
}

static void recount(struct schedule *s, struct message *m, struct part *p)
{
	enum part_kind kind = kind_of(m, p);

	if (kind == p->kind)
		return;
	if (p->kind == PART_CLOSED)
		ages_add(&p->to->ages, m->since, s->now);
	else if (kind == PART_CLOSED)
		ages_remove(&p->to->ages, m->since);
	if (p->kind != PART_CLOSED)
		p->to->by[p->kind]--;
	if (kind != PART_CLOSED)
		p->to->by[kind]++;
	p->kind = (uint8_t)kind & 3U;
}

/* ---- lines ---- */

static struct share *share_get(struct schedule *s, struct site *site, struct account *a, uint64_t class)
{
	struct share_key key = { .site = site, .account = a, .class = class };
	struct map_node *node = map_find(&s->shares, slice_of(&key, sizeof(key)));
	struct share *h = node ? container_of(node, struct share, node) : calloc(1, sizeof(*h));

	if (node || !h)
		return h;
	h->key = key;
	list_init(&h->flows);
	list_init(&h->link);
	map_insert(&s->shares, &h->node, slice_of(&h->key, sizeof(h->key)));
	return h;
}

void plan_flow_attach(struct schedule *s, struct flow *f)
{
	struct site *site = f->key.to->site;
	struct share *h = share_get(s, site, f->key.account, f->key.class);

	if (!h) /* its destination is resolved anew when the next comes */
		return;
	if (list_empty(&h->flows))
		list_push_back(&site->round[f->key.class], &h->link);
	list_push_back(&h->flows, &f->of_share);
	f->share = h;
}

void plan_flow_detach(struct schedule *s, struct flow *f)
{
	struct share *h = f->share;

	if (!h)
		return;
	list_remove(&f->of_share);
	f->share = NULL;
	if (!list_empty(&h->flows))
		return;
	list_remove(&h->link);
	map_remove(&s->shares, &h->node);
	free(h);
}

struct part *plan_share_part(struct share *h)
{
	struct flow *f = container_of(h->flows.next, struct flow, of_share);

	return container_of(f->parts.next, struct part, link);
}

void plan_share_took(struct share *h)
{
	struct list *first = h->flows.next;
	struct site *site = h->key.site;

	list_remove(first);
	list_push_back(&h->flows, first);
	if (h->parked)
		return;
	list_remove(&h->link);
	list_push_back(&site->round[h->key.class], &h->link);
}

static struct flow *flow_find(const struct schedule *s, const struct message *m, const struct part *p)
{
	struct flow_key key = { .to = p->to, .account = m->account, .class = m->class };
	struct map_node *node = map_find(&s->flows, slice_of(&key, sizeof(key)));

	return node ? container_of(node, struct flow, node) : NULL;
}

static struct flow *flow_get(struct schedule *s, const struct message *m, const struct part *p)
{
	struct flow *f = flow_find(s, m, p);

	if (f)
		return f;
	f = calloc(1, sizeof(*f));
	if (!f)
		return NULL;
	f->key = (struct flow_key){ .to = p->to, .account = m->account, .class = m->class };
	list_init(&f->parts);
	list_init(&f->of_share);
	if (p->to->site) {
		plan_flow_attach(s, f);
		if (!f->share) {
			free(f);
			return NULL;
		}
	}
	list_push_back(&p->to->flows, &f->of_destination);
	map_insert(&s->flows, &f->node, slice_of(&f->key, sizeof(f->key)));
	return f;
}

static void flow_leave(struct schedule *s, struct message *m, struct part *p)
{
	struct flow *f = flow_find(s, m, p);
	struct destination *d = p->to;

	list_remove(&p->link);
	d->waiting--;
	if (d->site)
		d->site->waiting--;
	if (list_empty(&f->parts)) {
		plan_flow_detach(s, f);
		list_remove(&f->of_destination);
		map_remove(&s->flows, &f->node);
		free(f);
		if (fair_in(&d->ask)) /* perhaps under this account, which may go as well */
			plan_destination_ask(s, d);
	}
	if (d->waiting == 0)
		list_remove(&d->link); /* of the doomed */
}

static bool flow_enter(struct schedule *s, struct message *m, struct part *p, uint64_t now)
{
	struct flow *f = flow_get(s, m, p);

	if (!f)
		return false;
	list_push_back(&f->parts, &p->link);
	p->to->waiting++;
	if (p->to->site)
		p->to->site->waiting++;
	p->place = PART_FLOW;
	plan_destination_waits(s, p->to, now);
	return true;
}

static void move(struct schedule *s, struct message *m, struct part *p, enum part_place to, uint64_t now)
{
	struct site *site = p->to->site;

	if (p->place == (unsigned)to)
		return;
	if (p->place == PART_FLOW) {
		flow_leave(s, m, p);
		p->place = PART_NOWHERE;
		if (site)
			plan_site_place(s, site, now);
	} else {
		list_remove(&p->link);
	}
	p->place = (uint8_t)to & 3U;
	if (to == PART_DOOMED) {
		list_push_back(&s->doomed, &p->link);
	} else if (to == PART_FLOW && !flow_enter(s, m, p, now)) {
		p->place = PART_NOWHERE;
		p->asleep = true;
		heap_set(&s->parts, &p->due, now + NO_MEMORY_MS);
	}
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

void plan_part(struct schedule *s, struct message *m, struct part *p, uint64_t due, uint64_t now)
{
	bool open = !m->removed && !m->held && p->ready + p->deferred > 0;

	recount(s, m, p);
	p->asleep = p->asleep && p->ready > 0;
	if (!open) {
		heap_remove(&s->parts, &p->due);
		p->due.key = due; /* kept for its release */
		move(s, m, p, PART_NOWHERE, now);
	} else if (now >= expiry(s, m)) {
		heap_remove(&s->parts, &p->due);
		p->due.key = due;
		move(s, m, p, PART_DOOMED, now);
	} else {
		heap_set(&s->parts, &p->due, sooner(due, expiry(s, m)));
		move(s, m, p, p->ready > 0 && !p->asleep ? PART_FLOW : PART_NOWHERE, now);
	}
}

void plan_part_pop(struct schedule *s, struct part *p, uint64_t now)
{
	struct message *m = plan_message_of(p);

	if (now >= expiry(s, m)) {
		plan_part(s, m, p, plan_part_due(p), now);
		return;
	}
	for (uint32_t i = 0, turned = p->deferred; turned > 0 && i < p->n; i++) {
		uint32_t rcpt = plan_rcpt(m, p, i);

		if (plan_states(m)[rcpt] != SCHEDULE_DEFERRED)
			continue;
		plan_turn_rcpt(m, p, rcpt, SCHEDULE_READY);
		p->begun = false;
		turned--;
	}
	p->asleep = false;
	plan_part(s, m, p, UINT64_MAX, now);
	plan_message_changed(s, m);
}
