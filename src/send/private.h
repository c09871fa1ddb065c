/* private.h - what the files of send/ know of each other.  Not for others. */
#ifndef POSTERN_SEND_PRIVATE_H
#define POSTERN_SEND_PRIVATE_H

#include "base/endpoint.h"
#include "base/id.h"
#include "base/list.h"
#include "base/map.h"
#include "net/conn.h"
#include "net/tls_client.h"
#include "route/dial.h"
#include "send/host.h"
#include "send/login.h"
#include "send/recall.h"
#include "send/send.h"
#include "send/way.h"
#include "smtp/client.h"

#define SEND_LANES_MAX	  1024
#define SEND_JOBS_MAX	  1024
#define SEND_ASKS_MAX	  2048	     /* questions of queue at once */
#define SEND_RCPTS_MAX	  128	     /* in one job */
#define SEND_BODY_MAX	  (2U << 20) /* in memory; larger ones come as a descriptor */
#define SEND_WINDOW	  (4U << 20) /* octets of jobs that queue may have here; the last may pass it */
#define SEND_JOBS_IN_LANE 4
#define SEND_SECRETS_MAX  64
#define SEND_TABLE	  1024 /* buckets */

/* By queue's numbers, which it gives one behind the other: they need no secret hash. */
struct send_table {
	struct list bucket[SEND_TABLE];
};

#define SEND_LOST_MAX 16

/* A job that there is no memory for: it goes back when it is whole. */
struct send_lost {
	uint64_t number; /* 0: none */
	size_t cost;
};

struct send {
	uv_loop_t *loop;
	struct send_setup setup;
	const struct conf *conf; /* the role's */
	struct tls_client *tls;
	struct channel *queue;
	struct dns_name own_name;
	char hostname[256];
	struct list lanes, jobs; /* all of them */
	struct send_table lane_by, job_by;
	struct map ways; /* kept */
	struct list ways_kept, asks, explains, secrets;
	struct recall recall;
	struct send_lost lost[SEND_LOST_MAX];
	unsigned ipv6_losses; /* hosts in a row */
	unsigned n_lanes, n_jobs, n_ways, n_asks, n_explains, n_secrets;
	uv_timer_t patience; /* while draining */
	void (*drained)(void *arg);
	void *drained_arg;
	bool draining;
	struct {
		uint64_t opened, failed, messages, delivered, deferred, failures, in_doubt, octets, tries,
			fell_back;
	} count;
};

/* ---- send/job.c: a message as queue hands it over ---- */

struct send_rcpt {
	struct send_rcpt *next;
	uint32_t recipient; /* queue's number */
	unsigned notify;
	struct slice address, orcpt; /* in bytes */
	unsigned char bytes[];
};

struct send_job {
	struct list link;    /* of all jobs */
	struct list in_lane; /* empty: its lane is gone, it goes back when it is whole */
	struct list bucket;
	struct send *send;
	struct lane *lane; /* as long as it is in one */
	uint64_t number;
	struct id id;
	uint64_t body_size;
	struct buf text; /* sender, envid, headers */
	size_t sender_n, envid_n;
	bool smtputf8, eightbit, requiretls;
	uint8_t ret, mt_priority;
	struct send_rcpt *rcpts, **last;
	uint32_t n;
	struct buf body;
	int body_fd;
	size_t cost;
	bool complete;
	bool unfit_ahead; /* smtp_client_ahead() does not take it */
	bool no_memory;	  /* not all of it could be kept: it goes back when it is whole */

	/* Once it is under way. */
	struct smtp_client_message message;
	struct smtp_client_rcpt *to;
	uint32_t *number_of; /* of each in to */
	uint32_t told;	     /* recipients that queue has had the result of */
	uint64_t sent;	     /* octets of headers and body given to the engine */
	uint64_t begun_ms;
};

const char *send_job_begin(struct send *s, const struct ipc_job *m);
const char *send_job_rcpt(struct send *s, const struct ipc_job_rcpt *m);
const char *send_job_body(struct send *s, const struct ipc_job_body *m, int *fd);
const char *send_job_end(struct send *s, const struct ipc_job_end *m);
void send_job_free(struct send_job *j);
/* Makes j->message.  False: out of memory. */
bool send_job_ready(struct send_job *j);
/* The next octets, up to size of them into room where they come from a file; 0 at the end, or
 * negative errno. */
ssize_t send_job_read(struct send_job *j, unsigned char *room, size_t size, struct slice *ret);
void send_job_result(struct send_job *j, const struct smtp_client_ask *a);
/* Nothing of it was tried.  Then send_job_over(). */
void send_job_back(struct send_job *j, const char *enhanced, struct slice text);
void send_job_over(struct send_job *j); /* gives its credit back and frees it */

/* ---- send/lane.c, lane_open.c: from one connection to the next ---- */

enum lane_state {
	LANE_LOOKS, /* for where to go */
	LANE_DIALS, /* hosts looked up, connections raced */
	LANE_TALKS, /* over one of them, up to the first MAIL */
	LANE_SENDS, /* ready: idle, or a message is under way */
};

struct lane_racer {
	struct lane *lane;
	struct conn *conn;
	unsigned number; /* of the try */
	struct dial_try try;
	uint64_t since_ms;
};

struct lane {
	struct list link, bucket;
	struct send *send;
	uint64_t number;
	enum lane_state state;
	bool lmtp, mailboxes; /* mailboxes: the configuration's own LMTP server */
	unsigned connect_s, command_s, final_s;
	char helo[256];
	struct ip source[2]; /* to bind, of different families; n_sources 0: any */
	unsigned n_sources;
	unsigned char key[IPC_SITE_KEY];
	bool has_key;
	uv_timer_t timer;
	struct list jobs;
	unsigned n_jobs;
	bool leaving, running, over; /* over: told so; freed when the call is through */

	/* LOOKS, DIALS */
	struct way *way;
	struct way_waiter waiter;
	struct dial dial;
	struct host_look look;
	size_t looked_at;     /* the host of look */
	bool looking;	      /* look is under way */
	bool unbound;	      /* a source address could not be bound */
	bool worst_connected; /* DIAL_TIMED_OUT, after it was connected */
	struct lane_racer racer[DIAL_ADDRESSES_MAX];
	struct {
		enum dial_how how;
		unsigned number;
		bool any;
		int code;
		char enhanced[16], text[IPC_TEXT_MAX];
	} worst, worst_before;	/* in words what dial remembers; and before the present host */
	struct mx_failure loop; /* a host is us */

	/* TALKS, SENDS */
	struct dial_try try;
	struct conn *conn;
	struct smtp_client_setup setup;
	struct smtp_client *engine;
	struct login *login;
	const char *mech;
	uint64_t secret_generation;	   /* of the one that AUTH was begun with */
	bool waits_for_secret, asked_anew; /* for a token in place of one that was refused */
	struct tls_client_facts facts;
	bool tls_up, timed_out, ended, no_memory;
	bool handshaking;
	uint64_t talk_ms, conn_since_ms; /* since when */
	char why[256];			 /* it ended */

	struct send_job *job;		   /* the first of them, when the engine has it */
	struct send_job *ahead;		   /* the second, when its commands are out already */
	bool begun_ahead;		   /* those of job were out before its turn came */
	bool no_ahead;			   /* this server does not stand that */
	uint64_t jobs_done, written, mark; /* mark: what progress was, when the deadline was set */
};

void send_lane_gone(struct send *s);
const char *lane_open(struct send *s, const struct ipc_lane_open *m);
struct lane *lane_find(const struct send *s, uint64_t number);
/* A whole job waits in it. */
void lane_work(struct lane *l);
/* No new messages; closed as soon as may be. */
void lane_leave(struct lane *l);
/* At once, telling nobody; its jobs are gone. */
void lane_drop(struct lane *l);
/* One step after the other, until the outside world must move. */
void lane_run(struct lane *l);
void lane_on_conn(struct lane *l, enum conn_event event);
/* Engine and connection are of no use any more. */
void lane_hang_up(struct lane *l, bool gently);
/* Nothing was reached: it ends. */
void lane_fail(struct lane *l, enum ipc_lane_end end, const char *enhanced, const char *text);

/* ---- send/lane_time.c ---- */

/* Sets the deadline for what it waits for now. */
void lane_arm(struct lane *l);

/* ---- send/lane_dial.c ---- */

void lane_dial_begin(struct lane *l); /* its way is known */
/* The address to bind for a connection to that one; NULL: whatever the host takes. */
const struct ip *lane_source(const struct lane *l, const struct ip *to);
/* The ports that this way leads to, in the order in which they are tried now; how many. */
size_t send_ports(const struct way *w, struct dial_port ret[static DIAL_PORTS_MAX]);
void lane_dial_run(struct lane *l);
void lane_dial_tick(struct lane *l);
void lane_dial_end(struct lane *l); /* also in the middle of it */
/* What came of the connection over which it talked; when it was no good it is closed. */
void lane_talked(struct lane *l, enum dial_how how, int code, const char *enhanced, struct slice text);

/* ---- send/lane_talk.c: greeting, TLS, AUTH ---- */

bool lane_talk_begin(struct lane *l); /* over l->conn, for l->try.  False: out of memory */
void lane_start_tls(struct lane *l);
void lane_tls_done(struct lane *l, bool failed);
/* The connection ends: whether the server lost what was said right behind a message. */
void lane_look_at_end(struct lane *l, const struct smtp_client_ask *a);
/* The engine wants one of these. */
void lane_auth(struct lane *l, const struct smtp_client_ask *a);
void lane_challenge(struct lane *l, const struct smtp_client_ask *a);
/* The engine wants to close before the first MAIL: what that means. */
enum dial_how lane_how(const struct lane *l, const struct smtp_client_ask *a);

/* ---- send/lane_tell.c: what queue and ledger hear ---- */

enum ipc_security lane_security(const struct lane *l);
void lane_tell_ready(struct lane *l);
void lane_tell_closed(const struct lane *l, enum ipc_lane_end end, const char *enhanced, struct slice text,
		      const struct dial_try *t);
/* A try that was no good; j: NULL.  Or a message that was sent over a good one, j. */
void lane_tell_attempt(const struct lane *l, const struct dial_try *t, enum dial_how how,
		       const struct send_job *j, struct slice text, uint64_t since_ms);

/* ---- send/secret.c: users' passwords at smart hosts ---- */

struct send_secret {
	struct list link;
	char route[65];
	uint64_t generation;
	bool there;
	struct buf secret;
	char why[IPC_TEXT_MAX]; /* it is not there */
};

const struct send_secret *send_secret_find(const struct send *s, const char *route);
void send_secrets_drop(struct send *s);

/* ---- send/ask.c: queue asks where a destination is ---- */

const char *send_ask(struct send *s, const struct ipc_resolve *m);
void send_asks_drop(struct send *s);

/* ---- send/own.c ---- */

/* Who connects there comes to ourselves. */
bool send_is_own(const struct send *s, const struct ip *ip, uint16_t port);

/* ---- send/explain.c ---- */

void send_explains_drop(struct send *s);

/* ---- send/table.c ---- */

void send_table_init(struct send_table *t);
struct list *send_table_bucket(struct send_table *t, uint64_t number);

#endif
