/* local.c - a file's settings, gathered into servers. */
#include <string.h>

#include "advise/local_private.h"
#include "base/buf.h"

#define MACROS_MAX   32
#define PHP_SENDMAIL "/usr/sbin/sendmail" /* with -t -i */

/* One file, as far as it is read.  said[i] is of out->server[i]. */
struct reading {
	enum advise_local_kind kind;
	struct advise_local *out;
	struct advise_said said[ADVISE_LOCAL_SERVERS];
	struct {
		struct slice name, value;
	} macro[MACROS_MAX]; /* Exim */
	size_t n_macros;
	bool secret; /* Exim: a password stands in the file */
	bool beside;
};

/* That of this name, made if there is none; out->n: there is no room.  transport: Exim has routers and
 * transports of one name. */
static size_t find_server(struct reading *r, struct slice name, bool transport)
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
static void inherit(struct reading *r, size_t from, size_t to)
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
static bool account_line(const struct advise_pair *p, struct reading *r, size_t *at)
{
	size_t colon = slice_find(p->value, ':'), from, to;
	struct slice name = slice_trim(slice_head(p->value, colon));

	if (slice_eq(p->key, SLICE_LIT("defaults"))) {
		*at = find_server(r, (struct slice){ 0 }, false);
		return true;
	}
	if (!slice_eq(p->key, SLICE_LIT("account")))
		return false;
	from = find_server(r, slice_trim(slice_tail(p->value, colon + 1)), false);
	to = find_server(r, name, false);
	*at = to;
	if (to < r->out->n)
		r->out->server[to].line = p->line;
	if (from < r->out->n && to < r->out->n && from != to) {
		inherit(r, from, to);
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

static void keep_set(struct reading *r, struct advise_local_server *s, size_t row,
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
static void take_computed(struct advise_local_server *s, struct advise_said *said,
			  const struct advise_row *row, const struct advise_pair *p)
{
	if (row->role == ROLE_PASSWORD || row->role == ROLE_EXIM_SECRET) {
		advise_take_value(row->kind, row->role, p, s, said);
		return;
	}
	if (row->role == ROLE_LOGIN || row->role == ROLE_LOGIN_SET) {
		said->login = ADVISE_YES; /* which is most probable */
		return;
	}
	advise_wrong_add(s, ADVISE_WRONG_UNSURE);
	if (row->role == ROLE_PORT || row->role == ROLE_WINDOWS_PORT)
		said->port_computed = true;
	else if (row->implicit)
		said->encryption_computed = true;
}

/* A macro of Exim's takes the place of its name, where that stands alone. */
static void expand(const struct reading *r, struct slice *value)
{
	for (size_t m = 0; m < r->n_macros; m++)
		if (slice_eq(*value, r->macro[m].name))
			*value = r->macro[m].value;
}

static bool exim_pair(struct reading *r, struct advise_pair *p)
{
	if (p->section.n == 0) { /* the main section: no server, but macros */
		if (p->key.p[0] >= 'A' && p->key.p[0] <= 'Z' && r->n_macros < MACROS_MAX) {
			r->macro[r->n_macros].name = p->key;
			r->macro[r->n_macros++].value = p->value;
		}
		return false;
	}
	expand(r, &p->value);
	return true;
}

/* The same of a host that stands before its port; one that is defined elsewhere (Debian's DCsmarthost) is not
 * known. */
static void expand_host(const struct reading *r, struct advise_local_server *s, struct advise_said *said)
{
	struct slice host = slice_str(s->host);
	struct advise_pair p = { .value = host, .literal = true };

	if (host.n == 0 || host.p[0] < 'A' || host.p[0] > 'Z' || slice_find(host, '.') < host.n)
		return;
	expand(r, &p.value);
	s->host[0] = '\0';
	if (p.value.p == host.p)
		advise_wrong_add(s, ADVISE_WRONG_UNSURE);
	else
		advise_take_value(r->kind, ROLE_ROUTE_DATA, &p, s, said);
}

/* Which server a setting is of. */
static size_t server_of(struct reading *r, enum advise_role role, const struct advise_pair *p, size_t at)
{
	struct slice name = { 0 };

	switch (r->kind) {
	case ADVISE_LOCAL_MSMTP:
		return r->out->n == 0 ? find_server(r, name, false) : at;
	case ADVISE_LOCAL_EXIM:
		return find_server(r, p->sub, slice_eq_nocase(p->section, SLICE_LIT("transports")));
	case ADVISE_LOCAL_GIT:
		name = p->sub;
		break;
	default:
		name = advise_row_group(r->kind, role, p->key);
		break;
	}
	return find_server(r, name, false);
}

static void read_pair(struct reading *r, struct advise_pair *p, size_t *at)
{
	struct advise_local_server *s;
	struct advise_said *said;
	const struct advise_row *row;
	size_t i;

	if (r->kind == ADVISE_LOCAL_MSMTP && account_line(p, r, at))
		return;
	if (r->kind == ADVISE_LOCAL_EXIM && !exim_pair(r, p))
		return;
	i = advise_row_find(r->kind, p->section, p->key);
	if (i == advise_rows())
		return;
	row = advise_row(i);
	if (row->role == ROLE_EXIM_SECRET) {
		struct advise_local_server none = { 0 };
		struct advise_said all = { 0 };

		advise_take_value(r->kind, row->role, p, &none, &all);
		r->secret = r->secret || all.secret;
		return;
	}
	*at = server_of(r, row->role, p, *at);
	if (*at >= r->out->n)
		return;
	s = &r->out->server[*at];
	said = &r->said[*at];
	if (p->condition) {
		advise_wrong_add(s, ADVISE_WRONG_UNSURE);
		if (advise_set_of(s, i) && !advise_set_of(s, i)->condition)
			return; /* what holds otherwise is what is shown */
	}
	keep_set(r, s, i, p);
	if (r->kind != ADVISE_LOCAL_MSMTP && !r->beside)
		s->line = p->last; /* what is added goes below the last */
	if (!p->literal)
		take_computed(s, said, row, p);
	else if (!(p->condition && row->role == ROLE_MAILER))
		advise_take_value(r->kind, row->role, p, s, said);
	if (r->kind == ADVISE_LOCAL_EXIM && s->host[0])
		expand_host(r, s, said);
}

static void read_text(struct reading *r, enum advise_syntax syntax, struct slice text)
{
	struct advise_pairs pairs;
	struct advise_pair p;
	size_t at = 0;

	advise_pairs_init(&pairs, syntax, slice_head(text, ADVISE_LOCAL_MAX));
	while (advise_pairs_next(&pairs, &p))
		read_pair(r, &p, &at);
}

/* ---- what servers of a file have to do with each other ---- */

/* Exim: what a router's transport says holds for where the router leads. */
static void join_transports(struct reading *r)
{
	struct advise_local *l = r->out;

	for (size_t i = 0; i < l->n; i++) {
		struct advise_local_server *s = &l->server[i];
		size_t t = 0;

		if (r->said[i].is_transport || !r->said[i].transport[0])
			continue;
		while (t < l->n &&
		       !(r->said[t].is_transport && strcmp(l->server[t].name, r->said[i].transport) == 0))
			t++;
		if (t == l->n)
			continue;
		for (size_t k = 0; k < l->server[t].n_sets && s->n_sets < ADVISE_LOCAL_SETS; k++)
			s->set[s->n_sets++] = l->server[t].set[k];
		if (!s->port_set) {
			s->port = l->server[t].port;
			s->port_set = s->port_alone = l->server[t].port_set;
		}
		s->line = l->server[t].line;
		s->wrong |= l->server[t].wrong;
		r->said[t].off = !l->server[t].host[0]; /* seen to here */
		r->said[i] = r->said[t];
		r->said[i].is_transport = false;
		r->said[i].off = false;
	}
}

/* git: [sendemail "name"] takes from [sendemail] what it has not itself. */
static void join_identities(struct reading *r)
{
	struct advise_local *l = r->out;
	size_t base = 0;

	while (base < l->n && l->server[base].name[0])
		base++;
	for (size_t i = 0; i < l->n && base < l->n; i++) {
		struct advise_local_server own = l->server[i];
		struct advise_said *to = &r->said[i], said = *to;
		struct advise_local_server *s = &l->server[i];

		if (i == base)
			continue;
		inherit(r, base, i);
		for (size_t k = 0; k < own.n_sets; k++) {
			size_t at = 0;

			while (at < s->n_sets && s->set[at].key != own.set[k].key)
				at++;
			if (at < ADVISE_LOCAL_SETS) {
				s->n_sets = at == s->n_sets ? at + 1 : s->n_sets;
				s->set[at] = own.set[k];
			}
		}
		if (own.host[0] || own.program[0]) {
			memcpy(s->host, own.host, sizeof(s->host));
			memcpy(s->program, own.program, sizeof(s->program));
		}
		if (own.program[0] || own.port_set) {
			s->port = own.port;
			s->port_set = own.port_set;
		}
		if (said.implicit != ADVISE_UNSET) { /* the three are set as one */
			to->implicit = said.implicit;
			to->starttls = said.starttls;
			to->encrypted = said.encrypted;
		}
		to->verify = said.verify != ADVISE_UNSET ? said.verify : to->verify;
		to->login = said.login != ADVISE_UNSET ? said.login : to->login;
		s->password = s->password || own.password;
		s->wrong |= own.wrong;
	}
}

/* .env: NODE_TLS_REJECT_UNAUTHORIZED is of no single server. */
static void join_node(struct reading *r)
{
	for (size_t i = 0; i < r->out->n; i++) {
		if (strcmp(r->out->server[i].name, "NODE") != 0)
			continue;
		for (size_t k = 0; k < r->out->n; k++) {
			struct advise_local_server *s = &r->out->server[k];

			if (k == i || r->said[i].verify != ADVISE_NO)
				continue;
			r->said[k].verify = ADVISE_NO;
			if (s->n_sets < ADVISE_LOCAL_SETS && r->out->server[i].n_sets > 0)
				s->set[s->n_sets++] = r->out->server[i].set[0];
		}
	}
}

/* PHP: where no sendmail_path is set, it runs one all the same. */
static void add_sendmail(struct reading *r)
{
	size_t i = find_server(r, (struct slice){ 0 }, false);

	if (i < r->out->n && !r->out->server[i].program[0])
		memcpy(r->out->server[i].program, PHP_SENDMAIL, sizeof(PHP_SENDMAIL));
}

/* Something is known of it that is worth a line: not of another name for the same (account default : work).
 */
static bool tells(const struct advise_local_server *s, const struct advise_said *said)
{
	bool own = !said->alias;

	for (size_t i = 0; i < s->n_sets && !own; i++)
		own = !s->set[i].inherited;
	return own && !said->off && (s->host[0] || s->program[0] || s->password || s->wrong != 0);
}

void advise_local_read(enum advise_local_kind kind, struct slice text, struct slice beside,
		       struct advise_local *ret)
{
	struct reading r = { .kind = kind, .out = ret };
	size_t kept = 0;

	*ret = (struct advise_local){ .kind = kind,
				      .cut = text.n > ADVISE_LOCAL_MAX || beside.n > ADVISE_LOCAL_MAX };
	read_text(&r, advise_local_syntax(kind), text);
	if (kind == ADVISE_LOCAL_POSTFIX && beside.n > 0) {
		r.beside = true;
		read_text(&r, ADVISE_MASTER, beside);
	}
	if (kind == ADVISE_LOCAL_EXIM)
		join_transports(&r);
	if (kind == ADVISE_LOCAL_PHP_INI)
		add_sendmail(&r);
	if (kind == ADVISE_LOCAL_GIT)
		join_identities(&r);
	if (kind == ADVISE_LOCAL_DOTENV)
		join_node(&r);
	for (size_t i = 0; i < ret->n; i++) {
		struct advise_local_server *s = &ret->server[i];

		s->password = s->password || (r.secret && s->host[0]);
		if (!tells(s, &r.said[i]))
			continue;
		advise_local_judge(kind, &r.said[i], s);
		if (kept != i)
			ret->server[kept] = *s;
		kept++;
	}
	for (size_t i = kept; i < ret->n; i++)
		ret->server[i] = (struct advise_local_server){ 0 };
	ret->n = kept;
}
