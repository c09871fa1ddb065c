/* look.h - one port of one address, looked at from all sides: one connection after the other.
 *
 *	first     by the port's custom: TLS from the first octet on 465, else the greeting is awaited
 *	second    the other way round, where the first came to nothing
 *	old       one connection for each old version of TLS, where TLS is there
 *	dane      one more where the host has signed TLSA records for that port (RFC 7672)
 *	relay     the relay test, where it is wanted
 *
 * What is seen goes into a struct probe_port; how it is judged is probe/'s.  Everything runs on the loop.
 */
#ifndef POSTERN_CHECK_LOOK_H
#define POSTERN_CHECK_LOOK_H

#include <uv.h>

#include "net/tls_client.h"
#include "probe/report.h"
#include "resolve/resolve.h"

struct look;

/* What all looks of a check share; it outlives them. */
struct look_setup {
	uv_loop_t *loop;
	struct tls_client *tls;
	struct resolve *resolve; /* for TLSA; NULL: it is not looked for */
	const char *helo;	 /* how we greet */
	unsigned connect_ms;	 /* a connection may take so long */
	unsigned reply_ms;	 /* and a reply, or a handshake */
	bool old;		 /* ask for old versions */
	bool as_server;		 /* and for the name of its address */
	bool relay;		 /* the relay test */
};

/* Called once, from the loop; the look is gone then. */
typedef void look_done(void *arg, struct probe_port *port);

/* port: ip and port are set, the rest is zero; it outlives the look.  name: for SNI and the certificate, an
 * address or a host's name; borrowed likewise.  0 or -ENOMEM. */
int look_begin(const struct look_setup *setup, const char *name, struct probe_port *port, look_done *done,
	       void *arg, struct look **ret);
void look_cancel(struct look *l); /* NULL is fine */

#endif
