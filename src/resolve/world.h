/* world.h - one context of libunbound: one way to ask the DNS; private to resolve/.
 *
 * What it is made with stays: another way to ask is another context.  Everything that needs a
 * file, or takes time, happens in world_new().
 */
#ifndef POSTERN_RESOLVE_WORLD_H
#define POSTERN_RESOLVE_WORLD_H

#include "resolve/resolve.h"

struct world;

struct world_setup {
	const struct resolve_server *servers; /* none: by recursion */
	size_t n_servers;
	struct slice anchors; /* empty: nothing is validated */
	uint64_t cache;	      /* octets */
};

/* 0; -EINVAL: the anchors cannot be read; -ENOMEM. */
int world_new(uv_loop_t *loop, const struct world_setup *setup, struct world **ret);
/* Not from within a world_done().  What was asked is forgotten. */
void world_free(struct world *w);

/* The message is borrowed for the call; empty: there is none, see rcode. */
struct world_answer {
	struct slice message;
	int rcode;
	bool secure, bogus;
	const char *why; /* it is bogus; may be NULL */
};

typedef void (*world_done)(void *arg, const struct world_answer *a);

struct world_query;

/* type as on the wire.  0, or negative errno: then done() will not be called; else it is once,
 * maybe before this returns, with *ret NULL then.  The query ends with it. */
int world_ask(struct world *w, const struct dns_name *name, int type, world_done done, void *arg,
	      struct world_query **ret);
void world_cancel(struct world_query *q); /* NULL is fine */

#endif
