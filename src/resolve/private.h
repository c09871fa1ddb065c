/* private.h - the resolver's inside: resolve.c has the questions, way.c where they are asked. */
#ifndef POSTERN_RESOLVE_PRIVATE_H
#define POSTERN_RESOLVE_PRIVATE_H

#include "base/list.h"
#include "resolve/hosts.h"
#include "resolve/world.h"

/* Trying out where the DNS can be asked, in this order as far as the setup lets it. */
enum way_step {
	WAY_SETTLED,
	WAY_TRY_RECURSION,  /* do the root servers answer? */
	WAY_TRY_SIGNATURES, /* do resolv.conf's servers pass on signatures? */
	WAY_TRY_PLAIN,	    /* do they answer at all? */
};

struct way {
	enum resolve_way now;
	bool known, validates;
	bool untold; /* to resolve_on_change() */
	enum way_step step;
	struct world *candidate; /* that which is tried */
	struct world_query *query;
	bool answered; /* it has been, and this is what came: */
	bool good, bogus;
	uint64_t deadline_ms; /* of the step */
	uint64_t again_ms;    /* when to try from the beginning; 0: never */
	uint64_t began_ms;    /* the last try */
	unsigned failures;    /* questions in a row that nobody could answer */
};

struct resolve {
	uv_loop_t *loop;
	struct resolve_setup setup; /* its slices point into text */
	void *text;
	struct resolve_server servers[RESOLVE_SERVERS_MAX];
	struct resolv_conf system;

	struct world *world;	   /* where questions go; NULL until the way is known */
	struct world *hosts_world; /* resolv.conf's servers for resolve_ask_host(); NULL until it is wanted */
	struct way way;

	struct list waiting;  /* queries by their time limit, which is the same for all */
	struct list finished; /* to be told, or to be asked once more */
	unsigned n;
	struct resolve_status counts;

	void (*changed)(void *arg);
	void *changed_arg;
	uv_timer_t timer;
};

/* The timer must look at things in so many milliseconds at the latest. */
void resolve_wake(struct resolve *r);
/* The world has changed: what was asked of the old one is asked again; then old is freed. */
void resolve_ask_again(struct resolve *r, struct world *old);

/* way.c; none of it from within a world_done(). 0 or negative errno. */
int way_start(struct resolve *r);
void way_stop(struct resolve *r);
/* The setup is another: begins anew, and goes on as before until that is settled.  0 or negative errno: then
 * nothing has changed. */
int way_restart(struct resolve *r);
void way_turn(struct resolve *r, uint64_t now_ms);
uint64_t way_next_ms(const struct resolve *r); /* UINT64_MAX: nothing to wait for */
/* How a question ended: whether somebody answered. Also from within a world_done(). */
void way_note(struct resolve *r, bool answered);
/* Where names of hosts are asked; NULL: out of memory, or not known yet. */
struct world *way_of_hosts(struct resolve *r);

#endif
