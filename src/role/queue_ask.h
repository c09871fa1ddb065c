/* queue_ask.h - between queue.c and queue_ask.c only: the command line's questions
 * about the queue.
 *
 * Long answers go out in parts, a bounded piece of work a turn and no faster than
 * they are taken.
 */
#ifndef POSTERN_ROLE_QUEUE_ASK_H
#define POSTERN_ROLE_QUEUE_ASK_H

#include "queue/handout.h"
#include "role/role.h"
#include "spool/spool.h"

struct queue_ask;

/* changed: called when something may be due now. */
int queue_ask_new(struct role *r, struct spool *sp, struct schedule *schedule, struct handout *handout,
		  void (*changed)(struct role *r), struct queue_ask **ret);
/* Who tells senders; before the first question. */
struct bounce;
void queue_ask_bounce(struct queue_ask *a, struct bounce *bounce);
/* Where it is told what administrators do; lives longer. */
struct event_sink;
void queue_ask_events(struct queue_ask *a, struct event_sink *events);
void queue_ask(struct queue_ask *a, struct role_request *req);
/* Whoever still waits for an answer hears that the server stops.  NULL is fine. */
void queue_ask_free(struct queue_ask *a);

uint64_t queue_now_ms(void); /* since 1970 */

#endif
