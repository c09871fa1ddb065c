#include "account/test_store.h"

static const char *const world[] = {
	"{'ask': 'domain.add', 'domain': 'example.org', 'postmaster': 'ada@example.org'}",
	"{'ask': 'domain.add', 'domain': 'catch.test', 'catch_all': 'ada@example.org'}",
	"{'ask': 'domain.add', 'domain': 'B\xc3\xbc"
	"cher.example'}",
	"{'ask': 'domain.add', 'domain': 'off.test', 'enabled': false}",
	"{'ask': 'domain.add', 'domain': 'self.test', 'catch_all': 'nobody@self.test',"
	" 'postmaster': 'postmaster@self.test'}",
	"{'ask': 'account.add', 'account': 'Ada@example.org', 'addresses': ['ada.lovelace@example.org',"
	" 'ada@elsewhere.test', '*@catch.test']}",
	"{'ask': 'account.add', 'account': 'bob@example.org'}",
	"{'ask': 'account.add', 'account': 'a+b@example.org'}",
	"{'ask': 'account.add', 'account': 'gone@example.org', 'enabled': false}",
	"{'ask': 'account.add', 'account': 'j\xc3\xb6rg@b\xc3\xbc"
	"cher.example'}",
	"{'ask': 'account.add', 'account': 'u@off.test'}",
	"{'ask': 'account.add', 'account': 'both@example.org'}",
	"{'ask': 'alias.add', 'alias': 'team@example.org', 'targets': ['ada@example.org', "
	"'bob@example.org']}",
	"{'ask': 'alias.add', 'alias': 'all@example.org', 'targets': ['team@example.org', 'Bob@example.org',"
	" 'friend@Elsewhere.test']}",
	"{'ask': 'alias.add', 'alias': 'both@example.org', 'targets': ['both@example.org', "
	"'copy@elsewhere.test']}",
	"{'ask': 'alias.add', 'alias': 'moved@example.org', 'targets': ['new@elsewhere.test']}",
	"{'ask': 'alias.add', 'alias': 'loop1@example.org', 'targets': ['loop2@example.org']}",
	"{'ask': 'alias.add', 'alias': 'loop2@example.org', 'targets': ['loop1@example.org']}",
	"{'ask': 'alias.add', 'alias': 'dead@example.org', 'targets': ['nobody@example.org']}",
	"{'ask': 'alias.add', 'alias': 'half@example.org', 'targets': ['nobody@example.org', "
	"'bob@example.org']}",
	"{'ask': 'alias.add', 'alias': 'off@example.org', 'targets': ['gone@example.org']}",
	"{'ask': 'alias.add', 'alias': '\\\"a b\\\"@example.org', 'targets': ['bob@example.org']}",
	"{'ask': 'alias.add', 'alias': 'extended@example.org', 'targets': ['bob+news@example.org']}",
};

static int fill(void **state)
{
	test_open(state);
	for (size_t i = 0; i < sizeof(world) / sizeof(world[0]); i++)
		test_do(world[i]);
	return 0;
}

/* A mailbox is written as its folder, a remote address as <address>; in order. */
static const struct {
	const char *address;
	enum account_verdict verdict;
	const char *targets;
} cases[] = {
	{ "ada@example.org", ACCOUNT_OK, "example.org/ada" },
	{ "ADA@EXAMPLE.ORG", ACCOUNT_OK, "example.org/ada" },
	{ "\"ada\"@example.org", ACCOUNT_OK, "example.org/ada" },
	{ "ada.lovelace@example.org", ACCOUNT_OK, "example.org/ada" },
	{ "ada@elsewhere.test", ACCOUNT_NOT_LOCAL, "" },
	{ "nobody@example.org", ACCOUNT_NO_SUCH_USER, "" },
	{ "gone@example.org", ACCOUNT_DISABLED, "" },
	{ "u@off.test", ACCOUNT_DISABLED, "" },
	{ "postmaster@off.test", ACCOUNT_DISABLED, "" },
	{ "a@[192.0.2.1]", ACCOUNT_NOT_LOCAL, "" },
	{ "not an address", ACCOUNT_NOT_LOCAL, "" },
	{ "", ACCOUNT_NOT_LOCAL, "" },
	/* plus addressing: the longest name that exists */
	{ "ada+list@example.org", ACCOUNT_OK, "example.org/ada" },
	{ "ada+@example.org", ACCOUNT_OK, "example.org/ada" },
	{ "a+b@example.org", ACCOUNT_OK, "example.org/a+b" },
	{ "a+b+c@example.org", ACCOUNT_OK, "example.org/a+b" },
	{ "a+c@example.org", ACCOUNT_NO_SUCH_USER, "" },
	{ "+ada@example.org", ACCOUNT_NO_SUCH_USER, "" },
	{ "team+x@example.org", ACCOUNT_OK, "example.org/ada example.org/bob" },
	{ "extended@example.org", ACCOUNT_OK, "example.org/bob" },
	/* U-labels and UTF-8 */
	{ "j\xc3\xb6rg@b\xc3\xbc"
	  "cher.example",
	  ACCOUNT_OK, "xn--bcher-kva.example/j\xc3\xb6rg" },
	{ "j\xc3\xb6rg@xn--bcher-kva.example", ACCOUNT_OK, "xn--bcher-kva.example/j\xc3\xb6rg" },
	{ "J\xc3\x96RG@b\xc3\xbc"
	  "cher.example",
	  ACCOUNT_NO_SUCH_USER, "" },
	/* aliases */
	{ "team@example.org", ACCOUNT_OK, "example.org/ada example.org/bob" },
	{ "all@example.org", ACCOUNT_OK, "example.org/bob <friend@elsewhere.test> example.org/ada" },
	{ "both@example.org", ACCOUNT_OK, "example.org/both <copy@elsewhere.test>" },
	{ "moved@example.org", ACCOUNT_OK, "<new@elsewhere.test>" },
	{ "loop1@example.org", ACCOUNT_LOOP, "" },
	{ "dead@example.org", ACCOUNT_NO_SUCH_USER, "" },
	{ "half@example.org", ACCOUNT_OK, "example.org/bob" },
	{ "off@example.org", ACCOUNT_DISABLED, "" },
	{ "\"a b\"@example.org", ACCOUNT_OK, "example.org/bob" },
	{ "\"a\\ b\"@example.org", ACCOUNT_OK, "example.org/bob" },
	/* catch-all */
	{ "anything@catch.test", ACCOUNT_OK, "example.org/ada" },
	{ "*@catch.test", ACCOUNT_OK, "example.org/ada" },
	{ "nobody@self.test", ACCOUNT_NO_SUCH_USER, "" },
	/* postmaster and abuse */
	{ "postmaster@example.org", ACCOUNT_OK, "example.org/ada" },
	{ "Abuse@example.org", ACCOUNT_OK, "example.org/ada" },
	{ "postmaster@catch.test", ACCOUNT_OK, "_postmaster/catch.test" },
	{ "postmaster@self.test", ACCOUNT_OK, "_postmaster/self.test" },
	{ "postmaster", ACCOUNT_OK, "_postmaster/mx.example.org" },
	{ "Postmaster", ACCOUNT_OK, "_postmaster/mx.example.org" },
	{ "postmaster@mx.example.org", ACCOUNT_OK, "_postmaster/mx.example.org" },
	{ "root@mx.example.org", ACCOUNT_NO_SUCH_USER, "" },
};

static void print_targets(const struct account_targets *targets, struct buf *to)
{
	for (const struct account_target *t = targets->first; t; t = t->next) {
		if (t != targets->first)
			buf_byte(to, ' ');
		if (t->remote)
			buf_fmt(to, "<%s>", t->address);
		else
			buf_str(to, t->mailbox);
	}
}

static void check(const char *address, enum account_verdict verdict, const char *expected)
{
	struct account_targets targets;
	enum account_verdict v = account_resolve(test_store, slice_str(address), &targets);
	struct buf text;

	buf_init(&text, 65536);
	print_targets(&targets, &text);
	buf_byte(&text, 0);
	if (v != verdict || !slice_eq(slice_str((const char *)buf_slice(&text).p), slice_str(expected)))
		fail_msg("%s: expected %s '%s', got %s '%s'", address, account_verdict_name(verdict),
			 expected, account_verdict_name(v), (const char *)buf_slice(&text).p);
	buf_done(&text);
	account_targets_done(&targets);
}

static void resolves(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check(cases[i].address, cases[i].verdict, cases[i].targets);
}

static void settings_hold_from_the_next_question_on(void **state)
{
	struct account_settings settings = test_settings();

	(void)state;
	settings.postmaster = "chief@elsewhere.test";
	settings.delimiters = "-_";
	assert_int_equal(account_store_configure(test_store, &settings), 0);
	check("postmaster", ACCOUNT_OK, "<chief@elsewhere.test>");
	check("abuse@catch.test", ACCOUNT_OK, "<chief@elsewhere.test>");
	check("postmaster@example.org", ACCOUNT_OK, "example.org/ada");
	check("ada-x@example.org", ACCOUNT_OK, "example.org/ada");
	check("ada_x@example.org", ACCOUNT_OK, "example.org/ada");
	check("ada+x@example.org", ACCOUNT_NO_SUCH_USER, "");
	/* A configured address that leads nowhere must not lose postmaster's mail. */
	settings.postmaster = "nobody@example.org";
	assert_int_equal(account_store_configure(test_store, &settings), 0);
	check("postmaster@catch.test", ACCOUNT_OK, "_postmaster/catch.test");
	settings.postmaster = "postmaster@catch.test";
	assert_int_equal(account_store_configure(test_store, &settings), 0);
	check("postmaster@catch.test", ACCOUNT_OK, "_postmaster/catch.test");
}

/* d0 -> d1 -> ... -> account: ten aliases inside each other are followed, eleven are not. */
static void depth_has_a_ceiling(void **state)
{
	char question[256], address[64];

	(void)state;
	for (int i = 0; i <= ACCOUNT_DEPTH_MAX; i++) {
		snprintf(question, sizeof(question),
			 i == ACCOUNT_DEPTH_MAX
				 ? "{'ask': 'alias.add', 'alias': 'd%d@example.org', 'targets': ["
				   "'bob@example.org']}"
				 : "{'ask': 'alias.add', 'alias': 'd%d@example.org', 'targets': ["
				   "'d%d@example.org']}",
			 i, i + 1);
		test_do(question);
	}
	snprintf(address, sizeof(address), "d%d@example.org", 0);
	check(address, ACCOUNT_OK, "example.org/bob");
	test_do("{'ask': 'alias.add', 'alias': 'e@example.org', 'targets': ['d0@example.org']}");
	check("e@example.org", ACCOUNT_LOOP, "");
}

static void targets_have_a_ceiling(void **state)
{
	char question[256];
	struct account_targets targets;

	(void)state;
	for (int i = 0; i <= ACCOUNT_TARGETS_MAX; i++) {
		snprintf(question, sizeof(question),
			 "{'ask': 'alias.%s', 'alias': 'big%d@example.org', '%s': ["
			 "'n%d@elsewhere.test']}",
			 i % 600 ? "set" : "add", i / 600, i % 600 ? "add" : "targets", i);
		test_do(question);
		if (i == ACCOUNT_TARGETS_MAX - 1) {
			test_do("{'ask': 'alias.add', 'alias': 'huge@example.org', 'targets': "
				"['big0@example.org',"
				" 'big1@example.org']}");
			assert_int_equal(account_resolve(test_store, SLICE_LIT("huge@example.org"), &targets),
					 ACCOUNT_OK);
			assert_int_equal(targets.n, ACCOUNT_TARGETS_MAX);
			account_targets_done(&targets);
		}
	}
	check("huge@example.org", ACCOUNT_LOOP, "");
}

static void names_become_folders_only_when_safe(void **state)
{
	static const char *const safe[] = { "ada", "a.b", "j\xc3\xb6rg", "a+b", "-x", "~root", "a%2f" };
	static const char *const unsafe[] = {
		"",
		".",
		"..",
		".hidden",
		"a/b",
		"/",
		"\"a b\"",
		"a b",
		"a\nb",
		"a\x7f",
		"0123456789012345678901234567890123456789012345678901234567890123x"
	};

	(void)state;
	for (size_t i = 0; i < sizeof(safe) / sizeof(safe[0]); i++)
		assert_true(account_local_is_safe(slice_str(safe[i])));
	for (size_t i = 0; i < sizeof(unsafe) / sizeof(unsafe[0]); i++)
		assert_false(account_local_is_safe(slice_str(unsafe[i])));
	test_refused("{'ask': 'account.add', 'account': 'a/b@example.org'}", "cannot be an account");
	test_refused("{'ask': 'account.add', 'account': '\\\"a b\\\"@example.org'}", "cannot be an account");
	test_refused("{'ask': 'account.add', 'account': 'x@..'}", "not a mail address");
	test_refused("{'ask': 'domain.add', 'domain': '../etc'}", "not the name of a domain");
	test_refused("{'ask': 'domain.add', 'domain': '[192.0.2.1]'}", "not the name of a domain");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(resolves, fill, test_close),
		cmocka_unit_test_setup_teardown(settings_hold_from_the_next_question_on, fill, test_close),
		cmocka_unit_test_setup_teardown(depth_has_a_ceiling, fill, test_close),
		cmocka_unit_test_setup_teardown(targets_have_a_ceiling, fill, test_close),
		cmocka_unit_test_setup_teardown(names_become_folders_only_when_safe, fill, test_close),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
