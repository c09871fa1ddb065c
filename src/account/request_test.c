/* What the command line asks: refusals that say what to do, pages, and what goes with what. */
#include "account/test_store.h"

static int fill(void **state)
{
	test_open(state);
	test_do("{'ask': 'domain.add', 'domain': 'example.org'}");
	test_do("{'ask': 'account.add', 'account': 'Ada@Example.org', 'addresses': ['info@example.org']}");
	test_do("{'ask': 'alias.add', 'alias': 'team@example.org', 'targets': ['ada@example.org']}");
	return 0;
}

static const struct {
	const char *question, *words;
} refusals[] = {
	{ "{'ask': 'nonsense'}", "knows no question" },
	{ "{'ask': 'account.add'}", "account is missing" },
	{ "{'ask': 'account.add', 'account': 7}", "account is missing" },
	{ "{'ask': 'account.add', 'account': ''}", "account is missing" },
	{ "{'ask': 'account.add', 'account': 'x@example.org', 'password': 'secret'}", "no field 'password'" },
	{ "{'ask': 'account.add', 'account': 'x@example.org', 'addresses': 'a@b'}", "must be a list" },
	{ "{'ask': 'account.add', 'account': 'x@example.org', 'addresses': [1]}", "list of strings" },
	{ "{'ask': 'account.add', 'account': 'x@example.org', 'enabled': 1}", "true or false" },
	{ "{'ask': 'account.add', 'account': 'x'}", "not a mail address" },
	{ "{'ask': 'account.add', 'account': 'x@nowhere.test'}", "no such domain nowhere.test" },
	{ "{'ask': 'account.add', 'account': 'ADA@example.org'}", "exists already" },
	/* SASLprep would make "fi" and "a1" of them, and drop the soft hyphen */
	{ "{'ask': 'account.add', 'account': '\xef\xac\x81@example.org'}", "SASLprep" },
	{ "{'ask': 'account.add', 'account': 'a\xc2\xb9@example.org'}", "SASLprep" },
	{ "{'ask': 'account.add', 'account': 'so\xc2\xad"
	  "ft@example.org'}",
	  "SASLprep" },
	{ "{'ask': 'account.add', 'account': 'info@example.org'}",
	  "an address of account Ada@example.org already" },
	{ "{'ask': 'account.add', 'account': 'y@example.org', 'addresses': ['ada@example.org']}",
	  "an account already" },
	{ "{'ask': 'account.add', 'account': 'y@example.org', 'addresses': ['team@example.org']}",
	  "is an alias" },
	{ "{'ask': 'account.add', 'account': 'y@example.org', 'addresses': ['*@']}", "not a mail address" },
	{ "{'ask': 'account.show', 'account': 'nobody@example.org'}", "no such account nobody@example.org" },
	{ "{'ask': 'account.set', 'account': 'ada@example.org', 'remove': ['x@example.org']}",
	  "not a further address" },
	{ "{'ask': 'account.set', 'account': 'ada@example.org', 'class': 'Bulk'}", "'Bulk' is not a class" },
	{ "{'ask': 'account.set', 'account': 'ada@example.org', 'class': 'bulk', 'messages_per_minute': '0'}",
	  "'0' is not a number of messages" },
	{ "{'ask': 'account.set', 'account': 'ada@example.org', 'messages_per_minute': '10000001'}",
	  "is not a number of messages" },
	{ "{'ask': 'account.set', 'account': 'ada@example.org', 'messages_per_minute': '5 '}",
	  "is not a number of messages" },
	{ "{'ask': 'alias.add', 'alias': 'a@example.org'}", "needs a target" },
	{ "{'ask': 'alias.add', 'alias': 'a@example.org', 'targets': []}", "needs a target" },
	{ "{'ask': 'alias.add', 'alias': 'a@example.org', 'targets': ['b']}", "not a mail address" },
	{ "{'ask': 'alias.add', 'alias': 'a@elsewhere.test', 'targets': ['a@b.test']}", "no such domain" },
	{ "{'ask': 'alias.add', 'alias': 'TEAM@example.org', 'targets': ['a@b.test']}", "exists already" },
	{ "{'ask': 'alias.add', 'alias': 'info@example.org', 'targets': ['a@b.test']}",
	  "an address of account" },
	{ "{'ask': 'alias.set', 'alias': 'team@example.org', 'remove': ['ada@example.org']}",
	  "needs a target" },
	{ "{'ask': 'alias.set', 'alias': 'team@example.org', 'remove': ['x@b.test']}", "not a target" },
	{ "{'ask': 'domain.add', 'domain': 'EXAMPLE.org'}", "exists already" },
	{ "{'ask': 'domain.add', 'domain': 'new.test', 'owner': 'acme'}", "no such owner 'acme'" },
	{ "{'ask': 'domain.add', 'domain': 'new.test', 'catch_all': 'x'}", "not a mail address" },
	{ "{'ask': 'domain.remove', 'domain': 'example.org'}", "still has 1 accounts and 1 aliases" },
	{ "{'ask': 'owner.remove', 'owner': 'default'}", "still has domains" },
	{ "{'ask': 'owner.add', 'owner': 'Default'}", "exists already" },
	{ "{'ask': 'owner.add', 'owner': '-x'}", "cannot be the name" },
	{ "{'ask': 'key.add', 'account': 'ada@example.org'}", "name is missing" },
	{ "{'ask': 'key.add', 'account': 'ada@example.org', 'name': 'x', 'listeners': ['mission']}",
	  "no listener is called 'mission'" },
	{ "{'ask': 'key.add', 'account': 'ada@example.org', 'name': 'x', 'listeners': ['submission "
	  "submissions']}",
	  "no listener is called" },
	{ "{'ask': 'key.show', 'account': 'ada@example.org', 'name': 'x'}", "no key 'x'" },
};

static json_int_t number(const char *question, const char *key)
{
	json_t *j = test_ask(question, NULL);
	json_int_t n = json_integer_value(json_object_get(j, key));

	json_decref(j);
	return n;
}

/* What is refused changes nothing, not even in part. */
static void refused_and_unchanged(void **state)
{
	struct account_counts before, after;

	(void)state;
	assert_int_equal(account_count(test_store, &before), 0);
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		test_refused(refusals[i].question, refusals[i].words);
	assert_int_equal(account_count(test_store, &after), 0);
	assert_memory_equal(&before, &after, sizeof(before));
	test_do("{'ask': 'key.add', 'account': 'ada@example.org', 'name': 'x'}");
	test_refused("{'ask': 'key.add', 'account': 'ada@example.org', 'name': 'x'}", "exists already");
}

static void assert_sending(const char *change, const char *class, json_int_t pace)
{
	json_t *j = test_ask(change, NULL);
	const json_t *got = json_object_get(j, "messages_per_minute");

	assert_string_equal(json_is_null(json_object_get(j, "class"))
				    ? "default"
				    : json_string_value(json_object_get(j, "class")),
			    class);
	assert_int_equal(json_is_null(got) ? -1 : json_integer_value(got), pace);
	json_decref(j);
}

static size_t paces(struct account_pace *v, size_t n)
{
	int got = account_paces(test_store, 0, v, n);

	assert_true(got >= 0);
	return (size_t)got;
}

/* Class and pace are set each by itself, show themselves, and go back to the default. */
static void sending_on(void **state)
{
	struct account_credential c;
	struct account_pace v[4];

	(void)state;
	assert_sending("{'ask': 'account.show', 'account': 'ada@example.org'}", "default", -1);
	assert_sending("{'ask': 'account.set', 'account': 'ada@example.org', 'class': 'bulk'}", "bulk", -1);
	assert_sending("{'ask': 'account.set', 'account': 'ada@example.org', 'messages_per_minute': '60'}",
		       "bulk", 60);
	assert_int_equal(account_credential(test_store, slice_str("ada@example.org"), &c), 0);
	assert_int_equal(c.class, ACCOUNT_CLASS_BULK);
	assert_int_equal(paces(v, 4), 1);
	assert_int_equal(v[0].account, c.id);
	assert_int_equal(v[0].per_minute, 60);
	assert_int_equal(account_paces(test_store, c.id, v, 4), 0);
	assert_sending("{'ask': 'account.add', 'account': 'bea@example.org', 'class': 'urgent',"
		       " 'messages_per_minute': 'none'}",
		       "urgent", 0);
	assert_int_equal(paces(v, 4), 2);
	assert_int_equal(v[1].per_minute, 0);
	assert_int_equal(paces(v, 1), 1);
	assert_sending("{'ask': 'account.set', 'account': 'ada@example.org', 'class': 'default',"
		       " 'messages_per_minute': 'default'}",
		       "default", -1);
	assert_int_equal(account_credential(test_store, slice_str("ada@example.org"), &c), 0);
	assert_int_equal(c.class, ACCOUNT_CLASS_DEFAULT);
	test_do("{'ask': 'account.remove', 'account': 'bea@example.org'}");
	assert_int_equal(paces(v, 4), 0);
}

/* Pages of a list, put together, are the list: nothing twice, nothing left out. */
static void lists_come_in_pages(void **state)
{
	char question[256], after[400] = "";
	int pages = 0, rows = 0;
	json_t *j, *row;
	size_t i;

	(void)state;
	for (int n = 0; n < 400; n++) {
		snprintf(question, sizeof(question),
			 "{'ask': 'account.add', 'account': 'user%03d@example.org'}", n);
		test_do(question);
	}
	do {
		snprintf(question, sizeof(question),
			 after[0] ? "{'ask': 'account.list', 'after': '%s'}" : "{'ask': 'account.list'}",
			 after);
		j = test_ask(question, NULL);
		json_array_foreach(json_object_get(j, "accounts"), i, row)
		{
			const char *name = json_string_value(json_object_get(row, "account"));

			assert_true(slice_cmp(slice_str(name), slice_str(after)) > 0 || rows < 2);
			snprintf(after, sizeof(after), "%s", name);
			rows++;
		}
		pages++;
		assert_true(json_dumpb(j, NULL, 0, JSON_COMPACT) < 49152);
		after[0] = json_object_get(j, "next") ? after[0] : 0;
		json_decref(j);
	} while (after[0]);
	assert_int_equal(rows, 401);
	assert_true(pages > 1);
}

static void removing_takes_along_what_belongs_to_it(void **state)
{
	struct account_counts n;

	(void)state;
	test_do("{'ask': 'key.add', 'account': 'ada@example.org', 'name': 'x', 'senders': "
		"['info@example.org']}");
	test_do("{'ask': 'domain.remove', 'domain': 'example.org', 'with_accounts': true}");
	assert_int_equal(account_count(test_store, &n), 0);
	assert_int_equal(n.domains + n.accounts + n.aliases + n.keys, 0);
	test_do("{'ask': 'owner.remove', 'owner': 'default'}");
	test_do("{'ask': 'domain.add', 'domain': 'example.org'}");
	test_do("{'ask': 'account.add', 'account': 'ada@example.org'}");
	assert_int_equal(number("{'ask': 'account.show', 'account': 'ada@example.org'}", "keys"), 0);
}

static void domains_change_owners(void **state)
{
	(void)state;
	test_do("{'ask': 'owner.add', 'owner': 'Acme'}");
	test_do("{'ask': 'domain.set', 'domain': 'example.org', 'owner': 'acme'}");
	assert_int_equal(number("{'ask': 'owner.show', 'owner': 'ACME'}", "domains"), 1);
	test_do("{'ask': 'owner.remove', 'owner': 'default'}");
	test_do("{'ask': 'owner.set', 'owner': 'acme', 'name': 'Acme Ltd'}");
	assert_int_equal(number("{'ask': 'owner.show', 'owner': 'acme ltd'}", "domains"), 1);
}

/* A store that was closed is what it was: the schema is not made twice, the secret stays. */
static void survives_a_restart(void **state)
{
	char dir[] = "/tmp/postern-accounts-XXXXXX", path[64], why[256] = "";
	struct account_settings settings = test_settings();
	unsigned char secret[32];
	struct account_counts n;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/accounts.db", dir);
	account_store_close(test_store);
	assert_int_equal(account_store_open(path, &settings, &test_store, why, sizeof(why)), 0);
	test_do("{'ask': 'domain.add', 'domain': 'example.org'}");
	memcpy(secret, account_store_secret(test_store).p, sizeof(secret));
	account_store_close(test_store);
	assert_int_equal(account_store_open(path, &settings, &test_store, why, sizeof(why)), 0);
	assert_memory_equal(secret, account_store_secret(test_store).p, sizeof(secret));
	assert_int_equal(account_count(test_store, &n), 0);
	assert_int_equal(n.domains, 1);
	account_store_close(test_store);
	unlink(path);
	rmdir(dir);
	test_open(state);
}

/* Words that are too long are cut between two characters, wherever that falls. */
static void long_words_stay_text(void **state)
{
	(void)state;
	for (size_t lead = 0; lead < 4; lead++) {
		char question[1600];
		size_t n = (size_t)snprintf(question, sizeof(question),
					    "{'ask': 'alias.show', 'alias': '%.*s", (int)lead, "xxxx");

		while (n < sizeof(question) - 8)
			n += (size_t)snprintf(question + n, 4, "\xe2\x82\xac");
		snprintf(question + n, sizeof(question) - n, "'}");
		test_refused(question, "\xe2\x82\xac");
	}
}

static void warned(const char *question, const char *words)
{
	json_t *answer = test_ask(question, NULL);
	const char *got = json_string_value(json_object_get(answer, "warning"));

	if (words ? !got || !strstr(got, words) : got != NULL)
		fail_msg("%s: expected '%s', got '%s'", question, words ? words : "nothing",
			 got ? got : "nothing");
	json_decref(answer);
}

/* An alias that brings mail nowhere is made, for its target may come; but not in silence. */
static void alias_to_nowhere_is_told(void **state)
{
	(void)state;
	warned("{'ask': 'alias.add', 'alias': 'a@example.org', 'targets': ['b@example.org']}",
	       "none of its targets");
	warned("{'ask': 'alias.add', 'alias': 'b@example.org', 'targets': ['a@example.org']}", "circle");
	warned("{'ask': 'alias.show', 'alias': 'a@example.org'}", "circle");
	warned("{'ask': 'alias.set', 'alias': 'b@example.org', 'targets': ['far@elsewhere.test']}", NULL);
	warned("{'ask': 'alias.show', 'alias': 'a@example.org'}", NULL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fill, test_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(long_words_stay_text),  TEST(alias_to_nowhere_is_told),
		TEST(refused_and_unchanged), TEST(sending_on),
		TEST(lists_come_in_pages),   TEST(removing_takes_along_what_belongs_to_it),
		TEST(domains_change_owners), TEST(survives_a_restart),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
