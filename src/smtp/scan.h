/* scan.h - the octets of a message on their way in: line ends, dots, limits.
 *
 * A scanner over pieces cut anywhere.  It finds the end of DATA, takes stuffed
 * dots out, and holds every rule about octets; it copies only where something
 * must be taken out, so a body without dots runs through at the speed of memory.
 *
 * The rules, the same for DATA and BDAT:
 *   line ends  Only CRLF ends a line, only CRLF.CRLF ends DATA (RFC 5321 2.3.8,
 *              4.1.1.4).  A bare CR or LF makes the message refused at its true
 *              end; or with SMTP_BARE_FIX becomes CRLF, and a dot behind it is a
 *              dot: it neither ends the data nor is taken out.  Either way no
 *              bare CR or LF leaves here.
 *   NUL        refused (RFC 5322 4: not even obsolete syntax has it in bodies).
 *   line length  998 octets is what RFC 5322 2.1.1 allows; what is longer is
 *              passed on as it is, as real senders exceed it, up to
 *              SMTP_SCAN_LINE_MAX.  Beyond that refused.
 *   8 bit      passed on as it came, in headers too and whatever BODY= said:
 *              to refuse helps nobody, to re-code breaks signatures.
 *   size       octets passed on; stuffed dots do not count (RFC 1870 3).
 * After the first fault nothing more is passed on, but the end is still found.
 */
#ifndef POSTERN_SMTP_SCAN_H
#define POSTERN_SMTP_SCAN_H

#include "smtp/server.h"

#define SMTP_SCAN_LINE_MAX 65536

enum smtp_scan_fault {
	SMTP_SCAN_FINE,
	SMTP_SCAN_TOO_LARGE,
	SMTP_SCAN_BARE_CR,
	SMTP_SCAN_BARE_LF,
	SMTP_SCAN_NUL,
	SMTP_SCAN_LONG_LINE,
	SMTP_SCAN_NO_MEMORY,
};

struct smtp_scan {
	/* Where the scanner stands.  Those behind a CR or a dot hold it back: what
	 * it is shows only with the next octet. */
	enum smtp_scan_at {
		SMTP_SCAN_AT_LINE, /* a dot here is special */
		SMTP_SCAN_AT_TEXT,
		SMTP_SCAN_AT_CR,
		SMTP_SCAN_AT_DOT,
		SMTP_SCAN_AT_DOT_CR,
	} at;
	enum smtp_scan_fault fault;
	bool dots;	 /* DATA; else BDAT, where a dot is a dot */
	bool fix;	 /* SMTP_BARE_FIX */
	bool bare;	 /* a bare CR or LF came, fixed or not */
	uint64_t size;	 /* octets passed on */
	uint64_t max;	 /* of them */
	uint64_t line;	 /* octets of the line so far */
	struct buf copy; /* what could not stay where it was */
};

/* What a step passes on: first the copy, then the run, which lies in the input. */
struct smtp_scan_out {
	struct slice copy, run;
	bool end; /* of DATA was found */
};

void smtp_scan_init(struct smtp_scan *b, bool dots, bool fix, uint64_t max);
void smtp_scan_done(struct smtp_scan *b);

/* Take some of the input; returns how much.  *ret is valid until the next call. */
size_t smtp_scan_step(struct smtp_scan *b, struct slice in, struct smtp_scan_out *ret);
/* BDAT's last chunk is through: judge what was held back, and end the last line
 * if the client did not (so that DATA can pass the message on as it is). */
void smtp_scan_end(struct smtp_scan *b, struct smtp_scan_out *ret);

#endif
