/* schedule.h - decides which message is handed out when: an engine.
 *
 * Events go in with the time, decisions come out; there is no clock, disk,
 * channel or log in it.  It holds, for every message of the queue, the state of
 * each recipient, and a heap of what is due when.  A message's recipients in
 * mailboxes are handed out in jobs of up to SCHEDULE_JOB_MAX; what was deferred is
 * tried again together after 1, 5, 15 and 30 minutes, then each hour, until the
 * message is five days old.  What fails for good stays, as failed: reporting it to
 * the sender is somebody else's work, and losing it is nobody's.
 *
 * Recipients elsewhere wait for a relay that hands them out; they are never due here.
 * Times are milliseconds since 1970.  The caller keeps the spool in step.
 */
#ifndef POSTERN_QUEUE_SCHEDULE_H
#define POSTERN_QUEUE_SCHEDULE_H

#include "base/id.h"

#define SCHEDULE_JOB_MAX 100 /* recipients in one job */
#define SCHEDULE_LIFE_MS (UINT64_C(5) * 24 * 3600 * 1000)

struct schedule;

/* Of one recipient. */
enum schedule_rcpt {
	SCHEDULE_READY,	   /* to be handed out when its message is due */
	SCHEDULE_ACTIVE,   /* in a job */
	SCHEDULE_DEFERRED, /* tried, and to be tried again */
	SCHEDULE_WAITING,  /* remote: no relay yet */
	SCHEDULE_FAILED,   /* for good; kept */
	SCHEDULE_DONE,
	SCHEDULE_RCPTS, /* one past the last */
};

/* Of a message: the first of these that holds. */
enum schedule_state {
	SCHEDULE_IS_ACTIVE,   /* a recipient is in a job */
	SCHEDULE_IS_HELD,     /* by an operator */
	SCHEDULE_IS_QUEUED,   /* a recipient is ready */
	SCHEDULE_IS_DEFERRED, /* a recipient is deferred */
	SCHEDULE_IS_FAILED,
	SCHEDULE_IS_WAITING,
	SCHEDULE_STATES, /* one past the last */
};
const char *schedule_state_name(enum schedule_state state); /* "active", "held" ... */

/* jobs_max: under way at once. */
int schedule_new(unsigned jobs_max, struct schedule **ret); /* 0 or -ENOMEM */
void schedule_free(struct schedule *s);			    /* NULL is fine */

struct schedule_message {
	struct id id;
	uint64_t accepted_ms;
	uint64_t due_ms;   /* of its deferred recipients */
	uint32_t attempts; /* made so far */
	bool held;
	const uint8_t *rcpt; /* enum schedule_rcpt, ACTIVE not among them */
	uint32_t recipients;
};

/* Ready recipients are due at once.  0, -EEXIST or -ENOMEM. */
int schedule_add(struct schedule *s, const struct schedule_message *m, uint64_t now_ms);
/* -ENOENT, or 0.  Results for a removed message are ignored. */
int schedule_remove(struct schedule *s, const struct id *id);
/* What is in a job is not called back.  -ENOENT, or 0. */
int schedule_hold(struct schedule *s, const struct id *id);
int schedule_release(struct schedule *s, const struct id *id, uint64_t now_ms);
/* Deferred and failed recipients become ready, due now.  -ENOENT, or how many. */
int schedule_retry(struct schedule *s, const struct id *id, uint64_t now_ms);

/* --- handing out --- */

/* Whether anything may be handed out now: closed at first. */
void schedule_open(struct schedule *s, bool open);

struct schedule_job {
	uint64_t number;
	struct id id;
	uint32_t attempt; /* 1: the first */
	uint32_t n;
	uint32_t rcpt[SCHEDULE_JOB_MAX];
};
/* The next job that is due; its recipients are active from now on. */
bool schedule_next(struct schedule *s, uint64_t now_ms, struct schedule_job *ret);
/* The same, open or not, if the message that is due first is older than SCHEDULE_LIFE_MS: where
 * nothing can be handed out for days, the caller answers for it. */
bool schedule_next_expired(struct schedule *s, uint64_t now_ms, struct schedule_job *ret);
/* A job that was not done, or whose carrier was lost: what is not answered is ready again. */
void schedule_give_back(struct schedule *s, uint64_t job, uint64_t due_ms);
/* How long to wait after that many losses in a row more than one: 1 s to 1 min. */
uint64_t schedule_pause_ms(unsigned losses);
/* How long there will be nothing to hand out if nothing happens: 0, or UINT64_MAX
 * for ever. */
uint64_t schedule_wait_ms(const struct schedule *s, uint64_t now_ms);

enum schedule_result { SCHEDULE_SAID_DELIVERED, SCHEDULE_SAID_DEFERRED, SCHEDULE_SAID_FAILED };

struct schedule_answer {
	enum schedule_rcpt now; /* DONE, DEFERRED or FAILED */
	bool expired;		/* failed because it was tried for too long */
	uint32_t attempts;
	uint64_t next_ms; /* when DEFERRED */
	struct id id;
};
/* False: no such recipient in no such job (its message was removed, or the job is
 * an older one); nothing changed. */
bool schedule_answer(struct schedule *s, uint64_t job, uint32_t recipient, enum schedule_result said,
		     uint64_t now_ms, struct schedule_answer *ret);

/* The wall clock was set, by so many milliseconds: all that is planned moves with it,
 * so that nothing waits longer, or grows older, than by the time that passed. */
void schedule_shift(struct schedule *s, int64_t by_ms);

/* --- looking --- */

struct schedule_view {
	enum schedule_state state;
	bool held;
	uint32_t attempts;
	uint64_t due_ms;		/* 0: never */
	uint32_t count[SCHEDULE_RCPTS]; /* recipients by state */
};
bool schedule_look(const struct schedule *s, const struct id *id, struct schedule_view *ret);
enum schedule_rcpt schedule_look_rcpt(const struct schedule *s, const struct id *id, uint32_t recipient);

struct schedule_counters {
	uint64_t messages, by_state[SCHEDULE_STATES], jobs;
};
void schedule_count(const struct schedule *s, struct schedule_counters *ret);

/* When a message is tried again after that many attempts. */
uint64_t schedule_retry_at(uint32_t attempts, uint64_t now_ms);

#endif
