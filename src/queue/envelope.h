/* envelope.h - what the queue keeps about a message beside its text, as bytes.
 *
 * The spool stores these bytes without looking into them.  Versioned, and
 * canonical: what decodes encodes back to the same bytes, so anything else was
 * damaged or forged.  Recipients follow the head in order; the number of each is
 * its place, from 0.  Written once when the message is taken in and never changed;
 * what became of a recipient stands in the spool's marks.
 *
 * Slices that come out point into the bytes that went in.
 */
#ifndef POSTERN_QUEUE_ENVELOPE_H
#define POSTERN_QUEUE_ENVELOPE_H

#include "base/buf.h"

#define ENVELOPE_MAX		(4 * 1024 * 1024) /* octets, encoded; the spool takes no more */
#define ENVELOPE_RECIPIENTS_MAX 10000
#define ENVELOPE_PRIORITY_MAX	19

struct envelope {
	struct slice sender; /* empty: <> */
	bool smtputf8, eightbit;
	uint8_t ret;	    /* SMTP_RET_: DSN's RET */
	struct slice envid; /* DSN's ENVID, xtext */
	uint64_t account;   /* that submitted it, or 0 */
	struct slice listener;
	struct slice account_name; /* its address at that time */
	struct slice message_id;   /* of the header, without <>, "" if there is none */
	uint8_t class;		   /* enum ipc_class */
	uint8_t mt_priority;	   /* MT-PRIORITY's value + 10, 0: none (RFC 6710) */
	uint64_t hold_until_ms;	   /* not before, 0: at once (RFC 4865) */
	bool requiretls;	   /* RFC 8689 */
	bool relax;		   /* "TLS-Required: No", RFC 8689 5 */
	uint32_t recipients;
};

struct envelope_rcpt {
	uint8_t kind;	       /* enum ipc_target_kind */
	uint8_t notify;	       /* SMTP_NOTIFY_ flags */
	struct slice address;  /* where it goes */
	struct slice original; /* as the client wrote it */
	struct slice orcpt;    /* DSN's ORCPT, "" if none */
	struct slice mailbox;  /* of a local one: the folder below the mail root */
	struct slice sender;   /* its own envelope sender where it is forwarded (SRS), "" for the message's */
};

/* First the head, then e->recipients times the recipient.  A field that is over
 * its ceiling (those of ipc/message.h) marks the buffer failed. */
void envelope_put(const struct envelope *e, struct buf *to);
void envelope_put_rcpt(const struct envelope_rcpt *r, struct buf *to);

/* Takes the head from the cursor, then one recipient after the other.  False when
 * the bytes are not what envelope_put() wrote; after the last recipient the
 * cursor must be empty. */
bool envelope_get(struct slice *cur, struct envelope *ret);
bool envelope_get_rcpt(struct slice *cur, struct envelope_rcpt *ret);

/* The detail of a deferral or a failure, kept as the spool's mark. */
#define ENVELOPE_REASON_MAX 640 /* octets of text; the mark has room for 1 KiB */
#define ENVELOPE_REMOTE_MAX 255

struct envelope_reason {
	bool failed;		   /* for good: the sender is to be told (queue/bounce.h) */
	bool delivered;		   /* and the sender asked to be told; else there is an outcome */
	bool relayed;		   /* delivered, to a server that sends no reports */
	bool expired;		   /* failed because it was tried for too long */
	bool blocked;		   /* it waits, or failed, because this network blocks port 25 */
	bool by_administrator;	   /* failed because somebody said so here */
	uint16_t code;		   /* of the other server's reply, 0: it gave none */
	uint8_t step;		   /* enum smtp_client_step: when it said so; IDLE: nobody did */
	uint32_t attempts;	   /* so far */
	uint64_t next_ms;	   /* when it is tried again, since 1970; 0 when failed */
	struct slice status, text; /* "4.2.2", "the mailbox is over its disk quota" */
	struct slice remote;	   /* the host that said so; "": we did */
};

/* Text over the ceiling is cut. */
void envelope_put_reason(const struct envelope_reason *r, struct buf *to);
bool envelope_get_reason(struct slice bytes, struct envelope_reason *ret);

#endif
