/* tls_policy.h - what encryption a host must show before mail is given to it.
 *
 * An engine: facts in, a decision out.  The handshake is net/tls_client.h's; TLSA records are judged in
 * route/dane.h, policies of MTA-STS read in route/sts.h.
 *
 * (*) Where the host's name is proven (signed MX, or named by the configuration) chain and name are looked
 * at and only reported, so that a message that asks for REQUIRETLS can take this connection.
 *
 * DANE beats MTA-STS: RFC 8461 2.  Row 12 comes behind MTA-STS: where TLSA records cannot be
 * used at all nothing is overridden, and the stronger one holds.  Row 5 also with REQUIRE and VERIFY:
 * RFC 7672 2.1.2.
 *
 * "may": STARTTLS where it is offered; if the handshake fails the host is tried once more in clear text.
 * "must": else another host; if there is none the message waits, and what is noted says why.
 * "never", "later": this host is not connected to.
 */
/* clang-format off */
/* The table; the first row that fits decides.  `AUTO`, `REQUIRE` ... are the route's `tls`; an empty field
 * fits all.
 *
 *     rule          credentials  relax  TLSA      MTA-STS              use    STARTTLS  verified by     reported as
 *  1  OFF           yes                                                never  (the password would go in clear)
 *  2  OFF           no                                                 yes    not tried
 *  3  FINGERPRINTS                                                     yes    must      fingerprint
 *  4  AUTO          no           yes                                   yes    may       -
 *  5                                    failed                         later                            tlsa
 *  6                                    usable                         yes    must      TLSA            tlsa
 *  7  VERIFY                                      enforce, not listed  later                            sts
 *  8  VERIFY                                                           yes    must      chain and name  as 9 to 13
 *  9  AUTO          yes                                                yes    must      chain and name
 * 10                                              enforce, not listed  later                            sts
 * 11                                              enforce              yes    must      chain and name  sts
 * 12                                    unusable                       yes    must      -               tlsa
 * 13                                              testing              yes    as 14     only reported   sts
 * 14  REQUIRE, or credentials                                          yes    must      - (*)
 * 15  AUTO                                                             yes    may       - (*)
 *
 * Row 4 is for AUTO alone: what an administrator wrote down holds for such messages, too.
 */
/* clang-format on */
#ifndef POSTERN_ROUTE_TLS_POLICY_H
#define POSTERN_ROUTE_TLS_POLICY_H

#include "base/tls_result.h"
#include "route/dane.h"

enum tls_policy_rule { /* of the route; the same order as enum conf_route_tls */
		       TLS_POLICY_AUTO,
		       TLS_POLICY_REQUIRE,
		       TLS_POLICY_VERIFY,
		       TLS_POLICY_OFF,
		       TLS_POLICY_FINGERPRINTS,
};

enum tls_policy_sts { TLS_POLICY_STS_NONE, TLS_POLICY_STS_TESTING, TLS_POLICY_STS_ENFORCE };

struct tls_policy_facts {
	enum tls_policy_rule rule;
	bool credentials;	     /* we will log in there */
	bool relax;		     /* the messages say TLS-Required: No (RFC 8689) */
	bool proven;		     /* the host's name, see struct dane_host */
	enum dane_state tlsa;	     /* DANE_NONE also where it was not asked */
	enum tls_result tlsa_result; /* struct dane */
	enum tls_policy_sts sts;     /* of the recipients' domain, only for hosts that its MX names */
	bool sts_listed;	     /* the host matches an mx pattern of it */
};

enum tls_policy_use {
	TLS_POLICY_USE,
	TLS_POLICY_LATER, /* not this host now: another one, or later */
	TLS_POLICY_NEVER, /* until somebody changes the configuration */
};

enum tls_policy_check {
	TLS_POLICY_CHECK_NONE,
	TLS_POLICY_CHECK_NAMES, /* a chain to a known authority, and the host's name */
	TLS_POLICY_CHECK_DANE,
	TLS_POLICY_CHECK_FINGERPRINTS,
};

struct tls_policy {
	enum tls_policy_use use;
	bool starttls; /* try it where it is offered (always, but in row 2) */
	bool clear;    /* and without it if it is not offered, or fails */
	enum tls_policy_check check;
	bool only_report;	       /* what the check finds stops nothing */
	bool proven;		       /* verified then means: it is whom the domain's owner, or the
					* configuration, named.  What REQUIRETLS wants (RFC 8689 4.2.1) */
	unsigned row;		       /* of the table, for tests and `route` */
	enum tls_result_policy policy; /* for reports */
	enum tls_result result; /* LATER, and row 13 where the host is not listed: what to report; else OK */
	const char *name;	/* "dane", "mta-sts", "opportunistic" ...: for people; never NULL */
	const char *enhanced;	/* LATER, NEVER: "4.7.5"; else "" */
	const char *words;	/* LATER, NEVER: why; else what is required */
};
void tls_policy_decide(const struct tls_policy_facts *f, struct tls_policy *ret);

/* The names that a certificate may have, in the order that struct tls_client_setup wants; returns how many
 * of them, at most TLS_POLICY_NAMES_MAX.  DANE (RFC 7672 3.2.2): the TLSA base domain, the host,
 * the recipients' domain; else the host alone (RFC 8461 4.1).  domain may be NULL. */
#define TLS_POLICY_NAMES_MAX 3
size_t tls_policy_names(const struct tls_policy *p, const struct dns_name *base, const struct dns_name *host,
			const struct dns_name *domain, const char *ret[TLS_POLICY_NAMES_MAX]);

#endif
