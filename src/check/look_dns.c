/* What the DNS says of a port: TLSA records, and the name of its address. */
#include <stdio.h>
#include <string.h>

#include "check/look_private.h"

/* ---- DANE ---- */

void look_learn_dane(struct look *l)
{
	struct tls_client_facts f;

	conn_tls_client_facts(l->conn, &f);
	if (f.how != TLS_VERIFY_DANE) {
		l->port->dane = PROBE_MATCH_UNKNOWN;
		snprintf(l->port->dane_words, sizeof(l->port->dane_words),
			 "there are signed TLSA records, and none of them is of a kind that can be used");
	} else {
		l->port->dane = f.verified ? PROBE_MATCH_YES : PROBE_MATCH_NO;
		snprintf(l->port->dane_words, sizeof(l->port->dane_words), "%s",
			 f.verified ? "the certificate matches a signed TLSA record" : f.words);
	}
}

static void on_tlsa(void *arg, const struct dns_answer *a)
{
	struct look *l = arg;

	l->query = NULL;
	if (a->status == DNS_OK && a->secure && dns_answer_copy(a, &l->answer) == 0) {
		l->has_answer = true;
		for (size_t i = 0; i < l->answer.n && l->n_tlsa < TLS_TLSA_MAX; i++) {
			const struct dns_record *r = &l->answer.records[i];

			l->tlsa[l->n_tlsa++] = (struct tls_tlsa){ r->tlsa.usage, r->tlsa.selector,
								  r->tlsa.matching, r->tlsa.data };
		}
		look_connect(l);
		return;
	}
	if (a->status == DNS_BOGUS) {
		l->port->dane = PROBE_MATCH_UNKNOWN;
		snprintf(l->port->dane_words, sizeof(l->port->dane_words),
			 "the signatures of its TLSA records are wrong: servers that use DANE send nothing "
			 "there");
	}
	look_next(l);
}

bool look_ask_tlsa(struct look *l)
{
	struct dns_question q = { .type = DNS_TLSA };
	struct dns_name host;
	struct ip ip;

	return l->setup->resolve && !ip_parse(slice_str(l->name), &ip) &&
	       dns_name_from_user(slice_str(l->name), &host) == 0 &&
	       dns_name_tlsa(&host, l->port->port, &q.name) &&
	       resolve_ask(l->setup->resolve, &q, on_tlsa, l, &l->query) == 0;
}

/* ---- the name of the address ---- */

/* Does the name lead back to the address? RFC 1912 2.1 */
static void on_forward(void *arg, const struct dns_answer *a)
{
	struct look *l = arg;

	l->query = NULL;
	for (size_t i = 0; a->status == DNS_OK && i < a->n; i++)
		if (ip_eq(&a->records[i].ip, &l->port->ip))
			l->port->ptr_forward = true;
	look_next(l);
}

static bool ask_forward(struct look *l)
{
	struct dns_question q = { .type = l->port->ip.family == 6 ? DNS_AAAA : DNS_A };

	return dns_name_parse(slice_str(l->port->ptr), &q.name) &&
	       resolve_ask_host(l->setup->resolve, &q, on_forward, l, &l->query) == 0;
}

static void on_ptr(void *arg, const struct dns_answer *a)
{
	struct look *l = arg;

	l->query = NULL;
	l->port->ptr_asked = a->status <= DNS_NODATA;
	if (a->status == DNS_OK) {
		snprintf(l->port->ptr, sizeof(l->port->ptr), "%s", a->records[0].name.text);
		if (ask_forward(l))
			return;
	}
	look_next(l);
}

bool look_ask_ptr(struct look *l)
{
	struct dns_question q = { .type = DNS_PTR };

	dns_name_reverse(&l->port->ip, &q.name);
	return l->setup->resolve && resolve_ask(l->setup->resolve, &q, on_ptr, l, &l->query) == 0;
}
