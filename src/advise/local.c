/* local.c - a file's settings, gathered into servers. */
#include <stdio.h>
#include <string.h>

#include "advise/local_reading.h"
#include "base/buf.h"

/* That of this name, made if there is none; out->n: there is no room.  transport: Exim has routers and
 * transports of one name. */
size_t advise_find_server(struct advise_reading *r, struct slice name, bool transport)
{
	struct advise_local *out = r->out;
	size_t i = 0;

	name = slice_head(name, ADVISE_LOCAL_NAME - 1);
	while (i < out->n && (r->said[i].is_transport != transport ||
			      !slice_eq_nocase(slice_str(out->server[i].name), name)))
		i++;
	if (i < out->n)
		return i;
	if (out->n == ADVISE_LOCAL_SERVERS || !slice_copy(name, out->server[i].name, ADVISE_LOCAL_NAME)) {
		out->cut = true;
		return out->n;
	}
	advise_printable(out->server[i].name);
	r->said[i].is_transport = transport;
	out->n++;
	return i;
}

/* What one server has holds for another, too, but its name; what that one has itself stays. */
void advise_inherit(struct advise_reading *r, size_t from, size_t to)
{
	struct advise_local_server *s = &r->out->server[to], own = *s;

	*s = r->out->server[from];
	memcpy(s->name, own.name, sizeof(s->name));
	s->line = own.line;
	for (size_t i = 0; i < s->n_sets; i++)
		s->set[i].inherited = true;
	r->said[to] = r->said[from];
}

/* msmtp: "account a", "account a : b": what defaults or b say holds for a, too. */
static bool account_line(const struct advise_pair *p, struct advise_reading *r, size_t *at)
{
	size_t colon = slice_find(p->value, ':'), from, to;
	struct slice name = slice_trim(slice_head(p->value, colon));

	if (slice_eq(p->key, SLICE_LIT("defaults"))) {
		*at = advise_find_server(r, (struct slice){ 0 }, false);
		return true;
	}
	if (!slice_eq(p->key, SLICE_LIT("account")))
		return false;
	from = advise_find_server(r, slice_trim(slice_tail(p->value, colon + 1)), false);
	to = advise_find_server(r, name, false);
	*at = to;
	if (to < r->out->n)
		r->out->server[to].line = p->line;
	if (from < r->out->n && to < r->out->n && from != to) {
		advise_inherit(r, from, to);
		r->said[to].alias = colon < p->value.n;
	}
	return true;
}

/* Of most settings the value can be shown; of these it is secret, or tells who somebody is. */
static bool secret(enum advise_role role)
{
	switch (role) {
	case ROLE_URL:
	case ROLE_DJANGO_URL:
	case ROLE_PASSWORD:
	case ROLE_EXIM_SECRET:
	case ROLE_LOGIN_SET:
	case ROLE_POSTFIX_PASSWORDS:
	case ROLE_SENDMAIL: /* it may have one among its options */
		return true;
	default:
		return false;
	}
}

/* Of a URL only how it begins. */
static struct slice shown(enum advise_role role, struct slice value)
{
	static const struct slice schemes[] = { SLICE_INIT("smtp://"), SLICE_INIT("smtps://"),
						SLICE_INIT("smtp+tls://"), SLICE_INIT("smtp+ssl://") };

	if (!secret(role))
		return value;
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if ((role == ROLE_URL || role == ROLE_DJANGO_URL) && slice_starts_nocase(value, schemes[i]))
			return slice_head(value, schemes[i].n);
	return (struct slice){ 0 };
}

static void keep_set(struct advise_reading *r, struct advise_local_server *s, size_t row,
		     const struct advise_pair *p)
{
	struct advise_set *set;
	struct slice value;
	struct buf b;
	size_t i = 0;

	while (i < s->n_sets && s->set[i].key != row)
		i++;
	if (i == ADVISE_LOCAL_SETS)
		return; /* it counts all the same, and is not shown */
	s->n_sets = i == s->n_sets ? i + 1 : s->n_sets;
	set = &s->set[i];
	*set = (struct advise_set){ .key = (uint16_t)row,
				    .line = p->line,
				    .last = p->last,
				    .file = r->part->file,
				    .beside = r->beside,
				    .computed = !p->literal,
				    .condition = p->condition };
	value = shown(advise_row(row)->role, p->value);
	if (!p->literal || value.n == 0)
		return;
	buf_init_in(&b, set->value, sizeof(set->value) - 1);
	buf_put(&b, slice_head(value, sizeof(set->value) - 4));
	if (p->value.n > buf_slice(&b).n)
		buf_str(&b, "...");
	advise_printable(set->value);
}

/* What is set by something that is not known here. */
static void take_computed(const struct advise_reading *r, struct advise_local_server *s,
			  struct advise_said *said, const struct advise_row *row, const struct advise_pair *p)
{
	if (row->role == ROLE_PASSWORD || row->role == ROLE_EXIM_SECRET) {
		advise_take_value(row->kind, row->role, p, s, said);
		return;
	}
	if (row->role == ROLE_LOGIN || row->role == ROLE_LOGIN_SET) {
		/* Which is most probable; of Debian's Exim it hangs on passwd.client. */
		said->login = r->kind == ADVISE_LOCAL_EXIM_DEBIAN ? said->login : ADVISE_YES;
		return;
	}
	advise_wrong_add(s, ADVISE_WRONG_UNSURE);
	if (row->role == ROLE_PORT || row->role == ROLE_WINDOWS_PORT)
		said->port_computed = true;
	else if (row->implicit)
		said->encryption_computed = true;
}

/* Which server a setting is of. */
static size_t server_of(struct advise_reading *r, enum advise_role role, const struct advise_pair *p,
			size_t at)
{
	struct slice name = { 0 };
	char pool[ADVISE_LOCAL_NAME];

	switch (r->rows) {
	case ADVISE_LOCAL_MSMTP:
		return r->out->n == 0 ? advise_find_server(r, name, false) : at;
	case ADVISE_LOCAL_EXIM:
		if (r->kind == ADVISE_LOCAL_EXIM_DEBIAN && p->sub.n == 0)
			return r->out->n; /* without a name it is Debian's own */
		return advise_find_server(r, p->sub, slice_eq_nocase(p->section, SLICE_LIT("transports")));
	case ADVISE_LOCAL_GIT:
		name = p->sub.n > 0 ? p->sub : r->part->when;
		break;
	case ADVISE_LOCAL_PHP_INI:
		if (p->pool)
			snprintf(pool, sizeof(pool), "pool %.*s", p->sub.n > 50 ? 50 : (int)p->sub.n,
				 (const char *)p->sub.p);
		if (p->pool)
			name = slice_str(pool);
		break;
	default:
		name = advise_row_group(r->kind, role, p->key);
		break;
	}
	return advise_find_server(r, name, false);
}

static void take_pair(struct advise_reading *r, struct advise_pair *p, size_t row_at, size_t at)
{
	struct advise_local_server *s = &r->out->server[at];
	const struct advise_row *row = advise_row(row_at);
	struct advise_said *said = &r->said[at];

	if (p->condition || (r->part->when.n > 0 && p->sub.n > 0)) {
		advise_wrong_add(s, ADVISE_WRONG_UNSURE);
		if (advise_set_of(s, row_at) && !advise_set_of(s, row_at)->condition)
			return; /* what holds otherwise is what is shown */
	}
	/* Of Debian's Exim what is to be changed is the macro, which is there itself. */
	if (!(p->filled && r->kind == ADVISE_LOCAL_EXIM_DEBIAN))
		keep_set(r, s, row_at, p);
	if (r->kind != ADVISE_LOCAL_MSMTP && r->kind != ADVISE_LOCAL_EXIM_DEBIAN && !r->beside) {
		s->line = p->last; /* what is added goes below the last */
		s->file = r->part->file;
	}
	if (!p->literal)
		take_computed(r, s, said, row, p);
	else if (!(p->condition && row->role == ROLE_MAILER))
		advise_take_value(r->rows, row->role, p, s, said);
	if (row->role == ROLE_PASSWORD || row->role == ROLE_URL || row->role == ROLE_DJANGO_URL)
		s->password_file = r->part->file;
	if (r->rows == ADVISE_LOCAL_EXIM && s->host[0])
		advise_exim_forget(s);
}

static void read_pair(struct advise_reading *r, struct advise_pair *p, size_t *at)
{
	enum advise_local_kind rows = r->rows;
	char room[ADVISE_EXPANDED];
	struct slice raw = p->value;
	size_t i;

	if (r->kind == ADVISE_LOCAL_MSMTP && account_line(p, r, at))
		return;
	if (rows == ADVISE_LOCAL_EXIM) {
		if (!advise_exim_pair(r, p, room))
			return;
		if (advise_is_macro(p->key))
			rows = ADVISE_LOCAL_EXIM_DEBIAN;
	}
	if (r->kind == ADVISE_LOCAL_POSTFIX && !p->literal)
		p->literal = advise_variables_fill(&r->macros, &p->value, room);
	i = advise_row_find(rows, p->section, p->key);
	if (i == advise_rows())
		return;
	if (advise_row(i)->role == ROLE_EXIM_SECRET) {
		advise_exim_secret(r, p);
		return;
	}
	*at = rows == ADVISE_LOCAL_EXIM_DEBIAN ? advise_find_server(r, (struct slice){ 0 }, false)
					       : server_of(r, advise_row(i)->role, p, *at);
	if (*at >= r->out->n)
		return;
	if (r->kind == ADVISE_LOCAL_EXIM_DEBIAN && rows == ADVISE_LOCAL_EXIM && raw.n > 0 &&
	    memmem(raw.p, raw.n, "DCsmarthost", strlen("DCsmarthost")))
		r->said[*at].debian_route = true;
	take_pair(r, p, i, *at);
}

static enum advise_syntax syntax_of(struct advise_reading *r)
{
	bool debian = r->kind == ADVISE_LOCAL_EXIM_DEBIAN && r->part->file > 0;

	if (r->beside)
		return ADVISE_MASTER;
	r->rows = debian ? ADVISE_LOCAL_EXIM : r->kind;
	return advise_local_syntax(r->rows);
}

static void read_text(struct advise_reading *r, struct advise_pairs *pairs)
{
	struct advise_pair p;
	size_t at = 0;

	while (advise_pairs_next(pairs, &p)) {
		r->pools = r->pools || (p.pool && r->part->file == 0);
		read_pair(r, &p, &at);
	}
}

/* Each file has the section that it was in; Exim's texts follow one another as if they were one. */
static void read_parts(struct advise_reading *r, const struct advise_whole *w)
{
	static const struct advise_part none;
	struct slice section[ADVISE_LOCAL_FILES] = { 0 }, sub[ADVISE_LOCAL_FILES] = { 0 };

	for (size_t i = 0; i < w->n; i++) {
		struct advise_pairs pairs;
		enum advise_syntax syntax;
		size_t f;

		r->part = &w->part[i];
		syntax = syntax_of(r);
		f = syntax == ADVISE_EXIM ? 0 : r->part->file % ADVISE_LOCAL_FILES;
		r->several = r->several || r->part->file > 0;
		advise_pairs_init(&pairs, syntax, slice_head(r->part->text, ADVISE_LOCAL_MAX));
		if (r->part->line > 1) /* a byte order mark stands at a file's beginning only */
			pairs.rest = slice_head(r->part->text, ADVISE_LOCAL_MAX);
		pairs.line = r->part->line;
		if (r->part->line > 1 || syntax == ADVISE_EXIM) {
			pairs.section = section[f];
			pairs.sub = sub[f];
		}
		read_text(r, &pairs);
		section[f] = pairs.section;
		sub[f] = pairs.sub;
	}
	r->part = &none;
}

/* Postfix fills in what a parameter is at last, wherever it is set. */
static void learn_parameters(struct advise_reading *r, const struct advise_whole *w)
{
	advise_macros_set(&r->macros, SLICE_LIT("config_directory"), w->folder);
	for (size_t i = 0; i < w->n; i++) {
		struct advise_pairs pairs;
		struct advise_pair p;

		advise_pairs_init(&pairs, ADVISE_LINES, slice_head(w->part[i].text, ADVISE_LOCAL_MAX));
		while (advise_pairs_next(&pairs, &p))
			advise_macros_set(&r->macros, p.key, p.value);
	}
	if (w->folder.n == 0) /* not known */
		r->macros.m[0].name = (struct slice){ 0 };
}

/* Something of it stands in this very file. */
static bool own_of(const struct advise_reading *r, const struct advise_local_server *s)
{
	if (r->kind != ADVISE_LOCAL_DOTENV || !r->several)
		return true;
	for (size_t i = 0; i < s->n_sets; i++)
		if (s->set[i].file == 0)
			return true;
	return false; /* .env.local: .env has it, and is read by itself */
}

/* Something is known of it that is worth a line: not of another name for the same (account default : work).
 */
static bool tells(const struct advise_reading *r, const struct advise_local_server *s,
		  const struct advise_said *said)
{
	bool own = !said->alias;

	for (size_t i = 0; i < s->n_sets && !own; i++)
		own = !s->set[i].inherited;
	/* Debian's files have routers for all kinds of things. */
	if (r->kind == ADVISE_LOCAL_EXIM_DEBIAN && s != r->out->server && !s->host[0])
		return false;
	return own && own_of(r, s) && !said->off &&
	       (s->host[0] || s->program[0] || s->password || s->wrong != 0);
}

static void join(struct advise_reading *r, struct slice beside)
{
	switch (r->kind) {
	case ADVISE_LOCAL_EXIM:
		advise_exim_join(r);
		break;
	case ADVISE_LOCAL_EXIM_DEBIAN:
		advise_exim_join(r);
		advise_debian_join(r);
		advise_debian_login(r, beside);
		break;
	case ADVISE_LOCAL_PHP_INI:
		if (!r->pools)
			advise_add_sendmail(r);
		break;
	case ADVISE_LOCAL_GIT:
		advise_join_identities(r);
		break;
	case ADVISE_LOCAL_DOTENV:
		advise_join_node(r);
		break;
	default:
		break;
	}
}

static void keep_servers(struct advise_reading *r)
{
	struct advise_local *l = r->out;
	size_t kept = 0;

	for (size_t i = 0; i < l->n; i++) {
		struct advise_local_server *s = &l->server[i];

		if (r->secret && s->host[0] && !s->password) {
			s->password = true;
			s->password_file = r->secret_file;
		}
		if (!tells(r, s, &r->said[i]))
			continue;
		/* What Debian's files have besides are an Exim's. */
		advise_local_judge(r->kind == ADVISE_LOCAL_EXIM_DEBIAN && i > 0 ? ADVISE_LOCAL_EXIM : r->kind,
				   &r->said[i], s);
		if (kept != i)
			l->server[kept] = *s;
		kept++;
	}
	for (size_t i = kept; i < l->n; i++)
		l->server[i] = (struct advise_local_server){ 0 };
	l->n = kept;
}

void advise_local_read_whole(enum advise_local_kind kind, const struct advise_whole *w,
			     struct advise_local *ret)
{
	struct advise_reading r = { .kind = kind, .rows = kind, .out = ret };

	*ret = (struct advise_local){ .kind = kind, .cut = w->beside.n > ADVISE_LOCAL_MAX };
	for (size_t i = 0; i < w->n; i++)
		ret->cut = ret->cut || w->part[i].text.n > ADVISE_LOCAL_MAX;
	if (kind == ADVISE_LOCAL_POSTFIX)
		learn_parameters(&r, w);
	if (kind == ADVISE_LOCAL_EXIM_DEBIAN)
		advise_debian_learn(&r, w);
	read_parts(&r, w);
	if (kind == ADVISE_LOCAL_POSTFIX && w->beside.n > 0) {
		struct advise_pairs pairs;

		r.beside = true;
		advise_pairs_init(&pairs, ADVISE_MASTER, slice_head(w->beside, ADVISE_LOCAL_MAX));
		read_text(&r, &pairs);
	}
	join(&r, slice_head(w->beside, ADVISE_LOCAL_MAX));
	keep_servers(&r);
}

void advise_local_read(enum advise_local_kind kind, struct slice text, struct slice beside,
		       struct advise_local *ret)
{
	const struct advise_part part = { .text = text, .line = 1 };
	const struct advise_whole whole = { .part = &part, .n = 1, .beside = beside };

	advise_local_read_whole(kind, &whole, ret);
}
