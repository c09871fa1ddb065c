/* dane.h - what TLSA records say of a mail host (DANE for SMTP, RFC 7672): for which names they are asked,
 * and what an answer means.
 *
 * An engine: the driver asks the names of dane_bases() one after the other, each with dns_name_tlsa(), and
 * gives each answer to dane_judge(), until that is not DANE_NONE or no name is left.  What follows
 * from it is decided in route/tls_policy.h, and a certificate is compared in net/tls_client.h.
 *
 *   the answer                                        what it means
 *   securely there, at least one record of use        DANE_USABLE: must match
 *   securely there, none of use                       DANE_UNUSABLE: must encrypt
 *   there, but not signed; securely not there         DANE_NONE: the next name; then no DANE
 *   SERVFAIL, bogus, no answer                        DANE_FAILED: the host must not be used now, for
 *                                                     who can suppress the answer could be who listens
 */
#ifndef POSTERN_ROUTE_DANE_H
#define POSTERN_ROUTE_DANE_H

#include "base/tls_result.h"
#include "dns/dns.h"

#define DANE_BASES_MAX	 2
#define DANE_RECORDS_MAX 32 /* of use; more are left out */

/* What was learned when the host's addresses were looked up. */
struct dane_host {
	const struct dns_name *name;	  /* of the MX record, or of the route */
	const struct dns_name *canonical; /* what it is an alias of; else the same */
	bool proven; /* the name: by a secure MX answer (struct mx: secure), or because the configuration
			names it */
	bool secure; /* its addresses: each answer that brought any was secure, with all of its aliases */
	bool alias_secure; /* its own CNAME record is secure, asked for by itself; only where it is an alias
			    * and `secure` is false */
};

/* The TLSA base domains in the order in which they are asked (RFC 7672 2.2.2, 2.2.3); 0: no DANE.
 *   not proven                       none
 *   secure, no alias                 the name
 *   secure, an alias                 what it is an alias of; if there is nothing, the name
 *   not secure, alias_secure         the name: its zone is signed, only the target's is not
 *   not secure                       none: RFC 7672 2.2.1, TLSA is not even asked, because servers of
 *                                    unsigned zones often fail at it */
size_t dane_bases(const struct dane_host *host, const struct dns_name *ret[DANE_BASES_MAX]);
/* Whether alias_secure would make a difference: then ask CNAME of the name itself. */
bool dane_needs_alias(const struct dane_host *host);

enum dane_state { DANE_NONE, DANE_USABLE, DANE_UNUSABLE, DANE_FAILED };
const char *dane_state_name(enum dane_state state); /* "usable" */

/* RFC 7672 3.1: usage 2 or 3; RFC 6698 2.1: a selector, matching type and length that fit. */
bool dane_is_usable(const struct dns_record *r);

struct dane {
	enum dane_state state;
	enum tls_result result; /* DANE_FAILED, UNUSABLE: why, for reports; else OK */
	struct dns_name base;	/* that was asked; SNI and first name to verify (RFC 7672 3.2.2, 8.1) */
	size_t n;		/* records of use; they point into the answer */
	const struct dns_record *record[DANE_RECORDS_MAX];
};
/* The answer to the question for the TLSA records of base, whatever its status. */
void dane_judge(const struct dns_name *base, const struct dns_answer *a, struct dane *ret);

#endif
