#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "dns/test_message.h"

#define TTL 300

static struct dns_question question(const char *name, enum dns_type type)
{
	struct dns_question q = { .type = type };

	assert_true(dns_name_parse(slice_str(name), &q.name));
	return q;
}

/* What is found, as one line: "ok secure? ..." */
static void show(const struct dns_answer *a, struct buf *to)
{
	static const char *const status[] = { "ok",    "nxdomain", "nodata", "servfail",
					      "bogus", "timeout",  "memory" };

	buf_fmt(to, "%s ttl=%u", status[a->status], a->ttl);
	if (a->alias)
		buf_fmt(to, " at=%s", a->canonical.text);
	if (a->more)
		buf_str(to, " more");
	for (size_t i = 0; i < a->n; i++) {
		const struct dns_record *r = &a->records[i];
		char text[IP_TEXT_MAX];

		switch (a->type) {
		case DNS_A:
		case DNS_AAAA:
			buf_fmt(to, " %s", ip_format(&r->ip, text));
			break;
		case DNS_MX:
			buf_fmt(to, " %u:%s", r->mx.preference, r->mx.host.n ? r->mx.host.text : ".");
			break;
		case DNS_TXT:
			buf_fmt(to, " '%.*s'", SLICE_ARG(r->txt));
			break;
		case DNS_TLSA:
			buf_fmt(to, " %u-%u-%u-%.*s", r->tlsa.usage, r->tlsa.selector, r->tlsa.matching,
				SLICE_ARG(r->tlsa.data));
			break;
		case DNS_CNAME:
		case DNS_PTR:
			buf_fmt(to, " %s", r->name.text);
			break;
		case DNS_SRV:
			buf_fmt(to, " %u:%u:%u:%s", r->srv.priority, r->srv.weight, r->srv.port,
				r->srv.target.text);
			break;
		}
	}
	buf_byte(to, '\0');
	assert_true(buf_ok(to));
}

/* Records of a message, written by a small language: see test_message.h. */
static const struct {
	const char *name;
	enum dns_type type;
	const char *message, *found;
} rows[] = {
	{ "a.test", DNS_A, "an a.test A 192.0.2.1\nan a.test A 192.0.2.2", "ok ttl=300 192.0.2.1 192.0.2.2" },
	{ "a.test", DNS_AAAA, "an A.TEST AAAA 2001:db8::1", "ok ttl=300 2001:db8::1" },
	{ "a.test", DNS_MX, "an a.test MX 10 mx.test", "ok ttl=300 10:mx.test" },
	{ "a.test", DNS_MX, "an a.test MX 0 .", "ok ttl=300 0:." },
	{ "a.test", DNS_TXT, "an a.test TXT v=spf1 |-all", "ok ttl=300 'v=spf1 -all'" },
	{ "a.test", DNS_TXT, "an a.test TXT |", "ok ttl=300 ''" },
	{ "_25._tcp.a.test", DNS_TLSA, "an _25._tcp.a.test TLSA 3 1 1 abc", "ok ttl=300 3-1-1-abc" },
	{ "a.test", DNS_CNAME, "an a.test CNAME b.test", "ok ttl=300 b.test" },
	{ "1.2.0.192.in-addr.arpa", DNS_PTR, "an 1.2.0.192.in-addr.arpa PTR b.test", "ok ttl=300 b.test" },
	{ "_s._tcp.a.test", DNS_SRV, "an _s._tcp.a.test SRV 1 2 587 b.test", "ok ttl=300 1:2:587:b.test" },
	/* The shortest time counts, and one without sense is none (RFC 2181 8). */
	{ "a.test", DNS_A, "ttl 60\nan a.test A 192.0.2.1\nttl 30\nan a.test A 192.0.2.2",
	  "ok ttl=30 192.0.2.1 192.0.2.2" },
	{ "a.test", DNS_A, "ttl 9999999\nan a.test A 192.0.2.1", "ok ttl=86400 192.0.2.1" },
	{ "a.test", DNS_A, "ttl 2147483648\nan a.test A 192.0.2.1", "ok ttl=0 192.0.2.1" },
	/* Aliases, in any order, with their own time. */
	{ "a.test", DNS_A, "an a.test CNAME b.test\nan b.test A 192.0.2.1",
	  "ok ttl=300 at=b.test 192.0.2.1" },
	{ "a.test", DNS_A, "an c.test A 192.0.2.1\nan b.test CNAME c.test\nttl 5\nan a.test CNAME b.test",
	  "ok ttl=5 at=c.test 192.0.2.1" },
	{ "a.test", DNS_A, "an a.test CNAME b.test\nns test SOA 60", "nodata ttl=60 at=b.test" },
	{ "a.test", DNS_A, "rcode 3\nan a.test CNAME b.test\nns test SOA 60", "nxdomain ttl=60 at=b.test" },
	{ "a.test", DNS_A, "an a.test CNAME a.test", "servfail ttl=0 at=a.test" },
	{ "a.test", DNS_A, "an a.test CNAME b.test\nan b.test CNAME a.test", "servfail ttl=0 at=a.test" },
	/* What does not exist, and for how long: RFC 2308 5. */
	{ "a.test", DNS_MX, "ns test SOA 60", "nodata ttl=60" },
	{ "a.test", DNS_MX, "ttl 20\nns test SOA 60", "nodata ttl=20" },
	{ "a.test", DNS_MX, "rcode 3\nns test SOA 3600", "nxdomain ttl=300" },
	{ "a.test", DNS_MX, "rcode 3", "nxdomain ttl=0" },
	{ "a.test", DNS_MX, "", "nodata ttl=0" },
	/* Failures */
	{ "a.test", DNS_MX, "rcode 2", "servfail ttl=0" },
	{ "a.test", DNS_MX, "rcode 5\nan a.test MX 10 mx.test", "servfail ttl=0" },
	{ "a.test", DNS_MX, "flags 0\nan a.test MX 10 mx.test", "servfail ttl=0" },   /* a question */
	{ "a.test", DNS_MX, "flags 130\nan a.test MX 10 mx.test", "servfail ttl=0" }, /* cut off */
	{ "a.test", DNS_MX, "asked b.test\nan a.test MX 10 mx.test", "servfail ttl=0" },
	/* What belongs to others, or is of another type or class, counts for nothing. */
	{ "a.test", DNS_A, "an b.test A 192.0.2.1\nan a.test MX 1 b.test\nan a.test A 192.0.2.2",
	  "ok ttl=300 192.0.2.2" },
	{ "a.test", DNS_A, "class 3\nan a.test A 192.0.2.1", "nodata ttl=0" },
	/* Rdata that breaks the rules of its type */
	{ "a.test", DNS_A, "an a.test A-RAW 123\nan a.test A 192.0.2.1", "ok ttl=300 192.0.2.1" },
	{ "a.test", DNS_A, "an a.test A-RAW 12345", "servfail ttl=0" },
	{ "a.test", DNS_TXT, "an a.test TXT-RAW \x09short", "servfail ttl=0" },
	{ "a.test", DNS_TXT, "an a.test TXT-RAW ", "servfail ttl=0" },
	{ "a.test", DNS_TLSA, "an a.test TLSA-RAW abc", "servfail ttl=0" },
	{ "a.test", DNS_MX, "an a.test MX-RAW ab\x01m\x04testX", "servfail ttl=0" },
	{ "a.test", DNS_A, "an a.test CNAME-RAW \x01x\x04test", "servfail ttl=0" },
	/* Octets that a text cannot hold */
	{ "a.test", DNS_CNAME, "an a.test CNAME x y\tz.test", "ok ttl=300 x?y?z.test" },
	/* More than is taken */
	{ "a.test", DNS_A, "many 129 a.test A 192.0.2.1", NULL },
};

static void table(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct dns_question q = question(rows[i].name, rows[i].type);
		struct dns_answer a;
		struct buf msg, text;

		buf_init(&msg, 65535);
		buf_init(&text, 65535);
		test_message(rows[i].message, &q, TTL, &msg);
		dns_answer_parse(&a, &q, buf_slice(&msg));
		show(&a, &text);
		if (rows[i].found)
			assert_string_equal((const char *)buf_slice(&text).p, rows[i].found);
		else
			assert_true(a.status == DNS_OK && a.more && a.n == DNS_RECORDS_MAX);
		dns_answer_done(&a);
		buf_done(&msg);
		buf_done(&text);
	}
}

/* A message that ends too early is never read as if it were whole. */
static void cut_anywhere(void **state)
{
	struct dns_question q = question("a.test", DNS_MX);
	struct dns_answer a;
	struct buf msg;

	(void)state;
	buf_init(&msg, 65535);
	test_message("an a.test MX 10 mx.test\nan a.test MX 20 mx2.test\nns test SOA 60", &q, TTL, &msg);
	for (size_t n = 0; n < msg.n; n++) {
		unsigned char *copy = malloc(n ? n : 1);

		memcpy(copy, buf_slice(&msg).p, n);
		dns_answer_parse(&a, &q, slice_of(copy, n));
		assert_int_equal(a.status, DNS_SERVFAIL);
		dns_answer_done(&a);
		free(copy);
	}
	buf_done(&msg);
}

/* Compression: pointers to the front are followed; to themselves, forwards or in circles not. */
static void pointers(void **state)
{
	static const struct {
		const char *rdata;
		size_t n;
		const char *host; /* NULL: cannot be read */
	} cases[] = {
		{ "\x00\x0a\xc0\x0c", 4, "a.test" },
		{ "\x00\x0a\x02mx\xc0\x0e", 7, "mx.test" },
		{ "\x00\x0a\xc0\x26", 4, NULL }, /* itself: 12 + 12 + 12 + 2 */
		{ "\x00\x0a\x01m\xc0\x26", 6, NULL },
		{ "\x00\x0a\xc0\xff", 4, NULL },
		{ "\x00\x0a\xff\xff", 4, NULL },
		{ "\x00\x0a\x40x", 4, NULL }, /* a kind of label that there is not */
		{ "\x00\x0a\xc0\x0c\x00", 5, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dns_question q = question("a.test", DNS_MX);
		struct dns_answer a;
		struct buf msg;

		buf_init(&msg, 65535);
		test_message_head(&q, 0x80, 0, 1, 0, &msg);
		buf_put(&msg, SLICE_LIT("\xc0\x0c\x00\x0f\x00\x01\x00\x00\x00\x05\x00"));
		buf_byte(&msg, (unsigned char)cases[i].n);
		buf_put(&msg, slice_of(cases[i].rdata, cases[i].n));
		dns_answer_parse(&a, &q, buf_slice(&msg));
		if (cases[i].host) {
			assert_int_equal(a.status, DNS_OK);
			assert_string_equal(a.records[0].mx.host.text, cases[i].host);
		} else {
			assert_int_equal(a.status, DNS_SERVFAIL);
		}
		dns_answer_done(&a);
		buf_done(&msg);
	}
}

static void longest_name(void **state)
{
	char name[DNS_NAME_MAX + 1], row[600];
	struct dns_question q;
	struct dns_answer a;
	struct buf msg;

	(void)state;
	memset(name, 'a', sizeof(name));
	name[63] = name[127] = name[191] = '.';
	name[DNS_NAME_MAX] = '\0';
	q = question(name, DNS_MX);
	buf_init(&msg, 65535);
	snprintf(row, sizeof(row), "an %s MX 10 %s", name, name);
	test_message(row, &q, TTL, &msg);
	dns_answer_parse(&a, &q, buf_slice(&msg));
	assert_int_equal(a.status, DNS_OK);
	assert_string_equal(a.records[0].mx.host.text, name);
	dns_answer_done(&a);
	/* The same with a label in front: an octet too long. */
	buf_reset(&msg);
	test_message_head(&q, 0x80, 0, 1, 0, &msg);
	buf_put(&msg, SLICE_LIT("\xc0\x0c\x00\x0f\x00\x01\x00\x00\x00\x05\x00\x06\x00\x0a\x01x\xc0\x0c"));
	dns_answer_parse(&a, &q, buf_slice(&msg));
	assert_int_equal(a.status, DNS_SERVFAIL);
	dns_answer_done(&a);
	buf_done(&msg);
}

static void copies(void **state)
{
	static const char *const messages[] = { "an a.test TXT one\nan a.test TXT |\nan a.test TXT three",
						"an a.test TLSA 3 1 1 abc\nan a.test TLSA 2 0 1 defg", "",
						"an a.test MX 10 mx.test" };
	static const enum dns_type types[] = { DNS_TXT, DNS_TLSA, DNS_A, DNS_MX };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct dns_question q = question("a.test", types[i]);
		struct dns_answer a, b;
		struct buf msg, first, second;

		buf_init(&msg, 65535);
		buf_init(&first, 65535);
		buf_init(&second, 65535);
		test_message(messages[i], &q, TTL, &msg);
		dns_answer_parse(&a, &q, buf_slice(&msg));
		show(&a, &first);
		assert_int_equal(dns_answer_copy(&a, &b), 0);
		dns_answer_done(&a);
		show(&b, &second);
		assert_true(slice_eq(buf_slice(&first), buf_slice(&second)));
		dns_answer_done(&b);
		buf_done(&msg);
		buf_done(&first);
		buf_done(&second);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table),	cmocka_unit_test(cut_anywhere), cmocka_unit_test(pointers),
		cmocka_unit_test(longest_name), cmocka_unit_test(copies),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
