/* fair.h - whose turn it is: classes by weight, and within a class one account after the other.
 *
 * Urgent, normal and bulk get 16, 4 and 1 turns of 21 where all three have something; a class
 * that had nothing for a while saves nothing up.  What waits is filed under its account,
 * whose seat is in the round of its class while anything is.  Everything is O(1), and
 * allocates nothing: items and seats lie in their elements.
 */
#ifndef POSTERN_QUEUE_FAIR_H
#define POSTERN_QUEUE_FAIR_H

#include <stdint.h>

#include "base/list.h"

enum fair_class { FAIR_URGENT, FAIR_NORMAL, FAIR_BULK, FAIR_CLASSES };
#define FAIR_ALL 7U /* a mask of classes */

/* Turns among classes. */
struct turns {
	uint64_t pass[FAIR_CLASSES], now;
	unsigned active; /* a mask: those that had something when it was last asked */
};
/* mask: those that have something, not 0. */
enum fair_class turns_pick(struct turns *t, unsigned mask);
void turns_took(struct turns *t, enum fair_class c);

/* An account in one class of one queue. */
struct fair_seat {
	struct list link;  /* in the round */
	struct list items; /* of it */
};
struct fair_item {
	struct list link;
	struct fair_seat *seat; /* NULL: in no queue */
	enum fair_class class;
};
struct fair {
	struct turns turns;
	struct list round[FAIR_CLASSES];
};

void fair_init(struct fair *f);
void fair_seat_init(struct fair_seat *seat);
void fair_item_init(struct fair_item *i);
static inline bool fair_in(const struct fair_item *i)
{
	return i->seat != NULL;
}
/* Puts it last with that seat, or leaves it where it is if it is there already. */
void fair_put(struct fair *f, struct fair_item *i, enum fair_class c, struct fair_seat *seat);
void fair_remove(struct fair_item *i); /* fine when it is in none */
unsigned fair_mask(const struct fair *f);
/* Whose turn it is among these classes; NULL: nobody's. */
struct fair_item *fair_head(struct fair *f, unsigned mask);
/* It had its turn: it is behind the others now, and its account behind other accounts. */
void fair_took(struct fair *f, struct fair_item *i);

#endif
