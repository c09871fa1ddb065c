/* local_exim.c - what is Exim's own: macros, conditions, routers and their transports; and how Debian makes
 * its configuration. */
#include <string.h>

#include "advise/local_reading.h"

/* ---- Exim: macros, and what hangs on them ---- */

/* Exim's own macros (_HAVE_OPENSSL) begin so, and are not known. */
static bool perhaps(struct slice names)
{
	while (names.n > 0) {
		struct slice word = slice_head(names, slice_find(names, ' '));

		if (slice_starts(word, SLICE_LIT("_")))
			return true;
		names = slice_trim(slice_tail(names, word.n));
	}
	return false;
}

static bool any_defined(const struct advise_reading *r, struct slice names)
{
	while (names.n > 0) {
		struct slice word = slice_head(names, slice_find(names, ' '));

		if (advise_macros_has(&r->macros, word))
			return true;
		names = slice_trim(slice_tail(names, word.n));
	}
	return false;
}

/* .ifdef A B, .ifndef, .elifdef, .elifndef, .else, .endif */
static void exim_directive(struct advise_reading *r, const struct advise_pair *p)
{
	struct slice key = p->key;
	bool is_else = cur_word(&key, SLICE_LIT("el")), no;
	bool alone = is_else && slice_eq(key, SLICE_LIT("se"));

	if (slice_eq(p->key, SLICE_LIT("endif"))) {
		r->n_ifs -= r->n_ifs > 0;
		return;
	}
	no = slice_eq(key, SLICE_LIT("ifndef"));
	if ((!alone && !no && !slice_eq(key, SLICE_LIT("ifdef"))) || (is_else && r->n_ifs == 0) ||
	    (!is_else && r->n_ifs == ADVISE_IFS_MAX))
		return;
	if (!is_else)
		r->n_ifs++;
	else if (r->ifs[r->n_ifs - 1] == IF_YES || r->ifs[r->n_ifs - 1] == IF_WAS) {
		r->ifs[r->n_ifs - 1] = IF_WAS;
		return;
	}
	if (alone)
		r->ifs[r->n_ifs - 1] = r->ifs[r->n_ifs - 1] == IF_MAYBE ? IF_MAYBE : IF_YES;
	else if (perhaps(p->value))
		r->ifs[r->n_ifs - 1] = IF_MAYBE;
	else
		r->ifs[r->n_ifs - 1] = any_defined(r, p->value) != no ? IF_YES : IF_NO;
	if (slice_eq(p->value, SLICE_LIT("REMOTE_SMTP_SMARTHOST_PROTOCOL")) && r->out->n > 0 &&
	    r->kind == ADVISE_LOCAL_EXIM_DEBIAN)
		r->out->server[0].macros = true;
}

/* Whether the line counts; it may be under a condition. */
static bool exim_counts(const struct advise_reading *r, struct advise_pair *p)
{
	for (size_t i = 0; i < r->n_ifs; i++) {
		if (r->ifs[i] == IF_NO || r->ifs[i] == IF_WAS)
			return false;
		p->condition = p->condition || r->ifs[i] == IF_MAYBE;
	}
	return true;
}

bool advise_is_macro(struct slice s)
{
	return s.n > 0 && s.p[0] >= 'A' && s.p[0] <= 'Z' && slice_find(s, '.') == s.n;
}

/* False: it is no setting of a server, or one that counts for nothing.  What is filled in goes to `room`. */
bool advise_exim_pair(struct advise_reading *r, struct advise_pair *p, char room[static ADVISE_EXPANDED])
{
	struct slice name = p->key;

	if (p->directive) {
		exim_directive(r, p);
		return false;
	}
	if (!exim_counts(r, p))
		return false;
	if (advise_is_macro(name)) { /* NAME = value, NAME == value; they stand between sections, too */
		if (slice_starts(p->value, SLICE_LIT("=")))
			p->value = slice_trim(slice_tail(p->value, 1));
		advise_macros_set(&r->macros, name, p->value);
		return r->kind == ADVISE_LOCAL_EXIM_DEBIAN && r->out->n > 0;
	}
	p->filled = advise_macros_expand(&r->macros, &p->value, room);
	return p->section.n > 0; /* the main section: no server */
}

/* A host that is a macro which is defined elsewhere is not known. */
void advise_exim_forget(struct advise_local_server *s)
{
	if (!advise_is_macro(slice_str(s->host)))
		return;
	s->host[0] = '\0';
	advise_wrong_add(s, ADVISE_WRONG_UNSURE);
}

/* Exim: of all servers. */
void advise_exim_secret(struct advise_reading *r, const struct advise_pair *p)
{
	struct advise_local_server none = { 0 };
	struct advise_said all = { 0 };

	advise_take_value(r->kind, ROLE_EXIM_SECRET, p, &none, &all);
	if (all.secret && !r->secret)
		r->secret_file = r->part->file;
	r->secret = r->secret || all.secret;
}

/* What update-exim4.conf makes of its file. */
void advise_debian_learn(struct advise_reading *r, const struct advise_whole *w)
{
	struct advise_pairs pairs;
	struct advise_pair p;

	if (w->n == 0)
		return;
	advise_pairs_init(&pairs, ADVISE_SHELL, slice_head(w->part[0].text, ADVISE_LOCAL_MAX));
	while (advise_pairs_next(&pairs, &p)) {
		if (slice_eq(p.key, SLICE_LIT("dc_smarthost")))
			advise_macros_set(&r->macros, SLICE_LIT("DCsmarthost"), p.value);
		if (slice_eq(p.key, SLICE_LIT("dc_use_split_config")))
			r->out->split = slice_eq(p.value, SLICE_LIT("true"));
		if (slice_eq(p.key, SLICE_LIT("dc_eximconfig_configtype")))
			advise_macros_set(&r->macros,
					  slice_eq(p.value, SLICE_LIT("satellite"))
						  ? SLICE_LIT("DCconfig_satellite")
					  : slice_eq(p.value, SLICE_LIT("smarthost"))
						  ? SLICE_LIT("DCconfig_smarthost")
						  : SLICE_LIT("DCconfig_other"),
					  SLICE_LIT("1"));
	}
}

/* Exim: what a router's transport says holds for where the router leads. */
void advise_exim_join(struct advise_reading *r)
{
	struct advise_local *l = r->out;

	for (size_t i = 0; i < l->n; i++) {
		struct advise_local_server *s = &l->server[i];
		bool debian_route;
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
		s->file = l->server[t].file;
		s->wrong |= l->server[t].wrong;
		r->said[t].off = !l->server[t].host[0]; /* seen to here */
		debian_route = r->said[i].debian_route;
		r->said[i] = r->said[t];
		r->said[i].debian_route = debian_route;
		r->said[i].is_transport = false;
		r->said[i].off = false;
	}
}

static void join_truth(enum advise_truth *to, enum advise_truth from)
{
	*to = from != ADVISE_UNSET ? from : *to;
}

/* Debian's Exim: the router that leads to dc_smarthost, and its transport, are that server's. */
void advise_debian_join(struct advise_reading *r)
{
	struct advise_local *l = r->out;
	struct advise_local_server *s = &l->server[0];
	struct advise_said *to = &r->said[0];

	for (size_t i = 1; i < l->n; i++) {
		const struct advise_local_server *from = &l->server[i];
		const struct advise_said *said = &r->said[i];

		if (!said->debian_route)
			continue;
		for (size_t k = 0; k < from->n_sets && s->n_sets < ADVISE_LOCAL_SETS; k++)
			if (advise_row(from->set[k].key)->role != ROLE_TRANSPORT &&
			    advise_row(from->set[k].key)->role != ROLE_LOGIN_SET)
				s->set[s->n_sets++] = from->set[k];
		if (from->port_alone && !s->port_set) {
			s->port = from->port;
			s->port_set = s->port_alone = true;
		}
		join_truth(&to->implicit, said->implicit);
		join_truth(&to->encrypted, said->encrypted);
		join_truth(&to->verify, said->verify);
		r->said[i].off = true;
	}
}

/* passwd.client: HOST:USER:PASSWORD.  A line may be for names that are known only when the host is looked up
 * (a pattern, what a CNAME leads to): what none seems to fit, is not known. */
void advise_debian_login(struct advise_reading *r, struct slice table)
{
	struct advise_local_server *s = &r->out->server[0];
	bool there = table.n > 0, some = false;

	while (table.n > 0 && r->out->n > 0) {
		struct slice line, host;

		if (!cur_until(&table, '\n', &line)) {
			line = table;
			table = slice_tail(table, table.n);
		}
		line = slice_trim(line);
		if (line.n == 0 || line.p[0] == '#' || !cur_until(&line, ':', &host))
			continue;
		some = true;
		host = slice_trim(host);
		if (!slice_eq_nocase(host, slice_str(s->host)) && !slice_eq(host, SLICE_LIT("*")))
			continue;
		s->password = slice_find(line, ':') + 1 < line.n;
		s->password_file = ADVISE_LOCAL_BESIDE;
		r->said[0].login = ADVISE_YES;
		return;
	}
	if (there && !some && r->out->n > 0)
		r->said[0].login = ADVISE_NO;
}
