/* The list of findings, and whether one gets to a port at all. */
#include <stdlib.h>
#include <string.h>

#include "probe/finding_private.h"

#define SOON_MS 20 /* less is "at once", so that the same is said of several ports */

static const struct {
	const char *name;
	enum probe_level level;
} codes[PROBE_CODES] = {
#define FINDING(code, name, level) [PROBE_IS_##code] = { name, PROBE_##level },
#include "probe/finding.def"
#undef FINDING
};

const char *probe_code_name(enum probe_code code)
{
	return (unsigned)code < PROBE_CODES ? codes[code].name : "unknown";
}

const char *probe_level_name(enum probe_level level)
{
	static const char *const names[] = {
		[PROBE_GOOD] = "good",	     [PROBE_NOTE] = "note",   [PROBE_WARNING] = "warning",
		[PROBE_PROBLEM] = "problem", [PROBE_ALARM] = "alarm",
	};

	return (unsigned)level <= PROBE_ALARM ? names[level] : "unknown";
}

void probe_findings_done(struct probe_findings *all)
{
	free(all->f);
	memset(all, 0, sizeof(*all));
}

struct probe_finding *probe_findings_add(struct probe_findings *all, enum probe_code code, size_t host,
					 size_t port)
{
	struct probe_finding *f;

	if (all->n == all->cap) {
		size_t cap = all->cap ? 2 * all->cap : 32;

		f = all->n < PROBE_FINDINGS_MAX ? realloc(all->f, cap * sizeof(*f)) : NULL;
		if (!f) {
			all->failed = true;
			return NULL;
		}
		all->f = f;
		all->cap = cap;
	}
	f = &all->f[all->n++];
	memset(f, 0, sizeof(*f));
	f->code = code;
	f->level = codes[code].level;
	f->host = host;
	f->port = port;
	return f;
}

bool probe_findings_has(const struct probe_findings *all, enum probe_code code, size_t host, size_t port)
{
	for (size_t i = 0; i < all->n; i++)
		if (all->f[i].code == code && all->f[i].host == host && all->f[i].port == port)
			return true;
	return false;
}

void judge_add(struct judge *j, enum probe_code code, const char *advice, const char *fmt, ...)
{
	struct probe_finding *f = probe_findings_add(j->to, code, j->host_i, j->port_i);
	va_list args;

	if (!f)
		return;
	va_start(args, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, args);
	va_end(args);
	snprintf(f->advice, sizeof(f->advice), "%s", advice);
}

/* ---- what others ask, too ---- */

bool probe_is_submission(uint16_t port)
{
	return port == 465 || port == 587 || port == 2525;
}

bool probe_is_implicit(uint16_t port)
{
	return port == 465;
}

bool probe_speaks_smtp(const struct probe_port *p)
{
	return p->reach == PROBE_OPEN && p->greeting.code / 100 == 2 && p->other == PROBE_OTHER_NONE &&
	       probe_offers_of(p)->reply.code / 100 == 2;
}

const struct probe_offers *probe_offers_of(const struct probe_port *p)
{
	return p->in_tls.reply.code ? &p->in_tls : &p->clear;
}

bool probe_lacks_family(const struct probe_host *h, size_t port)
{
	if (!h->port[port].no_route)
		return false;
	for (size_t i = 0; i < h->n; i++)
		if (h->port[i].ip.family != h->port[port].ip.family && !h->port[i].no_route)
			return true;
	return false;
}

/* "220 ****2****0*": firewalls leave some digits. */
bool probe_is_greeting_masked(const struct probe_port *p)
{
	size_t n = strlen(p->greeting.text), stars = 0;

	for (size_t i = 0; i < n; i++)
		stars += p->greeting.text[i] == '*';
	return stars >= 4 && 2 * stars > n;
}

/* ---- whether one gets there ---- */

static void judge_icmp(struct judge *j, const struct probe_port *p, enum probe_code code, const char *what)
{
	char from[IP_TEXT_MAX];

	if (p->no_neighbour)
		judge_add(
			j, code,
			"Is the machine up, and its address right? Else look at the router of this network.",
			"%s: on this machine's own network nobody answers for it, neither the host nor a "
			"router",
			what);
	else if (p->icmp_from.family && ip_eq(&p->icmp_from, &p->ip))
		judge_add(j, code, "Whoever runs that host must let the port through in its firewall.",
			  "the host itself says so (ICMP): %s",
			  code == PROBE_IS_PROHIBITED ? "forbidden" : "no way");
	else if (p->icmp_from.family)
		judge_add(j, code, "Ask whoever runs that router or firewall to let the port through.",
			  "%s, says %s (ICMP), after %u ms", what, ip_format(&p->icmp_from, from),
			  p->connect_ms);
	else
		judge_add(j, code, p->no_route ? "Is the network of this machine up (ip route)?" : "",
			  "%s: %s", what, strerror(-p->error));
}

static void judge_reach(struct judge *j, const struct probe_port *p)
{
	char after[32] = " at once";

	if (p->local && p->reach != PROBE_OPEN) {
		judge_add(
			j, PROBE_IS_LOCAL_RULE,
			"Change the firewall of this machine (root sees its rules by nft list ruleset); the "
			"network is not to blame.",
			"this machine itself does not let the connection out: %s", p->local_why);
		return;
	}
	if (probe_lacks_family(j->host, j->port_i)) {
		judge_add(j, PROBE_IS_NO_ROUTE, "",
			  "this machine has no IPv%d that leads there (%s): looked at by the other only",
			  p->ip.family, strerror(-p->error));
		return;
	}
	if (p->connect_ms >= SOON_MS)
		snprintf(after, sizeof(after), " after %u ms", p->connect_ms);
	switch (p->reach) {
	case PROBE_OPEN:
		judge_add(j, PROBE_IS_OPEN, "", "connected in %u ms", p->connect_ms);
		break;
	case PROBE_REFUSED:
		judge_add(j, PROBE_IS_REFUSED,
			  p->sent == PROBE_SENT_UNKNOWN && p->connect_ms < 2 && !ip_is_loopback(&p->ip)
				  ? "So soon that a rule of this machine may have done it: nft list ruleset "
				    "shows those."
				  : "",
			  "refused%s: nobody listens on this port there, or a firewall answers for it",
			  after);
		break;
	case PROBE_SILENT:
		/* A rule for what comes in leaves no trace that all may see. */
		judge_add(j, PROBE_IS_FILTERED, "",
			  p->sent == PROBE_SENT
				  ? "no answer at all in %u s to what has left this machine: a firewall "
				    "drops it, on the way or "
				    "there (or drops the answer here: nft list ruleset)"
				  : "no answer at all in %u s: a firewall drops it, on the way or there",
			  (p->connect_ms + 500) / 1000);
		break;
	case PROBE_UNREACHABLE:
		judge_icmp(j, p, PROBE_IS_UNREACHABLE, "no way there");
		break;
	case PROBE_PROHIBITED:
		judge_icmp(j, p, PROBE_IS_PROHIBITED, "forbidden on the way");
		break;
	default:
		judge_add(j, PROBE_IS_NOT_TRIED, "", "not tried: %s",
			  p->error ? strerror(-p->error) : "there was no time");
	}
}

/* ---- what speaks there ---- */

static void judge_end(struct judge *j, const struct probe_port *p)
{
	bool greeted = p->greeting.code != 0;

	if (p->end == PROBE_END_RESET)
		judge_add(j, PROBE_IS_RESET,
			  greeted || p->at == PROBE_AT_HANDSHAKE
				  ? "Something between may cut what it has looked into: try from another "
				    "network."
				  : "",
			  "the connection was reset at %s", probe_step_name(p->at));
	else if (p->end == PROBE_END_CLOSED && !greeted)
		judge_add(j, PROBE_IS_CLOSED, "",
			  "it takes connections and closes them without a word: a blocklist, a limit, or "
			  "nothing "
			  "behind a proxy");
	else if (p->end == PROBE_END_CLOSED && p->greeting.code != 421 && p->at != PROBE_AT_HANDSHAKE)
		judge_add(j, PROBE_IS_BROKEN, "", "it closed the connection at %s", probe_step_name(p->at));
	else if (p->end == PROBE_END_TIMEOUT && !greeted)
		judge_add(j, PROBE_IS_SILENT, "",
			  "connected, and then silence: neither a greeting nor an answer to TLS");
	else if (p->end == PROBE_END_TIMEOUT)
		judge_add(j, PROBE_IS_BROKEN, "", "it fell silent at %s", probe_step_name(p->at));
	else if (p->end == PROBE_END_OURS)
		judge_add(j, PROBE_IS_BROKEN, "", "broken off here at %s: %s", probe_step_name(p->at),
			  p->end_why);
}

static void judge_greeting(struct judge *j, const struct probe_port *p)
{
	if (p->other != PROBE_OTHER_NONE)
		judge_add(j, PROBE_IS_NOT_SMTP,
			  "This port is of another service: it is no mail submission port.",
			  "what answers here is %s, not SMTP", probe_other_name(p->other));
	else if (p->greeting.code / 100 == 4)
		judge_add(j, PROBE_IS_GREETING_DEFERRED, "Try again in some minutes.",
			  "it greets with %d %s: not now (busy, or it makes strangers wait)",
			  p->greeting.code, p->greeting.text);
	else if (p->greeting.code / 100 == 5)
		judge_add(j, PROBE_IS_GREETING_REFUSED, "Show its words to whoever runs it.",
			  "it greets with %d %s: it does not want this address", p->greeting.code,
			  p->greeting.text);
	else if (p->greeting.code && probe_offers_of(p)->reply.code / 100 != 2 &&
		 probe_offers_of(p)->reply.code)
		judge_add(j, PROBE_IS_EHLO_REFUSED, "", "it answers EHLO with %d %s",
			  probe_offers_of(p)->reply.code, probe_offers_of(p)->reply.text);
	if (probe_is_greeting_masked(p))
		judge_add(j, PROBE_IS_GREETING_MASKED,
			  "Have the inspection of SMTP switched off on that firewall (\"fixup\", \"ESMTP "
			  "inspection\"): it takes STARTTLS away from what servers offer, too.",
			  "its greeting is overwritten (%d %s), as firewalls do that inspect SMTP",
			  p->greeting.code, p->greeting.text);
}

static void judge_slow(struct judge *j, const struct probe_port *p)
{
	const struct {
		enum probe_step step;
		uint32_t ms;
	} steps[] = {
		{ PROBE_AT_CONNECT, p->connect_ms },  { PROBE_AT_GREETING, p->greeting.ms },
		{ PROBE_AT_EHLO, p->clear.reply.ms }, { PROBE_AT_STARTTLS, p->starttls.ms },
		{ PROBE_AT_HANDSHAKE, p->tls.ms },    { PROBE_AT_EHLO_TLS, p->in_tls.reply.ms },
		{ PROBE_AT_MAIL, p->mail.ms },	      { PROBE_AT_RCPT, p->rcpt.ms },
	};
	uint32_t limit = j->facts->slow_ms ? j->facts->slow_ms : 5000;

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		if (steps[i].ms >= limit)
			judge_add(j, PROBE_IS_SLOW,
				  steps[i].step == PROBE_AT_GREETING ? "Servers wait so on purpose, or look "
								       "up this address's name in vain."
								     : "",
				  "%s took %u.%u s", probe_step_name(steps[i].step), steps[i].ms / 1000,
				  steps[i].ms % 1000 / 100);
}

void probe_judge(const struct probe_host *h, size_t host, size_t port, const struct probe_facts *facts,
		 struct probe_findings *to)
{
	const struct probe_port *p = &h->port[port];
	struct judge j = { .host = h, .host_i = host, .port_i = port, .facts = facts, .to = to };

	judge_reach(&j, p);
	if (p->reach != PROBE_OPEN)
		return;
	judge_greeting(&j, p);
	judge_end(&j, p);
	judge_slow(&j, p);
	judge_tls(&j, p);
	if (!probe_speaks_smtp(p))
		return;
	judge_auth(&j, p);
	judge_relay(&j, p);
	if (facts->as_server)
		judge_server(&j, p);
}
