#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/json_text.h"

static void test_rows(void **state)
{
	static const struct {
		struct slice text;
		const char *json;
	} rows[] = {
		{ SLICE_INIT(""), "\"\"" },
		{ { NULL, 0 }, "\"\"" },
		{ SLICE_INIT("a\"b\n"), "\"a\\\"b\\n\"" },
		{ SLICE_INIT("caf\xc3\xa9"), "\"caf\xc3\xa9\"" },
		{ SLICE_INIT("caf\xe9 \xc3\xa9"), "\"caf\xef\xbf\xbd \xc3\xa9\"" },
		{ SLICE_INIT("\xff\xc3"), "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ SLICE_INIT("a\0b"), "\"a\\u0000b\"" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *j = json_text(rows[i].text);
		char *text = json_dumps(j, JSON_ENCODE_ANY);

		assert_string_equal(text, rows[i].json);
		free(text);
		json_decref(j);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows) };

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
