/* knock.h - one TCP connection, and if it does not come about, who prevented it.
 *
 * connect() tells only an errno.  More is told, to anybody, by
 *
 *	the error queue   (IP_RECVERR) which machine sent the ICMP error: a router on the way, the host, or
 *	                  this machine's own firewall
 *	TCP_INFO          whether what was sent again (the kernel does so after a second) got as far as the
 *	                  network: a rule of the output chain makes that fail, and the kernel keeps count
 *
 * A reset tells nothing, for a rule here can make one in the host's name, and it ends the socket before
 * anything is sent again.  So one that came at once is asked once more by a socket that is deaf to
 * resets (IP_MINTTL), until the count is there: that takes a second longer.  No root is needed for any of it.
 *
 * Not for sending mail: that is net/conn.h; a connection that was made is passed to it.
 */
#ifndef POSTERN_CHECK_KNOCK_H
#define POSTERN_CHECK_KNOCK_H

#include <uv.h>

#include "probe/report.h"

struct knock;

/* Called once, from the loop, never from within knock_begin(); the knock is gone then.  fd: the connected
 * socket, the receiver's to close, or -1. */
typedef void knock_done(void *arg, int fd);

/* Begins a connection to port->ip and port->port; what came of it is written to port: reach, error,
 * icmp_from, sent, local, local_why, no_route, no_neighbour, connect_ms.  port outlives it.  0; or negative
 * errno: done is not called, and port says why. */
int knock_begin(uv_loop_t *loop, struct probe_port *port, unsigned timeout_ms, knock_done *done, void *arg,
		struct knock **ret);
void knock_cancel(struct knock *k); /* NULL is fine */

#endif
