/* guess.h - how often passwords were guessed wrong, by whom and at which account, and who
 * must wait for it.
 *
 * Counts live here, in the memory of the one process that tests passwords: it alone knows the
 * name of a login and its outcome, and a count that is asked of another process could be
 * outrun, or be away.  A restart forgets them, which a stranger cannot cause; what must
 * not be forgotten, from where an account logged in successfully, is in the accounts
 * database (account_login_known() in store.h), and is told here as a fact.
 *
 * Each wrong password counts
 *
 *	at its address    IPv4: the address; IPv6: its /64
 *	at its network    IPv4: e.g. /24; IPv6: e.g. /48
 *	at its account    whether there is such an account or not
 *
 * and whichever is full is locked for a while, twice as long each time.  A count drains
 * steadily (limit in a period).  The same wrong password again is no guess and counts once: an
 * old password in a mail program locks nobody out.  A name that was not tried from there
 * before weighs more at address and network: that is a search.
 *
 * Nobody can lock an owner out from elsewhere: where the account logged in lately (`known`)
 * none of the three locks holds for it.  Wrong passwords from there count by account and
 * address together, and only they lock that pair.
 *
 * While a lock holds nothing is tested, so nothing is told: not whether the password is
 * right, nor whether there is such an account.  Ask before a test, and tell its outcome
 * before it is told to the client: when others locked it meanwhile, that is the answer
 * then, right or wrong; so guesses side by side gain nothing.
 *
 * An engine: no clock (steady milliseconds are given), no database, no log.  Tables are bounded;
 * in a full one the entry that stands lowest within a small set chosen by a secret goes, so
 * only whoever is locked less gives way to somebody new: to wash a lock off costs more
 * locks than it frees.  Every way to test a password goes through it: PLAIN, LOGIN and SCRAM in
 * auth.c do, for whichever program asks account_auth_start().
 */
#ifndef POSTERN_ACCOUNT_GUESS_H
#define POSTERN_ACCOUNT_GUESS_H

#include "base/ip.h"

struct account_guess;

struct account_guess_limits {
	uint32_t per_address, per_network, per_account; /* wrong passwords in a period; 0: no limit */
	uint32_t per_known;				/* of one account from one address that it knows */
	unsigned period_s, lock_s, lock_max_s;
	uint8_t ipv4_bits, ipv6_bits; /* of a network */
	/* Addresses behind which many users are (webmail, this machine): no count by address
	 * and network.  Copied. */
	const struct ip_net *exempt;
	size_t n_exempt;
};

struct account_guess_try {
	struct slice name;   /* as the client wrote it */
	struct ip ip;	     /* family 0: none is known; as if exempt */
	bool known;	     /* that account logged in from this network lately */
	struct slice secret; /* the password; empty: unknown (SCRAM), then each one counts */
};

enum account_guess_lock {
	ACCOUNT_GUESS_FREE,
	ACCOUNT_GUESS_ADDRESS,
	ACCOUNT_GUESS_NETWORK,
	ACCOUNT_GUESS_ACCOUNT, /* from networks that it does not know */
	ACCOUNT_GUESS_KNOWN,   /* of this account from this address, which it knows */
};
const char *account_guess_lock_name(enum account_guess_lock lock); /* "address"; "free" */

struct account_guess_verdict {
	enum account_guess_lock lock;
	uint64_t left_ms;	       /* of the lock */
	uint32_t delay_ms;	       /* hold the answer for so long: guessing is slow before it is locked */
	enum account_guess_lock begun; /* this very outcome began a lock: for the log */
	uint64_t begun_ms;	       /* and for so long */
};

/* 0 or -ENOMEM.  secret: of hashes; random, but for tests. */
int account_guess_new(const struct account_guess_limits *limits, const unsigned char secret[static 16],
		      struct account_guess **ret);
void account_guess_free(struct account_guess *g);
/* Counts and locks stay.  0 or -ENOMEM (then nothing changed). */
int account_guess_configure(struct account_guess *g, const struct account_guess_limits *limits);

/* The network by which an account knows from where it logged in: an IPv4 network, an IPv6 /64. */
struct ip_net account_guess_home(const struct account_guess *g, const struct ip *ip);
/* May this one be tested?  Changes nothing. */
void account_guess_may(const struct account_guess *g, uint64_t now_ms, const struct account_guess_try *t,
		       struct account_guess_verdict *ret);
/* It was tested.  Unless ret->lock is ACCOUNT_GUESS_FREE the outcome must not be told. */
void account_guess_outcome(struct account_guess *g, uint64_t now_ms, const struct account_guess_try *t,
			   bool right, struct account_guess_verdict *ret);

struct account_guess_row {
	enum account_guess_lock what;
	const char *who;  /* "192.0.2.7", "192.0.2.0/24", "ann@example.org", "ann@example.org 192.0.2.7" */
	uint32_t count;	  /* as it stands now, drained */
	uint64_t left_ms; /* 0: not locked (any more) */
	unsigned strikes; /* locks so far */
};
/* Those that are or lately were locked; until each() returns false. */
void account_guess_each(const struct account_guess *g, uint64_t now_ms,
			bool (*each)(void *arg, const struct account_guess_row *row), void *arg);
/* An address, a network or an account, as rows have it (with an account: its pairs too), or "" for all:
 * how many counts were set to nothing. */
size_t account_guess_clear(struct account_guess *g, struct slice who);

struct account_guess_counters {
	uint64_t wrong;	   /* that counted */
	uint64_t repeated; /* the same again: did not */
	uint64_t refused;  /* not tested, or not told */
	uint64_t locks, washed_out /* entries that others took the place of */;
};
void account_guess_count(const struct account_guess *g, struct account_guess_counters *ret);

#endif
