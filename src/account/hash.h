/* hash.h - password hashes, computed on threads of their own.
 *
 * Argon2id (libsodium) takes tens of milliseconds and 64 MiB each, so a bounded
 * number is computed at once and a bounded number waits; one more is refused
 * with -EBUSY, which becomes "454 4.7.0" in SMTP.  Finished jobs are fetched with
 * account_hash_next() when the descriptor becomes readable; they come in any order.
 *
 * A password is UTF-8 and prepared by SASLprep (RFC 4013), as SCRAM demands and
 * PLAIN recommends, so that both agree.  Threads see nothing but their job.
 */
#ifndef POSTERN_ACCOUNT_HASH_H
#define POSTERN_ACCOUNT_HASH_H

#include "account/request.h"

#define ACCOUNT_PASSWORD_MIN 8
#define ACCOUNT_PASSWORD_MAX 1024

struct account_hash_setup {
	unsigned threads, queue;
	unsigned long long opslimit; /* 0: libsodium's INTERACTIVE limits */
	size_t memlimit;
};

struct account_hash;

/* No thread is started before the first job, so a sandbox can come between. */
int account_hash_new(const struct account_hash_setup *setup, struct account_hash **ret);
/* Waits for the jobs under way; those that wait are dropped. */
void account_hash_free(struct account_hash *h);

enum account_hash_kind {
	ACCOUNT_HASH_MAKE,   /* a hash and a SCRAM verifier */
	ACCOUNT_HASH_VERIFY, /* against a hash; an empty one costs the same and fails */
};

struct account_hash_done {
	uint64_t token;
	enum account_hash_kind kind;
	int result; /* MAKE: 0 or -ENOMEM.  VERIFY: 1 right, 0 wrong, -ENOMEM */
	/* MAKE: the hash and verifier.  VERIFY: a better hash if the old one's limits were
	 * others, else ""; a verifier if one was wanted. */
	struct account_password made;
};

/* The password is copied, and wiped when the job is done.  0, -EBUSY, -ENOMEM, -EAGAIN. */
int account_hash_make(struct account_hash *h, uint64_t token, struct slice password);
int account_hash_verify(struct account_hash *h, uint64_t token, struct slice password, const char *hash,
			bool want_verifier);
int account_hash_wake_fd(const struct account_hash *h);
bool account_hash_next(struct account_hash *h, struct account_hash_done *ret);

struct account_hash_counters {
	uint64_t waiting, running, done, refused;
};
void account_hash_count(struct account_hash *h, struct account_hash_counters *ret);

/* SASLprep; false if it is no password that can be prepared.  *ret is wiped and freed
 * by the caller with account_prepared_free(). */
bool account_prepare_password(struct slice password, char **ret);
void account_prepared_free(char *prepared);

#endif
