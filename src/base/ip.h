/* ip.h - addresses and networks of IPv4 and IPv6, as plain data.
 *
 * An IPv4 address that arrived mapped into IPv6 (::ffff:192.0.2.1) is IPv4
 * here, whichever way it came in.
 */
#ifndef POSTERN_BASE_IP_H
#define POSTERN_BASE_IP_H

#include <sys/socket.h>

#include "base/slice.h"

struct ip {
	uint8_t family; /* 0 (none: a Unix socket), 4 or 6 */
	uint8_t byte[16];
};

struct ip_net {
	struct ip ip;
	uint8_t bits;
};

#define IP_TEXT_MAX 46 /* INET6_ADDRSTRLEN */

bool ip_parse(struct slice text, struct ip *ret);
bool ip_from_sockaddr(const struct sockaddr *sa, struct ip *ret);
/* Length of the sockaddr that was filled in; the port in host order. */
socklen_t ip_to_sockaddr(const struct ip *ip, uint16_t port, struct sockaddr_storage *ret);
/* Writes "192.0.2.1", "2001:db8::1" or "local"; returns text. */
const char *ip_format(const struct ip *ip, char text[static IP_TEXT_MAX]);
bool ip_eq(const struct ip *a, const struct ip *b);
bool ip_is_loopback(const struct ip *ip);
/* ::ffff:192.0.2.1, as a name server may say it, is 192.0.2.1. */
void ip_unmap(struct ip *ip);
/* "This host on this network" (0.0.0.0/8, ::): what is sent there arrives here. */
bool ip_is_unspecified(const struct ip *ip);
/* No single host beyond this network has it: multicast, reserved, broadcast, link-local. */
bool ip_is_no_host(const struct ip *ip);

/* "192.0.2.0/24", "2001:db8::/32", or a bare address as a network of one.
 * Bits set behind the prefix are an error: they are a typing mistake. */
bool ip_net_parse(struct slice text, struct ip_net *ret);
bool ip_net_has(const struct ip_net *net, const struct ip *ip);

#endif
