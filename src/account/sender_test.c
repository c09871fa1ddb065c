#include <errno.h>

#include "account/key.h"
#include "account/test_store.h"

static const char *const world[] = {
	"{'ask': 'domain.add', 'domain': 'example.org'}",
	"{'ask': 'domain.add', 'domain': 'off.test', 'enabled': false}",
	"{'ask': 'account.add', 'account': 'Ada@example.org', 'addresses': ['info@example.org', "
	"'ada@elsewhere.test',"
	" '*@granted.test']}",
	"{'ask': 'account.add', 'account': 'bob@example.org'}",
	"{'ask': 'account.add', 'account': 'gone@example.org', 'enabled': false}",
	"{'ask': 'account.add', 'account': 'u@off.test'}",
	"{'ask': 'alias.add', 'alias': 'team@example.org', 'targets': ['ada@example.org', "
	"'x@elsewhere.test']}",
	"{'ask': 'alias.add', 'alias': 'nested@example.org', 'targets': ['team@example.org']}",
	"{'ask': 'key.add', 'account': 'ada@example.org', 'name': 'any'}",
	"{'ask': 'key.add', 'account': 'ada@example.org', 'name': 'info', 'senders': ['Info@example.org']}",
	"{'ask': 'key.add', 'account': 'ada@example.org', 'name': 'domain', 'senders': ['*@example.org']}",
	"{'ask': 'key.add', 'account': 'ada@example.org', 'name': 'foreign', 'senders': ['bob@example.org']}",
	"{'ask': 'key.add', 'account': 'ada@example.org', 'name': 'plus', 'senders': "
	"['ada+shop@example.org']}",
	"{'ask': 'key.add', 'account': 'ada@example.org', 'name': 'revoked'}",
	"{'ask': 'key.set', 'account': 'ada@example.org', 'name': 'revoked', 'revoked': true}",
};

static const struct {
	const char *account, *key, *sender;
	enum account_verdict verdict;
} cases[] = {
	{ "ada@example.org", NULL, "ada@example.org", ACCOUNT_OK },
	{ "ada@example.org", NULL, "ADA@Example.ORG", ACCOUNT_OK },
	{ "ada@example.org", NULL, "ada+x@example.org", ACCOUNT_OK },
	{ "ada@example.org", NULL, "", ACCOUNT_OK },
	{ "ada@example.org", NULL, "info@example.org", ACCOUNT_OK },
	{ "ada@example.org", NULL, "info+x@example.org", ACCOUNT_OK },
	{ "ada@example.org", NULL, "ada@elsewhere.test", ACCOUNT_OK },
	{ "ada@example.org", NULL, "bob@elsewhere.test", ACCOUNT_NOT_YOURS },
	{ "ada@example.org", NULL, "anything@granted.test", ACCOUNT_OK },
	{ "ada@example.org", NULL, "*@granted.test", ACCOUNT_OK },
	{ "ada@example.org", NULL, "a@sub.granted.test", ACCOUNT_NOT_YOURS },
	{ "ada@example.org", NULL, "team@example.org", ACCOUNT_OK },
	{ "ada@example.org", NULL, "nested@example.org", ACCOUNT_NOT_YOURS },
	{ "ada@example.org", NULL, "bob@example.org", ACCOUNT_NOT_YOURS },
	{ "ada@example.org", NULL, "nobody@example.org", ACCOUNT_NOT_YOURS },
	{ "ada@example.org", NULL, "rubbish", ACCOUNT_NOT_YOURS },
	{ "bob@example.org", NULL, "team@example.org", ACCOUNT_NOT_YOURS },
	{ "bob@example.org", NULL, "info@example.org", ACCOUNT_NOT_YOURS },
	{ "gone@example.org", NULL, "gone@example.org", ACCOUNT_DISABLED },
	{ "u@off.test", NULL, "u@off.test", ACCOUNT_DISABLED },
	{ "ada@example.org", "any", "team@example.org", ACCOUNT_OK },
	{ "ada@example.org", "any", "bob@example.org", ACCOUNT_NOT_YOURS },
	{ "ada@example.org", "info", "info@example.org", ACCOUNT_OK },
	{ "ada@example.org", "info", "info+x@example.org", ACCOUNT_OK },
	{ "ada@example.org", "info", "ada@example.org", ACCOUNT_NOT_YOURS },
	{ "ada@example.org", "info", "", ACCOUNT_OK },
	{ "ada@example.org", "domain", "ada@example.org", ACCOUNT_OK },
	{ "ada@example.org", "domain", "ada@elsewhere.test", ACCOUNT_NOT_YOURS },
	/* A key never allows what its account may not. */
	{ "ada@example.org", "foreign", "bob@example.org", ACCOUNT_NOT_YOURS },
	{ "ada@example.org", "domain", "bob@example.org", ACCOUNT_NOT_YOURS },
	{ "ada@example.org", "plus", "ada+shop@example.org", ACCOUNT_OK },
	{ "ada@example.org", "plus", "ada@example.org", ACCOUNT_NOT_YOURS },
	{ "ada@example.org", "revoked", "ada@example.org", ACCOUNT_DISABLED },
	{ "bob@example.org", "any", "bob@example.org", ACCOUNT_DISABLED }, /* another account's key */
};

static int fill(void **state)
{
	test_open(state);
	for (size_t i = 0; i < sizeof(world) / sizeof(world[0]); i++)
		test_do(world[i]);
	return 0;
}

static uint64_t key_id(const char *name)
{
	char question[128];
	json_t *j;
	json_int_t id;

	snprintf(question, sizeof(question),
		 "{'ask': 'key.show', 'account': 'ada@example.org', 'name': '%s'}", name);
	j = test_ask(question, NULL);
	id = json_integer_value(json_object_get(j, "id"));
	json_decref(j);
	assert_true(id > 0);
	return (uint64_t)id;
}

static void senders_are_held_to_their_addresses(void **state)
{
	struct account_credential c;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t key = cases[i].key ? key_id(cases[i].key) : 0;
		enum account_verdict v;

		assert_int_equal(account_credential(test_store, slice_str(cases[i].account), &c), 0);
		v = account_may_send(test_store, c.id, key, slice_str(cases[i].sender));
		if (v != cases[i].verdict)
			fail_msg("%s (key %s) as <%s>: expected %s, got %s", cases[i].account,
				 cases[i].key ? cases[i].key : "none", cases[i].sender,
				 account_verdict_name(cases[i].verdict), account_verdict_name(v));
	}
	assert_int_equal(account_may_send(test_store, 999, 0, SLICE_LIT("ada@example.org")),
			 ACCOUNT_DISABLED);
}

/* An id that is free again must not give the next account an old session's rights. */
static void ids_are_never_used_again(void **state)
{
	struct account_credential before, after;

	(void)state;
	test_do("{'ask': 'account.add', 'account': 'last@example.org'}");
	assert_int_equal(account_credential(test_store, SLICE_LIT("last@example.org"), &before), 0);
	test_do("{'ask': 'account.remove', 'account': 'last@example.org'}");
	test_do("{'ask': 'account.add', 'account': 'next@example.org'}");
	assert_int_equal(account_credential(test_store, SLICE_LIT("next@example.org"), &after), 0);
	assert_true(after.id > before.id);
	assert_int_equal(account_may_send(test_store, before.id, 0, SLICE_LIT("next@example.org")),
			 ACCOUNT_DISABLED);
}

static void key_limits(void **state)
{
	static const struct {
		const char *listener, *ip;
		int allowed;
	} rows[] = {
		{ "submission", "192.0.2.7", 1 },   { "submission", "192.0.3.7", 0 },
		{ "submissions", "192.0.2.7", 0 },  { "submission", "2001:db8::1", 1 },
		{ "submission", "2001:db9::1", 0 }, { "", "192.0.2.7", 0 },
	};
	struct ip ip, none = { 0 };
	uint64_t id;

	(void)state;
	test_do("{'ask': 'key.add', 'account': 'bob@example.org', 'name': 'limited', 'listeners': "
		"['submission'],"
		" 'networks': ['192.0.2.0/24', '2001:db8::/32']}");
	test_do("{'ask': 'key.add', 'account': 'ada@example.org', 'name': 'limited', 'listeners': "
		"['submission'],"
		" 'networks': ['192.0.2.0/24', '2001:db8::/32']}");
	id = key_id("limited");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_true(ip_parse(slice_str(rows[i].ip), &ip));
		assert_int_equal(account_key_allowed(test_store, id, slice_str(rows[i].listener), &ip),
				 rows[i].allowed);
	}
	assert_int_equal(account_key_allowed(test_store, id, SLICE_LIT("submission"), &none), 0);
	assert_int_equal(account_key_allowed(test_store, key_id("any"), SLICE_LIT("x"), &none), 1);
	test_refused("{'ask': 'key.set', 'account': 'ada@example.org', 'name': 'any', 'networks': "
		     "['192.0.2.1/24']}",
		     "not a network");
	test_refused(
		"{'ask': 'key.set', 'account': 'ada@example.org', 'name': 'any', 'listeners': ['submissio']}",
		"no listener");
	test_refused("{'ask': 'key.set', 'account': 'ada@example.org', 'name': 'any', 'senders': ['x']}",
		     "not a mail address");
}

static void keys_are_found_by_their_hash(void **state)
{
	unsigned char hash[ACCOUNT_KEY_HASH];
	json_t *j = test_ask("{'ask': 'key.add', 'account': 'bob@example.org', 'name': 'n'}", NULL);
	const char *text = json_string_value(json_object_get(j, "key"));
	struct account_key key;
	struct ip ip;

	(void)state;
	assert_non_null(text);
	assert_true(account_key_form(slice_str(text)));
	account_key_hash(slice_str(text), hash);
	assert_int_equal(account_key_find(test_store, hash, &key), 0);
	assert_string_equal(key.name, "bob@example.org");
	assert_true(key.enabled);
	assert_true(ip_parse(SLICE_LIT("192.0.2.1"), &ip));
	assert_int_equal(account_note_key(test_store, &key, SLICE_LIT("submission"), &ip, TEST_NOW), 0);
	json_decref(j);
	j = test_ask("{'ask': 'key.show', 'account': 'bob@example.org', 'name': 'n'}", NULL);
	assert_null(json_object_get(j, "key"));
	assert_int_equal(json_integer_value(json_object_get(j, "last_used")), TEST_NOW);
	assert_string_equal(json_string_value(json_object_get(j, "last_ip")), "192.0.2.1");
	json_decref(j);
	hash[0] ^= 1;
	assert_int_equal(account_key_find(test_store, hash, &key), -ENOENT);

	assert_false(account_key_form(SLICE_LIT("pk_")));
	assert_false(account_key_form(SLICE_LIT("pk_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1")));
	assert_false(account_key_form(SLICE_LIT("pk_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1")));
	assert_false(account_key_form(SLICE_LIT("pK_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")));
	assert_true(account_key_form(SLICE_LIT("pk_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(senders_are_held_to_their_addresses, fill, test_close),
		cmocka_unit_test_setup_teardown(ids_are_never_used_again, fill, test_close),
		cmocka_unit_test_setup_teardown(key_limits, fill, test_close),
		cmocka_unit_test_setup_teardown(keys_are_found_by_their_hash, fill, test_close),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
