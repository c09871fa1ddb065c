/* tls.h - the server's certificates and the rules of its TLS (OpenSSL 3).
 *
 * A tls_server holds the certificates of all names and makes TLS for one
 * connection at a time.  New certificates replace the old for connections that
 * begin later; those under way keep theirs.  Session tickets have keys of their
 * own that rotate, so resumption works across processes that were given the
 * same secret.
 */
#ifndef POSTERN_NET_TLS_H
#define POSTERN_NET_TLS_H

#include "base/slice.h"

struct tls_server;

enum tls_min { TLS_MIN_1_0, TLS_MIN_1_1, TLS_MIN_1_2, TLS_MIN_1_3 };

int tls_server_new(struct tls_server **ret);
void tls_server_free(struct tls_server *t);
/* Replace all certificates: each PEM holds a chain, leaf first, and its key.  The
 * first one serves clients that name no host or an unknown one.  On an error
 * (-EINVAL, text in reterr) the old ones stay. */
int tls_server_load(struct tls_server *t, const struct slice *pem, size_t n, char *reterr,
		    size_t reterr_size);
/* 32 secret bytes for session tickets, the same in every process that should resume. */
int tls_server_ticket_secret(struct tls_server *t, struct slice secret);

struct tls_facts {
	char version[16]; /* "TLSv1.3" */
	char cipher[64];  /* "TLS_AES_256_GCM_SHA384" */
	char sni[256];	  /* "" if the client named none */
	bool resumed;
};

/* A self-signed certificate (ECDSA P-256, 10 years, these names) as PEM chain and
 * key.  0 or negative errno; ret is wiped by the caller. */
struct buf;
int tls_self_signed(const char *const *names, size_t n, struct buf *ret);
/* Until when the leaf is valid, seconds since 1970; its SHA-256 in hex (65 bytes with NUL). */
int tls_certificate_info(struct slice pem, int64_t *ret_not_after, char ret_sha256[65]);

#endif
