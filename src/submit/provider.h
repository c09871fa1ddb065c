/* provider.h - where to submit a message: a server, how it encrypts, and as whom: an engine.
 *
 * As a URL:
 *
 *   smtp://[USER@]HOST[:PORT]    STARTTLS, required.  Without a port those of submission in turn: 587,
 *                                465 (TLS at once), 2525
 *   smtps://[USER@]HOST[:PORT]   TLS from the first octet; 465 unless told
 *   unix:/PATH                   the socket of a Postern on this machine: clear, and without a login
 *
 * Or as a provider that is known (route/providers.h), by its name or a domain of its users: then host, ports
 * and their order, and the mechanism, are what it has, as with `provider:` of a route.
 *
 * USER may have percent-encoded octets (RFC 3986 2.1).  What is no place for a password, or would send one
 * where it does not belong, is refused with words: a password in the URL, which every user of the machine
 * could read; port 25, which is for servers among each other; STARTTLS on 465.
 */
#ifndef POSTERN_SUBMIT_PROVIDER_H
#define POSTERN_SUBMIT_PROVIDER_H

#include "base/endpoint.h"

#define PROVIDER_USER_MAX 512

struct provider {
	char path[ENDPOINT_PATH_MAX + 1]; /* of a Unix socket; "": by host */
	char host[256];			  /* a name, or an address without brackets */
	uint16_t port;			  /* 0: the ports of submission, in turn */
	bool implicit_tls;		  /* else STARTTLS */
	char user[PROVIDER_USER_MAX + 1]; /* "": no login */
	const char *known;		  /* its name in route/providers.h, which has its ports, too; NULL */
};

/* NULL, or what is wrong with it: words that go on after the URL and a colon. */
const char *provider_url(struct slice url, struct provider *ret);
/* name: "gmail", "gmail.com" or "me@gmail.com", which is the user, too, where user is "" and the provider
 * wants an address.  NULL, or what is wrong with it: words that go on after the name and a colon. */
const char *provider_known(struct slice name, struct slice user, struct provider *ret);

#endif
