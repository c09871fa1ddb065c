#include "deliver/order.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct order_box {
	struct map_node node;
	struct list link; /* of the ready ones */
	struct list items;
	size_t taken; /* items with a worker */
	size_t n;
	char mailbox[];
};

int order_init(struct order *o)
{
	*o = (struct order){ 0 };
	list_init(&o->ready);
	return map_init(&o->boxes);
}

void order_done(struct order *o)
{
	struct map_node *node;

	while (o->boxes.bucket && (node = map_take_any(&o->boxes)))
		free(container_of(node, struct order_box, node));
	map_done(&o->boxes);
}

static struct order_box *find_or_make(struct order *o, struct slice mailbox)
{
	struct map_node *node = map_find(&o->boxes, mailbox);
	struct order_box *b;

	if (node)
		return container_of(node, struct order_box, node);
	b = calloc(1, sizeof(*b) + mailbox.n);
	if (!b)
		return NULL;
	if (mailbox.n > 0)
		memcpy(b->mailbox, mailbox.p, mailbox.n);
	list_init(&b->link);
	list_init(&b->items);
	map_insert(&o->boxes, &b->node, slice_of(b->mailbox, mailbox.n));
	return b;
}

int order_put(struct order *o, struct order_item *item, struct slice mailbox, size_t octets)
{
	struct order_box *b = find_or_make(o, mailbox);

	if (!b)
		return -ENOMEM;
	item->box = b;
	item->octets = octets;
	list_push_back(&b->items, &item->link);
	o->waiting++;
	if (b->n++ == 0 && b->taken == 0)
		list_push_back(&o->ready, &b->link);
	return 0;
}

size_t order_take(struct order *o, struct order_item **to, const struct order_limits *max)
{
	size_t n = 0, sum = 0;

	while (n < max->items && (n == 0 || n < max->enough) && !list_empty(&o->ready)) {
		struct order_box *b = container_of(o->ready.next, struct order_box, link);

		while (n < max->items && b->n > 0) {
			struct order_item *item = container_of(b->items.next, struct order_item, link);

			if (n > 0 && (item->octets > max->octets || sum > max->octets - item->octets))
				break;
			sum += item->octets;
			list_remove(&item->link);
			b->n--;
			b->taken++;
			o->waiting--;
			to[n++] = item;
		}
		if (b->taken == 0)
			break; /* its first one is too large for this company */
		list_remove(&b->link);
	}
	return n;
}

void order_over(struct order *o, struct order_item *item)
{
	struct order_box *b = item->box;

	item->box = NULL;
	if (--b->taken > 0)
		return;
	if (b->n > 0) {
		list_push_back(&o->ready, &b->link);
		return;
	}
	map_remove(&o->boxes, &b->node);
	free(b);
}
