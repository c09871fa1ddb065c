#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/list.h"
#include "net/tls_private.h"

/* One name, exact ("mx.example.org") or wildcard ("*.example.org"), in lower case. */
struct tls_name {
	struct map_node node;
	const struct tls_certificate *certificate[TLS_KEYS];
	char text[];
};

/* Where a message about certificate number at goes. */
struct complaint {
	char *text;
	size_t size;
	size_t at, n;
};

static int complain(const struct complaint *c, const char *what)
{
	if (c->n > 1)
		snprintf(c->text, c->size, "certificate %zu of %zu: %s", c->at + 1, c->n, what);
	else
		snprintf(c->text, c->size, "certificate: %s", what);
	ERR_clear_error();
	return -EINVAL;
}

static BIO *bio_of(struct slice pem)
{
	return pem.n <= INT32_MAX ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
}

/* All certificates of the PEM, in order. */
static STACK_OF(X509) * read_chain(struct slice pem)
{
	STACK_OF(X509) *chain = sk_X509_new_null();
	BIO *bio = bio_of(pem);
	X509 *x;

	while (chain && bio && (x = PEM_read_bio_X509(bio, NULL, NULL, NULL)))
		if (!sk_X509_push(chain, x)) {
			X509_free(x);
			break;
		}
	BIO_free(bio);
	ERR_clear_error(); /* the end of the PEM is an error to OpenSSL */
	return chain;
}

static int no_password(char *to, int size, int writing, void *asked)
{
	(void)to;
	(void)size;
	(void)writing;
	*(bool *)asked = true;
	return -1;
}

static EVP_PKEY *read_key(struct slice pem, bool *ret_encrypted)
{
	BIO *bio = bio_of(pem);
	bool asked = false;
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_password, &asked) : NULL;

	BIO_free(bio);
	ERR_clear_error();
	*ret_encrypted = asked;
	return key;
}

static bool key_type(const EVP_PKEY *key, enum tls_key *ret)
{
	switch (EVP_PKEY_get_base_id(key)) {
	case EVP_PKEY_RSA:
		*ret = TLS_KEY_RSA;
		return true;
	case EVP_PKEY_EC:
		*ret = TLS_KEY_EC;
		return true;
	case EVP_PKEY_ED25519:
		*ret = TLS_KEY_ED25519;
		return true;
	default:
		return false;
	}
}

/* OpenSSL's own opinion at the security level that connections will have. */
static int try_in_context(const struct tls_certificate *c, const struct complaint *to)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	char text[160];
	int r = 0;

	if (!ctx)
		return -ENOMEM;
	SSL_CTX_set_security_level(ctx, 2);
	if (SSL_CTX_use_cert_and_key(ctx, c->leaf, c->key, c->chain, 1) != 1) {
		const char *why = ERR_reason_error_string(ERR_peek_error());

		snprintf(text, sizeof(text), "not usable: %s", why ? why : "refused by OpenSSL");
		r = complain(to, text);
	}
	SSL_CTX_free(ctx);
	return r;
}

static int certificate_check(struct tls_certificate *c, const struct complaint *to)
{
	if (!key_type(c->key, &c->type))
		return complain(to, "the key is neither RSA, ECDSA nor Ed25519");
	if (X509_check_private_key(c->leaf, c->key) != 1) {
		ERR_clear_error();
		for (int i = 0; i < sk_X509_num(c->chain); i++)
			if (X509_check_private_key(sk_X509_value(c->chain, i), c->key) == 1)
				return complain(to, "the chain is in the wrong order: the certificate "
						    "that the key belongs to must come first");
		return complain(to, "the key does not belong to the certificate");
	}
	if (EVP_PKEY_get_security_bits(c->key) < 112)
		return complain(to, "the key is too short: RSA needs 2048 bits or more, ECDSA 256");
	return try_in_context(c, to);
}

static void certificate_done(struct tls_certificate *c)
{
	X509_free(c->leaf);
	sk_X509_pop_free(c->chain, X509_free);
	EVP_PKEY_free(c->key);
}

static int certificate_init(struct tls_certificate *c, struct slice pem, const struct complaint *to)
{
	bool encrypted;

	c->chain = read_chain(pem);
	if (!c->chain)
		return -ENOMEM;
	c->leaf = sk_X509_shift(c->chain);
	if (!c->leaf)
		return complain(to, "no certificate in the file (PEM, \"BEGIN CERTIFICATE\")");
	c->key = read_key(pem, &encrypted);
	if (!c->key && encrypted)
		return complain(to, "encrypted keys are not supported: take the password off the key");
	if (!c->key)
		return complain(to, "no private key in the file (PEM, \"BEGIN PRIVATE KEY\")");
	return certificate_check(c, to);
}

static bool to_seconds(const ASN1_TIME *t, int64_t *ret)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(t, &tm) != 1)
		return false;
	*ret = (int64_t)timegm(&tm);
	return true;
}

static void warn_of_dates(const struct tls_certificate *c, const struct complaint *to)
{
	int64_t from, until;
	char day[32], text[80];
	const char *what;
	struct tm tm;
	time_t at;

	if (to->text[0] || !to_seconds(X509_get0_notBefore(c->leaf), &from) ||
	    !to_seconds(X509_get0_notAfter(c->leaf), &until))
		return;
	if (until < (int64_t)time(NULL)) {
		what = "expired on";
		at = (time_t)until;
	} else if (from > (int64_t)time(NULL)) {
		what = "not valid before";
		at = (time_t)from;
	} else {
		return;
	}
	gmtime_r(&at, &tm);
	strftime(day, sizeof(day), "%Y-%m-%d", &tm);
	snprintf(text, sizeof(text), "%s %s", what, day);
	(void)complain(to, text);
}

static bool add_name(struct tls_set *set, struct slice name, const struct tls_certificate *c)
{
	struct map_node *node;
	struct tls_name *entry;

	if (name.n == 0 || name.n > 255 || memchr(name.p, 0, name.n))
		return true; /* no client can ask for it */
	entry = calloc(1, sizeof(*entry) + name.n + 1);
	if (!entry)
		return false;
	for (size_t i = 0; i < name.n; i++)
		entry->text[i] = (char)(name.p[i] >= 'A' && name.p[i] <= 'Z' ? name.p[i] + 32 : name.p[i]);
	node = map_find(&set->names, slice_of(entry->text, name.n));
	if (node) {
		free(entry);
		entry = container_of(node, struct tls_name, node);
	} else {
		map_insert(&set->names, &entry->node, slice_of(entry->text, name.n));
	}
	if (!entry->certificate[c->type])
		entry->certificate[c->type] = c;
	return true;
}

/* Calls add_name() for every DNS name of the certificate: those of subjectAltName,
 * or the common name when it has none (RFC 6125 6.4.4). */
static bool add_names(struct tls_set *set, const struct tls_certificate *c)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(c->leaf, NID_subject_alt_name, NULL, NULL);
	bool ok = true, any = false;
	char cn[256];
	int n;

	for (int i = 0; ok && i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);

		if (g->type != GEN_DNS)
			continue;
		any = true;
		ok = add_name(set,
			      slice_of(ASN1_STRING_get0_data(g->d.dNSName),
				       (size_t)ASN1_STRING_length(g->d.dNSName)),
			      c);
	}
	GENERAL_NAMES_free(names);
	if (any)
		return ok;
	n = X509_NAME_get_text_by_NID(X509_get_subject_name(c->leaf), NID_commonName, cn, sizeof(cn));
	return n <= 0 || add_name(set, slice_of(cn, (size_t)n), c);
}

/* The default is the first certificate, and beside it those of other key types
 * that have one of its names: RSA and ECDSA for one host are listed as two. */
static void set_fallback(struct tls_set *set)
{
	const struct tls_certificate *first = &set->certificates[0];
	struct map_node *node = NULL;

	set->fallback[first->type] = first;
	while ((node = map_next(&set->names, node))) {
		const struct tls_name *name = container_of(node, struct tls_name, node);

		if (name->certificate[first->type] != first)
			continue;
		for (size_t i = 0; i < TLS_KEYS; i++)
			if (!set->fallback[i])
				set->fallback[i] = name->certificate[i];
	}
}

int tls_set_new(const struct slice *pem, size_t n, char *reterr, size_t reterr_size, struct tls_set **ret)
{
	struct complaint to = { reterr, reterr_size, 0, n };
	struct tls_set *set;
	int r = 0;

	snprintf(reterr, reterr_size, "%s", "");
	if (n == 0)
		return complain(&to, "none is given");
	set = calloc(1, sizeof(*set));
	if (!set)
		return -ENOMEM;
	set->refs = 1;
	r = map_init(&set->names);
	if (r < 0) {
		free(set);
		return r;
	}
	set->certificates = calloc(n, sizeof(*set->certificates));
	if (!set->certificates)
		r = -ENOMEM;
	for (to.at = 0; r == 0 && to.at < n; to.at++) {
		struct tls_certificate *c = &set->certificates[to.at];

		set->n++;
		r = certificate_init(c, pem[to.at], &to);
		if (r == 0)
			warn_of_dates(c, &to);
		if (r == 0 && !add_names(set, c))
			r = -ENOMEM;
	}
	if (r < 0) {
		if (r == -ENOMEM)
			snprintf(reterr, reterr_size, "out of memory");
		tls_set_unref(set);
		return r;
	}
	set_fallback(set);
	*ret = set;
	return 0;
}

void tls_set_unref(struct tls_set *set)
{
	struct map_node *node;

	if (!set || --set->refs > 0)
		return;
	while ((node = map_take_any(&set->names)))
		free(container_of(node, struct tls_name, node));
	map_done(&set->names);
	for (size_t i = 0; i < set->n; i++)
		certificate_done(&set->certificates[i]);
	free(set->certificates);
	free(set);
}

static void find_one(const struct tls_set *set, struct slice name,
		     const struct tls_certificate *ret[TLS_KEYS])
{
	struct map_node *node = map_find(&set->names, name);

	for (size_t i = 0; node && i < TLS_KEYS; i++)
		if (!ret[i])
			ret[i] = container_of(node, struct tls_name, node)->certificate[i];
}

void tls_set_find(const struct tls_set *set, const char *host, const struct tls_certificate *ret[TLS_KEYS])
{
	char name[256 + 1];
	size_t n = host ? strlen(host) : 0, dot;
	bool any = false;

	for (size_t i = 0; i < TLS_KEYS; i++)
		ret[i] = NULL;
	if (n > 0 && n < sizeof(name)) {
		for (size_t i = 0; i < n; i++)
			name[i] = (char)(host[i] >= 'A' && host[i] <= 'Z' ? host[i] + 32 : host[i]);
		if (name[n - 1] == '.') /* against RFC 6066 3, but some send it */
			n--;
		find_one(set, slice_of(name, n), ret);
		/* A wildcard stands for exactly one label (RFC 6125 6.4.3). */
		dot = slice_find(slice_of(name, n), '.');
		if (dot > 0 && dot < n) {
			name[dot - 1] = '*';
			find_one(set, slice_of(name + dot - 1, n - dot + 1), ret);
		}
	}
	for (size_t i = 0; i < TLS_KEYS; i++)
		any = any || ret[i];
	if (!any)
		memcpy(ret, set->fallback, sizeof(set->fallback));
}
