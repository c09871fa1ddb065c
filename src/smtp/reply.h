/* reply.h - the replies of an SMTP or LMTP server, read as they come: an engine.
 *
 * A reply is lines of "250-text", the last one "250 text" or "250" (RFC 5321 4.2).
 * Lenient where real servers are loose and nothing depends on it: LF alone ends a
 * line, long lines are cut, codes of a reply that differ are taken as the last
 * line's.  Strict where it would be a guess: a line without a code, or a reply
 * without end, is no reply, and the connection is of no use any more.
 */
#ifndef POSTERN_SMTP_REPLY_H
#define POSTERN_SMTP_REPLY_H

#include "base/slice.h"

#define SMTP_REPLY_LINE_MAX   1024  /* octets of a line that are kept; RFC 5321 4.5.3.1.5 asks for 512 */
#define SMTP_REPLY_TEXT_MAX   400   /* of all lines' text, as it is reported */
#define SMTP_REPLY_LINES_MAX  256   /* in one reply */
#define SMTP_REPLY_OCTETS_MAX 65536 /* of one reply, cut parts too */

enum smtp_reply_step {
	SMTP_REPLY_MORE, /* all bytes are used: feed more */
	SMTP_REPLY_LINE, /* a line of a reply that goes on: see reply->line */
	SMTP_REPLY_DONE, /* its last line: code, enhanced, text are set */
	SMTP_REPLY_BAD,	 /* not a reply */
};

/* In the caller's storage; zeroed, it is ready. */
struct smtp_reply {
	int code;	   /* 200 to 599 */
	char enhanced[16]; /* "5.2.2", always of the code's class: "5.0.0" if it had none, "" after 3xx */
	struct slice line; /* the last line's text, behind its code; valid until the next call */
	struct slice full; /* the same with its code, cut at SMTP_REPLY_LINE_MAX */
	bool cut;	   /* something of that line is lacking */

	/* The reader's own. */
	char text[SMTP_REPLY_TEXT_MAX + 1];
	unsigned char raw[SMTP_REPLY_LINE_MAX];
	size_t text_n, raw_n, octets, lines;
	bool whole; /* the next octet begins a new reply */
};

/* Takes up to the end of one line; how many octets that were. */
size_t smtp_reply_feed(struct smtp_reply *r, struct slice in, enum smtp_reply_step *ret);
/* The words of all lines on one, without control characters; what is not ASCII stays as it is. */
struct slice smtp_reply_text(const struct smtp_reply *r);

/* "5.1.1" at the front of the text: takes it and a blank after it. RFC 3463 2, 2034 4. */
bool smtp_enhanced_take(struct slice *cur, char ret[static 16]);

#endif
