/* providers.h - what is known of mail providers that take submission: hosts, ports, how to log in.
 *
 * Data, from providers.def; routes, the tools and their advice share it.  No address is asked, no
 * provider recommended.
 */
#ifndef POSTERN_ROUTE_PROVIDERS_H
#define POSTERN_ROUTE_PROVIDERS_H

#include "base/slice.h"

#define ROUTE_PROVIDER_PORTS 4

enum route_password {
	ROUTE_PASSWORD_PASSWORD, /* of the mailbox */
	ROUTE_PASSWORD_APP,	 /* one that is made for programs */
	ROUTE_PASSWORD_KEY,	 /* an access key or token of the service */
	ROUTE_PASSWORD_OAUTH,	 /* a token of OAuth 2, nothing else */
};

struct route_provider {
	const char *name, *title;
	const char *domains; /* of its users' addresses, with blanks between, or "" */
	const char *host;
	const char *ports;	/* in its order, with blanks between */
	const char *mechanisms; /* with blanks between */
	enum route_password password;
	const char *user; /* what the name to log in with is */
	const char *note; /* or "" */
};

extern const struct route_provider route_providers[];
extern const size_t route_n_providers;

/* Each NULL if there is none; letters in either case. */
const struct route_provider *route_provider(struct slice name);
const struct route_provider *route_provider_of_host(struct slice host);
const struct route_provider *route_provider_of_domain(struct slice domain);
/* Of a host that an MX record names: whose customers such domains are. */
const struct route_provider *route_provider_of_mx(struct slice host);

/* How many; in its order. */
size_t route_provider_ports(const struct route_provider *p, uint16_t ports[static ROUTE_PROVIDER_PORTS]);
/* "a password made for programs (app password)", for advice. */
const char *route_password_text(enum route_password password);

#endif
