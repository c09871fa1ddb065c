/* intake.h - messages from the smtp processes into the spool: a driver.
 *
 * Each smtp process numbers its transactions; here they are kept apart by
 * channel.  What comes is hostile: a transaction that passes a ceiling, or for which
 * there is no memory, fails and says so at its commit; a channel that breaks the rules
 * is given up.  A
 * channel that closes takes its open transactions with it; commits that were
 * already asked for go on, because their message may be durable by now.
 */
#ifndef POSTERN_QUEUE_INTAKE_H
#define POSTERN_QUEUE_INTAKE_H

#include "ipc/channel.h"
#include "queue/ways.h"
#include "spool/spool.h"

#define INTAKE_PEERS	    64
#define INTAKE_TRANSACTIONS 20000		/* open at once, in one channel */
#define INTAKE_MEMORY	    (64U * 1024 * 1024) /* of recipients of all open transactions */

struct intake;

/* ways: outlive it, and may change meanwhile. */
int intake_new(struct spool *sp, struct schedule *schedule, const struct ways *ways, struct intake **ret);
void intake_free(struct intake *in); /* NULL is fine */

/* A channel came (it is told whether mail is accepted), or went (NULL). */
void intake_peer(struct intake *in, unsigned index, struct channel *ch);
/* NULL, or how the peer broke the rules. */
const char *intake_message(struct intake *in, unsigned index, const struct ipc_message *m, uint64_t now_ms);
/* Messages that queue writes itself come as the same messages, with this index; `stored` is told when the
 * commit is over (0, or an errno), also from within intake_message(). */
#define INTAKE_OWN INTAKE_PEERS
void intake_own(struct intake *in, void (*stored)(void *arg, uint64_t tx, int error), void *arg);
/* spool_wake_fd() is readable: answers what is durable now.  How many messages that was. */
unsigned intake_done(struct intake *in, uint64_t now_ms);
/* Asks the spool, and tells every smtp process when the answer changed. */
void intake_accepting(struct intake *in);

struct intake_counters {
	uint64_t transactions, committing, memory, stored, refused;
	uint64_t unscheduled; /* stored, but there was no memory to plan them */
};
void intake_count(const struct intake *in, struct intake_counters *ret);

#endif
