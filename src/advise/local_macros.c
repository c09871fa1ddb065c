/* local_macros.c - names that stand for values: Exim's macros, Postfix's parameters. */
#include <string.h>

#include "advise/local_private.h"
#include "base/buf.h"

#define ROUNDS_MAX 8 /* a value may have names in it, too */

void advise_macros_set(struct advise_macros *m, struct slice name, struct slice value)
{
	size_t i = 0;

	while (i < m->n && !slice_eq(m->m[i].name, name))
		i++;
	if (i == ADVISE_MACROS_MAX || name.n == 0)
		return;
	m->m[i].name = name;
	m->m[i].value = value;
	m->n += i == m->n;
}

bool advise_macros_has(const struct advise_macros *m, struct slice name)
{
	for (size_t i = 0; i < m->n; i++)
		if (slice_eq(m->m[i].name, name))
			return true;
	return false;
}

/* ---- Exim: the name itself, wherever it stands, longer words too (as Exim does it) ---- */

static bool replace(struct buf *text, struct slice name, struct slice value)
{
	struct slice s = buf_slice(text);
	const unsigned char *at = s.n > 0 ? memmem(s.p, s.n, name.p, name.n) : NULL;
	char kept[ADVISE_EXPANDED];
	struct buf b;

	if (!at)
		return false;
	buf_init_in(&b, kept, sizeof(kept));
	buf_put(&b, slice_head(s, (size_t)(at - s.p)));
	buf_put(&b, value);
	buf_put(&b, slice_tail(s, (size_t)(at - s.p) + name.n));
	if (!buf_ok(&b))
		return false;
	buf_reset(text);
	buf_put(text, buf_slice(&b));
	return buf_ok(text);
}

bool advise_macros_expand(const struct advise_macros *m, struct slice *value, char to[static ADVISE_EXPANDED])
{
	struct buf b;
	bool some = false;

	buf_init_in(&b, to, ADVISE_EXPANDED);
	buf_put(&b, *value);
	if (!buf_ok(&b))
		return false;
	for (size_t round = 0; round < ROUNDS_MAX; round++) {
		bool now = false;

		for (size_t i = 0; i < m->n; i++)
			now = replace(&b, m->m[i].name, m->m[i].value) || now;
		if (!now)
			break;
		some = true;
	}
	if (some)
		*value = buf_slice(&b);
	return some;
}

/* ---- Postfix: $name, ${name}, $(name) ---- */

static bool name_byte(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* The name behind a $; false: it is something else (${name?text}, $$). */
static bool take_variable(struct slice *cur, struct slice *ret)
{
	struct slice c = *cur;
	bool curly = cur_byte(&c, '{'), round = !curly && cur_byte(&c, '(');
	size_t n = 0;

	while (n < c.n && name_byte(c.p[n]))
		n++;
	*ret = slice_head(c, n);
	c = slice_tail(c, n);
	if (n == 0 || ((curly || round) && !cur_byte(&c, curly ? '}' : ')')))
		return false;
	*cur = c;
	return true;
}

static const struct slice *value_of(const struct advise_macros *m, struct slice name)
{
	for (size_t i = 0; i < m->n; i++)
		if (slice_eq(m->m[i].name, name))
			return &m->m[i].value;
	return NULL;
}

static bool fill_once(const struct advise_macros *m, struct slice s, struct buf *to)
{
	while (s.n > 0) {
		const struct slice *value;
		struct slice name;

		if (!cur_byte(&s, '$')) {
			buf_byte(to, s.p[0]);
			s = slice_tail(s, 1);
			continue;
		}
		value = take_variable(&s, &name) ? value_of(m, name) : NULL;
		if (!value)
			return false;
		buf_put(to, *value);
	}
	return buf_ok(to);
}

bool advise_variables_fill(const struct advise_macros *m, struct slice *value,
			   char to[static ADVISE_EXPANDED])
{
	char kept[ADVISE_EXPANDED];
	struct slice s = *value;

	for (size_t round = 0; round < ROUNDS_MAX && slice_find(s, '$') < s.n; round++) {
		struct buf b;

		buf_init_in(&b, round % 2 ? kept : to, ADVISE_EXPANDED);
		if (!fill_once(m, s, &b))
			return false;
		s = buf_slice(&b);
	}
	if (slice_find(s, '$') < s.n)
		return false;
	if (s.n > 0 && (const char *)s.p == kept)
		memcpy(to, kept, s.n);
	*value = s.n > 0 && (const char *)s.p == kept ? slice_of(to, s.n) : s;
	return true;
}
