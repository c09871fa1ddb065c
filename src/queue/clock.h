/* clock.h - notices that the wall clock was set.
 *
 * The queue's times are wall-clock times, as people read them and as they are kept
 * over restarts.  A clock that steady time shows to have jumped must move the plan
 * with it (schedule_shift()): else a step back by a day stops deliveries for a day,
 * and one ahead by a week bounces what is a minute old.  Reads no clock itself.
 */
#ifndef POSTERN_QUEUE_CLOCK_H
#define POSTERN_QUEUE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define CLOCK_SLACK_MS 2000 /* less is drift, of no matter until it adds up */

struct queue_clock {
	bool begun;
	int64_t ahead_ms; /* wall minus steady */
};

/* By how many milliseconds the wall clock was set since the last answer that was
 * not 0; 0: it was not.  Begins with the first call. */
int64_t queue_clock_look(struct queue_clock *c, uint64_t wall_ms, uint64_t steady_ms);

#endif
