/* request.h - between role.c and request.c only: the peers, and their questions.
 *
 * Not for the roles themselves: they see role.h.
 */
#ifndef POSTERN_ROLE_REQUEST_H
#define POSTERN_ROLE_REQUEST_H

#include "role/role.h"

struct role_peer {
	struct role *role;
	enum ipc_role who;
	unsigned index;
	struct channel *ch; /* NULL: away */
	uint64_t link;	    /* differs for every channel there ever was */
	uint64_t complained_ms;
};

/* NULL unless there may be such a peer. */
struct role_peer *role_peer_slot(struct role *r, enum ipc_role who, unsigned index);
/* One question: parsed, handed to the role, answered. */
void role_request_run(struct role *r, struct role_peer *from, const struct ipc_request *m);

#endif
