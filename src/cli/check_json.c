/* What a check found, for programs: doc/check.md has the fields. */
#include <string.h>

#include "advise/explain.h"
#include "base/json_text.h"
#include "cli/check.h"

static json_t *reply_json(const struct probe_reply *r)
{
	if (!r->code)
		return json_null();
	return json_pack("{s:i, s:s, s:o, s:i}", "code", r->code, "enhanced", r->enhanced, "text",
			 json_text(slice_str(r->text)), "ms", (int)r->ms);
}

static json_t *words_json(const char *words)
{
	json_t *list = json_array();
	char word[PROBE_OFFERS_MAX];

	for (struct slice s = slice_str(words); s.n > 0;) {
		struct slice w = slice_head(s, slice_find(s, ' '));

		if (w.n > 0 && slice_copy(w, word, sizeof(word)))
			json_array_append_new(list, json_text(slice_str(word)));
		s = slice_tail(s, w.n + 1);
	}
	return list;
}

static json_t *offers_json(const struct probe_offers *o)
{
	if (!o->reply.code)
		return json_null();
	return json_pack("{s:o, s:b, s:o, s:o, s:o, s:b}", "reply", reply_json(&o->reply), "helo",
			 (int)o->helo, "extensions", words_json(o->extensions), "auth", words_json(o->auth),
			 "size", o->has_size ? json_integer((json_int_t)o->size) : json_null(), "masked",
			 (int)o->masked);
}

static json_t *chain_json(const struct probe_tls *t)
{
	json_t *list = json_array();

	for (size_t i = 0; i < t->n_chain; i++)
		json_array_append_new(list, json_pack("{s:s, s:s, s:I, s:I, s:s, s:s}", "subject",
						      t->chain[i].subject, "issuer", t->chain[i].issuer,
						      "not_before", (json_int_t)t->chain[i].not_before,
						      "not_after", (json_int_t)t->chain[i].not_after, "key",
						      t->chain[i].key, "sha256", t->chain[i].sha256));
	return list;
}

static const char *match_name(enum probe_match m)
{
	static const char *const names[] = { "none", "match", "mismatch", "unknown" };

	return names[m];
}

static json_t *tls_json(const struct probe_port *p)
{
	static const char *const old[] = { "not-asked", "accepted", "refused", "unclear" };
	const struct probe_tls *t = &p->tls;
	json_t *versions;

	if (!t->tried)
		return json_null();
	versions = json_object();
	for (int v = 0; v < PROBE_VERSIONS; v++)
		json_object_set_new(versions, probe_version_name((enum probe_version)v),
				    json_string(old[p->old[v]]));
	return json_pack("{s:b, s:s, s:s, s:s, s:b, s:s, s:s, s:o, s:o, s:i, s:o, s:s, s:s}", "up",
			 (int)t->up, "mode", t->implicit ? "implicit" : "starttls", "version", t->version,
			 "cipher", t->cipher, "verified", (int)t->verified, "result",
			 tls_result_name(t->result), "words", t->words, "names", words_json(t->names),
			 "chain", chain_json(t), "ms", (int)t->ms, "old_versions", versions, "dane",
			 match_name(p->dane), "mta_sts", match_name(p->sts));
}

static json_t *relay_json(const struct probe_port *p)
{
	json_t *list = json_array();

	for (size_t i = 0; i < PROBE_RELAYS; i++)
		if (p->relay[i][0].code)
			json_array_append_new(list,
					      json_pack("{s:o, s:o}", "mail", reply_json(&p->relay[i][0]),
							"rcpt", reply_json(&p->relay[i][1])));
	return list;
}

static json_t *login_json(const struct probe_host *h, const struct probe_port *p)
{
	const struct probe_login *l = &p->login;

	if (l->state == PROBE_LOGIN_NOT_ASKED)
		return json_null();
	return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "state", probe_login_name(l->state),
			 "mechanism", l->mech[0] ? json_string(l->mech) : json_null(), "why",
			 l->why[0] ? json_text(slice_str(l->why)) : json_null(), "before",
			 l->said[0] ? json_text(slice_str(l->said)) : json_null(), "reply",
			 reply_json(&l->auth), "mail_from", reply_json(&l->mail), "causes",
			 check_logins_causes(h, p));
}

static const char *reach_name(enum probe_reach reach)
{
	static const char *const names[] = { "not-asked",   "open",	  "refused", "filtered",
					     "unreachable", "prohibited", "failed" };

	return names[reach];
}

static json_t *port_json(const struct check_result *r, size_t host, size_t i)
{
	const struct probe_port *p = &r->hosts[host].port[i];
	static const char *const sent[] = { "unknown", "yes", "held" };
	char ip[IP_TEXT_MAX], from[IP_TEXT_MAX], why[500];
	json_t *j;

	probe_why_not(r->hosts, host, i, &r->found, &r->verdict, why, sizeof(why));
	j = json_pack("{s:i, s:s, s:s, s:i, s:s?, s:b, s:s?, s:s, s:b, s:o}", "port", (int)p->port, "address",
		      ip_format(&p->ip, ip), "state", reach_name(p->reach), "connect_ms", (int)p->connect_ms,
		      "icmp_from", p->icmp_from.family ? ip_format(&p->icmp_from, from) : NULL, "local",
		      (int)p->local, "local_why", p->local ? p->local_why : NULL, "sent", sent[p->sent],
		      "no_route", (int)p->no_route, "words", json_text(slice_str(why)));
	if (!j || p->reach != PROBE_OPEN)
		return j;
	json_object_set_new(j, "smtp", json_boolean(probe_speaks_smtp(p)));
	json_object_set_new(j, "speaks", json_string(probe_other_name(p->other)));
	json_object_set_new(j, "encryption", json_string(probe_encryption(p)));
	json_object_set_new(j, "greeting", reply_json(&p->greeting));
	json_object_set_new(j, "ehlo", offers_json(&p->clear));
	json_object_set_new(j, "starttls", reply_json(&p->starttls));
	json_object_set_new(j, "tls", tls_json(p));
	json_object_set_new(j, "ehlo_tls", offers_json(&p->in_tls));
	json_object_set_new(j, "mail", reply_json(&p->mail));
	json_object_set_new(j, "rcpt", reply_json(&p->rcpt));
	json_object_set_new(j, "relay_test", relay_json(p));
	json_object_set_new(j, "login", login_json(&r->hosts[host], p));
	return j;
}

static json_t *host_json(const struct check_result *r, size_t host)
{
	const struct probe_host *h = &r->hosts[host];
	json_t *ports = json_array();

	for (size_t i = 0; i < h->n; i++)
		json_array_append_new(ports, port_json(r, host, i));
	return json_pack("{s:s, s:s, s:s?, s:o}", "host", h->name, "from", h->from, "lookup",
			 h->lookup[0] ? h->lookup : NULL, "ports", ports);
}

static json_t *finding_json(const struct check_result *r, const struct probe_finding *f)
{
	const struct probe_host *h = f->host != PROBE_NOWHERE ? &r->hosts[f->host] : NULL;
	const struct probe_port *p = h && f->port != PROBE_NOWHERE ? &h->port[f->port] : NULL;
	char ip[IP_TEXT_MAX];

	return json_pack("{s:s, s:s, s:s?, s:o, s:s?, s:o, s:s?}", "code", probe_code_name(f->code), "level",
			 probe_level_name(f->level), "host", h ? h->name : NULL, "port",
			 p ? json_integer(p->port) : json_null(), "address", p ? ip_format(&p->ip, ip) : NULL,
			 "text", json_text(slice_str(f->text)), "advice", f->advice[0] ? f->advice : NULL);
}

static json_t *pick_json(const struct check_result *r, struct probe_pick pick)
{
	const struct probe_host *h = &r->hosts[pick.host];

	return json_pack("{s:s, s:i, s:s}", "host", h->name, "port", (int)h->port[pick.port].port,
			 "encryption", probe_encryption(&h->port[pick.port]));
}

/* How programs call it. */
static json_t *words_of(const struct check_result *r)
{
	const struct probe_port *p = &r->hosts[r->verdict.best.host].port[r->verdict.best.port];
	json_t *words = json_object();
	char text[400];

	for (unsigned c = 1; c < ADVISE_CLIENTS; c++)
		json_object_set_new(words, advise_client_name((enum advise_client)c),
				    json_string(advise_client_setting((enum advise_client)c, p->tls.implicit,
								      p->port, text, sizeof(text))));
	return words;
}

static json_t *verdict_json(const struct check_result *r)
{
	const struct probe_verdict *v = &r->verdict;
	json_t *also = json_array();

	for (size_t i = 0; i < v->n_also; i++)
		json_array_append_new(also, pick_json(r, v->also[i]));
	return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o}", "answer", probe_answer_name(v->answer), "use",
			 v->answer == PROBE_USE_NOTHING ? json_null() : pick_json(r, v->best), "also", also,
			 "text", json_text(slice_str(v->text)), "todo",
			 v->todo[0] ? json_text(slice_str(v->todo)) : json_null(), "words",
			 v->answer == PROBE_USE_NOTHING ? json_null() : words_of(r));
}

static void add_unmet(void *arg, const struct probe_port *p, const char *why)
{
	char ip[IP_TEXT_MAX];

	json_array_append_new(arg, json_pack("{s:i, s:s, s:o}", "port", (int)p->port, "address",
					     ip_format(&p->ip, ip), "why", json_text(slice_str(why))));
}

json_t *check_json(const struct check_result *r)
{
	static const char *const controls[] = { "not-asked", "up", "down" };
	json_t *hosts = json_array(), *found = json_array(), *all;

	for (size_t h = 0; h < r->n; h++)
		json_array_append_new(hosts, host_json(r, h));
	for (size_t i = 0; i < r->found.n; i++)
		json_array_append_new(found, finding_json(r, &r->found.f[i]));
	all = json_pack("{s:i, s:I, s:I, s:s, s:o, s:o, s:o}", "version", 1, "time", (json_int_t)r->now,
			"took_ms", (json_int_t)r->took_ms, "control", controls[r->control], "hosts", hosts,
			"findings", found, "verdict", verdict_json(r));
	if (all) {
		json_t *notes = json_array();

		for (size_t i = 0; i < r->n_notes; i++)
			json_array_append_new(notes, json_text(slice_str(r->note[i])));
		json_object_set_new(all, "notes", notes);
	}
	if (all && r->n_expect > 0) {
		json_t *unmet = json_array();
		size_t n = check_expectations(r, add_unmet, unmet);

		json_object_set_new(all, "expected", json_boolean(n == 0));
		json_object_set_new(all, "unmet", unmet);
	}
	return all;
}
