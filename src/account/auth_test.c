/* Logins by password and key: who may, what is remembered, what is renewed. */
#include <errno.h>

#include "account/auth_world.h"

#define TEXT_64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define TEXT_1024                                                                                       \
	TEXT_64 TEXT_64 TEXT_64 TEXT_64 TEXT_64 TEXT_64 TEXT_64 TEXT_64 TEXT_64 TEXT_64 TEXT_64 TEXT_64 \
		TEXT_64 TEXT_64 TEXT_64 TEXT_64

static const struct {
	const char *authzid, *name, *password;
	int code;
	const char *why;
} logins[] = {
	{ "", ADA, SECRET, 235, NULL },
	{ "", "ADA@Example.Org", SECRET, 235, NULL },
	{ ADA, ADA, SECRET, 235, NULL },
	{ "ADA@example.org", ADA, SECRET, 235, NULL },
	{ "bob@plain.test", ADA, SECRET, 535, "no-proof" },
	{ "ada", ADA, SECRET, 535, "no-proof" },
	{ "", ADA, "correct horsf", 535, "wrong-password" },
	{ "", ADA, "", 535, "wrong-password" },
	{ "", ADA, TEXT_1024 "x", 535, "wrong-password" },
	{ "", "nobody@example.org", SECRET, 535, "no-such-account" },
	{ "", "ada@elsewhere.test", SECRET, 535, "no-such-account" },
	{ "", "ada", SECRET, 535, "no-such-account" },
	{ "", "off@example.org", SECRET, 535, "disabled" },
	{ "", "keys@example.org", SECRET, 535, "wrong-password" },
	{ "", "bob@plain.test", SECRET, 235, NULL },
	{ "", "ada+x@example.org", SECRET, 535, "no-such-account" },
	/* SASLprep (RFC 4013): a no-break space is a space */
	{ "", ADA, "correct\xc2\xa0horse", 235, NULL },
	{ "", ADA, "pk_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 535, "no-such-key" },
	{ "", "nobody@example.org", "pk_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 535, "no-such-key" },
};

static void plain_logins(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(logins) / sizeof(logins[0]); i++) {
		struct account_auth_event e = plain(logins[i].authzid, logins[i].name, logins[i].password);

		if (e.challenge || e.code != logins[i].code ||
		    (e.why && logins[i].why && !slice_eq(slice_str(e.why), slice_str(logins[i].why))))
			fail_msg("row %zu: %s '%s': expected %d %s, got %d %s", i, logins[i].name,
				 slice_head(slice_str(logins[i].password), 40).p, logins[i].code,
				 logins[i].why ? logins[i].why : "", e.code, e.why ? e.why : "");
		/* One wording, whatever the cause. */
		if (e.code == 535) {
			assert_string_equal(e.enhanced, "5.7.8");
			assert_string_equal(e.text, "authentication failed");
			assert_int_equal(e.account, 0);
		}
		if (e.code == 235)
			assert_true(e.account > 0 && e.key == 0);
	}
}

/* Whoever has no password to be right costs a hash all the same. */
static void nobody_costs_as_much_as_somebody(void **state)
{
	static const char *const names[] = { ADA, "nobody@example.org", "off@example.org", "keys@example.org",
					     "x" };
	struct account_hash_counters before, after;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		account_hash_count(hash, &before);
		assert_int_equal(plain("", names[i], "wrong password").code, 535);
		account_hash_count(hash, &after);
		assert_int_equal(after.done, before.done + 1);
	}
}

static void a_success_is_remembered(void **state)
{
	struct account_hash_counters before, after;
	struct account_auth_counters count;

	(void)state;
	assert_int_equal(plain("", ADA, SECRET).code, 235);
	account_hash_count(hash, &before);
	for (int i = 0; i < 5; i++)
		assert_int_equal(plain("", ADA, SECRET).code, 235);
	account_hash_count(hash, &after);
	assert_int_equal(after.done, before.done);
	account_auth_count(auth, &count);
	assert_int_equal(count.remembered, 5);

	/* A wrong one is not, and does not disturb. */
	assert_int_equal(plain("", ADA, "wrong password").code, 535);
	assert_int_equal(plain("", ADA, SECRET).code, 235);

	account_auth_clock(auth, TEST_NOW, steady + 300);
	account_hash_count(hash, &before);
	assert_int_equal(plain("", ADA, SECRET).code, 235);
	account_hash_count(hash, &after);
	assert_int_equal(after.done, before.done + 1);
}

static void any_change_ends_what_is_remembered(void **state)
{
	struct account_hash_counters before, after;

	(void)state;
	assert_int_equal(plain("", ADA, SECRET).code, 235);
	set_password("{'ask': 'account.set', 'account': 'ada@example.org'}", "another secret");
	assert_int_equal(plain("", ADA, SECRET).code, 535);
	assert_int_equal(plain("", ADA, "another secret").code, 235);

	test_do("{'ask': 'account.set', 'account': 'ada@example.org', 'enabled': false}");
	assert_int_equal(plain("", ADA, "another secret").code, 535);
	test_do("{'ask': 'account.set', 'account': 'ada@example.org', 'enabled': true}");
	account_hash_count(hash, &before);
	assert_int_equal(plain("", ADA, "another secret").code, 235);
	account_hash_count(hash, &after);
	assert_int_equal(after.done, before.done + 1);

	test_do("{'ask': 'domain.set', 'domain': 'example.org', 'enabled': false}");
	assert_int_equal(plain("", ADA, "another secret").code, 535);
	test_do("{'ask': 'domain.set', 'domain': 'example.org', 'enabled': true}");
	test_do("{'ask': 'account.set', 'account': 'ada@example.org', 'no_password': true}");
	assert_int_equal(plain("", ADA, "another secret").code, 535);
	test_do("{'ask': 'account.remove', 'account': 'ada@example.org'}");
	assert_int_equal(plain("", ADA, "another secret").code, 535);
}

/* A password that changes while the old one's hash is being computed: the old one is too late. */
static void change_during_the_hash(void **state)
{
	struct account_password made = make("another secret");
	struct account_hash_done done;
	struct pollfd p = { .fd = account_hash_wake_fd(hash), .events = POLLIN };
	struct account_auth_event e;

	(void)state;
	start("PLAIN", "\0" ADA "\0" SECRET, sizeof("\0" ADA "\0" SECRET) - 1, slice_of(NULL, 0));
	assert_false(account_auth_next(auth, &e));
	json_decref(test_ask("{'ask': 'account.set', 'account': 'ada@example.org'}", &made));
	do
		assert_int_equal(poll(&p, 1, 60000), 1);
	while (!account_hash_next(hash, &done));
	assert_int_equal(done.result, 1);
	account_auth_hashed(auth, &done);
	assert_true(account_auth_next(auth, &e));
	assert_int_equal(e.code, 535);
	assert_string_equal(e.why, "changed-meanwhile");
}

/* One more after the other, none of them fetched, until one finds the queue full: however slow we
 * are beside the thread. */
static void full_queue_says_try_again(void **state)
{
	uint64_t first = req + 1, last;
	struct account_auth_event e;
	bool busy = false;

	(void)state;
	close_hash();
	opslimit = 200;
	open_hash(1, 2);
	for (int i = 0; i < 1000 && !busy; i++) {
		start("PLAIN", "\0x\0wrong password", sizeof("\0x\0wrong password") - 1, slice_of(NULL, 0));
		busy = account_auth_next(auth, &e);
	}
	assert_true(busy);
	last = req;
	assert_true(last - first >= 3); /* one at work, two in the queue */
	assert_int_equal(e.req, last);
	assert_int_equal(e.code, 454);
	assert_string_equal(e.enhanced, "4.7.0");
	assert_string_equal(e.why, "hash-queue-full");
	for (req = first; req < last; req++)
		assert_int_equal(next_event().code, 535);
}

static void login_asks_in_the_customary_words(void **state)
{
	struct account_auth_event e;

	(void)state;
	start("LOGIN", NULL, 0, slice_of(NULL, 0));
	e = next_event();
	assert_true(e.challenge && slice_eq(e.data, SLICE_LIT("Username:")));
	assert_int_equal(account_auth_step(auth, 3, req, SLICE_LIT(ADA)), 0);
	e = next_event();
	assert_true(e.challenge && slice_eq(e.data, SLICE_LIT("Password:")));
	assert_int_equal(account_auth_step(auth, 3, req, SLICE_LIT(SECRET)), 0);
	e = next_event();
	assert_int_equal(e.code, 235);
	assert_true(slice_eq(e.name, SLICE_LIT("Ada@example.org")));

	start("LOGIN", ADA, sizeof(ADA) - 1, slice_of(NULL, 0));
	e = next_event();
	assert_true(e.challenge && slice_eq(e.data, SLICE_LIT("Password:")));
	assert_int_equal(account_auth_step(auth, 3, req, SLICE_LIT("wrong password")), 0);
	assert_int_equal(next_event().code, 535);
}

static void what_is_no_login(void **state)
{
	static const struct {
		const char *mech, *initial;
		size_t n;
		int code;
	} rows[] = {
		{ "CRAM-MD5", NULL, 0, 504 },
		{ "GSSAPI", "x", 1, 504 },
		{ "", NULL, 0, 504 },
		{ "SCRAM-SHA-256-PLUS", NULL, 0, 504 }, /* without channel binding */
		{ "PLAIN", "x", 1, 501 },
		{ "PLAIN", "\0x", 2, 501 },
		{ "SCRAM-SHA-256", "n,,", 3, 501 },
		{ "SCRAM-SHA-256", "\0\0\0", 3, 501 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct account_auth_event e;

		start(rows[i].mech, rows[i].initial, rows[i].n, slice_of(NULL, 0));
		e = next_event();
		if (e.challenge || e.code != rows[i].code)
			fail_msg("row %zu: expected %d, got %d", i, rows[i].code, e.code);
	}
	assert_int_equal(account_auth_step(auth, 3, 999, SLICE_LIT("x")), -ENOENT);
}

static void exchanges_end_with_their_peer(void **state)
{
	struct account_auth_counters count;
	struct account_auth_event e;

	(void)state;
	start("LOGIN", NULL, 0, slice_of(NULL, 0));
	next_event();
	start("PLAIN", "\0x\0wrong password", sizeof("\0x\0wrong password") - 1, slice_of(NULL, 0));
	start("LOGIN", NULL, 0, slice_of(NULL, 0));
	account_auth_count(auth, &count);
	assert_int_equal(count.open, 3);
	account_auth_abort(auth, 3, req);
	account_auth_abort(auth, 3, req); /* twice does no harm */
	account_auth_count(auth, &count);
	assert_int_equal(count.open, 2);
	account_auth_drop_peer(auth, 4);
	account_auth_drop_peer(auth, 3);
	account_auth_count(auth, &count);
	assert_int_equal(count.open, 0);
	assert_false(account_auth_next(auth, &e));
	assert_int_equal(plain("", ADA, SECRET).code, 235); /* the late hash was dropped */
}

static void exchanges_have_a_ceiling(void **state)
{
	struct account_auth_start s = { .mech = SLICE_LIT("LOGIN") };
	struct account_auth_event e;

	(void)state;
	for (uint64_t i = 0; i < ACCOUNT_EXCHANGES_MAX; i++) {
		assert_int_equal(account_auth_start(auth, 9, i, &s), 0);
		assert_true(account_auth_next(auth, &e));
	}
	assert_int_equal(account_auth_start(auth, 9, 0, &s), -EEXIST);
	assert_int_equal(account_auth_start(auth, 9, ACCOUNT_EXCHANGES_MAX, &s), -EBUSY);
	account_auth_drop_peer(auth, 9);
	assert_int_equal(account_auth_start(auth, 9, ACCOUNT_EXCHANGES_MAX, &s), 0);
}

static void api_keys_are_passwords(void **state)
{
	struct account_hash_counters before, after;
	struct account_auth_event e;
	char key[64];
	json_t *j = test_ask("{'ask': 'key.add', 'account': 'keys@example.org', 'name': 'app',"
			     " 'networks': ['192.0.2.0/24']}",
			     NULL);

	(void)state;
	assert_true(slice_copy(slice_str(json_string_value(json_object_get(j, "key"))), key, sizeof(key)));
	json_decref(j);
	account_hash_count(hash, &before);
	e = plain("", "keys@example.org", key);
	assert_int_equal(e.code, 235);
	assert_true(e.account > 0 && e.key > 0);
	assert_true(slice_eq(e.name, SLICE_LIT("keys@example.org")));
	e = plain("", ADA, key);
	assert_int_equal(e.code, 535);
	assert_string_equal(e.why, "key-of-another");
	account_hash_count(hash, &after);
	assert_int_equal(after.done, before.done); /* no Argon2 for any of them */

	test_do("{'ask': 'key.set', 'account': 'keys@example.org', 'name': 'app', 'networks': "
		"['198.51.100.0/24']}");
	assert_string_equal(plain("", "keys@example.org", key).why, "key-not-from-here");
	test_do("{'ask': 'key.set', 'account': 'keys@example.org', 'name': 'app', 'networks': [], 'revoked': "
		"true}");
	assert_string_equal(plain("", "keys@example.org", key).why, "key-disabled");
	test_do("{'ask': 'key.set', 'account': 'keys@example.org', 'name': 'app', 'revoked': false}");
	assert_int_equal(plain("", "keys@example.org", key).code, 235);
	test_do("{'ask': 'key.remove', 'account': 'keys@example.org', 'name': 'app'}");
	assert_string_equal(plain("", "keys@example.org", key).why, "no-such-key");
}

/* Limits that have changed since lead to a better hash at the next login. */
static void hashes_are_renewed(void **state)
{
	struct account_credential before, after;

	(void)state;
	assert_int_equal(account_credential(test_store, SLICE_LIT(ADA), &before), 0);
	close_hash();
	opslimit = 3;
	open_hash(1, 8);
	assert_int_equal(plain("", ADA, SECRET).code, 235);
	assert_int_equal(account_credential(test_store, SLICE_LIT(ADA), &after), 0);
	assert_string_not_equal(before.hash, after.hash);
	assert_int_equal(before.version, after.version);
	assert_int_equal(crypto_pwhash_str_needs_rehash(after.hash, 3, crypto_pwhash_MEMLIMIT_MIN), 0);
	assert_int_equal(after.last_login, TEST_NOW);
	assert_int_equal(plain("", ADA, SECRET).code, 235);
}

static void exposed_accounts_are_marked(void **state)
{
	struct ip ip;
	json_t *j;

	(void)state;
	assert_true(ip_parse(SLICE_LIT("192.0.2.9"), &ip));
	assert_int_equal(account_note_exposed(test_store, SLICE_LIT("nobody@example.org"), SLICE_LIT("relay"),
					      &ip, TEST_NOW),
			 0);
	assert_int_equal(account_note_exposed(test_store, SLICE_LIT("ADA@example.org"), SLICE_LIT("relay"),
					      &ip, TEST_NOW),
			 1);
	/* A stranger cannot make the disk write for every line he sends. */
	assert_int_equal(account_note_exposed(test_store, SLICE_LIT(ADA), SLICE_LIT("relay"), &ip,
					      TEST_NOW + 60),
			 0);
	assert_int_equal(account_note_exposed(test_store, SLICE_LIT(ADA), SLICE_LIT("relay"), &ip,
					      TEST_NOW + 3601),
			 1);
	j = test_ask("{'ask': 'account.list', 'exposed': true}", NULL);
	assert_int_equal(json_array_size(json_object_get(j, "accounts")), 1);
	json_decref(j);
	j = test_ask("{'ask': 'account.show', 'account': 'ada@example.org'}", NULL);
	assert_int_equal(json_integer_value(json_object_get(j, "exposed")), TEST_NOW + 3601);
	assert_string_equal(json_string_value(json_object_get(j, "exposed_listener")), "relay");
	assert_string_equal(json_string_value(json_object_get(j, "exposed_ip")), "192.0.2.9");
	assert_non_null(json_object_get(j, "advice"));
	json_decref(j);
	set_password("{'ask': 'account.set', 'account': 'ada@example.org'}", "another secret");
	j = test_ask("{'ask': 'account.show', 'account': 'ada@example.org'}", NULL);
	assert_true(json_is_null(json_object_get(j, "exposed")));
	json_decref(j);
}

static void passwords_that_are_refused(void **state)
{
	static const struct {
		const char *password;
		bool ok;
	} rows[] = {
		{ "", false },
		{ "1234567", false },
		{ "12345678", true },
		{ "p\xc3\xa4ssw\xc3\xb6rt", true },
		{ "p\xc3sswort..", false }, /* not UTF-8 */
		{ "with\ttab....", false },
		{ "pk_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false },
		{ TEXT_1024, true },
		{ TEXT_1024 "x", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if ((account_password_refused(slice_str(rows[i].password)) == NULL) != rows[i].ok)
			fail_msg("row %zu", i);
	assert_non_null(account_password_refused(slice_of("1234\0005678", 9)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(plain_logins),
		TEST(nobody_costs_as_much_as_somebody),
		TEST(a_success_is_remembered),
		TEST(any_change_ends_what_is_remembered),
		TEST(change_during_the_hash),
		TEST(full_queue_says_try_again),
		TEST(login_asks_in_the_customary_words),
		TEST(what_is_no_login),
		TEST(exchanges_end_with_their_peer),
		TEST(exchanges_have_a_ceiling),
		TEST(api_keys_are_passwords),
		TEST(hashes_are_renewed),
		TEST(exposed_accounts_are_marked),
		TEST(passwords_that_are_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
