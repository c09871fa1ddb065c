/* Which port to use. */
#include <stdio.h>
#include <string.h>

#include "probe/verdict.h"
#include "route/providers.h"

const char *probe_answer_name(enum probe_answer answer)
{
	static const char *const names[] = {
		[PROBE_USE] = "use",
		[PROBE_USE_PINNED] = "use-pinned",
		[PROBE_USE_NOTHING] = "nothing",
	};

	return (unsigned)answer <= PROBE_USE_NOTHING ? names[answer] : "unknown";
}

const char *probe_encryption(const struct probe_port *p)
{
	return !p->tls.up ? "none" : p->tls.implicit ? "SSL/TLS" : "STARTTLS";
}

const struct probe_finding *probe_worst(const struct probe_findings *found, size_t host, size_t port)
{
	const struct probe_finding *worst = NULL;

	for (size_t i = 0; i < found->n; i++) {
		const struct probe_finding *f = &found->f[i];

		if (f->host == host && f->port == port && f->level > PROBE_GOOD &&
		    (!worst || f->level > worst->level))
			worst = f;
	}
	return worst;
}

/* ---- which is best ---- */

static bool found_there(const struct probe_findings *found, enum probe_code code, size_t host, size_t port)
{
	return probe_findings_has(found, code, host, port);
}

/* A port that somebody reads against the will of this machine's owner. */
static bool is_intercepted(const struct probe_findings *found, size_t host, size_t port)
{
	for (size_t i = 0; i < found->n; i++)
		if (found->f[i].code == PROBE_IS_INTERCEPTED && found->f[i].level == PROBE_ALARM &&
		    found->f[i].host == host && found->f[i].port == port)
			return true;
	return false;
}

/* Another address of the same name is, on that port: who connects there may come upon either. */
static bool is_tainted(const struct probe_host *hosts, size_t host, size_t port,
		       const struct probe_findings *found)
{
	for (size_t i = 0; i < hosts[host].n; i++)
		if (hosts[host].port[i].port == hosts[host].port[port].port && is_intercepted(found, host, i))
			return true;
	return false;
}

/* Can an application log in there, with a password that nobody else reads?  certificate: it verifies. */
static bool usable(const struct probe_host *hosts, size_t host, size_t port,
		   const struct probe_findings *found, bool certificate)
{
	const struct probe_port *p = &hosts[host].port[port];

	return p->port != 25 && probe_speaks_smtp(p) && p->tls.up && p->in_tls.auth[0] &&
	       p->tls.verified == certificate && !found_there(found, PROBE_IS_TLS_ONLY_OLD, host, port) &&
	       !is_intercepted(found, host, port);
}

/* What one port took and another refused tells of the ports; what all refused, of the password. */
static bool is_passed_over(const struct probe_host *h, const struct probe_port *p)
{
	if (p->login.state != PROBE_LOGIN_REFUSED && p->login.state != PROBE_LOGIN_FAILED)
		return false;
	for (size_t i = 0; i < h->n; i++)
		if (h->port[i].login.state == PROBE_LOGIN_ACCEPTED)
			return true;
	return false;
}

/* The less the better. */
static unsigned rank(const struct probe_host *hosts, size_t host, size_t port,
		     const struct probe_findings *found)
{
	const struct probe_host *h = &hosts[host];
	const struct probe_port *p = &h->port[port];
	unsigned tainted = is_tainted(hosts, host, port, found) ? 100 : 0;
	const struct route_provider *provider = route_provider_of_host(slice_str(h->name));
	uint16_t ports[ROUTE_PROVIDER_PORTS];
	size_t n = provider ? route_provider_ports(provider, ports) : 0;

	for (size_t i = 0; i < n; i++)
		if (ports[i] == p->port)
			return tainted + (unsigned)i;
	return tainted + 10 + (p->port == 465 ? 0 : p->port == 587 ? 1 : p->port == 2525 ? 9 : 5);
}

/* Of all hosts the first that has one, its ports by rank; a port once, whatever the address. */
static size_t pick(const struct probe_host *hosts, size_t n, const struct probe_findings *found,
		   bool certificate, struct probe_pick *ret, size_t max)
{
	size_t picked = 0;

	for (size_t h = 0; h < n && picked == 0; h++)
		for (size_t i = 0; i < hosts[h].n; i++) {
			const struct probe_port *p = &hosts[h].port[i];
			size_t at = 0, same = 0;

			while (same < picked && hosts[h].port[ret[same].port].port != p->port)
				same++;
			while (at < picked && rank(hosts, h, ret[at].port, found) <= rank(hosts, h, i, found))
				at++;
			if (same < picked || at == max || !usable(hosts, h, i, found, certificate) ||
			    is_passed_over(&hosts[h], p))
				continue;
			picked += picked < max;
			memmove(&ret[at + 1], &ret[at], (picked - at - 1) * sizeof(*ret));
			ret[at] = (struct probe_pick){ h, i };
		}
	return picked;
}

/* ---- in words ---- */

static void say_use(const struct probe_host *hosts, struct probe_verdict *v)
{
	const struct probe_host *h = &hosts[v->best.host];
	const struct probe_port *p = &h->port[v->best.port];
	const char *first =
		v->answer == PROBE_USE_PINNED ? "Have the certificate mended first, then use" : "Use";
	size_t size = sizeof(v->text);
	int n = snprintf(v->text, size, "%s %s, port %u, encryption \"%s\", and log in.", first, h->name,
			 p->port, probe_encryption(p));

	for (size_t i = 0; i < v->n_also && n > 0 && (size_t)n < size; i++) {
		const struct probe_port *q = &h->port[v->also[i].port];

		n += snprintf(v->text + n, size - (size_t)n,
			      i == 0 ? " Port %u with \"%s\" is as good" : ", so is %u with \"%s\"", q->port,
			      probe_encryption(q));
	}
	if (v->n_also > 0 && n > 0 && (size_t)n < size)
		snprintf(v->text + n, size - (size_t)n, ".");
}

static void say_provider(const struct route_provider *p, char *to, size_t size)
{
	if (p)
		snprintf(to, size, "%s: the user name is %s, the secret %s.%s%s", p->title, p->user,
			 route_password_text(p->password), p->note[0] ? " " : "", p->note);
}

/* What has to be mended before it can be used; what else is bad there comes behind it. */
static const struct probe_finding *blocking(const struct probe_findings *found, size_t host, size_t port)
{
	static const enum probe_code codes[] = {
		PROBE_IS_INTERCEPTED,
		PROBE_IS_STARTTLS_MASKED,
		PROBE_IS_STARTTLS_REFUSED,
		PROBE_IS_TLS_FAILED,
		PROBE_IS_GREETING_MASKED,
		PROBE_IS_NO_STARTTLS,
		PROBE_IS_TLS_ONLY_OLD,
		PROBE_IS_NO_AUTH,
		PROBE_IS_NOT_SMTP,
		PROBE_IS_GREETING_REFUSED,
		PROBE_IS_GREETING_DEFERRED,
		PROBE_IS_EHLO_REFUSED,
		PROBE_IS_CLOSED,
		PROBE_IS_RESET,
		PROBE_IS_SILENT,
		PROBE_IS_BROKEN,
	};

	for (size_t c = 0; c < sizeof(codes) / sizeof(codes[0]); c++)
		for (size_t i = 0; i < found->n; i++) {
			const struct probe_finding *f = &found->f[i];

			if (f->code == codes[c] && f->host == host && f->port == port &&
			    (f->code != PROBE_IS_INTERCEPTED || f->level == PROBE_ALARM))
				return f;
		}
	return NULL;
}

/* A finding of a port on which mail could be submitted. */
static const struct probe_finding *find_code(const struct probe_host *hosts,
					     const struct probe_findings *found, enum probe_code code)
{
	for (size_t i = 0; i < found->n; i++) {
		const struct probe_finding *f = &found->f[i];

		if (f->code == code && (f->port == PROBE_NOWHERE || hosts[f->host].port[f->port].port != 25))
			return f;
	}
	return NULL;
}

/* Of all findings the one that nothing else helps against. */
static const struct probe_finding *find_everywhere(const struct probe_host *hosts,
						   const struct probe_findings *found)
{
	const struct probe_finding *f = find_code(hosts, found, PROBE_IS_LOCAL_RULE);

	return f ? f : find_code(hosts, found, PROBE_IS_NO_NETWORK);
}

/* At the port that is nearest to being of use: one that speaks SMTP before one where something else is. */
static const struct probe_finding *find_nearest(const struct probe_host *hosts, size_t n,
						const struct probe_findings *found)
{
	const struct probe_finding *nearest = NULL;
	bool nearest_speaks = false;

	for (size_t h = 0; h < n; h++)
		for (size_t i = 0; i < hosts[h].n; i++) {
			const struct probe_port *p = &hosts[h].port[i];
			const struct probe_finding *f = p->port == 25 ? NULL : blocking(found, h, i);
			bool speaks = probe_speaks_smtp(p);

			if (f && (!nearest || (speaks && !nearest_speaks))) {
				nearest = f;
				nearest_speaks = speaks;
			}
		}
	return nearest;
}

static bool any_reached(const struct probe_host *hosts, size_t n, enum probe_reach reach, bool port_25)
{
	for (size_t h = 0; h < n; h++)
		for (size_t i = 0; i < hosts[h].n; i++)
			if ((hosts[h].port[i].port == 25) == port_25 && hosts[h].port[i].reach == reach)
				return true;
	return false;
}

/* Nobody was reached on a port for submission. */
static void say_not_reached(const struct probe_host *hosts, size_t n, struct probe_verdict *v)
{
	if (any_reached(hosts, n, PROBE_OPEN, true))
		snprintf(v->todo, sizeof(v->todo),
			 "This host takes mail from other servers (25), and from programs none. Ask the "
			 "provider for "
			 "the name of its outgoing server, or give postern check an address of that domain.");
	else if (any_reached(hosts, n, PROBE_SILENT, false) && !any_reached(hosts, n, PROBE_REFUSED, false))
		snprintf(v->todo, sizeof(v->todo),
			 "Nothing came back: a firewall drops it, here, on the way or there. Try from "
			 "another network. "
			 "If it works there, ask the operator of this one (the cloud, the web host, the "
			 "office) to let "
			 "465 or 587 out; if not, compare the host's name with the provider's.");
	else
		snprintf(v->todo, sizeof(v->todo),
			 "Compare the host's name with the provider's: its outgoing server may be called "
			 "otherwise. On a "
			 "server of your own: is it running, and does its firewall let 465 and 587 in?");
}

/* Nothing can be used: what would have to change at the port that is nearest to it. */
static void say_nothing(const struct probe_host *hosts, size_t n, const struct probe_findings *found,
			struct probe_verdict *v)
{
	const struct probe_finding *f = find_everywhere(hosts, found);
	char at[32] = "";

	if (n == 0) {
		snprintf(v->text, sizeof(v->text), "There is no server to look at.");
		return;
	}
	if (!f)
		f = find_nearest(hosts, n, found);
	if (!f)
		f = find_code(hosts, found, PROBE_IS_PROHIBITED);
	if (!f)
		f = find_code(hosts, found, PROBE_IS_UNREACHABLE);
	if (!f)
		f = find_code(hosts, found, PROBE_IS_NO_ADDRESS);
	if (f && f->host != PROBE_NOWHERE && f->port != PROBE_NOWHERE && f->code != PROBE_IS_LOCAL_RULE)
		snprintf(at, sizeof(at), "at port %u ", hosts[f->host].port[f->port].port);
	snprintf(v->text, sizeof(v->text), "No port here can be used to submit mail%s%s%s.", f ? ": " : "",
		 at, f ? f->text : "");
	if (f && f->advice[0])
		snprintf(v->todo, sizeof(v->todo), "%s", f->advice);
	else if (!f)
		say_not_reached(hosts, n, v);
}

/* "mx.example.org *.example.net": the first that is no pattern. */
static struct slice plain_name(const char *names)
{
	struct slice s = slice_str(names), name;

	for (; s.n > 0; s = slice_tail(s, name.n + 1)) {
		name = slice_head(s, slice_find(s, ' '));
		if (name.n > 0 && slice_find(name, '*') == name.n && slice_find(name, '.') < name.n)
			return name;
	}
	return SLICE_LIT("");
}

static void say_mend(const struct probe_host *hosts, const struct probe_findings *found,
		     struct probe_verdict *v)
{
	const struct probe_port *p = &hosts[v->best.host].port[v->best.port];
	const struct probe_finding *f = probe_worst(found, v->best.host, v->best.port);
	struct slice other = plain_name(p->tls.names);
	int n = snprintf(v->todo, sizeof(v->todo), "As it is, %.250s. %s",
			 f ? f->text : "the certificate does not verify", f ? f->advice : "");

	if (n <= 0 || (size_t)n >= sizeof(v->todo))
		return;
	if (p->tls.result == TLS_RESULT_CERTIFICATE_HOST_MISMATCH && other.n > 0 && other.n < 100)
		snprintf(v->todo + n, sizeof(v->todo) - (size_t)n, " Look at that one: postern check %.*s",
			 SLICE_ARG(other));
	else if (p->tls.self_signed && p->tls.n_chain > 0)
		snprintf(v->todo + n, sizeof(v->todo) - (size_t)n,
			 " Before you pin it, compare it at the server: SHA-256 %s", p->tls.chain[0].sha256);
}

void probe_verdict(const struct probe_host *hosts, size_t n, const struct probe_findings *found,
		   struct probe_verdict *ret)
{
	struct probe_pick picks[4];
	size_t k;

	memset(ret, 0, sizeof(*ret));
	k = pick(hosts, n, found, true, picks, 4);
	ret->answer = PROBE_USE;
	if (k == 0) {
		k = pick(hosts, n, found, false, picks, 4);
		ret->answer = k ? PROBE_USE_PINNED : PROBE_USE_NOTHING;
	}
	if (k == 0) {
		say_nothing(hosts, n, found, ret);
		return;
	}
	ret->best = picks[0];
	for (size_t i = 1; i < k; i++) {
		/* 2525 only when neither can be reached. */
		if (hosts[picks[i].host].port[picks[i].port].port != 2525 &&
		    !is_tainted(hosts, picks[i].host, picks[i].port, found))
			ret->also[ret->n_also++] = picks[i];
	}
	say_use(hosts, ret);
	if (ret->answer == PROBE_USE_PINNED)
		say_mend(hosts, found, ret);
	else
		say_provider(route_provider_of_host(slice_str(hosts[ret->best.host].name)), ret->todo,
			     sizeof(ret->todo));
}

void probe_why_not(const struct probe_host *hosts, size_t host, size_t port,
		   const struct probe_findings *found, const struct probe_verdict *v, char *ret, size_t size)
{
	const struct probe_port *p = &hosts[host].port[port];
	const struct probe_finding *f = probe_worst(found, host, port);

	if (v->answer != PROBE_USE_NOTHING && v->best.host == host &&
	    hosts[host].port[v->best.port].port == p->port && probe_speaks_smtp(p))
		snprintf(ret, size,
			 v->answer == PROBE_USE ? "the one to use"
						: "the one to use, once the certificate is right");
	else if (f && (f->level >= PROBE_PROBLEM || f->code == PROBE_IS_NO_ROUTE))
		snprintf(ret, size, "%s", f->text);
	else if (p->port == 25)
		snprintf(ret, size, "for mail between servers, never for submission");
	else if (p->port == 2525)
		snprintf(ret, size, "works; for networks that let neither 465 nor 587 through");
	else if (usable(hosts, host, port, found, true) && is_tainted(hosts, host, port, found))
		snprintf(ret, size, "good over this way, and not over another");
	else if (usable(hosts, host, port, found, true))
		snprintf(ret, size, "as good");
	else
		snprintf(ret, size, "%s", f ? f->text : "nothing speaks for it");
}
