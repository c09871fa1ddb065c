#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "dns/test_message.h"
#include "route/mx.h"

/* The outcome as one line. */
static void show(const struct mx *m, struct buf *to)
{
	static const char *const outcomes[] = { "ok", "permanent", "temporary" };
	char text[IP_TEXT_MAX];

	buf_fmt(to, "%s%s%s", outcomes[m->outcome], m->enhanced[0] ? " " : "", m->enhanced);
	if (m->secure)
		buf_str(to, " secure");
	if (m->implicit)
		buf_str(to, " implicit");
	if (m->more)
		buf_str(to, " more");
	for (size_t i = 0; i < m->n; i++)
		if (m->literal)
			buf_fmt(to, " [%s]", ip_format(&m->host[i].ip, text));
		else
			buf_fmt(to, " %u:%s", m->host[i].preference, m->host[i].name.text);
	buf_byte(to, '\0');
	assert_true(buf_ok(to));
	assert_true((m->outcome == MX_OK) == (m->text[0] == '\0'));
	assert_true((m->outcome == MX_OK) == (m->n > 0));
}

static struct dns_name named(const char *text)
{
	struct dns_name n;

	assert_true(dns_name_parse(slice_str(text), &n));
	return n;
}

/* A domain, what the DNS says (see dns/test_message.h), and what comes of it.  We are us.test
 * and us2.test. */
static const struct {
	const char *domain, *message;
	bool secure;
	const char *outcome;
} rows[] = {
	/* By preference; twice is once, where it is better. */
	{ "a.test", "an a.test MX 20 m2.test\nan a.test MX 10 m1.test", false, "ok 10:m1.test 20:m2.test" },
	{ "a.test", "an a.test MX 20 m1.test\nan a.test MX 10 M1.test\nan a.test MX 15 m2.test", false,
	  "ok 10:m1.test 15:m2.test" },
	{ "A.Test", "an a.test MX 0 m1.test", true, "ok secure 0:m1.test" },
	{ "b\xc3\xbc"
	  "cher.test",
	  "an xn--bcher-kva.test MX 10 m1.test", false, "ok 10:m1.test" },
	{ "a.test", "an a.test MX 65535 m1.test\nan a.test MX 0 m2.test", false,
	  "ok 0:m2.test 65535:m1.test" },
	/* The domain is an alias. */
	{ "a.test", "an a.test CNAME b.test\nan b.test MX 10 m1.test", false, "ok 10:m1.test" },
	/* No MX: the domain itself, or what it is an alias of. */
	{ "a.test", "ns test SOA 60", false, "ok implicit 0:a.test" },
	{ "a.test", "ns test SOA 60", true, "ok secure implicit 0:a.test" },
	{ "a.test", "an a.test CNAME b.test\nns test SOA 60", false, "ok implicit 0:b.test" },
	{ "us.test", "ns test SOA 60", false, "permanent 5.4.6 implicit" },
	{ "a.test", "an a.test CNAME us.test\nns test SOA 60", false, "permanent 5.4.6 implicit" },
	/* Null MX, RFC 7505; beside others it is a mistake of theirs. */
	{ "a.test", "an a.test MX 0 .", false, "permanent 5.1.10" },
	{ "a.test", "an a.test MX 10 .", true, "permanent 5.1.10 secure" },
	{ "a.test", "an a.test MX 0 .\nan a.test MX 10 m1.test", false, "ok 10:m1.test" },
	{ "a.test", "an a.test MX 0 .\nan a.test MX 10 .", false, "permanent 5.4.4" },
	/* More than there is room for: the best is found, wherever it stands, and ourselves. */
	{ "a.test", "many 200 a.test MX 20 w.test\nan a.test MX 10 m1.test", false,
	  "ok more 10:m1.test 20:w.test" },
	{ "a.test", "many 200 a.test MX 20 w.test\nan a.test MX 10 us.test", false, "permanent 5.4.6 more" },
	{ "a.test", "many 130 a.test MX 20 w.test\nmany 70 a.test MX 10 .\nan a.test MX 5 m1.test", false,
	  "ok more 5:m1.test 20:w.test" },
	/* Of those that are no worse than we nobody is missed. */
	{ "a.test", "an a.test MX 5 m1.test\nmany 100 a.test MX 10 w.test\nan a.test MX 10 us.test", false,
	  "ok 5:m1.test" },
	/* Ourselves in the list: only better ones are tried. */
	{ "a.test", "an a.test MX 10 m1.test\nan a.test MX 20 us.test\nan a.test MX 30 m3.test", false,
	  "ok 10:m1.test" },
	{ "a.test", "an a.test MX 10 m1.test\nan a.test MX 20 m2.test\nan a.test MX 20 US2.test", false,
	  "ok 10:m1.test" },
	{ "a.test", "an a.test MX 10 us.test\nan a.test MX 10 m1.test\nan a.test MX 20 m2.test", false,
	  "permanent 5.4.6" },
	{ "a.test", "an a.test MX 10 us.test", false, "permanent 5.4.6" },
	{ "a.test", "an a.test MX 5 192.0.2.1\nan a.test MX 10 us.test", false, "permanent 5.4.6" },
	/* Hosts that are none */
	{ "a.test", "an a.test MX 10 192.0.2.1", false, "permanent 5.4.4" },
	{ "a.test", "an a.test MX 10 192.0.2.1\nan a.test MX 20 m1.test", false, "ok 20:m1.test" },
	{ "a.test", "an a.test MX 10 a+b.test\nan a.test MX 20 m_1.test", false, "ok 20:m_1.test" },
	/* What the DNS cannot say */
	{ "a.test", "rcode 3\nns test SOA 60", false, "permanent 5.1.2" },
	{ "a.test", "rcode 2", false, "temporary 4.4.3" },
	{ "a.test", "rcode 5", false, "temporary 4.4.3" },
	/* More than anybody needs */
	{ "a.test",
	  "an a.test MX 1 a1.t\nan a.test MX 2 a2.t\nan a.test MX 3 a3.t\nan a.test MX 4 a4.t\n"
	  "an a.test MX 5 a5.t\nan a.test MX 6 a6.t\nan a.test MX 7 a7.t\nan a.test MX 8 a8.t\n"
	  "an a.test MX 9 a9.t\nan a.test MX 10 b0.t\nan a.test MX 11 b1.t\nan a.test MX 12 b2.t\n"
	  "an a.test MX 13 b3.t\nan a.test MX 14 b4.t\nan a.test MX 15 b5.t\nan a.test MX 16 b6.t\n"
	  "an a.test MX 17 b7.t\nan a.test MX 18 b8.t\nan a.test MX 21 c1.t\nan a.test MX 20 c0.t\n"
	  "an a.test MX 19 b9.t",
	  false,
	  "ok more 1:a1.t 2:a2.t 3:a3.t 4:a4.t 5:a5.t 6:a6.t 7:a7.t 8:a8.t 9:a9.t 10:b0.t 11:b1.t 12:b2.t "
	  "13:b3.t 14:b4.t 15:b5.t 16:b6.t 17:b7.t 18:b8.t 19:b9.t 20:c0.t" },
	/* Address literals; no question is asked. */
	{ "[192.0.2.1]", NULL, false, "ok [192.0.2.1]" },
	{ "[IPv6:2001:db8::1]", NULL, false, "ok [2001:db8::1]" },
	{ "[ipv6:2001:DB8::1]", NULL, false, "ok [2001:db8::1]" },
	{ "[2001:db8::1]", NULL, false, "permanent 5.1.2" },
	{ "[192.0.2.1", NULL, false, "permanent 5.1.2" },
	{ "[192.0.2]", NULL, false, "permanent 5.1.2" },
	{ "[]", NULL, false, "permanent 5.1.2" },
	{ "[x-new:y]", NULL, false, "permanent 5.1.2" },
	/* No domains */
	{ "", NULL, false, "permanent 5.1.2" },
	{ ".", NULL, false, "permanent 5.1.2" },
	{ "a..test", NULL, false, "permanent 5.1.2" },
	{ "192.0.2.1", NULL, false, "permanent 5.1.2" },
	{ "a test", NULL, false, "permanent 5.1.2" },
};

static enum mx_step run(struct mx *m, const char *domain, const char *message, bool secure, uint64_t random)
{
	static struct dns_name names[2];
	struct dns_question ask;
	struct dns_answer a;
	enum mx_step step;
	struct buf msg;

	names[0] = named("us.test");
	names[1] = named("us2.test");
	step = mx_start(m, slice_str(domain), names, 2, random, &ask);
	if (step == MX_DONE || !message)
		return step;
	assert_int_equal(ask.type, DNS_MX);
	buf_init(&msg, 65535);
	test_message(message, &ask, 300, &msg);
	dns_answer_parse(&a, &ask, buf_slice(&msg));
	a.secure = secure;
	buf_done(&msg);
	step = mx_answer(m, &a, &ask);
	dns_answer_done(&a);
	return step;
}

static void table(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf text;
		struct mx m;

		buf_init(&text, 4096);
		assert_int_equal(run(&m, rows[i].domain, rows[i].message, rows[i].secure, i), MX_DONE);
		show(&m, &text);
		if (strcmp((const char *)buf_slice(&text).p, rows[i].outcome) != 0)
			fail_msg("%s: %s, expected %s", rows[i].domain, (const char *)buf_slice(&text).p,
				 rows[i].outcome);
		buf_done(&text);
	}
}

/* Failures that no message shows. */
static void failures(void **state)
{
	static const struct {
		enum dns_status status;
		enum mx_outcome outcome;
		const char *enhanced, *why;
	} cases[] = {
		{ DNS_TIMEOUT, MX_TEMPORARY, "4.4.3", "no answer in time" },
		{ DNS_BOGUS, MX_TEMPORARY, "4.7.5", "signature expired" },
		{ DNS_SERVFAIL, MX_TEMPORARY, "4.4.3", "servers fail" },
		{ DNS_NO_MEMORY, MX_TEMPORARY, "4.3.0", "too much" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dns_question ask;
		struct dns_answer a;
		struct mx m;

		assert_int_equal(mx_start(&m, SLICE_LIT("a.test"), NULL, 0, 1, &ask), MX_ASK);
		dns_answer_init(&a, &ask, cases[i].status);
		if (cases[i].status == DNS_BOGUS)
			snprintf(a.why, sizeof(a.why), "signature expired");
		assert_int_equal(mx_answer(&m, &a, &ask), MX_DONE);
		assert_int_equal(m.outcome, cases[i].outcome);
		assert_string_equal(m.enhanced, cases[i].enhanced);
		assert_non_null(strstr(m.text, cases[i].why));
		assert_non_null(strstr(m.text, "a.test"));
		assert_int_equal(m.ttl, 0);
		assert_int_equal(m.n, 0);
	}
}

/* Those of one preference come in any order, and each as often first as the others. */
static void at_random(void **state)
{
	unsigned first[3] = { 0 }, second_best_first = 0;

	(void)state;
	for (uint64_t seed = 0; seed < 3000; seed++) {
		struct mx m;

		run(&m, "a.test",
		    "an a.test MX 10 m0.test\nan a.test MX 10 m1.test\nan a.test MX 10 m2.test\n"
		    "an a.test MX 20 m3.test",
		    false, seed * 7919);
		assert_int_equal(m.n, 4);
		if (m.host[0].name.text[1] == '3')
			second_best_first++;
		else
			first[m.host[0].name.text[1] - '0']++;
	}
	assert_int_equal(second_best_first, 0);
	for (unsigned i = 0; i < 3; i++)
		assert_in_range(first[i], 850, 1150);
}

/* By its addresses, or by what it says. */
static void found_to_be_us(void **state)
{
	struct mx_failure f;
	struct mx m;

	(void)state;
	run(&m, "a.test", "an a.test MX 10 m1.test\nan a.test MX 20 m2.test", false, 1);
	mx_loop(&m, 1, &f);
	assert_int_equal(f.outcome, MX_PERMANENT);
	assert_string_equal(f.enhanced, "5.4.6");
	assert_non_null(strstr(f.text, "m2.test"));
	assert_non_null(strstr(f.text, "add the domain here"));
	mx_no_use(&m, 0, &f);
	assert_string_equal(f.enhanced, "5.4.4");
	assert_non_null(strstr(f.text, "m1.test, the mail server of a.test"));
	run(&m, "[127.0.0.1]", NULL, false, 1);
	mx_loop(&m, 0, &f);
	assert_non_null(strstr(f.text, "[127.0.0.1]"));
}

#define NOT_ASKED (-1)

static const struct {
	bool implicit;
	int v4, v6; /* enum dns_status, or NOT_ASKED */
	enum mx_outcome outcome;
	const char *enhanced, *words;
} addresses[] = {
	{ false, DNS_OK, DNS_NODATA, MX_OK, "", "" },
	{ false, DNS_TIMEOUT, DNS_OK, MX_OK, "", "" },
	{ false, DNS_NODATA, DNS_NODATA, MX_PERMANENT, "5.4.4",
	  "m1.test, the mail server of a.test, has no address" },
	{ false, DNS_NXDOMAIN, DNS_NXDOMAIN, MX_PERMANENT, "5.4.4", "does not exist" },
	{ false, DNS_NXDOMAIN, NOT_ASKED, MX_PERMANENT, "5.4.4", "does not exist" },
	{ true, DNS_NODATA, DNS_NODATA, MX_PERMANENT, "5.1.2", "neither a mail server nor an address" },
	{ false, DNS_NODATA, NOT_ASKED, MX_TEMPORARY, "4.4.1", "network" },
	{ false, NOT_ASKED, NOT_ASKED, MX_TEMPORARY, "4.4.1", "network" },
	{ false, DNS_NODATA, DNS_SERVFAIL, MX_TEMPORARY, "4.4.3", "servers fail" },
	{ false, DNS_TIMEOUT, DNS_NODATA, MX_TEMPORARY, "4.4.3", "in time" },
	{ false, DNS_BOGUS, DNS_BOGUS, MX_TEMPORARY, "4.7.5", "DNSSEC" },
	{ true, DNS_NODATA, DNS_NO_MEMORY, MX_TEMPORARY, "4.3.0", "too much" },
};

static void no_address(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		struct dns_question q = { .type = DNS_A };
		struct dns_answer v4, v6;
		struct mx_failure f;
		struct mx m;

		run(&m, "a.test", addresses[i].implicit ? "" : "an a.test MX 10 m1.test", false, 1);
		dns_answer_init(&v4, &q, (enum dns_status)addresses[i].v4);
		dns_answer_init(&v6, &q, (enum dns_status)addresses[i].v6);
		mx_no_address(&m, 0, addresses[i].v4 == NOT_ASKED ? NULL : &v4,
			      addresses[i].v6 == NOT_ASKED ? NULL : &v6, &f);
		assert_int_equal(f.outcome, addresses[i].outcome);
		assert_string_equal(f.enhanced, addresses[i].enhanced);
		if (!strstr(f.text, addresses[i].words))
			fail_msg("row %zu: %s", i, f.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table),	  cmocka_unit_test(failures),	cmocka_unit_test(at_random),
		cmocka_unit_test(found_to_be_us), cmocka_unit_test(no_address),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
