/* private.h - what the files of send/ know of each other.  Not for others. */
#ifndef POSTERN_SEND_PRIVATE_H
#define POSTERN_SEND_PRIVATE_H

#include "base/endpoint.h"
#include "base/id.h"
#include "base/list.h"
#include "net/conn.h"
#include "send/send.h"
#include "smtp/client.h"

#define SEND_LANES_MAX	  256
#define SEND_JOBS_MAX	  512
#define SEND_RCPTS_MAX	  128	     /* in one job */
#define SEND_BODY_MAX	  (2U << 20) /* in memory; larger ones come as a descriptor */
#define SEND_WINDOW	  (4U << 20) /* octets of jobs that queue may have here; the last may pass it */
#define SEND_JOBS_IN_LANE 4

struct send {
	uv_loop_t *loop;
	struct channel *queue;
	struct event_sink *events; /* or NULL */
	char hostname[256];
	struct list lanes, jobs; /* all of them */
	unsigned n_lanes, n_jobs;
	uv_timer_t patience; /* while draining */
	void (*drained)(void *arg);
	void *drained_arg;
	bool draining;
	struct {
		uint64_t opened, failed, messages, delivered, deferred, failures, in_doubt, octets;
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
	struct send *send;
	uint64_t number;
	struct id id;
	uint64_t body_size;
	struct buf text; /* sender, envid, headers */
	size_t sender_n, envid_n;
	bool smtputf8, eightbit;
	uint8_t ret;
	struct send_rcpt *rcpts, **last;
	uint32_t n;
	struct buf body;
	int body_fd;
	size_t cost;
	bool complete;

	/* Once it is under way. */
	struct smtp_client_message message;
	struct smtp_client_rcpt *to;
	uint32_t *number_of; /* of each in to */
	uint64_t sent;	     /* octets of headers and body given to the engine */
};

struct lane;
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

/* ---- send/lane.c: one connection ---- */

struct lane {
	struct list link;
	struct send *send;
	uint64_t number;
	struct endpoint to;
	unsigned connect_s, command_s, final_s;
	char hostname[256];
	struct smtp_client_setup setup;
	struct smtp_client *engine;
	struct conn *conn;
	uv_timer_t timer;
	struct list jobs;
	struct send_job *job;		   /* the first of them, when the engine has it */
	uint64_t jobs_done, written, mark; /* mark: what progress was, when the deadline was set */
	bool connected, ended, leaving, timed_out, running, told_ready;
	char why[160]; /* it ended */
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

#endif
