/* calls.h - between sandbox.c and calls.c only: the walls of seccomp. */
#ifndef POSTERN_SANDBOX_CALLS_H
#define POSTERN_SANDBOX_CALLS_H

#include "sandbox/sandbox.h"

/* For all threads of the process, for good.  0 or negative errno. */
int calls_enter(const struct sandbox_rules *rules);

#endif
