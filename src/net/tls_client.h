/* tls_client.h - TLS to another server: whom we trust, and what must be shown.
 *
 * A tls_client holds the certificates of authorities; each connection says by a
 * setup what it must show.  conn_start_tls_client() shakes hands; afterwards, failed
 * or not, conn_tls_client_facts() tells what came of it, in words for people and by
 * the names of RFC 8460.  What is required of which host is not decided here: see
 * route/tls_policy.h.  We show no certificate of our own, and resume no session.
 *
 * How a server is verified:
 *
 *   NONE          not at all; encryption against those who only listen.
 *   NAMES         a chain to an authority that we trust, valid today, and one of the
 *                 names in it as a DNS name (RFC 6125: "*.example.org" covers one label;
 *                 nothing partial; the common name counts not).
 *   DANE          TLSA records (RFC 7672 3.1): usage 3 (DANE-EE): that certificate or key,
 *                 whatever names and dates it has; usage 2 (DANE-TA): a chain to that
 *                 authority, valid today, with one of the names.  Records of another usage,
 *                 or that make no sense, are left out; if none is left the connection is
 *                 encrypted and not verified (RFC 7672 2.2), and the facts say so.
 *   FINGERPRINTS  SHA-256 of the certificate or of its public key is one of those.
 *
 * Versions and ciphers: TLS 1.2 and up with forward secrecy, as the server side has
 * it.  `any_tls`, for a connection that might as well go in clear: TLS 1.0 and up, any cipher that
 * OpenSSL has with keys of any length: weak encryption is better than none, and who
 * could break it on the way could as well take STARTTLS out.
 */
#ifndef POSTERN_NET_TLS_CLIENT_H
#define POSTERN_NET_TLS_CLIENT_H

#include "base/buf.h"
#include "base/tls_result.h"
#include "net/conn.h"

#define TLS_TLSA_MAX	    64	       /* records that are looked at; the rest is left out */
#define TLS_CA_MAX	    (4U << 20) /* octets of a file of authorities */
#define TLS_FINGERPRINT_LEN 32

struct tls_client;

/* Where they are: that file; NULL: the first of the places where distributions keep them, NULL if none is
 * there. */
const char *tls_ca_file(const char *file);
/* The certificates of authorities as PEM, from a file; NULL: the system's (SSL_CERT_FILE, else the first
 * of the places where distributions keep them).  Reads a file: do it before the walls. 0 or negative errno;
 * *ret is an initialised buf.  -ENOENT: no such file. */
int tls_ca_read(const char *file, struct buf *ret);
/* authorities: PEM, may be empty (then NAMES verifies nobody).  -EINVAL when it is not empty and
 * holds no certificate. */
int tls_client_new(struct slice authorities, struct tls_client **ret);
void tls_client_free(struct tls_client *t); /* connections that it serves may outlive it.  NULL is fine */
unsigned tls_client_authorities(const struct tls_client *t); /* how many there are */

enum tls_verify { TLS_VERIFY_NONE, TLS_VERIFY_NAMES, TLS_VERIFY_DANE, TLS_VERIFY_FINGERPRINTS };

/* RFC 6698 2.1 */
struct tls_tlsa {
	uint8_t usage, selector, matching;
	struct slice data;
};

/* Everything is borrowed for the call. */
struct tls_client_setup {
	const char *sni; /* NULL or "": none.  RFC 7672 8.1: the TLSA base domain; else the host's name */
	enum tls_verify verify;
	bool only_report; /* carry on whatever comes of it: MTA-STS's "testing" */
	bool any_tls;	  /* only with NONE, or only_report; a TLS below 1.2 never counts as verified */
	const char *const *names;
	size_t n_names; /* NAMES: at least one; DANE: the first is the TLSA base domain */
	const struct tls_tlsa *tlsa;
	size_t n_tlsa;
	const unsigned char (*fingerprints)[TLS_FINGERPRINT_LEN];
	size_t n_fingerprints;
};

/* The handshake, over this connection.  CONN_TLS_DONE or CONN_TLS_FAILED follows.  -EPROTO: octets came
 * behind the answer to STARTTLS; they were not said by whom the certificate will name (command
 * injection, RFC 3207 6), so the connection must be given up.  -EINVAL: the setup is wrong.  On any
 * error nothing happened. */
int conn_start_tls_client(struct conn *c, struct tls_client *tls, const struct tls_client_setup *setup);

struct tls_client_facts {
	char version[16]; /* "TLSv1.3"; "" before the end of the handshake */
	char cipher[64];
	bool verified;		/* as the setup wanted; never with TLS_VERIFY_NONE */
	enum tls_verify how;	/* what was done: NONE also when no TLSA record was usable */
	enum tls_result result; /* OK, or what is wrong, also where that is only reported */
	char words[200];	/* the same for people; "" when OK */
	char names[256]; /* the certificate's DNS names as they are, blanks between; cut where there are more
			  */
	char sha256[65]; /* of the certificate, hex; "" if none came */
	char key_sha256[65]; /* of its public key */
	int tlsa_usage;	     /* of the record that matched; -1: none did */
};
/* Valid after CONN_TLS_DONE and CONN_TLS_FAILED, until the connection is closed. */
void conn_tls_client_facts(const struct conn *c, struct tls_client_facts *ret);

/* One certificate as the server sent it, for people: printable ASCII only. */
struct tls_certificate_facts {
	char subject[256], issuer[256]; /* "CN=mx.example.org, O=Example" */
	int64_t not_before, not_after;	/* seconds since 1970 */
	char key[32];			/* "RSA 2048", "EC prime256v1" */
	char sha256[65];		/* hex */
	bool self_signed;		/* issued by itself */
};
/* The chain, its own first; how many of at most max.  Valid as the facts are. */
size_t conn_tls_client_chain(const struct conn *c, struct tls_certificate_facts *ret, size_t max);

#endif
