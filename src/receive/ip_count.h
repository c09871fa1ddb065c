/* ip_count.h - how many sessions each peer has on a listener.
 *
 * A peer is an IPv4 address, an IPv6 network of 64 bits (a household owns one, so
 * single addresses of it are no measure) or a local user.  Holds an entry for a peer
 * only while it has a session.
 */
#ifndef POSTERN_RECEIVE_IP_COUNT_H
#define POSTERN_RECEIVE_IP_COUNT_H

#include "base/ip.h"
#include "base/list.h"
#include "base/map.h"

struct ip_count {
	struct map map;
};

int ip_count_init(struct ip_count *c);
void ip_count_done(struct ip_count *c);

/* One session more: how many it makes, or 0 when out of memory (then it is not counted).
 * uid: of a local user, when ip is none. */
uint32_t ip_count_add(struct ip_count *c, const struct ip *ip, uint32_t uid);
void ip_count_remove(struct ip_count *c, const struct ip *ip, uint32_t uid);

#endif
