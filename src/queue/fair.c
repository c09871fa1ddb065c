#include "queue/fair.h"

enum fair_class turns_pick(struct turns *t, unsigned mask)
{
	unsigned fresh = mask & ~t->active, best = FAIR_CLASSES;

	for (unsigned c = 0; c < FAIR_CLASSES; c++) {
		if ((fresh >> c & 1) && t->pass[c] < t->now)
			t->pass[c] = t->now;
		if ((mask >> c & 1) && (best == FAIR_CLASSES || t->pass[c] < t->pass[best]))
			best = c;
	}
	t->active = mask;
	return (enum fair_class)best;
}

void turns_took(struct turns *t, enum fair_class c)
{
	static const uint64_t stride[FAIR_CLASSES] = { 1, 4, 16 };

	if (t->pass[c] > t->now)
		t->now = t->pass[c];
	t->pass[c] += stride[c];
}

void fair_init(struct fair *f)
{
	*f = (struct fair){ 0 };
	for (unsigned c = 0; c < FAIR_CLASSES; c++)
		list_init(&f->round[c]);
}

void fair_seat_init(struct fair_seat *seat)
{
	list_init(&seat->link);
	list_init(&seat->items);
}

void fair_item_init(struct fair_item *i)
{
	list_init(&i->link);
	i->seat = NULL;
}

void fair_put(struct fair *f, struct fair_item *i, enum fair_class c, struct fair_seat *seat)
{
	if (i->seat == seat)
		return;
	fair_remove(i);
	i->seat = seat;
	i->class = c;
	if (list_empty(&seat->items))
		list_push_back(&f->round[c], &seat->link);
	list_push_back(&seat->items, &i->link);
}

void fair_remove(struct fair_item *i)
{
	if (!i->seat)
		return;
	list_remove(&i->link);
	if (list_empty(&i->seat->items))
		list_remove(&i->seat->link);
	i->seat = NULL;
}

unsigned fair_mask(const struct fair *f)
{
	unsigned mask = 0;

	for (unsigned c = 0; c < FAIR_CLASSES; c++)
		mask |= (unsigned)!list_empty(&f->round[c]) << c;
	return mask;
}

struct fair_item *fair_head(struct fair *f, unsigned mask)
{
	struct fair_seat *seat;

	mask &= fair_mask(f);
	if (mask == 0)
		return NULL;
	seat = container_of(f->round[turns_pick(&f->turns, mask)].next, struct fair_seat, link);
	return container_of(seat->items.next, struct fair_item, link);
}

void fair_took(struct fair *f, struct fair_item *i)
{
	struct fair_seat *seat = i->seat;

	if (!seat)
		return;
	turns_took(&f->turns, i->class);
	list_remove(&i->link);
	list_push_back(&seat->items, &i->link);
	list_remove(&seat->link);
	list_push_back(&f->round[i->class], &seat->link);
}
