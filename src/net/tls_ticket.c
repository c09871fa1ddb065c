#include <openssl/core_names.h>
#include <openssl/rand.h>
#include <sodium.h>
#include <string.h>
#include <time.h>

#include "net/tls_private.h"

/* The keys of one slot.  Deriving them costs two BLAKE2b blocks, less than the
 * ticket itself, so they are made anew each time and never lie in memory. */
struct slot_keys {
	unsigned char name[16];
	unsigned char key[64]; /* 32 for AES-256-CBC, 32 for HMAC-SHA-256 */
};

static int64_t real_now(void)
{
	return (int64_t)time(NULL);
}

void tls_tickets_init(struct tls_tickets *t)
{
	*t = (struct tls_tickets){ .now = real_now };
}

static void derive(const struct tls_tickets *t, int64_t slot, struct slot_keys *ret)
{
	struct {
		char label[16];
		int64_t slot;
	} in = { "ticket name", slot };

	crypto_generichash(ret->name, sizeof(ret->name), (const unsigned char *)&in, sizeof(in), t->secret,
			   sizeof(t->secret));
	memcpy(in.label, "ticket keys", sizeof("ticket keys"));
	crypto_generichash(ret->key, sizeof(ret->key), (const unsigned char *)&in, sizeof(in), t->secret,
			   sizeof(t->secret));
}

static bool set_mac(EVP_MAC_CTX *mac, struct slot_keys *k)
{
	char digest[] = "SHA256";
	OSSL_PARAM p[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, k->key + 32, 32),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};

	return EVP_MAC_CTX_set_params(mac, p) == 1;
}

/* Returns what SSL_CTX_set_tlsext_ticket_key_evp_cb(3) defines: -1 error, 0 no
 * such key, 1 good, 2 good and to be renewed. */
int tls_tickets_callback(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
			 EVP_MAC_CTX *mac, int encrypt)
{
	const struct tls_tickets *t = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	int64_t slot = t->now() / TLS_TICKET_SLOT;
	struct slot_keys k;
	int r = 0;

	if (!t->on)
		return 0;
	if (encrypt) {
		derive(t, slot, &k);
		memcpy(name, k.name, sizeof(k.name));
		r = RAND_bytes(iv, 16) == 1 &&
				    EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, k.key, iv) == 1 &&
				    set_mac(mac, &k)
			    ? 1
			    : -1;
	} else {
		for (int age = 0; age < 2 && r == 0; age++) {
			derive(t, slot - age, &k);
			if (memcmp(name, k.name, sizeof(k.name)) != 0)
				continue;
			r = EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, k.key, iv) == 1 &&
					    set_mac(mac, &k)
				    ? 1 + age
				    : -1;
		}
	}
	explicit_bzero(&k, sizeof(k));
	return r;
}
