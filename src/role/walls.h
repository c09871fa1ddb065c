/* walls.h - which sandbox each role gets; for role.c only. */
#ifndef POSTERN_ROLE_WALLS_H
#define POSTERN_ROLE_WALLS_H

#include "role/role.h"

bool walls_before_open(const struct role *r); /* or after it */
/* 0, or negative errno after logging why. */
int walls_enter(struct role *r, bool sandboxed);
const char *walls_text(void); /* "landlock 7, seccomp": for status */
size_t walls_memory(void);    /* octets that the process has in memory */

#endif
