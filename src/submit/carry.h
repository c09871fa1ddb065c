/* carry.h - messages to one server that takes submissions, by the relay's code and rules.
 *
 * It plays queue for the lanes of send/, within one process: a configuration with a single route, a channel
 * pair, and the message as jobs.  So which ports are tried and in which order, what TLS must show, when a
 * password may be said, how a message is fitted to the server, is decided where the relay has it decided.
 * Beyond those rules: TLS always, with a certificate that is verified by chain and name or by its fingerprint
 * (only a Unix socket is clear, and has no login); never port 25.
 *
 * Runs on the caller's loop.  Nothing is kept for later: what is not taken now, the caller hears of.
 *
 * Of many messages one goes after the other, over one connection as long as the server keeps it: where it
 * went away between two of them, or says 421 to one behind others, the message goes over another one.
 */
#ifndef POSTERN_SUBMIT_CARRY_H
#define POSTERN_SUBMIT_CARRY_H

#include <uv.h>

#include "conf/conf.h"
#include "ipc/message.h"
#include "submit/draft.h"
#include "submit/provider.h"

#define CARRY_PINS_MAX	16
#define CARRY_TRIES_MAX 64 /* that are remembered */

struct carry_result;
struct resolve;
struct tls_client;

struct carry_setup {
	uv_loop_t *loop;
	struct resolve *resolve;
	struct tls_client *tls;
	const struct provider *provider;
	const char
		*pin[CARRY_PINS_MAX]; /* SHA-256 of the certificate or its key, as routes.NAME.fingerprints */
	size_t pins;
	const char *mechanism; /* as routes.NAME.mechanism; NULL: the strongest */
	struct slice password; /* or a token; copied, and wiped when it is over */
	/* Each time just before the server is given the message, with what is known of it by then; negative:
	 * it does not get it.  With done's arg.  NULL: nobody wants to know. */
	int (*before)(void *arg, const struct carry_result *so_far);
	/* A token was refused: carry_secret() is to be called, now or later.  With done's arg.  NULL: there
	 * is no other one. */
	void (*stale)(void *arg);
	const char *helo;
	const struct draft *draft;
	unsigned connect_s, command_s, final_s;
	bool keep; /* the connection stays open behind the message, for carry_next() */
};

/* A connection that was tried, or over which a message went. */
struct carry_try {
	char host[256], ip[IP_TEXT_MAX], step[33], what[65], reason[513], tls[129], cipher[65], security[17];
	uint16_t port;
	unsigned ms;
	char *transcript; /* "C: ..." and "S: ..." lines, no secrets; NULL: none */
};

struct carry_rcpt {
	bool tried;	   /* else what ended the connection stands for it, too */
	uint8_t result;	   /* enum ipc_job_result_kind */
	bool in_doubt;	   /* deferred, and delivered perhaps */
	bool unreported;   /* delivered, and the report of success that was asked for will not come */
	uint16_t code;	   /* 0: no reply */
	char enhanced[17]; /* "5.1.1", or "" */
	char text[IPC_TEXT_MAX + 1];
	const char *step; /* "rcpt" */
};

struct carry_result {
	struct carry_rcpt *rcpt; /* in the envelope's order */
	size_t n;
	/* The connection that was good; else reached is false, and this the last that was tried. */
	bool reached;
	char host[256], ip[IP_TEXT_MAX], tls[129];
	uint16_t port;
	uint8_t security; /* enum ipc_security */
	uint8_t end;	  /* enum ipc_lane_end: IPC_LANE_IN_ORDER if nothing went wrong with it */
	char enhanced[17], text[IPC_TEXT_MAX + 1];
	struct carry_try *tries;
	size_t n_tries;
};

struct carry;

/* done is called once, from the loop; the result is valid until carry_free(), which done may call.  0,
 * -ENOMEM, or -EINVAL: a pin or mechanism is none.  The setup's loop, resolver, TLS and draft outlive it. */
int carry_begin(const struct carry_setup *setup, void (*done)(void *arg, const struct carry_result *r),
		void *arg, struct carry **ret);
/* In answer to stale: another token, which is tried once in the same connection; or, not other, the one that
 * there was, and that is that. */
void carry_secret(struct carry *c, struct slice secret, bool other);
/* With keep, and after done was called: another message.  As carry_begin(); the result before is gone. */
int carry_next(struct carry *c, const struct draft *d);
/* With keep, and after done was called: takes leave of the server.  True: done is called again when that is
 * over, in seconds; false: there is no connection. */
bool carry_end(struct carry *c);
void carry_free(struct carry *c); /* the loop must run once more for the memory.  NULL is fine */

#endif
