/* Findings that take more than one port to see. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "probe/across.h"
#include "route/providers.h"

static void add(struct probe_findings *to, enum probe_code code, size_t host, size_t port, const char *advice,
		const char *fmt, ...) __attribute__((format(printf, 6, 7)));

static void add(struct probe_findings *to, enum probe_code code, size_t host, size_t port, const char *advice,
		const char *fmt, ...)
{
	struct probe_finding *f = probe_findings_add(to, code, host, port);
	va_list args;

	if (!f)
		return;
	va_start(args, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, args);
	va_end(args);
	snprintf(f->advice, sizeof(f->advice), "%s", advice);
}

/* ---- who is related ---- */

/* The last two labels: good enough to tell strangers, for it errs towards "related" (co.uk). */
static struct slice domain_of(const char *name)
{
	struct slice s = slice_str(name);
	size_t dot = slice_rfind(s, '.');

	if (dot == s.n)
		return s;
	dot = slice_rfind(slice_head(s, dot), '.');
	return dot < s.n && s.p[dot] == '.' ? slice_tail(s, dot + 1) : s;
}

/* IPv4: the same /16; IPv6: /32. */
static bool near(const struct ip *a, const struct ip *b)
{
	return a->family == b->family && !memcmp(a->byte, b->byte, a->family == 4 ? 2 : 4);
}

bool probe_unrelated(const struct probe_host *a, const struct probe_host *b)
{
	struct ip ip;

	if (!ip_parse(slice_str(a->name), &ip) && slice_eq_nocase(domain_of(a->name), domain_of(b->name)))
		return false;
	for (size_t i = 0; i < a->n; i++)
		for (size_t j = 0; j < b->n; j++)
			if (near(&a->port[i].ip, &b->port[j].ip))
				return false;
	return true;
}

/* ---- the network ---- */

static bool is_open(const struct probe_port *p)
{
	return p->reach == PROBE_OPEN && p->greeting.code;
}

/* It did not let us in, and no answer of the host's own said so. */
static bool is_blocked(const struct probe_port *p)
{
	return !p->no_route && (p->reach == PROBE_SILENT || p->reach == PROBE_UNREACHABLE ||
				p->reach == PROBE_PROHIBITED || (p->reach == PROBE_REFUSED && p->local));
}

/* By the network, not by this machine. */
static bool is_blocked_outside(const struct probe_port *p)
{
	return is_blocked(p) && !p->local;
}

static bool any_port(const struct probe_host *h, bool port25, bool (*is)(const struct probe_port *))
{
	for (size_t i = 0; i < h->n; i++)
		if ((h->port[i].port == 25) == port25 && is(&h->port[i]))
			return true;
	return false;
}

static void judge_port25(const struct probe_host *hosts, size_t n, enum probe_control control,
			 struct probe_findings *to)
{
	size_t blocked = 0, others = 0, unrelated = 0, first = n;

	for (size_t i = 0; i < n; i++) {
		if (any_port(&hosts[i], true, is_open))
			return; /* it lets us out to one */
		others += any_port(&hosts[i], false, is_open);
		if (!any_port(&hosts[i], true, is_blocked_outside))
			continue;
		blocked++;
		if (first == n)
			first = i;
		else if (probe_unrelated(&hosts[first], &hosts[i]))
			unrelated++;
	}
	if (blocked == 0 || (others == 0 && control != PROBE_CONTROL_UP))
		return;
	if (unrelated > 0)
		add(to, PROBE_IS_PORT25_BLOCKED, PROBE_NOWHERE, PROBE_NOWHERE,
		    "Submit on 465 or 587. A server behind this network needs a smart host on one of them, "
		    "or the "
		    "provider's leave to use 25.",
		    "this network blocks outbound port 25: none of %zu hosts that have nothing in common can "
		    "be "
		    "reached on it, and other connections work",
		    blocked);
	else if (others > 0) {
		struct probe_finding *f =
			probe_findings_add(to, PROBE_IS_PORT25_BLOCKED, PROBE_NOWHERE, PROBE_NOWHERE);

		if (!f)
			return;
		f->level = PROBE_NOTE;
		snprintf(f->text, sizeof(f->text),
			 "port 25 does not answer while others do: this network blocks it, or this host does "
			 "not "
			 "take mail from servers");
		snprintf(f->advice, sizeof(f->advice),
			 "To tell which, check the MX hosts of several domains: postern check --mx DOMAIN "
			 "DOMAIN");
	}
}

static void judge_network(const struct probe_host *hosts, size_t n, enum probe_control control,
			  struct probe_findings *to)
{
	bool any = false;

	for (size_t i = 0; i < n; i++) {
		if (hosts[i].lookup[0])
			add(to, PROBE_IS_NO_ADDRESS, i, PROBE_NOWHERE, "Is the name written right?", "%s: %s",
			    hosts[i].name, hosts[i].lookup);
		for (size_t j = 0; j < hosts[i].n; j++)
			any = any || hosts[i].port[j].reach == PROBE_OPEN ||
			      hosts[i].port[j].reach == PROBE_REFUSED;
	}
	if (!any && control == PROBE_CONTROL_DOWN)
		add(to, PROBE_IS_NO_NETWORK, PROBE_NOWHERE, PROBE_NOWHERE,
		    "Mend the network of this machine first, then check again.",
		    "nothing can be reached from here, not even what has nothing to do with mail");
}

/* All of a host's IPv6 is lost on the way, and IPv4 is not. */
static void judge_ipv6(const struct probe_host *h, size_t at, struct probe_findings *to)
{
	size_t n6 = 0, lost = 0, open4 = 0;

	for (size_t i = 0; i < h->n; i++) {
		const struct probe_port *p = &h->port[i];

		if (p->ip.family == 6) {
			n6 += !p->no_route;
			lost += is_blocked(p);
		} else {
			open4 += p->reach == PROBE_OPEN;
		}
	}
	if (n6 > 0 && lost == n6 && open4 > 0)
		add(to, PROBE_IS_IPV6_BROKEN, at, PROBE_NOWHERE,
		    "Programs that try IPv6 first wait for it. Mend IPv6 here, or have the host's AAAA "
		    "record removed "
		    "if it fails from everywhere.",
		    "%s cannot be reached by IPv6 from here, and can by IPv4", h->name);
}

/* ---- somebody in between ---- */

static bool has_starttls(const struct probe_port *p)
{
	return p->clear.starttls && !p->tls_first;
}

/* Something has written over what the server says. */
static bool is_masked(const struct probe_port *p)
{
	return p->clear.masked || probe_is_greeting_masked(p);
}

static const char *family(const struct probe_port *p)
{
	return p->ip.family == 6 ? "IPv6" : "IPv4";
}

/* The same port of the same name, two ways. */
static void judge_ways(const struct probe_host *h, size_t at, size_t i, size_t j, struct probe_findings *to)
{
	const struct probe_port *p = &h->port[i], *q = &h->port[j];
	bool one = has_starttls(p);
	struct slice a =
		slice_head(slice_str(p->greeting.text), slice_find(slice_str(p->greeting.text), ' '));
	struct slice b =
		slice_head(slice_str(q->greeting.text), slice_find(slice_str(q->greeting.text), ' '));
	char with[IP_TEXT_MAX], without[IP_TEXT_MAX];

	if (p->tls_first || q->tls_first || !p->clear.reply.code || !q->clear.reply.code)
		return;
	if (probe_findings_has(to, PROBE_IS_INTERCEPTED, at, i) ||
	    probe_findings_has(to, PROBE_IS_INTERCEPTED, at, j))
		return; /* of another pair, with the same words */
	if (one != has_starttls(q)) {
		ip_format(one ? &p->ip : &q->ip, with);
		ip_format(one ? &q->ip : &p->ip, without);
		add(to, PROBE_IS_INTERCEPTED, at, one ? j : i,
		    "Log in over the other way only, or on 465, which nothing between can rewrite.",
		    "port %u of %s offers STARTTLS at %s and not at %s: it is stripped on that way, or the "
		    "two are "
		    "set up differently",
		    p->port, h->name, with, without);
	} else if (is_masked(p) != is_masked(q)) {
		one = is_masked(q);
		add(to, PROBE_IS_INTERCEPTED, at, one ? j : i,
		    "Log in over the other way only, or on 465, which nothing between can rewrite.",
		    "what port %u of %s says arrives overwritten from %s, and whole from %s: something on "
		    "that way "
		    "rewrites it",
		    p->port, h->name, ip_format(one ? &q->ip : &p->ip, without),
		    ip_format(one ? &p->ip : &q->ip, with));
	} else if (!slice_eq_nocase(a, b)) {
		add(to, PROBE_IS_DIFFERS, at, j, "",
		    "port %u of %s answers as %.*s by %s and as %.*s by %s: that may be all right", p->port,
		    h->name, SLICE_ARG(a), family(p), SLICE_ARG(b), family(q));
	}
}

/* A greeting begins with the server's own name (RFC 5321 4.2), so no two servers share it. */
static bool is_same_greeting(const struct probe_port *p, const struct probe_port *q)
{
	struct slice text = slice_str(p->greeting.text);
	struct slice name = slice_head(text, slice_find(text, ' '));

	return p->greeting.code && p->greeting.code == q->greeting.code &&
	       slice_eq(text, slice_str(q->greeting.text)) &&
	       (slice_find(name, '.') < name.n || probe_is_greeting_masked(p));
}

/* Both say the same, and it cannot be true of both.  sure: nobody's honest server does so; one with a
 * certificate of a public authority may be the one that runs both under other names. */
static bool same_lie(const struct probe_port *p, const struct probe_port *q, const char **ret_what,
		     bool *ret_sure)
{
	*ret_sure = true;
	if (p->tls.up && q->tls.up && !p->tls.verified && !q->tls.verified && p->tls.n_chain &&
	    q->tls.n_chain && !strcmp(p->tls.chain[0].sha256, q->tls.chain[0].sha256)) {
		*ret_what = "shows the same certificate, which is of neither";
		*ret_sure = p->tls.result != TLS_RESULT_CERTIFICATE_HOST_MISMATCH ||
			    q->tls.result != TLS_RESULT_CERTIFICATE_HOST_MISMATCH;
		return true;
	}
	if (!p->tls.up && !q->tls.up && is_same_greeting(p, q)) {
		*ret_what = "greets with the same words";
		return true;
	}
	return false;
}

static void add_lie(const struct probe_host *hosts, size_t host, size_t port, size_t other, const char *what,
		    bool sure, struct probe_findings *to)
{
	struct probe_finding *f;

	if (probe_findings_has(to, PROBE_IS_INTERCEPTED, host, port))
		return;
	f = probe_findings_add(to, PROBE_IS_INTERCEPTED, host, port);
	if (!f)
		return;
	if (!sure)
		f->level = PROBE_WARNING;
	snprintf(f->text, sizeof(f->text),
		 "port %u of %.120s and of %.120s, which have nothing in common, %s: %s",
		 hosts[host].port[port].port, hosts[host].name, hosts[other].name, what,
		 sure ? "something between answers for them"
		      : "either its owner runs both, or something between answers for them");
	snprintf(f->advice, sizeof(f->advice),
		 "Log in nowhere from here until you know what it is: it would read the password.");
}

static void judge_pair(const struct probe_host *hosts, size_t a, size_t b, struct probe_findings *to)
{
	const char *what;
	bool sure;

	if (!probe_unrelated(&hosts[a], &hosts[b]))
		return;
	for (size_t i = 0; i < hosts[a].n; i++)
		for (size_t j = 0; j < hosts[b].n; j++) {
			if (hosts[a].port[i].port != hosts[b].port[j].port ||
			    !same_lie(&hosts[a].port[i], &hosts[b].port[j], &what, &sure))
				continue;
			add_lie(hosts, a, i, b, what, sure, to);
			add_lie(hosts, b, j, a, what, sure, to);
		}
}

/* Makers of what opens TLS on its way, as their authorities are called. */
static const char *inspector(const char *issuer)
{
	static const char *const names[] = { "avast",	    "avg ",	   "kaspersky", "eset ",
					     "bitdefender", "fortinet",	   "fortigate", "sophos",
					     "zscaler",	    "palo alto",   "blue coat", "netskope",
					     "umbrella",    "check point", "barracuda", "watchguard",
					     "sonicwall",   "forcepoint",  "mitmproxy", "untangle",
					     "mcafee",	    "norton",	   "cato net",	"squid" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		for (const char *p = issuer; *p; p++)
			if (!strncasecmp(p, names[i], strlen(names[i])))
				return names[i];
	return NULL;
}

static void judge_issuer(const struct probe_host *h, size_t at, size_t port, struct probe_findings *to)
{
	const struct probe_tls *t = &h->port[port].tls;
	const char *issuer = t->n_chain ? t->chain[0].issuer : "";

	if (!t->up || !t->n_chain)
		return;
	if (inspector(issuer) && t->verified) {
		struct probe_finding *f = probe_findings_add(to, PROBE_IS_INTERCEPTED, at, port);

		if (!f)
			return;
		f->level = PROBE_WARNING; /* whoever runs this machine wants it so */
		snprintf(f->text, sizeof(f->text),
			 "the certificate on port %u is made by a program or firewall that inspects traffic, "
			 "and this "
			 "machine trusts it: %s",
			 h->port[port].port, issuer);
		snprintf(f->advice, sizeof(f->advice), "It reads the password and the mail.");
	} else if (t->verified) {
		return;
	} else if (inspector(issuer)) {
		add(to, PROBE_IS_INTERCEPTED, at, port,
		    "Have mail left out of the inspection, or make its authority known to the client if you "
		    "trust "
		    "it with your passwords.",
		    "the certificate on port %u is made by a program or firewall that inspects traffic: %s",
		    h->port[port].port, issuer);
	} else if (route_provider_of_host(slice_str(h->name)) &&
		   t->result != TLS_RESULT_CERTIFICATE_EXPIRED) {
		add(to, PROBE_IS_INTERCEPTED, at, port,
		    "Log in nowhere from here until you know what it is: it would read the password.",
		    "%s is %s, and the certificate on port %u is by %s, not by a public authority", h->name,
		    route_provider_of_host(slice_str(h->name))->title, h->port[port].port, issuer);
	}
}

void probe_judge_across(const struct probe_host *hosts, size_t n, enum probe_control control,
			struct probe_findings *to)
{
	judge_network(hosts, n, control, to);
	judge_port25(hosts, n, control, to);
	for (size_t h = 0; h < n; h++)
		for (size_t i = 0; i < hosts[h].n; i++)
			judge_issuer(&hosts[h], h, i, to);
	for (size_t h = 0; h < n; h++) {
		judge_ipv6(&hosts[h], h, to);
		for (size_t i = 0; i < hosts[h].n; i++)
			for (size_t j = i + 1; j < hosts[h].n; j++)
				if (hosts[h].port[i].port == hosts[h].port[j].port)
					judge_ways(&hosts[h], h, i, j, to);
		for (size_t other = h + 1; other < n; other++)
			judge_pair(hosts, h, other, to);
	}
}
