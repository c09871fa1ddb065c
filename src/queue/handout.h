/* handout.h - jobs from the schedule to local delivery, and what became of them: a driver.
 *
 * A job is a message and up to SCHEDULE_JOB_MAX of its mailboxes.  An attempt is
 * marked in the spool before it is handed over, the outcome after; whoever dies in
 * between has it tried again.  Held back by local's credit and by the channel's room,
 * so neither side gathers more than a few megabytes.
 */
#ifndef POSTERN_QUEUE_HANDOUT_H
#define POSTERN_QUEUE_HANDOUT_H

#include "ipc/channel.h"
#include "queue/schedule.h"
#include "spool/spool.h"

#define HANDOUT_JOBS 32 /* under way at once */

struct handout;

int handout_new(struct spool *sp, struct schedule *schedule, struct handout **ret);
void handout_free(struct handout *h); /* NULL is fine */

/* Local is there, or away (NULL). */
void handout_peer(struct handout *h, struct channel *ch, uint64_t now_ms);
/* job_result and job_credit.  NULL, or how local broke the rules. */
const char *handout_message(struct handout *h, const struct ipc_message *m, uint64_t now_ms);
/* Hands out what is due as far as credit and room go.  How long there is nothing
 * to do if nothing happens, in milliseconds; UINT64_MAX: for ever. */
uint64_t handout_run(struct handout *h, uint64_t now_ms);

struct handout_counters {
	uint64_t delivered, deferred, failed, jobs;
	uint64_t possibly_twice; /* recipients in a job when local went away */
};
void handout_count(const struct handout *h, struct handout_counters *ret);

#endif
