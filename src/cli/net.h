/* net.h - what a tool at the client's side needs of this machine: a loop, names looked up as other programs
 * here do (/etc/hosts, resolv.conf), and the authorities that are trusted.  No server, no configuration.
 */
#ifndef POSTERN_CLI_NET_H
#define POSTERN_CLI_NET_H

#include "net/tls_client.h"
#include "resolve/resolve.h"

struct cli_net {
	uv_loop_t loop;
	struct resolve *resolve;
	struct tls_client *tls;
	struct buf authorities; /* PEM */
	char hostname[256];	/* how we greet: this machine's name, or its address literal */
};

struct cli_net_setup {
	const char *ca_file;				/* NULL: the system's */
	bool no_tls;					/* none are needed: not read, which takes a while */
	const char *anchors_file;			/* of DNSSEC; NULL: the system's */
	struct resolve_server dns[RESOLVE_SERVERS_MAX]; /* --dns; none: resolv.conf's */
	size_t n_dns;
};

/* Says what is wrong on standard error; false then. */
bool cli_net_open(struct cli_net *net, const char *command, const struct cli_net_setup *setup);
void cli_net_close(struct cli_net *net); /* the loop runs until all its handles are closed */

#endif
