/* known.h - addresses that lately began a session in clear text, as they should.
 *
 * A greeting need not be held long for them: they do not speak TLS first.  Unless one of
 * the clients behind such an address does: many share it then (an office, a
 * provider's NAT, this machine itself), and it counts as mixed, not as known, until a
 * day after the last such hello.  Bounded in number and in age; the oldest goes first.
 * Times are given by the caller.
 */
#ifndef POSTERN_RECEIVE_KNOWN_H
#define POSTERN_RECEIVE_KNOWN_H

#include "base/ip.h"
#include "base/list.h"
#include "base/map.h"

struct known {
	struct map map;
	struct list oldest_first;
	size_t max;
	uint64_t max_age_ms;
};

int known_init(struct known *k, size_t max, uint64_t max_age_ms); /* 0 or -ENOMEM */
void known_done(struct known *k);

bool known_has(struct known *k, const struct ip *ip, uint64_t now_ms);
/* It began in clear; it began with TLS.  When out of memory it is forgotten. */
void known_plain(struct known *k, const struct ip *ip, uint64_t now_ms);
void known_tls(struct known *k, const struct ip *ip, uint64_t now_ms);

#endif
