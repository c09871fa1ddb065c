/* Who is locked after what: each row a short play, with a clock of its own. */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "account/guess.h"

#include <stdlib.h>

/* 10 an hour by address and account, 20 by network, 5 by known pair; locks of 15 minutes, at most 2 hours. */
static const struct account_guess_limits limits = { .per_address = 10,
						    .per_network = 20,
						    .per_account = 10,
						    .per_known = 5,
						    .period_s = 3600,
						    .lock_s = 900,
						    .lock_max_s = 7200,
						    .ipv4_bits = 24,
						    .ipv6_bits = 48 };

/* w NAME IP N   N different wrong passwords from a network that the account does not know; W: from a known
 * one s NAME IP N   N times the same wrong password (S: known) n NAME IP N   N wrong passwords, each for
 * another account: 1NAME, 2NAME ... r NAME IP     a right one (R: known) ? NAME IP L   expects that lock (!:
 * of a known one); L is free, address, network, account or known
 * + S           seconds pass
 * c WHO         an administrator clears it */
static const struct {
	const char *name, *play;
} plays[] = {
	{ "below the limit nothing is locked", "w ann@a.test 192.0.2.1 9 ? ann@a.test 192.0.2.1 free" },
	{ "the limit of an address", "w ann@a.test 192.0.2.1 10 ? bob@a.test 192.0.2.1 address" },
	{ "other addresses go on with other accounts",
	  "w ann@a.test 192.0.2.1 10 ? bob@a.test 192.0.2.2 free" },
	{ "the account is locked for strangers elsewhere",
	  "w ann@a.test 192.0.2.1 10 ? ann@a.test 198.51.100.1 account" },
	{ "its owner is not", "w ann@a.test 192.0.2.1 10 ! ann@a.test 198.51.100.1 free" },
	{ "not even from the stranger's own address",
	  "w ann@a.test 192.0.2.1 10 ! ann@a.test 192.0.2.1 free" },
	{ "however long it goes on",
	  "w ann@a.test 192.0.2.1 500 w ann@a.test 203.0.113.1 500 ! ann@a.test 198.51.100.1 free" },
	{ "an account that is known there does not open the address for others",
	  "w ann@a.test 192.0.2.1 10 ! ann@a.test 192.0.2.1 free ? bob@a.test 192.0.2.1 address" },
	{ "who guesses where he is known locks that pair",
	  "W ann@a.test 192.0.2.1 5 ! ann@a.test 192.0.2.1 known" },
	{ "and no other address of the same network",
	  "W ann@a.test 192.0.2.1 5 ! ann@a.test 192.0.2.2 free" },
	{ "and not the account, nor the address",
	  "W ann@a.test 192.0.2.1 5 ? ann@a.test 198.51.100.1 free ? bob@a.test 192.0.2.1 free" },
	{ "the case of a name does not matter",
	  "w ann@a.test 192.0.2.1 10 ? ANN@A.Test 198.51.100.1 account" },
	{ "what is no address is a name too", "w ann 192.0.2.1 10 ? ann 198.51.100.1 account" },
	{ "the same wrong password counts once", "s ann@a.test 192.0.2.1 1000 ? ann@a.test 192.0.2.1 free w "
						 "ann@a.test 192.0.2.1 8 ? ann@a.test 192.0.2.1 free" },
	{ "known, too", "S ann@a.test 192.0.2.1 1000 ! ann@a.test 192.0.2.1 free" },
	{ "many names weigh more: 1 and 3 and 3 and 3", "n @a.test 192.0.2.1 3 ? x@a.test 192.0.2.1 free n "
							"@b.test 192.0.2.1 1 ? x@a.test 192.0.2.1 address" },
	{ "the network of many addresses",
	  "w a@a.test 192.0.2.1 7 w b@a.test 192.0.2.2 7 ? c@a.test 192.0.2.3 free w c@a.test 192.0.2.3 7 ? "
	  "d@a.test 192.0.2.4 network" },
	{ "another network goes on",
	  "w a@a.test 192.0.2.1 7 w b@a.test 192.0.2.2 7 w c@a.test 192.0.2.3 7 ? d@a.test 192.0.3.4 free" },
	{ "IPv6: a /64 is one address",
	  "w ann@a.test 2001:db8::1 10 ? bob@a.test 2001:db8::2 address ? bob@a.test 2001:db8:0:1::1 free" },
	{ "IPv6: a /48 is a network", "w a@a.test 2001:db8:0:1::1 7 w b@a.test 2001:db8:0:2::1 7 w c@a.test "
				      "2001:db8:0:3::1 7 ? d@a.test 2001:db8:0:4::1 network" },
	{ "IPv4 in IPv6 is IPv4", "w ann@a.test ::ffff:192.0.2.1 10 ? bob@a.test 192.0.2.1 address" },
	{ "a lock ends", "w ann@a.test 192.0.2.1 10 + 899 ? ann@a.test 198.51.100.1 account + 2 ? ann@a.test "
			 "198.51.100.1 free" },
	{ "and comes back sooner, and longer",
	  "w ann@a.test 192.0.2.1 10 + 901 w ann@a.test 192.0.2.2 5 ? ann@a.test 198.51.100.1 account + 1700 "
	  "? ann@a.test 198.51.100.1 account + 200 ? ann@a.test 198.51.100.1 free" },
	{ "counts drain",
	  "w ann@a.test 192.0.2.1 9 + 3600 w ann@a.test 192.0.2.1 9 ? ann@a.test 192.0.2.1 free" },
	{ "a right password washes nothing off", "w bob@a.test 192.0.2.1 9 r eve@a.test 192.0.2.1 w "
						 "bob@a.test 192.0.2.1 1 ? eve@a.test 192.0.2.1 address" },
	{ "an exempt address has no count of its own",
	  "n @a.test 127.0.0.1 100 ? x@a.test 127.0.0.1 free w ann@a.test 127.0.0.1 10 ? ann@a.test "
	  "127.0.0.1 account ? bob@a.test 127.0.0.1 free" },
	{ "cleared: the account", "w ann@a.test 192.0.2.1 10 c Ann@a.test ? ann@a.test 198.51.100.1 free ? "
				  "ann@a.test 192.0.2.1 address" },
	{ "cleared: the address", "w ann@a.test 192.0.2.1 10 c 192.0.2.1 ? bob@a.test 192.0.2.1 free" },
	{ "cleared: the network", "n @a.test 192.0.2.1 4 n @b.test 192.0.2.2 4 ? x@a.test 192.0.2.9 network "
				  "c 192.0.2.0/24 ? x@a.test 192.0.2.9 free" },
	{ "cleared: the /64", "w ann@a.test 2001:db8::1 10 c 2001:db8::/64 ? bob@a.test 2001:db8::2 free" },
	{ "cleared: the pair, with its account",
	  "W ann@a.test 192.0.2.1 5 c ann@a.test ! ann@a.test 192.0.2.1 free" },
};

struct world {
	struct account_guess *g;
	uint64_t now;
	unsigned last;
};

static struct account_guess_try a_try(const char *name, const char *ip, const char *secret, bool known)
{
	struct account_guess_try t = { .name = slice_str(name), .secret = slice_str(secret), .known = known };

	assert_true(ip_parse(slice_str(ip), &t.ip));
	return t;
}

static unsigned number(const char *text)
{
	struct slice s = slice_str(text);
	uint64_t n = 0;

	assert_true(cur_u64(&s, 1000000, &n));
	return (unsigned)n;
}

static void open_world(struct world *w)
{
	static const unsigned char secret[16] = "0123456789abcdef";
	struct account_guess_limits l = limits;
	struct ip_net loopback;

	assert_true(ip_net_parse(SLICE_LIT("127.0.0.0/8"), &loopback));
	l.exempt = &loopback;
	l.n_exempt = 1;
	*w = (struct world){ .now = 50000 };
	assert_int_equal(account_guess_new(&l, secret, &w->g), 0);
}

static void act(struct world *w, const char *row, char op, const char *name, const char *ip, const char *last)
{
	bool known = strchr("WSR!", op) != NULL;
	struct account_guess_verdict v;
	char secret[32] = "same", other[80];
	unsigned n = strchr("?!", op) ? 0 : strchr("rR", op) ? 1 : number(last);

	for (unsigned i = 0; i < n; i++) {
		struct account_guess_try t;

		snprintf(other, sizeof(other), "%u%s", i, name);
		if (!strchr("sS", op))
			snprintf(secret, sizeof(secret), "wrong %u", ++w->last);
		t = a_try(op == 'n' ? other : name, ip, secret, known);
		account_guess_outcome(w->g, w->now, &t, op == 'r' || op == 'R', &v);
	}
	if (strchr("?!", op)) {
		struct account_guess_try t = a_try(name, ip, "x", known);

		account_guess_may(w->g, w->now, &t, &v);
		if (strcmp(account_guess_lock_name(v.lock), last) != 0)
			fail_msg("%s: %s from %s: expected %s, got %s", row, name, ip, last,
				 account_guess_lock_name(v.lock));
		assert_true((v.lock == ACCOUNT_GUESS_FREE) == (v.left_ms == 0));
		assert_true(v.left_ms <= 7200000);
	}
}

static void run_play(const char *row, const char *play)
{
	char op[2], a[64], b[64], c[64];
	struct world w;
	int used;

	open_world(&w);
	while (sscanf(play, " %1s%n", op, &used) == 1) {
		play += used;
		assert_int_equal(sscanf(play, "%63s%n", a, &used), 1);
		play += used;
		if (op[0] == '+') {
			w.now += number(a) * 1000;
			continue;
		}
		if (op[0] == 'c') {
			assert_true(account_guess_clear(w.g, slice_str(a)) > 0);
			continue;
		}
		assert_int_equal(sscanf(play, "%63s%n", b, &used), 1);
		play += used;
		c[0] = 0;
		if (op[0] != 'r' && op[0] != 'R') {
			assert_int_equal(sscanf(play, "%63s%n", c, &used), 1);
			play += used;
		}
		act(&w, row, op[0], a, b, c);
	}
	account_guess_free(w.g);
}

static void all_plays(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(plays) / sizeof(plays[0]); i++)
		run_play(plays[i].name, plays[i].play);
}

/* Tests that began before the lock and end after it tell nothing. */
static void guesses_side_by_side_gain_nothing(void **state)
{
	struct account_guess_verdict v;
	struct world w;
	unsigned told = 0;
	char secret[32];

	(void)state;
	open_world(&w);
	for (unsigned i = 0; i < 64; i++) {
		struct account_guess_try t = a_try("ann@a.test", "192.0.2.1", "x", false);

		account_guess_may(w.g, w.now, &t, &v);
		assert_int_equal(v.lock, ACCOUNT_GUESS_FREE);
	}
	for (unsigned i = 0; i < 64; i++) {
		struct account_guess_try t;

		snprintf(secret, sizeof(secret), "wrong %u", i);
		t = a_try("ann@a.test", "192.0.2.1", secret, false);
		account_guess_outcome(w.g, w.now, &t, i == 63, &v);
		told += v.lock == ACCOUNT_GUESS_FREE;
	}
	assert_int_equal(told, 10);
	account_guess_free(w.g);
}

static void answers_come_slower(void **state)
{
	static const unsigned want[] = { 0, 0, 0, 250, 500, 1000, 2000, 4000, 4000 };
	struct account_guess_verdict v;
	struct world w;
	char secret[32];

	(void)state;
	open_world(&w);
	for (unsigned i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		struct account_guess_try t;

		snprintf(secret, sizeof(secret), "wrong %u", i);
		t = a_try("ann@a.test", "192.0.2.1", secret, false);
		account_guess_outcome(w.g, w.now, &t, false, &v);
		assert_int_equal(v.delay_ms, want[i]);
		assert_int_equal(v.begun, ACCOUNT_GUESS_FREE);
	}
	account_guess_free(w.g);
}

static bool count_row(void *arg, const struct account_guess_row *row)
{
	unsigned *n = arg;

	(*n)++;
	if (row->what == ACCOUNT_GUESS_ACCOUNT)
		assert_string_equal(row->who, "ann@a.test");
	else
		assert_string_equal(row->who, row->what == ACCOUNT_GUESS_ADDRESS ? "192.0.2.1" : "");
	assert_int_equal(row->left_ms, 900000);
	assert_int_equal(row->strikes, 1);
	return true;
}

static void the_list_names_them(void **state)
{
	struct world w;
	unsigned n = 0;

	(void)state;
	open_world(&w);
	act(&w, "list", 'w', "Ann@a.test", "192.0.2.1", "10");
	account_guess_each(w.g, w.now, count_row, &n);
	assert_int_equal(n, 2);
	assert_int_equal(account_guess_clear(w.g, SLICE_LIT("")), 3);
	account_guess_each(w.g, w.now, count_row, &n);
	assert_int_equal(n, 2);
	account_guess_free(w.g);
}

/* A locked address stays locked, however many others fail: they only push out each other. */
static void nobody_is_washed_clean(void **state)
{
	struct account_guess_limits l = limits;
	struct account_guess_verdict v;
	struct account_guess_try t = a_try("ann@a.test", "192.0.2.1", "x", false);
	struct world w;

	(void)state;
	open_world(&w);
	l.per_network = 0;
	assert_int_equal(account_guess_configure(w.g, &l), 0);
	act(&w, "wash", 'w', "ann@a.test", "192.0.2.1", "10");
	for (uint32_t i = 0; i < 200000; i++) {
		struct account_guess_try other = { .ip = { .family = 6, .byte = { 0x20 } },
						   .name = slice_of(&i, sizeof(i)) };

		memcpy(other.ip.byte + 4, &i, 4);
		account_guess_outcome(w.g, w.now, &other, false, &v);
	}
	account_guess_may(w.g, w.now, &t, &v);
	assert_int_not_equal(v.lock, ACCOUNT_GUESS_FREE);
	act(&w, "wash", '?', "ann@a.test", "198.51.100.9", "account");
	act(&w, "wash", '?', "bob@a.test", "192.0.2.1", "address");
	account_guess_free(w.g);
}

/* A reload with other limits keeps what stands. */
static void limits_change_and_counts_stay(void **state)
{
	struct account_guess_limits l = limits;
	struct world w;

	(void)state;
	open_world(&w);
	act(&w, "reload", 'w', "ann@a.test", "192.0.2.1", "8");
	l.per_address = 5;
	assert_int_equal(account_guess_configure(w.g, &l), 0);
	act(&w, "reload", 'w', "ann@a.test", "192.0.2.1", "1");
	act(&w, "reload", '?', "bob@a.test", "192.0.2.1", "address");
	l.per_account = l.per_address = l.per_network = 0;
	assert_int_equal(account_guess_configure(w.g, &l), 0);
	act(&w, "reload", '?', "bob@a.test", "192.0.2.1", "free");
	act(&w, "reload", 'w', "ann@a.test", "192.0.2.1", "100");
	act(&w, "reload", '?', "ann@a.test", "192.0.2.1", "free");
	account_guess_free(w.g);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_plays),
		cmocka_unit_test(guesses_side_by_side_gain_nothing),
		cmocka_unit_test(answers_come_slower),
		cmocka_unit_test(the_list_names_them),
		cmocka_unit_test(nobody_is_washed_clean),
		cmocka_unit_test(limits_change_and_counts_stay),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
