/* tls.h - the server's certificates and the rules of its TLS (OpenSSL 3).
 *
 * A tls_server holds the certificates of all names and makes TLS for one
 * connection at a time.  New certificates replace the old for connections that
 * begin later; those under way keep theirs.  Session tickets have keys of their
 * own that rotate, so resumption works across processes that were given the
 * same secret.  One thread at a time.
 *
 * The rules: TLS 1.2 and 1.3, X25519 before P-256 and P-384, forward secrecy
 * always, AEAD ciphers first.  At 1.2 the CBC ciphers with SHA-256 and SHA-384
 * stay, because Windows Server 2012 and Java 7 have nothing better with an RSA
 * certificate; CBC with SHA-1, static RSA, finite-field DH, 3DES, RC4 and the
 * rest are left out.  A listener that admits TLS 1.0 or 1.1 gets CBC with
 * SHA-1 and static RSA with AES too: who needs that, needs it for old devices.
 */
#ifndef POSTERN_NET_TLS_H
#define POSTERN_NET_TLS_H

#include "base/slice.h"

struct tls_server;

enum tls_min { TLS_MIN_1_0, TLS_MIN_1_1, TLS_MIN_1_2, TLS_MIN_1_3 };

/* Once, by a process that lives long, before anybody can make memory scarce: OpenSSL never makes
 * up for what it lacked memory for when it was first asked (see tls_process.c).  -ENOMEM: so it
 * is now, and only a new process has working TLS. */
int tls_process_begin(void);

int tls_server_new(struct tls_server **ret);
/* Connections that it serves may outlive it.  NULL is fine. */
void tls_server_free(struct tls_server *t);
/* Replace all certificates: each PEM holds a chain, leaf first, and its key, in
 * any order.  A client that names a host gets the certificates with that name
 * (exact before wildcard; one of each key type, so RSA and ECDSA may stand side by
 * side); the first one serves clients that name no host or an unknown one.  On
 * an error (-EINVAL, text in reterr) the old ones stay.  On success reterr is
 * empty or holds a warning: expired, or not valid yet. */
int tls_server_load(struct tls_server *t, const struct slice *pem, size_t n, char *reterr,
		    size_t reterr_size);
/* 32 secret bytes for session tickets, the same in every process that should resume.
 * Without them there are no tickets.  -EINVAL for another length. */
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
/* The host names of the leaf, with spaces between; those that are no printable ASCII are left out. */
int tls_certificate_names(struct slice pem, struct buf *ret);

#endif
