/* transfer.h - content transfer encodings (RFC 2045 6): how octets become lines that any server takes. */
#ifndef POSTERN_MIME_TRANSFER_H
#define POSTERN_MIME_TRANSFER_H

#include "base/buf.h"

enum mime_transfer { MIME_7BIT, MIME_8BIT, MIME_QUOTED_PRINTABLE, MIME_BASE64 };

const char *mime_transfer_name(enum mime_transfer t);
/* The plainest one that carries such text: lines of at most 998 octets that end with CRLF, no NUL, no
 * line that mail programs change on the way ("From ", blanks at its end).  8bit only where it may be
 * used; else whichever of the other two is shorter. */
enum mime_transfer mime_transfer_of(struct slice text, bool eightbit);

/* Appends the text with CRLF for every line end, be it CRLF, LF, CR, or CRs before an LF; and one at its
 * end, if there is any text. */
void mime_put_crlf(struct slice text, struct buf *to);
/* Appends text whose lines end with CRLF as lines of at most 76 octets. */
void mime_put_quoted_printable(struct slice text, struct buf *to);

/* Base 64 of octets that come in pieces: lines of 76. */
struct mime_base64 {
	unsigned char left[3];
	uint8_t lefts, column;
};

void mime_base64_feed(struct mime_base64 *b, struct slice piece, struct buf *to);
void mime_base64_end(struct mime_base64 *b, struct buf *to); /* the last line ends with CRLF */

#endif
