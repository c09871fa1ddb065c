/* hosts.h - what stands in /etc/hosts and resolv.conf; private to resolve/.
 *
 * Texts of the administrator's, read as the C library reads them: what cannot be understood is
 * passed over.  Nothing is allocated.
 */
#ifndef POSTERN_RESOLVE_HOSTS_H
#define POSTERN_RESOLVE_HOSTS_H

#include "resolve/resolve.h"

#define HOSTS_ADDRESSES_MAX 16
#define RESOLV_SEARCH_MAX   6

/* The addresses of that family (4, 6) that the text of a hosts file gives the name; hosts(5).
 * How many, at most HOSTS_ADDRESSES_MAX.  *ret_known: the name stands there, with whatever family. */
size_t hosts_find(struct slice text, const struct dns_name *name, uint8_t family,
		  struct ip to[static HOSTS_ADDRESSES_MAX], bool *ret_known);

struct resolv_conf {
	struct resolve_server server[RESOLVE_SERVERS_MAX];
	size_t n_servers;
	struct dns_name search[RESOLV_SEARCH_MAX];
	size_t n_search;
};

/* resolv.conf(5): nameserver, search and domain; of the last two the one that comes last. */
void resolv_conf_parse(struct slice text, struct resolv_conf *ret);

#endif
