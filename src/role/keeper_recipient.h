/* keeper_recipient.h - between keeper.c and keeper_recipient.c only: who a recipient is here, and where
 * its mail goes under which sender. */
#ifndef POSTERN_ROLE_KEEPER_RECIPIENT_H
#define POSTERN_ROLE_KEEPER_RECIPIENT_H

#include "account/store.h"
#include "role/role.h"

extern struct keeper_recipients {
	uint64_t asked;
	uint64_t rewritten, returned, forged; /* senders of what is forwarded */
} keeper_recipients;

void keeper_recipient(struct role *r, enum ipc_role who, unsigned index, struct account_store *store,
		      const struct ipc_recipient *m);
void keeper_verdict(struct role *r, enum ipc_role who, unsigned index, uint64_t req,
		    struct account_store *store, enum account_verdict v);
/* Where that process is away its sessions are gone, too, and nothing is sent. */
void keeper_send(struct role *r, enum ipc_role who, unsigned index, const struct ipc_message *m);

#endif
