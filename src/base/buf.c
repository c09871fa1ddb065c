#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){ .max = max };
}

void buf_init_in(struct buf *b, void *room, size_t size)
{
	*b = (struct buf){ .p = room, .cap = size, .max = size, .lent = true };
}

void buf_done(struct buf *b)
{
	if (b->lent) {
		buf_reset(b);
		return;
	}
	free(b->p);
	*b = (struct buf){ .max = b->max };
}

void buf_wipe(struct buf *b)
{
	if (b->p)
		explicit_bzero(b->p, b->cap);
	buf_done(b);
}

/* Make room for n more bytes behind the live ones.  A buffer that holds secrets
 * must leave no copy behind when it moves, so growth never uses realloc. */
static bool grow(struct buf *b, size_t n)
{
	size_t cap = b->cap ? b->cap : 64;
	unsigned char *p;

	if (n > b->max - b->n)
		return false;
	if (b->n + n <= b->cap - b->from)
		return true;
	if (b->n + n <= b->cap && b->from >= b->n) {
		if (b->n)
			memcpy(b->p, b->p + b->from, b->n);
		b->from = 0;
		return true;
	}
	while (cap < b->n + n)
		cap *= 2;
	if (cap > b->max)
		cap = b->max;
	if (cap <= b->cap) { /* at the ceiling: the room is in front */
		memmove(b->p, b->p + b->from, b->n);
		b->from = 0;
		return true;
	}
	p = malloc(cap);
	if (!p)
		return false;
	if (b->n)
		memcpy(p, b->p + b->from, b->n);
	if (b->p)
		explicit_bzero(b->p, b->cap);
	free(b->p);
	b->p = p;
	b->cap = cap;
	b->from = 0;
	return true;
}

void buf_put(struct buf *b, struct slice s)
{
	if (b->failed || s.n == 0)
		return;
	if (!grow(b, s.n)) {
		b->failed = true;
		return;
	}
	memcpy(b->p + b->from + b->n, s.p, s.n);
	b->n += s.n;
}

void buf_byte(struct buf *b, unsigned char byte)
{
	buf_put(b, slice_of(&byte, 1));
}

void buf_str(struct buf *b, const char *s)
{
	buf_put(b, slice_str(s));
}

void buf_dec(struct buf *b, uint64_t v, unsigned digits)
{
	char text[20];
	size_t at = sizeof(text);

	do {
		text[--at] = (char)('0' + v % 10);
		v /= 10;
	} while (at > 0 && (v > 0 || sizeof(text) - at < digits));
	buf_put(b, slice_of(text + at, sizeof(text) - at));
}

void buf_fmt(struct buf *b, const char *fmt, ...)
{
	char small[512];
	char *large = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(small, sizeof(small), fmt, ap);
	va_end(ap);
	if (n < 0) {
		b->failed = true;
		return;
	}
	if ((size_t)n < sizeof(small)) {
		buf_put(b, slice_of(small, (size_t)n));
		return;
	}
	va_start(ap, fmt);
	n = vasprintf(&large, fmt, ap);
	va_end(ap);
	if (n < 0) {
		b->failed = true;
		return;
	}
	buf_put(b, slice_of(large, (size_t)n));
	free(large);
}

struct slice buf_slice(const struct buf *b)
{
	return slice_of(b->p ? b->p + b->from : NULL, b->n);
}

bool buf_ok(const struct buf *b)
{
	return !b->failed;
}

size_t buf_room(const struct buf *b)
{
	return b->failed ? 0 : b->max - b->n;
}

size_t buf_reserve(struct buf *b, size_t want, unsigned char **ret)
{
	size_t room = buf_room(b);

	if (want > room)
		want = room;
	if (want == 0 || !grow(b, want))
		return 0;
	*ret = b->p + b->from + b->n;
	return want;
}

void buf_filled(struct buf *b, size_t n)
{
	assert(n <= b->cap - b->from - b->n);
	b->n += n;
}

void buf_consume(struct buf *b, size_t n)
{
	assert(n <= b->n);
	b->n -= n;
	b->from = b->n ? b->from + n : 0;
}

void buf_reset(struct buf *b)
{
	b->from = 0;
	b->n = 0;
	b->failed = false;
}
