#include "queue/bounce_pace.h"

#include <stdlib.h>

#include "base/list.h"

struct sender {
	struct map_node node;
	uint64_t at_ms;
	unsigned char address[];
};

int bounce_pace_init(struct bounce_pace *p)
{
	*p = (struct bounce_pace){ 0 };
	return map_init(&p->senders);
}

void bounce_pace_done(struct bounce_pace *p)
{
	struct map_node *node;

	while (p->senders.bucket && (node = map_take_any(&p->senders)))
		free(container_of(node, struct sender, node));
	map_done(&p->senders);
}

static struct sender *find(const struct bounce_pace *p, struct slice address)
{
	struct map_node *node = map_find(&p->senders, address);

	return node ? container_of(node, struct sender, node) : NULL;
}

/* Those whose time is over are as good as new. */
static void forget_old(struct bounce_pace *p, uint64_t now_ms)
{
	struct map_node *node = map_next(&p->senders, NULL), *next;

	for (; node; node = next) {
		struct sender *s = container_of(node, struct sender, node);

		next = map_next(&p->senders, node);
		if (s->at_ms > now_ms)
			continue;
		map_remove(&p->senders, node);
		free(s);
	}
}

static struct sender *make(struct bounce_pace *p, struct slice address, uint64_t now_ms)
{
	struct sender *s;

	if (p->senders.n >= BOUNCE_PACE_SENDERS)
		forget_old(p, now_ms);
	s = p->senders.n < BOUNCE_PACE_SENDERS ? calloc(1, sizeof(*s) + address.n) : NULL;
	if (!s)
		return NULL;
	if (address.n > 0)
		memcpy(s->address, address.p, address.n);
	map_insert(&p->senders, &s->node, slice_of(s->address, address.n));
	return s;
}

/* Each takes a step; what runs ahead of the clock by more than the burst has to wait. */
static uint64_t step(uint64_t *at_ms, uint64_t now_ms, uint64_t step_ms, uint64_t burst)
{
	if (*at_ms < now_ms)
		*at_ms = now_ms;
	*at_ms += step_ms;
	return *at_ms > now_ms + step_ms * burst ? *at_ms - step_ms * burst : now_ms;
}

uint64_t bounce_pace_take(struct bounce_pace *p, struct slice sender, uint64_t now_ms)
{
	struct sender *s = find(p, sender);
	uint64_t all = step(&p->all_ms, now_ms, BOUNCE_PACE_ALL_MS, BOUNCE_PACE_ALL_BURST), one = now_ms;

	if (!s)
		s = make(p, sender, now_ms);
	if (s)
		one = step(&s->at_ms, now_ms, BOUNCE_PACE_MS, BOUNCE_PACE_BURST);
	return one > all ? one : all;
}

bool bounce_pace_free(const struct bounce_pace *p, struct slice sender, uint64_t now_ms)
{
	const struct sender *s = find(p, sender);

	return p->all_ms < now_ms + BOUNCE_PACE_ALL_MS * (BOUNCE_PACE_ALL_BURST - 1) &&
	       (!s || s->at_ms < now_ms + BOUNCE_PACE_MS * (BOUNCE_PACE_BURST - 1));
}

static uint64_t shifted(uint64_t ms, int64_t by)
{
	if (by < 0)
		return ms > (uint64_t)-by ? ms - (uint64_t)-by : 0;
	return ms + (uint64_t)by;
}

void bounce_pace_shift(struct bounce_pace *p, int64_t by_ms)
{
	p->all_ms = shifted(p->all_ms, by_ms);
	for (struct map_node *node = NULL; (node = map_next(&p->senders, node));) {
		struct sender *s = container_of(node, struct sender, node);

		s->at_ms = shifted(s->at_ms, by_ms);
	}
}
