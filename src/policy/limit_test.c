/* Limits of several processes and one ledger. */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "policy/limit_world.h"

static struct world w;

/* How many of `tries` get in when they come to these processes in turn, and how many at least and
 * at most may. */
static const struct {
	const char *name;
	unsigned processes;
	uint32_t max;
	uint64_t window_ms;
	const char *turns; /* which process, again and again */
	unsigned at_least, at_most;
} spreads[] = {
	{ "one process is exact", 1, 10, 0, "0", 10, 10 },
	{ "two, evenly", 2, 20, 0, "01", 20, 20 },
	{ "two, all to one", 2, 20, 0, "0", 19, 20 },
	{ "two, unevenly", 2, 20, 0, "0001", 20, 20 },
	{ "four, all to one: an eighth is others'", 4, 1000, 0, "2", 875, 1000 },
	{ "four, evenly", 4, 1000, 0, "0123", 940, 1000 },
	{ "a limit of one", 4, 1, 0, "3210", 1, 1 },
	{ "a limit of none", 4, 0, 0, "0123", 0, 0 },
	{ "a window, one process", 1, 100, 60000, "0", 100, 100 },
	{ "a window, two, evenly", 2, 100, 60000, "01", 94, 100 },
	{ "a window, two, all to one", 2, 100, 60000, "1", 87, 100 },
	{ "a small window", 4, 3, 60000, "0123", 3, 3 },
};

static void the_limit_is_of_all_together(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(spreads) / sizeof(spreads[0]); i++) {
		size_t turns = strlen(spreads[i].turns);
		unsigned in = 0;

		world_init(&w, spreads[i].processes, spreads[i].max, spreads[i].window_ms);
		for (size_t k = 0; k < 3 * spreads[i].max + 3; k++) {
			in += world_take(&w, (unsigned)(spreads[i].turns[k % turns] - '0'));
			w.now += 1;
			/* What they hold ahead goes back after a while. */
			if (k % 100 == 99) {
				w.now += LIMITS_SWEEP_MS;
				for (unsigned p = 0; p < w.processes; p++)
					limits_sweep(w.l[p], w.now);
				world_deliver(&w);
			}
		}
		if (in < spreads[i].at_least || in > spreads[i].at_most || in != world_use(&w))
			fail_msg("%s: %u got in, expected %u to %u", spreads[i].name, in, spreads[i].at_least,
				 spreads[i].at_most);
		world_done(&w);
	}
}

static void who_uses_little_costs_no_word(void **state)
{
	struct limit_claim c;

	(void)state;
	world_init(&w, 2, 160, 0);
	for (int k = 0; k < 100; k++) {
		for (int i = 0; i < 6; i++)
			assert_int_equal(world_take_now(&w, 0, false), LIMIT_TAKEN);
		for (int i = 0; i < 6; i++)
			world_give(&w, 0);
	}
	assert_false(limits_next(w.l[0], w.now, &c));
	world_done(&w);
}

/* Five hundred sessions, one after the other and ten at once: a word for one in some. */
static void who_uses_much_asks_seldom(void **state)
{
	struct limits_counters n;

	(void)state;
	world_init(&w, 2, 1000, 60000);
	for (int k = 0; k < 400; k++) {
		assert_true(world_take(&w, 0));
		world_deliver(&w);
		w.now += 10;
	}
	limits_count(w.l[0], &n);
	assert_true(n.asked > 0 && n.asked < 40);
	world_done(&w);
}

static void what_one_gives_back_another_takes(void **state)
{
	(void)state;
	world_init(&w, 2, 20, 0);
	while (world_take(&w, 0))
		;
	assert_false(world_take(&w, 1) && world_take(&w, 1));
	while (w.level[0] > 0)
		world_give(&w, 0);
	w.now += 2 * LIMITS_SWEEP_MS;
	limits_sweep(w.l[0], w.now);
	world_deliver(&w);
	for (unsigned i = w.level[1]; i < 19; i++)
		assert_true(world_take(&w, 1));
	world_done(&w);
}

static void a_window_slides(void **state)
{
	(void)state;
	world_init(&w, 1, 10, 80000);
	for (int i = 0; i < 10; i++) {
		assert_true(world_take(&w, 0));
		w.now += 5000;
	}
	assert_false(world_take(&w, 0));
	{
		struct limit_use *u;
		unsigned s;

		assert_int_equal(limit_take(w.l[0], w.now, &w.key, &w.limit, 1, false, &u), LIMIT_REFUSED);
		s = limit_retry_s(u, w.now);
		assert_true(s >= 30 && s <= 41);
		w.now += s * 1000;
	}
	assert_true(world_take(&w, 0));
	w.now += 200000;
	for (int i = 0; i < 10; i++)
		assert_true(world_take(&w, 0));
	assert_false(world_take(&w, 0));
	world_done(&w);
}

static void without_ledger_each_has_its_share(void **state)
{
	(void)state;
	world_init(&w, 4, 20, 0);
	world_ledger_dies(&w);
	for (unsigned p = 0; p < 4; p++) {
		for (int i = 0; i < 5; i++)
			assert_true(world_take(&w, p));
		assert_false(world_take(&w, p));
	}
	/* When it is back it hears what is, and nobody gets more. */
	world_ledger_comes(&w);
	world_deliver(&w);
	for (unsigned p = 0; p < 4; p++)
		assert_false(world_take(&w, p));
	world_give(&w, 2);
	world_give(&w, 2);
	for (unsigned p = 0; p < 4; p++) {
		w.now += 2 * LIMITS_SWEEP_MS;
		limits_sweep(w.l[p], w.now);
	}
	world_deliver(&w);
	assert_true(world_take(&w, 0));
	assert_true(world_take(&w, 0));
	assert_false(world_take(&w, 0));
	world_done(&w);
}

static void claims_outlive_a_ledger(void **state)
{
	(void)state;
	world_init(&w, 2, 20, 0);
	for (int i = 0; i < 15; i++)
		assert_true(world_take(&w, 0));
	world_ledger_dies(&w);
	world_ledger_comes(&w);
	world_deliver(&w);
	for (int i = 0; i < 20; i++)
		world_take(&w, 1);
	assert_int_equal(world_use(&w), 20);
	world_done(&w);
}

static void a_process_that_ends_frees_what_it_held(void **state)
{
	(void)state;
	world_init(&w, 2, 20, 0);
	while (world_take(&w, 0))
		;
	claims_drop(w.claims, 0);
	limits_free(w.l[0]);
	w.level[0] = 0;
	assert_int_equal(limits_new(&w.l[0]), 0);
	w.now += 1000;
	for (int i = 0; i < 18; i++)
		assert_true(world_take(&w, 1));
	world_done(&w);
}

/* A reload. */
static void limits_change_and_counts_stay(void **state)
{
	(void)state;
	world_init(&w, 1, 10, 60000);
	for (int i = 0; i < 10; i++)
		assert_true(world_take(&w, 0));
	w.limit.max = 12;
	assert_true(world_take(&w, 0));
	w.limit.window_ms = 120000;
	assert_true(world_take(&w, 0));
	assert_false(world_take(&w, 0));
	w.limit.max = 5;
	assert_false(world_take(&w, 0));
	assert_int_equal(limits_clear(w.l[0], SLICE_LIT("ANN@example.org")), 1);
	assert_true(world_take(&w, 0));
	world_done(&w);
}

static void take_of(const char *name, uint32_t n)
{
	struct limit_use *u;
	struct limit_key k;

	limit_key_text(&k, LIMIT_ACCOUNT_MESSAGES, "", slice_str(name));
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(limit_take(w.l[0], w.now, &k, &w.limit, 1, false, &u), LIMIT_TAKEN);
}

/* Who has spent an account's limit does not get rid of the count: not by as many connections as
 * IPv6 gives him addresses for, and not because other accounts have sent more. */
static void strangers_push_out_no_users_count(void **state)
{
	struct limits_counters n;
	struct limit_use *u;
	char name[32];

	(void)state;
	world_init(&w, 1, 40, 60000);
	for (int i = 0; i < 40; i++)
		assert_true(world_take(&w, 0));
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "u%d@example.org", i);
		take_of(name, 40);
	}
	for (uint32_t i = 0; i < 2 * LIMITS_MAX; i++) {
		struct limit_key k;
		struct ip ip = { .family = 6 };
		struct ip_net net;

		memcpy(ip.byte, &i, 4);
		net = limit_net(&ip, 64);
		limit_key_net(&k, LIMIT_RATE_IP, "relay", &net);
		assert_int_equal(limit_take(w.l[0], w.now, &k, &w.limit, 1, false, &u), LIMIT_TAKEN);
	}
	limits_count(w.l[0], &n);
	assert_true(n.counts <= LIMITS_MAX + 101 && n.evicted > 0);
	assert_false(world_take(&w, 0));
	for (int i = 0; i < 100; i++) {
		struct limit_key k;

		snprintf(name, sizeof(name), "u%d@example.org", i);
		limit_key_text(&k, LIMIT_ACCOUNT_MESSAGES, "", slice_str(name));
		assert_int_equal(limit_take(w.l[0], w.now, &k, &w.limit, 1, false, &u), LIMIT_REFUSED);
	}
	/* And with time it is empty again. */
	w.now += 100000;
	for (uint32_t i = 0; i < LIMITS_MAX; i++) {
		struct ip ip = { .family = 4, .byte = { (uint8_t)(i >> 8), (uint8_t)i } };
		struct limit_key k;
		struct ip_net net = limit_net(&ip, 32);

		limit_key_net(&k, LIMIT_SESSIONS_IP, "relay", &net);
		limit_take(w.l[0], w.now, &k, &w.limit, 1, false, &u);
		limit_give(w.l[0], w.now, u, 1);
		w.now++;
	}
	limits_count(w.l[0], &n);
	assert_true(n.counts < 1000);
	world_done(&w);
}

/* Beyond the ceiling of its own sort somebody goes: whoever used least. */
static void the_table_is_bounded(void **state)
{
	struct limits_counters n;
	char name[32];

	(void)state;
	world_init(&w, 1, 4, 60000);
	for (int i = 0; i < 4; i++)
		assert_true(world_take(&w, 0));
	for (int i = 0; i < 2 * LIMITS_MAX; i++) {
		snprintf(name, sizeof(name), "u%d@example.org", i);
		take_of(name, 1);
	}
	limits_count(w.l[0], &n);
	assert_true(n.counts <= LIMITS_MAX && n.evicted > 0);
	assert_false(world_take(&w, 0));
	world_done(&w);
}

static bool a_row(void *arg, const struct claims_row *row)
{
	unsigned *n = arg;

	(*n)++;
	assert_int_equal(row->kind, LIMIT_ACCOUNT_MESSAGES);
	assert_true(slice_eq(row->who, SLICE_LIT("ann@example.org")));
	assert_int_equal(row->limit, 10);
	assert_int_equal(row->use, 10);
	assert_true(row->refused_ms > w.now);
	return true;
}

static void ledger_lists_who_is_refused(void **state)
{
	unsigned n = 0;

	(void)state;
	world_init(&w, 1, 10, 60000);
	while (world_take(&w, 0))
		;
	world_deliver(&w);
	claims_each(w.claims, w.now, a_row, &n);
	assert_int_equal(n, 1);
	assert_int_equal(claims_clear(w.claims, SLICE_LIT("bob@example.org")), 0);
	assert_int_equal(claims_clear(w.claims, SLICE_LIT("ann@example.org")), 1);
	w.now += 200000;
	claims_sweep(w.claims, w.now);
	assert_int_equal(claims_size(w.claims), 0);
	world_done(&w);
}

static void keys_are_shown_as_people_write_them(void **state)
{
	static const struct {
		const char *ip;
		unsigned bits;
		const char *shown;
	} nets[] = {
		{ "192.0.2.7", 32, "192.0.2.7" },
		{ "::ffff:192.0.2.7", 32, "192.0.2.7" },
		{ "192.0.2.7", 24, "192.0.2.0/24" },
		{ "192.0.2.255", 25, "192.0.2.128/25" },
		{ "2001:db8:1:2:3::4", 64, "2001:db8:1:2::/64" },
		{ "2001:db8:1:2:3::4", 48, "2001:db8:1::/48" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(nets) / sizeof(nets[0]); i++) {
		enum limit_kind kind;
		struct slice listener;
		struct limit_key k;
		struct ip_net net;
		struct buf who;
		struct ip ip;

		assert_true(ip_parse(slice_str(nets[i].ip), &ip));
		net = limit_net(&ip, nets[i].bits);
		limit_key_net(&k, LIMIT_SESSIONS_IP, "relay", &net);
		buf_init(&who, 1000);
		assert_true(limit_key_show(limit_key_slice(&k), &kind, &listener, &who));
		assert_true(slice_eq(buf_slice(&who), slice_str(nets[i].shown)));
		assert_true(slice_eq(listener, SLICE_LIT("relay")));
		assert_int_equal(kind, LIMIT_SESSIONS_IP);
		buf_done(&who);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_limit_is_of_all_together),
		cmocka_unit_test(who_uses_little_costs_no_word),
		cmocka_unit_test(who_uses_much_asks_seldom),
		cmocka_unit_test(what_one_gives_back_another_takes),
		cmocka_unit_test(a_window_slides),
		cmocka_unit_test(without_ledger_each_has_its_share),
		cmocka_unit_test(claims_outlive_a_ledger),
		cmocka_unit_test(a_process_that_ends_frees_what_it_held),
		cmocka_unit_test(limits_change_and_counts_stay),
		cmocka_unit_test(strangers_push_out_no_users_count),
		cmocka_unit_test(the_table_is_bounded),
		cmocka_unit_test(ledger_lists_who_is_refused),
		cmocka_unit_test(keys_are_shown_as_people_write_them),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
