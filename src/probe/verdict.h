/* verdict.h - which port and setting an application should use, and why not the others: an engine.
 *
 * 465 (implicit TLS) and 587 (STARTTLS) are both right where TLS verifies; 465 is named first (RFC 8314 3),
 * unless the provider's own order is known.  Another port that works comes behind them, 2525 last, and
 * 25 never: it is for servers.  No port is recommended on which a password would be readable.
 */
#ifndef POSTERN_PROBE_VERDICT_H
#define POSTERN_PROBE_VERDICT_H

#include "probe/finding.h"

enum probe_answer {
	PROBE_USE,	   /* best is right */
	PROBE_USE_PINNED,  /* best encrypts, but its certificate must be mended or pinned first */
	PROBE_USE_NOTHING, /* no port can be used: todo says what to do */
};
const char *probe_answer_name(enum probe_answer answer); /* "use" */

struct probe_pick {
	size_t host, port;
};

struct probe_verdict {
	enum probe_answer answer;
	struct probe_pick best;
	struct probe_pick also[3]; /* as good, or nearly: where best is not what a client can do */
	size_t n_also;
	char text[600]; /* "Use smtp.example.org, port 465, encryption "SSL/TLS" ..." */
	char todo[600]; /* what to change, or ask for; "" */
};

void probe_verdict(const struct probe_host *hosts, size_t n, const struct probe_findings *found,
		   struct probe_verdict *ret);
/* Why that port is not it, or what else it is for: one sentence. */
void probe_why_not(const struct probe_host *hosts, size_t host, size_t port,
		   const struct probe_findings *found, const struct probe_verdict *v, char *ret, size_t size);
/* The setting's name in clients: "SSL/TLS", "STARTTLS", "none". */
const char *probe_encryption(const struct probe_port *p);
/* The finding that matters most there; NULL if there is none beyond good ones. */
const struct probe_finding *probe_worst(const struct probe_findings *found, size_t host, size_t port);

#endif
