/* bounce_pace.h - how fast reports go out: an engine.
 *
 * One pace over all, one for each sender; each report takes a place in both, and is told when it may
 * go.  A burst goes at once.  Senders that had nothing for a while are forgotten; while there are
 * too many of them, only the pace over all holds.  Times are milliseconds since 1970.
 */
#ifndef POSTERN_QUEUE_BOUNCE_PACE_H
#define POSTERN_QUEUE_BOUNCE_PACE_H

#include "base/map.h"

#define BOUNCE_PACE_ALL_MS    50  /* between two reports, when they come without end */
#define BOUNCE_PACE_ALL_BURST 200 /* reports that go at once */
#define BOUNCE_PACE_MS	      500 /* the same, to one sender */
#define BOUNCE_PACE_BURST     100
#define BOUNCE_PACE_SENDERS   10000

struct bounce_pace {
	uint64_t all_ms; /* when the next one would be due, were there no burst */
	struct map senders;
};

int bounce_pace_init(struct bounce_pace *p); /* 0 or -ENOMEM */
void bounce_pace_done(struct bounce_pace *p);
/* When it may go: now or later.  The place is taken. */
uint64_t bounce_pace_take(struct bounce_pace *p, struct slice sender, uint64_t now_ms);
/* Would one more go at once? */
bool bounce_pace_free(const struct bounce_pace *p, struct slice sender, uint64_t now_ms);
void bounce_pace_shift(struct bounce_pace *p, int64_t by_ms);

#endif
