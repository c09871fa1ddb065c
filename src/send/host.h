/* host.h - what must be known of one host before it is connected to: its addresses, and, where
 * that matters, its TLSA records; then what its TLS must show.
 */
#ifndef POSTERN_SEND_HOST_H
#define POSTERN_SEND_HOST_H

#include "resolve/resolve.h"
#include "route/dane.h"
#include "route/tls_policy.h"
#include "send/way.h"

#define HOST_ADDRESSES_MAX 16

struct host_look {
	struct send *send;
	struct way *way;
	size_t host;
	uint16_t port; /* that TLSA is asked for */
	struct resolve_query *query[2];
	struct dns_answer a, aaaa, tlsa;
	bool has_a, has_aaaa, has_tlsa, alias_secure;
	struct dns_name name, canonical;
	bool secure;
	const struct dns_name *base[DANE_BASES_MAX];
	size_t n_bases, at_base;
	struct dane dane;
	void (*done)(void *arg);
	void *arg;

	/* The outcome. */
	struct ip ips[HOST_ADDRESSES_MAX];
	size_t n_ips;
	bool for_good; /* there are none, and that is certain */
	bool is_us;    /* one of them is ours (RFC 5321 5.1); n_ips is 0 then */
	struct tls_policy policy;
	char enhanced[16], text[MX_TEXT_MAX]; /* n_ips == 0 */
};

/* True: it is known already, done() will not be called.  The struct is zeroed or host_end()ed. */
bool host_begin(struct host_look *h, struct way *w, size_t host, uint16_t port, void (*done)(void *arg),
		void *arg);
void host_end(struct host_look *h); /* also in the middle of it */
/* A name for people: "mx.example.org", "192.0.2.1", "unix:/run/lmtp". */
const char *host_name(const struct way *w, size_t host, char text[static 256]);

#endif
