/* meanings.h - what an answer means here: route/classify.h with the configuration's own rows in front.
 *
 * One for all who ask: what is done about it, what is told of it, and what is listed by its class.
 */
#ifndef POSTERN_QUEUE_MEANINGS_H
#define POSTERN_QUEUE_MEANINGS_H

#include "conf/conf.h"
#include "queue/envelope.h"
#include "route/classify.h"

struct meanings {
	struct route_rule *rule;
	size_t n;
};

/* The configuration's replies; their strings are borrowed until the next call.  0; -ENOMEM: there are none.
 */
int meanings_set(struct meanings *m, const struct conf *conf);
void meanings_done(struct meanings *m);

/* As route_reply_of(); also of what a lane says of a connection: "mx.example.org (192.0.2.1) port 25: 554
 * no". */
struct route_reply meanings_reply(struct slice text, unsigned step);
/* m: NULL for no rows of the configuration.  text: with the code in front where another server said it;
 * status, code: where it does not tell them itself; step: enum smtp_client_step. */
struct route_meaning meanings_of(const struct meanings *m, struct slice text, struct slice status, int code,
				 unsigned step);
/* The same of a recipient's mark. */
struct route_meaning meanings_of_reason(const struct meanings *m, const struct envelope_reason *why);

#endif
