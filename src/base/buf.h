/* buf.h - a growable byte buffer that has a ceiling.
 *
 * The ceiling is not optional: whoever creates the buffer says how large a
 * peer may make it.  Appending past it, or running out of memory, marks the
 * buffer failed; later appends do nothing.  So a caller may append ten times
 * and test once with buf_ok().
 *
 * Bytes are appended at the end and consumed from the front, so a buf also
 * serves as a queue of bytes between a socket and an engine.
 */
#ifndef POSTERN_BASE_BUF_H
#define POSTERN_BASE_BUF_H

#include "base/slice.h"

struct buf {
	unsigned char *p;
	size_t from; /* where the live bytes begin */
	size_t n;    /* how many live bytes there are */
	size_t cap, max;
	bool failed;
	bool lent; /* the memory is the caller's */
};

void buf_init(struct buf *b, size_t max); /* allocates nothing */
/* In memory of the caller's that outlives it: it can become full, but never lacks memory. */
void buf_init_in(struct buf *b, void *room, size_t size);
void buf_done(struct buf *b); /* frees; safe on a zeroed one */
void buf_wipe(struct buf *b); /* overwrites all it ever held, then frees */

/* Each returns nothing; ask buf_ok() once at the end. */
void buf_put(struct buf *b, struct slice s);
void buf_byte(struct buf *b, unsigned char byte);
void buf_str(struct buf *b, const char *s);
void buf_dec(struct buf *b, uint64_t v, unsigned digits); /* decimal, with zeros in front up to so many */
/* For what is said seldom: it takes ten times as long as the others. */
void buf_fmt(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The live bytes; valid until the next call that changes the buffer. */
struct slice buf_slice(const struct buf *b);
bool buf_ok(const struct buf *b);
size_t buf_room(const struct buf *b); /* bytes that may still be appended */

/* Room for up to want bytes at the end (fewer near the ceiling; 0 when full or
 * out of memory, which does not mark the buffer failed), and how many of them
 * were then filled. */
size_t buf_reserve(struct buf *b, size_t want, unsigned char **ret);
void buf_filled(struct buf *b, size_t n);

void buf_consume(struct buf *b, size_t n); /* from the front */
void buf_reset(struct buf *b);		   /* empty and not failed; keeps its memory */

#endif
