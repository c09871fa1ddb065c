/* auth_world.h - for account/auth_*_test.c: a store with some accounts, hashes made on one thread,
 * and clients that log in. */
#ifndef POSTERN_ACCOUNT_AUTH_WORLD_H
#define POSTERN_ACCOUNT_AUTH_WORLD_H

#include <poll.h>
#include <sodium.h>

#include "account/auth.h"
#include "account/test_store.h"

#define ADA    "ada@example.org"
#define SECRET "correct horse"

static struct account_hash *hash;
static struct account_auth *auth;
static unsigned long long opslimit;
static uint64_t steady = 1000;
static struct account_guess *guess;    /* only where a test is about it */
static const char *from = "192.0.2.7"; /* where clients are */
static uint64_t req;

static __attribute__((unused)) struct account_password make(const char *password)
{
	struct account_hash_done done;
	struct pollfd p = { .fd = account_hash_wake_fd(hash), .events = POLLIN };

	assert_int_equal(account_hash_make(hash, 1, slice_str(password)), 0);
	do
		assert_int_equal(poll(&p, 1, 60000), 1);
	while (!account_hash_next(hash, &done));
	assert_int_equal(done.kind, ACCOUNT_HASH_MAKE);
	assert_int_equal(done.token, 1);
	assert_int_equal(done.result, 0);
	return done.made;
}

static __attribute__((unused)) void set_password(const char *question, const char *password)
{
	struct account_password made = make(password);
	json_t *answer = test_ask(question, &made);

	if (json_object_get(answer, "error"))
		fail_msg("%s", json_string_value(json_object_get(answer, "error")));
	json_decref(answer);
}

static __attribute__((unused)) void open_hash(unsigned threads, unsigned queue)
{
	struct account_hash_setup setup = { .threads = threads,
					    .queue = queue,
					    .opslimit = opslimit,
					    .memlimit = crypto_pwhash_MEMLIMIT_MIN };
	struct account_auth_setup auth_setup = {
		.store = test_store, .cache_s = 300, .guess = guess, .remember_s = 86400
	};

	assert_int_equal(account_hash_new(&setup, &hash), 0);
	auth_setup.hash = hash;
	assert_int_equal(account_auth_new(&auth_setup, &auth), 0);
	account_auth_clock(auth, TEST_NOW, steady);
}

static __attribute__((unused)) void close_hash(void)
{
	account_auth_free(auth);
	account_hash_free(hash);
}

static __attribute__((unused)) int fill(void **state)
{
	test_open(state);
	opslimit = crypto_pwhash_OPSLIMIT_MIN;
	open_hash(1, 8);
	test_do("{'ask': 'domain.add', 'domain': 'example.org', 'scram': true}");
	test_do("{'ask': 'domain.add', 'domain': 'plain.test'}");
	set_password("{'ask': 'account.add', 'account': 'Ada@example.org'}", SECRET);
	set_password("{'ask': 'account.add', 'account': 'off@example.org', 'enabled': false}", SECRET);
	set_password("{'ask': 'account.add', 'account': 'bob@plain.test'}", SECRET);
	test_do("{'ask': 'account.add', 'account': 'keys@example.org'}");
	return 0;
}

static __attribute__((unused)) int empty(void **state)
{
	close_hash();
	return test_close(state);
}

/* The next event, waiting for the threads if there is none yet. */
static __attribute__((unused)) struct account_auth_event next_event(void)
{
	struct pollfd p = { .fd = account_hash_wake_fd(hash), .events = POLLIN };
	struct account_hash_done done;
	struct account_auth_event e;

	while (!account_auth_next(auth, &e)) {
		assert_int_equal(poll(&p, 1, 60000), 1);
		while (account_hash_next(hash, &done))
			account_auth_hashed(auth, &done);
	}
	assert_int_equal(e.req, req);
	return e;
}

static __attribute__((unused)) void start(const char *mech, const char *initial, size_t n,
					  struct slice exporter)
{
	struct account_auth_start s = { .mech = slice_str(mech),
					.has_initial = initial != NULL,
					.initial = slice_of(initial, n),
					.exporter = exporter,
					.listener = SLICE_LIT("submission") };

	assert_true(ip_parse(slice_str(from), &s.ip));
	assert_int_equal(account_auth_start(auth, 3, ++req, &s), 0);
}

static __attribute__((unused)) struct account_auth_event plain(const char *authzid, const char *name,
							       const char *password)
{
	struct buf b;
	struct account_auth_event e;

	buf_init(&b, 20000);
	buf_str(&b, authzid);
	buf_byte(&b, 0);
	buf_str(&b, name);
	buf_byte(&b, 0);
	buf_str(&b, password);
	start("PLAIN", (const char *)b.p + b.from, b.n, slice_of(NULL, 0));
	e = next_event();
	buf_done(&b);
	return e;
}

/* In a world of its own. */
#define TEST(f) cmocka_unit_test_setup_teardown(f, fill, empty)

#endif
