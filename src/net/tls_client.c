#include "net/tls_client.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/ip.h"
#include "net/tls_private.h"

/* As the server's, and what else has forward secrecy and no known weakness in practice. */
#define CIPHERS                                                                                             \
	"ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20:ECDHE-ECDSA-AES256-SHA384:"                    \
	"ECDHE-RSA-AES256-SHA384:ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA:" \
	"ECDHE-RSA-AES256-SHA:ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA:DHE+AES"
#define CIPHERS_ANY CIPHERS ":ALL:!aNULL:!eNULL:@SECLEVEL=0"

struct tls_client {
	unsigned refs; /* the owner's, and one a session */
	SSL_CTX *ctx;
	unsigned authorities;
};

/* ---- authorities ---- */

/* Where distributions keep all of them in one file. */
static const char *const bundles[] = {
	"/etc/ssl/certs/ca-certificates.crt", /* Debian, Arch, Gentoo */
	"/etc/pki/tls/certs/ca-bundle.crt",   /* Fedora, RHEL */
	"/etc/ssl/ca-bundle.pem",	      /* SUSE */
	"/etc/ssl/cert.pem",		      /* Alpine, BSD */
};

static int read_all(int fd, struct buf *to)
{
	for (;;) {
		unsigned char *p;
		size_t room = buf_reserve(to, 65536, &p);
		ssize_t n;

		if (room == 0)
			return to->n >= to->max ? -EFBIG : -ENOMEM;
		n = read(fd, p, room);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		buf_filled(to, (size_t)n);
	}
}

const char *tls_ca_file(const char *file)
{
	for (size_t i = 0; !file && i < sizeof(bundles) / sizeof(bundles[0]); i++)
		if (access(bundles[i], R_OK) == 0)
			file = bundles[i];
	return file;
}

int tls_ca_read(const char *file, struct buf *ret)
{
	struct buf b;
	int fd, r;

	if (!file)
		file = getenv("SSL_CERT_FILE"); /* as OpenSSL and curl have it */
	file = tls_ca_file(file);
	if (!file)
		return -ENOENT;
	fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	buf_init(&b, TLS_CA_MAX);
	r = read_all(fd, &b);
	close(fd);
	if (r < 0) {
		buf_done(&b);
		return r;
	}
	*ret = b;
	return 0;
}

static int load_authorities(struct tls_client *t, struct slice pem)
{
	X509_STORE *store = SSL_CTX_get_cert_store(t->ctx);
	BIO *bio;
	X509 *x;

	if (pem.n == 0)
		return 0;
	bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	if (!bio)
		return -ENOMEM;
	while ((x = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
		t->authorities += X509_STORE_add_cert(store, x) == 1;
		X509_free(x);
	}
	BIO_free(bio);
	ERR_clear_error();
	return t->authorities > 0 || slice_trim(pem).n == 0 ? 0 : -EINVAL;
}

static bool context_init(SSL_CTX *ctx)
{
	/* The system's openssl.cnf may have set others: these rules are ours. */
	SSL_CTX_set_security_level(ctx, 2);
	SSL_CTX_clear_options(ctx, SSL_OP_NO_TLSv1 | SSL_OP_NO_TLSv1_1 | SSL_OP_NO_TLSv1_2 |
					   SSL_OP_NO_TLSv1_3 | SSL_OP_LEGACY_SERVER_CONNECT);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET |
					 SSL_OP_CLEANSE_PLAINTEXT);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL); /* what that means says the callback */
	SSL_CTX_set_cert_verify_callback(ctx, tls_verify_callback, NULL);
	return SSL_CTX_set_max_proto_version(ctx, 0) == 1 &&
	       SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
	       SSL_CTX_set_cipher_list(ctx, CIPHERS) == 1 &&
	       SSL_CTX_set1_groups_list(ctx, "X25519:P-256:P-384:P-521") == 1 &&
	       SSL_CTX_dane_enable(ctx) == 1;
}

int tls_client_new(struct slice authorities, struct tls_client **ret)
{
	struct tls_client *t;
	int r;

	if (authorities.n > TLS_CA_MAX)
		return -EFBIG;
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->refs = 1;
	t->ctx = SSL_CTX_new(TLS_client_method());
	r = t->ctx && context_init(t->ctx) ? load_authorities(t, authorities) : -ENOMEM;
	if (r < 0) {
		ERR_clear_error();
		tls_client_free(t);
		return r;
	}
	*ret = t;
	return 0;
}

void tls_client_free(struct tls_client *t)
{
	if (!t || --t->refs > 0)
		return;
	SSL_CTX_free(t->ctx);
	free(t);
}

unsigned tls_client_authorities(const struct tls_client *t)
{
	return t->authorities;
}

/* ---- one connection ---- */

/* An address has no place in the extension (RFC 6066 3). */
static bool set_sni(SSL *ssl, const char *name)
{
	struct ip ip;

	if (!name || !*name || ip_parse(slice_str(name), &ip))
		return true;
	return SSL_set_tlsext_host_name(ssl, name) == 1;
}

static bool set_names(SSL *ssl, const struct tls_client_setup *setup)
{
	/* With DANE the first one is there already. */
	bool dane = setup->verify == TLS_VERIFY_DANE;
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
	struct ip ip;

	X509_VERIFY_PARAM_set_auth_level(param, 2); /* whatever any_version() lets pass */
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
						       X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	for (size_t i = 0; i < setup->n_names; i++) {
		const char *name = setup->names[i];

		if (!dane && setup->n_names == 1 &&
		    ip_parse(slice_str(name), &ip)) /* a smart host by its address */
			return X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1;
		if (i == 0 && !dane && SSL_set1_host(ssl, name) != 1)
			return false;
		if (i > 0 && SSL_add1_host(ssl, name) != 1)
			return false;
	}
	return true;
}

static bool set_tlsa(SSL *ssl, const struct tls_client_setup *setup, struct tls_check *check)
{
	size_t n = setup->n_tlsa < TLS_TLSA_MAX ? setup->n_tlsa : TLS_TLSA_MAX;
	unsigned usable = 0;

	if (SSL_dane_enable(ssl, setup->names[0]) != 1)
		return false;
	SSL_dane_set_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
	for (size_t i = 0; i < n; i++) {
		const struct tls_tlsa *a = &setup->tlsa[i];
		int r;

		if (a->usage != 2 && a->usage != 3) /* RFC 7672 3.1.3: the others mean nothing here */
			continue;
		r = SSL_dane_tlsa_add(ssl, a->usage, a->selector, a->matching, a->data.p, a->data.n);
		if (r < 0 && ERR_GET_REASON(ERR_peek_last_error()) == ERR_R_MALLOC_FAILURE)
			return false;
		usable += r > 0;
		ERR_clear_error();
	}
	if (usable == 0)
		check->how = TLS_VERIFY_NONE;
	return true;
}

static bool any_version(SSL *ssl)
{
	SSL_set_security_level(ssl, 0);
	SSL_set_options(ssl, SSL_OP_LEGACY_SERVER_CONNECT);
	return SSL_set_cipher_list(ssl, CIPHERS_ANY) == 1 &&
	       SSL_set_min_proto_version(ssl, TLS1_VERSION) == 1;
}

static bool session_init(struct tls_session *s, const struct tls_client_setup *setup)
{
	struct tls_check *check = s->check;

	check->how = setup->verify;
	check->only_report = setup->only_report;
	check->facts.tlsa_usage = -1;
	if (setup->any_tls && !any_version(s->ssl))
		return false;
	if (SSL_set_app_data(s->ssl, s) != 1 || !set_sni(s->ssl, setup->sni))
		return false;
	SSL_set_connect_state(s->ssl);
	switch (setup->verify) {
	case TLS_VERIFY_NONE:
		return true;
	case TLS_VERIFY_NAMES:
		return set_names(s->ssl, setup);
	case TLS_VERIFY_DANE:
		/* In this order: SSL_dane_enable() throws names away. */
		return set_tlsa(s->ssl, setup, check) && set_names(s->ssl, setup);
	case TLS_VERIFY_FINGERPRINTS:
		check->fingerprints = calloc(setup->n_fingerprints, TLS_FINGERPRINT_LEN);
		if (!check->fingerprints)
			return false;
		memcpy(check->fingerprints, setup->fingerprints, setup->n_fingerprints * TLS_FINGERPRINT_LEN);
		check->n_fingerprints = (unsigned)setup->n_fingerprints;
		return true;
	}
	return false;
}

static bool makes_sense(const struct tls_client_setup *setup)
{
	switch (setup->verify) {
	case TLS_VERIFY_NONE:
		return true;
	case TLS_VERIFY_NAMES:
	case TLS_VERIFY_DANE:
		return setup->n_names > 0 && setup->names[0][0] && (!setup->any_tls || setup->only_report);
	case TLS_VERIFY_FINGERPRINTS:
		return setup->n_fingerprints > 0 && !setup->any_tls;
	}
	return false;
}

int tls_client_session_new(struct tls_client *t, const struct tls_client_setup *setup,
			   struct tls_session **ret)
{
	struct tls_session *s;

	if (!makes_sense(setup))
		return -EINVAL;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->check = calloc(1, sizeof(*s->check));
	s->ssl = s->check ? SSL_new(t->ctx) : NULL;
	if (!s->ssl || !session_init(s, setup)) {
		ERR_clear_error();
		tls_session_free(s);
		return -ENOMEM;
	}
	s->client = t;
	t->refs++;
	*ret = s;
	return 0;
}
