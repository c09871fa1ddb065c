/* envelope.h - from whom a message comes and to whom it goes, as SMTP is told it: an engine.
 *
 * Addresses are in canonical form (smtp_path_put_canonical()); each recipient is there once, in the order of
 * their coming.  What is wrong is told as mime/problem.h says.
 */
#ifndef POSTERN_SUBMIT_ENVELOPE_H
#define POSTERN_SUBMIT_ENVELOPE_H

#include "base/map.h"
#include "mime/problem.h"

#define SUBMIT_RECIPIENTS_MAX 10000 /* as smtp/client.h */

#define SUBMIT_ENVID_MAX 100 /* RFC 3461 4.4 */

struct submit_recipient {
	struct map_node node;
	uint8_t notify; /* SMTP_NOTIFY_ flags of smtp/path.h: which reports are wanted */
	char address[];
};

struct submit_envelope {
	char *sender; /* "" for the null sender; NULL: not known yet */
	struct submit_recipient **recipient;
	size_t recipients;
	bool smtputf8; /* an address needs it */
	/* RFC 3461, for whoever wants reports: set by the caller. */
	uint8_t notify;			  /* of recipients that are added from now on */
	uint8_t ret;			  /* enum smtp_ret */
	char envid[SUBMIT_ENVID_MAX + 1]; /* in xtext, or "" */

	/* its own */
	struct map seen;
	size_t room;
};

int submit_envelope_init(struct submit_envelope *e); /* 0 or -ENOMEM; done() is right after both */
void submit_envelope_done(struct submit_envelope *e);

/* "bob@example.org", "<bob@example.org>", "Bob <bob@example.org>"; "" and "<>" are the null sender.  An
 * address without a domain gets this one; "": it is an error.  Replaces the one that was there. */
enum mime_fault submit_envelope_sender(struct submit_envelope *e, struct slice text, struct slice domain,
				       struct mime_problem *ret);
/* Each mailbox of a list, groups taken apart; none at all is no error.  Field: whence they come. */
enum mime_fault submit_envelope_add(struct submit_envelope *e, struct slice list, struct slice domain,
				    struct slice field, struct mime_problem *ret);
/* Without this one, in canonical form, if it is there. */
void submit_envelope_remove(struct submit_envelope *e, struct slice address);

#endif
