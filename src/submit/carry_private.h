/* carry_private.h - what the parts of carry share; included by src/submit/carry*.c only. */
#ifndef POSTERN_SUBMIT_CARRY_PRIVATE_H
#define POSTERN_SUBMIT_CARRY_PRIVATE_H

#include "submit/carry.h"

#define CARRY_ROUTE "out"

/* Cut to what fits. */
void carry_copy(struct slice s, char *to, size_t size);
/* carry_route.c: 0; -ENOMEM, or -EINVAL: a pin or mechanism is none. */
int carry_configure(const struct carry_setup *s, struct conf **ret);
/* carry_try.c: what an event says of a connection.  A transcript is the caller's to free. */
void carry_try_take(struct carry_try *t, const struct ipc_event *e);

#endif
