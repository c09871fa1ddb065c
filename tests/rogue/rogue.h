/* rogue.h - a Postern in which one role does what it must not: for the tests of the walls.
 *
 * The program is the release library and the server's own main, with a few functions
 * wrapped by the linker (rogue.c).  Until a plan lies in the runtime folder every role
 * is honest.  "rogue", a text file:
 *
 *	walls FOLDER         each role tries every attempt of attempts_*.c, in processes that
 *	                     have entered its walls; FOLDER: anybody may write there
 *	ROLE MODE            that role does what misbehave.c has by this name
 *
 * What is seen goes to standard error, a line each, beginning with "rogue ".
 */
#ifndef POSTERN_TESTS_ROGUE_H
#define POSTERN_TESTS_ROGUE_H

#include "role/role.h"

/* The walls as they are, for a process about to try something. */
int real_walls(struct role *r);

/* walls false: none stand, so what would hurt is left out. */
void attempts_run(struct role *r, const char *bait, bool walls);
void misbehave_start(struct role *r, const char *mode);

/* Each channel that the process ever made and that is open: */
struct seen_channel {
	struct channel *ch; /* NULL: closed */
	int fd;
	enum ipc_role who;
};
#define SEEN_MAX 256
extern struct seen_channel seen_channels[SEEN_MAX];

/* Called for each message before the role sees it; NULL: nothing to say to it. */
extern void (*seen_message)(enum ipc_role from, const struct ipc_message *m);

#endif
