/* local.h - is this an address of this machine? */
#ifndef POSTERN_NET_LOCAL_H
#define POSTERN_NET_LOCAL_H

#include "base/ip.h"

/* Asked of the kernel at each call: addresses come and go.  False also where it cannot be told: on a
 * machine on which any address may be bound (net.ipv4.ip_nonlocal_bind). */
bool net_is_local(const struct ip *ip);

#endif
