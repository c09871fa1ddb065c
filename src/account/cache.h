/* cache.h - passwords that were right a short while ago.
 *
 * An application that logs in for every message must not cost a hash each.  A
 * success is kept as a BLAKE2b MAC of account, version, hash and password under a key
 * that this process made for itself and never shows.  Any change of the account
 * changes version or hash, so an old entry cannot match what it no longer stands
 * for; and whether the account is enabled is asked of the database each time.
 */
#ifndef POSTERN_ACCOUNT_CACHE_H
#define POSTERN_ACCOUNT_CACHE_H

#include "account/store.h"

struct account_cache;

/* At most max entries, the oldest goes first; each is good for so many seconds.
 * seconds 0: nothing is remembered.  0 or -ENOMEM. */
int account_cache_new(size_t max, unsigned seconds, struct account_cache **ret);
void account_cache_free(struct account_cache *c);
void account_cache_set_seconds(struct account_cache *c, unsigned seconds);

/* now: seconds of a clock that only goes forward. */
bool account_cache_has(struct account_cache *c, const struct account_credential *who, struct slice password,
		       uint64_t now);
void account_cache_add(struct account_cache *c, const struct account_credential *who, struct slice password,
		       uint64_t now);

#endif
