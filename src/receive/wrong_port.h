/* wrong_port.h - what the first bytes of a connection mean on its port.
 *
 * Decides, before anything is said, between a greeting in clear text, a TLS
 * handshake and an explanation, from the bytes so far and from silence.  An engine:
 * the driver reads, waits and acts (receive/session.c).
 *
 *	wrong_port_init(&w, &setup)
 *	WRONG_PORT_WAIT: for bytes, or at most wrong_port_wait_ms()
 *	wrong_port_bytes(&w, all that came so far) or wrong_port_silence(&w)
 *
 * However TCP cuts the bytes, the decision is the same.  Anything but WRONG_PORT_WAIT
 * is final.
 */
#ifndef POSTERN_RECEIVE_WRONG_PORT_H
#define POSTERN_RECEIVE_WRONG_PORT_H

#include "base/slice.h"
#include "ipc/message.h"

enum wrong_port_kind {
	WRONG_PORT_IMPLICIT, /* TLS from the first byte: 465 */
	WRONG_PORT_STARTTLS, /* a greeting in clear, for users: 587, 2525 */
	WRONG_PORT_RELAY,    /* a greeting in clear, for servers: 25 */
};

struct wrong_port_setup {
	enum wrong_port_kind kind;
	bool serve;		   /* STARTTLS: a client that speaks TLS first is served all the same */
	unsigned hold_ms;	   /* how long a greeting is held for a ClientHello; 0: not at all */
	unsigned silence_ms;	   /* IMPLICIT: how long a client may say nothing */
	unsigned rest_of_hello_ms; /* for the rest of a ClientHello once it began */
};

enum wrong_port_do {
	WRONG_PORT_WAIT,
	WRONG_PORT_GREET,	  /* in clear */
	WRONG_PORT_HANDSHAKE,	  /* TLS, as this port is meant; then greet */
	WRONG_PORT_SERVE,	  /* TLS all the same; then greet */
	WRONG_PORT_EXPLAIN_TLS,	  /* TLS, then a refusal that names the right setting; close */
	WRONG_PORT_EXPLAIN_PLAIN, /* the same in clear */
	WRONG_PORT_CLOSE,	  /* it began a ClientHello and never ended it */
};

struct wrong_port {
	struct wrong_port_setup setup;
	enum wrong_port_do decision;
	enum ipc_mishap_kind mishap; /* 0: none */
	bool hello_begun;
};

enum wrong_port_do wrong_port_init(struct wrong_port *w, const struct wrong_port_setup *setup);
enum wrong_port_do wrong_port_bytes(struct wrong_port *w, struct slice so_far);
enum wrong_port_do wrong_port_silence(struct wrong_port *w);
/* How long to wait for more, from now on; asked again after each WRONG_PORT_WAIT. */
unsigned wrong_port_wait_ms(const struct wrong_port *w);

#endif
