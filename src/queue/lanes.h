/* lanes.h - the connections that smtp processes hold for us to one site: how many there are,
 * which is free, and whether the site is to be left alone for a while.
 *
 * A site is a server that takes mail: for now the one LMTP server of the configuration.
 * A lane takes one job at a time.  When connecting fails, or a lane breaks, the site waits
 * (1 s to 1 min) and then is tried with one lane; that delays no message by itself, and is
 * no attempt of any.  Lanes with nothing to do are closed.
 *
 * It hands out no job: handout.c does, over the carrier that a lane belongs to.
 */
#ifndef POSTERN_QUEUE_LANES_H
#define POSTERN_QUEUE_LANES_H

#include <jansson.h>

#include "base/endpoint.h"
#include "queue/carrier.h"

#define LANES_MAX      100
#define LANES_CARRIERS 64

struct lanes_setup {
	bool on; /* mail for mailboxes goes this way */
	struct endpoint to;
	unsigned connections; /* at once, at most LANES_MAX */
	unsigned idle_s, connect_s, command_s, final_s;
};

struct lanes;

/* The carriers: smtp processes by index; they outlive it. */
struct lanes *lanes_new(struct carrier carriers[LANES_CARRIERS]); /* NULL: out of memory */
void lanes_free(struct lanes *l);
void lanes_configure(struct lanes *l, const struct lanes_setup *setup, uint64_t now_ms);
const struct lanes_setup *lanes_setup(const struct lanes *l);

/* That carrier went, and its lanes with it. */
void lanes_carrier_gone(struct lanes *l, unsigned index);

enum lanes_state {
	LANES_FREE,    /* lanes_take() will give one */
	LANES_FULL,    /* when a job or a lane ends, there will be */
	LANES_NO_ROOM, /* when a channel has written; ask again soon */
	LANES_WAIT,    /* the site is left alone, see lanes_wait_ms() */
};
enum lanes_state lanes_look(const struct lanes *l, uint64_t now_ms);
/* A lane for that job, opened for it if need be; its number and its carrier. */
uint64_t lanes_take(struct lanes *l, uint64_t job, struct carrier **ret, uint64_t now_ms);
/* Its job is over; done: it was not given back. */
void lanes_job_over(struct lanes *l, uint64_t lane, bool done, uint64_t now_ms);
/* NULL, or how the smtp process broke the rules. */
const char *lanes_closed(struct lanes *l, unsigned index, const struct ipc_lane_closed *m, uint64_t now_ms);

/* Closes lanes that had nothing to do for long.  Until when there is nothing to do here; UINT64_MAX:
 * for ever. */
uint64_t lanes_tick(struct lanes *l, uint64_t now_ms);

struct lanes_trouble {
	uint64_t until_ms; /* 0: none */
	const char *status, *text;
};
void lanes_trouble(const struct lanes *l, struct lanes_trouble *ret);
/* An operator asked to try again. */
void lanes_wait_no_more(struct lanes *l);
/* The wall clock was set. */
void lanes_shift(struct lanes *l, int64_t by_ms);
json_t *lanes_json(const struct lanes *l, uint64_t now_ms); /* for status; NULL: out of memory */

#endif
