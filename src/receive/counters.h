/* counters.h - what happened on a listener, for `postern status`.
 *
 * Plain numbers that only grow, and how they are named there.  Whoever acts, counts.
 */
#ifndef POSTERN_RECEIVE_COUNTERS_H
#define POSTERN_RECEIVE_COUNTERS_H

#include <jansson.h>

#include "ipc/message.h"
#include "policy/limit.h"

enum count_stage {
	COUNT_AT_CONNECT,
	COUNT_AT_HELO,
	COUNT_AT_MAIL,
	COUNT_AT_RCPT,
	COUNT_AT_DATA,
	COUNT_AT_COMMIT,
	COUNT_STAGES,
};
const char *count_stage_name(enum count_stage stage); /* "rcpt" */

enum count_tls { COUNT_TLS_1_0, COUNT_TLS_1_1, COUNT_TLS_1_2, COUNT_TLS_1_3, COUNT_TLS_VERSIONS };

struct counters {
	uint64_t sessions, sessions_refused, accept_errors;
	uint64_t tls[COUNT_TLS_VERSIONS], tls_resumed, tls_failed;
	uint64_t auth_ok, auth_failed, auth_locked, auth_later;
	uint64_t messages, recipients, octets;
	uint64_t rejected[COUNT_STAGES];
	uint64_t timeouts;
	uint64_t limited[LIMIT_KINDS];
	uint64_t held, held_briefly; /* greetings: held for a ClientHello; less long for a known address */
	uint64_t mishaps[IPC_MISHAP_KINDS];
};

void counters_tls(struct counters *c, const char *version, bool resumed);
/* A new object, NULL when out of memory. */
json_t *counters_json(const struct counters *c);

#endif
