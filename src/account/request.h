/* request.h - what an administrator asks and changes: JSON in, JSON out.
 *
 * {"ask": "account.add", "account": "ada@example.org"} and the like; one table in
 * request.c names every question and its fields.  The answer is an object with
 * what was asked for, or {"error": ..., "advice": ...}: what is wrong, and what to
 * do next.  Lists come in pages that fit a message: "next" in an answer is
 * "after" in the next question.
 *
 * Passwords are not in it: the caller has them hashed first (hash.h) and gives
 * the hash along.  API keys are made here, and are in the answer once.
 */
#ifndef POSTERN_ACCOUNT_REQUEST_H
#define POSTERN_ACCOUNT_REQUEST_H

#include <jansson.h>

#include "account/store.h"

struct account_password {
	char hash[ACCOUNT_HASH_MAX];
	struct account_verifier verifier; /* kept where the domain has SCRAM on */
};

/* NULL: out of memory.  password may be NULL: none was given.  now: seconds since 1970. */
json_t *account_request(struct account_store *s, const json_t *ask, const struct account_password *password,
			int64_t now);
/* Is it a question that a password may come with? */
bool account_request_takes_password(const char *ask);
/* Why these octets cannot be a password, or NULL: shorter than 8, longer than 1024,
 * not UTF-8, not allowed by SASLprep (RFC 4013), or of the form of an API key. */
const char *account_password_refused(struct slice password);

#endif
