/* Records, policies, and what holds when. */
#include "route/sts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"

static void test_record(void **state)
{
	static const struct {
		const char *text, *id; /* NULL: none */
	} rows[] = {
		{ "v=STSv1; id=20160831085700Z;", "20160831085700Z" },
		{ "v=STSv1;id=1", "1" },
		{ "v=STSv1 ; id=1 ; ", "1" },
		{ "v=STSv1; x=y; id=1; z-1._=!", "1" },
		{ "v=STSv1; id=1; id=2", "1" },
		{ "v=STSv1; id=12345678901234567890123456789012", "12345678901234567890123456789012" },
		{ "v=STSv1; id=123456789012345678901234567890123", NULL },
		{ "v=STSv1; id=1-2", NULL },
		{ "v=STSv1; id=", NULL },
		{ "v=STSv1;", NULL },
		{ "v=STSv1", NULL },
		{ "v=STSv1; id", NULL },
		{ "v=STSv1; id=1;; ", NULL },
		{ "v=STSv1; id=1; -=x", NULL },
		{ "v=STSv1; id=1; x=a=b", NULL },
		{ "v=STSv2; id=1", NULL },
		{ "v=STSv1x; id=1", NULL },
		{ "v=stsv1; id=1", NULL },
		{ " v=STSv1; id=1", NULL },
		{ "", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char id[STS_ID_MAX + 1] = "untouched";
		bool is = sts_record_parse(slice_str(rows[i].text), id);

		if (is != (rows[i].id != NULL) || strcmp(id, is ? rows[i].id : "untouched") != 0)
			fail_msg("%s: %d %s", rows[i].text, is, id);
	}
}

static void test_answer(void **state)
{
	static const struct {
		enum dns_status status;
		const char *txt[3];
		enum sts_record is;
	} rows[] = {
		{ DNS_OK, { "v=STSv1; id=1" }, STS_RECORD_FOUND },
		{ DNS_OK, { "v=spf1 -all", "v=STSv1; id=1", "hello" }, STS_RECORD_FOUND },
		{ DNS_OK, { "v=STSv1; id=1", "v=STSv1; id=2" }, STS_RECORD_NONE },
		{ DNS_OK, { "v=STSv1; id=1", "v=STSv1; broken" }, STS_RECORD_NONE },
		{ DNS_OK, { "hello" }, STS_RECORD_NONE },
		{ DNS_NXDOMAIN, { 0 }, STS_RECORD_NONE },
		{ DNS_NODATA, { 0 }, STS_RECORD_NONE },
		{ DNS_SERVFAIL, { 0 }, STS_RECORD_UNKNOWN },
		{ DNS_BOGUS, { 0 }, STS_RECORD_UNKNOWN },
		{ DNS_TIMEOUT, { 0 }, STS_RECORD_UNKNOWN },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct dns_record r[3] = { 0 };
		struct dns_answer a = { .status = rows[i].status, .records = r };
		char id[STS_ID_MAX + 1];

		while (a.n < 3 && rows[i].txt[a.n]) {
			r[a.n].txt = slice_str(rows[i].txt[a.n]);
			a.n++;
		}
		assert_int_equal(sts_record(&a, id), rows[i].is);
	}
}

static void test_policy(void **state)
{
	/* As text, or how what is wrong begins. */
	static const struct {
		const char *text, *is;
	} rows[] = {
		{ "version: STSv1\nmode: testing\nmx: mx1.example.com\nmx: *.example.net\nmax_age: 1296000\n",
		  "version:STSv1\nmode:testing\nmax_age:1296000\nmx:mx1.example.com\nmx:*.example.net\n" },
		{ "version: STSv1\r\nmode: enforce\r\nmx: MX.Example.ORG\r\nmax_age: 604800\r\n",
		  "version:STSv1\nmode:enforce\nmax_age:604800\nmx:mx.example.org\n" },
		{ "max_age:1\nmx:a.b  \n\nmode:enforce\t\nversion:STSv1",
		  "version:STSv1\nmode:enforce\nmax_age:1\nmx:a.b\n" },
		{ "version: STSv1\nmode: none\nmax_age: 0\n", "version:STSv1\nmode:none\nmax_age:0\n" },
		{ "version: STSv1\nmode: none\nmax_age: 9999999999\n",
		  "version:STSv1\nmode:none\nmax_age:31557600\n" },
		{ "version: STSv1\nmode: enforce\nmode: none\nmx: a.b\nmax_age: 7\nmax_age: 8\nother: x:y\n",
		  "version:STSv1\nmode:enforce\nmax_age:7\nmx:a.b\n" },
		{ "version: STSv2\nmode: none\nmax_age: 1\n", "its version" },
		{ "mode: none\nmax_age: 1\n", "it has no version" },
		{ "version: STSv1\nmax_age: 1\n", "it has no mode" },
		{ "version: STSv1\nmode: none\n", "it has no max_age" },
		{ "version: STSv1\nmode: enforce\nmax_age: 1\n", "it has no mx" },
		{ "version: STSv1\nmode: Enforce\nmax_age: 1\nmx: a.b\n", "its mode" },
		{ "version: STSv1\nmode: none\nmax_age: -1\n", "its max_age" },
		{ "version: STSv1\nmode: none\nmax_age: 1 day\n", "its max_age" },
		{ "version: STSv1\nmode: none\nmax_age: 99999999999\n", "its max_age" },
		{ "version: STSv1\nmode: none\nmax_age:\n", "its max_age" },
		{ "version: STSv1\nmode: enforce\nmax_age: 1\nmx: *\n", "an mx" },
		{ "version: STSv1\nmode: enforce\nmax_age: 1\nmx: *.*.b\n", "an mx" },
		{ "version: STSv1\nmode: enforce\nmax_age: 1\nmx: a b\n", "an mx" },
		{ "version: STSv1\nmode: enforce\nmax_age: 1\nmx: \n", "an mx" },
		{ "version: STSv1\nmode: enforce\nmax_age: 1\nmx: .a\n", "an mx" },
		{ "<html>\n", "a line" },
		{ "", "it has no version" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		static struct sts_policy p, again;
		const char *wrong = sts_policy_parse(slice_str(rows[i].text), &p);
		struct buf b;

		if (wrong) {
			if (strncmp(wrong, rows[i].is, strlen(rows[i].is)) != 0)
				fail_msg("%s: %s", rows[i].text, wrong);
			continue;
		}
		buf_init(&b, STS_POLICY_MAX);
		sts_policy_text(&p, &b);
		if (!slice_eq(buf_slice(&b), slice_str(rows[i].is)))
			fail_msg("%s: %.*s", rows[i].text, SLICE_ARG(buf_slice(&b)));
		assert_null(sts_policy_parse(buf_slice(&b), &again));
		buf_done(&b);
	}
}

static void test_ceilings(void **state)
{
	static struct sts_policy p;
	struct buf b;

	(void)state;
	buf_init(&b, 2 * STS_POLICY_MAX);
	buf_str(&b, "version: STSv1\nmode: enforce\nmax_age: 1\n");
	for (int i = 0; i < STS_MX_MAX; i++)
		buf_fmt(&b, "mx: m%d.example.org\n", i);
	assert_null(sts_policy_parse(buf_slice(&b), &p));
	assert_true(sts_policy_lists(&p, SLICE_LIT("m63.example.org")));
	buf_str(&b, "mx: one.too.many\n");
	assert_string_equal(sts_policy_parse(buf_slice(&b), &p), "it has too many mx");
	buf_reset(&b);
	buf_str(&b, "version: STSv1\nmode: none\nmax_age: 1\n");
	while (b.n < STS_POLICY_MAX)
		buf_byte(&b, '\n');
	assert_null(sts_policy_parse(buf_slice(&b), &p));
	buf_byte(&b, '\n');
	assert_string_equal(sts_policy_parse(buf_slice(&b), &p), "it is larger than 64 KiB");
	buf_done(&b);
}

static void test_lists(void **state)
{
	static const struct {
		const char *mx, *host;
		bool is;
	} rows[] = {
		{ "mx.example.org", "mx.example.org", true },
		{ "mx.example.org", "MX.example.ORG", true },
		{ "mx.example.org", "mx2.example.org", false },
		{ "mx.example.org", "a.mx.example.org", false },
		{ "*.example.org", "mx.example.org", true },
		{ "*.example.org", "example.org", false },
		{ "*.example.org", "a.mx.example.org", false }, /* one label: RFC 8461 4.1, RFC 6125 6.4.3 */
		{ "*.example.org", ".example.org", false },
		{ "*.example.org", "mx.example.orgx", false },
		{ "a.test b.test", "b.test", true },
		{ "a.test b.test", "a.test b.test", false },
		{ "", "", false },
		{ "*.org", "example.org", true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sts_policy p = { .mx_n = strlen(rows[i].mx) };

		memcpy(p.mx, rows[i].mx, p.mx_n);
		if (sts_policy_lists(&p, slice_str(rows[i].host)) != rows[i].is)
			fail_msg("%s %s", rows[i].mx, rows[i].host);
	}
}

/* ---- the cache: a play in lines ---- */

/* "T next RECORD -> WHAT", "T fetched ID MODE MAX_AGE", "T failed ID", "T recall nothing",
 * "T recall ID MODE MAX_AGE FETCHED"; RECORD: an id, none, unknown. */
static const char *const plays[][16] = {
	{ "1000 next none -> ask", "1000 recall nothing", "1000 next none -> none", "2000 next none -> none",
	  "4601 next none -> ask" },
	{ "1000 next 1 -> ask", "1000 recall nothing", "1000 next 1 -> fetch", "1005 fetched 1 enforce 5000",
	  "1005 next 1 -> use enforce", "1010 next 1 -> use enforce", "1010 next none -> use enforce",
	  "1010 next unknown -> use enforce", "3504 next 1 -> use enforce", "3505 next 1 -> both enforce",
	  "6004 next none -> use enforce", "6005 next none -> ask", "6005 recall nothing",
	  "6005 next none -> none" },
	/* The id changes: fetched anew; if that fails the old one holds until its end. */
	{ "1000 next 1 -> ask", "1000 recall nothing", "1000 fetched 1 enforce 100000",
	  "2000 next 2 -> fetch", "2000 failed 2", "2001 next 2 -> use enforce", "2299 next 2 -> use enforce",
	  "2300 next 2 -> fetch", "2300 failed 2", "2301 next 3 -> fetch", "2302 fetched 3 none 100000",
	  "2303 next 3 -> use none", "2303 next 2 -> fetch" },
	/* Never fetched: not tried all the time. */
	{ "1000 next 1 -> ask", "1000 recall nothing", "1000 next 1 -> fetch", "1000 failed 1",
	  "1001 next 1 -> none", "1299 next 1 -> none", "1300 next 1 -> fetch" },
	/* After a restart what the ledger has holds, with or without a record. */
	{ "5000 next none -> ask", "5000 recall 1 enforce 10000 1000", "5000 next none -> use enforce",
	  "5000 next 1 -> use enforce", "5000 next 2 -> fetch", "11000 next none -> ask" },
	{ "50000 next none -> ask", "50000 recall 1 enforce 10000 1000", "50000 next none -> none" },
	/* Older than what is known, or from the future: not taken. */
	{ "5000 fetched 2 none 1000", "5001 recall 1 enforce 100000 4000", "5002 next 2 -> use none" },
	{ "5000 recall 1 enforce 100000 6000", "5002 next none -> none" },
	/* Used daily: fetched anew daily. */
	{ "1000 fetched 1 testing 604800", "87399 next 1 -> use testing", "87400 next 1 -> both testing",
	  "87400 failed 1", "87401 next 1 -> use testing", "87700 next 1 -> both testing",
	  "87701 fetched 1 testing 604800", "87702 next 1 -> use testing" },
};

static struct sts_policy policy_of(const char *mode, unsigned max_age)
{
	static struct sts_policy p;
	char text[200];

	snprintf(text, sizeof(text), "version:STSv1\nmode:%s\nmx:mx.test\nmax_age:%u\n", mode, max_age);
	assert_null(sts_policy_parse(slice_str(text), &p));
	return p;
}

static void play_next(struct sts_cache *c, const char *line, int64_t now, const char *record,
		      const char *wanted)
{
	static const char *const words[] = {
		[STS_USE] = "use",     [STS_NONE] = "none",	     [STS_ASK] = "ask",
		[STS_FETCH] = "fetch", [STS_USE_AND_FETCH] = "both",
	};
	enum sts_record r = strcmp(record, "none") == 0	     ? STS_RECORD_NONE
			    : strcmp(record, "unknown") == 0 ? STS_RECORD_UNKNOWN
							     : STS_RECORD_FOUND;
	static struct sts_policy p;
	enum sts_next n = sts_cache_next(c, SLICE_LIT("example.org"), r, record, now, &p);
	char got[40];

	snprintf(got, sizeof(got), "%s%s%s", words[n], n == STS_USE || n == STS_USE_AND_FETCH ? " " : "",
		 n == STS_USE || n == STS_USE_AND_FETCH ? sts_mode_name(p.mode) : "");
	if (strcmp(got, wanted) != 0)
		fail_msg("%s: %s", line, got);
}

static void play_line(struct sts_cache *c, const char *line)
{
	const struct slice domain = SLICE_INIT("example.org");
	char what[20], a[40], b[40], rest[60] = "";
	unsigned max_age = 0, fetched = 0;
	struct sts_policy p;
	struct buf text;
	long now;

	assert_true(sscanf(line, "%ld %19s %39s", &now, what, a) == 3);
	if (strcmp(what, "next") == 0) {
		assert_int_equal(sscanf(line, "%ld next %39s -> %59[^\n]", &now, a, rest), 3);
		play_next(c, line, now, a, rest);
	} else if (strcmp(what, "failed") == 0) {
		sts_cache_failed(c, domain, a, now);
	} else if (strcmp(a, "nothing") == 0) {
		sts_cache_recall(c, domain, NULL, now);
	} else {
		assert_true(sscanf(line, "%*d %*s %*s %39s %u %u", b, &max_age, &fetched) >= 2);
		p = policy_of(b, max_age);
		if (strcmp(what, "fetched") == 0) {
			sts_cache_fetched(c, domain, a, &p, now);
			return;
		}
		buf_init(&text, 1000);
		sts_policy_text(&p, &text);
		struct sts_kept kept = { slice_str(a), buf_slice(&text), fetched };
		sts_cache_recall(c, domain, &kept, now);
		buf_done(&text);
	}
}

static void test_cache(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(plays) / sizeof(plays[0]); i++) {
		struct sts_cache *c = sts_cache_new(10, 1 << 20);

		for (size_t j = 0; j < 16 && plays[i][j]; j++)
			play_line(c, plays[i][j]);
		sts_cache_free(c);
	}
}

static void test_cache_ceiling(void **state)
{
	struct sts_cache *c = sts_cache_new(100, 1 << 20);
	struct sts_policy p = policy_of("enforce", 1000);
	struct sts_cache_counters n;
	char name[40];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "d%d.test", i);
		sts_cache_fetched(c, slice_str(name), "1", &p, 1000);
		sts_cache_failed(c, SLICE_LIT("d0.test"), "2", 1000); /* used all the time */
	}
	sts_cache_count(c, &n);
	assert_int_equal(n.entries, 100);
	assert_int_equal(n.taken_out, 900);
	assert_true(n.octets < 100 * 600);
	assert_int_equal(sts_cache_next(c, SLICE_LIT("d0.test"), STS_RECORD_NONE, "", 1001, NULL), STS_USE);
	assert_int_equal(sts_cache_next(c, SLICE_LIT("d1.test"), STS_RECORD_NONE, "", 1001, NULL), STS_ASK);
	assert_int_equal(sts_cache_next(c, SLICE_LIT("d999.test"), STS_RECORD_NONE, "", 1001, NULL), STS_USE);
	sts_cache_free(c);
	/* By octets. */
	c = sts_cache_new(100000, 20000);
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "d%d.test", i);
		sts_cache_fetched(c, slice_str(name), "1", &p, 1000);
		sts_cache_count(c, &n);
		assert_true(n.octets <= 20000);
	}
	sts_cache_free(c);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_record),	      cmocka_unit_test(test_answer),
		cmocka_unit_test(test_policy),	      cmocka_unit_test(test_ceilings),
		cmocka_unit_test(test_lists),	      cmocka_unit_test(test_cache),
		cmocka_unit_test(test_cache_ceiling),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
