#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "account/test_store.h"

static void ask(const char *question)
{
	json_t *q = json_loads(question, 0, NULL), *answer = account_request(test_store, q, NULL, TEST_NOW);

	assert_non_null(q);
	if (json_object_get(answer, "error"))
		fail_msg("%s: %s", question, json_string_value(json_object_get(answer, "error")));
	json_decref(q);
	json_decref(answer);
}

static int open_store(void **state)
{
	if (test_open(state) < 0)
		return -1;
	ask("{\"ask\":\"domain.add\",\"domain\":\"example.org\"}");
	ask("{\"ask\":\"account.add\",\"account\":\"Ann@example.org\"}");
	ask("{\"ask\":\"account.add\",\"account\":\"bob@example.org\",\"quota\":\"2G\"}");
	return 0;
}

static void set_default(uint64_t quota)
{
	struct account_settings settings = test_settings();

	settings.quota = quota;
	assert_int_equal(account_store_configure(test_store, &settings), 0);
}

static void found_by_name(void **state)
{
	struct account_mailbox box;

	(void)state;
	assert_int_equal(account_mailbox(test_store, SLICE_LIT("aNN@EXAMPLE.org"), &box), 0);
	assert_string_equal(box.name, "Ann@example.org");
	assert_string_equal(box.path, "example.org/ann");
	assert_int_equal(box.quota, 0);
	assert_int_equal(account_mailbox(test_store, SLICE_LIT("bob@example.org"), &box), 0);
	assert_int_equal(box.quota, UINT64_C(2) << 30);
	/* It can log in no more, but what was accepted for it is delivered. */
	ask("{\"ask\":\"account.set\",\"account\":\"bob@example.org\",\"enabled\":false}");
	assert_int_equal(account_mailbox(test_store, SLICE_LIT("bob@example.org"), &box), 0);
}

static void not_found(void **state)
{
	static const struct slice names[] = {
		SLICE_INIT(""),
		SLICE_INIT("ann"),
		SLICE_INIT("nobody@example.org"),
		SLICE_INIT("ann@example.net"),
		SLICE_INIT("ann+x@example.org"),
		SLICE_INIT("ann@example.org\0"),
		SLICE_INIT("ann@example.org "),
		SLICE_INIT("example.org/ann"),
	};
	struct account_mailbox box;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (account_mailbox(test_store, names[i], &box) != -ENOENT)
			fail_msg("%.*s", SLICE_ARG(names[i]));
}

static void quota_by_path(void **state)
{
	static const struct {
		const char *path;
		uint64_t own, by_default; /* while the default is 0, and 7 */
	} rows[] = {
		{ "example.org/ann", 0, 7 },
		{ "example.org/ann/.Sent", 0, 7 },
		{ "example.org/bob", UINT64_C(2) << 30, UINT64_C(2) << 30 },
		{ "example.org/bob/.Sent", UINT64_C(2) << 30, UINT64_C(2) << 30 },
		{ "example.org/nobody", 0, 0 },
		{ "_postmaster/example.org", 0, 0 },
		{ "example.org", 0, 0 },
		{ "example.org/", 0, 0 },
		{ "", 0, 0 },
	};
	uint64_t quota;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (int k = 0; k < 2; k++) {
			set_default(k ? 7 : 0);
			assert_int_equal(account_quota(test_store, slice_str(rows[i].path), &quota), 0);
			if (quota != (k ? rows[i].by_default : rows[i].own))
				fail_msg("%s: %llu", rows[i].path, (unsigned long long)quota);
		}
	ask("{\"ask\":\"account.set\",\"account\":\"ann@example.org\",\"quota\":\"none\"}");
	assert_int_equal(account_quota(test_store, SLICE_LIT("example.org/ann"), &quota), 0);
	assert_int_equal(quota, 0); /* none is not the default */
}

static void whether_there_are_any(void **state)
{
	(void)state;
	assert_int_equal(account_any_quota(test_store), 1);
	ask("{\"ask\":\"account.set\",\"account\":\"bob@example.org\",\"quota\":\"none\"}");
	assert_int_equal(account_any_quota(test_store), 0);
	set_default(1);
	assert_int_equal(account_any_quota(test_store), 1);
}

static void how_it_is_written(void **state)
{
	static const struct {
		const char *text;
		bool ok, by_default;
		uint64_t octets;
	} rows[] = {
		{ "default", true, true, 0 },
		{ "none", true, false, 0 },
		{ "0", true, false, 0 },
		{ "1", true, false, 1 },
		{ "10K", true, false, 10240 },
		{ "3M", true, false, 3 << 20 },
		{ "2G", true, false, UINT64_C(2) << 30 },
		{ "1T", true, false, UINT64_C(1) << 40 },
		{ "1048576T", true, false, UINT64_C(1) << 60 },
		{ "1048577T", false, false, 0 },
		{ "99999999999999999999", false, false, 0 },
		{ "", false, false, 0 },
		{ "G", false, false, 0 },
		{ "1 G", false, false, 0 },
		{ "1GB", false, false, 0 },
		{ "1g", false, false, 0 },
		{ "-1", false, false, 0 },
		{ "Default", false, false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool by_default = false;
		uint64_t octets = 0;

		if (account_quota_parse(slice_str(rows[i].text), &by_default, &octets) != rows[i].ok ||
		    by_default != rows[i].by_default || octets != rows[i].octets)
			fail_msg("'%s': %llu", rows[i].text, (unsigned long long)octets);
	}
}

int main(void)
{
#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, open_store, test_close)
	const struct CMUnitTest tests[] = {
		WITH_STORE(found_by_name),	     WITH_STORE(not_found),
		WITH_STORE(quota_by_path),	     WITH_STORE(whether_there_are_any),
		cmocka_unit_test(how_it_is_written),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
