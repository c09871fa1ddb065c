/* test_store.h - for the tests of this folder: a store in memory, filled by questions in JSON. */
#ifndef POSTERN_ACCOUNT_TEST_STORE_H
#define POSTERN_ACCOUNT_TEST_STORE_H

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "account/request.h"

#define TEST_NOW 1800000000

static struct account_store *test_store;

static inline struct account_settings test_settings(void)
{
	return (struct account_settings){ .hostname = "mx.example.org",
					  .postmaster = "",
					  .delimiters = "+",
					  .listeners = "submission submissions " };
}

static inline int test_open(void **state)
{
	struct account_settings settings = test_settings();
	char why[256] = "";

	(void)state;
	if (account_store_open(":memory:", &settings, &test_store, why, sizeof(why)) < 0)
		fail_msg("%s", why);
	return 0;
}

static inline int test_close(void **state)
{
	(void)state;
	account_store_close(test_store);
	return 0;
}

/* The answer to a question written with ' for ". */
static inline json_t *test_ask(const char *question, const struct account_password *password)
{
	char text[2048];
	size_t n = strlen(question);
	json_error_t where;
	json_t *ask, *answer;

	assert_true(n < sizeof(text));
	for (size_t i = 0; i <= n; i++)
		text[i] = question[i] == '\'' ? '"' : question[i];
	ask = json_loads(text, 0, &where);
	if (!ask)
		fail_msg("%s: %s", question, where.text);
	answer = account_request(test_store, ask, password, TEST_NOW);
	json_decref(ask);
	assert_non_null(answer);
	return answer;
}

static inline void test_do(const char *question)
{
	json_t *answer = test_ask(question, NULL);

	if (json_object_get(answer, "error"))
		fail_msg("%s: %s", question, json_string_value(json_object_get(answer, "error")));
	json_decref(answer);
}

static inline void test_refused(const char *question, const char *words)
{
	json_t *answer = test_ask(question, NULL);
	const char *error = json_string_value(json_object_get(answer, "error"));

	if (!error || !strstr(error, words))
		fail_msg("%s: expected '%s', got '%s'", question, words, error ? error : "no error");
	json_decref(answer);
}

#endif
