#include "base/slice.h"

#include <stdlib.h>
#include <string.h>

struct slice slice_of(const void *p, size_t n)
{
	return (struct slice){ p, n };
}

struct slice slice_str(const char *s)
{
	return (struct slice){ (const unsigned char *)s, s ? strlen(s) : 0 };
}

struct slice slice_head(struct slice s, size_t n)
{
	return (struct slice){ s.p, n < s.n ? n : s.n };
}

struct slice slice_tail(struct slice s, size_t n)
{
	if (n >= s.n)
		return (struct slice){ NULL, 0 };
	return (struct slice){ s.p + n, s.n - n };
}

static bool is_blank(unsigned char c)
{
	return c == ' ' || c == '\t';
}

struct slice slice_trim(struct slice s)
{
	while (s.n > 0 && is_blank(s.p[0]))
		s = slice_tail(s, 1);
	while (s.n > 0 && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

bool slice_eq(struct slice a, struct slice b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static unsigned char lower(unsigned char c)
{
	return c >= 'A' && c <= 'Z' ? (unsigned char)(c + 32) : c;
}

bool slice_eq_nocase(struct slice a, struct slice b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (lower(a.p[i]) != lower(b.p[i]))
			return false;
	return true;
}

bool slice_starts(struct slice s, struct slice prefix)
{
	return s.n >= prefix.n && slice_eq(slice_head(s, prefix.n), prefix);
}

bool slice_starts_nocase(struct slice s, struct slice prefix)
{
	return s.n >= prefix.n && slice_eq_nocase(slice_head(s, prefix.n), prefix);
}

int slice_cmp(struct slice a, struct slice b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int r = n ? memcmp(a.p, b.p, n) : 0;

	if (r != 0)
		return r;
	return a.n < b.n ? -1 : a.n > b.n;
}

size_t slice_find(struct slice s, unsigned char byte)
{
	const unsigned char *at = s.n ? memchr(s.p, byte, s.n) : NULL;

	return at ? (size_t)(at - s.p) : s.n;
}

size_t slice_rfind(struct slice s, unsigned char byte)
{
	const unsigned char *at = s.n ? memrchr(s.p, byte, s.n) : NULL;

	return at ? (size_t)(at - s.p) : s.n;
}

bool slice_has_8bit(struct slice s)
{
	size_t i = 0;

	/* Bodies are looked through with this: eight octets at a time. */
	for (; s.n - i >= sizeof(uint64_t); i += sizeof(uint64_t)) {
		uint64_t word;

		memcpy(&word, s.p + i, sizeof(word));
		if (word & 0x8080808080808080U)
			return true;
	}
	for (; i < s.n; i++)
		if (s.p[i] >= 0x80)
			return true;
	return false;
}

bool slice_copy(struct slice s, char *to, size_t size)
{
	if (s.n >= size || slice_find(s, 0) != s.n)
		return false;
	if (s.n > 0)
		memcpy(to, s.p, s.n);
	to[s.n] = '\0';
	return true;
}

char *slice_dup(struct slice s)
{
	char *copy = malloc(s.n + 1);

	if (copy && !slice_copy(s, copy, s.n + 1)) {
		free(copy);
		return NULL;
	}
	return copy;
}

bool cur_byte(struct slice *cur, unsigned char byte)
{
	if (cur->n == 0 || cur->p[0] != byte)
		return false;
	*cur = slice_tail(*cur, 1);
	return true;
}

bool cur_word(struct slice *cur, struct slice word)
{
	if (!slice_starts_nocase(*cur, word))
		return false;
	*cur = slice_tail(*cur, word.n);
	return true;
}

bool cur_u64(struct slice *cur, uint64_t max, uint64_t *ret)
{
	struct slice c = *cur;
	uint64_t v = 0;

	while (c.n > 0 && c.p[0] >= '0' && c.p[0] <= '9') {
		unsigned d = (unsigned)(c.p[0] - '0');

		if (d > max || v > (max - d) / 10)
			return false;
		v = v * 10 + d;
		c = slice_tail(c, 1);
	}
	if (c.n == cur->n)
		return false;
	*cur = c;
	*ret = v;
	return true;
}

bool cur_take(struct slice *cur, size_t n, struct slice *ret)
{
	if (cur->n < n)
		return false;
	*ret = slice_head(*cur, n);
	*cur = slice_tail(*cur, n);
	return true;
}

bool cur_until(struct slice *cur, unsigned char byte, struct slice *ret)
{
	size_t n = slice_find(*cur, byte);

	if (n == cur->n)
		return false;
	*ret = slice_head(*cur, n);
	*cur = slice_tail(*cur, n + 1);
	return true;
}

bool cur_blanks(struct slice *cur)
{
	size_t before = cur->n;

	while (cur->n > 0 && is_blank(cur->p[0]))
		*cur = slice_tail(*cur, 1);
	return cur->n < before;
}
