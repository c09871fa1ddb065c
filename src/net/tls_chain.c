/* A server's certificates, for people. */
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "net/conn_private.h"

/* OpenSSL's one-line form for people; escapes what is not printable ASCII. */
static void name_text(const X509_NAME *name, char *to, size_t size)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *p;
	long n;

	to[0] = '\0';
	if (!bio)
		return;
	X509_NAME_print_ex(bio, name, 0,
			   (XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_QUOTE & ~XN_FLAG_SPC_EQ) |
				   ASN1_STRFLGS_ESC_MSB | ASN1_STRFLGS_ESC_CTRL);
	n = BIO_get_mem_data(bio, &p);
	snprintf(to, size, "%.*s", n > 0 ? (int)n : 0, n > 0 ? p : "");
	BIO_free(bio);
}

static int64_t seconds(const ASN1_TIME *t)
{
	struct tm tm = { 0 };

	return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

static void key_text(X509 *x, char *to, size_t size)
{
	const EVP_PKEY *key = X509_get0_pubkey(x);
	char group[32] = "";
	size_t n;

	if (!key)
		snprintf(to, size, "unknown");
	else if (EVP_PKEY_get_group_name(key, group, sizeof(group), &n) == 1 &&
		 EVP_PKEY_get_base_id(key) == EVP_PKEY_EC)
		snprintf(to, size, "EC %.24s", group);
	else
		snprintf(to, size, "%.20s %d", OBJ_nid2sn(EVP_PKEY_get_base_id(key)), EVP_PKEY_get_bits(key));
}

static void learn(X509 *x, struct tls_certificate_facts *f)
{
	unsigned char md[TLS_FINGERPRINT_LEN];
	unsigned n = sizeof(md);

	memset(f, 0, sizeof(*f));
	name_text(X509_get_subject_name(x), f->subject, sizeof(f->subject));
	name_text(X509_get_issuer_name(x), f->issuer, sizeof(f->issuer));
	f->not_before = seconds(X509_get0_notBefore(x));
	f->not_after = seconds(X509_get0_notAfter(x));
	f->self_signed = X509_NAME_cmp(X509_get_subject_name(x), X509_get_issuer_name(x)) == 0;
	key_text(x, f->key, sizeof(f->key));
	if (X509_digest(x, EVP_sha256(), md, &n) == 1)
		for (size_t i = 0; i < sizeof(md); i++)
			snprintf(f->sha256 + 2 * i, 3, "%02x", md[i]);
}

size_t conn_tls_client_chain(const struct conn *c, struct tls_certificate_facts *ret, size_t max)
{
	STACK_OF(X509) *chain = c->tls ? SSL_get_peer_cert_chain(c->tls->ssl) : NULL;
	size_t n = 0;

	while (n < max && (int)n < sk_X509_num(chain)) {
		learn(sk_X509_value(chain, (int)n), &ret[n]);
		n++;
	}
	ERR_clear_error();
	return n;
}
