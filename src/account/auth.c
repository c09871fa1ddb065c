#include "account/auth.h"

#include <errno.h>
#include <sodium.h>

#include "account/cache.h"
#include "account/key.h"
#include "account/sasl.h"
#include "base/list.h"

#define LISTENER_MAX 64

enum state {
	WAITS_CLIENT, /* a challenge was sent */
	WAITS_HASH,
	READY_CHALLENGE, /* an event is to be fetched */
	READY_RESULT,
};

struct exchange {
	struct map_node node; /* by peer and req */
	struct list link;     /* in ready, or in waiting */
	unsigned char id[12];
	uint32_t peer;
	uint64_t req, token;
	enum state state;
	struct account_sasl_session *sasl;
	char listener[LISTENER_MAX + 1];
	struct ip ip;
	struct account_credential who; /* being tested, or proved */
	int64_t seen;		       /* when who last logged in from this network */
	struct account_guess_verdict guess;
	char locked_text[160];

	/* the result */
	int code;
	const char *enhanced, *text, *why;
	uint64_t account, key;
	bool named; /* who.name is the account's */
};

struct account_auth {
	struct account_auth_setup setup;
	struct account_sasl *sasl;
	struct account_cache *cache;
	struct map open;
	struct list ready, waiting;
	struct exchange *given; /* the result fetched last: freed by the next call */
	uint64_t last_token;
	int64_t wall_s;
	uint64_t steady_s;
	struct account_auth_counters count;
};

int account_auth_new(const struct account_auth_setup *setup, struct account_auth **ret)
{
	struct account_auth *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return -ENOMEM;
	a->setup = *setup;
	list_init(&a->ready);
	list_init(&a->waiting);
	r = map_init(&a->open);
	if (r == 0)
		r = account_sasl_new(setup->store, &a->sasl);
	if (r == 0)
		r = account_cache_new(ACCOUNT_CACHE_MAX, setup->cache_s, &a->cache);
	if (r < 0) {
		account_auth_free(a);
		return r;
	}
	*ret = a;
	return 0;
}

static void exchange_free(struct exchange *x)
{
	if (!x)
		return;
	account_sasl_end(x->sasl);
	explicit_bzero(x, sizeof(*x));
	free(x);
}

static void drop(struct account_auth *a, struct exchange *x)
{
	map_remove(&a->open, &x->node);
	list_remove(&x->link);
	exchange_free(x);
}

static void forget_given(struct account_auth *a)
{
	exchange_free(a->given);
	a->given = NULL;
}

void account_auth_free(struct account_auth *a)
{
	if (!a)
		return;
	forget_given(a);
	while (!list_empty(&a->ready))
		drop(a, container_of(a->ready.next, struct exchange, link));
	while (!list_empty(&a->waiting))
		drop(a, container_of(a->waiting.next, struct exchange, link));
	map_done(&a->open);
	account_sasl_free(a->sasl);
	account_cache_free(a->cache);
	free(a);
}

void account_auth_set_cache(struct account_auth *a, unsigned seconds)
{
	account_cache_set_seconds(a->cache, seconds);
}

void account_auth_set_remember(struct account_auth *a, unsigned seconds)
{
	a->setup.remember_s = seconds;
}

void account_auth_clock(struct account_auth *a, int64_t wall_s, uint64_t steady_s)
{
	a->wall_s = wall_s;
	a->steady_s = steady_s;
}

static void become(struct account_auth *a, struct exchange *x, enum state state)
{
	x->state = state;
	list_remove(&x->link);
	list_push_back(state >= READY_CHALLENGE ? &a->ready : &a->waiting, &x->link);
}

/* ---- results ---- */

static void result(struct account_auth *a, struct exchange *x, int code, const char *enhanced,
		   const char *text, const char *why)
{
	x->code = code;
	x->enhanced = enhanced;
	x->text = text;
	x->why = why;
	become(a, x, READY_RESULT);
}

/* ---- who guesses ---- */

static struct account_guess_try the_try(struct account_auth *a, struct exchange *x)
{
	struct account_guess_try t = { .name = account_sasl_name(x->sasl),
				       .ip = x->ip,
				       .secret = account_sasl_password(x->sasl) };
	struct ip_net home = account_guess_home(a->setup.guess, &x->ip);

	x->seen = account_login_seen(a->setup.store, t.name, &home);
	t.known = x->seen > 0 && x->seen + (int64_t)a->setup.remember_s > a->wall_s;
	return t;
}

static void refuse_locked(struct account_auth *a, struct exchange *x)
{
	static const char *const whose[] = {
		[ACCOUNT_GUESS_ADDRESS] = "from your address",
		[ACCOUNT_GUESS_NETWORK] = "from your network",
		[ACCOUNT_GUESS_ACCOUNT] = "for this account from networks where it is not used",
		[ACCOUNT_GUESS_KNOWN] = "for this account from your address",
	};
	static const char *const why[] = {
		[ACCOUNT_GUESS_ADDRESS] = "locked-address",
		[ACCOUNT_GUESS_NETWORK] = "locked-network",
		[ACCOUNT_GUESS_ACCOUNT] = "locked-account",
		[ACCOUNT_GUESS_KNOWN] = "locked-known",
	};
	unsigned minutes = (unsigned)((x->guess.left_ms + 59999) / 60000);

	a->count.locked++;
	snprintf(x->locked_text, sizeof(x->locked_text),
		 "too many failed logins %s; try again in %u minute%s", whose[x->guess.lock], minutes,
		 minutes == 1 ? "" : "s");
	result(a, x, 454, "4.7.0", x->locked_text, why[x->guess.lock]);
}

/* May what the client says be tested?  Else the exchange is over. */
static bool may_test(struct account_auth *a, struct exchange *x)
{
	struct account_guess_try t;

	if (!a->setup.guess)
		return true;
	t = the_try(a, x);
	account_guess_may(a->setup.guess, a->steady_s * 1000, &t, &x->guess);
	if (x->guess.lock == ACCOUNT_GUESS_FREE)
		return true;
	refuse_locked(a, x);
	return false;
}

/* It was tested.  May the client be told?  Else the exchange is over. */
static bool may_tell(struct account_auth *a, struct exchange *x, bool right)
{
	struct account_guess_try t;

	if (!a->setup.guess)
		return true;
	t = the_try(a, x);
	account_guess_outcome(a->setup.guess, a->steady_s * 1000, &t, right, &x->guess);
	if (x->guess.lock == ACCOUNT_GUESS_FREE)
		return true;
	refuse_locked(a, x);
	return false;
}

/* From here on strangers cannot lock it out there.  Losing this note is no reason to refuse. */
static void note_network(struct account_auth *a, struct exchange *x, uint64_t account)
{
	struct ip_net home;

	if (!a->setup.guess)
		return;
	home = account_guess_home(a->setup.guess, &x->ip);
	account_note_network(a->setup.store, account, &home, x->seen, a->wall_s);
}

/* The one refusal: why is for the log. */
static void refuse(struct account_auth *a, struct exchange *x, const char *why)
{
	if (!may_tell(a, x, false))
		return;
	a->count.refused++;
	result(a, x, 535, "5.7.8", "authentication failed", why);
}

static void try_later(struct account_auth *a, struct exchange *x, const char *why)
{
	a->count.busy++;
	result(a, x, 454, "4.7.0", "temporary authentication failure, try again", why);
}

static void accept_account(struct account_auth *a, struct exchange *x)
{
	/* That a note of the time was not written is no reason to refuse. */
	account_note_login(a->setup.store, &x->who, a->wall_s);
	note_network(a, x, x->who.id);
	a->count.succeeded++;
	x->account = x->who.id;
	x->named = true;
	result(a, x, 235, "2.7.0", "authentication succeeded", NULL);
}

/* ---- testing a secret ---- */

static void test_key(struct account_auth *a, struct exchange *x)
{
	struct slice listener = slice_str(x->listener);
	unsigned char hash[ACCOUNT_KEY_HASH];
	struct account_address name = { 0 };
	struct account_address owner = { 0 };
	struct account_key key;
	int r;

	account_key_hash(account_sasl_password(x->sasl), hash);
	r = account_key_find(a->setup.store, hash, &key);
	if (r == 0 && (!account_address_parse(account_sasl_name(x->sasl), &name) ||
		       !account_address_parse(slice_str(key.name), &owner) ||
		       !slice_eq(slice_str(name.key), slice_str(owner.key)))) {
		refuse(a, x, "key-of-another");
		return;
	}
	if (r == -ENOENT) {
		refuse(a, x, "no-such-key");
		return;
	}
	if (r == 0 && !key.enabled) {
		refuse(a, x, "key-disabled");
		return;
	}
	if (r == 0)
		r = account_key_allowed(a->setup.store, key.id, listener, &x->ip);
	if (r < 0) {
		try_later(a, x, "database");
		return;
	}
	if (r == 0) {
		refuse(a, x, "key-not-from-here");
		return;
	}
	account_note_key(a->setup.store, &key, listener, &x->ip, a->wall_s);
	if (a->setup.guess)
		the_try(a, x); /* for x->seen */
	note_network(a, x, key.account);
	a->count.succeeded++;
	a->count.by_key++;
	x->account = key.account;
	x->key = key.id;
	slice_copy(slice_str(key.name), x->who.name, sizeof(x->who.name));
	slice_copy(slice_str(key.owner), x->who.owner, sizeof(x->who.owner));
	x->who.class = key.class;
	x->named = true;
	result(a, x, 235, "2.7.0", "authentication succeeded", NULL);
}

static void test_password(struct account_auth *a, struct exchange *x)
{
	struct slice password = account_sasl_password(x->sasl);
	bool known, want_verifier;
	int r;

	if (!may_test(a, x))
		return;
	r = account_credential(a->setup.store, account_sasl_name(x->sasl), &x->who);
	if (r < 0 && r != -ENOENT) {
		try_later(a, x, "database");
		return;
	}
	known = r == 0 && x->who.enabled && x->who.hash[0];
	x->why = r < 0 ? "no-such-account" : !x->who.enabled ? "disabled" : "wrong-password";
	want_verifier = known && x->who.scram && x->who.verifier.rounds == 0;
	if (known && !want_verifier && account_cache_has(a->cache, &x->who, password, a->steady_s)) {
		a->count.remembered++;
		accept_account(a, x);
		return;
	}
	x->token = a->last_token += 2;
	r = account_hash_verify(a->setup.hash, x->token, password, known ? x->who.hash : "", want_verifier);
	if (r < 0)
		try_later(a, x, r == -EBUSY ? "hash-queue-full" : "hash-failed");
	else
		become(a, x, WAITS_HASH);
}

static struct exchange *find_token(struct account_auth *a, uint64_t token)
{
	struct list *at, *after;

	LIST_EACH (&a->waiting, at, after) {
		struct exchange *x = container_of(at, struct exchange, link);

		if (x->state == WAITS_HASH && x->token == token)
			return x;
	}
	return NULL;
}

/* The account may have changed while the hash was computed: what was tested must still be so.
 * The version tells; the hash itself may have become a better one of the same password.
 * 1, 0, or negative errno. */
static int still_so(struct account_auth *a, const struct account_credential *was)
{
	struct account_credential now;
	int r = account_credential(a->setup.store, slice_str(was->name), &now);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	return now.id == was->id && now.version == was->version && now.enabled;
}

void account_auth_hashed(struct account_auth *a, const struct account_hash_done *done)
{
	struct exchange *x = find_token(a, done->token);
	int so = 0;

	forget_given(a);
	if (!x) /* it was given up meanwhile */
		return;
	if (done->result > 0)
		so = still_so(a, &x->who);
	if (done->result < 0) {
		try_later(a, x, "hash-failed");
	} else if (so < 0) {
		try_later(a, x, "database");
	} else if (done->result == 0) {
		refuse(a, x, x->why);
	} else if (!so) {
		refuse(a, x, "changed-meanwhile");
	} else {
		if (done->made.hash[0] || done->made.verifier.rounds) {
			account_rehash(a->setup.store, &x->who, done->made.hash, &done->made.verifier);
			if (done->made.hash[0])
				slice_copy(slice_str(done->made.hash), x->who.hash, sizeof(x->who.hash));
		}
		account_cache_add(a->cache, &x->who, account_sasl_password(x->sasl), a->steady_s);
		if (may_tell(a, x, true))
			accept_account(a, x);
	}
}

/* ---- the exchange ---- */

static void accept_proof(struct account_auth *a, struct exchange *x)
{
	int r = account_credential(a->setup.store, account_sasl_name(x->sasl), &x->who);

	if (r < 0 && r != -ENOENT)
		try_later(a, x, "database");
	else if (r < 0 || !x->who.enabled || !x->who.scram)
		refuse(a, x, "changed-meanwhile");
	else
		accept_account(a, x);
}

static void step(struct account_auth *a, struct exchange *x, bool has_data, struct slice data)
{
	switch (account_sasl_step(x->sasl, has_data, data)) {
	case ACCOUNT_SASL_CHALLENGE:
		/* With the last one SCRAM tells that the password is right. */
		if (account_sasl_name(x->sasl).n == 0 || may_test(a, x))
			become(a, x, READY_CHALLENGE);
		break;
	case ACCOUNT_SASL_PASSWORD:
		if (account_key_form(account_sasl_password(x->sasl)))
			test_key(a, x);
		else
			test_password(a, x);
		break;
	case ACCOUNT_SASL_PROVED:
		accept_proof(a, x);
		break;
	case ACCOUNT_SASL_REFUSED:
		refuse(a, x, "no-proof");
		break;
	case ACCOUNT_SASL_MALFORMED:
		a->count.refused++;
		result(a, x, 501, "5.5.2", "malformed authentication data", "malformed");
		break;
	case ACCOUNT_SASL_FAILED:
		try_later(a, x, "database");
		break;
	}
}

static struct slice make_id(unsigned char id[static 12], uint32_t peer, uint64_t req)
{
	memcpy(id, &peer, 4);
	memcpy(id + 4, &req, 8);
	return slice_of(id, 12);
}

static struct exchange *find(struct account_auth *a, uint32_t peer, uint64_t req)
{
	unsigned char id[12];
	struct map_node *node = map_find(&a->open, make_id(id, peer, req));

	return node ? container_of(node, struct exchange, node) : NULL;
}

int account_auth_start(struct account_auth *a, uint32_t peer, uint64_t req,
		       const struct account_auth_start *start)
{
	struct exchange *x;
	int r;

	forget_given(a);
	if (find(a, peer, req))
		return -EEXIST;
	if (a->open.n >= ACCOUNT_EXCHANGES_MAX) {
		a->count.busy++;
		return -EBUSY;
	}
	x = calloc(1, sizeof(*x));
	if (!x)
		return -ENOMEM;
	x->peer = peer;
	x->req = req;
	x->ip = start->ip;
	slice_copy(start->listener, x->listener, sizeof(x->listener));
	list_init(&x->link);
	r = account_sasl_begin(a->sasl, start->mech, start->exporter, &x->sasl);
	if (r < 0 && r != -EOPNOTSUPP) {
		exchange_free(x);
		return r;
	}
	map_insert(&a->open, &x->node, make_id(x->id, peer, req));
	if (r < 0)
		result(a, x, 504, "5.5.4", "authentication mechanism not available", "no-such-mechanism");
	else
		step(a, x, start->has_initial, start->initial);
	return 0;
}

int account_auth_step(struct account_auth *a, uint32_t peer, uint64_t req, struct slice data)
{
	struct exchange *x = find(a, peer, req);

	forget_given(a);
	if (!x || x->state != WAITS_CLIENT)
		return -ENOENT;
	step(a, x, true, data);
	return 0;
}

void account_auth_abort(struct account_auth *a, uint32_t peer, uint64_t req)
{
	struct exchange *x = find(a, peer, req);

	forget_given(a);
	if (x)
		drop(a, x);
}

static void drop_of(struct account_auth *a, struct list *l, uint32_t peer)
{
	struct list *at, *after;

	LIST_EACH (l, at, after) {
		struct exchange *x = container_of(at, struct exchange, link);

		if (x->peer == peer)
			drop(a, x);
	}
}

void account_auth_drop_peer(struct account_auth *a, uint32_t peer)
{
	forget_given(a);
	drop_of(a, &a->ready, peer);
	drop_of(a, &a->waiting, peer);
}

bool account_auth_next(struct account_auth *a, struct account_auth_event *ret)
{
	struct exchange *x;

	forget_given(a);
	if (list_empty(&a->ready))
		return false;
	x = container_of(a->ready.next, struct exchange, link);
	*ret = (struct account_auth_event){
		.peer = x->peer, .req = x->req, .listener = slice_str(x->listener), .ip = x->ip
	};
	if (x->state == READY_CHALLENGE) {
		ret->challenge = true;
		ret->data = account_sasl_challenge(x->sasl);
		become(a, x, WAITS_CLIENT);
		return true;
	}
	ret->code = x->code;
	ret->enhanced = x->enhanced;
	ret->text = x->text;
	ret->why = x->why;
	ret->delay_ms = x->guess.delay_ms;
	ret->locked = x->guess.lock != ACCOUNT_GUESS_FREE;
	ret->begun = x->guess.begun;
	ret->begun_s = x->guess.begun_ms / 1000;
	ret->account = x->account;
	ret->key = x->key;
	if (x->named) {
		ret->name = slice_str(x->who.name);
		ret->owner = slice_str(x->who.owner);
		ret->class = x->who.class;
	} else if (x->sasl)
		ret->name = account_sasl_name(x->sasl);
	map_remove(&a->open, &x->node);
	list_remove(&x->link);
	a->given = x;
	return true;
}

void account_auth_count(const struct account_auth *a, struct account_auth_counters *ret)
{
	*ret = a->count;
	ret->open = a->open.n;
}
