/* receive.h - all SMTP sessions that come in to one smtp process.
 *
 * The driver between sockets, the SMTP engine, policy, keeper and queue.  It belongs to
 * the role (role/smtp.c), which passes it what main and the other processes
 * say.  Everything runs on the loop and nothing blocks.
 */
#ifndef POSTERN_RECEIVE_RECEIVE_H
#define POSTERN_RECEIVE_RECEIVE_H

#include <jansson.h>
#include <uv.h>

#include "conf/conf.h"
#include "ipc/channel.h"

struct receive;

struct event_sink;

struct receive_setup {
	uv_loop_t *loop;
	unsigned index;	    /* of this smtp process; part of its message ids */
	unsigned processes; /* that share the limits; 0: this one alone */
	/* After receive_drain(): the last session ended, or the time is over. */
	void (*drained)(void *arg);
	/* A peer said what no working peer says. */
	void (*peer_broken)(void *arg, enum ipc_role who, const char *why);
	void (*peer_silent)(void *arg, enum ipc_role who); /* has not answered in time; may be NULL */
	void *arg;
	struct event_sink *events; /* where messages are told; NULL: nowhere */
};

int receive_new(const struct receive_setup *setup, struct receive **ret);
/* Drops all sessions; the loop must run until it is empty afterwards, then the
 * memory is gone. */
void receive_free(struct receive *rx);

/* Sessions that begin later follow conf, which may go after the call. */
int receive_configure(struct receive *rx, const struct conf *conf);
/* From main.  *fd is taken (set to -1). */
int receive_listen(struct receive *rx, const struct conf *conf, const struct ipc_listen *m, int *fd);
void receive_unlisten(struct receive *rx, const struct ipc_unlisten *m);
/* The last one of a generation puts all of it into force.  The descriptor stays the caller's. */
int receive_certificate(struct receive *rx, const struct ipc_certificate *m, int fd);
int receive_ticket_secret(struct receive *rx, struct slice secret);

/* queue, keeper, ledger; NULL: it is away. */
void receive_peer(struct receive *rx, enum ipc_role who, struct channel *ch);
void receive_message(struct receive *rx, const struct conf *conf, enum ipc_role who,
		     const struct ipc_message *m);

/* Take nothing new, let transactions finish for so long, then setup.drained(). */
void receive_drain(struct receive *rx, unsigned seconds);
void receive_status(const struct receive *rx, json_t *to);

#endif
