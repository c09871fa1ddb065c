/* store.h - the accounts database: owners, domains, accounts, aliases, keys.
 *
 * The schema, and the questions that mail asks of it.  What the command line
 * asks and changes is in request.h.  Answers come from the database each time,
 * so a change holds from the next question on.  One thread.
 *
 * Nothing here sees a password: hashes are made and tested by hash.h.
 */
#ifndef POSTERN_ACCOUNT_STORE_H
#define POSTERN_ACCOUNT_STORE_H

#include "account/address.h"
#include "base/ip.h"
#include "base/map.h"
#include "db/db.h"

#define ACCOUNT_TARGETS_MAX	1000 /* that one address may lead to */
#define ACCOUNT_DEPTH_MAX	10   /* aliases inside aliases */
#define ACCOUNT_HASH_MAX	128  /* crypto_pwhash_STRBYTES */
#define ACCOUNT_KEY_HASH	32
#define ACCOUNT_OWNER_MAX	64
#define ACCOUNT_VERIFIER_ROUNDS 100000

struct account_store;

/* Strings are copied. */
struct account_settings {
	const char *hostname;
	const char *postmaster; /* "" if none is configured */
	const char *delimiters; /* of plus addressing; "" switches it off */
	uint64_t quota;		/* octets, of accounts that have none of their own; 0: any */
	const char *listeners;	/* names, each with a blank behind it: keys may be limited to them */
};

/* 0, or negative errno with one line in reterr. */
int account_store_open(const char *path, const struct account_settings *settings, struct account_store **ret,
		       char *reterr, size_t reterr_size);
void account_store_close(struct account_store *s);
int account_store_configure(struct account_store *s, const struct account_settings *settings);
struct db *account_store_db(struct account_store *s);
struct slice account_store_hostname(const struct account_store *s);
struct slice account_store_postmaster(const struct account_store *s);
struct slice account_store_delimiters(const struct account_store *s);
uint64_t account_store_quota(const struct account_store *s);
struct slice account_store_listeners(const struct account_store *s);
/* 32 octets, made once and kept in the database. */
struct slice account_store_secret(const struct account_store *s);

enum account_verdict {
	ACCOUNT_OK,
	ACCOUNT_NOT_LOCAL,
	ACCOUNT_NO_SUCH_USER,
	ACCOUNT_DISABLED,
	ACCOUNT_NOT_YOURS,
	ACCOUNT_LOOP,
	ACCOUNT_REPORTS_ONLY, /* a rewritten sender, and this is no report: forward.h */
	ACCOUNT_TRY_LATER,    /* the database failed; db_error() has the words */
};
const char *account_verdict_name(enum account_verdict v); /* "no-such-user" */

/* --- who is this recipient? (resolve.c) --- */

struct account_target {
	struct map_node by_place;
	struct account_target *next;
	bool remote;
	const char *address; /* canonical */
	const char *mailbox; /* below the mail root; "" when remote */
	const char *domain;  /* of ours, whose alias led there when remote; else "" */
};

struct account_targets {
	struct account_target *first, **last;
	size_t n;
	struct map by_place;
};

/* address: "local@domain", or "postmaster" alone (RFC 5321 4.5.1).  *ret is made in
 * any case and freed by account_targets_done(); it holds targets with ACCOUNT_OK only. */
enum account_verdict account_resolve(struct account_store *s, struct slice address,
				     struct account_targets *ret);
void account_targets_done(struct account_targets *t);

/* --- may this account send as this? (sender.c) --- */

/* key: 0, or the API key of the session.  The null sender is allowed: message
 * disposition notifications have it (RFC 6409 section 6.1 leaves it to the site). */
enum account_verdict account_may_send(struct account_store *s, uint64_t account, uint64_t key,
				      struct slice address);

/* --- whose mailbox is this? (mailbox.c) --- */

struct account_mailbox {
	char name[ACCOUNT_ADDRESS_MAX + 1]; /* as the account is called */
	char path[ACCOUNT_MAILBOX_MAX + 1]; /* below the mail root */
	uint64_t quota;			    /* octets; 0: none */
};
/* 0; -ENOENT; negative errno.  name: the account's own address.  A disabled account has
 * its mailbox still: what was accepted for it is delivered. */
int account_mailbox(struct account_store *s, struct slice name, struct account_mailbox *ret);

/* The quota by the mailbox's path, or by that of a folder in it; what belongs to no
 * account has none.  0 or negative errno. */
int account_quota(struct account_store *s, struct slice path, uint64_t *ret);
/* Is there any account with a quota?  1, 0, or negative errno. */
int account_any_quota(struct account_store *s);
/* "default", "none" (0), "500M", "1G"; false: none of these, or more than there can be. */
bool account_quota_parse(struct slice text, bool *ret_default, uint64_t *ret);

/* --- how fast may it send? (pace.c) --- */

/* How urgent its mail is; DEFAULT: as the listener says. */
enum account_class {
	ACCOUNT_CLASS_DEFAULT,
	ACCOUNT_CLASS_NORMAL,
	ACCOUNT_CLASS_BULK,
	ACCOUNT_CLASS_URGENT,
};
/* "default", "normal", "bulk", "urgent". */
bool account_class_parse(struct slice text, enum account_class *ret);
const char *account_class_name(enum account_class c);

#define ACCOUNT_PACE_MAX 10000000 /* messages a minute */

struct account_pace {
	uint64_t account;
	uint32_t per_minute; /* 0: no limit */
};
/* Accounts with a pace of their own, the first of them behind the one of that id, in order.  How many,
 * at most n; or negative errno. */
int account_paces(struct account_store *s, uint64_t after, struct account_pace *ret, size_t n);
/* "default", "none" (0), or from 1 to ACCOUNT_PACE_MAX. */
bool account_pace_parse(struct slice text, bool *ret_default, uint32_t *ret);

/* --- who logs in? (credential.c) --- */

/* Where Dovecot asks, among the listeners.  An API key is good there only if it names it:
 * keys are made for sending, and no key may read mail by accident. */
#define ACCOUNT_DOVECOT "@dovecot"

struct account_verifier { /* RFC 5803 */
	uint32_t rounds;  /* 0: there is none */
	unsigned char salt[16], stored[32], server[32];
};

struct account_credential {
	uint64_t id;
	bool enabled; /* the account and its domain */
	bool scram;   /* the domain's setting */
	int64_t version;
	int64_t last_login;
	char name[ACCOUNT_ADDRESS_MAX + 1];
	char owner[ACCOUNT_OWNER_MAX + 1];
	enum account_class class;
	char hash[ACCOUNT_HASH_MAX]; /* "" when it has no password */
	struct account_verifier verifier;
};

/* 0; -ENOENT; negative errno.  name: the account's own address. */
int account_credential(struct account_store *s, struct slice name, struct account_credential *ret);
/* At most one write a minute and account. */
int account_note_login(struct account_store *s, const struct account_credential *c, int64_t now);
/* Store a better hash of the same password, or a verifier of it: no change of the account. */
int account_rehash(struct account_store *s, const struct account_credential *c, const char *hash,
		   const struct account_verifier *verifier);

/* When did this account last log in from that network?  0: never, as far as is known, or
 * there is no such account: the work is the same. */
int64_t account_login_seen(struct account_store *s, struct slice name, const struct ip_net *network);
/* It did now; last is what account_login_seen() said.  At most one write a day and network;
 * of ACCOUNT_NETWORKS_MAX the one that was not seen longest goes. */
#define ACCOUNT_NETWORKS_MAX 32
int account_note_network(struct account_store *s, uint64_t account, const struct ip_net *network,
			 int64_t last, int64_t now);

struct account_key {
	uint64_t id, account;
	bool enabled; /* not revoked, its account and domain switched on */
	int64_t last_used;
	char name[ACCOUNT_ADDRESS_MAX + 1]; /* of the account */
	char owner[ACCOUNT_OWNER_MAX + 1];
	enum account_class class; /* of the account */
};
int account_key_find(struct account_store *s, const unsigned char hash[static ACCOUNT_KEY_HASH],
		     struct account_key *ret);
/* May the key be used from here?  1, 0, or negative errno. */
int account_key_allowed(struct account_store *s, uint64_t key, struct slice listener, const struct ip *ip);
int account_note_key(struct account_store *s, const struct account_key *k, struct slice listener,
		     const struct ip *ip, int64_t now);

/* Is there a domain with SCRAM on?  1, 0, or negative errno. */
int account_any_scram(struct account_store *s);
/* Note that a password for this name came in clear text: 1 it was noted, 0 no such
 * account or noted within the hour, or negative errno. */
int account_note_exposed(struct account_store *s, struct slice name, struct slice listener,
			 const struct ip *ip, int64_t now);

struct account_counts {
	int64_t owners, domains, accounts, aliases, keys, exposed;
};
int account_count(struct account_store *s, struct account_counts *ret);

#endif
