/* watchdog.h - names the turns of this process's loop that took too long.
 *
 * A turn over 50 ms is counted, and logged (once a second at most) with what took most of
 * it.  What a loop does while it hangs nobody in it can tell: that is the main process's
 * matter (heartbeat.c).
 */
#ifndef POSTERN_ROLE_WATCHDOG_H
#define POSTERN_ROLE_WATCHDOG_H

#include <jansson.h>
#include <uv.h>

/* Before the loop has handles of others; one loop a process. */
int watchdog_start(uv_loop_t *loop);
void watchdog_forgive(void); /* the turn under way: a start may take its time */
void watchdog_status(json_t *to);

#endif
