/* finding.h - what a report means, in sentences, with what shows it: an engine.
 *
 * Each finding is one true thing about one port (or about all: across.h), a level, a sentence with the
 * evidence, and where there is something to do, what and by whom.  It never guesses: where a report
 * allows two causes the sentence names both.
 */
#ifndef POSTERN_PROBE_FINDING_H
#define POSTERN_PROBE_FINDING_H

#include "probe/report.h"

#define PROBE_FINDINGS_MAX 1000
#define PROBE_NOWHERE	   SIZE_MAX

enum probe_code {
#define FINDING(code, name, level) PROBE_IS_##code,
#include "probe/finding.def"
#undef FINDING
	PROBE_CODES,
};

enum probe_level {
	PROBE_GOOD,
	PROBE_NOTE,    /* worth knowing */
	PROBE_WARNING, /* works, and will bite somebody */
	PROBE_PROBLEM, /* this port cannot be used so */
	PROBE_ALARM,   /* somebody is exposed, or lies */
};

const char *probe_code_name(enum probe_code code);    /* "auth-in-clear" */
const char *probe_level_name(enum probe_level level); /* "alarm" */

struct probe_finding {
	enum probe_code code;
	enum probe_level level;
	size_t host, port; /* places in the report; PROBE_NOWHERE: of no single one */
	char text[480];	   /* what is so, and what shows it */
	char advice[320];  /* what to do; "" */
};

/* Zeroed, it is empty. */
struct probe_findings {
	struct probe_finding *f;
	size_t n, cap;
	bool failed; /* there was no memory, or there were too many */
};

void probe_findings_done(struct probe_findings *all);
/* A new one with the code's level, or NULL (failed). */
struct probe_finding *probe_findings_add(struct probe_findings *all, enum probe_code code, size_t host,
					 size_t port);
bool probe_findings_has(const struct probe_findings *all, enum probe_code code, size_t host, size_t port);

struct probe_facts {
	int64_t now;	    /* seconds since 1970 */
	unsigned soon_days; /* a certificate that expires within so many is told; 0: 14 */
	uint32_t slow_ms;   /* a step that takes longer is slow; 0: 5000 */
	bool as_server;	    /* --mx: 25 is looked at as another server would */
};

/* Whether that is a port on which clients submit mail, by custom: 465, 587, 2525. */
bool probe_is_submission(uint16_t port);
/* Whether TLS is by custom there from the first octet: 465. */
bool probe_is_implicit(uint16_t port);
/* Greeted as SMTP does, so that what was offered counts. */
bool probe_speaks_smtp(const struct probe_port *p);
/* This machine has no way to that address, and has one to the host's others: it lacks a family (IPv6,
 * mostly), and nothing is wrong with the port. */
bool probe_lacks_family(const struct probe_host *h, size_t port);
/* The greeting is overwritten with asterisks. */
bool probe_is_greeting_masked(const struct probe_port *p);
/* What is offered last: within TLS where there is. */
const struct probe_offers *probe_offers_of(const struct probe_port *p);

/* All that is true of one port. */
void probe_judge(const struct probe_host *h, size_t host, size_t port, const struct probe_facts *facts,
		 struct probe_findings *to);

#endif
