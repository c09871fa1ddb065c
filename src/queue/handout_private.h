/* handout_private.h - what the files of the queue's driver know of each other.  Not for others. */
#ifndef POSTERN_QUEUE_HANDOUT_PRIVATE_H
#define POSTERN_QUEUE_HANDOUT_PRIVATE_H

#include "queue/asks.h"
#include "queue/handout.h"
#include "queue/port25.h"
#include "queue/troubles.h"

#define HANDOUT_SOURCES 64 /* in one pool */
#define HANDOUT_POOLS	64

struct handout {
	struct spool *sp;
	struct schedule *schedule;
	struct ways ways;
	struct carrier local;
	uint64_t local_lane; /* 0: not attached */
	struct carrier smtp[LANES_CARRIERS];
	bool takes[LANES_CARRIERS + 1]; /* as the schedule was told */
	struct lanes lanes;
	struct asks asks;
	struct troubles troubles;
	struct pool {
		const char *name; /* the configuration's */
		uint32_t number;
	} pool[HANDOUT_POOLS];
	size_t n_pools;
	struct port25 port25;
	bool port25_changed; /* since port25_take_change() */
	uint64_t silent;     /* smtp processes to complain of, by bit */
	bool local_silent;
	struct event_sink *events; /* or NULL */
	struct bounce *bounce;	   /* or NULL */
	struct meanings meanings;
	uint64_t full_until_ms; /* the disk takes no attempt: nothing is handed out */
	struct handout_counters count;
};

/* ---- handout_job.c: from the spool to a carrier ---- */

/* NULL: it could not be handed over, and what is to become of it is decided. */
struct carrier_job *handout_begin(struct handout *h, const struct schedule_job *due, struct carrier *c,
				  enum carrier_way way, uint64_t now_ms);
/* It goes nowhere: too old, or without a way. */
void handout_doomed(struct handout *h, const struct schedule_job *due, const struct schedule_doom *why,
		    uint64_t now_ms);

/* ---- handout_result.c: what became of it ---- */

/* What was said of a recipient, and by whom. */
struct outcome {
	enum schedule_result said;
	struct slice status, text; /* text: with the code in front where another server said it */
	int code;		   /* 0: nobody answered */
	unsigned step;		   /* enum smtp_client_step; IDLE: nobody answered */
	const struct lane *lane;   /* NULL: none, or local's */
	bool elsewhere;		   /* it was for another server, and none was asked: see its class */
	bool discarded;
	bool peer_tells; /* it reports success to the sender itself */
};
/* o: NULL when the envelope could not be read. */
void handout_record(struct handout *h, const struct carrier_job *j, const struct carrier_rcpt *o,
		    uint32_t recipient, const struct outcome *what, uint64_t now_ms);
/* He may have it already, and it is tried again. */
void handout_in_doubt(struct handout *h, const struct carrier_job *j, const struct carrier_rcpt *to,
		      const char *why, uint64_t now_ms);
const char *handout_result(struct handout *h, struct carrier *c, const struct ipc_job_result *m,
			   uint64_t now_ms);
const char *handout_credit(struct handout *h, struct carrier *c, const struct ipc_job_credit *m,
			   uint64_t now_ms);
const char *handout_back(struct handout *h, struct carrier *c, const struct ipc_job_back *m, uint64_t now_ms);

/* The job's lane ended before it: it is as if it had never been begun. */
void handout_untried(struct handout *h, struct carrier_job *j, struct slice status, struct slice text,
		     uint64_t now_ms);

/* ---- handout_lane.c: lanes and questions ---- */

void handout_open_lanes(struct handout *h, uint64_t now_ms);
void handout_ask(struct handout *h, uint64_t now_ms);
const char *handout_resolved(struct handout *h, unsigned index, const struct ipc_resolved *m,
			     uint64_t now_ms);
const char *handout_lane_ready(struct handout *h, unsigned index, const struct ipc_lane_ready *m,
			       uint64_t now_ms);
const char *handout_lane_closed(struct handout *h, unsigned index, const struct ipc_lane_closed *m,
				uint64_t now_ms);
/* It took a message. */
void handout_site_works(struct handout *h, const struct lane *lane, uint64_t now_ms);
void handout_overdue(struct handout *h, uint64_t now_ms);
/* The pools of sources, as configured. */
void handout_pools(struct handout *h, uint64_t now_ms);

#endif
