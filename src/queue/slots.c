#include "queue/slots.h"

#include <stdlib.h>

#define PLACE_BITS 24
#define PLACE_MASK ((UINT64_C(1) << PLACE_BITS) - 1)

void slots_done(struct slots *t)
{
	free(t->slot);
	*t = (struct slots){ 0 };
}

static bool more_room(struct slots *t)
{
	uint32_t room = t->room ? t->room * 2 : 64;
	struct slot *slot = room <= PLACE_MASK ? reallocarray(t->slot, room, sizeof(*slot)) : NULL;

	if (!slot)
		return false;
	t->slot = slot;
	t->room = room;
	return true;
}

uint64_t slots_put(struct slots *t, void *thing)
{
	struct slot *slot;
	uint32_t at = t->free;

	if (at == 0) {
		if (t->used == t->room && !more_room(t))
			return 0;
		at = ++t->used;
		t->slot[at - 1] = (struct slot){ 0 };
	} else {
		t->free = t->slot[at - 1].next;
	}
	slot = &t->slot[at - 1];
	slot->thing = thing;
	slot->times++;
	t->n++;
	return slot->times << PLACE_BITS | at;
}

static struct slot *find(const struct slots *t, uint64_t number)
{
	uint64_t at = number & PLACE_MASK;
	struct slot *slot = at > 0 && at <= t->used ? &t->slot[at - 1] : NULL;

	return slot && slot->thing && slot->times == number >> PLACE_BITS ? slot : NULL;
}

void *slots_get(const struct slots *t, uint64_t number)
{
	struct slot *slot = find(t, number);

	return slot ? slot->thing : NULL;
}

void slots_drop(struct slots *t, uint64_t number)
{
	struct slot *slot = find(t, number);

	if (!slot)
		return;
	slot->thing = NULL;
	slot->next = t->free;
	t->free = (uint32_t)(slot - t->slot) + 1;
	t->n--;
}

void *slots_next(const struct slots *t, uint32_t *at)
{
	while (*at < t->used) {
		void *thing = t->slot[(*at)++].thing;

		if (thing)
			return thing;
	}
	return NULL;
}
