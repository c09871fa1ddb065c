/* What a check found, for people. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "advise/explain.h"
#include "cli/check.h"
#include "cli/text.h"

static enum cli_colour colour_of(enum probe_level level)
{
	return level >= PROBE_PROBLEM ? CLI_RED : level == PROBE_WARNING ? CLI_YELLOW : CLI_PLAIN;
}

/* One word of how one gets there. */
static const char *state_of(const struct probe_port *p)
{
	switch (p->reach) {
	case PROBE_OPEN:
		if (p->other != PROBE_OTHER_NONE)
			return "not SMTP";
		/* Where the handshake fails nobody can tell what is behind it. */
		return probe_speaks_smtp(p) || (p->tls.tried && !p->tls.up) ? "open" : "no SMTP";
	case PROBE_REFUSED:
		return p->local ? "held back" : "refused";
	case PROBE_SILENT:
		return p->local ? "held back" : "filtered";
	case PROBE_UNREACHABLE:
		return p->local ? "held back" : "no way";
	case PROBE_PROHIBITED:
		return p->local ? "held back" : "forbidden";
	default:
		return "not tried";
	}
}

static void tls_text(const struct probe_port *p, char to[static 48])
{
	if (!p->tls.up)
		snprintf(to, 48, "%s", p->tls.tried ? "fails" : p->reach == PROBE_OPEN ? "none" : "-");
	else
		snprintf(to, 48, "%s, %s", probe_encryption(p), p->tls.version);
}

/* The finding in a few words, for the table; NULL: its sentence is short enough. */
static const char *short_of(enum probe_code code)
{
	static const char *const words[PROBE_CODES] = {
		[PROBE_IS_REFUSED] = "nobody listens there",
		[PROBE_IS_FILTERED] = "no answer at all",
		[PROBE_IS_UNREACHABLE] = "no way there",
		[PROBE_IS_PROHIBITED] = "forbidden on the way",
		[PROBE_IS_LOCAL_RULE] = "this machine's own firewall",
		[PROBE_IS_CLOSED] = "closes without a word",
		[PROBE_IS_RESET] = "is cut off",
		[PROBE_IS_SILENT] = "connects, then silence",
		[PROBE_IS_BROKEN] = "breaks off",
		[PROBE_IS_NOT_SMTP] = "another service",
		[PROBE_IS_GREETING_REFUSED] = "turns this address away",
		[PROBE_IS_NO_STARTTLS] = "no encryption",
		[PROBE_IS_STARTTLS_MASKED] = "something between hides STARTTLS",
		[PROBE_IS_STARTTLS_REFUSED] = "offers STARTTLS, and refuses it",
		[PROBE_IS_TLS_FAILED] = "TLS fails",
		[PROBE_IS_CERT_NAME] = "certificate of another name",
		[PROBE_IS_CERT_EXPIRED] = "certificate expired",
		[PROBE_IS_CERT_UNTRUSTED] = "certificate of nobody known",
		[PROBE_IS_CERT_SELF_SIGNED] = "certificate signed by itself",
		[PROBE_IS_TLS_ONLY_OLD] = "TLS too old",
		[PROBE_IS_NO_AUTH] = "nobody can log in",
		[PROBE_IS_AUTH_CLEAR] = "takes passwords in clear text",
		[PROBE_IS_NO_AUTH_NEEDED] = "takes mail of strangers",
		[PROBE_IS_OPEN_RELAY] = "relays for strangers",
		[PROBE_IS_INTERCEPTED] = "something between looks in",
		[PROBE_IS_LOGIN_FAILED] = "login refused",
		[PROBE_IS_LOGIN_BROKEN] = "no answer to the login",
		[PROBE_IS_LOGIN_SENDER] = "login good, sender refused",
	};

	return words[code] ? words[code] : probe_code_name(code);
}

/* A few words for the table; what is behind them stands below it. */
static void short_why(const struct check_result *r, size_t host, size_t port, char *to, size_t size)
{
	const struct probe_port *p = &r->hosts[host].port[port];
	const struct probe_finding *worst = probe_worst(&r->found, host, port);
	const struct probe_verdict *v = &r->verdict;
	bool best = v->answer != PROBE_USE_NOTHING && v->best.host == host &&
		    r->hosts[host].port[v->best.port].port == p->port && probe_speaks_smtp(p);

	if (!best && worst && worst->level >= PROBE_PROBLEM)
		snprintf(to, size, "%s", short_of(worst->code));
	else
		probe_why_not(r->hosts, host, port, &r->found, v, to, size);
}

static void print_port(const struct check_result *r, size_t host, size_t port, bool with_address)
{
	const struct probe_port *p = &r->hosts[host].port[port];
	const struct probe_finding *worst = probe_worst(&r->found, host, port);
	char tls[48], why[500], address[IP_TEXT_MAX], text[600];
	enum cli_colour c = worst ? colour_of(worst->level) : CLI_GREEN;

	tls_text(p, tls);
	short_why(r, host, port, why, sizeof(why));
	printf("  %s%-5u %-10s%s%-20s ", cli_on(c), p->port, state_of(p), cli_off(), tls);
	snprintf(text, sizeof(text), "%s%s%s", with_address ? ip_format(&p->ip, address) : "",
		 with_address ? ": " : "", why);
	cli_print_wrapped(text, 39);
}

static bool same(const struct probe_finding *f, const struct probe_finding *g)
{
	return f->host == g->host && f->code == g->code &&
	       (f->port == PROBE_NOWHERE) == (g->port == PROBE_NOWHERE) && !strcmp(f->text, g->text) &&
	       !strcmp(f->advice, g->advice);
}

/* "465, 587: ": of all ports of which it is true, each once. */
static size_t list_ports(const struct check_result *r, size_t i, char *to, size_t size)
{
	const struct probe_finding *f = &r->found.f[i];
	const struct probe_port *ports = r->hosts[f->host].port;
	size_t n = 0;

	for (size_t j = i; j < r->found.n && n < size; j++) {
		uint16_t port;
		bool listed = false;

		if (!same(f, &r->found.f[j])) /* of another host, or of none of its ports */
			continue;
		port = ports[r->found.f[j].port].port;
		for (size_t k = i; k < j; k++)
			listed =
				listed || (same(f, &r->found.f[k]) && ports[r->found.f[k].port].port == port);
		if (!listed)
			n += (size_t)snprintf(to + n, size - n, "%s%u", n ? ", " : "", port);
	}
	if (n < size)
		n += (size_t)snprintf(to + n, size - n, ": ");
	return n < size ? n : size - 1;
}

static bool all_refused(const struct probe_host *h)
{
	for (size_t i = 0; i < h->n; i++)
		if (h->port[i].reach != PROBE_REFUSED || h->port[i].local)
			return false;
	return true;
}

/* What needs no sentence more: the table says where nobody listens, and logins stand below. */
static bool is_told(const struct check_result *r, const struct probe_finding *f)
{
	return (f->code == PROBE_IS_REFUSED && !r->mx && !all_refused(&r->hosts[f->host])) ||
	       f->code == PROBE_IS_LOGIN_FAILED || f->code == PROBE_IS_LOGIN_BROKEN ||
	       f->code == PROBE_IS_LOGIN_SENDER;
}

static void print_finding(const struct check_result *r, size_t i, bool verbose)
{
	const struct probe_finding *f = &r->found.f[i];
	char text[700] = "";
	size_t n = 0;

	if ((f->level == PROBE_GOOD || is_told(r, f)) && !verbose)
		return;
	for (size_t j = 0; j < i; j++)
		if (same(f, &r->found.f[j]))
			return;
	printf("  %s%-8s%s ", cli_on(colour_of(f->level)), probe_level_name(f->level), cli_off());
	if (f->port != PROBE_NOWHERE)
		n = list_ports(r, i, text, 200);
	snprintf(text + n, sizeof(text) - n, "%s", f->text);
	cli_print_wrapped(text, 11);
	if (f->advice[0]) {
		printf("%11s", "");
		cli_print_wrapped(f->advice, 11);
	}
}

static void print_findings(const struct check_result *r, size_t host, bool verbose)
{
	for (size_t i = 0; i < r->found.n; i++)
		if (r->found.f[i].host == host)
			print_finding(r, i, verbose);
}

/* Does another address of this host answer the same? */
static bool first_alike(const struct check_result *r, size_t host, size_t port)
{
	const struct probe_port *p = &r->hosts[host].port[port];

	for (size_t i = 0; i < port; i++) {
		const struct probe_port *q = &r->hosts[host].port[i];

		if (q->port == p->port && q->reach == p->reach && q->tls.up == p->tls.up &&
		    q->other == p->other && q->local == p->local &&
		    probe_speaks_smtp(q) == probe_speaks_smtp(p))
			return false;
	}
	return true;
}

static bool differs(const struct check_result *r, size_t host, uint16_t port)
{
	size_t shown = 0;

	for (size_t i = 0; i < r->hosts[host].n; i++)
		shown += r->hosts[host].port[i].port == port && first_alike(r, host, i) &&
			 !probe_lacks_family(&r->hosts[host], i);
	return shown > 1;
}

/* Whose certificate it is, with the fingerprint as `postern send --pin` takes it. */
static void print_certificate(const struct check_result *r, size_t host, size_t i)
{
	const struct probe_port *ports = r->hosts[host].port;
	const struct probe_certificate *c = &ports[i].tls.chain[0];
	time_t end = (time_t)c->not_after;
	char text[800], day[16] = "?";
	struct tm tm;
	size_t n = 0;

	if (!ports[i].tls.n_chain)
		return;
	for (size_t j = 0; j < r->hosts[host].n && n < 200; j++) {
		bool shows = ports[j].tls.n_chain && !strcmp(ports[j].tls.chain[0].sha256, c->sha256),
		     told = false;

		if (shows && j < i)
			return;
		for (size_t k = i; k < j; k++)
			told = told || (ports[k].port == ports[j].port && ports[k].tls.n_chain &&
					!strcmp(ports[k].tls.chain[0].sha256, c->sha256));
		if (shows && !told)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%u", n ? ", " : "",
					      ports[j].port);
	}
	if (gmtime_r(&end, &tm))
		(void)strftime(day, sizeof(day), "%Y-%m-%d", &tm);
	snprintf(text + n, sizeof(text) - n, ": %s, by %s, until %s", c->subject, c->issuer, day);
	printf("  cert     ");
	cli_print_wrapped(text, 11);
	printf("%11s--pin %s\n", "", c->sha256);
}

static void print_host(const struct check_result *r, size_t host, bool verbose)
{
	const struct probe_host *h = &r->hosts[host];
	char address[IP_TEXT_MAX];

	printf("%s%s%s", cli_on(CLI_BOLD), h->name, cli_off());
	for (size_t i = 0; i < h->n; i++)
		if (h->port[i].port == h->port[0].port &&
		    strcmp(ip_format(&h->port[i].ip, address), h->name) != 0)
			printf("  %s", address);
	if (strcmp(h->from, "the command line") != 0)
		printf("  (%s)", h->from);
	putchar('\n');
	for (size_t i = 0; i < h->n; i++)
		if (verbose || (first_alike(r, host, i) && !probe_lacks_family(h, i)))
			print_port(r, host, i, verbose || differs(r, host, h->port[i].port));
	print_findings(r, host, verbose);
	for (size_t i = 0; i < h->n && verbose; i++)
		print_certificate(r, host, i);
	putchar('\n');
}

static void print_unmet(void *arg, const struct probe_port *p, const char *why)
{
	char address[IP_TEXT_MAX];

	(void)arg;
	printf("%snot met%s  %u at %s: ", cli_on(CLI_RED), cli_off(), p->port, ip_format(&p->ip, address));
	cli_print_clean(why, false);
	putchar('\n');
}

size_t check_expectations(const struct check_result *r,
			  void (*report)(void *arg, const struct probe_port *p, const char *why), void *arg)
{
	size_t unmet = 0;

	for (size_t e = 0; e < r->n_expect; e++)
		for (size_t c = 0; c < r->expect[e].n; c++) {
			bool any = false;

			for (size_t h = 0; h < r->n; h++)
				for (size_t i = 0; i < r->hosts[h].n; i++) {
					const struct probe_port *p = &r->hosts[h].port[i];
					char why[300];

					if (p->port != r->expect[e].port ||
					    probe_lacks_family(&r->hosts[h], i))
						continue;
					any = true;
					if (probe_expect_met(&r->expect[e].condition[c], p, r->now, why,
							     sizeof(why)))
						continue;
					unmet++;
					if (report)
						report(arg, p, why);
				}
			unmet += !any; /* no address, so nothing of it is so */
		}
	return unmet;
}

/* The verdict as programs call it: those that most people have, or all. */
static void print_words(const struct check_result *r, bool verbose)
{
	static const enum advise_client most[] = { ADVISE_BY_THUNDERBIRD, ADVISE_BY_OUTLOOK,
						   ADVISE_BY_NODEMAILER,  ADVISE_BY_PHPMAILER,
						   ADVISE_BY_PYTHON,	  ADVISE_BY_POSTFIX };
	const struct probe_host *h = &r->hosts[r->verdict.best.host];
	const struct probe_port *p = &h->port[r->verdict.best.port];
	size_t n = verbose ? ADVISE_CLIENTS - 1 : sizeof(most) / sizeof(most[0]);
	int width = verbose ? 30 : 12; /* of the longest name */
	char text[400];

	printf("\nAs programs call it%s:\n", verbose ? "" : " (-v: all that are known)");
	for (size_t i = 0; i < n; i++) {
		enum advise_client c = verbose ? (enum advise_client)(i + 1) : most[i];

		printf("  %-*s ", width, advise_client_title(c));
		cli_print_wrapped(advise_client_setting(c, p->tls.implicit, p->port, text, sizeof(text)),
				  (unsigned)width + 3);
	}
	printf("All of a program's settings: postern check --config NAME %s\n", h->name);
}

void check_print(const struct check_result *r, bool colour, bool verbose)
{
	bool below = r->n_notes > 0; /* something stands below the hosts */

	for (size_t i = 0; i < r->found.n; i++)
		below = below || r->found.f[i].host == PROBE_NOWHERE;
	cli_colours(colour);
	for (size_t h = 0; h < r->n; h++)
		print_host(r, h, verbose);
	print_findings(r, PROBE_NOWHERE, verbose);
	if (r->logins)
		check_logins_print(r->logins, r);
	for (size_t i = 0; i < r->n_notes; i++) {
		printf("  note     ");
		cli_print_wrapped(r->note[i], 11);
	}
	if (below)
		putchar('\n');
	if (r->n_expect > 0) {
		if (check_expectations(r, print_unmet, NULL) == 0)
			printf("%sall as expected%s\n", cli_on(CLI_GREEN), cli_off());
		return;
	}
	if (r->mx && r->n > 0)
		return;
	printf("%s", cli_on(r->verdict.answer == PROBE_USE ? CLI_GREEN : CLI_RED));
	cli_print_wrapped(r->verdict.text, 0);
	printf("%s", cli_off());
	if (r->verdict.todo[0])
		cli_print_wrapped(r->verdict.todo, 0);
	if (r->verdict.answer != PROBE_USE_NOTHING)
		print_words(r, verbose);
}
