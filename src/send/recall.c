#include "send/recall.h"

#include <stdlib.h>
#include <string.h>

#define NAME_MAX_ 320

struct entry {
	struct map_node node;
	struct list link;
	uint64_t until_ms;
	uint32_t value;
	size_t n;
	unsigned char key[]; /* kind, then the name */
};

int recall_init(struct recall *r)
{
	list_init(&r->old);
	r->n = 0;
	return map_init(&r->map);
}

static void drop(struct recall *r, struct entry *e)
{
	map_remove(&r->map, &e->node);
	list_remove(&e->link);
	r->n--;
	free(e);
}

void recall_done(struct recall *r)
{
	while (!list_empty(&r->old))
		drop(r, container_of(r->old.next, struct entry, link));
	map_done(&r->map);
}

static struct entry *find(const struct recall *r, enum recall_kind kind, struct slice name)
{
	unsigned char key[NAME_MAX_];
	struct map_node *node;

	if (name.n + 1 > sizeof(key))
		return NULL;
	key[0] = (unsigned char)kind;
	if (name.n > 0)
		memcpy(key + 1, name.p, name.n);
	node = map_find(&r->map, slice_of(key, name.n + 1));
	return node ? container_of(node, struct entry, node) : NULL;
}

void recall_put(struct recall *r, enum recall_kind kind, struct slice name, uint32_t value, uint64_t until_ms)
{
	struct entry *e = find(r, kind, name);

	if (name.n + 1 > NAME_MAX_)
		return;
	if (e)
		drop(r, e);
	else if (r->n >= RECALL_MAX)
		drop(r, container_of(r->old.next, struct entry, link));
	e = malloc(sizeof(*e) + name.n + 1);
	if (!e)
		return;
	e->until_ms = until_ms;
	e->value = value;
	e->n = name.n + 1;
	e->key[0] = (unsigned char)kind;
	if (name.n > 0)
		memcpy(e->key + 1, name.p, name.n);
	map_insert(&r->map, &e->node, slice_of(e->key, e->n));
	list_push_back(&r->old, &e->link);
	r->n++;
}

bool recall_get(const struct recall *r, enum recall_kind kind, struct slice name, uint64_t now_ms,
		uint32_t *ret)
{
	const struct entry *e = find(r, kind, name);

	if (!e || now_ms >= e->until_ms)
		return false;
	*ret = e->value;
	return true;
}

bool recall_has(const struct recall *r, enum recall_kind kind, struct slice name, uint64_t now_ms)
{
	uint32_t value;

	return recall_get(r, kind, name, now_ms, &value);
}

void recall_forget(struct recall *r, enum recall_kind kind, struct slice name)
{
	struct entry *e = find(r, kind, name);

	if (e)
		drop(r, e);
}
