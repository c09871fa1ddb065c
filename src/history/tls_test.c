/* Results of TLS by day, and policies that last. */
#include "history/tls.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define DAY 86400

struct seen {
	char text[2000];
	size_t rows;
	int64_t last;
};

static bool see(void *arg, const struct tls_history_row *row)
{
	struct seen *s = arg;
	char ip[IP_TEXT_MAX];
	size_t n = strlen(s->text);

	if (n < 1500)
		snprintf(s->text + n, sizeof(s->text) - n, "%d %.*s %s %.*s %s %s %d %.*s\n", (int)row->day,
			 SLICE_ARG(row->what.domain), tls_result_policy_name(row->what.policy),
			 SLICE_ARG(row->what.host), tls_result_name(row->what.result),
			 row->what.ip.family ? ip_format(&row->what.ip, ip) : "-", (int)row->count,
			 SLICE_ARG(row->what.text));
	s->rows++;
	s->last = row->number;
	return true;
}

static void open_it(const char *path, struct tls_history **h)
{
	char why[200];
	bool aside;

	if (tls_history_open(path, 100, 50, h, &aside, why, sizeof(why)) < 0)
		fail_msg("%s", why);
}

static void list(struct tls_history *h, int64_t since, const char *domain, int64_t after, size_t limit,
		 struct seen *s)
{
	struct tls_history_ask a = {
		.since_day = since, .domain = slice_str(domain), .after = after, .limit = limit
	};

	*s = (struct seen){ 0 };
	assert_int_equal(tls_history_list(h, &a, see, s), 0);
}

static void add(struct tls_history *h, const char *domain, enum tls_result_policy policy,
		enum tls_result result, const char *host, const char *ip, const char *text, int64_t now)
{
	struct tls_history_result r = { .domain = slice_str(domain),
					.policy = policy,
					.result = result,
					.host = slice_str(host),
					.text = slice_str(text) };

	assert_true(!*ip || ip_parse(slice_str(ip), &r.ip));
	assert_false(tls_history_add(h, &r, now));
}

static void test_results(void **state)
{
	struct tls_history_counters n;
	struct tls_history *h;
	struct seen s = { 0 };

	(void)state;
	open_it(":memory:", &h);
	add(h, "a.test", TLS_RESULT_POLICY_STS, TLS_RESULT_OK, "mx.a.test", "192.0.2.1", "", 10 * DAY);
	add(h, "a.test", TLS_RESULT_POLICY_STS, TLS_RESULT_OK, "mx.a.test", "192.0.2.2", "", 10 * DAY + 1);
	add(h, "a.test", TLS_RESULT_POLICY_STS, TLS_RESULT_CERTIFICATE_EXPIRED, "mx.a.test", "192.0.2.1",
	    "old", 10 * DAY);
	add(h, "a.test", TLS_RESULT_POLICY_STS, TLS_RESULT_CERTIFICATE_EXPIRED, "mx.a.test", "192.0.2.1",
	    "new\x1b", 10 * DAY + 5);
	assert_int_equal(tls_history_flush(h), 0);
	add(h, "a.test", TLS_RESULT_POLICY_STS, TLS_RESULT_OK, "mx.a.test", "", "", 11 * DAY - 1);
	add(h, "a.test", TLS_RESULT_POLICY_STS, TLS_RESULT_OK, "mx.a.test", "", "", 11 * DAY);
	add(h, "b.test", TLS_RESULT_POLICY_TLSA, TLS_RESULT_DNSSEC_INVALID, "mx.b.test", "", "x", 11 * DAY);
	list(h, 0, "", 0, 100, &s);
	assert_int_equal(s.rows, 2); /* the rest is not flushed */
	assert_int_equal(tls_history_flush(h), 0);
	list(h, 0, "", 0, 100, &s);
	assert_string_equal(s.text, "10 a.test sts mx.a.test ok - 3 \n"
				    "10 a.test sts mx.a.test certificate-expired 192.0.2.1 2 new?\n"
				    "11 a.test sts mx.a.test ok - 1 \n"
				    "11 b.test tlsa mx.b.test dnssec-invalid - 1 x\n");
	list(h, 11, "a.test", 0, 100, &s);
	assert_string_equal(s.text, "11 a.test sts mx.a.test ok - 1 \n");
	list(h, 0, "", 0, 2, &s);
	assert_int_equal(s.rows, 2);
	list(h, 0, "", s.last, 100, &s); /* the next page */
	assert_string_equal(s.text, "11 a.test sts mx.a.test ok - 1 \n"
				    "11 b.test tlsa mx.b.test dnssec-invalid - 1 x\n");
	/* After a month it is gone. */
	add(h, "c.test", TLS_RESULT_POLICY_NONE, TLS_RESULT_OK, "mx.c.test", "", "", 41 * DAY);
	assert_int_equal(tls_history_flush(h), 0);
	tls_history_count(h, &n);
	assert_int_equal(n.results, 3);
	assert_int_equal(n.taken_out, 2);
	tls_history_free(h);
}

static void test_ceilings(void **state)
{
	struct tls_history_counters n;
	struct tls_history *h;
	struct seen s = { 0 };
	char name[40];

	(void)state;
	open_it(":memory:", &h);
	add(h, "often.test", TLS_RESULT_POLICY_NONE, TLS_RESULT_OK, "mx", "", "", DAY);
	add(h, "often.test", TLS_RESULT_POLICY_NONE, TLS_RESULT_OK, "mx", "", "", DAY);
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "d%d.test", i);
		add(h, name, TLS_RESULT_POLICY_NONE, TLS_RESULT_OK, "mx", "", "", DAY);
		if (i % 10 == 9) {
			assert_int_equal(tls_history_flush(h), 0);
			tls_history_count(h, &n);
			assert_true(n.results <= 100);
		}
	}
	list(h, 0, "often.test", 0, 100, &s);
	assert_int_equal(s.rows, 1);
	/* The batch: told to flush, and if nobody does, dropped and counted. */
	struct tls_history_result r = { .domain = SLICE_LIT("x.test"), .policy = TLS_RESULT_POLICY_NONE };

	for (int i = 1; i < TLS_HISTORY_BATCH; i++)
		assert_false(tls_history_add(h, &r, DAY));
	assert_true(tls_history_add(h, &r, DAY));
	assert_true(tls_history_add(h, &r, DAY));
	tls_history_count(h, &n);
	assert_int_equal(n.dropped, 1);
	tls_history_free(h);
}

static void keep(struct tls_history *h, const char *domain, const char *id, int64_t fetched, int64_t expires)
{
	struct tls_history_policy p = { .id = slice_str(id),
					.text = SLICE_LIT("version:STSv1\n"),
					.fetched = fetched,
					.expires = expires };

	assert_int_equal(tls_history_keep(h, slice_str(domain), &p), 0);
}

static void test_policies(void **state)
{
	struct tls_history_policy p = { .expires = 7 };
	struct tls_history_counters n;
	struct tls_history *h;
	char name[40];

	(void)state;
	open_it(":memory:", &h);
	assert_int_equal(tls_history_find(h, SLICE_LIT("a.test"), 0, &p), 0);
	keep(h, "a.test", "1", 100, 200);
	assert_int_equal(tls_history_find(h, SLICE_LIT("a.test"), 199, &p), 1);
	assert_true(slice_eq(p.id, SLICE_LIT("1")) && slice_eq(p.text, SLICE_LIT("version:STSv1\n")));
	assert_int_equal(p.fetched, 100);
	assert_int_equal(p.expires, 200);
	assert_int_equal(tls_history_find(h, SLICE_LIT("a.test"), 200, &p), 0);
	keep(h, "a.test", "2", 300, 9000);
	assert_int_equal(tls_history_find(h, SLICE_LIT("a.test"), 300, &p), 1);
	assert_true(slice_eq(p.id, SLICE_LIT("2")));
	tls_history_count(h, &n);
	assert_int_equal(n.policies, 1);
	for (int i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "d%d.test", i);
		keep(h, name, "1", 1, 1000 + i);
		tls_history_count(h, &n);
		assert_true(n.policies <= 50);
	}
	assert_int_equal(tls_history_find(h, SLICE_LIT("a.test"), 300, &p), 1); /* it ends last */
	assert_int_equal(tls_history_find(h, SLICE_LIT("d0.test"), 300, &p), 0);
	assert_int_equal(tls_history_find(h, SLICE_LIT("d499.test"), 300, &p), 1);
	p.text = slice_of(name, 0);
	p.text.n = TLS_HISTORY_POLICY_MAX + 1;
	assert_int_equal(tls_history_keep(h, SLICE_LIT("big.test"), &p), -EINVAL);
	tls_history_free(h);
}

static void test_restart_and_damage(void **state)
{
	char folder[] = "/tmp/tls_history.XXXXXX", path[100], aside[120];
	struct tls_history_counters n;
	struct tls_history_policy p;
	struct tls_history *h;
	FILE *f;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/tls.db", folder);
	snprintf(aside, sizeof(aside), "%s.damaged", path);
	open_it(path, &h);
	keep(h, "a.test", "1", 100, 200);
	add(h, "a.test", TLS_RESULT_POLICY_STS, TLS_RESULT_OK, "mx", "", "", DAY);
	assert_int_equal(tls_history_flush(h), 0);
	tls_history_free(h);
	open_it(path, &h);
	assert_int_equal(tls_history_find(h, SLICE_LIT("a.test"), 150, &p), 1);
	tls_history_count(h, &n);
	assert_int_equal(n.results, 1);
	assert_int_equal(n.policies, 1);
	tls_history_free(h);
	f = fopen(path, "w");
	fputs("this is no database, and was never one, whatever it is called", f);
	fclose(f);
	open_it(path, &h);
	assert_int_equal(tls_history_find(h, SLICE_LIT("a.test"), 150, &p), 0);
	tls_history_free(h);
	assert_int_equal(access(aside, F_OK), 0);
	unlink(aside);
	unlink(path);
	snprintf(aside, sizeof(aside), "%s-wal", path);
	unlink(aside);
	snprintf(aside, sizeof(aside), "%s-shm", path);
	unlink(aside);
	rmdir(folder);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_results),
		cmocka_unit_test(test_ceilings),
		cmocka_unit_test(test_policies),
		cmocka_unit_test(test_restart_and_damage),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
