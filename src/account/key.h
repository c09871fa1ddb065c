/* key.h - API keys: passwords for programs, 160 random bits as text.
 *
 * "pk_" and 32 characters of lower-case base 32 (RFC 4648 section 6).  Nothing
 * can be guessed, so a fast hash is enough, and the hash finds the row: a key
 * that exists and one that does not cost the same.
 */
#ifndef POSTERN_ACCOUNT_KEY_H
#define POSTERN_ACCOUNT_KEY_H

#include "account/store.h"

#define ACCOUNT_KEY_TEXT 35 /* octets, without NUL */

/* Is it of the form of a key? */
bool account_key_form(struct slice text);
void account_key_make(char ret[static ACCOUNT_KEY_TEXT + 1]); /* wiped by the caller */
void account_key_hash(struct slice text, unsigned char ret[static ACCOUNT_KEY_HASH]);

#endif
