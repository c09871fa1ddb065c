/* bounce.h - tells senders what became of their messages: a driver.
 *
 * Recipients that failed stay failed in the spool until a report about them (mime/dsn.h) is in the
 * spool as a message of its own; only then they have their outcome.  Those who die in between report
 * again after the start, under the same Message-ID.  What fails within seconds goes into one report.
 * The same is done for what was delivered where the sender asked to be told (NOTIFY=SUCCESS), and once
 * for a message that is late.
 *
 * Never reported: to nobody (the null sender: reports about reports), and what the sender did not want
 * to know (NOTIFY).  That is recorded as if it had been, logged and counted.
 *
 * Reports are made at a bounded pace, over all and for each sender; what is over it waits, as failed.
 * Where a report goes is asked of keeper, as for any other recipient.
 */
#ifndef POSTERN_QUEUE_BOUNCE_H
#define POSTERN_QUEUE_BOUNCE_H

#include <jansson.h>

#include "queue/envelope.h"
#include "queue/intake.h"
#include "queue/schedule.h"
#include "spool/spool.h"

struct bounce;
struct event_sink;

struct bounce_setup {
	const char *hostname;
	const char *help;     /* a line for senders who do not know what to do; "": none.  Not copied. */
	uint64_t delay_ms;    /* then the sender of a message that is still here is told; 0: never */
	uint64_t lifetime_ms; /* of messages */
	const struct meanings *meanings; /* lives longer; NULL: none of the configuration */
};

int bounce_new(struct spool *sp, struct schedule *schedule, struct intake *intake, struct bounce **ret);
void bounce_free(struct bounce *b); /* NULL is fine, here and below */
int bounce_configure(struct bounce *b, const struct bounce_setup *setup);
/* Where it is told what was reported; lives longer than b. */
void bounce_events(struct bounce *b, struct event_sink *events);

/* --- for whoever records outcomes --- */

/* Does the sender want to hear that it was delivered?  Then SPOOL_DELIVERED is not recorded: a mark
 * (SPOOL_MARK_DEFERRED, envelope_reason.delivered) stands for it until the report is made.  peer_tells: it
 * was given to a server that reports by itself. */
bool bounce_wants(const struct bounce *b, uint8_t notify, bool peer_tells);
/* After the mark of a recipient that failed, or was delivered and is wanted. */
void bounce_note(struct bounce *b, const struct id *id, uint64_t now_ms);
/* After a start, when all of the spool is in the schedule: what is to be reported is looked for there. */
void bounce_look(struct bounce *b);

/* An operator gives up what is open of a message, but for what is in a job.  How many recipients; -ENOENT, or
 * another negative errno. */
int bounce_give_up(struct bounce *b, const struct id *id, uint64_t now_ms);

/* --- running --- */

void bounce_keeper(struct bounce *b, struct channel *ch, uint64_t now_ms); /* came, or went (NULL) */
/* It lets questions lie: main is to be told.  Once for each time that it does. */
bool bounce_keeper_silent(struct bounce *b);
bool bounce_is_for(const struct ipc_message *m); /* one that keeper may send */
/* NULL, or how keeper broke the rules. */
const char *bounce_keeper_message(struct bounce *b, const struct ipc_message *m, uint64_t now_ms);
/* Does what is due, a bounded piece.  How long there is nothing to do if nothing happens, in milliseconds. */
uint64_t bounce_run(struct bounce *b, uint64_t now_ms);
void bounce_shift(struct bounce *b, int64_t by_ms);

struct bounce_counters {
	uint64_t failed, delayed, delivered; /* reports made, of each kind */
	uint64_t recipients;		     /* in them */
	uint64_t unwanted;		     /* recipients whose sender did not want to know */
	uint64_t nobody;		     /* recipients that failed with nobody to tell: double bounces */
	uint64_t undeliverable;		     /* recipients whose sender's address is none any more */
	uint64_t held_back;		     /* reports that had to wait for their turn */
	uint64_t waiting;		     /* messages, at this moment */
	uint64_t errors;		     /* reports that could not be made or stored; tried again */
};
void bounce_count(const struct bounce *b, struct bounce_counters *ret);
json_t *bounce_json(const struct bounce *b); /* the same, for status; NULL: out of memory */

#endif
