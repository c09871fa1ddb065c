#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "net/tls.h"

#define SELF_SIGNED_DAYS (10 * 365 + 2)

static bool set_serial(X509 *x)
{
	unsigned char bytes[16];
	BIGNUM *bn;
	bool ok;

	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return false;
	bytes[0] &= 0x7f; /* RFC 5280 4.1.2.2: positive */
	bytes[0] |= 0x40; /* and never short */
	bn = BN_bin2bn(bytes, sizeof(bytes), NULL);
	ok = bn && BN_to_ASN1_INTEGER(bn, X509_get_serialNumber(x));
	BN_free(bn);
	return ok;
}

static bool add_extension(X509 *x, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *e;
	bool ok;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	ok = e && X509_add_ext(x, e, -1) == 1;
	X509_EXTENSION_free(e);
	return ok;
}

/* Built as objects, not from a configuration string: a host name with a comma
 * in it would otherwise become two. */
static bool add_alt_names(X509 *x, const char *const *names, size_t n)
{
	GENERAL_NAMES *all = GENERAL_NAMES_new();
	bool ok = all != NULL;

	for (size_t i = 0; ok && i < n; i++) {
		GENERAL_NAME *g = GENERAL_NAME_new();
		ASN1_IA5STRING *text = ASN1_IA5STRING_new();

		ok = g && text && ASN1_STRING_set(text, names[i], -1) == 1;
		if (ok) {
			GENERAL_NAME_set0_value(g, GEN_DNS, text);
			ok = sk_GENERAL_NAME_push(all, g) > 0;
		} else {
			ASN1_IA5STRING_free(text);
		}
		if (!ok)
			GENERAL_NAME_free(g);
	}
	ok = ok && X509_add1_ext_i2d(x, NID_subject_alt_name, all, 0, 0) == 1;
	GENERAL_NAMES_free(all);
	return ok;
}

static bool fill(X509 *x, EVP_PKEY *key, const char *const *names, size_t n)
{
	X509_NAME *subject = X509_get_subject_name(x);
	/* ub-common-name is 64; a longer host name stands in subjectAltName only. */
	const char *cn = strlen(names[0]) <= 64 ? names[0] : "postern";

	return X509_set_version(x, X509_VERSION_3) == 1 && set_serial(x) &&
	       X509_gmtime_adj(X509_getm_notBefore(x), -3600) && /* clients' clocks are not always right */
	       X509_time_adj_ex(X509_getm_notAfter(x), SELF_SIGNED_DAYS, 0, NULL) &&
	       X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8, (const unsigned char *)cn,
					  -1, -1, 0) == 1 &&
	       X509_set_issuer_name(x, subject) == 1 && X509_set_pubkey(x, key) == 1 &&
	       add_extension(x, NID_basic_constraints, "critical,CA:FALSE") &&
	       add_extension(x, NID_key_usage, "critical,digitalSignature") &&
	       add_extension(x, NID_ext_key_usage, "serverAuth") &&
	       add_extension(x, NID_subject_key_identifier, "hash") && add_alt_names(x, names, n) &&
	       X509_sign(x, key, EVP_sha256()) > 0;
}

static bool write_pem(X509 *x, EVP_PKEY *key, struct buf *ret)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *p;
	long n;
	bool ok = bio && PEM_write_bio_X509(bio, x) == 1 &&
		  PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1;

	if (ok) {
		n = BIO_get_mem_data(bio, &p);
		buf_put(ret, slice_of(p, (size_t)n));
		explicit_bzero(p, (size_t)n);
	}
	BIO_free(bio);
	return ok && buf_ok(ret);
}

int tls_self_signed(const char *const *names, size_t n, struct buf *ret)
{
	EVP_PKEY *key;
	X509 *x;
	int r = -ENOMEM;

	if (n == 0 || names[0][0] == '\0')
		return -EINVAL;
	key = EVP_EC_gen("P-256");
	x = X509_new();
	if (key && x && fill(x, key, names, n) && write_pem(x, key, ret))
		r = 0;
	X509_free(x);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return r;
}

/* The leaf; NULL if there is none. */
static X509 *read_leaf(struct slice pem)
{
	BIO *bio = pem.n <= INT32_MAX ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
	X509 *x = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;

	BIO_free(bio);
	ERR_clear_error();
	return x;
}

static void put_name(struct slice name, struct buf *to)
{
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] <= ' ' || name.p[i] > '~')
			return;
	if (to->n > 0)
		buf_byte(to, ' ');
	buf_put(to, name);
}

int tls_certificate_names(struct slice pem, struct buf *ret)
{
	X509 *x = read_leaf(pem);
	GENERAL_NAMES *names;
	char cn[256];
	int n;

	if (!x)
		return -EINVAL;
	names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);

		if (g->type == GEN_DNS)
			put_name(slice_of(ASN1_STRING_get0_data(g->d.dNSName),
					  (size_t)ASN1_STRING_length(g->d.dNSName)),
				 ret);
	}
	GENERAL_NAMES_free(names);
	/* RFC 6125 6.4.4: the common name counts where there is no other. */
	n = X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, cn, sizeof(cn));
	if (ret->n == 0 && n > 0)
		put_name(slice_of(cn, (size_t)n), ret);
	X509_free(x);
	ERR_clear_error();
	return buf_ok(ret) ? 0 : -ENOMEM;
}

int tls_certificate_info(struct slice pem, int64_t *ret_not_after, char ret_sha256[65])
{
	X509 *x = read_leaf(pem);
	unsigned char digest[32];
	unsigned int size = sizeof(digest);
	struct tm tm;
	int r = -EINVAL;

	if (x && X509_digest(x, EVP_sha256(), digest, &size) == 1 &&
	    ASN1_TIME_to_tm(X509_get0_notAfter(x), &tm) == 1) {
		*ret_not_after = (int64_t)timegm(&tm);
		for (size_t i = 0; i < sizeof(digest); i++)
			snprintf(ret_sha256 + 2 * i, 3, "%02x", digest[i]);
		r = 0;
	}
	X509_free(x);
	ERR_clear_error();
	return r;
}
