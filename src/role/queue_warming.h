/* queue_warming.h - between queue.c and queue_warming.c only: what sources that warm up have sent today
 * is remembered over a restart, so that no day's share goes out twice.
 *
 * In a file beside those of the spool, which knows its own by their names.  It is written once a second
 * while mail goes out by such sources, and at the end, and not synced: after a crash the count is a second
 * old, after power loss perhaps some seconds.
 */
#ifndef POSTERN_ROLE_QUEUE_WARMING_H
#define POSTERN_ROLE_QUEUE_WARMING_H

#include "base/buf.h"
#include "queue/schedule.h"

/* last: what the file holds, the caller's, from buf_init() with QUEUE_WARMING_MAX; nothing is written while
 * that is true.  Errors are logged. */
#define QUEUE_WARMING_MAX 65536
void queue_warming_keep(const char *state_dir, const struct schedule *s, struct buf *last);
/* To pools that are configured already. */
void queue_warming_remember(const char *state_dir, struct schedule *s, uint64_t now_ms);

#endif
