/* What a server's certificate is worth: called by OpenSSL when it came. */
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "net/tls_private.h"

/* ---- what it says ---- */

static void hex(const unsigned char *p, size_t n, char *to)
{
	for (size_t i = 0; i < n; i++)
		snprintf(to + 2 * i, 3, "%02x", p[i]);
}

/* Of the whole certificate, or of its key (SubjectPublicKeyInfo). */
static bool digest(X509 *x, bool key, unsigned char ret[TLS_FINGERPRINT_LEN])
{
	unsigned char *der = NULL;
	unsigned n = TLS_FINGERPRINT_LEN;
	int len;
	bool ok;

	if (!key)
		return X509_digest(x, EVP_sha256(), ret, &n) == 1;
	len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der);
	ok = len > 0 && EVP_Digest(der, (size_t)len, ret, &n, EVP_sha256(), NULL) == 1;
	OPENSSL_free(der);
	return ok;
}

/* What stands there is for people and logs: printable ASCII only. */
static void learn_names(X509 *x, char *to, size_t size)
{
	GENERAL_NAMES *all = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	size_t n = 0;

	for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
		int type;
		const ASN1_STRING *s = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(all, i), &type);
		const unsigned char *p;
		size_t len, j;

		if (type != GEN_DNS)
			continue;
		p = ASN1_STRING_get0_data(s);
		len = (size_t)ASN1_STRING_length(s);
		for (j = 0; j < len && p[j] > ' ' && p[j] < 127; j++)
			;
		if (len == 0 || j < len || n + len + 2 > size)
			continue;
		if (n > 0)
			to[n++] = ' ';
		memcpy(to + n, p, len);
		n += len;
		to[n] = '\0';
	}
	GENERAL_NAMES_free(all);
}

static void learn(X509 *x, struct tls_client_facts *f)
{
	unsigned char md[TLS_FINGERPRINT_LEN];

	learn_names(x, f->names, sizeof(f->names));
	if (digest(x, false, md))
		hex(md, sizeof(md), f->sha256);
	if (digest(x, true, md))
		hex(md, sizeof(md), f->key_sha256);
}

/* ---- what is wrong ---- */

static void say_expired(X509 *x, struct tls_client_facts *f)
{
	struct tm tm;
	char day[32] = "a day that cannot be read";

	if (x && ASN1_TIME_to_tm(X509_get0_notAfter(x), &tm) == 1)
		strftime(day, sizeof(day), "%Y-%m-%d", &tm);
	snprintf(f->words, sizeof(f->words), "the server's certificate has expired on %s", day);
}

static void say_names(const struct tls_check *check, SSL *ssl, struct tls_client_facts *f)
{
	const char *wanted = X509_VERIFY_PARAM_get0_host(SSL_get0_param(ssl), 0);
	int n = snprintf(f->words, sizeof(f->words), "the server's certificate is not for %s",
			 wanted ? wanted : "this address");

	(void)check;
	if (n > 0 && (size_t)n < sizeof(f->words))
		snprintf(f->words + n, sizeof(f->words) - (size_t)n, ", but for %.100s",
			 f->names[0] ? f->names : "no DNS name at all");
}

static void say(struct tls_check *check, SSL *ssl, X509_STORE_CTX *ctx)
{
	struct tls_client_facts *f = &check->facts;
	int e = X509_STORE_CTX_get_error(ctx);
	const char *words = NULL;

	switch (e) {
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		f->result = TLS_RESULT_CERTIFICATE_HOST_MISMATCH;
		say_names(check, ssl, f);
		return;
	case X509_V_ERR_CERT_HAS_EXPIRED:
		f->result = TLS_RESULT_CERTIFICATE_EXPIRED;
		say_expired(X509_STORE_CTX_get_current_cert(ctx), f);
		return;
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
		f->result = TLS_RESULT_CERTIFICATE_NOT_TRUSTED;
		words = "the server's certificate is self-signed";
		break;
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_CERT_UNTRUSTED:
	case X509_V_ERR_CERT_REJECTED:
		f->result = TLS_RESULT_CERTIFICATE_NOT_TRUSTED;
		words = "the server's certificate does not lead to an authority that is trusted here "
			"(or the server left a certificate of the chain out)";
		break;
	case X509_V_ERR_DANE_NO_MATCH:
		f->result = TLS_RESULT_TLSA_INVALID;
		words = "the server's certificate is none of those in its TLSA records (DANE)";
		break;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		f->result = TLS_RESULT_VALIDATION_FAILURE;
		words = "the server's certificate is not valid yet";
		break;
	case X509_V_ERR_OUT_OF_MEM:
		f->result = TLS_RESULT_VALIDATION_FAILURE;
		words = "out of memory";
		break;
	default:
		f->result = TLS_RESULT_VALIDATION_FAILURE;
		words = X509_verify_cert_error_string(e);
	}
	snprintf(f->words, sizeof(f->words), "%s", words);
}

static bool known_fingerprint(struct tls_check *check, X509 *x)
{
	unsigned char cert[TLS_FINGERPRINT_LEN], key[TLS_FINGERPRINT_LEN];

	if (!x || !digest(x, false, cert) || !digest(x, true, key))
		return false;
	for (unsigned i = 0; i < check->n_fingerprints; i++)
		if (memcmp(check->fingerprints[i], cert, sizeof(cert)) == 0 ||
		    memcmp(check->fingerprints[i], key, sizeof(key)) == 0)
			return true;
	return false;
}

static bool verify(struct tls_check *check, SSL *ssl, X509_STORE_CTX *ctx)
{
	struct tls_client_facts *f = &check->facts;
	uint8_t usage;

	if (check->how == TLS_VERIFY_FINGERPRINTS) {
		if (known_fingerprint(check, X509_STORE_CTX_get0_cert(ctx)))
			return true;
		f->result = TLS_RESULT_CERTIFICATE_NOT_TRUSTED;
		snprintf(f->words, sizeof(f->words),
			 "neither the server's certificate (%.16s...) nor its key has a fingerprint of the "
			 "configuration",
			 f->sha256);
		X509_STORE_CTX_set_error(ctx, X509_V_ERR_CERT_UNTRUSTED);
		return false;
	}
	if (X509_verify_cert(ctx) <= 0 || X509_STORE_CTX_get_error(ctx) != X509_V_OK) {
		say(check, ssl, ctx);
		return false;
	}
	if (check->how == TLS_VERIFY_DANE && SSL_get0_dane_tlsa(ssl, &usage, NULL, NULL, NULL, NULL) >= 0)
		f->tlsa_usage = usage;
	return true;
}

int tls_verify_callback(X509_STORE_CTX *ctx, void *arg)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(ctx, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls_session *s = SSL_get_app_data(ssl);
	struct tls_check *check = s->check;

	(void)arg;
	learn(X509_STORE_CTX_get0_cert(ctx), &check->facts);
	check->facts.how = check->how;
	if (check->how == TLS_VERIFY_NONE || verify(check, ssl, ctx)) {
		check->facts.verified = check->how != TLS_VERIFY_NONE;
		X509_STORE_CTX_set_error(ctx, X509_V_OK);
		return 1;
	}
	if (!check->only_report)
		return 0;
	ERR_clear_error();
	X509_STORE_CTX_set_error(ctx, X509_V_OK);
	return 1;
}
