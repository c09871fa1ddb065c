/* listen.h - listening sockets: opened all at once, by the one process that may.
 *
 * Several processes share a port by SO_REUSEPORT, each with a socket of its own,
 * so the kernel spreads connections and nobody wakes in vain.  SO_REUSEPORT would
 * also share the port with a stranger's server of the same user in silence;
 * listen_probe() is there to notice that first.
 */
#ifndef POSTERN_NET_LISTEN_H
#define POSTERN_NET_LISTEN_H

#include <sys/types.h>

#include "base/ip.h"

/* 0, or what stands against listening there: -EADDRINUSE, -EACCES, -EADDRNOTAVAIL ... */
int listen_probe(const struct ip *ip, uint16_t port);
/* A bound, listening, non-blocking, close-on-exec socket.  An IPv6 one takes IPv6 only. */
int listen_tcp(const struct ip *ip, uint16_t port, int *ret_fd);
/* The same for a path; type: SOCK_STREAM or SOCK_SEQPACKET.  A dead socket there is
 * replaced, a living one is -EADDRINUSE.  Too long a path: -ENAMETOOLONG. */
int listen_unix(const char *path, int type, mode_t mode, int *ret_fd);
/* Which process listens on that port: "1234 (postfix)"; false if we may not see it. */
bool listen_holder(uint16_t port, char *ret, size_t size);

#endif
