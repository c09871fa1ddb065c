#include "base/turn.h"

#include <stddef.h>
#include <time.h>

#define NAMES_MAX 32 /* in one turn; what comes beyond goes without a name */

/* The coarse clock steps each few ms, which is fine enough for turns over 50 ms, and costs a fifth. */
static uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static struct {
	struct turn_share share[NAMES_MAX];
	size_t n;
	struct turn_share *now; /* NULL: nothing that has a name */
	uint64_t since;
	uint64_t (*clock)(void);
} turn = { .clock = clock_ns };

static struct turn_share *share_of(const char *what)
{
	for (size_t i = 0; i < turn.n; i++)
		if (turn.share[i].what == what)
			return &turn.share[i];
	if (turn.n == NAMES_MAX)
		return NULL;
	turn.share[turn.n] = (struct turn_share){ .what = what };
	return &turn.share[turn.n++];
}

const char *turn_doing(const char *what)
{
	const char *before = turn.now ? turn.now->what : NULL;
	uint64_t at = turn.clock();

	if (turn.now)
		turn.now->ns += at - turn.since;
	turn.since = at;
	turn.now = what ? share_of(what) : NULL;
	if (turn.now)
		turn.now->times++;
	return before;
}

struct turn_share turn_end(void)
{
	struct turn_share most = { .what = NULL };

	turn_doing(NULL);
	for (size_t i = 0; i < turn.n; i++)
		if (!most.what || turn.share[i].ns > most.ns)
			most = turn.share[i];
	turn.n = 0;
	return most;
}

void turn_clock(uint64_t (*ns)(void))
{
	turn.clock = ns;
}
