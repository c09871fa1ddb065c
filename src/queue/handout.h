/* handout.h - jobs from the schedule to their carriers, and what became of them: a driver.
 *
 * A job is a message and up to SCHEDULE_JOB_MAX of its recipients.  Mail for mailboxes goes
 * to local, or by lanes of the smtp processes to an LMTP server, as the configuration says;
 * the jobs of both are alike (queue/carrier.h).  An attempt is marked in the spool before it
 * is handed over, the outcome after; whoever dies in between has it tried again.  Held back
 * by the carriers' credit and by the channels' room, so neither side gathers more than
 * a few megabytes.
 */
#ifndef POSTERN_QUEUE_HANDOUT_H
#define POSTERN_QUEUE_HANDOUT_H

#include "queue/lanes.h"
#include "spool/spool.h"

#define HANDOUT_LOCAL_JOBS 32 /* under way at once */
#define HANDOUT_JOBS	   (HANDOUT_LOCAL_JOBS + LANES_MAX)

struct handout;

int handout_new(struct spool *sp, struct schedule *schedule, struct handout **ret);
void handout_free(struct handout *h); /* NULL is fine */
/* From now on; what is under way stays where it is. */
void handout_configure(struct handout *h, const struct lanes_setup *setup, uint64_t now_ms);

/* Where outcomes are told; lives longer than h. */
struct event_sink;
void handout_events(struct handout *h, struct event_sink *events);
/* Who tells senders; lives longer than h. */
struct bounce;
void handout_bounce(struct handout *h, struct bounce *bounce);

/* A carrier is there, or away (NULL): local, or the smtp process of that index. */
void handout_local_peer(struct handout *h, struct channel *ch, uint64_t now_ms);
void handout_smtp_peer(struct handout *h, unsigned index, struct channel *ch, uint64_t now_ms);
/* job_result, job_credit; of smtp also job_back and lane_closed.  NULL, or how it broke the rules. */
const char *handout_local_message(struct handout *h, const struct ipc_message *m, uint64_t now_ms);
const char *handout_smtp_message(struct handout *h, unsigned index, const struct ipc_message *m,
				 uint64_t now_ms);
bool handout_is_for(const struct ipc_message *m); /* one of those that smtp may send */

/* Hands out what is due as far as credit and room go.  How long there is nothing
 * to do if nothing happens, in milliseconds; UINT64_MAX: for ever. */
uint64_t handout_run(struct handout *h, uint64_t now_ms);
/* An operator asked to try again: a site that is left alone is not, once. */
void handout_try_now(struct handout *h);
/* The wall clock was set. */
void handout_shift(struct handout *h, int64_t by_ms);

struct handout_counters {
	uint64_t delivered, deferred, failed, jobs;
	uint64_t possibly_twice; /* recipients whose carrier went away, or whose server did not answer */
};
void handout_count(const struct handout *h, struct handout_counters *ret);
const struct lanes *handout_lanes(const struct handout *h);

#endif
