#include "account/key.h"

#include <sodium.h>

#define PREFIX	 "pk_"
#define KEY_BITS 160

static const char base32[] = "abcdefghijklmnopqrstuvwxyz234567";

bool account_key_form(struct slice text)
{
	if (text.n != ACCOUNT_KEY_TEXT || !slice_starts(text, SLICE_LIT(PREFIX)))
		return false;
	for (size_t i = sizeof(PREFIX) - 1; i < text.n; i++)
		if (slice_find(slice_str(base32), text.p[i]) == 32)
			return false;
	return true;
}

void account_key_make(char ret[static ACCOUNT_KEY_TEXT + 1])
{
	unsigned char random[KEY_BITS / 5];

	/* Five bits of each octet: the same 160 random bits, without shifting them about. */
	randombytes_buf(random, sizeof(random));
	memcpy(ret, PREFIX, sizeof(PREFIX) - 1);
	for (size_t i = 0; i < sizeof(random); i++)
		ret[sizeof(PREFIX) - 1 + i] = base32[random[i] & 31];
	ret[ACCOUNT_KEY_TEXT] = 0;
	explicit_bzero(random, sizeof(random));
}

void account_key_hash(struct slice text, unsigned char ret[static ACCOUNT_KEY_HASH])
{
	crypto_generichash(ret, ACCOUNT_KEY_HASH, text.p, text.n, NULL, 0);
}
