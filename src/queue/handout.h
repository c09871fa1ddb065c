/* handout.h - jobs from the schedule to their carriers, and what became of them: a driver.
 *
 * A job is a message and up to SCHEDULE_JOB_MAX of its recipients at one destination.  Mail for
 * mailboxes goes to local, or by lanes of the smtp processes to an LMTP server, as the configuration
 * says; mail for elsewhere by lanes to the sites that its route leads to.  The jobs of all are
 * alike (queue/carrier.h).  An attempt is marked in the spool before it is handed over, the
 * outcome after; whoever dies in between has it tried again.  Held back by the carriers' credit and by
 * the channels' room, so neither side gathers more than a few megabytes.
 *
 * The parts: handout_job.c reads and hands over, handout_result.c takes what came of it,
 * handout_lane.c asks where mail goes and keeps the lanes.
 */
#ifndef POSTERN_QUEUE_HANDOUT_H
#define POSTERN_QUEUE_HANDOUT_H

#include "queue/lanes.h"
#include "queue/meanings.h"
#include "queue/port25.h"
#include "spool/spool.h"

#define HANDOUT_LOCAL_JOBS 32	/* under way at once */
#define HANDOUT_JOBS	   8192 /* the same, of all carriers */

struct handout;
struct event_sink;

int handout_new(struct spool *sp, struct schedule *schedule, struct handout **ret);
void handout_free(struct handout *h); /* NULL is fine */
/* From now on; what is under way stays where it is.  conf is borrowed until the next call.  1: mail may have
 * other ways now, so the destinations of what waits are to be found anew (load_reroute()); 0: none has;
 * -ENOMEM: all is as it was. */
int handout_configure(struct handout *h, const struct conf *conf, uint64_t now_ms);
const struct ways *handout_ways(const struct handout *h);
/* By which answers are judged; it stays where it is. */
const struct meanings *handout_meanings(const struct handout *h);

/* Where outcomes are told; lives longer than h. */
void handout_events(struct handout *h, struct event_sink *events);
/* Who tells senders; lives longer than h. */
struct bounce;
void handout_bounce(struct handout *h, struct bounce *bounce);

/* A carrier is there, or away (NULL): local, or the smtp process of that index. */
void handout_local_peer(struct handout *h, struct channel *ch, uint64_t now_ms);
void handout_smtp_peer(struct handout *h, unsigned index, struct channel *ch, uint64_t now_ms);
/* job_result, job_credit; of smtp also job_back, resolved, lane_ready, lane_closed.  NULL, or how it broke
 * the rules. */
const char *handout_local_message(struct handout *h, const struct ipc_message *m, uint64_t now_ms);
const char *handout_smtp_message(struct handout *h, unsigned index, const struct ipc_message *m,
				 uint64_t now_ms);
bool handout_is_for(const struct ipc_message *m); /* one of those that smtp may send */

/* Hands out what is due as far as credit and room go.  How long there is nothing
 * to do if nothing happens, in milliseconds; UINT64_MAX: for ever. */
uint64_t handout_run(struct handout *h, uint64_t now_ms);
/* A process that let something lie for too long: main is to be told.  False: none (any more).  local:
 * it is that one. */
bool handout_next_silent(struct handout *h, bool *ret_local, unsigned *ret_index);
/* The wall clock was set. */
void handout_shift(struct handout *h, int64_t by_ms);

/* Whether this network lets connections to port 25 out: what is known from before a restart,
 * and whether it is to be written down anew (once for each change). */
void handout_port25_restore(struct handout *h, uint64_t since_ms, uint64_t now_ms);
const struct port25 *handout_port25(const struct handout *h);
bool handout_port25_changed(struct handout *h);

struct handout_counters {
	uint64_t delivered, deferred, failed, discarded, jobs, resolves;
	uint64_t possibly_twice; /* recipients whose carrier went away, or whose server did not answer */
	uint64_t overdue;	 /* given up because a process said nothing about it */
	uint64_t lanes, lanes_opened, lanes_failed;
};
void handout_count(const struct handout *h, struct handout_counters *ret);

#endif
