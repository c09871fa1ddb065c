/* asks.h - the questions that smtp processes have from us: where does mail for this destination go?
 *
 * How many there may be, and how old, is the schedule's matter; which destinations lead where is
 * kept there too.  Here each is kept with the process that has it: when that goes away, another
 * one is asked, and an answer to what nobody asked is known for what it is.
 */
#ifndef POSTERN_QUEUE_ASKS_H
#define POSTERN_QUEUE_ASKS_H

#include "base/list.h"
#include "queue/carrier.h"
#include "queue/ways.h"

#define ASKS_NOBODY UINT32_MAX

struct asks_one {
	struct map_node node;
	struct list waits; /* for a process that it can be asked of */
	uint64_t number;   /* the schedule's */
	unsigned carrier;  /* ASKS_NOBODY: none yet */
	char destination[WAYS_TEXT_MAX + 1];
};

struct asks {
	struct map all;
	struct list waiting;
	uint64_t last; /* number */
	unsigned next; /* whose turn it is */
};

int asks_init(struct asks *a); /* 0 or -ENOMEM */
void asks_done(struct asks *a);
bool asks_add(struct asks *a, uint64_t number, struct slice destination); /* false: out of memory */
/* The next that waits, marked as that process's; NULL: none does. */
struct asks_one *asks_take(struct asks *a, unsigned carrier);
struct asks_one *asks_find(const struct asks *a, uint64_t number);
void asks_over(struct asks *a, struct asks_one *q);
/* That process went: what it was asked waits again. */
void asks_carrier_gone(struct asks *a, unsigned carrier);

#endif
