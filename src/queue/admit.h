/* admit.h - a message of the spool into the schedule: its envelope turned into what is planned by.
 *
 * For one that was just taken in, and for one that is found after a start or a reload.
 */
#ifndef POSTERN_QUEUE_ADMIT_H
#define POSTERN_QUEUE_ADMIT_H

#include "queue/schedule.h"
#include "queue/ways.h"

/* What is known of one recipient beside its envelope. */
struct admit_rcpt {
	enum schedule_rcpt state; /* ACTIVE not among them */
	uint32_t attempts;
	uint64_t due_ms; /* when DEFERRED */
};

struct admit {
	struct id id;
	uint64_t accepted_ms;
	const struct envelope *envelope;
	struct slice recipients;	/* encoded */
	const struct admit_rcpt *known; /* of each; NULL: all are new */
	bool held;
};

/* 0, -EEXIST, -ENOMEM, or -EBADMSG: the recipients are not what the envelope says. */
int admit(struct schedule *s, const struct ways *ways, const struct admit *a, uint64_t now_ms);

/* Whether a recipient's destination is another than the schedule has. */
bool admit_differs(const struct schedule *s, const struct ways *ways, const struct id *id,
		   const struct envelope *e, struct slice recipients);

#endif
