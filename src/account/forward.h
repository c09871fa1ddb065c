/* forward.h - forwarding: an alias of ours that leads elsewhere.
 *
 * Its mail goes on under an address of the alias's domain (smtp/srs.h), and what comes back to such an
 * address goes to whom it stands for.  The secret is made of the one in the accounts database.
 */
#ifndef POSTERN_ACCOUNT_FORWARD_H
#define POSTERN_ACCOUNT_FORWARD_H

#include "account/store.h"

/* Appends the envelope sender for a message to a remote target that an alias of that domain of ours led
 * to.  Nothing is appended where the message keeps its own: the null sender, one of our domains (our
 * hosts may send as it), or one that cannot be rewritten.  0 or negative errno. */
int account_forward_sender(struct account_store *s, struct slice sender, struct slice domain, uint64_t day,
			   struct buf *to);

/* Is the recipient a rewritten address of ours?  ACCOUNT_OK: yes, and *to is whom it stands for (to be
 * resolved as any other; elsewhere, if it is not local).  ACCOUNT_NOT_LOCAL: no.  ACCOUNT_NO_SUCH_USER: it
 * looks like one, and is forged or too old.  ACCOUNT_REPORTS_ONLY: it is one, and the message is no report
 * (its sender is not null): strangers may not send through us.  ACCOUNT_TRY_LATER. */
enum account_verdict account_forward_back(struct account_store *s, struct slice address, bool null_sender,
					  uint64_t day, struct buf *to);

#endif
