#include "account/test_store.h"

#include "account/forward.h"

#define TODAY 20000

static const char *rewritten(const char *sender, const char *domain)
{
	static char room[600];
	struct buf b;

	buf_init_in(&b, room, sizeof(room) - 1);
	assert_int_equal(account_forward_sender(test_store, slice_str(sender), slice_str(domain), TODAY, &b),
			 0);
	room[b.n] = 0;
	return room;
}

static enum account_verdict back(const char *address, bool null_sender, char to[static 600])
{
	struct buf b;
	enum account_verdict v;

	buf_init_in(&b, to, 599);
	v = account_forward_back(test_store, slice_str(address), null_sender, TODAY, &b);
	to[b.n] = 0;
	return v;
}

static int fill(void **state)
{
	test_open(state);
	test_do("{'ask': 'domain.add', 'domain': 'example.org'}");
	test_do("{'ask': 'domain.add', 'domain': 'off.test', 'enabled': false}");
	test_do("{'ask': 'account.add', 'account': 'bob@example.org'}");
	test_do("{'ask': 'alias.add', 'alias': 'moved@example.org', 'targets': ['new@elsewhere.test']}");
	test_do("{'ask': 'alias.add', 'alias': 'both@example.org', 'targets': ['moved@example.org', "
		"'bob@example.org']}");
	return 0;
}

static void test_sender(void **state)
{
	char to[600];
	const char *a = rewritten("ann@example.com", "example.org");

	(void)state;
	assert_true(slice_starts(slice_str(a), SLICE_LIT("SRS0=")));
	assert_true(slice_eq(slice_tail(slice_str(a), slice_rfind(slice_str(a), '@')),
			     SLICE_LIT("@example.org")));
	assert_int_equal(back(a, true, to), ACCOUNT_OK);
	assert_string_equal(to, "ann@example.com");
	assert_int_equal(back(a, false, to), ACCOUNT_REPORTS_ONLY);
}

/* Nobody's, and ours: we may send as these. */
static void test_kept(void **state)
{
	(void)state;
	assert_string_equal(rewritten("", "example.org"), "");
	assert_string_equal(rewritten("bob@example.org", "example.org"), "");
	assert_string_equal(rewritten("bob@EXAMPLE.org", "example.org"), "");
	assert_string_equal(rewritten("postmaster@mx.example.org", "example.org"), "");
	assert_string_not_equal(rewritten("x@off.test", "example.org"), "");
}

static void test_others(void **state)
{
	char to[600];

	(void)state;
	assert_int_equal(back("bob@example.org", true, to), ACCOUNT_NOT_LOCAL);
	assert_int_equal(back("SRS0=AAAAAAAA=AA=a.test=b@elsewhere.test", true, to), ACCOUNT_NOT_LOCAL);
	assert_int_equal(back("SRS0=AAAAAAAA=AA=a.test=b@example.org", true, to), ACCOUNT_NO_SUCH_USER);
	assert_int_equal(back("SRS0=AAAAAAAA=AA=a.test=b@example.org", false, to), ACCOUNT_NO_SUCH_USER);
	assert_int_equal(back("SRS1=A@mx.example.org", true, to), ACCOUNT_NO_SUCH_USER);
}

/* The domain is that of the alias that leads out, not of the one that was written to. */
static void test_domain(void **state)
{
	struct account_targets t;

	(void)state;
	assert_int_equal(account_resolve(test_store, SLICE_LIT("both@example.org"), &t), ACCOUNT_OK);
	assert_int_equal(t.n, 2);
	for (const struct account_target *at = t.first; at; at = at->next)
		assert_string_equal(at->domain, at->remote ? "example.org" : "");
	account_targets_done(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sender),
		cmocka_unit_test(test_kept),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_domain),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, fill, test_close);
}
