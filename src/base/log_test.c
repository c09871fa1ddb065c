/* log_test.c - no value, however hostile, forges a line or a field. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <jansson.h>
#include <string.h>

#include "base/log.h"

static char line[8192];

/* What one LOG() wrote to standard error. */
static const char *logged(enum log_format format, struct slice value)
{
	int ends[2], saved = dup(STDERR_FILENO);
	ssize_t n;

	assert_int_equal(log_open(LOG_TO_STDERR, format, "smtp", 3), 0);
	assert_int_equal(pipe(ends), 0);
	fflush(stderr);
	dup2(ends[1], STDERR_FILENO);
	LOG(LOG_NOTICE, "accepted", LOG_S("value", value), LOG_U("size", 42), LOG_I("code", -7));
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(ends[1]);
	n = read(ends[0], line, sizeof(line) - 1);
	close(ends[0]);
	assert_true(n > 0);
	line[n] = '\0';
	assert_ptr_equal(strchr(line, '\n'), line + n - 1); /* one line, and it ends */
	line[n - 1] = '\0';
	return line;
}

struct row {
	struct slice value;
	const char *kv;	  /* as key=value */
	const char *json; /* what a JSON reader gets back; NULL: not looked at */
};

#define V(s) SLICE_INIT(s)

static const struct row rows[] = {
	{ V("plain"), "value=plain size=42", "plain" },
	{ V(""), "value=\"\" size=42", "" },
	{ V("two words"), "value=\"two words\" size=42", "two words" },
	{ V("a=b"), "value=\"a=b\" size=42", "a=b" },
	{ V("x event=accepted"), "value=\"x event=accepted\" size=42", "x event=accepted" },
	{ V("\" size=1 x=\""), "value=\"\\\" size=1 x=\\\"\" size=42", "\" size=1 x=\"" },
	{ V("back\\"), "value=\"back\\\\\" size=42", "back\\" },
	{ V("new\nline"), "value=\"new\\x0aline\" size=42", "new\nline" },
	{ V("\r\n\t\x1b[2J\x7f"), "value=\"\\x0d\\x0a\\x09\\x1b[2J\\x7f\" size=42", "\r\n\t\x1b[2J\x7f" },
	{ V("caf\xc3\xa9"), "value=\"caf\\xc3\\xa9\" size=42", "caf\xc3\xa9" },
	{ V("\xe2\x82\xac\xf0\x9f\x93\xa7"), NULL, "\xe2\x82\xac\xf0\x9f\x93\xa7" },
	{ V("\xff"
	    "a\xc3"),
	  "value=\"\\xffa\\xc3\" size=42",
	  "\xef\xbf\xbd"
	  "a\xef\xbf\xbd" },
	{ V("\xc0\xaf"), NULL, "\xef\xbf\xbd\xef\xbf\xbd" },		     /* overlong */
	{ V("\xed\xa0\x80"), NULL, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" }, /* a surrogate */
	{ V("\xf4\x90\x80\x80"), NULL, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
	{ V("\xc2\x9b"
	    "2J"),
	  NULL,
	  "\xc2\x9b"
	  "2J" }, /* a C1 control */
};

static void key_value_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *at =
			strstr(logged(LOG_AS_KV, rows[i].value), " notice role=smtp/3 event=accepted ");

		assert_non_null(at);
		if (rows[i].kv)
			assert_non_null(strstr(at, rows[i].kv));
		assert_string_equal(line + strlen(line) - 16, " size=42 code=-7");
	}
}

static void json_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *j = json_loads(logged(LOG_AS_JSON, rows[i].value), 0, NULL);

		assert_non_null(j);
		assert_string_equal(json_string_value(json_object_get(j, "value")), rows[i].json);
		assert_int_equal(json_integer_value(json_object_get(j, "size")), 42);
		assert_int_equal(json_integer_value(json_object_get(j, "code")), -7);
		assert_string_equal(json_string_value(json_object_get(j, "role")), "smtp/3");
		json_decref(j);
		assert_null(strchr(line, 0x1b));
		assert_null(strstr(line, "\xc2\x9b"));
	}
}

static void long_values_are_cut(void **state)
{
	static unsigned char large[3000];

	(void)state;
	for (size_t shift = 0; shift < 4; shift++) {
		json_t *j;

		memset(large, 'x', sizeof(large));
		for (size_t i = shift; i + 4 <= sizeof(large); i += 4)
			memcpy(large + i, "\xf0\x9f\x93\xa7", 4);
		j = json_loads(logged(LOG_AS_JSON, slice_of(large, sizeof(large))), 0, NULL);
		assert_non_null(j);
		assert_null(strstr(line, "ufffd")); /* no character was cut in two */
		assert_non_null(strstr(line, "...\","));
		assert_int_equal(json_integer_value(json_object_get(j, "size")), 42);
		json_decref(j);
	}
}

/* What does not fit is left out whole: always one line with its end. */
static void long_lines(void **state)
{
	static unsigned char large[3000];
	struct log_field fields[8];
	int ends[2], saved = dup(STDERR_FILENO);
	ssize_t n;

	(void)state;
	memset(large, ' ', sizeof(large));
	for (size_t i = 0; i < 8; i++)
		fields[i] = (struct log_field)LOG_S("value", slice_of(large, sizeof(large)));
	log_open(LOG_TO_STDERR, LOG_AS_KV, "smtp", -1);
	assert_int_equal(pipe(ends), 0);
	dup2(ends[1], STDERR_FILENO);
	log_write(LOG_DEBUG, "silent", NULL, 0);
	log_level(LOG_DEBUG);
	log_write(LOG_DEBUG, "tested", fields, 8);
	log_level(LOG_INFO);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(ends[1]);
	n = read(ends[0], line, sizeof(line) - 1);
	close(ends[0]);
	assert_in_range(n, 3000, 4096);
	line[n] = '\0';
	assert_string_equal(line + n - 5, "...\"\n");
	assert_null(strstr(line, "silent"));
	assert_non_null(strstr(line, "debug role=smtp event=tested"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(key_value_lines),
		cmocka_unit_test(json_lines),
		cmocka_unit_test(long_values_are_cut),
		cmocka_unit_test(long_lines),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
