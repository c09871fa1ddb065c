/* Are we it? RFC 5321 5.1: who is in the list of a domain's hosts himself sends to better ones only. */
#include "net/local.h"
#include "send/private.h"

/* One of our listeners would take the connection. */
static bool listens(const struct conf *conf, const struct ip *ip, uint16_t port)
{
	for (size_t i = 0; i < conf->n_listeners; i++) {
		const struct conf_listener *l = &conf->listeners[i];

		if (!l->enabled || l->port != port)
			continue;
		for (size_t k = 0; k < l->n_addresses; k++) {
			const struct ip *at = &l->addresses[k];
			bool any = ip_is_unspecified(at) && at->family == ip->family;

			if (ip_eq(at, ip) || (any && net_is_local(ip)))
				return true;
		}
	}
	return false;
}

/* Nobody else is at our loopback, and what a foreign zone says of it is no reason to go there. */
static bool is_own_loopback(const struct conf *conf, const struct ip *ip)
{
	return (ip_is_loopback(ip) && !conf->relay_loopback) || ip_is_unspecified(ip);
}

bool send_is_own(const struct send *s, const struct ip *ip, uint16_t port)
{
	return s->conf && (is_own_loopback(s->conf, ip) || listens(s->conf, ip, port));
}
