/* order.h - which deliveries a worker takes next: a pure data structure.
 *
 * Deliveries wait by mailbox.  A worker takes several at once, of one mailbox or of
 * many, and no mailbox is with two workers at once: they would only wait for each other
 * at its folders' locks.  Mailboxes take turns; within one, what came first goes first.
 *
 * Owns no item.  An item belongs to the caller, who keeps it until order_over().
 */
#ifndef POSTERN_DELIVER_ORDER_H
#define POSTERN_DELIVER_ORDER_H

#include "base/list.h"
#include "base/map.h"

struct order {
	struct map boxes;
	struct list ready; /* boxes with items, with no worker */
	size_t waiting;	   /* items that nobody has taken */
};

struct order_item {
	struct list link;
	struct order_box *box;
	size_t octets; /* of the message */
};

int order_init(struct order *o); /* 0 or -ENOMEM */
/* All items are over, or are given up with it. */
void order_done(struct order *o);

/* The mailbox's name is copied.  0 or -ENOMEM. */
int order_put(struct order *o, struct order_item *item, struct slice mailbox, size_t octets);
struct order_limits {
	size_t items;  /* at most so many */
	size_t enough; /* with so many, no further mailbox is begun */
	size_t octets; /* at most so many, unless it is one item alone */
};
size_t order_take(struct order *o, struct order_item **to, const struct order_limits *max);
/* One that was taken needs its mailbox no more. */
void order_over(struct order *o, struct order_item *item);

#endif
