/* ages.h - how old are the many things of a set, without keeping each: counts by time spans.
 *
 * Things come and go by the time when they began; a count covers a span of times, and
 * spans that are narrow for their age are put together.  So it is small, never walks
 * its things, and tells an age to about a fifth of it, and young ones to 5 minutes.
 */
#ifndef POSTERN_QUEUE_AGES_H
#define POSTERN_QUEUE_AGES_H

#include <stdint.h>

#define AGES_SPANS 12

struct ages {
	uint32_t from_s[AGES_SPANS]; /* ascending; a span ends where the next begins */
	uint32_t n[AGES_SPANS];
	uint32_t spans;
	uint32_t latest_s; /* the latest that ever began */
};

void ages_add(struct ages *a, uint64_t began_ms, uint64_t now_ms);
void ages_remove(struct ages *a, uint64_t began_ms);
/* Adds to ret[i] how many are younger than limit_ms[i] and not than the one before; ret[limits]: the rest. */
void ages_count(const struct ages *a, uint64_t now_ms, const uint64_t *limit_ms, unsigned limits,
		uint64_t *ret);

#endif
