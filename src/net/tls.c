#include "net/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>

#include "net/tls_private.h"

#define CIPHERS                                              \
	"ECDHE+AESGCM:ECDHE+CHACHA20:"                       \
	"ECDHE-ECDSA-AES256-SHA384:ECDHE-RSA-AES256-SHA384:" \
	"ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES128-SHA256"
#define CIPHERS_OLD                                             \
	CIPHERS ":ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES256-SHA:" \
		"ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA:"  \
		"AES256-GCM-SHA384:AES128-GCM-SHA256:AES256-SHA:AES128-SHA:@SECLEVEL=0"

struct tls_server {
	unsigned refs; /* the owner's, and one a session */
	SSL_CTX *ctx;
	struct tls_set *set; /* NULL until loaded */
	struct tls_tickets tickets;
};

/* Called when the ClientHello has been read: gives the connection its certificates. */
static int choose_certificate(SSL *ssl, void *arg)
{
	struct tls_session *s = SSL_get_app_data(ssl);
	const struct tls_certificate *found[TLS_KEYS];

	(void)arg;
	tls_set_find(s->set, SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name), found);
	SSL_certs_clear(ssl);
	for (size_t i = 0; i < TLS_KEYS; i++)
		if (found[i] &&
		    SSL_use_cert_and_key(ssl, found[i]->leaf, found[i]->key, found[i]->chain, 1) != 1)
			return 0;
	return 1;
}

/* Agreeing keeps the name in the session, where a resumed one finds it. */
static int accept_name(SSL *ssl, int *alert, void *arg)
{
	(void)ssl;
	(void)alert;
	(void)arg;
	return SSL_TLSEXT_ERR_OK;
}

static bool context_init(struct tls_server *t)
{
	SSL_CTX *ctx = t->ctx;

	/* The system's openssl.cnf may have set others: these rules are ours. */
	SSL_CTX_set_security_level(ctx, 2);
	SSL_CTX_clear_options(ctx,
			      SSL_OP_NO_TLSv1 | SSL_OP_NO_TLSv1_1 | SSL_OP_NO_TLSv1_2 | SSL_OP_NO_TLSv1_3);
	SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
					 SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
					 SSL_OP_CLEANSE_PLAINTEXT);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* tickets only: nothing to keep here */
	SSL_CTX_set_timeout(ctx, TLS_TICKET_SLOT);
	SSL_CTX_set_max_early_data(ctx, 0); /* early data can be replayed: MAIL must not be */
	if (SSL_CTX_set_app_data(ctx, &t->tickets) != 1)
		return false;
	SSL_CTX_set_cert_cb(ctx, choose_certificate, NULL);
	SSL_CTX_set_tlsext_servername_callback(ctx, accept_name);
	return SSL_CTX_set_max_proto_version(ctx, 0) == 1 && SSL_CTX_set_cipher_list(ctx, CIPHERS) == 1 &&
	       SSL_CTX_set1_groups_list(ctx, "X25519:P-256:P-384") == 1 &&
	       SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"postern", 7) == 1 &&
	       SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, tls_tickets_callback) == 1;
}

int tls_server_new(struct tls_server **ret)
{
	struct tls_server *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->refs = 1;
	tls_tickets_init(&t->tickets);
	t->ctx = SSL_CTX_new(TLS_server_method());
	if (!t->ctx || !context_init(t)) {
		ERR_clear_error();
		tls_server_free(t);
		return -ENOMEM;
	}
	SSL_CTX_set_options(t->ctx, SSL_OP_NO_TICKET); /* until there is a secret */
	SSL_CTX_set_num_tickets(t->ctx, 0);
	*ret = t;
	return 0;
}

void tls_server_free(struct tls_server *t)
{
	if (!t || --t->refs > 0)
		return;
	SSL_CTX_free(t->ctx);
	tls_set_unref(t->set);
	explicit_bzero(&t->tickets, sizeof(t->tickets));
	free(t);
}

int tls_server_load(struct tls_server *t, const struct slice *pem, size_t n, char *reterr, size_t reterr_size)
{
	struct tls_set *set;
	int r = tls_set_new(pem, n, reterr, reterr_size, &set);

	if (r < 0)
		return r;
	tls_set_unref(t->set);
	t->set = set;
	return 0;
}

int tls_server_ticket_secret(struct tls_server *t, struct slice secret)
{
	if (secret.n != sizeof(t->tickets.secret))
		return -EINVAL;
	memcpy(t->tickets.secret, secret.p, secret.n);
	t->tickets.on = true;
	SSL_CTX_clear_options(t->ctx, SSL_OP_NO_TICKET);
	SSL_CTX_set_num_tickets(t->ctx, 1); /* a mail client resumes one session at a time */
	return 0;
}

struct tls_tickets *tls_server_tickets(struct tls_server *t)
{
	return &t->tickets;
}

static bool set_versions(SSL *ssl, enum tls_min min)
{
	static const int version[] = { TLS1_VERSION, TLS1_1_VERSION, TLS1_2_VERSION, TLS1_3_VERSION };

	/* MD5 with SHA-1, which 1.0 and 1.1 sign with, is below every security level but 0. */
	if (min < TLS_MIN_1_2 && SSL_set_cipher_list(ssl, CIPHERS_OLD) != 1)
		return false;
	return SSL_set_min_proto_version(ssl, version[min]) == 1;
}

int tls_session_new(struct tls_server *t, enum tls_min min, struct tls_session **ret)
{
	struct tls_session *s;

	if (!t->set)
		return -ENOKEY;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->ssl = SSL_new(t->ctx);
	/* What belongs to it is stored in a list of OpenSSL's, which may lack memory, too. */
	if (!s->ssl || SSL_set_app_data(s->ssl, s) != 1 || !set_versions(s->ssl, min)) {
		ERR_clear_error();
		SSL_free(s->ssl);
		free(s);
		return -ENOMEM;
	}
	SSL_set_accept_state(s->ssl);
	s->server = t;
	t->refs++;
	s->set = t->set;
	s->set->refs++;
	*ret = s;
	return 0;
}

void tls_session_free(struct tls_session *s)
{
	if (!s)
		return;
	SSL_free(s->ssl);
	tls_set_unref(s->set);
	tls_server_free(s->server);
	tls_client_free(s->client);
	if (s->check)
		free(s->check->fingerprints);
	free(s->check);
	free(s);
}

void tls_session_facts(const struct tls_session *s, struct tls_facts *ret)
{
	const char *sni = SSL_get_servername(s->ssl, TLSEXT_NAMETYPE_host_name);

	*ret = (struct tls_facts){ .resumed = SSL_session_reused(s->ssl) == 1 };
	snprintf(ret->version, sizeof(ret->version), "%s", SSL_get_version(s->ssl));
	snprintf(ret->cipher, sizeof(ret->cipher), "%s", SSL_get_cipher_name(s->ssl));
	snprintf(ret->sni, sizeof(ret->sni), "%s", sni ? sni : "");
}

/* What an operator can make use of, where OpenSSL's own words do not say it; %s is the other side. */
static const struct {
	int reason;
	const char *text;
} reasons[] = {
	{ SSL_R_WRONG_VERSION_NUMBER, "what came is not TLS" },
	{ SSL_R_HTTP_REQUEST, "what came is HTTP in clear text" },
	{ SSL_R_HTTPS_PROXY_REQUEST, "what came is a request to an HTTP proxy" },
	{ SSL_R_UNSUPPORTED_PROTOCOL, "the %s has no TLS version that is allowed here" },
	{ SSL_R_VERSION_TOO_LOW, "the %s has no TLS version that is allowed here" },
	{ SSL_R_NO_SHARED_CIPHER, "no cipher in common with the %s" },
	{ SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, "the %s cannot verify a certificate of this kind" },
	{ SSL_R_TLSV1_ALERT_UNKNOWN_CA, "the %s does not trust the certificate (unknown CA)" },
	{ SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, "the %s does not accept the certificate" },
	{ SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, "the %s does not accept the certificate" },
	{ SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED, "the %s finds the certificate expired" },
	{ SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE,
	  "the %s finds no cipher in common, or no certificate for that name" },
	{ SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, "the %s has no TLS version in common with us" },
	{ SSL_R_TLSV1_ALERT_INTERNAL_ERROR, "the %s has an internal error (TLS alert 80)" },
	{ SSL_R_TLSV1_UNRECOGNIZED_NAME, "the %s does not know that name (SNI)" },
	{ SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED, "the %s wants a certificate from us" },
	{ SSL_R_UNSAFE_LEGACY_RENEGOTIATION_DISABLED, "the %s is too old for a safe handshake (RFC 5746)" },
	{ SSL_R_DH_KEY_TOO_SMALL, "the %s's Diffie-Hellman key is too small" },
	{ SSL_R_EE_KEY_TOO_SMALL, "the %s's certificate has a key that is too small" },
};

void tls_session_error(struct tls_session *s, char *to, size_t size)
{
	unsigned long e = ERR_peek_error();
	const char *text = e ? ERR_reason_error_string(e) : NULL;
	const char *other = s->client ? "server" : "client", *at = NULL;

	if (ERR_GET_LIB(e) == ERR_LIB_SSL)
		for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
			if (ERR_GET_REASON(e) == reasons[i].reason) {
				text = reasons[i].text;
				at = strstr(text, "%s");
			}
	if (at)
		snprintf(to, size, "%.*s%s%s", (int)(at - text), text, other, at + 2);
	else
		snprintf(to, size, "%s", text ? text : "TLS failed");
	ERR_clear_error();
}
