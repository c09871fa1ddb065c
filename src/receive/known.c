#include "receive/known.h"

#include <stdlib.h>

struct entry {
	struct map_node node;
	struct list link;
	uint64_t seen_ms;
	bool mixed;
	struct ip ip; /* the key */
};

int known_init(struct known *k, size_t max, uint64_t max_age_ms)
{
	list_init(&k->oldest_first);
	k->max = max;
	k->max_age_ms = max_age_ms;
	return map_init(&k->map);
}

static void drop(struct known *k, struct entry *e)
{
	map_remove(&k->map, &e->node);
	list_remove(&e->link);
	free(e);
}

void known_done(struct known *k)
{
	struct list *at, *after;

	LIST_EACH (&k->oldest_first, at, after)
		drop(k, container_of(at, struct entry, link));
	map_done(&k->map);
}

static struct entry *find(struct known *k, const struct ip *ip)
{
	struct map_node *node = map_find(&k->map, slice_of(ip, sizeof(*ip)));

	return node ? container_of(node, struct entry, node) : NULL;
}

/* Those that are too old are gone as soon as somebody asks. */
static struct entry *find_young(struct known *k, const struct ip *ip, uint64_t now_ms)
{
	struct entry *e = find(k, ip);

	if (!e || now_ms - e->seen_ms <= k->max_age_ms)
		return e;
	drop(k, e);
	return NULL;
}

bool known_has(struct known *k, const struct ip *ip, uint64_t now_ms)
{
	struct entry *e = find_young(k, ip, now_ms);

	return e && !e->mixed;
}

static struct entry *add(struct known *k, const struct ip *ip)
{
	struct entry *e;

	if (k->map.n >= k->max)
		drop(k, container_of(k->oldest_first.next, struct entry, link));
	e = calloc(1, sizeof(*e));
	if (!e)
		return NULL;
	e->ip = *ip;
	list_init(&e->link);
	map_insert(&k->map, &e->node, slice_of(&e->ip, sizeof(e->ip)));
	return e;
}

static void seen(struct known *k, const struct ip *ip, uint64_t now_ms, bool tls)
{
	struct entry *e = find_young(k, ip, now_ms);

	if (e && e->mixed && !tls)
		return;
	if (!e)
		e = add(k, ip);
	if (!e)
		return;
	e->mixed = tls;
	e->seen_ms = now_ms;
	list_remove(&e->link);
	list_push_back(&k->oldest_first, &e->link);
}

void known_plain(struct known *k, const struct ip *ip, uint64_t now_ms)
{
	seen(k, ip, now_ms, false);
}

void known_tls(struct known *k, const struct ip *ip, uint64_t now_ms)
{
	seen(k, ip, now_ms, true);
}
