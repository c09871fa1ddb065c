/* tls_result.h - how encryption with another mail server went, in the words of RFC 8460 4.3.
 *
 * The names are what reports (TLSRPT) are made of, and what logs, traces and the ledger
 * say.  Only the enumeration and its names: who finds which is in net/tls_client.h (the
 * handshake) and route/tls_policy.h (what came before it).
 */
#ifndef POSTERN_BASE_TLS_RESULT_H
#define POSTERN_BASE_TLS_RESULT_H

/* The numbers travel between processes and stand in the ledger: never change them. */
enum tls_result {
	TLS_RESULT_OK = 0, /* encrypted, as the policy of the domain wants it, or as there is none */
	/* RFC 8460 4.3.1: negotiation */
	TLS_RESULT_STARTTLS_NOT_SUPPORTED = 1,
	TLS_RESULT_CERTIFICATE_HOST_MISMATCH = 2,
	TLS_RESULT_CERTIFICATE_EXPIRED = 3,
	TLS_RESULT_CERTIFICATE_NOT_TRUSTED = 4,
	TLS_RESULT_VALIDATION_FAILURE = 5, /* anything that has no name of its own */
	/* RFC 8460 4.3.2.1: DANE */
	TLS_RESULT_TLSA_INVALID = 6,
	TLS_RESULT_DNSSEC_INVALID = 7,
	TLS_RESULT_DANE_REQUIRED = 8,
	/* RFC 8460 4.3.2.2: MTA-STS */
	TLS_RESULT_STS_POLICY_FETCH_ERROR = 9,
	TLS_RESULT_STS_POLICY_INVALID = 10,
	TLS_RESULT_STS_WEBPKI_INVALID = 11,
	TLS_RESULTS, /* one past the last */
};
const char *tls_result_name(unsigned result); /* "starttls-not-supported"; "ok"; "unknown" */

/* RFC 8460 4.4, "policy-type": which policy of the recipient's domain was applied. */
enum tls_result_policy {
	TLS_RESULT_POLICY_NONE = 1, /* "no-policy-found" */
	TLS_RESULT_POLICY_STS = 2,
	TLS_RESULT_POLICY_TLSA = 3,
	TLS_RESULT_POLICIES, /* one past the last */
};
const char *tls_result_policy_name(unsigned policy); /* "sts"; "unknown" */

#endif
