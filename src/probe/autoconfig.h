/* autoconfig.h - the submission servers that a domain's autoconfig file names (Thunderbird's format): an
 * engine.
 *
 * XML is read by expat; entities that the file declares end it, so nothing can grow.  Only servers of
 * type "smtp" with a host name count, in the file's order.
 */
#ifndef POSTERN_PROBE_AUTOCONFIG_H
#define POSTERN_PROBE_AUTOCONFIG_H

#include "base/slice.h"

#define AUTOCONFIG_SERVERS_MAX 8
#define AUTOCONFIG_OCTETS_MAX  (256U << 10)

enum autoconfig_socket { AUTOCONFIG_PLAIN, AUTOCONFIG_SSL, AUTOCONFIG_STARTTLS };

struct autoconfig_server {
	char host[254];
	uint16_t port;
	enum autoconfig_socket socket;
};

struct autoconfig {
	struct autoconfig_server server[AUTOCONFIG_SERVERS_MAX];
	size_t n;
};

/* NULL, or what is wrong with it in words (a literal); without a server it is not wrong. */
const char *autoconfig_parse(struct slice text, struct autoconfig *ret);

#endif
