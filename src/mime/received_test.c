#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "mime/received.h"
#include "mime/submission.h"

#define TIME_MS 1795304383000 /* Sat, 21 Nov 2026 23:39:43 */

static struct mime_received usual(void)
{
	struct mime_received r = { .helo = SLICE_LIT("client.test"),
				   .hostname = SLICE_LIT("mx.test"),
				   .protocol = SLICE_LIT("ESMTP"),
				   .id = SLICE_LIT("0ABCDEFGHJKMN"),
				   .time_ms = TIME_MS };

	assert_true(ip_parse(SLICE_LIT("192.0.2.1"), &r.ip));
	return r;
}

static void check(const struct mime_received *r, const char *want)
{
	char have[2048];
	struct buf b;

	buf_init(&b, 2000);
	mime_received_put(r, &b);
	assert_true(buf_ok(&b) && slice_copy(buf_slice(&b), have, sizeof(have)));
	assert_string_equal(have, want);
	buf_done(&b);
}

static void plain(void **state)
{
	struct mime_received r = usual();

	(void)state;
	check(&r, "Received: from client.test ([192.0.2.1])\r\n"
		  "\tby mx.test with ESMTP id 0ABCDEFGHJKMN;\r\n"
		  "\tSat, 21 Nov 2026 23:39:43 +0000\r\n");
}

static void tls_and_recipient(void **state)
{
	struct mime_received r = usual();

	(void)state;
	assert_true(ip_parse(SLICE_LIT("2001:db8::1"), &r.ip));
	r.protocol = SLICE_LIT("ESMTPSA");
	r.tls_version = SLICE_LIT("TLSv1.3");
	r.tls_cipher = SLICE_LIT("TLS_AES_256_GCM_SHA384");
	r.rcpt = SLICE_LIT("b@mx.test");
	check(&r, "Received: from client.test ([IPv6:2001:db8::1])\r\n"
		  "\tby mx.test with ESMTPSA (TLS TLSv1.3 TLS_AES_256_GCM_SHA384)\r\n"
		  "\tid 0ABCDEFGHJKMN for <b@mx.test>; Sat, 21 Nov 2026 23:39:43 +0000\r\n");
}

static void unix_socket(void **state)
{
	struct mime_received r = usual();

	(void)state;
	r.ip.family = 0;
	r.uid = 1000;
	r.helo = SLICE_LIT("localhost");
	check(&r, "Received: from localhost (uid 1000)\r\n"
		  "\tby mx.test with ESMTP id 0ABCDEFGHJKMN;\r\n"
		  "\tSat, 21 Nov 2026 23:39:43 +0000\r\n");
}

/* A name that a client calls itself, and what stands for it. */
static const struct {
	const char *helo, *want;
} names[] = {
	{ "host_1.example.org", "from host_1.example.org ([" },
	{ "[192.0.2.9]", "from [192.0.2.9] ([" },
	{ "[IPv6:2001:db8::9]", "from [IPv6:2001:db8::9] ([" },
	{ "", "from unknown ([" },
	{ "[x]", "from unknown (HELO [x]) ([" },
	{ "a)b", "from unknown (HELO a?b) ([" },
	{ "a(b\\", "from unknown (HELO a?b?) ([" },
	{ "a;b,<c\"", "from unknown (HELO a?b?"
		      "?c?) ([" },
	{ "a\r\nX: y", "from unknown (HELO a?"
		       "?X:?y) ([" },
	{ "b\xc3\xbc"
	  "cher",
	  "from unknown (HELO b?"
	  "?cher) ([" },
};

static void hostile_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct mime_received r = usual();
		char have[1024];
		struct buf b;

		r.helo = slice_str(names[i].helo);
		buf_init(&b, 1000);
		mime_received_put(&r, &b);
		assert_true(slice_copy(buf_slice(&b), have, sizeof(have)));
		if (!strstr(have, names[i].want))
			fail_msg("'%s' gives %s", names[i].helo, have);
		buf_done(&b);
	}
}

/* Whatever it holds, each line stays under RFC 5322's 998 octets, and is folded. */
static void long_names(void **state)
{
	struct mime_received r = usual();
	char name[256];
	struct slice rest, line;
	struct buf b;

	(void)state;
	memset(name, ')', sizeof(name));
	r.helo = slice_of(name, 255);
	r.rcpt = slice_of(name, 254);
	buf_init(&b, 2000);
	mime_received_put(&r, &b);
	rest = buf_slice(&b);
	while (cur_until(&rest, '\n', &line)) {
		assert_true(line.n > 0 && line.p[line.n - 1] == '\r' && line.n < 400);
		assert_true(line.p[0] == 'R' || line.p[0] == '\t');
	}
	assert_int_equal(rest.n, 0);
	buf_done(&b);
}

static void submission(const char *message, const char *sender, unsigned want_added, const char *want)
{
	struct mime_submission s = { .hostname = SLICE_LIT("mx.test"),
				     .id = SLICE_LIT("0ABCDEFGHJKMN"),
				     .sender = slice_str(sender),
				     .time_ms = TIME_MS };
	struct mime_header h;
	char have[512];
	struct buf b;

	mime_header_init(&h);
	mime_header_feed(&h, slice_str(message));
	mime_header_end(&h);
	buf_init(&b, 500);
	assert_int_equal(mime_submission_put(&h, &s, &b), want_added);
	assert_true(slice_copy(buf_slice(&b), have, sizeof(have)));
	assert_string_equal(have, want);
	buf_done(&b);
	mime_header_done(&h);
}

static void what_is_missing(void **state)
{
	(void)state;
	submission("Subject: x\r\n\r\n", "a@b", MIME_ADDED_DATE | MIME_ADDED_FROM | MIME_ADDED_MESSAGE_ID,
		   "Date: Sat, 21 Nov 2026 23:39:43 +0000\r\nFrom: a@b\r\nMessage-ID: "
		   "<0ABCDEFGHJKMN@mx.test>\r\n");
	submission("Date: x\r\nFrom: y\r\nMessage-Id: z\r\n\r\n", "a@b", 0, "");
	submission("Date: x\r\nMessage-ID: z\r\n\r\nFrom: body\r\n", "a@b", MIME_ADDED_FROM, "From: a@b\r\n");
	submission("Date: x\r\nMessage-ID: z\r\n\r\n", "", 0, "");
	submission("Date: x\r\nMessage-ID: z\r\n\r\n", "a@b\r\nX: y", 0, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain),       cmocka_unit_test(tls_and_recipient),
		cmocka_unit_test(unix_socket), cmocka_unit_test(hostile_names),
		cmocka_unit_test(long_names),  cmocka_unit_test(what_is_missing),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
