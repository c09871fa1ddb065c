#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/log.h"

/* What log_write() puts on standard error, without the time in front. */
static void capture(int level, const char *event, const struct log_field *fields, size_t n, char *to,
		    size_t size)
{
	int pipes[2], saved = dup(STDERR_FILENO);
	ssize_t got;
	char *at;

	assert_int_equal(pipe(pipes), 0);
	dup2(pipes[1], STDERR_FILENO);
	log_write(level, event, fields, n);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(pipes[1]);
	got = read(pipes[0], to, size - 1);
	close(pipes[0]);
	assert_true(got >= 0);
	to[got] = '\0';
	at = strchr(to, ' ');
	if (to[0] != '{' && at)
		memmove(to, at + 1, strlen(at));
}

static const struct {
	const char *value, *shown;
} values[] = {
	{ "plain", "plain" },
	{ "user@example.org", "user@example.org" },
	{ "", "\"\"" },
	{ "two words", "\"two words\"" },
	{ "a=b", "\"a=b\"" },
	{ "say \"x\\y\"", "\"say \\\"x\\\\y\\\"\"" },
	/* no peer can forge a line or a field */
	{ "a\nnotice role=smtp event=accepted", "\"a\\x0anotice role=smtp event=accepted\"" },
	{ "a\r\x1b[0m", "\"a\\x0d\\x1b[0m\"" },
	{ "\xc3\xa4", "\"\\xc3\\xa4\"" },
};

static void key_and_value(void **state)
{
	(void)state;
	log_open(LOG_TO_STDERR, LOG_AS_KV, "smtp", 2);
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		const struct log_field fields[] = { LOG_STR("value", values[i].value), LOG_U("n", 7),
						    LOG_I("i", -1) };
		char have[512], want[512];

		capture(LOG_NOTICE, "tested", fields, 3, have, sizeof(have));
		snprintf(want, sizeof(want), "notice role=smtp/2 event=tested value=%s n=7 i=-1\n",
			 values[i].shown);
		assert_string_equal(have, want);
	}
}

static void json(void **state)
{
	const struct log_field fields[] = { LOG_STR("value", "a\n\"b\\\xe4"), LOG_U("n", 7) };
	char have[512];

	(void)state;
	log_open(LOG_TO_STDERR, LOG_AS_JSON, "queue", -1);
	capture(LOG_ERR, "tested", fields, 2, have, sizeof(have));
	assert_non_null(strstr(have, "\"level\":\"error\",\"role\":\"queue\",\"event\":\"tested\","
				     "\"value\":\"a\\u000a\\\"b\\\\\\u00e4\",\"n\":7}\n"));
}

/* A long value is cut, and what does not fit is left out whole: always one line with its end. */
static void long_lines(void **state)
{
	static char text[5000], have[8192];
	struct log_field fields[8];

	(void)state;
	log_open(LOG_TO_STDERR, LOG_AS_KV, "smtp", -1);
	memset(text, ' ', sizeof(text) - 1);
	for (size_t i = 0; i < 8; i++)
		fields[i] = (struct log_field)LOG_STR("value", text);
	capture(LOG_NOTICE, "tested", fields, 8, have, sizeof(have));
	assert_in_range(strlen(have), 3000, 4096);
	assert_string_equal(have + strlen(have) - 5, "...\"\n");
}

static void levels(void **state)
{
	char have[512];

	(void)state;
	log_open(LOG_TO_STDERR, LOG_AS_KV, "smtp", -1);
	capture(LOG_DEBUG, "tested", NULL, 0, have, sizeof(have));
	assert_string_equal(have, "");
	log_level(LOG_DEBUG);
	capture(LOG_DEBUG, "tested", NULL, 0, have, sizeof(have));
	assert_string_equal(have, "debug role=smtp event=tested\n");
	log_level(LOG_INFO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(key_and_value),
		cmocka_unit_test(json),
		cmocka_unit_test(long_lines),
		cmocka_unit_test(levels),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
