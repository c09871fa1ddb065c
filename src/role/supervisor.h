/* supervisor.h - `postern serve`: process main from its start to its end. */
#ifndef POSTERN_ROLE_SUPERVISOR_H
#define POSTERN_ROLE_SUPERVISOR_H

#include <stdbool.h>

struct supervisor_setup {
	const char *file; /* NULL: the default one, which need not exist */
	unsigned port_offset;
	bool no_sandbox; /* valgrind and debuggers do not run in it */
};

/* Returns the exit status: 0 after a drain, EX_CONFIG (78), EX_NOPERM (77) when ports
 * cannot be opened, 1 for other reasons not to start.  All are told on standard error. */
int supervisor_run(const struct supervisor_setup *setup);

#endif
