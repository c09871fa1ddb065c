/* journey_test.c - Received and Authentication-Results in the forms that servers write: a row each. */
#include "mime/journey.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"

static const struct {
	const char *field;
	struct mime_hop want;
} hops[] = {
	{ "Received: from client.example ([192.0.2.7])\r\n\tby mx.example with ESMTPSA (TLS TLSv1.3 "
	  "TLS_AES_256_GCM_SHA384)\r\n\tid 1HCQ for <bob@example.org>; Sat, 21 Nov 2026 23:39:43 +0000\r\n",
	  { "client.example", "192.0.2.7", "mx.example", "ESMTPSA", "TLS 1.3", true, 1795304383000 } },
	/* as Postfix */
	{ "Received: from out.example (out.example [IPv6:2001:db8::1])\n"
	  "\t(using TLSv1.2 with cipher ECDHE-RSA-AES256-GCM-SHA384 (256/256 bits))\n"
	  "\t(No client certificate requested)\n\tby in.example (Postfix) with ESMTPS id 4XyZ\n"
	  "\tfor <bob@example.org>; Sun, 22 Nov 2026 00:39:43 +0100 (CET)\n",
	  { "out.example", "2001:db8::1", "in.example", "ESMTPS", "TLS 1.2", true, 1795304383000 } },
	/* as Exim */
	{ "Received: from [198.51.100.1] (helo=out.example)\n\tby in.example with esmtps  (TLS1.3) tls "
	  "TLS_AES_256_GCM_SHA384\n\t(Exim 4.96)\n\t(envelope-from <a@b>)\n\tid 1rE\n\tfor bob@example.org;\n"
	  "\tSat, 21 Nov 2026 23:39:43 +0000\n",
	  { "[198.51.100.1]", "198.51.100.1", "in.example", "esmtps", "TLS 1.3", true, 1795304383000 } },
	/* as large providers */
	{ "Received: from mail-x.example (mail-x.example. [203.0.113.5])\r\n        by mx.example.com with "
	  "ESMTPS id "
	  "a1b2\r\n        for <bob@example.org>\r\n        (version=TLS1_3 cipher=TLS_AES_128_GCM_SHA256 "
	  "bits=128/128);\r\n        Sat, 21 Nov 2026 15:39:43 -0800 (PST)\r\n",
	  { "mail-x.example", "203.0.113.5", "mx.example.com", "ESMTPS", "TLS 1.3", true, 1795304383000 } },
	{ "Received: by 2002:a05:6402:1e with SMTP id x; Sat, 21 Nov 2026 23:39:43 +0000\n",
	  { "", "", "2002:a05:6402:1e", "SMTP", "", true, 1795304383000 } },
	{ "Received: from A.prod.example (2001:db8::5) by B.prod.example (2001:db8::6) with Microsoft SMTP "
	  "Server (version=TLS1_2, cipher=TLS_X) id 15; Sat, 21 Nov 2026 23:39:43 +0000\n",
	  { "A.prod.example", "2001:db8::5", "B.prod.example", "Microsoft", "TLS 1.2", true,
	    1795304383000 } },
	/* TLS, and nobody says which */
	{ "Received: from a by b with LMTPSA; Sat, 21 Nov 2026 23:39:43 +0000\n",
	  { "a", "", "b", "LMTPSA", "TLS", true, 1795304383000 } },
	/* what a client says of itself is not what the server saw */
	{ "Received: from unknown (HELO [198.51.100.1] (TLS1.3)) ([192.0.2.7]) by b (envelope-from "
	  "<TLSv1.3@x>) with "
	  "SMTP; Sat, 21 Nov 2026 23:39:43 +0000\n",
	  { "unknown", "192.0.2.7", "b", "SMTP", "", true, 1795304383000 } },
	{ "Received: from h.example ([192.0.2.7] helo=[198.51.100.1]) by b with smtp; Sat, 21 Nov 2026 "
	  "23:39:43 "
	  "+0000\n",
	  { "h.example", "192.0.2.7", "b", "smtp", "", true, 1795304383000 } },
	/* not as it should be */
	{ "Received: (qmail 12 invoked by uid 7); 21 Nov 2026 23:39:43 -0000\n",
	  { "", "", "", "", "", true, 1795304383000 } },
	{ "Received: from by by with with x\n", { "by", "", "with", "x", "", false, 0 } },
	{ "Received: from (never (closed by x\n", { "", "", "", "", "", false, 0 } },
	{ "received : from a\x01\x1b[31m\xff by \"b \\\" c\"; yesterday\n",
	  { "a??[31m?", "", "b \\\" c", "", "", false, 0 } },
};

static const struct {
	const char *value;
	struct mime_check want[3];
} checks[] = {
	{ "mx.example; spf=pass (mx.example: domain of a@b.example designates 192.0.2.1 as permitted sender) "
	  "smtp.mailfrom=a@b.example;\r\n dkim=pass header.i=@b.example header.s=s1 header.b=abc;\r\n "
	  "dmarc=fail "
	  "(p=NONE sp=NONE dis=NONE) header.from=c.example",
	  { { "mx.example", "spf", "pass", "a@b.example",
	      "mx.example: domain of a@b.example designates 192.0.2.1 as permitted sender" },
	    { "mx.example", "dkim", "pass", "@b.example", "" },
	    { "mx.example", "dmarc", "fail", "c.example", "p=NONE sp=NONE dis=NONE" } } },
	{ "(first) mx.example 1; dkim=FAIL reason=\"bad; signature\" header.i=@x header.d=b.example",
	  { { "mx.example", "dkim", "fail", "b.example", "bad; signature" } } },
	{ "mx.example; auth=pass (LOGIN) smtp.auth=ann; spf / 1 = none smtp.helo = h.example",
	  { { "mx.example", "auth", "pass", "", "LOGIN" }, { "mx.example", "1", "none", "", "" } } },
	{ "mx.example; none", { { .by = "" } } },
	{ "mx.example", { { .by = "" } } },
	{ "", { { .by = "" } } },
	{ ";;=;a=;=b;spf=pass", { { "", "spf", "pass", "", "" } } },
};

static void received(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(hops) / sizeof(hops[0]); i++) {
		const struct mime_hop *want = &hops[i].want, *have;
		struct mime_journey j;

		mime_journey_read(slice_str(hops[i].field), &j);
		assert_int_equal(j.hops, 1);
		have = &j.hop[0];
		if (strcmp(have->from, want->from) || strcmp(have->address, want->address) ||
		    strcmp(have->by, want->by) || strcmp(have->with, want->with) ||
		    strcmp(have->tls, want->tls) || have->has_time != want->has_time ||
		    have->time_ms != want->time_ms)
			fail_msg("%s: '%s' '%s' '%s' '%s' '%s' %d", hops[i].field, have->from, have->address,
				 have->by, have->with, have->tls, have->has_time);
	}
}

static void results(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		struct mime_journey j;
		char text[1000];
		size_t n = 0;

		snprintf(text, sizeof(text), "Authentication-Results: %s\r\n\r\n", checks[i].value);
		mime_journey_read(slice_str(text), &j);
		while (n < 3 && checks[i].want[n].method[0]) {
			const struct mime_check *want = &checks[i].want[n], *have = &j.check[n];

			if (strcmp(have->by, want->by) || strcmp(have->method, want->method) ||
			    strcmp(have->result, want->result) || strcmp(have->about, want->about) ||
			    strcmp(have->reason, want->reason))
				fail_msg("%s: '%s' '%s' '%s' '%s' '%s'", text, have->by, have->method,
					 have->result, have->about, have->reason);
			n++;
		}
		assert_int_equal(j.checks, n);
	}
}

static void the_way_is_told_from_its_beginning(void **state)
{
	static const char header[] = "Return-Path: <a@b>\r\n"
				     "Received: by third; Sat, 21 Nov 2026 23:39:45 +0000\r\n"
				     "Authentication-Results: third; spf=pass\r\n"
				     "Received: by second; Sat, 21 Nov 2026 23:39:44 +0000\r\n"
				     "Received: by first; Sat, 21 Nov 2026 23:39:43 +0000\r\n"
				     "Subject: a\r\n\tb \x07\r\n"
				     "\r\nReceived: by the body\r\n";
	struct mime_journey j;
	char subject[32], small[3];

	(void)state;
	mime_journey_read(slice_str(header), &j);
	assert_true(j.hops == 3 && j.checks == 1 && j.hops_more == 0);
	assert_string_equal(j.hop[0].by, "first");
	assert_string_equal(j.hop[2].by, "third");
	mime_journey_field(slice_str(header), SLICE_LIT("subject"), subject, sizeof(subject));
	assert_string_equal(subject, "a b ?");
	mime_journey_field(slice_str(header), SLICE_LIT("subject"), small, sizeof(small));
	assert_string_equal(small, "a");
	mime_journey_field(slice_str(header), SLICE_LIT("X"), subject, sizeof(subject));
	assert_string_equal(subject, "");
}

static void too_many(void **state)
{
	struct mime_journey j;
	struct buf b;

	(void)state;
	buf_init(&b, 1 << 20);
	for (unsigned i = 0; i < 100; i++)
		buf_fmt(&b, "Received: by h%u\nAuthentication-Results: h%u; spf=pass\n", i, i);
	mime_journey_read(buf_slice(&b), &j);
	assert_true(j.hops == MIME_JOURNEY_HOPS && j.hops_more == 100 - MIME_JOURNEY_HOPS);
	assert_true(j.checks == MIME_JOURNEY_CHECKS && j.checks_more == 100 - MIME_JOURNEY_CHECKS);
	assert_string_equal(j.hop[MIME_JOURNEY_HOPS - 1].by, "h0"); /* the last ones are kept */
	assert_string_equal(j.check[0].by, "h0");
	buf_done(&b);
}

static void in_words(void **state)
{
	static const struct {
		struct mime_check c;
		const char *want;
	} rows[] = {
		{ { "", "spf", "pass", "x.org", "" }, "the server that brought it may send for x.org" },
		{ { "", "spf", "pass", "", "" }, "the server that brought it may send" },
		{ { "", "dkim", "fail", "%s%n", "" }, "the signature by %s%n does not hold" },
		{ { "", "dkim", "none", "x", "" }, "not signed" },
		{ { "", "dmarc", "temperror", "x", "" }, "it could not be looked up at that time" },
		{ { "", "iprev", "pass", "192.0.2.1", "" }, "192.0.2.1" },
		{ { "", "new", "thing", "", "" }, "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[400];
		struct buf b;

		buf_init_in(&b, text, sizeof(text));
		mime_check_put(&rows[i].c, &b);
		assert_true(slice_eq(buf_slice(&b), slice_str(rows[i].want)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(received),
		cmocka_unit_test(results),
		cmocka_unit_test(the_way_is_told_from_its_beginning),
		cmocka_unit_test(too_many),
		cmocka_unit_test(in_words),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
