#include "queue/asks.h"

#include <stdlib.h>

int asks_init(struct asks *a)
{
	*a = (struct asks){ 0 };
	list_init(&a->waiting);
	return map_init(&a->all);
}

void asks_done(struct asks *a)
{
	struct map_node *node;

	while (a->all.bucket && (node = map_take_any(&a->all)))
		free(container_of(node, struct asks_one, node));
	map_done(&a->all);
}

bool asks_add(struct asks *a, uint64_t number, struct slice destination)
{
	struct asks_one *q = calloc(1, sizeof(*q));

	if (!q)
		return false;
	q->number = number;
	q->carrier = ASKS_NOBODY;
	slice_copy(destination, q->destination, sizeof(q->destination));
	map_insert(&a->all, &q->node, slice_of(&q->number, sizeof(q->number)));
	list_push_back(&a->waiting, &q->waits);
	if (number > a->last)
		a->last = number;
	return true;
}

struct asks_one *asks_take(struct asks *a, unsigned carrier)
{
	struct asks_one *q;

	if (list_empty(&a->waiting))
		return NULL;
	q = container_of(a->waiting.next, struct asks_one, waits);
	list_remove(&q->waits);
	q->carrier = carrier;
	return q;
}

struct asks_one *asks_find(const struct asks *a, uint64_t number)
{
	struct map_node *node = map_find(&a->all, slice_of(&number, sizeof(number)));

	return node ? container_of(node, struct asks_one, node) : NULL;
}

void asks_over(struct asks *a, struct asks_one *q)
{
	map_remove(&a->all, &q->node);
	list_remove(&q->waits);
	free(q);
}

void asks_carrier_gone(struct asks *a, unsigned carrier)
{
	struct map_node *node = NULL;

	while ((node = map_next(&a->all, node))) {
		struct asks_one *q = container_of(node, struct asks_one, node);

		if (q->carrier != carrier)
			continue;
		q->carrier = ASKS_NOBODY;
		list_push_back(&a->waiting, &q->waits);
	}
}
