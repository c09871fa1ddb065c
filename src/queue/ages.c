#include "queue/ages.h"

#include <stdbool.h>
#include <string.h>

#define NARROW_S 300 /* the narrowest span */

static unsigned span_of(const struct ages *a, uint32_t at_s)
{
	unsigned i = a->spans;

	while (i > 1 && a->from_s[i - 1] > at_s)
		i--;
	return i > 0 ? i - 1 : 0;
}

static void drop(struct ages *a, unsigned i)
{
	a->spans--;
	memmove(&a->from_s[i], &a->from_s[i + 1], (a->spans - i) * sizeof(a->from_s[0]));
	memmove(&a->n[i], &a->n[i + 1], (a->spans - i) * sizeof(a->n[0]));
}

/* Makes room for one span: an empty one goes, or the two that together are the
 * narrowest for their age become one. */
static void squeeze(struct ages *a, uint32_t now_s)
{
	unsigned best = 1;
	double least = 0;

	for (unsigned i = 0; i < a->spans; i++)
		if (a->n[i] == 0) {
			drop(a, i);
			return;
		}
	for (unsigned i = 1; i < a->spans; i++) {
		uint32_t end = i + 1 < a->spans ? a->from_s[i + 1] : now_s;
		double age = now_s > end ? now_s - end + NARROW_S : NARROW_S;
		double width = (double)(end - a->from_s[i - 1]) / age;

		if (i == 1 || width < least) {
			best = i;
			least = width;
		}
	}
	a->n[best - 1] += a->n[best];
	drop(a, best);
}

/* A span that begins there, if that leaves everything that was counted in the span that it is counted in:
 * behind all, or before all. */
static void begin_span(struct ages *a, uint32_t at_s, uint32_t now_s)
{
	bool first;
	unsigned i;

	at_s -= at_s % NARROW_S;
	first = a->spans > 0 && at_s < a->from_s[0];
	if (a->spans > 0 && !first && at_s <= a->latest_s)
		return;
	if (a->spans == AGES_SPANS)
		squeeze(a, now_s);
	i = first ? 0 : a->spans;
	memmove(&a->from_s[i + 1], &a->from_s[i], (a->spans - i) * sizeof(a->from_s[0]));
	memmove(&a->n[i + 1], &a->n[i], (a->spans - i) * sizeof(a->n[0]));
	a->from_s[i] = at_s;
	a->n[i] = 0;
	a->spans++;
}

void ages_add(struct ages *a, uint64_t began_ms, uint64_t now_ms)
{
	uint32_t at_s = (uint32_t)(began_ms / 1000);

	begin_span(a, at_s, (uint32_t)(now_ms / 1000));
	a->n[span_of(a, at_s)]++;
	if (at_s > a->latest_s)
		a->latest_s = at_s;
}

void ages_remove(struct ages *a, uint64_t began_ms)
{
	unsigned i = span_of(a, (uint32_t)(began_ms / 1000));

	if (a->spans > 0 && a->n[i] > 0)
		a->n[i]--;
}

void ages_count(const struct ages *a, uint64_t now_ms, const uint64_t *limit_ms, unsigned limits,
		uint64_t *ret)
{
	for (unsigned i = 0; i < a->spans; i++) {
		uint64_t end = i + 1 < a->spans ? a->from_s[i + 1] : a->from_s[i] + NARROW_S;
		uint64_t middle = (a->from_s[i] + end) * UINT64_C(500),
			 age = now_ms > middle ? now_ms - middle : 0;
		unsigned at = 0;

		while (at < limits && age >= limit_ms[at])
			at++;
		ret[at] += a->n[i];
	}
}
