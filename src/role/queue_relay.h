/* queue_relay.h - between queue.c, queue_ask.c and queue_relay.c only: what is said of sites.
 */
#ifndef POSTERN_ROLE_QUEUE_RELAY_H
#define POSTERN_ROLE_QUEUE_RELAY_H

#include "queue/handout.h"
#include "role/role.h"

/* For `status`: "relay", and "site" where mailboxes are at another server. */
void queue_relay_status(const struct schedule *s, struct handout *h, uint64_t now_ms, json_t *to);
/* queue.relay: {"address", "sender", "account", all optional}: whether port 25 is blocked; and of an
 * address its destination, and how its site is doing. */
void queue_relay_ask(const struct schedule *s, struct handout *h, struct role_request *req, uint64_t now_ms);

#endif
