#include "policy/claims.h"

#include <errno.h>
#include <stdlib.h>

#define LISTED_MS 60000 /* a refusal that is over is shown for so long */

struct of_process {
	uint32_t claim, use;
};

struct entry {
	struct map_node node;
	struct list link;
	uint32_t limit;
	uint64_t refused_ms; /* until when */
	unsigned processes;  /* that told something so far: one past the highest */
	struct of_process *of;
	size_t n;
	unsigned char key[];
};

struct claims {
	struct map map;
	struct list all;
	struct entry *met; /* newly refused, by the last claim */
};

int claims_new(struct claims **ret)
{
	struct claims *c = calloc(1, sizeof(*c));

	if (!c || map_init(&c->map) < 0) {
		free(c);
		return -ENOMEM;
	}
	list_init(&c->all);
	*ret = c;
	return 0;
}

static void forget(struct claims *c, struct entry *e)
{
	if (c->met == e)
		c->met = NULL;
	map_remove(&c->map, &e->node);
	list_remove(&e->link);
	free(e->of);
	free(e);
}

void claims_free(struct claims *c)
{
	struct list *at, *after;

	if (!c)
		return;
	LIST_EACH (&c->all, at, after)
		forget(c, container_of(at, struct entry, link));
	map_done(&c->map);
	free(c);
}

static uint64_t claimed(const struct entry *e, unsigned but)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < e->processes; i++)
		if (i != but)
			n += e->of[i].claim;
	return n;
}

static struct entry *find(const struct claims *c, struct slice key)
{
	struct map_node *node = map_find(&c->map, key);

	return node ? container_of(node, struct entry, node) : NULL;
}

static struct entry *add(struct claims *c, struct slice key)
{
	struct entry *e = c->map.n < CLAIMS_MAX ? calloc(1, sizeof(*e) + key.n) : NULL;

	if (!e)
		return NULL;
	memcpy(e->key, key.p, key.n);
	e->n = key.n;
	map_insert(&c->map, &e->node, slice_of(e->key, e->n));
	list_push_back(&c->all, &e->link);
	return e;
}

static bool room_for(struct entry *e, unsigned process)
{
	struct of_process *of;

	if (process < e->processes)
		return true;
	of = realloc(e->of, (process + 1) * sizeof(*of));
	if (!of)
		return false;
	memset(of + e->processes, 0, (process + 1 - e->processes) * sizeof(*of));
	e->of = of;
	e->processes = process + 1;
	return true;
}

static void forget_if_idle(struct claims *c, struct entry *e, uint64_t now)
{
	if (claimed(e, CLAIMS_PROCESSES) == 0 && (e->refused_ms == 0 || e->refused_ms + LISTED_MS < now))
		forget(c, e);
}

uint32_t claims_claim(struct claims *c, uint64_t now_ms, unsigned process, const struct limit_claim *claim,
		      bool *ret_full)
{
	struct entry *e = find(c, claim->key);
	uint64_t others;
	uint32_t granted;

	*ret_full = false;
	c->met = NULL;
	if (!e && claim->want == 0 && claim->have == 0 && claim->refused_s == 0)
		return 0;
	if (!e)
		e = add(c, claim->key);
	if (!e || !room_for(e, process)) {
		if (e)
			forget_if_idle(c, e, now_ms);
		*ret_full = true;
		return claim->have;
	}
	others = claimed(e, process);
	granted = others >= claim->pool ? 0 : claim->pool - (uint32_t)others;
	if (granted > claim->want)
		granted = claim->want;
	/* What is in use is: the sum may be over the pool after an outage of ours. */
	if (granted < claim->have)
		granted = claim->have;
	e->of[process] = (struct of_process){ .claim = granted, .use = claim->use };
	e->limit = claim->limit;
	if (claim->refused_s > 0) {
		if (e->refused_ms == 0 || e->refused_ms + LISTED_MS < now_ms)
			c->met = e;
		e->refused_ms = now_ms + (uint64_t)claim->refused_s * 1000;
	}
	forget_if_idle(c, e, now_ms);
	return granted;
}

void claims_drop(struct claims *c, unsigned process)
{
	struct list *at, *after;

	LIST_EACH (&c->all, at, after) {
		struct entry *e = container_of(at, struct entry, link);

		if (process >= e->processes)
			continue;
		e->of[process] = (struct of_process){ 0 };
		forget_if_idle(c, e, 0);
	}
}

void claims_sweep(struct claims *c, uint64_t now_ms)
{
	struct list *at, *after;

	LIST_EACH (&c->all, at, after)
		forget_if_idle(c, container_of(at, struct entry, link), now_ms);
}

static bool show(const struct entry *e, uint64_t now_ms,
		 bool (*each)(void *arg, const struct claims_row *row), void *arg)
{
	struct claims_row row = { .limit = e->limit };
	uint64_t use = 0;
	struct buf who;
	bool more = true;

	for (unsigned i = 0; i < e->processes; i++)
		use += e->of[i].use;
	row.use = use < UINT32_MAX ? (uint32_t)use : UINT32_MAX;
	row.refused_ms = e->refused_ms + LISTED_MS > now_ms ? e->refused_ms : 0;
	buf_init(&who, 4 * LIMIT_KEY_MAX);
	if (limit_key_show(slice_of(e->key, e->n), &row.kind, &row.listener, &who)) {
		row.who = buf_slice(&who);
		more = each(arg, &row);
	}
	buf_done(&who);
	return more;
}

void claims_each(struct claims *c, uint64_t now_ms, bool (*each)(void *arg, const struct claims_row *row),
		 void *arg)
{
	struct list *at, *after;
	bool more = true;

	LIST_EACH (&c->all, at, after)
		more = more && show(container_of(at, struct entry, link), now_ms, each, arg);
}

void claims_met(struct claims *c, uint64_t now_ms, bool (*each)(void *arg, const struct claims_row *row),
		void *arg)
{
	if (c->met)
		show(c->met, now_ms, each, arg);
	c->met = NULL;
}

size_t claims_clear(struct claims *c, struct slice who)
{
	struct list *at, *after;
	size_t n = 0;

	LIST_EACH (&c->all, at, after) {
		struct entry *e = container_of(at, struct entry, link);
		struct slice listener;
		enum limit_kind kind;
		struct buf text;

		buf_init(&text, 4 * LIMIT_KEY_MAX);
		if (limit_key_show(slice_of(e->key, e->n), &kind, &listener, &text) &&
		    (who.n == 0 || slice_eq_nocase(buf_slice(&text), who))) {
			/* The processes hear of it and give back what they hold. */
			e->refused_ms = 0;
			n++;
		}
		buf_done(&text);
	}
	return n;
}

size_t claims_size(const struct claims *c)
{
	return c->map.n;
}
