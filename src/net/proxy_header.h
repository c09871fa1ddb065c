/* proxy_header.h - what a proxy in front of us says about its client.
 *
 * The PROXY protocol, versions 1 and 2 (HAProxy's proxy-protocol.txt): one header before
 * the client's first byte.  Judges the bytes so far; an engine, it knows no socket.
 *
 *	PROXY_HEADER_MORE: as many bytes again, and more (or give up after a while)
 *	PROXY_HEADER_DONE: *ret is filled; the header has ret->n octets, the client's own
 *		bytes follow
 *	anything else: close it; *ret->why says what is wrong
 *
 * However TCP cuts the bytes, the verdict is the same, and more bytes never change it.
 * Whoever sends the header is believed: the caller asks only connections from networks
 * that it was told to trust, and there insists on a header.
 *
 * Not here: addresses of other families than IP (such a client has none for us), and
 * TLS that ended at the proxy (ret->tls): it is for the log, never a reason to take
 * this session for encrypted.
 */
#ifndef POSTERN_NET_PROXY_HEADER_H
#define POSTERN_NET_PROXY_HEADER_H

#include "base/ip.h"

#define PROXY_HEADER_V1_MAX 107	 /* octets with CR LF, as the specification has it */
#define PROXY_HEADER_V2_MAX 4096 /* with 16 of fixed head; addresses take 216, the rest are TLVs */

enum proxy_header_step {
	PROXY_HEADER_MORE,
	PROXY_HEADER_DONE,
	PROXY_HEADER_NONE, /* it does not begin as a header does */
	PROXY_HEADER_BAD,  /* it does, and breaks the rules */
};

struct proxy_header {
	size_t n;	 /* octets of the header */
	uint8_t version; /* 1 or 2 */
	/* LOCAL (the proxy's own connection, a check of its health), UNKNOWN, or a family
	 * without IP addresses: those below are not given. */
	bool anonymous;
	bool local; /* of these: LOCAL */
	bool tls;   /* the client spoke TLS with the proxy (PP2_TYPE_SSL) */
	struct ip client, server;
	uint16_t client_port, server_port;
	const char *why; /* of NONE and BAD */
};

enum proxy_header_step proxy_header_parse(struct slice so_far, struct proxy_header *ret);

/* Does it say from where the client came?  Else all that is known is the proxy: also when it
 * names a loopback address and came from elsewhere itself (who is meant is the proxy's own machine,
 * and ours lends its rights to nobody), or an address that nobody has (0.0.0.0, ::). */
bool proxy_header_names_client(const struct proxy_header *h, const struct ip *proxy);

/* Do these bytes hold the whole signature of a header?  For a connection that should have
 * none: no SMTP client and no TLS begins so. */
bool proxy_header_begins(struct slice so_far);

#endif
