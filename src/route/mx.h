/* mx.h - the hosts that take mail for a domain, in the order in which they are tried.
 *
 * An engine: mx_start() and mx_answer() return MX_ASK with one question in *ask, or MX_DONE with
 * the outcome in the struct.  The addresses of the hosts are not asked for here: that is done
 * host by host as they are tried; mx_no_address() says what it means when one has none, mx_loop() that
 * one is us.
 *
 * The rules, RFC 5321 5.1, 7505 and 7672 2.2:
 * - by preference, at random within one; a host that stands there twice counts once, where it is better;
 * - no MX record at all: the domain itself is the host (implicit MX), where it is an alias its
 *   target; one MX record "." : it takes no mail, for good (null MX); "." beside others is ignored;
 * - a host that is us: it and all of its preference and behind it are left out, so that mail goes
 *   only to better ones; if none is left, that is a loop;
 * - a host whose name is an alias is used (many have it, though RFC 2181 10.3 forbids it); one
 *   whose name is an address, or no host's name, is left out;
 * - of more than MX_HOSTS_MAX the best are taken, of more than DNS_RECORDS_MAX, too (dns.h);
 * - [192.0.2.1] and [IPv6:2001:db8::1] are hosts of their own, and the DNS is not asked.
 * A domain whose MX cannot be learned (SERVFAIL, time-out, bogus) is never tried by its address.
 *
 * Codes: 5.1.2 there is no such domain, or it has neither; 5.1.10 null MX; 5.4.4 no host of it can
 * be used; 5.4.6 loop; 4.4.3 SERVFAIL and time-out; 4.7.5 bogus: it may be mended, so the mail waits.
 */
#ifndef POSTERN_ROUTE_MX_H
#define POSTERN_ROUTE_MX_H

#include "dns/dns.h"

#define MX_HOSTS_MAX 20
#define MX_TEXT_MAX  480

struct mx_host {
	struct dns_name name; /* "" for an address literal */
	struct ip ip;	      /* of an address literal; else family 0 */
	uint16_t preference;
};

enum mx_step { MX_ASK, MX_DONE };

enum mx_outcome {
	MX_OK,
	MX_PERMANENT, /* enhanced and text say why */
	MX_TEMPORARY,
};

struct mx {
	enum mx_outcome outcome;
	const char *enhanced; /* "5.1.2"; "" when MX_OK */
	char text[MX_TEXT_MAX];
	struct dns_name domain;	   /* in A-labels; "" for an address literal */
	struct dns_name canonical; /* what it is an alias of; else the domain */
	bool alias;		   /* the domain is an alias (CNAME) */
	bool secure;   /* what the DNS said about MX is proven, also that there are none: DANE may be used */
	bool implicit; /* there are none: the domain itself */
	bool literal;  /* an address */
	bool more;     /* there were more than MX_HOSTS_MAX */
	uint32_t ttl;  /* seconds for which this holds; 0: not at all */
	size_t n;
	struct mx_host host[MX_HOSTS_MAX]; /* as they are tried */

	/* mx.c's own */
	const struct dns_name *own;
	size_t n_own;
	uint64_t random;
};

/* domain: as the recipient's address has it, with brackets if it is a literal.  own: the names
 * by which others know us; borrowed until MX_DONE.  random: other octets each time. */
enum mx_step mx_start(struct mx *m, struct slice domain, const struct dns_name *own, size_t n_own,
		      uint64_t random, struct dns_question *ask);
enum mx_step mx_answer(struct mx *m, const struct dns_answer *a, struct dns_question *ask);

/* What it means that neither answer brought an address.  One is NULL when it was not asked, in a
 * network without that family.  Of several hosts: if one outcome is temporary, so is the whole. */
struct mx_failure {
	enum mx_outcome outcome; /* MX_OK: there was an address after all */
	const char *enhanced;
	char text[MX_TEXT_MAX];
};
void mx_no_address(const struct mx *m, size_t host, const struct dns_answer *v4, const struct dns_answer *v6,
		   struct mx_failure *ret);
/* It has addresses, and to none of them mail can be sent (multicast, link-local ...): for good. */
void mx_no_use(const struct mx *m, size_t host, struct mx_failure *ret);
/* The host turned out to be us, by its addresses or by what it said, and there is no better one. */
void mx_loop(const struct mx *m, size_t host, struct mx_failure *ret);

#endif
