/* rounds.h - deliveries made together, on threads: a driver on a libuv loop.
 *
 * Deliveries wait by mailbox (order.h).  A round takes those that wait at the moment, up
 * to a ceiling, and goes through the steps of maildir.h on the thread pool; while its
 * files are synced it is in several parts, so that a slow disk has more to do at once.
 * Nobody waits on purpose: one alone is a round, too.
 *
 * Knows no job and no queue.  Items belong to the caller, who keeps each with all that
 * its message points to until done() was called for it.
 */
#ifndef POSTERN_DELIVER_ROUNDS_H
#define POSTERN_DELIVER_ROUNDS_H

#include <uv.h>

#include "deliver/maildir.h"
#include "deliver/order.h"

#define ROUNDS_THREADS "8" /* UV_THREADPOOL_SIZE, to be set before the first work */

struct rounds;

struct rounds_item {
	struct order_item wait;
	struct maildir_message message;
	struct maildir_outcome outcome;
};

typedef void rounds_done(void *arg, struct rounds_item *item);

/* setup stands as long as the rounds do.  0 or -ENOMEM. */
int rounds_new(uv_loop_t *loop, const struct maildir_setup *setup, rounds_done *done, void *arg,
	       struct rounds **ret);
/* done() is called from the loop, or at once when memory lacks. */
void rounds_put(struct rounds *r, struct rounds_item *item);
/* Begins what may begin, after one or more were put. */
void rounds_go(struct rounds *r);

#endif
