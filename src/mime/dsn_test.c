#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "mime/dsn.h"

#define T0 UINT64_C(1795304383000) /* Sat, 21 Nov 2026 23:39:43 +0000 */

#define HEADER                                      \
	"Received: from a by b;\r\n"                \
	"\tSat, 21 Nov 2026 23:39:43 +0000\r\n"     \
	"Subject: lunch on\r\n Friday\r\n"          \
	"Date: Sat, 21 Nov 2026 23:39:42 +0000\r\n" \
	"Message-ID: <1@client.example>\r\n"

static struct dsn_recipient bob(void)
{
	return (struct dsn_recipient){ .action = DSN_FAILED,
				       .what = DSN_NO_SUCH_ADDRESS,
				       .address = SLICE_LIT("bob@example.org"),
				       .orcpt = SLICE_LIT("rfc822;Bob+2Bx@example.org"),
				       .status = SLICE_LIT("5.1.1"),
				       .remote = SLICE_LIT("mx.example.org"),
				       .code = 550,
				       .said = SLICE_LIT("<bob@example.org>: user unknown"),
				       .last_attempt_ms = T0 };
}

static struct dsn about(const struct dsn_recipient *r, size_t n)
{
	return (struct dsn){ .hostname = SLICE_LIT("mx.test"),
			     .id = SLICE_LIT("0123456789ABC"),
			     .to = SLICE_LIT("ann@example.com"),
			     .message_id = SLICE_LIT("<x.f0@mx.test>"),
			     .now_ms = T0,
			     .about_id = SLICE_LIT("0000000000ABC"),
			     .about_message_id = SLICE_LIT("<1@client.example>"),
			     .envid = SLICE_LIT("QQ314159"),
			     .arrived_ms = T0 - 1000,
			     .header = SLICE_LIT(HEADER),
			     .recipient = r,
			     .recipients = n };
}

/* For tests/system/test_dsn.py, which reads it with another program's eyes. */
static void keep(const char *name, struct slice text)
{
	const char *dir = getenv("POSTERN_DSN_OUT");
	char path[4096];
	int fd;

	if (!dir)
		return;
	snprintf(path, sizeof(path), "%s/%s.eml", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text.p, text.n), (ssize_t)text.n);
	close(fd);
}

/* With a NUL behind it. */
static const char *made(const struct dsn *d, struct buf *b, struct dsn_facts *facts, const char *name)
{
	struct slice line, all;

	buf_init(b, DSN_MAX);
	dsn_put(d, b, facts);
	assert_true(buf_ok(b));
	all = buf_slice(b);
	keep(name, all);
	while (cur_until(&all, '\n', &line)) {
		assert_true(line.n > 0 && line.p[line.n - 1] == '\r');
		assert_true(line.n <= 999);
		assert_true(slice_find(line, '\r') == line.n - 1);
		assert_true(slice_find(line, 0) == line.n);
	}
	assert_int_equal(all.n, 0);
	buf_byte(b, 0);
	return (const char *)buf_slice(b).p;
}

#define HAS(text, what)                                                \
	do {                                                           \
		if (!strstr(text, what))                               \
			fail_msg("\"%s\" is not in:\n%s", what, text); \
	} while (0)

static void test_failed(void **state)
{
	struct dsn_recipient r = bob();
	struct dsn d = about(&r, 1);
	struct dsn_facts facts;
	struct buf b;
	const char *t = made(&d, &b, &facts, "failed");

	(void)state;
	assert_false(facts.eightbit || facts.smtputf8);
	HAS(t, "To: <ann@example.com>\r\n");
	HAS(t, "From: Mail server mx.test <postmaster@mx.test>\r\n");
	HAS(t, "Subject: Not delivered: bob@example.org (no such address)\r\n");
	HAS(t, "Message-ID: <x.f0@mx.test>\r\n");
	HAS(t, "In-Reply-To: <1@client.example>\r\n");
	HAS(t, "Auto-Submitted: auto-replied\r\n");
	HAS(t, "Date: Sat, 21 Nov 2026 23:39:43 +0000\r\n");
	HAS(t, "report-type=delivery-status");
	HAS(t, "    Subject: lunch on Friday\r\n");
	HAS(t, "NOT DELIVERED: no such address\r\n\r\n    bob@example.org\r\n");
	HAS(t, "    mx.example.org said:\r\n        550 5.1.1 <bob@example.org>: user unknown\r\n");
	HAS(t, "Original-Envelope-Id: QQ314159\r\nReporting-MTA: dns; mx.test\r\n");
	HAS(t, "Original-Recipient: rfc822; Bob+x@example.org\r\nFinal-Recipient: rfc822; bob@example.org\r\n"
	       "Action: failed\r\nStatus: 5.1.1\r\nRemote-MTA: dns; mx.example.org\r\n"
	       "Diagnostic-Code: smtp; 550 5.1.1 <bob@example.org>: user unknown\r\n"
	       "Last-Attempt-Date: Sat, 21 Nov 2026 23:39:43 +0000\r\n");
	HAS(t, "Content-Type: text/rfc822-headers\r\n");
	HAS(t, HEADER);
	buf_done(&b);
}

/* The administrator's words take the place of ours; who has others stands in a group of their own. */
static void test_meaning(void **state)
{
	struct dsn_recipient r[3] = { bob(), bob(), bob() };
	struct dsn d = about(r, 3);
	struct dsn_facts facts;
	struct buf b;
	const char *t;

	(void)state;
	r[1].address = SLICE_LIT("carl@example.org");
	r[1].meaning = SLICE_LIT("They moved to\r\n.example.net");
	r[2].address = SLICE_LIT("dora@example.org");
	t = made(&d, &b, &facts, "meaning");
	HAS(t, "    bob@example.org\r\n    dora@example.org\r\n\r\nThe server that keeps");
	HAS(t, "    carl@example.org\r\n\r\nThey moved to .example.net. It is your turn");
	assert_null(strstr(strstr(t, "The server that keeps") + 1, "The server that keeps"));
	buf_done(&b);
}

static void test_whole(void **state)
{
	static const struct {
		const char *what, *whole, *type;
		bool eightbit;
	} rows[] = {
		{ "whole", HEADER "\r\nhello\r\n", "message/rfc822", false },
		{ "whole-8bit", HEADER "\r\nh\xc3\xa9llo\r\n", "message/rfc822", true },
		{ "undeclared", HEADER "\r\nh\xc3\xa9llo\r\n", "text/rfc822-headers", false },
		{ "bare-lf", HEADER "\r\nhello\nthere\r\n", "text/rfc822-headers", false },
		{ "no-end", HEADER "\r\nhello", "text/rfc822-headers", false },
		{ "nothing", "", "text/rfc822-headers", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct dsn_recipient r = bob();
		struct dsn d = about(&r, 1);
		struct dsn_facts facts;
		struct buf b;
		char type[100];
		const char *t;

		d.whole = slice_str(rows[i].whole);
		d.eightbit = rows[i].eightbit;
		t = made(&d, &b, &facts, rows[i].what);
		snprintf(type, sizeof(type), "Content-Type: %s\r\n", rows[i].type);
		HAS(t, type);
		assert_int_equal(facts.eightbit, rows[i].eightbit);
		buf_done(&b);
	}
}

/* Those with the same fate stand together, and each other server is quoted once. */
static void test_groups(void **state)
{
	struct dsn_recipient r[4] = { bob(), bob(), bob(), bob() };
	struct dsn d = about(r, 4);
	struct dsn_facts facts;
	struct buf b;
	const char *t, *at;

	(void)state;
	r[1].address = SLICE_LIT("carol@example.org");
	r[2].what = DSN_MAILBOX_FULL;
	r[2].status = SLICE_LIT("5.2.2");
	r[2].remote = SLICE_LIT("");
	r[2].code = 0;
	r[2].said = SLICE_LIT("the mailbox is over its quota");
	r[3].what = DSN_UNREACHABLE;
	r[3].status = SLICE_LIT("4.4.1");
	r[3].expired = true;
	t = made(&d, &b, &facts, "groups");
	HAS(t, "Subject: Not delivered: 4 recipients\r\n");
	HAS(t, "    bob@example.org\r\n    carol@example.org\r\n");
	HAS(t, "NOT DELIVERED: mailbox full\r\n");
	HAS(t, "    This server said:\r\n        5.2.2 the mailbox is over its quota\r\n");
	HAS(t, "Diagnostic-Code: X-Postern; the mailbox is over its quota\r\n");
	HAS(t, "until there was no more time");
	at = strstr(t, "        550 5.1.1 <bob");
	assert_non_null(at);
	assert_null(strstr(at + 1, "        550 5.1.1 <bob"));
	buf_done(&b);
}

static void test_delayed(void **state)
{
	struct dsn_recipient r = bob();
	struct dsn d = about(&r, 1);
	struct dsn_facts facts;
	struct buf b;
	const char *t;

	(void)state;
	r.action = DSN_DELAYED;
	r.what = DSN_OUR_NETWORK;
	r.status = SLICE_LIT("5.4.1"); /* wrong for a delay */
	r.retry_until_ms = T0 + 5 * 24 * 3600 * UINT64_C(1000);
	r.remote = SLICE_LIT("");
	r.code = 0;
	t = made(&d, &b, &facts, "delayed");
	HAS(t, "Subject: Not delivered yet: bob@example.org");
	HAS(t, "Action: delayed\r\nStatus: 4.4.1\r\n");
	HAS(t, "Will-Retry-Until: Thu, 26 Nov 2026 23:39:43 +0000\r\n");
	HAS(t, "This is no fault of the recipient");
	HAS(t, "You need not send it again");
	buf_done(&b);
}

static void test_delivered(void **state)
{
	struct dsn_recipient r[2] = { bob(), bob() };
	struct dsn d = about(r, 2);
	struct dsn_facts facts;
	struct buf b;
	const char *t;

	(void)state;
	r[0].action = DSN_DELIVERED;
	r[1].action = DSN_RELAYED;
	r[0].what = r[1].what = DSN_NOTHING;
	r[0].status = r[1].status = SLICE_LIT("2.1.5");
	r[1].said = SLICE_LIT("queued");
	r[1].code = 250;
	t = made(&d, &b, &facts, "delivered");
	HAS(t, "Subject: Delivered: 2 recipients\r\n");
	HAS(t, "Action: delivered\r\nStatus: 2.1.5\r\n");
	HAS(t, "Action: relayed\r\nStatus: 2.1.5\r\n");
	HAS(t, "\r\nHANDED ON\r\n");
	buf_done(&b);
}

/* RFC 6533: the sender's server takes UTF-8, so it stands as it is; else it is written in ASCII. */
static void test_utf8(void **state)
{
	struct dsn_recipient r = bob();
	struct dsn d = about(&r, 1);
	struct dsn_facts facts;
	struct buf b;
	const char *t;

	(void)state;
	r.address = SLICE_LIT("j\xc3\xb6rg@example.org");
	r.orcpt = SLICE_LIT("utf-8;j\\x{F6}rg@example.org");
	r.said = SLICE_LIT("kein j\xc3\xb6rg\x01 hier\r\nSubject: bad \xff");
	t = made(&d, &b, &facts, "utf8-ascii");
	assert_false(facts.eightbit || facts.smtputf8);
	HAS(t, "Content-Type: message/delivery-status\r\n");
	HAS(t, "Original-Recipient: utf-8; j\\x{F6}rg@example.org\r\nFinal-Recipient: utf-8; "
	       "j\\x{F6}rg@example.org\r\n");
	HAS(t, "5.1.1 kein j?rg? hier Subject: bad ?\r\n");
	buf_done(&b);
	d.smtputf8 = true;
	d.header = SLICE_LIT("Subject: gr\xc3\xbc\xc3\x9f\r\n");
	t = made(&d, &b, &facts, "utf8");
	assert_true(facts.eightbit && !facts.smtputf8);
	HAS(t, "Content-Type: message/global-delivery-status\r\n");
	HAS(t, "Content-Type: message/global-headers\r\n");
	HAS(t, "Content-Type: text/plain; charset=utf-8\r\n");
	HAS(t, "Original-Recipient: utf-8; j\xc3\xb6rg@example.org\r\nFinal-Recipient: utf-8; "
	       "j\xc3\xb6rg@example.org\r\n");
	buf_done(&b);
	d.to = SLICE_LIT("\xc3\xa4nn@example.com");
	t = made(&d, &b, &facts, "utf8-sender");
	assert_true(facts.smtputf8);
	HAS(t, "To: <\xc3\xa4nn@example.com>\r\n");
	buf_done(&b);
}

/* Nothing that others said may become a field, a part or a long line. */
static void test_hostile(void **state)
{
	static char words[5000], header[6000];
	struct dsn_recipient r = bob();
	struct dsn d = about(&r, 1);
	struct dsn_facts facts;
	struct buf b;
	const char *t;

	(void)state;
	memset(words, 'x', sizeof(words));
	r.said = slice_of(words, sizeof(words));
	memset(header, 'y', sizeof(header));
	memcpy(header, "X-Long: ", 8);
	memcpy(header + 5000, "\r\n\r\n--=_0123456789ABC.0.report--\r\n", 34);
	d.header = slice_of(header, sizeof(header));
	d.about_message_id = SLICE_LIT("<a b>\r\nBcc: x");
	d.to = SLICE_LIT("a\r\nBcc: x@example.org");
	d.envid = SLICE_LIT("a\r\nAction: delivered");
	r.orcpt = SLICE_LIT("rfc822;a+0D+0AAction:+20delivered");
	r.remote = SLICE_LIT("mx\r\n\r\nFinal-Recipient: x");
	t = made(&d, &b, &facts, "hostile");
	assert_null(strstr(t, "\nBcc:"));
	assert_null(strstr(t, "\nAction: delivered"));
	assert_null(strstr(t, "In-Reply-To"));
	HAS(t, "Original-Recipient: rfc822; a Action: delivered\r\n");
	buf_done(&b);
	d = about(&r, 1);
	d.whole = SLICE_LIT(HEADER "\r\n--=_0123456789ABC.0.report--\r\n--=_0123456789ABC.1.report\r\n");
	t = made(&d, &b, &facts, "boundary");
	HAS(t, "boundary=\"=_0123456789ABC.2.report\"\r\n");
	buf_done(&b);
}

static void test_many(void **state)
{
	static struct dsn_recipient r[2000];
	struct dsn d = about(r, 2000);
	struct dsn_facts facts;
	struct buf b;
	const char *t;

	(void)state;
	for (size_t i = 0; i < 2000; i++)
		r[i] = bob();
	t = made(&d, &b, &facts, "many");
	HAS(t, "    and 1950 more\r\n");
	buf_done(&b);
}

static void test_what_of(void **state)
{
	static const struct {
		const char *status;
		enum dsn_what what;
	} rows[] = {
		{ "5.1.1", DSN_NO_SUCH_ADDRESS },
		{ "5.1.10", DSN_NO_SUCH_DOMAIN },
		{ "4.2.2", DSN_MAILBOX_FULL },
		{ "5.7.1", DSN_REFUSED },
		{ "4.7.4", DSN_INSECURE },
		{ "4.7.5", DSN_INSECURE },
		{ "5.7.26", DSN_REFUSED },
		{ "4.4.1", DSN_UNREACHABLE },
		{ "5.0.0", DSN_OTHER },
		{ "4.0.0", DSN_BUSY },
		{ "", DSN_OTHER },
		{ "2.0.0", DSN_NOTHING },
		{ "5.6.0", DSN_CONTENT },
		{ "x", DSN_OTHER },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(dsn_what_of(slice_str(rows[i].status)), rows[i].what);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_failed),	cmocka_unit_test(test_meaning),
		cmocka_unit_test(test_whole),	cmocka_unit_test(test_groups),
		cmocka_unit_test(test_delayed), cmocka_unit_test(test_delivered),
		cmocka_unit_test(test_utf8),	cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_many),	cmocka_unit_test(test_what_of),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
