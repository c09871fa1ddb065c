/* auth.h - logins: SASL exchanges, passwords, API keys, and what is remembered of them.
 *
 * The driver tells what came, then fetches events until there are none; it does so
 * again whenever the descriptor becomes readable, for passwords are tested on
 * threads.  An exchange is named by the peer that holds the session and that
 * peer's number for it; a peer that goes away takes its exchanges along.
 *
 * Nobody learns whether an account exists: one refusal in one wording for all
 * causes, after the same work.
 *
 * Who guesses is slowed, then locked (guess.h).  A locked login is answered 454, which
 * says for how long: 535 would have mail programs throw a right password away.  That tells a
 * stranger nothing, because names without an account are locked as well.  API keys cannot be
 * guessed: a right one is never locked out.
 */
#ifndef POSTERN_ACCOUNT_AUTH_H
#define POSTERN_ACCOUNT_AUTH_H

#include "account/guess.h"
#include "account/hash.h"
#include "account/store.h"

#define ACCOUNT_EXCHANGES_MAX 4096
#define ACCOUNT_CACHE_MAX     10000

struct account_auth;

struct account_auth_setup {
	struct account_store *store;
	struct account_hash *hash;
	unsigned cache_s;
	struct account_guess *guess; /* outlives it; NULL: nobody is counted or locked */
	unsigned remember_s;	     /* how long an account knows a network */
};

int account_auth_new(const struct account_auth_setup *setup, struct account_auth **ret);
void account_auth_free(struct account_auth *a);
void account_auth_set_cache(struct account_auth *a, unsigned seconds);
void account_auth_set_remember(struct account_auth *a, unsigned seconds);
/* The time of all that follows: seconds since 1970, and of a clock that only goes forward. */
void account_auth_clock(struct account_auth *a, int64_t wall_s, uint64_t steady_s);

struct account_auth_start {
	struct slice mech;
	bool has_initial;
	struct slice initial;
	struct slice exporter; /* tls-exporter, or empty */
	struct slice listener;
	struct ip ip;
};

/* 0, and an event will come, now or later; -EBUSY: too many exchanges are open;
 * -EEXIST: that number is in use; -ENOMEM. */
int account_auth_start(struct account_auth *a, uint32_t peer, uint64_t req,
		       const struct account_auth_start *start);
/* -ENOENT: no such exchange, or it waits for no data. */
int account_auth_step(struct account_auth *a, uint32_t peer, uint64_t req, struct slice data);
void account_auth_abort(struct account_auth *a, uint32_t peer, uint64_t req);
void account_auth_drop_peer(struct account_auth *a, uint32_t peer);
/* A finished job of the hash pool whose token is ours (ACCOUNT_AUTH_TOKEN). */
void account_auth_hashed(struct account_auth *a, const struct account_hash_done *done);

struct account_auth_event {
	uint32_t peer;
	uint64_t req;
	bool challenge; /* send data; else the exchange is over: */
	struct slice data;
	int code; /* 235, 535, 454, 501, 504 */
	const char *enhanced, *text;
	uint64_t account, key;
	struct slice name;	       /* the account; of a refused login what the client wrote */
	struct slice owner;	       /* of the account that logged in */
	enum account_class class;      /* its */
	uint32_t delay_ms;	       /* the client shall wait for its answer so long */
	bool locked;		       /* refused untested, or untold */
	enum account_guess_lock begun; /* this login began a lock, for begun_s */
	uint64_t begun_s;
	const char *why; /* of a refusal: for the log, never for the client */
	struct slice listener;
	struct ip ip;
};
/* Slices are valid until the next call with this auth. */
bool account_auth_next(struct account_auth *a, struct account_auth_event *ret);

struct account_auth_counters {
	uint64_t open, succeeded, refused, locked, busy, remembered, by_key;
};
void account_auth_count(const struct account_auth *a, struct account_auth_counters *ret);

/* Of the tokens of hash jobs auth has the even ones; the odd ones are the driver's. */
#define ACCOUNT_AUTH_TOKEN(token) (((token)&1) == 0)

#endif
