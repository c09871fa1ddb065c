/* What OpenSSL makes when it is first asked for, made while there is memory.
 *
 * At the first question for an algorithm of some kind OpenSSL 3 has the provider make all of that
 * kind, notes that this is done, and passes over those that it had no memory for.  Nothing ever
 * makes these again: each handshake that needs one fails ("unsupported") until the process ends. */
#include <errno.h>
#include <openssl/core_dispatch.h>
#include <openssl/decoder.h>
#include <openssl/encoder.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/provider.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "net/tls_private.h"

/* One of these that a provider lists must be there.  Of the others nothing is asked: what a policy of
 * the system forbids, or a later OpenSSL calls by another name, is no lack of memory. */
static const struct {
	int operation;
	const char *name;
} needed[] = {
	{ OSSL_OP_DIGEST, "SHA2-256" },	   { OSSL_OP_DIGEST, "SHA2-384" },
	{ OSSL_OP_DIGEST, "SHA2-512" },	   { OSSL_OP_DIGEST, "SHA1" },
	{ OSSL_OP_CIPHER, "AES-128-GCM" }, { OSSL_OP_CIPHER, "AES-256-GCM" },
	{ OSSL_OP_CIPHER, "AES-128-CBC" }, { OSSL_OP_CIPHER, "AES-256-CBC" },
	{ OSSL_OP_CIPHER, "AES-256-CTR" }, { OSSL_OP_CIPHER, "ChaCha20-Poly1305" },
	{ OSSL_OP_MAC, "HMAC" },	   { OSSL_OP_KDF, "TLS13-KDF" },
	{ OSSL_OP_KDF, "TLS1-PRF" },	   { OSSL_OP_KDF, "HKDF" },
	{ OSSL_OP_RAND, "CTR-DRBG" },	   { OSSL_OP_KEYMGMT, "RSA" },
	{ OSSL_OP_KEYMGMT, "EC" },	   { OSSL_OP_KEYMGMT, "X25519" },
	{ OSSL_OP_KEYMGMT, "ED25519" },	   { OSSL_OP_KEYMGMT, "TLS1-PRF" },
	{ OSSL_OP_KEYMGMT, "HKDF" },	   { OSSL_OP_KEYMGMT, "HMAC" },
	{ OSSL_OP_KEYEXCH, "ECDH" },	   { OSSL_OP_KEYEXCH, "X25519" },
	{ OSSL_OP_KEYEXCH, "TLS1-PRF" },   { OSSL_OP_KEYEXCH, "HKDF" },
	{ OSSL_OP_SIGNATURE, "RSA" },	   { OSSL_OP_SIGNATURE, "ECDSA" },
	{ OSSL_OP_SIGNATURE, "ED25519" },  { OSSL_OP_SIGNATURE, "HMAC" },
	{ OSSL_OP_ASYM_CIPHER, "RSA" },	   { OSSL_OP_DECODER, "DER" }, /* keys in files */
	{ OSSL_OP_DECODER, "RSA" },	   { OSSL_OP_DECODER, "EC" },
	{ OSSL_OP_DECODER, "ED25519" },
};

static bool is_needed(int operation, const char *name)
{
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (needed[i].operation == operation && !strcmp(needed[i].name, name))
			return true;
	return false;
}

/* which: its properties. */
static bool is_there(int operation, const char *name, const char *which)
{
#define FETCHED(kind)                                        \
	do {                                                 \
		kind *got = kind##_fetch(NULL, name, which); \
		kind##_free(got);                            \
		return got;                                  \
	} while (0)

	switch (operation) {
	case OSSL_OP_DIGEST:
		FETCHED(EVP_MD);
	case OSSL_OP_CIPHER:
		FETCHED(EVP_CIPHER);
	case OSSL_OP_MAC:
		FETCHED(EVP_MAC);
	case OSSL_OP_KDF:
		FETCHED(EVP_KDF);
	case OSSL_OP_RAND:
		FETCHED(EVP_RAND);
	case OSSL_OP_KEYMGMT:
		FETCHED(EVP_KEYMGMT);
	case OSSL_OP_KEYEXCH:
		FETCHED(EVP_KEYEXCH);
	case OSSL_OP_SIGNATURE:
		FETCHED(EVP_SIGNATURE);
	case OSSL_OP_ASYM_CIPHER:
		FETCHED(EVP_ASYM_CIPHER);
	case OSSL_OP_KEM:
		FETCHED(EVP_KEM);
	case OSSL_OP_ENCODER:
		FETCHED(OSSL_ENCODER);
	case OSSL_OP_DECODER:
		FETCHED(OSSL_DECODER);
	default:
		return true; /* of a kind that is not for TLS */
	}
#undef FETCHED
}

static int prepare_provider(OSSL_PROVIDER *provider, void *arg)
{
	bool *complete = arg;
	char which[200], name[80];

	for (int operation = 1; operation <= OSSL_OP__HIGHEST; operation++) {
		int no_cache;
		const OSSL_ALGORITHM *all = OSSL_PROVIDER_query_operation(provider, operation, &no_cache);

		for (const OSSL_ALGORITHM *a = all; a && a->algorithm_names; a++) {
			snprintf(name, sizeof(name), "%.*s", (int)strcspn(a->algorithm_names, ":"),
				 a->algorithm_names);
			/* This very one, whatever the system's configuration prefers. */
			if (a->property_definition)
				snprintf(which, sizeof(which), "%s%s", a->property_definition,
					 strstr(a->property_definition, "fips") ? "" : ",-fips");
			else
				snprintf(which, sizeof(which), "provider=%s,-fips",
					 OSSL_PROVIDER_get0_name(provider));
			if (!is_there(operation, name, which) && is_needed(operation, name))
				*complete = false;
		}
		if (all)
			OSSL_PROVIDER_unquery_operation(provider, operation, all);
	}
	return 1;
}

int tls_process_begin(void)
{
	unsigned char unused[16];
	/* First, for without memory the others may crash; it makes itself what is made only once. */
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());
	bool complete = ctx && OPENSSL_init_ssl(OPENSSL_INIT_LOAD_SSL_STRINGS, NULL) == 1;

	if (complete && OSSL_PROVIDER_do_all(NULL, prepare_provider, &complete) != 1)
		complete = false;
	complete = complete && RAND_bytes(unused, sizeof(unused)) == 1 &&
		   RAND_priv_bytes(unused, sizeof(unused)) == 1;
	SSL_CTX_free(ctx);
	ERR_clear_error();
	return complete ? 0 : -ENOMEM;
}
