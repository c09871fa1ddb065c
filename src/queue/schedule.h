/* schedule.h - decides what is handed out when, where and how fast: an engine.
 *
 * Events go in with the time, decisions come out; there is no clock, disk, channel or log
 * in it.  The caller keeps the spool in step, and may be slow: nothing here is said twice.
 *
 * A message's recipients are grouped by their *destination*, a text that the caller makes
 * ("local", "mx example.org"); a message x a destination is a *part*, the unit that is
 * planned.  A destination leads to a *site*, once the caller has resolved it; sites own
 * connections (*lanes*), their limits and their pace.  What is tried and deferred waits by
 * itself, longer each time; trouble with a connection delays the site, and none of the
 * messages behind it.  What gets too old comes out as doomed, wherever it waits.  What fails
 * for good stays, as failed, until the caller removes it: losing it is nobody's work.
 *
 * At a site, urgent, normal and bulk mail get their turns as 16 to 4 to 1, and accounts
 * within a class in turn.  Each event costs at most the logarithm of what is queued.
 *
 * The driver's loop: after every event, ask schedule_next_...() of each kind until false,
 * then sleep for schedule_wait_ms().  Times are milliseconds since 1970.
 */
#ifndef POSTERN_QUEUE_SCHEDULE_H
#define POSTERN_QUEUE_SCHEDULE_H

#include "base/id.h"

#define SCHEDULE_JOB_MAX       100				/* recipients in one job */
#define SCHEDULE_LIFE_MS       (UINT64_C(5) * 24 * 3600 * 1000) /* of a message, unless configured */
#define SCHEDULE_CARRIER_LOCAL 64 /* of the processes that have lanes: the one that writes mailboxes */
#define SCHEDULE_CARRIERS      65
#define SCHEDULE_KEY	       16 /* octets of a site's key */

struct schedule;

/* Of one recipient. */
enum schedule_rcpt {
	SCHEDULE_READY,	   /* to be handed out when its part is due */
	SCHEDULE_ACTIVE,   /* in a job */
	SCHEDULE_DEFERRED, /* tried, and to be tried again */
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
	SCHEDULE_STATES, /* one past the last */
};
const char *schedule_state_name(enum schedule_state state); /* "active", "held" ... */

/* jobs_max: under way at once. */
int schedule_new(unsigned jobs_max, struct schedule **ret); /* 0 or -ENOMEM */
void schedule_free(struct schedule *s);			    /* NULL is fine */

/* Each 0: as it is by default. */
struct schedule_setup {
	uint64_t life_ms;	     /* of a message */
	uint64_t seed;		     /* of the jitter: the same gives the same plan */
	unsigned lanes_max;	     /* at once, over all sites (without attached ones); 500 */
	unsigned opening_max;	     /* lanes of them that are being opened; 100 */
	unsigned resolves_max;	     /* questions that are open; 200 */
	uint64_t idle_ms;	     /* then a lane without a job is closed; 20 s */
	unsigned account_per_minute; /* messages, of accounts without a pace of their own; no limit */
	/* Ages at which schedule_next_overdue() names it: 2 min, 10 min, 2 h. */
	uint64_t resolve_age_ms, open_age_ms, job_age_ms;
};
void schedule_configure(struct schedule *s, const struct schedule_setup *setup);

/* ---- messages ---- */

#define SCHEDULE_LOCAL UINT32_C(0) /* the destination of mailboxes, called "local" */
#define SCHEDULE_NONE  UINT32_MAX

/* The number of that destination, made if it is new; SCHEDULE_NONE: out of memory.  Good
 * until the next schedule_next_...(), and as long as a message has it. */
uint32_t schedule_destination(struct schedule *s, struct slice text);

enum schedule_class {
	SCHEDULE_NORMAL,
	SCHEDULE_BULK,
	SCHEDULE_URGENT,
	SCHEDULE_CLASSES
}; /* as enum ipc_class */

struct schedule_message {
	struct id id;
	uint64_t accepted_ms;
	uint64_t release_ms; /* nothing of it goes out before (FUTURERELEASE), and its life begins then; 0 */
	uint64_t due_ms;     /* of its deferred recipients */
	uint32_t attempts;   /* made so far */
	bool held;
	enum schedule_class class;
	uint64_t account;    /* that fairness and pace count by */
	const uint8_t *rcpt; /* enum schedule_rcpt, ACTIVE not among them */
	uint32_t recipients;
	const uint32_t *destination; /* of each; NULL: all SCHEDULE_LOCAL */
	/* Of each, or NULL: as due_ms and attempts say. */
	const uint64_t *rcpt_due_ms;
	const uint32_t *rcpt_attempts;
};

/* Ready recipients are due at once.  0, -EEXIST or -ENOMEM. */
int schedule_add(struct schedule *s, const struct schedule_message *m, uint64_t now_ms);
/* -ENOENT, or 0.  Results for a removed message are ignored. */
int schedule_remove(struct schedule *s, const struct id *id);
/* What is in a job is not called back.  A held message does not expire.  -ENOENT, or 0. */
int schedule_hold(struct schedule *s, const struct id *id);
int schedule_release(struct schedule *s, const struct id *id, uint64_t now_ms);
/* A recipient that failed is done: its sender was told (to: SCHEDULE_DONE); or one that is neither done nor
 * in a job failed, because an operator gave it up (to: SCHEDULE_FAILED).  With all of them done the message
 * is forgotten.  0; -ENOENT: no such recipient; -EBUSY: it is in a job, or not failed. */
int schedule_settle(struct schedule *s, const struct id *id, uint32_t recipient, enum schedule_rcpt to);
/* A recipient that failed is deferred instead: its failure could not be kept. */
void schedule_unsettle(struct schedule *s, const struct id *id, uint32_t recipient, uint64_t due_ms,
		       uint64_t now_ms);
/* Deferred and failed recipients become ready, due now.  -ENOENT, or how many. */
int schedule_retry(struct schedule *s, const struct id *id, uint64_t now_ms);
/* The same, and their sites and destinations are waited for no more: an operator asked for it. */
int schedule_retry_now(struct schedule *s, const struct id *id, uint64_t now_ms);

/* ---- destinations ---- */

struct schedule_question {
	uint64_t number;
	struct slice destination; /* valid until the next call */
};
/* A destination that has something ready and leads nowhere yet. */
bool schedule_next_resolve(struct schedule *s, uint64_t now_ms, struct schedule_question *ret);

/* What a site is, and may be asked for; each time that a destination turns out to lead there. */
struct schedule_site {
	unsigned char key[SCHEDULE_KEY];
	struct slice name;	 /* for people */
	unsigned connections;	 /* at once, from 1 */
	unsigned window;	 /* jobs in one lane's hands, from 1 */
	unsigned per_minute;	 /* messages; 0: no limit */
	unsigned per_connection; /* messages over one lane; 0: no limit */
	bool needs_25;		 /* is reached on port 25 or not at all */
	bool mailboxes;		 /* ours: no account's messages a minute are counted there */
	uint32_t pool;		 /* of sources, by schedule_pool(); SCHEDULE_NONE: whatever the host takes */
};
/* It leads there, for that long. */
void schedule_resolved(struct schedule *s, uint64_t question, const struct schedule_site *site,
		       uint64_t ttl_ms, uint64_t now_ms);
/* It does not; permanent: what is ready for it comes out as doomed, with this reason; else it is asked again
 * after a while (1 min to 1 h), and the messages wait. */
void schedule_unresolved(struct schedule *s, uint64_t question, bool permanent, struct slice status,
			 struct slice text, uint64_t now_ms);
/* The configuration changed: what leads where is to be asked anew, lanes finish what they have. */
void schedule_forget_sites(struct schedule *s, uint64_t now_ms);

/* ---- pace ---- */

struct schedule_source {
	struct slice address, helo;
	unsigned weight;     /* from 1; a source of weight 2 gets twice the lanes */
	unsigned per_minute; /* messages; 0: no limit */
	/* Warming up: on the first day that many messages, each further day growth_percent more, until days
	 * are over; begins with 0: none. */
	uint64_t warm_begins_ms;
	unsigned warm_first, warm_growth_percent, warm_days;
};
/* A pool by its name, made or changed; what its sources sent today stays counted by address.  Its number, or
 * SCHEDULE_NONE: out of memory. */
uint32_t schedule_pool(struct schedule *s, struct slice name, const struct schedule_source *source, size_t n,
		       uint64_t now_ms);
/* What a source that warms up has sent, on which of its days (from 0). */
struct schedule_warming {
	struct slice source; /* its address, as schedule_pool() was told; valid until the next call */
	uint64_t day, sent;
};
/* One after the other: *cursor 0 at first; false at the end. */
bool schedule_next_warming(const struct schedule *s, size_t *cursor, struct schedule_warming *ret);
/* That was so before a restart: it counts if it still is that day. */
void schedule_warmed(struct schedule *s, const struct schedule_warming *w, uint64_t now_ms);
/* Messages a minute of an account, to all sites that count them (schedule_site.mailboxes); 0: no limit. 0 or
 * -ENOMEM. */
int schedule_account_pace(struct schedule *s, uint64_t account, unsigned per_minute, uint64_t now_ms);
/* All that have one of their own are told anew: between the two by schedule_account_pace(); who is not has
 * the setup's again. */
void schedule_paces_begin(struct schedule *s);
void schedule_paces_end(struct schedule *s, uint64_t now_ms);

/* ---- lanes ---- */

/* Whether that process takes jobs and lanes now (it is there, with credit and room). */
void schedule_carrier(struct schedule *s, unsigned carrier, bool takes, uint64_t now_ms);

struct schedule_lane {
	uint64_t number;
	/* Valid until the next call. */
	struct slice destination; /* one of its site that has something ready */
	struct slice site;
	const unsigned char *key;
	struct slice source, helo; /* "" without a pool */
	bool probe;		   /* the site, or the whole network, is in trouble */
};
/* A site wants one more lane: it counts as being opened from now on. */
bool schedule_next_lane(struct schedule *s, uint64_t now_ms, struct schedule_lane *ret);
/* Which process was told to open it. */
void schedule_lane_opened(struct schedule *s, uint64_t lane, unsigned carrier);
/* It takes jobs now.  rcpt_max, mail_max: of the peer's LIMITS; 0: none said. */
void schedule_lane_ready(struct schedule *s, uint64_t lane, unsigned rcpt_max, unsigned mail_max,
			 uint64_t now_ms);

/* How a lane ended. */
enum schedule_lane_end {
	SCHEDULE_LANE_CLOSED,	   /* we asked for it, or it was idle: nobody's fault */
	SCHEDULE_LANE_GONE,	   /* its process went, or could not open any: not the site's fault */
	SCHEDULE_LANE_MOVED,	   /* the destination leads elsewhere by now */
	SCHEDULE_LANE_NOWHERE,	   /* the destination leads nowhere, for good: what waits for it fails */
	SCHEDULE_LANE_UNREACHABLE, /* refused, no way, reset, or refused to talk: 1 s to 30 min, one probe */
	SCHEDULE_LANE_TIMED_OUT,   /* the same; not its fault where our network blocks port 25 */
	SCHEDULE_LANE_BUSY,	   /* too many connections: fewer, and delayed if there is no other */
	SCHEDULE_LANE_SOURCE, /* its source cannot be used: that rests, 1 s to 30 min; not the site's fault */
	SCHEDULE_LANE_BROKEN, /* in the midst: delayed if it never got a job done */
};
/* What is still in its hands is ready again; it was not tried. */
void schedule_lane_closed(struct schedule *s, uint64_t lane, enum schedule_lane_end end, struct slice status,
			  struct slice text, uint64_t now_ms);
/* One to be closed: idle, one too many, or used up.  It gets no job any more. */
bool schedule_next_close(struct schedule *s, uint64_t now_ms, uint64_t *ret_lane);
/* A lane that is there without being opened: mailboxes (SCHEDULE_LOCAL).  0: out of memory. */
uint64_t schedule_lane_attach(struct schedule *s, unsigned carrier, unsigned window, uint64_t now_ms);

/* ---- jobs ---- */

struct schedule_job {
	uint64_t number;
	struct id id;
	uint64_t lane;	  /* 0: doomed */
	uint32_t attempt; /* 1: the first */
	uint32_t n;
	uint32_t rcpt[SCHEDULE_JOB_MAX];
};
/* The next job, and on which lane; its recipients are active from now on. */
bool schedule_next_job(struct schedule *s, uint64_t now_ms, struct schedule_job *ret);

struct schedule_doom {
	bool expired;		   /* else its destination failed for good: answer FAILED */
	struct slice status, text; /* the last that was heard of its site or destination; may be "" */
	struct slice destination, site;
};
/* Recipients that go nowhere: too old, or without a way.  Answered like a job: expired ones as DEFERRED.
 * Comes out whatever lanes there are.  Slices are valid until the next call. */
bool schedule_next_doomed(struct schedule *s, uint64_t now_ms, struct schedule_job *ret,
			  struct schedule_doom *why);
/* A job that was not done, or whose carrier was lost: what is not answered is ready again, at due_ms at the
 * earliest. */
void schedule_give_back(struct schedule *s, uint64_t job, uint64_t due_ms);

/* One recipient of a job cannot go with the others: it is ready again, and was not tried. */
void schedule_put_back(struct schedule *s, uint64_t job, uint32_t recipient, uint64_t now_ms);

enum schedule_result {
	SCHEDULE_SAID_DELIVERED,
	SCHEDULE_SAID_DEFERRED,
	SCHEDULE_SAID_FAILED,
	SCHEDULE_SAID_SLOW,  /* deferred, and fewer lanes to this site */
	SCHEDULE_SAID_PAUSE, /* deferred, and nothing to this site for a while: schedule_pause() says how long
			      */
};

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
/* The site of that lane wants nothing from us for so long; what it says of recipients meanwhile does not make
 * it longer, another pause may.  Before the answer, or the end of the lane, that says so. */
void schedule_pause(struct schedule *s, uint64_t lane, uint64_t ms, uint64_t now_ms);
/* What a site last said of a recipient or to a connection, for the listing. */
void schedule_heard(struct schedule *s, uint64_t lane, struct slice status, struct slice text);

/* When a part is tried again after that many attempts, without jitter; UINT32_MAX: the longest. */
uint64_t schedule_retry_at(uint32_t attempts, uint64_t now_ms);
/* How long to wait after that many losses in a row more than one: 1 s to 1 min. */
uint64_t schedule_pause_ms(unsigned losses);

/* ---- time ---- */

/* How long there will be nothing to do if nothing happens: 0: some schedule_next_...() has something;
 * UINT64_MAX: for ever. */
uint64_t schedule_wait_ms(struct schedule *s, uint64_t now_ms);

enum schedule_overdue_kind { SCHEDULE_OVERDUE_RESOLVE, SCHEDULE_OVERDUE_LANE, SCHEDULE_OVERDUE_JOB };
struct schedule_overdue {
	enum schedule_overdue_kind kind;
	uint64_t number; /* of the question, lane or job */
	uint64_t lane;	 /* of a job */
	uint64_t age_ms;
};
/* What has been under way for too long.  Named once, and again after the same time. */
bool schedule_next_overdue(struct schedule *s, uint64_t now_ms, struct schedule_overdue *ret);

/* The wall clock was set, by so many milliseconds: all that is planned moves with it,
 * so that nothing waits longer, or grows older, than by the time that passed. */
void schedule_shift(struct schedule *s, int64_t by_ms);

/* ---- looking ---- */

struct schedule_view {
	enum schedule_state state;
	bool held;
	uint32_t attempts;
	uint64_t due_ms;		/* 0: never, or as soon as its site takes it */
	uint64_t since_ms;		/* when its life began; moved with the clock, where that was set */
	uint32_t count[SCHEDULE_RCPTS]; /* recipients by state */
};
bool schedule_look(const struct schedule *s, const struct id *id, struct schedule_view *ret);
enum schedule_rcpt schedule_look_rcpt(const struct schedule *s, const struct id *id, uint32_t recipient);

struct schedule_rcpt_view {
	enum schedule_rcpt state;
	struct slice destination, site; /* "" while it is not known; valid until the next call */
	uint64_t due_ms;		/* when DEFERRED */
	/* Its site or destination is waited for: until when, and why. 0: it is not. */
	uint64_t waits_until_ms;
	struct slice status, text;
	struct slice heard; /* by the site; perhaps of another recipient, so not for senders */
	bool blocked;	    /* waits because this network blocks port 25 */
	bool trouble;	    /* what was tried last failed, and status and text say how */
};
bool schedule_look_route(const struct schedule *s, const struct id *id, uint32_t recipient,
			 struct schedule_rcpt_view *ret);

struct schedule_counters {
	uint64_t messages, by_state[SCHEDULE_STATES], jobs;
	uint64_t lanes, opening, resolving, destinations, sites;
};
void schedule_count(const struct schedule *s, struct schedule_counters *ret);

/* This network blocks port 25. */
struct schedule_block {
	bool blocked;
	uint64_t since_ms, probe_ms; /* when the next probe goes out */
	uint64_t sites;		     /* held back behind it */
};
void schedule_blocked(const struct schedule *s, struct schedule_block *ret);
/* It does, or does no more, as the caller has noticed (queue/port25.h). */
void schedule_block(struct schedule *s, bool blocked, uint64_t now_ms);

enum schedule_age { /* younger than 5 min, 30 min, 4 h, 1 day, 3 days; older */
		    SCHEDULE_AGES = 6,
};
struct schedule_site_view {
	struct slice name;		  /* all slices are valid until the next call */
	const unsigned char *key;	  /* NULL: a destination that leads nowhere yet */
	uint64_t parts;			  /* messages with something open for it */
	uint64_t ready, active, deferred; /* parts: a message may be in several of them */
	uint64_t age[SCHEDULE_AGES];	  /* of parts, by when the message was accepted; about 5 % coarse */
	unsigned lanes, lanes_limit;	  /* now */
	uint64_t until_ms;		  /* left alone until then; 0: it is not */
	bool blocked;
	struct slice status, text; /* last said */
};
/* One after the other: *cursor 0 at first; false at the end.  Those that come and go meanwhile may be missed.
 */
bool schedule_next_site(const struct schedule *s, uint64_t *cursor, uint64_t now_ms,
			struct schedule_site_view *ret);

/* The same of the site that this destination leads to, or of itself while it leads nowhere.  False: nothing
 * is known of it. */
bool schedule_look_destination(const struct schedule *s, struct slice text, uint64_t now_ms,
			       struct schedule_site_view *ret);

#endif
