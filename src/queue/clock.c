#include "queue/clock.h"

int64_t queue_clock_look(struct queue_clock *c, uint64_t wall_ms, uint64_t steady_ms)
{
	int64_t ahead = (int64_t)(wall_ms - steady_ms), by = ahead - c->ahead_ms;

	if (c->begun && by > -CLOCK_SLACK_MS && by < CLOCK_SLACK_MS)
		return 0;
	if (!c->begun)
		by = 0;
	c->begun = true;
	c->ahead_ms = ahead;
	return by;
}
