/* local_change.c - the lines that make a server's settings what they should be, by the AIM rows of local.def.
 */
#include <stdio.h>
#include <string.h>

#include "advise/local_private.h"
#include "base/buf.h"

/* Findings that the rows mend. */
static const uint32_t mended =
#define KIND(code, name, title, syntax, beside, paths)
#define KEY(kind, section, key, role)
#define AIM(kind, section, key, role, implicit, starttls, usual, only)
#define SETTING					     1
#define OWN					     0
#define WRONG(code, name, level, mend, what, change) (UINT32_C(mend) << ADVISE_WRONG_##code) |
#include "advise/local.def"
	0;
#undef KIND
#undef KEY
#undef AIM
#undef WRONG
#undef SETTING
#undef OWN

bool advise_local_target(const struct advise_local *l, const struct advise_local_server *s,
			 struct advise_target *ret)
{
	struct advise_target t = { .port = s->port };

	if (!(s->wrong & mended) || !s->host[0])
		return false;
	/* The port that stands there stays: it is what somebody was told.  25 is not for submission. */
	if (t.port == 0 || t.port == 25)
		t.port = s->security == ADVISE_SECURITY_IMPLICIT ? 465 : 587;
	t.implicit = t.port == 465;
	if (t.port != 465 && t.port != 587 && t.port != 2525)
		t.implicit = s->security == ADVISE_SECURITY_IMPLICIT;
	if (l->kind == ADVISE_LOCAL_EXIM_DEBIAN && !s->macros) /* its transport knows nothing else */
		t = (struct advise_target){ .port = t.port == 465 ? 587 : t.port };
	*ret = t;
	return true;
}

/* Whether a row is of this configuration; Debian's Exim has Exim's rows, too, where they are set. */
static bool kind_of_row_is(const struct advise_local *l, const struct advise_row *row, bool set)
{
	return row->kind == l->kind ||
	       (set && l->kind == ADVISE_LOCAL_EXIM_DEBIAN && row->kind == ADVISE_LOCAL_EXIM);
}

static bool is_set(const struct advise_local *l, const struct advise_local_server *s, struct slice key)
{
	for (size_t i = 0; i < s->n_sets; i++)
		if (slice_eq_nocase(key, slice_str(advise_row(s->set[i].key)->key)) &&
		    kind_of_row_is(l, advise_row(s->set[i].key), true))
			return true;
	return false;
}

/* "MAIL_HOST !MAIL_SCHEME" */
static bool may_add(const struct advise_local *l, const struct advise_local_server *s, const char *only)
{
	struct slice rest = slice_str(only);

	while (rest.n > 0) {
		struct slice word = slice_head(rest, slice_find(rest, ' '));
		bool absent = cur_byte(&word, '!');

		rest = slice_tail(rest, slice_find(rest, ' ') + 1);
		if (slice_eq(word, SLICE_LIT("-")) || is_set(l, s, word) == absent)
			return false;
	}
	return true;
}

/* Whether a value is one of those with | between. */
static bool among(struct slice value, const char *good)
{
	struct slice rest = slice_str(good);

	do {
		struct slice one = slice_head(rest, slice_find(rest, '|'));

		if (slice_eq_nocase(value, one) || (slice_eq(one, SLICE_LIT("*")) && value.n > 0))
			return true;
		rest = slice_tail(rest, one.n);
	} while (cur_byte(&rest, '|'));
	return false;
}

/* The first of them, with host and port filled in. */
static void fill(const char *good, const char *host, uint16_t port, struct buf *to)
{
	struct slice t = slice_head(slice_str(good), slice_find(slice_str(good), '|'));

	while (t.n > 0) {
		if (cur_word(&t, SLICE_LIT("{host}"))) {
			buf_str(to, host);
		} else if (cur_word(&t, SLICE_LIT("{port}"))) {
			buf_dec(to, port, 1);
		} else {
			buf_byte(to, t.p[0]);
			t = slice_tail(t, 1);
		}
	}
}

/* A row that names the server's port: with its host, in a URL, or alone. */
enum names { NAMES_NOTHING, NAMES_PORT, NAMES_PLACE, NAMES_ALL };

static enum names names_of(enum advise_role role)
{
	switch (role) {
	case ROLE_PORT:
		return NAMES_PORT;
	case ROLE_HOST_BRACKETS:
	case ROLE_HOST_COLONS:
	case ROLE_ROUTE_LIST:
	case ROLE_ROUTE_DATA:
		return NAMES_PLACE;
	case ROLE_URL:
	case ROLE_DJANGO_URL:
		return NAMES_ALL;
	default:
		return NAMES_NOTHING;
	}
}

static bool secured(const struct advise_local_server *s, const struct advise_target *t)
{
	return t->implicit ? s->security == ADVISE_SECURITY_IMPLICIT
			   : s->security == ADVISE_SECURITY_STARTTLS || s->security == ADVISE_SECURITY_MAYBE;
}

/* Is what this row says as it should be? */
static bool right(const struct advise_local *l, const struct advise_local_server *s,
		  const struct advise_row *row, const struct advise_set *set, const struct advise_target *t)
{
	const char *good = t->implicit ? row->implicit : row->starttls;

	bool route = l->kind == ADVISE_LOCAL_EXIM && s->port_set && !s->port_alone;

	switch (names_of(row->role)) {
	case NAMES_PORT: /* Exim: where the route has the port, that counts */
		return s->port == t->port || route;
	case NAMES_PLACE:
		return s->port == t->port || (l->kind == ADVISE_LOCAL_EXIM && !route);
	case NAMES_ALL:
		return s->port == t->port && secured(s, t) && !advise_wrong_has(s, ADVISE_WRONG_UNVERIFIED);
	default:
		return set ? !set->computed && among(slice_str(set->value), good)
			   : among(slice_str(row->usual), good);
	}
}

size_t advise_local_changes(const struct advise_local *l, const struct advise_local_server *s,
			    const struct advise_target *target,
			    struct advise_change ret[static ADVISE_LOCAL_CHANGES])
{
	size_t n = 0;

	if (l->kind == ADVISE_LOCAL_EXIM_DEBIAN && target->implicit && !s->macros)
		return 0; /* its transport knows nothing but STARTTLS */
	for (size_t i = 0; i < advise_rows() && n < ADVISE_LOCAL_CHANGES; i++) {
		const struct advise_row *row = advise_row(i);
		const struct advise_set *set = advise_set_of(s, i);
		struct slice group = advise_row_group(l->kind, row->role, slice_str(row->key));
		struct advise_change *c = &ret[n];
		char value[300];
		struct buf b;

		bool macro = l->kind == ADVISE_LOCAL_EXIM_DEBIAN && row->role != ROLE_HOST_COLONS;

		if (!kind_of_row_is(l, row, set != NULL) || !row->implicit || (macro && !s->macros && !set))
			continue;
		if (!set && ((group.n > 0 && !slice_eq_nocase(group, slice_str(s->name))) ||
			     !may_add(l, s, row->only)))
			continue;
		if (right(l, s, row, set, target))
			continue;
		*c = (struct advise_change){ .line = set && !set->inherited ? set->line : s->line,
					     .file = set && !set->inherited ? set->file : s->file,
					     .add = !set || set->inherited,
					     .beside = set && set->beside,
					     .place = "" };
		if (c->add && macro) { /* where Debian wants one's own */
			c->line = 0;
			c->file = 1;
			c->place = l->split ? "conf.d/main/000_localmacros" : "exim4.conf.localmacros";
		}
		if (set && !set->inherited)
			c->last = set->last;
		if (set && !set->inherited)
			memcpy(c->now, set->value, sizeof(c->now));
		buf_init_in(&b, value, sizeof(value) - 1);
		fill(target->implicit ? row->implicit : row->starttls, s->host, target->port, &b);
		value[buf_slice(&b).n] = '\0';
		buf_init_in(&b, c->text, sizeof(c->text) - 1);
		advise_setting(&b, c->beside ? ADVISE_LOCAL_POSTFIX : advise_written_as(l->kind, c->file),
			       row->key, slice_str(value));
		c->text[buf_slice(&b).n] = '\0';
		n++;
	}
	return n;
}
