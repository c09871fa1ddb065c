/* transaction.h - one message on its way to queue: envelope, body, commit.
 *
 * Holds where the recipients lead to (each mailbox once, however many addresses and
 * aliases lead there), streams the body under queue's credit, and hands all over at
 * the end.  It owns its copies; slices given to it are borrowed for the call.
 */
#ifndef POSTERN_RECEIVE_TRANSACTION_H
#define POSTERN_RECEIVE_TRANSACTION_H

#include "receive/private.h"
#include "smtp/path.h"

#define TRANSACTION_TARGETS_MAX 10000

struct transaction {
	struct receive_wait wait; /* its number is the transaction's for queue */
	bool opened;		  /* queue knows of it, and waits for the rest */
	bool lost;		  /* queue went away, or memory did: it cannot be stored */
	struct buf sender;	  /* as the client wrote it; empty: null */
	struct buf envid;
	char message_id[256]; /* of its header, once that is known; without <> */
	struct smtp_mail_params params;
	uint8_t class;	      /* enum ipc_class */
	bool relax;	      /* "TLS-Required: No" */
	struct map targets;   /* by mailbox or address */
	struct list in_order; /* the same */
	uint32_t recipients;  /* that the client named and we took */
	uint64_t size;	      /* octets of body so far */
	uint64_t credit;      /* octets that queue takes now */
	struct buf waiting;   /* body that queue does not take yet */
};

/* One place an address leads to. */
struct target {
	struct map_node node;
	struct list link;
	uint8_t kind; /* enum ipc_target_kind */
	unsigned notify;
	struct slice address, original, orcpt, mailbox, sender; /* in text */
	unsigned char text[];
};

int transaction_init(struct transaction *t);			  /* 0 or -ENOMEM */
void transaction_done(struct transaction *t, struct receive *rx); /* drops it first */
/* Forget the message; queue is told.  Safe when nothing began. */
void transaction_drop(struct transaction *t, struct receive *rx);

int transaction_begin(struct transaction *t, const struct smtp_path *sender,
		      const struct smtp_mail_params *params);
/* A target as keeper told, or a remote address; those already there are not added
 * again.  -ENOMEM, -E2BIG. */
struct ipc_target;
int transaction_add(struct transaction *t, const struct ipc_target *target, struct slice original,
		    const struct smtp_rcpt_params *params);

/* Body.  Takes all of it; transaction_blocked() then says whether more may come. */
void transaction_body(struct transaction *t, struct receive *rx, struct slice data);
bool transaction_blocked(const struct transaction *t);
/* Send on what queue takes now: after credit or room came.  False: the channel to
 * queue is full, try again soon. */
bool transaction_push(struct transaction *t, struct receive *rx);

/* Everything else; `stored` will answer.  -EPIPE when queue is away. */
int transaction_commit(struct transaction *t, struct receive *rx, const struct id *id, uint64_t time_ms,
		       uint64_t account, struct slice account_name, const char *listener,
		       struct slice headers);

#endif
