/* turn.h - what this process's event loop is doing, for the watchdog over its turns.
 *
 * Whoever begins a piece of work on the loop says its name, and gives the loop back when
 * it is done:
 *
 *	const char *before = turn_doing("mail body");
 *	...
 *	turn_doing(before);
 *
 * The time between two calls is added to the name.  A call costs one reading of the clock.
 * One loop a process; not for other threads, and not for engines.
 */
#ifndef POSTERN_BASE_TURN_H
#define POSTERN_BASE_TURN_H

#include <stdint.h>

/* what: a string that lasts, told apart by its address; NULL: nothing that has a name.
 * Returns what it was before. */
const char *turn_doing(const char *what);

struct turn_share {
	const char *what; /* NULL: nothing was named */
	uint64_t ns;	  /* in this turn, all times together */
	unsigned times;
};

/* Ends the turn; what took most of it. */
struct turn_share turn_end(void);

void turn_clock(uint64_t (*ns)(void)); /* another one, for tests */

#endif
