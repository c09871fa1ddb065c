/* local_private.h - what local.c, local_intake.c and local_quota.c share: the jobs of role local.
 *
 * A job is made by local_intake.c as queue tells it, piece by piece; local_quota.c asks keeper
 * for its quotas when it is whole, and local_job_begin() delivers it.
 */
#ifndef POSTERN_ROLE_LOCAL_PRIVATE_H
#define POSTERN_ROLE_LOCAL_PRIVATE_H

#include "base/list.h"
#include "deliver/rounds.h"
#include "role/role.h"

#define LOCAL_JOBS_MAX 64

struct local_job;

struct local_target {
	struct rounds_item delivery;
	struct local_job *job;
	struct local_target *next;
	uint32_t recipient;
	uint64_t quota;				 /* octets; 0: any */
	bool asked;				 /* keeper has not told it yet */
	struct slice mailbox, address, original; /* in bytes */
	unsigned char bytes[];
};

struct local_job {
	struct list link;
	struct local *local;
	bool lost; /* its queue is gone: answer nobody */
	uint64_t number;
	uint64_t body_size;
	int body_fd;
	struct buf body, text; /* text: id, sender, headers */
	size_t sender_n;
	struct local_target *targets, **last;
	unsigned n, working;
	size_t cost;
	unsigned asking; /* quotas that keeper has not told yet */
	uint64_t asked_ms;
	bool complete;
	bool lacking; /* something of it could not be kept: every mailbox is deferred */
	atomic_bool give_up;
};

/* A job that there was no memory for at all: answered as it comes. */
struct local_turned_down {
	uint64_t number;
	size_t cost;
	bool open;
};

struct local {
	struct role *role;
	struct maildir_setup maildir;
	char hostname[256];
	struct rounds *rounds;
	bool full_is_final;
	bool quotas; /* keeper says that there are some */
	uv_timer_t patience;
	uint64_t quotas_unknown;
	struct list jobs;
	struct local_turned_down turned_down[LOCAL_JOBS_MAX];
	unsigned n_jobs;    /* of the queue that is there */
	unsigned n_working; /* begun and not finished, lost ones too */
	bool draining;
	uint64_t delivered, deferred, failed, octets;
};

/* NULL when there is none of that number. */
struct local_job *local_job_find(struct local *l, uint64_t number);
/* All of it is here, and the quotas are known or will not be. */
void local_job_begin(struct local *l, struct local_job *j);
void local_send_credit(struct local *l, uint64_t job, size_t octets);
/* For want of memory: nobody waits for more than this one recipient. */
void local_defer(struct local *l, uint64_t job, uint32_t recipient);

/* What queue says, and what is wrong with it; NULL when nothing is. */
const char *local_intake(struct local *l, const struct ipc_message *m, int *fd);

/* The job is whole: asks for its quotas, and begins it when there is nothing to ask. */
void local_quota_ask(struct local *l, struct local_job *j);
void local_quota_is(struct local *l, const struct ipc_quota_is *m);
/* Begins those that keeper let wait as long as this: what it has not told counts as no quota. */
void local_quota_give_up(struct local *l, uint64_t patience_ms);
void local_quota_start(struct local *l);

#endif
