/* explain_private.h - the parts of explain.c among themselves: a pasted text, made comparable, and what is
 * found in it. */
#ifndef POSTERN_ADVISE_EXPLAIN_PRIVATE_H
#define POSTERN_ADVISE_EXPLAIN_PRIVATE_H

#include "advise/explain.h"

/* The text in lower case, with plain quotes and single blanks. */
struct advise_paste {
	unsigned char p[ADVISE_TEXT_MAX];    /* a line's end is \n */
	unsigned char flat[ADVISE_TEXT_MAX]; /* the same with a blank there: what is searched */
	size_t n;
};

/* Where that piece (in lower case) is, at from or behind; n if it is nowhere. */
size_t advise_find(const struct advise_paste *t, size_t from, struct slice piece);
/* "a&b|c&!d": c and no d, or a and b, anywhere. */
bool advise_says(const struct advise_paste *t, const char *pieces);

/* explain_where.c: host and port, and whether a secret is there. */
void advise_where(const struct advise_paste *t, struct advise_explained *ret);
bool advise_has_secret(const struct advise_paste *t);

/* explain_reply.c: a server's reply.  The slices lie within t.  false: there is none. */
bool advise_reply(const struct advise_paste *t, struct route_reply *ret);

#endif
