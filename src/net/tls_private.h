/* tls_private.h - what the files of net/ know of each other's TLS.  Not for others. */
#ifndef POSTERN_NET_TLS_PRIVATE_H
#define POSTERN_NET_TLS_PRIVATE_H

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/map.h"
#include "net/tls.h"
#include "net/tls_client.h"

/* A certificate is one per key type and name: OpenSSL then takes the one that the client can verify. */
enum tls_key { TLS_KEY_RSA, TLS_KEY_EC, TLS_KEY_ED25519, TLS_KEYS };

struct tls_certificate {
	X509 *leaf;
	STACK_OF(X509) * chain; /* without the leaf */
	EVP_PKEY *key;
	enum tls_key type;
};

/* All certificates of one load, and the names that lead to them; counted by
 * the sessions that began with it. */
struct tls_set {
	unsigned refs;
	struct tls_certificate *certificates;
	size_t n;
	struct map names; /* of struct tls_name */
	const struct tls_certificate *fallback[TLS_KEYS];
};

int tls_set_new(const struct slice *pem, size_t n, char *reterr, size_t reterr_size, struct tls_set **ret);
void tls_set_unref(struct tls_set *set);
/* The certificates for a host name (NULL or unknown: the default ones), by key type. */
void tls_set_find(const struct tls_set *set, const char *host, const struct tls_certificate *ret[TLS_KEYS]);

/* Session tickets: keys that change every TLS_TICKET_SLOT seconds, all made from
 * one secret.  A ticket is good for the slot that it was made in and the next. */
#define TLS_TICKET_SLOT 7200
struct tls_tickets {
	bool on;
	unsigned char secret[32];
	int64_t (*now)(void); /* seconds since 1970; tests set it */
};
void tls_tickets_init(struct tls_tickets *t);
/* OpenSSL's callback; finds its tls_tickets in the SSL_CTX's application data. */
int tls_tickets_callback(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
			 EVP_MAC_CTX *mac, int encrypt);

/* One connection's TLS: a server's, or (client is not NULL) a client's. */
struct tls_session {
	SSL *ssl;
	struct tls_server *server;
	struct tls_set *set;
	struct tls_client *client;
	struct tls_check *check;
};
/* -ENOKEY: no certificate is loaded. */
int tls_session_new(struct tls_server *t, enum tls_min min, struct tls_session **ret);
void tls_session_free(struct tls_session *s); /* NULL is fine */
void tls_session_facts(const struct tls_session *s, struct tls_facts *ret);
/* Why the last call on the session failed, in one line; empties OpenSSL's queue of errors. */
void tls_session_error(struct tls_session *s, char *to, size_t size);

/* tls_client.c and tls_verify.c: the client's side. */
struct tls_check {
	enum tls_verify how;
	bool only_report;
	unsigned n_fingerprints;
	unsigned char (*fingerprints)[TLS_FINGERPRINT_LEN];
	struct tls_client_facts facts;
};
int tls_client_session_new(struct tls_client *t, const struct tls_client_setup *setup,
			   struct tls_session **ret);
/* OpenSSL's callback (SSL_CTX_set_cert_verify_callback). */
int tls_verify_callback(X509_STORE_CTX *ctx, void *arg);
/* For tests. */
struct tls_tickets *tls_server_tickets(struct tls_server *t);

#endif
