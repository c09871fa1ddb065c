#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <ctype.h>
#include <stdio.h>

#include "smtp/path.h"
#include "smtp/srs.h"

#define TODAY 20778

static const unsigned char key[SRS_KEY] = "thirty-two octets of a secret ..";
static const unsigned char other[SRS_KEY] = "another secret of other servers.";

static const char *made(const char *sender, const char *domain, const unsigned char *with, uint64_t day)
{
	static char room[4][600];
	static unsigned n;
	char *text = room[n++ % 4];
	struct buf b;

	buf_init_in(&b, text, sizeof(room[0]) - 1);
	if (!srs_make(slice_str(sender), slice_str(domain), with, day, &b))
		return NULL;
	text[b.n] = 0;
	return text;
}

static enum srs_result opened(const char *address, const unsigned char *with, uint64_t day,
			      char to[static 600])
{
	struct slice a = slice_str(address);
	struct buf b;
	enum srs_result r;

	buf_init_in(&b, to, 599);
	r = srs_open(slice_head(a, slice_rfind(a, '@')), with, day, &b);
	to[b.n] = 0;
	return r;
}

static void test_there_and_back(void **state)
{
	static const char *const senders[] = {
		"ann@example.com",
		"a.b+c=d@sub.example.com",
		"bounces+1234567-abcd-user=example.org@em123.mail.example.net",
		"gr\303\274\303\237e@example.com",
		"srs0@example.com",
		"SRS0@example.com",
	};
	char back[600];

	(void)state;
	for (size_t i = 0; i < sizeof(senders) / sizeof(senders[0]); i++) {
		const char *a = made(senders[i], "our.example", key, TODAY);
		struct smtp_path path;
		size_t at;

		assert_non_null(a);
		assert_true(slice_starts(slice_str(a), SLICE_LIT("SRS0=")));
		assert_int_equal(smtp_parse_address(slice_str(a), &path, &at), SMTP_PARSE_OK);
		assert_int_equal(opened(a, key, TODAY, back), SRS_OK);
		assert_string_equal(back, senders[i]);
		assert_int_equal(opened(a, key, TODAY + SRS_DAYS, back), SRS_OK);
		assert_int_equal(opened(a, key, TODAY + SRS_DAYS + 1, back), SRS_EXPIRED);
		assert_int_equal(opened(a, other, TODAY, back), SRS_FORGED);
	}
}

/* However many forwarders: it comes back to the first of them, in its own words. */
static void test_chain(void **state)
{
	const char *one = made("ann@example.com", "one.example", other, TODAY);
	const char *two = made(one, "two.example", key, TODAY);
	const char *three = made(two, "three.example", other, TODAY);
	char back[600];

	(void)state;
	assert_true(slice_starts(slice_str(two), SLICE_LIT("SRS1=")));
	assert_true(slice_starts(slice_str(three), SLICE_LIT("SRS1=")));
	assert_int_equal(opened(three, other, TODAY, back), SRS_OK);
	assert_string_equal(back, one);
	assert_int_equal(opened(two, key, TODAY, back), SRS_OK);
	assert_string_equal(back, one);
	assert_int_equal(opened(back, other, TODAY, back), SRS_OK);
	assert_string_equal(back, "ann@example.com");
}

static void test_other_case(void **state)
{
	char a[600], back[600];

	(void)state;
	snprintf(a, sizeof(a), "%s", made("Ann@example.com", "our.example", key, TODAY));
	for (size_t i = 0; a[i]; i++)
		a[i] = (char)tolower((unsigned char)a[i]);
	assert_int_equal(opened(a, key, TODAY, back), SRS_OK);
	assert_string_equal(back, "ann@example.com");
}

/* Each character counts. */
static void test_changed(void **state)
{
	char a[600], back[600];
	size_t n;

	(void)state;
	snprintf(a, sizeof(a), "%s", made("ann@example.com", "our.example", key, TODAY));
	n = (size_t)(strchr(a, '@') - a);
	for (size_t i = 5; i < n; i++) {
		char was = a[i];

		a[i] = was == 'b' ? 'c' : 'b';
		if (tolower((unsigned char)was) != tolower((unsigned char)a[i]))
			assert_int_equal(opened(a, key, TODAY, back), SRS_FORGED);
		a[i] = was;
	}
	assert_int_equal(opened(a, key, TODAY, back), SRS_OK);
	memmove(a + 9, a + 13, strlen(a + 13) + 1); /* half of the hash: too easy to guess */
	assert_int_equal(opened(a, key, TODAY, back), SRS_FORGED);
}

static void test_not_rewritten(void **state)
{
	static const char *const senders[] = {
		"", "ann", "@example.com", "\"a b\"@example.com", "ann@[192.0.2.1]", "SRS1=only@example.com"
	};
	char longest[300];

	(void)state;
	for (size_t i = 0; i < sizeof(senders) / sizeof(senders[0]); i++)
		assert_null(made(senders[i], "our.example", key, TODAY));
	memset(longest, 'x', sizeof(longest));
	memcpy(longest + 200, "@example.com", 13);
	assert_null(made(longest, "our.example", key, TODAY));
}

static void test_nonsense(void **state)
{
	static const struct {
		const char *local;
		enum srs_result r;
	} rows[] = {
		{ "ann@x", SRS_NONE },	      { "SRS0@x", SRS_NONE },	  { "SRS2=a=b@x", SRS_NONE },
		{ "SRS0=@x", SRS_NONE },      { "SRS0=a@x", SRS_FORGED }, { "SRS0====@x", SRS_FORGED },
		{ "SRS1=a=b@x", SRS_FORGED },
	};
	char back[600];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(opened(rows[i].local, key, TODAY, back), rows[i].r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_chain),
		cmocka_unit_test(test_other_case),     cmocka_unit_test(test_changed),
		cmocka_unit_test(test_not_rewritten),  cmocka_unit_test(test_nonsense),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
