/* send.h - all lanes of one smtp process: connections to other servers that deliver jobs.
 *
 * Queue says which lanes there are and what goes where (ipc/message.h: lane_open, job ...);
 * here they are carried out, with the client engine, and each recipient's result goes back.
 * Whatever happens, each job ends with a result for each recipient or with job_back, and then
 * its credit.  When queue goes away all of it is dropped: the next queue hands it out again.
 *
 * It belongs to the role (role/smtp.c).  Everything runs on the loop; the only thing that may
 * wait for a disk is reading a large body from the descriptor that queue passed.
 */
#ifndef POSTERN_SEND_SEND_H
#define POSTERN_SEND_SEND_H

#include <jansson.h>
#include <uv.h>

#include "conf/conf.h"
#include "ipc/channel.h"

struct event_sink;
struct resolve;
struct send;
struct sts;
struct tls_client;

struct send_setup {
	uv_loop_t *loop;
	struct resolve *resolve;   /* NULL: no names, only addresses */
	struct sts *sts;	   /* NULL: no MTA-STS */
	struct event_sink *events; /* where attempts are told; NULL: nowhere */
	/* A token was refused: main is to get another one. May be NULL. */
	void (*stale)(void *arg, struct slice route, uint64_t generation);
	void *arg;
};

/* What the setup points at outlives it.  0 or -ENOMEM. */
int send_new(const struct send_setup *setup, struct send **ret);
void send_free(struct send *s); /* drops all lanes; the loop must run once more for the memory */
/* For lanes that begin from now on.  Borrowed until the next one, or send_free(). */
int send_configure(struct send *s, const struct conf *conf); /* 0 or negative errno */
/* Whom TLS trusts; NULL: no TLS.  Borrowed likewise. */
void send_trust(struct send *s, struct tls_client *tls);
/* From main: the password or token of a route.  0 or -ENOMEM. */
int send_secret(struct send *s, const struct ipc_credential *m);

/* Queue came, or went (NULL). */
void send_peer(struct send *s, struct channel *ch);
bool send_is_for(const struct ipc_message *m);
/* NULL, or how queue broke the rules.  *fd as in ipc/channel.h. */
const char *send_message(struct send *s, const struct ipc_message *m, int *fd);

/* Finish the messages under way, give the others back, close; then drained(arg): at once if there
 * is nothing, after so many seconds in any case. */
void send_drain(struct send *s, unsigned seconds, void (*drained)(void *arg), void *arg);
void send_status(const struct send *s, json_t *to);

#endif
