/* finding_private.h - what the files that judge know of each other.  Not for others. */
#ifndef POSTERN_PROBE_FINDING_PRIVATE_H
#define POSTERN_PROBE_FINDING_PRIVATE_H

#include <stdarg.h>
#include <stdio.h>

#include "probe/finding.h"

struct judge {
	const struct probe_host *host;
	size_t host_i, port_i;
	const struct probe_facts *facts;
	struct probe_findings *to;
};

/* advice: what to do, or "". */
void judge_add(struct judge *j, enum probe_code code, const char *advice, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

void judge_tls(struct judge *j, const struct probe_port *p);	/* finding_tls.c */
void judge_auth(struct judge *j, const struct probe_port *p);	/* finding_mail.c */
void judge_relay(struct judge *j, const struct probe_port *p);	/* the same */
void judge_server(struct judge *j, const struct probe_port *p); /* the same */

#endif
