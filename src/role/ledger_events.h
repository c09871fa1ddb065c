/* ledger_events.h - between ledger.c and the two ledger_events files only: the history of
 * events, from the messages that bring them to the file and to those who ask.
 *
 * Events are gathered in batches in memory and written once a second, or when a batch is
 * full, on a thread: the loop never waits for the disk.  What the disk does not take waits
 * in memory up to a ceiling, then is dropped and counted.  The last ones stay in memory for
 * those who follow them.
 */
#ifndef POSTERN_ROLE_LEDGER_EVENTS_H
#define POSTERN_ROLE_LEDGER_EVENTS_H

#include "history/events.h"
#include "role/role.h"

struct ledger_events;

int ledger_events_new(struct role *r, struct ledger_events **ret); /* 0 or -ENOMEM, before the loop runs */
int ledger_events_start(struct ledger_events *l);		   /* the loop is there */
/* Writes what there is, waiting for the disk; then closed(). */
void ledger_events_close(struct ledger_events *l, void (*closed)(struct role *r));

/* A sound one. */
void ledger_events_add(struct ledger_events *l, const struct ipc_event *e);
/* For events that the ledger makes itself: begin, then tell. */
struct event_sink *ledger_events_sink(struct ledger_events *l);
void ledger_events_tell(struct ledger_events *l);

uint64_t ledger_events_now_ms(void); /* since 1970 */

/* events.find, events.read, events.follow */
void ledger_events_request(struct ledger_events *l, struct role_request *req);
void ledger_events_status(struct ledger_events *l, json_t *to);

#endif
