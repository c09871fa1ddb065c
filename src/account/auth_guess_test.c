/* Logins by guessing: who is locked out, who is not, and what that tells a stranger. */
#include "account/auth_world.h"

static void open_guess(void)
{
	static const struct account_guess_limits limits = { .per_address = 100,
							    .per_network = 100,
							    .per_account = 4,
							    .per_known = 3,
							    .period_s = 3600,
							    .lock_s = 900,
							    .lock_max_s = 3600,
							    .ipv4_bits = 24,
							    .ipv6_bits = 48 };
	unsigned char secret[16];

	randombytes_buf(secret, sizeof(secret));
	close_hash();
	assert_int_equal(account_guess_new(&limits, secret, &guess), 0);
	open_hash(1, 8);
}

static void close_guess(void)
{
	close_hash();
	account_guess_free(guess);
	guess = NULL;
	from = "192.0.2.7";
	open_hash(1, 8);
}

static struct account_auth_event guess_wrong(const char *name, unsigned times)
{
	struct account_auth_event e = { 0 };
	char password[32];

	for (unsigned i = 0; i < times; i++) {
		snprintf(password, sizeof(password), "wrong %u", i);
		e = plain("", name, password);
	}
	return e;
}

/* A locked name is answered alike whether there is such an account or not, at no cost of a hash. */
static void locks_tell_nothing(void **state)
{
	static const char *const names[] = { ADA, "nobody@example.org", "off@example.org", "keys@example.org",
					     "x" };
	struct account_hash_counters before, after;
	struct account_auth_event e;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		open_guess();
		from = "198.51.100.1";
		e = guess_wrong(names[i], 4);
		assert_int_equal(e.code, 535);
		assert_int_equal(e.begun, ACCOUNT_GUESS_ACCOUNT);
		assert_int_equal(e.begun_s, 900);
		assert_int_equal(e.delay_ms, 250);
		account_hash_count(hash, &before);
		e = plain("", names[i], SECRET);
		account_hash_count(hash, &after);
		assert_int_equal(after.done, before.done);
		assert_int_equal(e.code, 454);
		assert_true(e.locked);
		assert_string_equal(e.why, "locked-account");
		assert_string_equal(e.text,
				    "too many failed logins for this account from networks where it is "
				    "not used; try again in 15 minutes");
		/* Neither is one who would prove it otherwise. */
		start("SCRAM-SHA-256", NULL, 0, slice_of(NULL, 0));
		assert_true(next_event().challenge);
		{
			struct buf first;

			buf_init(&first, 200);
			buf_fmt(&first, "n,,n=%s,r=abcdefgh", names[i]);
			assert_int_equal(account_auth_step(auth, 3, req, buf_slice(&first)), 0);
			buf_done(&first);
		}
		assert_int_equal(next_event().code, 454);
		close_guess();
	}
}

static void an_owner_is_not_locked_out(void **state)
{
	json_t *j = test_ask("{'ask': 'key.add', 'account': 'ada@example.org', 'name': 'bot'}", NULL);
	struct account_auth_event e;
	char key[64];

	(void)state;
	assert_true(slice_copy(slice_str(json_string_value(json_object_get(j, "key"))), key, sizeof(key)));
	json_decref(j);
	open_guess();
	from = "203.0.113.5"; /* at home */
	e = plain("", ADA, SECRET);
	assert_int_equal(e.code, 235);
	assert_true(slice_eq(e.owner, SLICE_LIT("default")));
	close_guess(); /* as if keeper was started anew: this is not forgotten */
	open_guess();
	from = "198.51.100.1";
	guess_wrong(ADA, 50);
	assert_int_equal(plain("", ADA, SECRET).code, 454);
	assert_int_equal(plain("", ADA, key).code, 235); /* nobody guesses a key */
	from = "203.0.113.77";				 /* the provider gave it another address */
	assert_int_equal(plain("", ADA, SECRET).code, 235);
	from = "203.0.113.5";
	assert_int_equal(plain("", ADA, SECRET).code, 235);
	/* Where it is known it is guarded by a lock of its own. */
	guess_wrong(ADA, 3);
	e = plain("", ADA, SECRET);
	assert_int_equal(e.code, 454);
	assert_string_equal(e.why, "locked-known");
	from = "203.0.113.77";
	assert_int_equal(plain("", ADA, SECRET).code, 235);
	/* After some weeks the network is a stranger's again. */
	account_auth_clock(auth, TEST_NOW + 86401, steady);
	assert_int_equal(plain("", ADA, SECRET).code, 454);
	account_auth_clock(auth, TEST_NOW, steady);
	close_guess();
}

/* Hashes that were under way when the lock began: their outcome stays untold, right or wrong. */
static void guesses_side_by_side(void **state)
{
	unsigned told = 0;
	uint64_t first = req + 1;

	(void)state;
	open_guess();
	from = "198.18.0.1";
	for (unsigned i = 0; i < 8; i++) {
		char initial[64];
		int n = snprintf(initial, sizeof(initial), "%c%s%c%s%u", 0, "bob@plain.test", 0, "wrong", i);

		start("PLAIN", initial, (size_t)n, slice_of(NULL, 0));
	}
	for (unsigned i = 0; i < 8; i++) {
		struct account_hash_done done;
		struct pollfd p = { .fd = account_hash_wake_fd(hash), .events = POLLIN };
		struct account_auth_event e;

		while (!account_auth_next(auth, &e)) {
			assert_int_equal(poll(&p, 1, 60000), 1);
			while (account_hash_next(hash, &done))
				account_auth_hashed(auth, &done);
		}
		assert_true(e.req >= first);
		told += e.code == 535;
		assert_true(e.code == 535 || e.code == 454);
	}
	assert_int_equal(told, 4);
	close_guess();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(locks_tell_nothing),
		TEST(an_owner_is_not_locked_out),
		TEST(guesses_side_by_side),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
