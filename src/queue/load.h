/* load.h - after a start, from the spool into the schedule: a driver.
 *
 * Works in slices, because a long queue must not delay new mail.  Messages that
 * came in meanwhile are in the schedule already and are passed over.  A recipient
 * with an attempt and no outcome was under way when we died: it is tried again,
 * and the log says that it may get the message twice.  After power loss such attempts may be gone from
 * the disk: then that is said of whatever was due.
 */
#ifndef POSTERN_QUEUE_LOAD_H
#define POSTERN_QUEUE_LOAD_H

#include "ipc/event.h"
#include "queue/ways.h"
#include "spool/spool.h"

struct load {
	struct spool *sp;
	struct event_sink *events; /* who is told of recipients in doubt; NULL is fine */
	struct schedule *schedule;
	const struct ways *ways;
	struct id at; /* the last one done */
	bool begun, done;
	bool again;	   /* memory was lacking for some: to be gone through once more */
	bool reroute;	   /* after a reload: what is in the schedule is looked at too */
	uint64_t doubt_ms; /* power was lost: what was due by then may have been tried; 0: it was not */
	uint64_t loaded, damaged, possibly_twice, rerouted;
};

void load_init(struct load *l, struct spool *sp, struct schedule *schedule, const struct ways *ways);
/* The machine went down, at some time before this. */
void load_power_lost(struct load *l, uint64_t now_ms);
/* Up to that many messages; false when all are done. */
bool load_step(struct load *l, unsigned messages, uint64_t now_ms);
/* Something is in the spool and not in the schedule.  If the last pass is over, a new
 * one begins, and true is returned. */
bool load_restart(struct load *l);
/* The configuration leads elsewhere: from the first message on, destinations are found anew.  A message
 * that is under way at that moment finishes its attempt as it began, and is looked at again after it. */
void load_reroute(struct load *l);

#endif
