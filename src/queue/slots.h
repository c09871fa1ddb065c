/* slots.h - numbers for things that come and go: found in O(1), and never taken for one another.
 *
 * A number is a place and how often that place was used, so what a peer says of a
 * thing that has ended finds nothing.  0 is no number.  Holds pointers, owns nothing.
 */
#ifndef POSTERN_QUEUE_SLOTS_H
#define POSTERN_QUEUE_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct slot {
	void *thing;	/* NULL: free */
	uint64_t times; /* how often it was used */
	uint32_t next;	/* of a free one: the next free place + 1 */
};

struct slots {
	struct slot *slot;
	uint32_t room, used, free; /* free: the first free place + 1, or 0 */
	uint32_t n;
};

void slots_done(struct slots *t);
uint64_t slots_put(struct slots *t, void *thing); /* its number, or 0: out of memory */
void *slots_get(const struct slots *t, uint64_t number);
void slots_drop(struct slots *t, uint64_t number); /* fine when it is not there */
/* The first thing at that place or after it, NULL at the end; *at: where the next one may be. */
void *slots_next(const struct slots *t, uint32_t *at);

#endif
