/* limit.h - limits of the whole server, as one process keeps them.
 *
 * Several processes speak SMTP, and a limit is one number for all of them.  Asking a
 * counter elsewhere for each connection would cost as much as the connection, so each process
 * decides alone as long as it can, and claims room from ledger only for who uses much:
 *
 *	free    what each process may use of a limit without a word: an eighth of the limit
 *	        in equal parts
 *	claim   what ledger granted it beyond that; all claims and all free parts together
 *	        are never more than the limit (policy/claims.h)
 *	ahead   it claims a little more than it needs, so that it asks seldom
 *
 * So the limit is never exceeded while ledger answers, and a client is refused at most an
 * eighth of the limit too early (when all its connections come to one process), plus what other
 * processes hold ahead for a moment: at most another eighth.  Without ledger each process
 * uses its share, the limit divided by their number; claims that were granted stay good,
 * so that for the time of one outage the sum may come to twice the limit (and one a process, for
 * a share is one at least).  A process that ends takes its counts along.
 *
 * Two sorts: how many at once (sessions), and how many in a time (a sliding window in
 * eighths: a strict one, at most the limit in any such time).
 *
 * An engine: it keeps no clock and sends nothing.  What is to be sent to ledger it hands out by
 * limits_next(); waiting for an answer is the caller's, who asks again with `hurry` when
 * he has waited long enough.  Bounded: beyond LIMITS_MAX counts of strangers, and as many of users,
 * the one used least goes of some of its sort that have no session and no claim; so no stranger
 * pushes out the count of an account.
 */
#ifndef POSTERN_POLICY_LIMIT_H
#define POSTERN_POLICY_LIMIT_H

#include "base/buf.h"
#include "base/ip.h"
#include "base/list.h"
#include "base/map.h"

#define LIMITS_MAX    65536 /* of strangers' counts, and of users' */
#define LIMIT_KEY_MAX 400

enum limit_kind {
	LIMIT_NONE,
	LIMIT_SESSIONS, /* of a listener */
	LIMIT_SESSIONS_IP,
	LIMIT_SESSIONS_NETWORK,
	LIMIT_RATE_IP, /* sessions begun within a minute */
	LIMIT_RATE_NETWORK,
	LIMIT_ACCOUNT_MESSAGES,
	LIMIT_ACCOUNT_RECIPIENTS,
	LIMIT_UID_MESSAGES,
	LIMIT_UID_RECIPIENTS,
	LIMIT_OWNER_MESSAGES,
	LIMIT_OWNER_RECIPIENTS,
	LIMIT_KINDS, /* one past the last */
};
const char *limit_kind_name(unsigned kind); /* "sessions-ip", "account-messages"; "none" */

/* Whom a count is for.  The key is its bytes: kind, listener (of sessions and rates), who. */
struct limit_key {
	unsigned char byte[LIMIT_KEY_MAX];
	size_t n;
};
void limit_key_net(struct limit_key *k, enum limit_kind kind, const char *listener, const struct ip_net *net);
void limit_key_text(struct limit_key *k, enum limit_kind kind, const char *listener, struct slice who);
struct slice limit_key_slice(const struct limit_key *k);
/* Of strangers' bytes: false if it is none.  who: as people write it, "192.0.2.7", "2001:db8::/64". */
bool limit_key_show(struct slice key, enum limit_kind *ret_kind, struct slice *ret_listener,
		    struct buf *ret_who);
struct ip_net limit_net(const struct ip *ip, unsigned bits);

struct limits;
struct limit_use; /* one count */

struct limit {
	uint32_t max;
	uint64_t window_ms; /* 0: at once */
	unsigned processes; /* that it is for: 1 where only this one serves it */
};

enum limit_answer {
	LIMIT_TAKEN,
	LIMIT_ASK, /* wait for limits_granted() of this count, for a moment; then once more */
	LIMIT_REFUSED,
};

int limits_new(struct limits **ret); /* 0 or -ENOMEM */
void limits_free(struct limits *l);

/* Take n.  hurry: do not ask, decide with what is known (ledger is away or slow).  *ret: the count,
 * which stays while something is taken at once, or pinned.  NULL when out of memory: it is taken
 * uncounted. */
enum limit_answer limit_take(struct limits *l, uint64_t now_ms, const struct limit_key *key,
			     const struct limit *limit, uint32_t n, bool hurry, struct limit_use **ret);
/* Give back n that was not used after all, or is over. */
void limit_give(struct limits *l, uint64_t now_ms, struct limit_use *u, uint32_t n);
void limit_give_key(struct limits *l, uint64_t now_ms, const struct limit_key *key, uint32_t n);
void limit_pin(struct limit_use *u);
void limit_unpin(struct limits *l, struct limit_use *u);
/* After LIMIT_REFUSED: when there may be room again, as far as is known; at least 1. */
unsigned limit_retry_s(const struct limit_use *u, uint64_t now_ms);

/* To be called about every LIMITS_SWEEP_MS while it returns true: claims that are not needed go back. */
#define LIMITS_SWEEP_MS 100
bool limits_sweep(struct limits *l, uint64_t now_ms);

/* What ledger shall hear; slices are valid until the next call. */
struct limit_claim {
	struct slice key;
	uint32_t use, limit;
	uint32_t want, have; /* the claim wished for; what of it is in use already, whatever ledger says */
	uint32_t pool;	     /* of all claims together */
	uint32_t refused_s;  /* somebody was refused, and may come again in so many seconds; 0: nobody */
	bool answer;
};
bool limits_next(struct limits *l, uint64_t now_ms, struct limit_claim *ret);
/* Ledger's answer; full: it cannot count that one.  The count that it is for, or NULL. */
struct limit_use *limits_granted(struct limits *l, uint64_t now_ms, struct slice key, uint32_t claim,
				 bool full);
/* A new ledger: it knows nothing. */
void limits_ledger_new(struct limits *l);
/* An administrator clears: by the text of who, "" for all.  What is at once stays.  How many. */
size_t limits_clear(struct limits *l, struct slice who);

struct limits_counters {
	uint64_t counts, claims; /* now */
	uint64_t asked, granted, denied, hurried, evicted;
};
void limits_count(const struct limits *l, struct limits_counters *ret);

#endif
