/* queue_port25.h - between queue.c and queue_port25.c only: that this network blocks port 25 is
 * remembered over a restart.
 *
 * In a file beside those of the spool, which knows its own by their names.  So a start does not
 * begin by finding out again, one time-out after the other, and says at once what is wrong.
 */
#ifndef POSTERN_ROLE_QUEUE_PORT25_H
#define POSTERN_ROLE_QUEUE_PORT25_H

#include "queue/port25.h"

/* What it says is of use, and nothing depends on it: errors are logged, no more. */
void queue_port25_keep(const char *state_dir, const struct port25 *p);
/* Whether it was blocked when the last queue went, logged; and since when, in ms since 1970. */
bool queue_port25_remember(const char *state_dir, uint64_t now_ms, uint64_t *ret_since_ms);

#endif
