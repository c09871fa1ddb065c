#include "cli/identity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void whole_names(void **state)
{
	static const struct {
		const char *hosts, *name, *whole; /* NULL: none */
	} rows[] = {
		{ "127.0.0.1 localhost\n127.0.1.1 vm.example.org vm\n", "vm", "vm.example.org" },
		{ "127.0.1.1\tvm\tVM.example.org\n", "vm", "VM.example.org" },
		{ "127.0.0.1 localhost vm\n192.0.2.1 VM.example.org VM", "vm", "VM.example.org" },
		{ "127.0.1.1 vm # vm.example.org\n", "vm", NULL },
		{ "# 127.0.1.1 vm.example.org vm\n", "vm", NULL },
		{ "192.0.2.1 other.example.org other\n127.0.1.1 vm\n", "vm", NULL },
		{ "vm\n\n \t\n192.0.2.1\r\n", "vm", NULL },
		{ "", "vm", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char to[256] = "";
		bool found = cli_identity_whole_name(slice_str(rows[i].hosts), slice_str(rows[i].name), to);

		if (found != (rows[i].whole != NULL) || (found && strcmp(to, rows[i].whole) != 0))
			fail_msg("row %zu: %d '%s'", i, found, to);
	}
}

static void local_parts(void **state)
{
	static const struct {
		const char *login, *local;
	} rows[] = {
		{ "www-data", "www-data" },
		{ "ann.roe", "ann.roe" },
		{ "vm$", "vm$" },
		{ "j\xc3\xb6rg", "j\xc3\xb6rg" },
		{ ".ann", "\".ann\"" },
		{ "ann.", "\"ann.\"" },
		{ "a..b", "\"a..b\"" },
		{ "bob smith", "\"bob smith\"" },
		{ "EXAMPLE\\ann", "\"EXAMPLE\\\\ann\"" },
		{ "ann@example.org", "\"ann@example.org\"" },
		{ "a\nb\"", "\"ab\\\"\"" },
		{ "", "\"\"" },
	};
	char longest[200] = { 0 }, to[160];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cli_identity_local_part(slice_str(rows[i].login), to);
		assert_string_equal(to, rows[i].local);
	}
	memset(longest, '\\', sizeof(longest) - 1);
	cli_identity_local_part(slice_str(longest), to);
	assert_in_range(strlen(to), 2, 64);
}

static void full_names(void **state)
{
	static const struct {
		const char *gecos, *login, *name;
	} rows[] = {
		{ "Ann Roe,Room 1,555,", "ann", "Ann Roe" },
		{ "& Roe", "ann", "Ann Roe" },
		{ "", "ann", "" },
		{ ",,,", "ann", "" },
		{ "www-data", "www-data", "www-data" },
		{ "A\nBcc: x", "ann", "ABcc: x" },
	};
	char many[300] = { 0 }, to[256];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cli_identity_gecos(slice_str(rows[i].gecos), slice_str(rows[i].login), to);
		assert_string_equal(to, rows[i].name);
	}
	memset(many, '&', sizeof(many) - 1);
	cli_identity_gecos(slice_str(many), slice_str(many), to);
	assert_int_equal(strlen(to), 200);
}

static void found(void **state)
{
	struct cli_identity id;

	(void)state;
	cli_identity_find(&id);
	assert_true(id.user[0] && id.domain[0]);
	assert_null(strpbrk(id.domain, " \t\r\n@"));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(whole_names), cmocka_unit_test(local_parts),
					    cmocka_unit_test(full_names), cmocka_unit_test(found) };

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
