/* look_private.h - a look as its files see it.  Not for others. */
#ifndef POSTERN_CHECK_LOOK_PRIVATE_H
#define POSTERN_CHECK_LOOK_PRIVATE_H

#include "check/knock.h"
#include "check/look.h"
#include "probe/talk.h"

enum look_stage {
	LOOK_FIRST,
	LOOK_SECOND,
	LOOK_OLD_TLS11,
	LOOK_OLD_TLS10,
	LOOK_OLD_SSL3,
	LOOK_DANE,
	LOOK_PTR,
	LOOK_RELAY,
	LOOK_OVER,
};

struct look {
	const struct look_setup *setup;
	const char *name;
	struct probe_port *port;
	struct probe_port first; /* what the first way showed, during the second */
	struct probe_port aside; /* where later stages' conversations go */
	enum look_stage stage;
	bool implicit; /* of this connection */
	bool hello;    /* a hello by hand is out: an answer is awaited */
	bool prodded;  /* nobody greeted, so we spoke first */
	struct resolve_query *query;
	struct tls_tlsa tlsa[TLS_TLSA_MAX];
	size_t n_tlsa;
	struct dns_answer answer; /* what they point into */
	bool has_answer;
	struct knock *knock;
	struct conn *conn;
	struct probe_talk talk;
	uv_timer_t timer;
	uint64_t since_ms; /* handshake */
	bool over;
	look_done *done;
	void *arg;
};

/* look.c */
void look_next(struct look *l);	   /* the next stage */
void look_connect(struct look *l); /* a connection for this stage */

/* look_dns.c: what the DNS says of it.  Each ask: false when there is nothing to ask; else look_next() or
 * look_connect() follows. */
bool look_ask_tlsa(struct look *l);
bool look_ask_ptr(struct look *l);
void look_learn_dane(struct look *l); /* the handshake of LOOK_DANE is over */

#endif
