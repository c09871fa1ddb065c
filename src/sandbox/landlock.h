/* landlock.h - between sandbox.c and landlock.c only. */
#ifndef POSTERN_SANDBOX_LANDLOCK_H
#define POSTERN_SANDBOX_LANDLOCK_H

#include "sandbox/sandbox.h"

/* The kernel's ABI, 0: it has no Landlock, or negative errno. */
int landlock_abi(void);
/* Whether such a kernel can keep these rules.  The first ABI forbids every rename
 * between folders, and no rule can allow it. */
bool landlock_suits(const struct sandbox_rules *rules, int abi);
/* Walls of that ABI, which is at most the kernel's.  0 or negative errno. */
int landlock_enter(const struct sandbox_rules *rules, int abi);

#endif
