#include "send/host.h"

#include <string.h>

#include "send/private.h"

static void go_on(struct host_look *h);

void host_end(struct host_look *h)
{
	for (size_t i = 0; i < 2; i++)
		resolve_cancel(h->query[i]);
	if (h->has_a)
		dns_answer_done(&h->a);
	if (h->has_aaaa)
		dns_answer_done(&h->aaaa);
	if (h->has_tlsa)
		dns_answer_done(&h->tlsa);
	memset(h, 0, sizeof(*h));
}

/* ---- the end ---- */

static void set_text(struct host_look *h, const char *enhanced, const char *text)
{
	(void)slice_copy(slice_str(enhanced), h->enhanced, sizeof(h->enhanced));
	(void)slice_copy(slice_head(slice_str(text), sizeof(h->text) - 1), h->text, sizeof(h->text));
}

static void decide(struct host_look *h)
{
	const struct way *w = h->way;
	struct tls_policy_facts f = {
		.rule = w->n_fingerprints ? TLS_POLICY_FINGERPRINTS : (enum tls_policy_rule)w->tls,
		.credentials = w->login,
		.relax = w->relax,
		.proven = w->named || w->mx->secure,
		.tlsa = h->dane.state,
		.tlsa_result = h->dane.result,
		.sts = (enum tls_policy_sts)w->sts,
		.sts_listed = w->host[h->host].sts_listed,
	};

	tls_policy_decide(&f, &h->policy);
}

static void finish(struct host_look *h)
{
	decide(h);
	h->done(h->arg);
}

/* ---- TLSA ---- */

static void on_tlsa(void *arg, const struct dns_answer *a)
{
	struct host_look *h = arg;

	h->query[0] = NULL;
	if (h->has_tlsa)
		dns_answer_done(&h->tlsa);
	h->has_tlsa = dns_answer_copy(a, &h->tlsa) == 0;
	if (h->has_tlsa) {
		dane_judge(h->base[h->at_base], &h->tlsa, &h->dane);
	} else {
		h->dane.state = DANE_FAILED; /* not known is not "none" */
		h->dane.result = TLS_RESULT_TLSA_INVALID;
	}
	h->at_base++;
	go_on(h);
}

static bool ask_tlsa(struct host_look *h)
{
	struct dns_question q = { .type = DNS_TLSA };

	for (; h->at_base < h->n_bases; h->at_base++) {
		if (!dns_name_tlsa(h->base[h->at_base], h->port, &q.name))
			continue;
		if (resolve_ask(h->send->setup.resolve, &q, on_tlsa, h, &h->query[0]) == 0)
			return true;
		h->dane.state = DANE_FAILED;
		h->dane.result = TLS_RESULT_TLSA_INVALID;
		return false;
	}
	return false;
}

/* Asked one after the other, until one says something. */
static void go_on(struct host_look *h)
{
	if (h->dane.state != DANE_NONE || !ask_tlsa(h))
		finish(h);
}

static void begin_tlsa(struct host_look *h)
{
	struct dane_host d = { .name = &h->name,
			       .canonical = &h->canonical,
			       .proven = h->way->named || h->way->mx->secure,
			       .secure = h->secure,
			       .alias_secure = h->alias_secure };

	h->n_bases = dane_bases(&d, h->base);
	go_on(h);
}

static void on_alias(void *arg, const struct dns_answer *a)
{
	struct host_look *h = arg;

	h->query[0] = NULL;
	h->alias_secure = a->status == DNS_OK && a->secure;
	begin_tlsa(h);
}

/* Not where an administrator has said something else, or nobody would look at it. */
static bool wants_dane(const struct host_look *h)
{
	const struct way *w = h->way;

	return h->send->conf && h->send->conf->relay_dane && h->send->setup.resolve && !w->n_fingerprints &&
	       w->via != CONF_VIA_LMTP && w->tls != CONF_ROUTE_TLS_OFF && h->n_ips > 0;
}

static void begin_dane(struct host_look *h)
{
	struct dane_host d = { .name = &h->name,
			       .canonical = &h->canonical,
			       .proven = h->way->named || h->way->mx->secure,
			       .secure = h->secure };
	struct dns_question q = { .name = h->name, .type = DNS_CNAME };

	if (!wants_dane(h))
		finish(h);
	else if (dane_needs_alias(&d) &&
		 resolve_ask(h->send->setup.resolve, &q, on_alias, h, &h->query[0]) == 0)
		return;
	else
		begin_tlsa(h);
}

/* ---- addresses ---- */

static void take(struct host_look *h, const struct dns_answer *a)
{
	for (size_t i = 0; a->status == DNS_OK && i < a->n && h->n_ips < HOST_ADDRESSES_MAX; i++)
		h->ips[h->n_ips++] = a->records[i].ip;
}

static void say_none(struct host_look *h)
{
	struct mx_failure f;
	char text[MX_TEXT_MAX];
	const struct dns_answer *bad = h->a.status > DNS_NODATA ? &h->a : &h->aaaa;

	if (h->way->mx) {
		mx_no_address(h->way->mx, h->host, &h->a, &h->aaaa, &f);
		h->for_good = f.outcome == MX_PERMANENT;
		set_text(h, f.enhanced, f.text);
		return;
	}
	/* The configuration's own: its administrator will correct it, so mail waits. */
	snprintf(text, sizeof(text), "The address of %s could not be looked up: %s", h->name.text,
		 dns_status_name(bad->status));
	set_text(h, "4.4.4", text);
}

/* Leaves out where no mail can be sent to.  A host that the DNS named, one address of which is ours,
 * is us, whatever its others are. */
static void sift(struct host_look *h)
{
	struct mx_failure f;
	size_t n = 0;

	if (!h->way->mx || h->n_ips == 0)
		return;
	for (size_t i = 0; i < h->n_ips; i++) {
		ip_unmap(&h->ips[i]);
		h->is_us |= send_is_own(h->send, &h->ips[i], h->port);
		if (!ip_is_no_host(&h->ips[i]))
			h->ips[n++] = h->ips[i];
	}
	h->n_ips = h->is_us ? 0 : n;
	if (h->n_ips > 0)
		return;
	if (h->is_us)
		mx_loop(h->way->mx, h->host, &f);
	else
		mx_no_use(h->way->mx, h->host, &f);
	h->for_good = true;
	set_text(h, f.enhanced, f.text);
}

static void addresses_known(struct host_look *h)
{
	bool ok4 = h->a.status == DNS_OK, ok6 = h->aaaa.status == DNS_OK;
	const struct dns_answer *with = ok4 ? &h->a : &h->aaaa;

	/* In the resolver's order, half of each: neither family pushes the other out. */
	take(h, &h->aaaa);
	if (ok4 && h->n_ips > HOST_ADDRESSES_MAX / 2)
		h->n_ips = HOST_ADDRESSES_MAX / 2;
	take(h, &h->a);
	h->canonical = with->alias ? with->canonical : h->name;
	h->secure = (ok4 || ok6) && (!ok4 || h->a.secure) && (!ok6 || h->aaaa.secure);
	if (h->n_ips == 0)
		say_none(h);
	else
		sift(h);
	if (h->n_ips == 0)
		h->done(h->arg);
	else
		begin_dane(h);
}

static void on_address(struct host_look *h, const struct dns_answer *from, struct dns_answer *to, bool *has,
		       size_t query)
{
	h->query[query] = NULL;
	*has = true;
	if (dns_answer_copy(from, to) < 0) {
		const struct dns_question q = { .name = h->name, .type = from->type };

		dns_answer_init(to, &q, DNS_NO_MEMORY);
	}
	if (h->has_a && h->has_aaaa)
		addresses_known(h);
}

static void on_a(void *arg, const struct dns_answer *a)
{
	struct host_look *h = arg;

	on_address(h, a, &h->a, &h->has_a, 0);
}

static void on_aaaa(void *arg, const struct dns_answer *a)
{
	struct host_look *h = arg;

	on_address(h, a, &h->aaaa, &h->has_aaaa, 1);
}

static int ask(struct host_look *h, enum dns_type type, resolve_done fn, size_t query)
{
	struct resolve *r = h->send->setup.resolve;
	struct dns_question q = { .name = h->name, .type = type };

	if (!r)
		return -1;
	return h->way->named ? resolve_ask_host(r, &q, fn, h, &h->query[query])
			     : resolve_ask(r, &q, fn, h, &h->query[query]);
}

bool host_begin(struct host_look *h, struct way *w, size_t host, uint16_t port, void (*done)(void *arg),
		void *arg)
{
	const struct way_host *to = &w->host[host];

	memset(h, 0, sizeof(*h));
	h->send = w->send;
	h->way = w;
	h->host = host;
	h->port = port;
	h->done = done;
	h->arg = arg;
	if (to->ip.family || to->path[0]) {
		h->ips[h->n_ips++] = to->ip;
		sift(h);
		decide(h);
		return true;
	}
	h->name = to->name;
	if (ask(h, DNS_A, on_a, 0) < 0 || ask(h, DNS_AAAA, on_aaaa, 1) < 0) {
		host_end(h);
		set_text(h, "4.3.0", "names cannot be looked up: out of memory");
		return true;
	}
	return false;
}
