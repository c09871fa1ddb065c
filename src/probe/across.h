/* across.h - what several ports, addresses or hosts say when they are held side by side: an engine.
 *
 * That somebody sits in between is said only with evidence that nothing else explains: STARTTLS on one way to
 * a host and not on the other; one and the same answer, not to be trusted, from hosts that have
 * nothing in common; a certificate by an authority that inspects traffic.  A mere difference is told as one.
 */
#ifndef POSTERN_PROBE_ACROSS_H
#define POSTERN_PROBE_ACROSS_H

#include "probe/finding.h"

/* A connection to somewhere else, which has nothing to do with mail. */
enum probe_control { PROBE_CONTROL_NOT_ASKED, PROBE_CONTROL_UP, PROBE_CONTROL_DOWN };

void probe_judge_across(const struct probe_host *hosts, size_t n, enum probe_control control,
			struct probe_findings *to);

/* Have these two hosts nothing to do with each other, as far as name and addresses tell? */
bool probe_unrelated(const struct probe_host *a, const struct probe_host *b);

#endif
