/* bucket.h - so many a minute, evenly: a token bucket.
 *
 * Up to a second's worth may go at once, so in any minute it lets pass at most a sixtieth, and
 * one, more than per_minute.  Times are milliseconds; it never sees them go back.
 */
#ifndef POSTERN_QUEUE_BUCKET_H
#define POSTERN_QUEUE_BUCKET_H

#include <stdint.h>

struct bucket {
	unsigned per_minute; /* 0: no limit */
	uint64_t next_us;    /* when the next one would be due at an even pace */
};

/* When the next one may go; 0: now. */
static inline uint64_t bucket_at(const struct bucket *b, uint64_t now_ms)
{
	uint64_t step = b->per_minute ? UINT64_C(60000000) / b->per_minute : 0;
	uint64_t at = b->next_us, ahead = step < 1000000 ? 1000000 - step : 0;

	if (step == 0 || at <= now_ms * 1000 + ahead)
		return 0;
	return (at - ahead + 999) / 1000;
}

static inline void bucket_take(struct bucket *b, uint64_t now_ms)
{
	if (b->per_minute == 0)
		return;
	if (b->next_us < now_ms * 1000)
		b->next_us = now_ms * 1000;
	b->next_us += UINT64_C(60000000) / b->per_minute;
}

#endif
