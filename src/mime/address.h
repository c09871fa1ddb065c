/* address.h - the addresses that a header field holds, one after another: an engine.
 *
 * RFC 5322 3.4 with its obsolete forms (4.4), RFC 6532 for what is not ASCII.  It takes lists apart and
 * judges their grammar only: whether an address may be used is smtp/path.h's to say.  Two things that
 * RFC 5322 does not know are read, because local mail is full of them: an address without a domain
 * ("root"), and a comment in place of a name ("root (Cron Daemon)").
 *
 *	mime_addresses_init(&a, value);
 *	while ((item = mime_addresses_next(&a)) == MIME_ADDRESS_MAILBOX || ...)
 *		... a.name, a.address
 *	mime_addresses_done(&a);
 *
 * The value is borrowed until done; it may still be folded.
 */
#ifndef POSTERN_MIME_ADDRESS_H
#define POSTERN_MIME_ADDRESS_H

#include "mime/problem.h"

enum mime_address_item {
	MIME_ADDRESS_END,
	MIME_ADDRESS_MAILBOX,
	MIME_ADDRESS_GROUP,	/* begins; name is its name */
	MIME_ADDRESS_GROUP_END, /* of the one that is open */
	MIME_ADDRESS_BAD,	/* no list of addresses, from at on */
	MIME_ADDRESS_NO_MEMORY,
};

struct mime_addresses {
	struct buf name;    /* words with one blank between, quotes and escapes undone; or "" */
	struct buf address; /* local@domain without comments and blanks; the local part as it came */
	bool bare;	    /* MAILBOX: it has no domain */
	size_t local_end;   /* MAILBOX: where in the value the local part ends */
	size_t at;	    /* where reading stands; BAD: what cannot be read */

	/* its own */
	struct slice value;
	struct buf comment; /* the last one */
	bool in_group, wants_comma, over;
	enum mime_address_item last;
};

void mime_addresses_init(struct mime_addresses *a, struct slice value);
void mime_addresses_done(struct mime_addresses *a);
/* After END, BAD and NO_MEMORY it says so again. */
enum mime_address_item mime_addresses_next(struct mime_addresses *a);

/* Appends local@domain as it is compared and sent (smtp_path_put_canonical()), with this domain if it is not
 * "".  MIME_NO_ADDRESS, MIME_NO_MEMORY. */
enum mime_fault mime_address_canonical(struct slice address, struct slice domain, struct buf *to);

#endif
