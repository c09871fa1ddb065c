/* endpoint.h - where a connection goes: a Unix socket, or an address and a port.
 *
 * As text "unix:/run/dovecot/lmtp", "127.0.0.1:24", "[::1]:24".  No names: looking
 * them up is somebody else's work.
 */
#ifndef POSTERN_BASE_ENDPOINT_H
#define POSTERN_BASE_ENDPOINT_H

#include "base/ip.h"

#define ENDPOINT_PATH_MAX 107 /* octets of a Unix socket's name: the kernel's limit */
#define ENDPOINT_TEXT_MAX 120

struct endpoint {
	char path[ENDPOINT_PATH_MAX + 1]; /* absolute; "": by ip and port */
	struct ip ip;
	uint16_t port;
};

bool endpoint_parse(struct slice text, struct endpoint *ret);
const char *endpoint_format(const struct endpoint *e, char text[static ENDPOINT_TEXT_MAX]); /* returns text */

#endif
