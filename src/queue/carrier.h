/* carrier.h - another process that takes jobs: local, which writes mailboxes, or an smtp
 * process, which has lanes to other servers.
 *
 * What is common to both: the channel, the credit that holds us back, the jobs in its
 * hands.  It knows neither spool nor schedule: handout.c reads a message and records
 * what became of it; here it goes over, whole or not at all.
 */
#ifndef POSTERN_QUEUE_CARRIER_H
#define POSTERN_QUEUE_CARRIER_H

#include "base/list.h"
#include "ipc/channel.h"
#include "queue/envelope.h"
#include "queue/schedule.h"

struct carrier {
	struct channel *ch; /* NULL: away */
	int64_t credit;	    /* octets; a job may begin while it is above 0 */
	struct list jobs;
	unsigned n_jobs;
	unsigned losses; /* times in a row that it went away with jobs in its hands */
};

struct carrier_rcpt {
	uint32_t n;		       /* the recipient's number */
	struct slice address, mailbox; /* in the job's envelope */
	uint8_t notify;
};

/* A job under way: what the log will say about it. */
struct carrier_job {
	struct list link;
	struct carrier *carrier;
	struct id id;
	uint64_t number, accepted_ms, size;
	uint64_t lane; /* 0: local's */
	bool back;     /* nothing of it was tried */
	uint32_t attempt;
	size_t cost; /* credit that comes back when it is over */
	struct buf envelope;
	uint32_t n; /* recipients without a result */
	struct carrier_rcpt out[SCHEDULE_JOB_MAX];
};

/* All that goes over; borrowed for the call. */
struct carrier_load {
	const struct schedule_job *due;
	struct envelope e;
	struct slice recipients; /* the envelope's, encoded */
	struct slice headers, body;
	int fd; /* of the body, when it is in a file; else -1 */
};

void carrier_init(struct carrier *c);
/* Came, or went (NULL): its jobs are the caller's to take back first. */
void carrier_peer(struct carrier *c, struct channel *ch);
/* It is there and has credit; carrier_has_room(): and its channel takes a whole job. */
bool carrier_ready(const struct carrier *c);
bool carrier_has_room(const struct carrier *c);

struct carrier_job *carrier_job_new(const struct schedule_job *due); /* NULL: out of memory */
void carrier_job_free(struct carrier_job *j);			     /* takes it out of its carrier */
/* Fills out[] with the job's recipients; false if one is not in the envelope. */
bool carrier_job_names(struct carrier_job *j, const struct carrier_load *load);
void carrier_send(struct carrier *c, struct carrier_job *j, const struct carrier_load *load);

struct carrier_job *carrier_find(struct carrier *c, uint64_t number);
/* That recipient has its result now: once only. */
bool carrier_job_take(struct carrier_job *j, uint32_t recipient, struct carrier_rcpt *ret);
/* NULL, or how it broke the rules; *ret_over: the job that is over, for the caller to free. */
const char *carrier_credit(struct carrier *c, const struct ipc_job_credit *m, struct carrier_job **ret_over);

#endif
