/* recall.h - what one process remembers for a while of hosts and routes: a name, a number, until
 * when.  A hint, never a rule: it may be forgotten at any time.
 *
 * At most RECALL_MAX entries; the one that was put longest ago makes room.
 */
#ifndef POSTERN_SEND_RECALL_H
#define POSTERN_SEND_RECALL_H

#include "base/list.h"
#include "base/map.h"

#define RECALL_MAX 4096

enum recall_kind {
	RECALL_FAILED = 'f',	/* this host could not be used */
	RECALL_IPV6_LOST = '6', /* its IPv6 addresses were of no use; "": nobody's are */
	RECALL_PORT = 'p',	/* of this route's host: the port that worked */
	RECALL_TOLD = 't',	/* that STARTTLS was missing there has been reported */
	RECALL_LOCKSTEP = 'l',	/* this host lost what was said right behind a message */
};

struct recall {
	struct map map;
	struct list old; /* the oldest first */
	size_t n;
};

int recall_init(struct recall *r); /* 0 or -ENOMEM */
void recall_done(struct recall *r);
/* Without memory it is not remembered. */
void recall_put(struct recall *r, enum recall_kind kind, struct slice name, uint32_t value,
		uint64_t until_ms);
bool recall_get(const struct recall *r, enum recall_kind kind, struct slice name, uint64_t now_ms,
		uint32_t *ret);
bool recall_has(const struct recall *r, enum recall_kind kind, struct slice name, uint64_t now_ms);
void recall_forget(struct recall *r, enum recall_kind kind, struct slice name);

#endif
