/* carrier.h - another process that takes jobs: local, which writes mailboxes, or an smtp
 * process, which has lanes to other servers.
 *
 * What is common to both: the channel, the credit that holds us back, the jobs in its
 * hands.  It knows neither spool nor schedule: handout_job.c reads a message, results.c
 * records what became of it; here it goes over, whole or not at all.
 */
#ifndef POSTERN_QUEUE_CARRIER_H
#define POSTERN_QUEUE_CARRIER_H

#include "base/list.h"
#include "base/map.h"
#include "ipc/channel.h"
#include "queue/envelope.h"
#include "queue/schedule.h"

#define CARRIER_JOBS 500 /* at most, in one process's hands; send/ takes 512 */

struct carrier {
	struct channel *ch; /* NULL: away */
	int64_t credit;	    /* octets; a job may begin while it is above 0 */
	struct map jobs;    /* by number */
	unsigned losses;    /* times in a row that it went away with jobs in its hands */
};

struct carrier_rcpt {
	uint32_t n;					/* the recipient's number */
	struct slice address, mailbox, original, orcpt; /* in the job's envelope */
	uint8_t notify;
};

enum carrier_way {
	CARRIER_LOCAL, /* mailboxes of ours, written by local */
	CARRIER_LMTP,  /* mailboxes of ours, at another server */
	CARRIER_RELAY, /* elsewhere */
};

/* A job under way: what the log will say about it. */
struct carrier_job {
	struct map_node node; /* of its carrier's */
	struct list in_lane;
	struct carrier *carrier;
	struct id id;
	uint64_t number, accepted_ms, size;
	uint64_t lane;
	enum carrier_way way;
	bool back;    /* its process said that nothing of it was tried */
	bool untried; /* known already, because its lane ended */
	bool lost;    /* it took too long and was given to somebody else: what comes of it is not heard */
	uint32_t attempt;
	size_t cost; /* credit that comes back when it is over */
	struct buf envelope;
	uint32_t n; /* recipients without a result */
	struct carrier_rcpt out[SCHEDULE_JOB_MAX];
};

/* All that goes over; borrowed for the call. */
struct carrier_load {
	const struct schedule_job *due;
	bool any_sender;			  /* it goes nowhere: nobody is left out */
	uint32_t others, other[SCHEDULE_JOB_MAX]; /* recipients of the job that go by themselves */
	struct envelope e;
	struct slice recipients; /* the envelope's, encoded */
	struct slice headers, body;
	char delimiter; /* recipient_delimiter of the configuration, 0: none */
	int fd;		/* of the body, when it is in a file; else -1 */
};

int carrier_init(struct carrier *c); /* 0 or -ENOMEM */
void carrier_done(struct carrier *c);
/* Came, or went (NULL): its jobs are the caller's to take back first. */
void carrier_peer(struct carrier *c, struct channel *ch);
/* It is there and has credit; carrier_has_room(): and its channel takes a whole job. */
bool carrier_ready(const struct carrier *c);
bool carrier_has_room(const struct carrier *c);

struct carrier_job *carrier_job_new(const struct schedule_job *due); /* NULL: out of memory */
void carrier_job_free(struct carrier_job *j);			     /* takes it out of its carrier */
/* Fills out[] with the job's recipients; false if one is not in the envelope.  Those with another
 * envelope sender than the first one's (they are forwarded, each by its own address) are left out, see
 * carrier_load.others; load->e gets the first one's. */
bool carrier_job_names(struct carrier_job *j, struct carrier_load *load);
void carrier_send(struct carrier *c, struct carrier_job *j, const struct carrier_load *load);

struct carrier_job *carrier_find(struct carrier *c, uint64_t number);
/* That recipient has its result now: once only. */
bool carrier_job_take(struct carrier_job *j, uint32_t recipient, struct carrier_rcpt *ret);
/* NULL, or how it broke the rules; *ret_over: the job that is over, for the caller to free. */
const char *carrier_credit(struct carrier *c, const struct ipc_job_credit *m, struct carrier_job **ret_over);

#endif
