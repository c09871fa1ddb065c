/* header.h - what a message's header section holds, learnt while it streams by.
 *
 * A scanner fed with pieces of a message, cut anywhere.  It keeps counts and three
 * short copies, never the header itself, and is not a parser of field values.
 * Once the section has ended it only looks for 8-bit octets.
 *
 * A line without a colon, or with anything but printable ASCII before it, ends
 * the section (RFC 5322 2.2; what readers do, so what we must believe too).
 */
#ifndef POSTERN_MIME_HEADER_H
#define POSTERN_MIME_HEADER_H

#include "base/buf.h"

#define MIME_LINE_MAX 998 /* RFC 5322 2.1.1, without CRLF; also of the copies */

enum mime_field {
	MIME_DATE,
	MIME_FROM,
	MIME_SENDER,
	MIME_REPLY_TO,
	MIME_TO,
	MIME_CC,
	MIME_BCC,
	MIME_SUBJECT,
	MIME_MESSAGE_ID,
	MIME_RECEIVED, /* its count is the number of hops (RFC 5321 6.3) */
	MIME_RETURN_PATH,
	MIME_DELIVERED_TO,
	MIME_TLS_REQUIRED, /* RFC 8689 5 */
	MIME_RESENT,	   /* any Resent- field */
	MIME_FIELDS,	   /* one past the last; any other field */
};

enum mime_header_end {
	MIME_HEADER_OPEN,     /* not ended yet */
	MIME_HEADER_EMPTY,    /* by an empty line, as it should */
	MIME_HEADER_NO_BODY,  /* the message ended with its header */
	MIME_HEADER_BAD_LINE, /* by a line that is no field */
};

struct mime_header {
	enum mime_header_end end;
	uint32_t count[MIME_FIELDS];
	uint32_t fields;    /* of all names */
	uint64_t octets;    /* of the section, without the line that ended it */
	bool eightbit;	    /* a byte over 127 in the section */
	bool body_eightbit; /* ... behind it */

	/* the scanner's own */
	int at;
	bool wanted, cr;
	uint64_t line; /* octets of the line so far */
	size_t name_n;
	char name[16];
	enum mime_field field;
	struct buf message_id, from, tls_required;
};

void mime_header_init(struct mime_header *h);
void mime_header_done(struct mime_header *h);

void mime_header_feed(struct mime_header *h, struct slice piece);
/* The message is complete. */
void mime_header_end(struct mime_header *h);

/* Value of the first such field, unfolded, without blanks around it, cut after
 * MIME_LINE_MAX octets; empty if there is none.  For logs: as the client wrote it. */
struct slice mime_header_message_id(const struct mime_header *h);
struct slice mime_header_from(const struct mime_header *h);

/* "TLS-Required: No": delivery counts more than TLS.  Anything else, or two of them, is no wish. */
bool mime_header_relaxes_tls(const struct mime_header *h);

/* The message begins with no field and no empty line: whoever puts fields in
 * front of it must put an empty line between, or its first lines are taken for fields. */
bool mime_header_missing(const struct mime_header *h);

#endif
