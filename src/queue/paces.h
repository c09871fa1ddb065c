/* paces.h - the accounts' own messages a minute, as keeper tells them, into the schedule. */
#ifndef POSTERN_QUEUE_PACES_H
#define POSTERN_QUEUE_PACES_H

#include "ipc/message.h"
#include "queue/schedule.h"

struct paces {
	bool begun;
	size_t n; /* so far */
};

/* NULL, or how it broke the rules. */
const char *paces_take(struct paces *p, struct schedule *s, const struct ipc_paces *m, uint64_t now_ms);

#endif
