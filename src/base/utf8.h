/* utf8.h - text of strangers: cut without harm, and written as JSON.
 *
 * Nothing is assumed of the bytes.  Valid is what RFC 3629 calls valid.
 */
#ifndef POSTERN_BASE_UTF8_H
#define POSTERN_BASE_UTF8_H

#include "base/buf.h"

/* Octets of the valid character in front; 0: there is none. */
size_t utf8_length(struct slice s);
/* The first max octets at most, and no valid character cut in two. */
struct slice utf8_cut(struct slice s, size_t max);

/* The text between a JSON string's quotes (RFC 8259, 7): what is no UTF-8 becomes the replacement
 * character, controls (C1 too: terminals obey them) are escaped. */
void utf8_put_json(struct buf *b, struct slice s);

#endif
