/* dsn_private.h - what the parts of dsn share; included by src/mime/dsn*.c only. */
#ifndef POSTERN_MIME_DSN_PRIVATE_H
#define POSTERN_MIME_DSN_PRIVATE_H

#include "mime/dsn.h"

#define DSN_FOLD   76
#define DSN_WORD   900 /* octets of one word or line of somebody else's */
#define DSN_QUOTED 600 /* octets of a server's words */

/* dsn_text.c: the words of others, made harmless */

/* How long the character is that the bytes begin with; 0: none in UTF-8 (RFC 3629). */
size_t dsn_utf8(struct slice s);
/* Appends s on one line: runs of blanks and line ends become one blank, other controls and what is not
 * allowed
 * '?'; up to max octets. */
void dsn_clean(struct slice s, bool utf8, size_t max, struct buf *to);
/* Appends a field, folded at its blanks; the value is clean already. */
void dsn_field(struct buf *to, const char *name, struct slice value);
/* Appends words, wrapped, each line behind the indent; ends with CRLF. */
void dsn_wrap(struct buf *to, const char *indent, struct slice text);
/* Appends lines of a message, each in itself harmless; stops at the end of its header section. */
void dsn_header_lines(struct buf *to, struct slice section, bool utf8, size_t max);
/* May it go into a report as it is: CRLF at each line's end, none too long, no NUL? */
bool dsn_returnable(struct slice message, bool eightbit);
/* A field's value from a header section, unfolded; empty if there is none. */
struct slice dsn_find_field(struct slice section, struct slice name);

/* dsn_words.c: the part for people */
void dsn_subject(const struct dsn *d, struct buf *to);
void dsn_people(const struct dsn *d, struct buf *to);

/* dsn_status.c: the part for programs */
void dsn_programs(const struct dsn *d, struct buf *to);

#endif
