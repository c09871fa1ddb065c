#include "net/local.h"

#include <unistd.h>

/* UDP, with a port of the kernel's choice: nobody is disturbed. */
static bool may_bind(const struct ip *ip)
{
	struct sockaddr_storage sa;
	socklen_t n = ip_to_sockaddr(ip, 0, &sa);
	int fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool may;

	if (fd < 0)
		return false;
	may = bind(fd, (const struct sockaddr *)&sa, n) == 0;
	close(fd);
	return may;
}

bool net_is_local(const struct ip *ip)
{
	/* Addresses that no machine has: reserved (RFC 1112 4), and discard-only (RFC 6666). */
	static const struct ip nobodys[] = { { .family = 4, .byte = { 240, 0, 0, 1 } },
					     { .family = 6, .byte = { 1, [15] = 1 } } };

	if (ip->family == 0 || ip_is_loopback(ip))
		return true;
	return may_bind(ip) && !may_bind(&nobodys[ip->family == 6]);
}
