/* keeper_paces.h - tells queue of the accounts that have a number of messages a minute of their own.
 *
 * All of them each time, when queue comes and when one has changed: there are few, and
 * queue then needs no question and no answer for a message.  Of more than IPC_PACES_MAX the
 * youngest have the configuration's.
 */
#ifndef POSTERN_ROLE_KEEPER_PACES_H
#define POSTERN_ROLE_KEEPER_PACES_H

#include "account/store.h"
#include "role/role.h"

struct keeper_paces {
	uint64_t sum; /* of what queue was told */
};

void keeper_paces_send(struct keeper_paces *p, struct role *r, struct account_store *store);
/* If something has changed since. */
void keeper_paces_review(struct keeper_paces *p, struct role *r, struct account_store *store);

#endif
