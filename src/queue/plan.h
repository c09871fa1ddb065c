/* plan.h - what the parts of the schedule share; included by src/queue/schedule* and plan_* only.
 *
 * A part (message x destination) with something open is in the heap of parts by when it must be looked
 * at: when deferred recipients are due, or when it gets too old.  Ready ones also stand in a flow, the
 * line of one account's parts of one class at one destination.  The flows of an account at
 * a site are its share; shares take turns.  A site that could take a job is in the fair queue "run", one that
 * wants a lane in "want", a destination to be resolved in "ask".
 *
 * Times in here are the caller's minus schedule.ahead, so that a clock that is set moves everything at once.
 */
#ifndef POSTERN_QUEUE_PLAN_H
#define POSTERN_QUEUE_PLAN_H

#include "base/list.h"
#include "base/map.h"
#include "queue/ages.h"
#include "queue/bucket.h"
#include "queue/fair.h"
#include "queue/heap.h"
#include "queue/schedule.h"
#include "queue/slots.h"

enum { RUN, WANT, ASK, QUEUES }; /* the fair queues */

/* When something other than a part is to be looked at. */
struct event {
	struct heap_node node;
	enum { EVENT_SITE, EVENT_DESTINATION, EVENT_ACCOUNT, EVENT_POOL, EVENT_BLOCK } kind;
	void *of;
};

struct account {
	struct map_node node;
	uint64_t id;
	uint32_t refs; /* messages */
	struct fair_seat seat[QUEUES][FAIR_CLASSES];
	struct bucket pace;
	bool own, told; /* the pace is not the setup's; and was told in this round */
	struct event event;
	struct list parked; /* shares, until there is room again */
};

struct said {
	char status[16], text[256];
};

enum part_kind { PART_CLOSED, PART_DEFERRED, PART_READY, PART_ACTIVE, PART_KINDS };
enum part_place { PART_NOWHERE, PART_FLOW, PART_DOOMED };

struct part {
	struct heap_node due;
	uint16_t index;			  /* in its message */
	uint16_t attempts;		  /* rounds that began */
	uint16_t ready, active, deferred; /* recipients */
	uint16_t first, n;		  /* its recipients in the message's order */
	uint8_t place : 2, kind : 2;	  /* enum part_place; as counted */
	bool asleep : 1;		  /* its ready recipients wait for due */
	bool begun : 1;			  /* one of the ready was handed out in the round that counts last */
	struct destination *to;
	struct list link; /* in its flow, or among the doomed */
};

struct message {
	struct message *next; /* with the same hash */
	char id[ID_LEN];
	uint8_t class : 2; /* enum fair_class */
	bool held : 1, removed : 1;
	uint8_t state;	/* as counted */
	uint8_t few[7]; /* states of recipients, if there are no more */
	uint16_t count[SCHEDULE_RCPTS];
	uint16_t recipients, parts, jobs;
	uint64_t since;
	struct account *account;
	struct part part[];
	/* then the recipients' states if there are many, then their order if there are several parts */
};

struct flow {
	struct map_node node;
	struct flow_key {
		struct destination *to;
		struct account *account;
		uint64_t class;
	} key;
	struct list parts;
	struct list of_destination, of_share;
	struct share *share; /* NULL: its destination has no site */
};

struct share {
	struct map_node node;
	struct share_key {
		struct site *site;
		struct account *account;
		uint64_t class;
	} key;
	struct list flows;
	struct list link; /* in its site's round, or its account's parked ones */
	bool parked;
};

enum destination_state { TO_UNKNOWN, TO_ASKED, TO_SITE, TO_WAIT, TO_DOOM };

struct destination {
	struct map_node node;
	uint32_t number;
	enum destination_state state;
	uint64_t by[PART_KINDS]; /* parts */
	uint64_t waiting;	 /* parts in flows */
	uint64_t refs;		 /* parts at all */
	struct site *site;	 /* when TO_SITE */
	uint64_t until;		 /* of what is known */
	unsigned losses;	 /* temporary failures in a row */
	uint64_t question, asked;
	struct list asked_link, of_site, flows;
	struct list link; /* among the doomed, or the idle */
	struct fair_item ask;
	struct event event;
	struct said *said;
	struct ages ages;
	uint16_t text_n;
	char text[];
};

struct source {
	char address[46], helo[256];
	unsigned weight, refs; /* lanes, and 1 while it is in its pool */
	uint64_t pass;
	struct bucket pace;
	uint64_t warm_begins;
	unsigned warm_first, warm_growth, warm_days;
	uint64_t day, today; /* messages on that day of warming up */
	unsigned losses;     /* times in a row that it could not be used */
	uint64_t until, cut; /* no new lane before; since when */
};

struct pool {
	struct list link;
	uint32_t number;
	struct source **source;
	size_t n;
	struct event event;
	struct list parked; /* sites */
	char name[64];
};

struct site {
	struct map_node node;
	unsigned char key[SCHEDULE_KEY];
	char name[128];
	bool built_in, needs_25, mailboxes;
	struct list destinations, lanes;
	struct list round[FAIR_CLASSES]; /* shares */
	struct turns turns;
	uint64_t waiting; /* parts in flows */
	unsigned n_lanes,
		all_lanes; /* those that are opening or ready; those that are about to end as well */
	unsigned hands;	   /* jobs in theirs */
	unsigned connections, window, per_connection;
	struct pool *pool;
	struct bucket pace;
	unsigned allowed, grown; /* lanes: by how it goes */
	bool steep;		 /* it never had trouble: grows fast */
	bool timed_out;		 /* what its losses are */
	unsigned losses, pauses; /* in a row */
	uint64_t until, cut;	 /* left alone until; made fewer at */
	struct fair_item run, want;
	struct event event;
	struct list parked, held, idle; /* links: at its pool; behind port 25; without anything to do */
	struct said *said;		/* why the last connection failed */
	struct said *heard;		/* later than that, of a recipient */
};

enum lane_state { LANE_OPENING, LANE_READY, LANE_CLOSE, LANE_CLOSING };

struct lane {
	uint64_t number;
	enum lane_state state;
	struct site *site;
	struct destination *to; /* while it opens; NULL if that went */
	struct source *source;
	unsigned carrier, window, hands, taken, mail_max, rcpt_max;
	bool attached, worked;
	uint64_t begun, since;		       /* at all, and in its state */
	struct list of_site, of_carrier, link; /* link: among opening, idle or to be closed */
	struct list jobs;
};

struct job {
	uint64_t number, begun;
	struct message *message;
	struct lane *lane; /* NULL: doomed */
	uint16_t part, n, left;
	bool told; /* the site's health has it */
	struct list of_lane, by_age;
	uint16_t rcpt[]; /* GONE: answered */
};
#define JOB_GONE UINT16_MAX

struct carrier_room {
	bool takes;
	struct list lanes;
};

struct block {
	bool on;
	uint64_t since, probe_at, pause;
	struct site *probe;
	struct list held;
	uint64_t n_held;
	struct event event;
};

struct schedule {
	struct schedule_setup setup;
	int64_t ahead;
	uint64_t now; /* the last that was said */
	struct message **bucket;
	size_t buckets, n;
	unsigned char hash_key[16];
	uint64_t by_state[SCHEDULE_STATES];
	struct heap parts, events;
	size_t n_parts, n_events;
	struct map flows, shares, destinations, sites, accounts;
	struct destination **to; /* by number */
	uint32_t *to_free, n_to, room_to, n_to_free;
	struct site *local;
	struct slots jobs, lanes, questions;
	unsigned jobs_max;
	struct fair queue[QUEUES];
	unsigned n_lanes, opening; /* not attached; not closing */
	struct list jobs_by_age, asked, opening_lanes, closing_lanes, idle_lanes, to_close;
	struct list doomed, doomed_to, idle_to, idle_sites;
	size_t n_idle_to, n_idle_sites;
	struct list pools;
	uint32_t n_pools;
	struct carrier_room carrier[SCHEDULE_CARRIERS];
	struct block block;
	struct said none;
};

static inline uint64_t plan_in(const struct schedule *s, uint64_t ms)
{
	return ms - (uint64_t)s->ahead;
}
/* The time of a call. */
static inline uint64_t plan_now(struct schedule *s, uint64_t ms)
{
	return s->now = plan_in(s, ms);
}
static inline uint64_t plan_out(const struct schedule *s, uint64_t ms)
{
	int64_t out = (int64_t)ms + s->ahead;

	return ms == UINT64_MAX ? ms : out > 0 ? (uint64_t)out : 0;
}

/* schedule.c */
void plan_turn(struct schedule *s, uint64_t now); /* what is due by now, a bounded piece */
void plan_event(struct schedule *s, struct event *e, uint64_t at);
uint64_t plan_hash(const struct schedule *s, const void *p, size_t n,
		   uint64_t extra); /* the same by the same seed */
void plan_said(struct said **to, struct slice status, struct slice text);
void plan_site_said(struct site *site, struct slice status, struct slice text); /* its connection failed */

/* plan_message.c */
struct message *plan_message_find(const struct schedule *s, const struct id *id);
uint8_t *plan_states(struct message *m);
uint32_t plan_rcpt(const struct message *m, const struct part *p,
		   uint32_t i); /* its i-th recipient's number */
static inline struct message *plan_message_of(struct part *p)
{
	return container_of(p - p->index, struct message, part);
}
struct part *plan_part_of(struct message *m, uint32_t rcpt); /* that it belongs to */
void plan_turn_rcpt(struct message *m, struct part *p, uint32_t rcpt, enum schedule_rcpt to);
void plan_message_changed(struct schedule *s, struct message *m); /* counts it under its state */
void plan_message_forget(struct schedule *s, struct message *m, uint64_t now);

/* plan_part.c */
/* Puts the part where it belongs; due: when its deferred or sleeping recipients are. */
void plan_part(struct schedule *s, struct message *m, struct part *p, uint64_t due, uint64_t now);
uint64_t plan_part_due(const struct part *p); /* as it was put */
void plan_part_pop(struct schedule *s, struct part *p, uint64_t now);
void plan_flow_attach(struct schedule *s, struct flow *f);
void plan_flow_detach(struct schedule *s, struct flow *f);
struct part *plan_share_part(struct share *h);
void plan_share_took(struct share *h);

/* plan_destination.c */
struct destination *plan_destination(const struct schedule *s, uint32_t number);
void plan_destination_hold(struct schedule *s, struct destination *d);
void plan_destination_release(struct schedule *s, struct destination *d);
void plan_destination_waits(struct schedule *s, struct destination *d,
			    uint64_t now); /* a part came, or it is due */
void plan_destination_ask(struct schedule *s,
			  struct destination *d); /* files its question, or takes it out */
void plan_destination_unknown(struct schedule *s, struct destination *d, uint64_t now);
/* Its site cannot take its mail, for good. */
void plan_destination_nowhere(struct schedule *s, struct destination *d, struct slice status,
			      struct slice text, uint64_t now);
void plan_destination_free(struct schedule *s, struct destination *d);

/* plan_site.c */
struct site *plan_site_new(struct schedule *s, const struct schedule_site *w);
void plan_site_is(struct schedule *s, struct site *site, const struct schedule_site *w);
void plan_site_place(struct schedule *s, struct site *site, uint64_t now);
void plan_site_well(struct site *site, uint64_t now);
void plan_site_lost(struct schedule *s, struct site *site, uint64_t now);
void plan_site_slow(struct schedule *s, struct site *site, uint64_t now);
void plan_site_pause(struct schedule *s, struct site *site, uint64_t ms, uint64_t now);
void plan_site_forgive(struct schedule *s, struct site *site, uint64_t now);
void plan_site_free(struct schedule *s, struct site *site);
unsigned plan_site_mask(const struct site *site); /* classes with something in the round */
struct share *plan_site_share(struct schedule *s, struct site *site, unsigned mask, uint64_t now);
struct lane *plan_site_lane(struct schedule *s, struct site *site, uint64_t now);

/* plan_lane.c */
void plan_lane_took(struct schedule *s, struct lane *l, uint64_t now);
void plan_lane_over(struct schedule *s, struct lane *l, uint64_t now); /* one job less in its hands */
void plan_lane_retire(struct schedule *s, struct lane *l,
		      uint64_t now); /* no more jobs, and closed after them */
void plan_lane_free(struct schedule *s, struct lane *l);
bool plan_lane_close_due(const struct schedule *s, uint64_t now);
unsigned plan_lane_classes(const struct schedule *s);	       /* for which another one may be opened */
struct site *plan_lane_site(struct schedule *s, uint64_t now); /* whose turn it is; NULL: none */

/* plan_job.c */
void plan_job_end(struct schedule *s, struct job *j, uint64_t now);
struct site *plan_job_site(struct schedule *s, uint64_t now);
bool plan_job_doomed(struct schedule *s);

/* plan_pace.c */
struct account *plan_account(struct schedule *s, uint64_t id); /* NULL: out of memory */
void plan_account_drop(struct schedule *s, struct account *a);
void plan_account_wake(struct schedule *s, struct account *a, uint64_t now);
void plan_accounts_configure(struct schedule *s, uint64_t now); /* the setup's pace is another one */
void plan_account_park(struct schedule *s, struct share *h, uint64_t at);
void plan_accounts_done(struct schedule *s);
uint64_t plan_source_at(const struct source *src, uint64_t now); /* when it may send the next; 0: now */
void plan_source_took(struct source *src, uint64_t now);
struct source *plan_pool_pick(struct pool *p, uint64_t now, uint64_t *ret_at); /* NULL: not before *ret_at */
void plan_source_lane(struct pool *p, struct source *src);		       /* it got one more */
void plan_source_drop(struct source *src);
void plan_source_lost(struct source *src, uint64_t begun,
		      uint64_t now); /* a lane begun then could not use it */
void plan_source_well(struct schedule *s, struct pool *p, struct source *src, uint64_t now);
void plan_pool_forgive(struct pool *p); /* what rests is tried again now */
void plan_pool_park(struct schedule *s, struct site *site, uint64_t at);
void plan_pool_wake(struct schedule *s, struct pool *p, uint64_t now);
struct pool *plan_pool(const struct schedule *s, uint32_t number);
void plan_pools_done(struct schedule *s);

/* plan_block.c */
bool plan_block_holds(struct schedule *s, struct site *site,
		      uint64_t now); /* puts it behind the block if so */
void plan_block_probe_over(struct schedule *s, struct site *site, uint64_t now);
/* An operator wants this site tried: that is the next probe, now, and those after it come soon again. */
void plan_block_doubt(struct schedule *s, struct site *site, uint64_t now);
void plan_block_event(struct schedule *s, uint64_t now);
void plan_block_forget(struct schedule *s, struct site *site);

#endif
