/* ways.h - which way a recipient's mail goes: the configuration as the queue needs it.
 *
 * Turns a recipient into the name of its destination, which is all that the schedule knows of
 * it, and that name back into what is to be done:
 *
 *	local                     our mailboxes, written by local
 *	lmtp                      our mailboxes, at the server that the configuration names
 *	ROUTE DOMAIN [relax]      elsewhere: by this route, for recipients of that domain
 *	ROUTE * [relax]           by a route that leads all domains to the same place
 *	nowhere                   what no route is for
 *
 * "relax" is mail that asks to go out without what a TLS policy wants (RFC 8689 5).  The names of
 * routes have no blanks.  A name may outlive its route, after a reload.
 */
#ifndef POSTERN_QUEUE_WAYS_H
#define POSTERN_QUEUE_WAYS_H

#include "base/endpoint.h"
#include "conf/conf.h"
#include "queue/envelope.h"
#include "queue/schedule.h"

#define WAYS_NOWHERE  "nowhere"
#define WAYS_TEXT_MAX (64 + 1 + 255 + 6)

struct route_table;

struct ways {
	const struct conf *conf; /* borrowed; NULL: mailboxes by local, and nothing else */
	struct route_table *table;
	struct endpoint lmtp;
	bool by_lmtp;
	unsigned char print[32]; /* of all that decides what leads where */
};

/* Whether anything that leads somewhere is another way now: 0 or 1; -ENOMEM: all is as it was. */
int ways_set(struct ways *w, const struct conf *conf);
void ways_done(struct ways *w);

/* Appends the name of the destination; false: there is none. */
bool ways_name(const struct ways *w, const struct envelope *e, const struct envelope_rcpt *r, struct buf *to);

enum way_kind {
	WAY_NONE, /* its route is gone */
	WAY_LOCAL,
	WAY_LMTP,
	WAY_RELAY,   /* asked of an smtp process, and opened there */
	WAY_DISCARD, /* done, without going anywhere */
	WAY_REFUSE,
};
struct way {
	enum way_kind kind;
	const struct conf_route *route; /* NULL for mailboxes */
	struct slice domain;		/* in the name that was asked about */
	bool relax;
	bool needs_25; /* it is reached on port 25 or not at all */
};
void ways_find(const struct ways *w, struct slice name, struct way *ret);

/* What a site of that way may be asked for, but for key, name and pool. */
void ways_limits(const struct ways *w, const struct way *way, struct schedule_site *ret);
/* The name of the pool that it sends from; "": none. */
const char *ways_pool(const struct ways *w, const struct way *way);

#endif
