/* lanes.h - the connections that smtp processes hold for us: which there are, on which process,
 * what they reached.
 *
 * When there is to be one, and what goes over it, the schedule decides; that a lane ended is
 * told to it by handout.c.  Here they are opened, found and closed.
 */
#ifndef POSTERN_QUEUE_LANES_H
#define POSTERN_QUEUE_LANES_H

#include "queue/carrier.h"
#include "queue/ways.h"

#define LANES_CARRIERS 64  /* processes of role smtp */
#define LANES_EACH     250 /* of one process; send/ takes 256 */
#define LANES_WINDOW   4   /* jobs in one lane's hands, as send/ takes them */

struct lane {
	struct map_node node;
	uint64_t number; /* the schedule's */
	unsigned carrier;
	enum carrier_way way;
	bool ready, closing, needs_25, probe;
	bool over;	  /* the schedule knows that it is no more, its process has not said so yet */
	struct list jobs; /* in its hands: carrier_job.in_lane */
	char destination[WAYS_TEXT_MAX + 1], site[256], source[65];
	/* What it reached: of lane_ready. */
	char host[256], tls[129];
	struct ip ip;
	uint16_t port;
	uint8_t security; /* enum ipc_security */
	bool fell_back;
};

struct lanes {
	struct carrier *carriers; /* LANES_CARRIERS of them; they outlive it */
	struct map all;
	unsigned each[LANES_CARRIERS];
	uint64_t opened, failures;
};

int lanes_init(struct lanes *l, struct carrier *carriers); /* 0 or -ENOMEM */
void lanes_done(struct lanes *l);

/* The process that has the fewest lanes and takes one more; LANES_CARRIERS: none does. */
unsigned lanes_best_carrier(const struct lanes *l);
/* Tells that process to open it; NULL: out of memory. */
struct lane *lanes_open(struct lanes *l, unsigned carrier, const struct schedule_lane *what,
			const struct way *way, const struct ways *ways);
struct lane *lanes_find(const struct lanes *l, uint64_t number); /* NULL: there is none */
void lanes_ready(struct lane *lane, const struct ipc_lane_ready *m);
void lanes_close(struct lanes *l, struct lane *lane);  /* answered by lane_closed */
void lanes_forget(struct lanes *l, struct lane *lane); /* it is no more */
/* Some lane of that process, to be forgotten with it; NULL: none is left. */
struct lane *lanes_any_of(const struct lanes *l, unsigned carrier);

const char *lanes_security(uint8_t security);	    /* "clear", "encrypted", "verified", "dane" */
bool lanes_ip(struct slice octets, struct ip *ret); /* of IPC; none: family 0 */

#endif
