/* slice.h - bytes that belong to somebody else.
 *
 * A slice is borrowed for the call: whoever wants to keep the bytes copies
 * them.  No length is ever implied by a NUL.  The cur_ functions read from the
 * front of a slice and move it forward; on failure they leave it untouched, so
 * a parser reads as its grammar and can never run past the end.
 */
#ifndef POSTERN_BASE_SLICE_H
#define POSTERN_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct slice {
	const unsigned char *p;
	size_t n;
};

#define SLICE_INIT(s)                                        \
	{                                                    \
		(const unsigned char *)("" s), sizeof(s) - 1 \
	}
#define SLICE_LIT(s) ((struct slice)SLICE_INIT(s))
/* For printf's "%.*s". */
#define SLICE_ARG(s) (int)(s).n, (const char *)(s).p

struct slice slice_of(const void *p, size_t n);
struct slice slice_str(const char *s); /* NULL gives an empty slice */
/* The first n bytes, or all if there are fewer; and what is left after them. */
struct slice slice_head(struct slice s, size_t n);
struct slice slice_tail(struct slice s, size_t n);
/* Without blanks and tabs at both ends. */
struct slice slice_trim(struct slice s);

bool slice_eq(struct slice a, struct slice b);
bool slice_eq_nocase(struct slice a, struct slice b); /* ASCII letters only */
bool slice_starts(struct slice s, struct slice prefix);
bool slice_starts_nocase(struct slice s, struct slice prefix);
int slice_cmp(struct slice a, struct slice b); /* as memcmp, shorter first */

/* Index of the first (last) such byte, or s.n if there is none. */
size_t slice_find(struct slice s, unsigned char byte);
size_t slice_rfind(struct slice s, unsigned char byte);
bool slice_has_8bit(struct slice s);

/* A NUL-terminated copy on the heap for C interfaces; NULL when out of memory
 * or when the slice holds a NUL itself (it would be cut short in silence). */
char *slice_dup(struct slice s);
/* The same into the caller's array; false if it does not fit or holds a NUL. */
bool slice_copy(struct slice s, char *to, size_t size);

/* Take one such byte; take a word without regard to ASCII case. */
bool cur_byte(struct slice *cur, unsigned char byte);
bool cur_word(struct slice *cur, struct slice word);
/* Take a decimal number no greater than max. */
bool cur_u64(struct slice *cur, uint64_t max, uint64_t *ret);
/* Take n bytes. */
bool cur_take(struct slice *cur, size_t n, struct slice *ret);
/* Take all up to the byte and the byte itself (which *ret leaves out). */
bool cur_until(struct slice *cur, unsigned char byte, struct slice *ret);
/* Skip blanks and tabs; true if there was one. */
bool cur_blanks(struct slice *cur);

#endif
