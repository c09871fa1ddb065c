/* sts.h - the MTA-STS policy of a domain (RFC 8461), for lanes: asked of the DNS, of what is known,
 * of the ledger, and over HTTPS by role `fetch`.
 *
 * A driver; what holds when is decided in route/sts.h.  One a process.  Whoever asks for a domain
 * that is being looked into already waits with the others.
 *
 * Policies are kept in memory and by the ledger, so a restart does not forget them; that matters,
 * because who can hold back DNS answers could otherwise wait for one.  If the ledger is away
 * for LEDGER_MS, it knows nothing.
 */
#ifndef POSTERN_SEND_STS_H
#define POSTERN_SEND_STS_H

#include <jansson.h>

#include "base/tls_result.h"
#include "ipc/channel.h"
#include "resolve/resolve.h"
#include "route/sts.h"

#define STS_ASKS_MAX 1000 /* domains looked into at once */
#define STS_WAIT_MAX 5000 /* who waits for them */

struct sts;
struct sts_ask;

/* resolve: borrowed; must outlive it.  port: of HTTPS, 443 but in tests. */
int sts_new(uv_loop_t *loop, struct resolve *resolve, uint16_t port, struct sts **ret);
void sts_free(struct sts *s); /* nobody is told; the loop must turn once more */
/* Role fetch or ledger came, or went (NULL). */
void sts_peer(struct sts *s, enum ipc_role who, struct channel *ch);
bool sts_is_for(const struct ipc_message *m);
/* NULL, or how that role broke the rules. */
const char *sts_message(struct sts *s, enum ipc_role who, const struct ipc_message *m);

struct sts_answer {
	const struct sts_policy *policy; /* NULL: none, also where its mode is "none"; for the call */
	/* What stood in the way of one, or of a newer one: for reports; OK: nothing did. */
	enum tls_result result;
	const char *words;
};
typedef void sts_done(void *arg, const struct sts_answer *a);

/* Never calls done() before it returns.  0; -ENOBUFS: too many questions: try later; -ENOMEM. */
int sts_find(struct sts *s, const struct dns_name *domain, sts_done *done, void *arg, struct sts_ask **ret);
void sts_cancel(struct sts_ask *a); /* NULL is fine */
void sts_status(const struct sts *s, json_t *to);

#endif
