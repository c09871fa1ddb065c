#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/slice.h"

static const struct {
	const char *text;
	uint64_t max, want;
	bool ok;
	size_t left;
} numbers[] = {
	{ "0", 10, 0, true, 0 },
	{ "10", 10, 10, true, 0 },
	{ "11", 10, 0, false, 2 },
	{ "9x", 10, 9, true, 1 },
	{ "", 10, 0, false, 0 },
	{ "x", 10, 0, false, 1 },
	{ "-1", 10, 0, false, 2 },
	{ "007", 10, 7, true, 0 },
	{ "5", 4, 0, false, 1 },
	{ "18446744073709551615", UINT64_MAX, UINT64_MAX, true, 0 },
	{ "18446744073709551616", UINT64_MAX, 0, false, 20 },
	{ "99999999999999999999", UINT64_MAX, 0, false, 20 },
};

static void decimal_numbers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		struct slice cur = slice_str(numbers[i].text);
		uint64_t v = 77;

		if (cur_u64(&cur, numbers[i].max, &v) != numbers[i].ok || cur.n != numbers[i].left)
			fail_msg("'%s'", numbers[i].text);
		assert_true(v == (numbers[i].ok ? numbers[i].want : 77)); /* untouched on failure */
	}
}

static void cursors_stay_where_they_failed(void **state)
{
	struct slice cur = SLICE_LIT("MAIL FROM:<a>"), got = SLICE_LIT("untouched");

	(void)state;
	assert_false(cur_word(&cur, SLICE_LIT("MAILX")));
	assert_false(cur_byte(&cur, 'm'));
	assert_false(cur_until(&cur, '?', &got));
	assert_false(cur_take(&cur, 14, &got));
	assert_false(cur_blanks(&cur));
	assert_int_equal(cur.n, 13);
	assert_true(slice_eq(got, SLICE_LIT("untouched")));
	assert_true(cur_word(&cur, SLICE_LIT("mail")));
	assert_true(cur_blanks(&cur));
	assert_true(cur_until(&cur, ':', &got) && slice_eq(got, SLICE_LIT("FROM")));
	assert_true(cur_take(&cur, 3, &got) && slice_eq(got, SLICE_LIT("<a>")));
	assert_int_equal(cur.n, 0);
	assert_false(cur_byte(&cur, 0));
	assert_true(cur_take(&cur, 0, &got));
}

static void parts(void **state)
{
	struct slice s = SLICE_LIT("a.b.c");

	(void)state;
	assert_true(slice_eq(slice_head(s, 2), SLICE_LIT("a.")));
	assert_int_equal(slice_head(s, 99).n, 5);
	assert_true(slice_eq(slice_tail(s, 4), SLICE_LIT("c")));
	assert_int_equal(slice_tail(s, 5).n, 0);
	assert_int_equal(slice_tail(s, 99).n, 0);
	assert_int_equal(slice_find(s, '.'), 1);
	assert_int_equal(slice_rfind(s, '.'), 3);
	assert_int_equal(slice_find(s, 'x'), 5);
	assert_int_equal(slice_rfind(s, 'x'), 5);
	assert_int_equal(slice_str(NULL).n, 0);
	assert_true(slice_eq(slice_trim(SLICE_LIT(" \t a b \t")), SLICE_LIT("a b")));
	assert_int_equal(slice_trim(SLICE_LIT(" \t ")).n, 0);
}

static void comparing(void **state)
{
	(void)state;
	assert_true(slice_eq(slice_of(NULL, 0), SLICE_LIT("")));
	assert_true(slice_eq_nocase(SLICE_LIT("aZ@["), SLICE_LIT("Az@[")));
	assert_false(slice_eq_nocase(SLICE_LIT("@["), SLICE_LIT("`{"))); /* beside the letters */
	assert_false(slice_eq_nocase(SLICE_LIT("\xc4"), SLICE_LIT("\xe4")));
	assert_true(slice_cmp(SLICE_LIT("a"), SLICE_LIT("b")) < 0);
	assert_true(slice_cmp(SLICE_LIT("ab"), SLICE_LIT("a")) > 0);
	assert_true(slice_cmp(SLICE_LIT("\xff"), SLICE_LIT("a")) > 0);
	assert_int_equal(slice_cmp(SLICE_LIT(""), slice_of(NULL, 0)), 0);
	assert_true(slice_starts_nocase(SLICE_LIT("Auth x"), SLICE_LIT("AUTH ")));
	assert_false(slice_starts(SLICE_LIT("AU"), SLICE_LIT("AUTH")));
}

/* At each place of each length: it is looked for by words. */
static void eight_bit(void **state)
{
	char text[40];

	(void)state;
	memset(text, 0x7f, sizeof(text));
	for (size_t n = 0; n < sizeof(text); n++) {
		assert_false(slice_has_8bit(slice_of(text, n)));
		for (size_t at = 0; at < n; at++) {
			text[at] = (char)0x80;
			assert_true(slice_has_8bit(slice_of(text, n)));
			text[at] = 0x7f;
		}
	}
}

/* A NUL would cut the copy short in silence. */
static void copies_for_c(void **state)
{
	char to[4] = "old", *dup;

	(void)state;
	assert_true(slice_copy(SLICE_LIT("abc"), to, sizeof(to)));
	assert_string_equal(to, "abc");
	assert_false(slice_copy(SLICE_LIT("abcd"), to, sizeof(to)));
	assert_false(slice_copy(SLICE_LIT("a\0b"), to, sizeof(to)));
	assert_true(slice_copy(slice_of(NULL, 0), to, sizeof(to)));
	assert_string_equal(to, "");
	dup = slice_dup(SLICE_LIT("abcd"));
	assert_string_equal(dup, "abcd");
	free(dup);
	assert_null(slice_dup(SLICE_LIT("a\0b")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decimal_numbers), cmocka_unit_test(cursors_stay_where_they_failed),
		cmocka_unit_test(parts),	   cmocka_unit_test(comparing),
		cmocka_unit_test(eight_bit),	   cmocka_unit_test(copies_for_c),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
