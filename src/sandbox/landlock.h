/* landlock.h - between sandbox.c and landlock.c only. */
#ifndef POSTERN_SANDBOX_LANDLOCK_H
#define POSTERN_SANDBOX_LANDLOCK_H

#include "sandbox/sandbox.h"

/* The ABI in *ret, 0 without Landlock in the kernel. 0 or negative errno. */
int landlock_enter(const struct sandbox_rules *rules, int *ret);

#endif
