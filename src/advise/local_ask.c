/* local_ask.c - settings, and what is true of the server. */
#include "advise/local_ask.h"

#include <stdio.h>

static const char *reach_words(const struct probe_port *p)
{
	switch (p->reach) {
	case PROBE_REFUSED:
		return p->local ? "is held back by this machine's own firewall" : "refuses connections";
	case PROBE_SILENT:
		return "does not answer (filtered, here or there)";
	case PROBE_PROHIBITED:
		return p->local ? "is held back by this machine's own firewall"
				: "is forbidden by a firewall on the way";
	default:
		return "cannot be reached";
	}
}

/* That port, at the address that comes farthest. */
static const struct probe_port *port_of(const struct advise_local_server *s,
					const struct probe_host *const *hosts, size_t n)
{
	const struct probe_port *best = NULL;

	for (size_t h = 0; h < n; h++)
		for (size_t i = 0; i < hosts[h]->n; i++) {
			const struct probe_port *p = &hosts[h]->port[i];

			if (p->port != s->port)
				continue;
			if (!best || (p->reach == PROBE_OPEN && best->reach != PROBE_OPEN) ||
			    (probe_speaks_smtp(p) && !probe_speaks_smtp(best)))
				best = p;
		}
	return best;
}

static void answer(struct advise_answer *a, enum advise_asked asked, enum advise_level level)
{
	a->asked = asked;
	a->level = level;
}

/* The connection, and what speaks there; false: there is nothing more to compare. */
static bool compare_port(const struct advise_local_server *s, const struct probe_port *p,
			 struct advise_answer *a)
{
	if (p->reach != PROBE_OPEN) {
		answer(a, ADVISE_ASKED_CLOSED, ADVISE_PROBLEM);
		snprintf(a->text, sizeof(a->text), "Port %u of %s %s.", s->port, s->host, reach_words(p));
		return false;
	}
	if (!probe_speaks_smtp(p) && !(p->tls.tried && !p->tls.up)) {
		answer(a, ADVISE_ASKED_NO_SMTP, ADVISE_PROBLEM);
		if (p->other != PROBE_OTHER_NONE && p->other != PROBE_OTHER_UNKNOWN)
			snprintf(a->text, sizeof(a->text), "On port %u of %s speaks no mail server, but %s.",
				 s->port, s->host, probe_other_name(p->other));
		else
			snprintf(a->text, sizeof(a->text),
				 "Port %u of %s takes connections, and does not speak SMTP.", s->port,
				 s->host);
		return false;
	}
	return true;
}

static bool compare_encryption(const struct advise_local_server *s, const struct probe_port *p,
			       struct advise_answer *a)
{
	bool implicit = s->security == ADVISE_SECURITY_IMPLICIT;
	bool clear = s->security == ADVISE_SECURITY_NONE;

	if (p->tls.tried && !p->tls.up && !clear) {
		answer(a, ADVISE_ASKED_NO_HANDSHAKE, ADVISE_PROBLEM);
		snprintf(a->text, sizeof(a->text), "TLS with port %u of %s does not come about: %s.", s->port,
			 s->host, p->tls.words);
		return false;
	}
	if (p->tls.up && p->tls.implicit != implicit && !(clear && !p->tls.implicit) &&
	    s->security != ADVISE_SECURITY_UNKNOWN) {
		answer(a, ADVISE_ASKED_OTHER_ENCRYPTION, ADVISE_PROBLEM);
		snprintf(a->text, sizeof(a->text), "Port %u of %s has %s, and %s is set: that fails.",
			 s->port, s->host, p->tls.implicit ? "SSL/TLS, from the first octet on" : "STARTTLS",
			 clear ? "no encryption" : advise_security_name(s->security));
		a->has_target = true;
		a->target = (struct advise_target){ s->port, p->tls.implicit };
		return false;
	}
	if (!p->tls.up && !clear && s->security != ADVISE_SECURITY_UNKNOWN &&
	    (s->security != ADVISE_SECURITY_MAYBE || s->login)) {
		answer(a, ADVISE_ASKED_NO_ENCRYPTION, ADVISE_PROBLEM);
		snprintf(a->text, sizeof(a->text), "Port %u of %s offers no encryption: %s.", s->port,
			 s->host,
			 s->security == ADVISE_SECURITY_MAYBE ? "the password goes there in clear text"
							      : "what is set fails");
		return false;
	}
	return true;
}

static bool compare_login(const struct advise_local_server *s, const struct probe_port *p,
			  struct advise_answer *a)
{
	bool clear = s->security == ADVISE_SECURITY_NONE;
	const struct probe_offers *o = clear ? &p->clear : probe_offers_of(p);

	if (s->login && !o->auth[0]) {
		answer(a, ADVISE_ASKED_NO_LOGIN, ADVISE_PROBLEM);
		snprintf(a->text, sizeof(a->text),
			 "Port %u of %s offers no login%s, and this wants to log in: that fails.", s->port,
			 s->host, clear && probe_offers_of(p)->auth[0] ? " without encryption" : "");
		a->has_target = clear && p->tls.up;
		a->target = (struct advise_target){ s->port, p->tls.implicit };
		return false;
	}
	if (!s->login && (p->mail.code >= 500 || (p->mail.code / 100 == 2 && p->rcpt.code >= 500))) {
		answer(a, ADVISE_ASKED_LOGIN_WANTED, ADVISE_PROBLEM);
		snprintf(a->text, sizeof(a->text),
			 "Port %u of %s takes no mail without a login (%d), and none is set here.", s->port,
			 s->host, p->mail.code >= 500 ? p->mail.code : p->rcpt.code);
		return false;
	}
	return true;
}

static bool compare_certificate(const struct advise_local_server *s, const struct probe_port *p,
				struct advise_answer *a)
{
	bool checked = !advise_wrong_has(s, ADVISE_WRONG_UNVERIFIED);

	if (!p->tls.up || p->tls.verified || s->security == ADVISE_SECURITY_NONE)
		return true;
	answer(a, ADVISE_ASKED_CERTIFICATE,
	       checked && s->security != ADVISE_SECURITY_MAYBE ? ADVISE_PROBLEM : ADVISE_WARNING);
	snprintf(a->text, sizeof(a->text), "The certificate on port %u of %s does not verify: %s%s", s->port,
		 s->host, p->tls.words,
		 !checked				? ". It is not checked here, so nobody notices."
		 : s->security == ADVISE_SECURITY_MAYBE ? "."
							: ". A program that checks it refuses.");
	return false;
}

void advise_local_compare(const struct advise_local_server *s, const struct probe_host *const *hosts,
			  size_t n, const struct probe_verdict *verdict, struct advise_answer *ret)
{
	const struct probe_port *p = s->port > 0 && n > 0 ? port_of(s, hosts, n) : NULL;

	*ret = (struct advise_answer){ 0 };
	if (s->port == 0 || n == 0)
		return;
	if (!p) {
		answer(ret, ADVISE_ASKED_NO_ADDRESS, ADVISE_PROBLEM);
		snprintf(ret->text, sizeof(ret->text), "%s has no address: %s", s->host, hosts[0]->lookup);
		return;
	}
	if (compare_port(s, p, ret) && compare_encryption(s, p, ret) && compare_login(s, p, ret) &&
	    compare_certificate(s, p, ret)) {
		answer(ret, ADVISE_ASKED_WORKS, ADVISE_NOTE);
		snprintf(ret->text, sizeof(ret->text), "Port %u of %s has what is set%s%s%s.", s->port,
			 s->host, p->tls.up ? ", with a certificate that verifies" : "",
			 s->login ? ", and offers a login: " : "", s->login ? probe_offers_of(p)->auth : "");
	}
	/* What works there, where another setting on the same port is not the answer. */
	if (!ret->has_target && ret->level == ADVISE_PROBLEM && verdict->answer == PROBE_USE) {
		const struct probe_port *best = &hosts[0]->port[verdict->best.port];

		ret->has_target = best->port != s->port ||
				  best->tls.implicit != (s->security == ADVISE_SECURITY_IMPLICIT);
		ret->target = (struct advise_target){ best->port, best->tls.implicit };
	}
}

const char *advise_asked_name(enum advise_asked asked)
{
	static const char *const names[] = { "not-asked",      "works",	       "no-address",
					     "closed",	       "no-smtp",      "other-encryption",
					     "no-encryption",  "no-handshake", "certificate",
					     "no-login-there", "login-wanted" };

	return names[asked];
}
