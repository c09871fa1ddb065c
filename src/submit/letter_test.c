#include "submit/letter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define ADDED "Date: Sat, 21 Nov 2026 23:39:43 +0000\r\nMessage-ID: <1@h.example>\r\n"
#define FROM  "From: www-data@h.example\r\n"
#define WHOLE "From: a@b.example\r\nDate: x\r\nMessage-ID: <m@b.example>\r\n"

enum {
	T = 1,	 /* -t */
	DOT = 2, /* a dot ends it */
	AUTHOR = 4,
};

/* What comes in, and what goes out; the envelope as "sender> recipient recipient".  Without T the recipient
 * is bob@example.org. */
static const struct {
	const char *name;
	unsigned flags;
	const char *in, *out, *envelope;
} rows[] = {
	{ "plain", 0, "To: bob@example.org\nSubject: x\n\nhi\n",
	  FROM ADDED "To: bob@example.org\r\nSubject: x\r\n\r\nhi\r\n",
	  "www-data@h.example> bob@example.org" },
	{ "nothing is missing", 0, WHOLE "\r\nhi\r\n", WHOLE "\r\nhi\r\n",
	  "www-data@h.example> bob@example.org" },
	{ "-t", T,
	  WHOLE "To: Bob <bob@x.example>, c@x.example\nCc: d@x.example\nBcc: e@x.example,\n f@x.example\n\n",
	  WHOLE "To: Bob <bob@x.example>, c@x.example\r\nCc: d@x.example\r\n\r\n",
	  "www-data@h.example> bob@x.example c@x.example d@x.example e@x.example f@x.example" },
	{ "each once", T, WHOLE "To: bob@x.example, bob@X.example\ncc: Bob <bob@x.example>\n\n",
	  WHOLE "To: bob@x.example, bob@X.example\r\ncc: Bob <bob@x.example>\r\n\r\n",
	  "www-data@h.example> bob@x.example" },
	{ "only Bcc", T, WHOLE "Bcc: b@x.example\n\nhi", WHOLE "\r\nhi\r\n",
	  "www-data@h.example> b@x.example" },
	{ "Bcc without -t", 0, WHOLE "BCC : b@x.example\n\nhi", WHOLE "\r\nhi\r\n",
	  "www-data@h.example> bob@example.org" },
	{ "cron", T, "From: root (Cron Daemon)\nTo: root\nSubject: Cron <root@h> test\n\nout\n",
	  ADDED "From: root@h.example (Cron Daemon)\r\nTo: root@h.example\r\nSubject: Cron <root@h> "
		"test\r\n\r\nout\r\n",
	  "www-data@h.example> root@h.example" },
	{ "several without a domain", T, WHOLE "To: root, Ann <ann>,\n bob@x.example (bob), g: eve;\n\n",
	  WHOLE "To: root@h.example, Ann <ann@h.example>,\r\n bob@x.example (bob), g: eve@h.example;\r\n\r\n",
	  "www-data@h.example> root@h.example ann@h.example bob@x.example eve@h.example" },
	{ "a comma too much", 0, "From: Foo, Inc. <foo@x.example>\nDate: x\nMessage-ID: <1@2>\n\n",
	  "From: Foo, Inc. <foo@x.example>\r\nDate: x\r\nMessage-ID: <1@2>\r\n\r\n",
	  "www-data@h.example> bob@example.org" },
	{ "what cannot be read stays", 0, WHOLE "To: @@\nCc: a b c\n\n", WHOLE "To: @@\r\nCc: a b c\r\n\r\n",
	  "www-data@h.example> bob@example.org" },
	{ "sender of the header", AUTHOR, "From: Ann <ann@x.example>\nDate: x\nMessage-ID: <1@2>\n\n",
	  "From: Ann <ann@x.example>\r\nDate: x\r\nMessage-ID: <1@2>\r\n\r\n",
	  "ann@x.example> bob@example.org" },
	{ "Sender before From", AUTHOR, WHOLE "Sender: s@x.example\nReply-To: r@x.example\n\n",
	  WHOLE "Sender: s@x.example\r\nReply-To: r@x.example\r\n\r\n", "s@x.example> bob@example.org" },
	{ "no From to take", AUTHOR, "Subject: x\n\n", FROM ADDED "Subject: x\r\n\r\n",
	  "www-data@h.example> bob@example.org" },
	/* line ends */
	{ "all kinds", 0, WHOLE "\r\na\nb\r\nc\rd\r\r\ne\r\r\rf",
	  WHOLE "\r\na\r\nb\r\nc\r\nd\r\ne\r\n\r\n\r\nf\r\n", "www-data@h.example> bob@example.org" },
	{ "CRs at the end", 0, WHOLE "\r\na\r\r", WHOLE "\r\na\r\n\r\n",
	  "www-data@h.example> bob@example.org" },
	{ "CR in the header", 0, "From: a@b.example\rDate: x\rMessage-ID: <m@b.example>\r\rhi\r",
	  WHOLE "\r\nhi\r\n", "www-data@h.example> bob@example.org" },
	{ "CRs before LF", 0,
	  "From: a@b.example\r\r\nDate: x\r\r\nMessage-ID: <m@b.example>\r\r\n\r\r\nhi\r\r\n",
	  WHOLE "\r\nhi\r\n", "www-data@h.example> bob@example.org" },
	/* its end */
	{ "a dot", DOT, WHOLE "\r\na\n..\n. \n.x\n.\nb\n", WHOLE "\r\na\r\n..\r\n. \r\n.x\r\n",
	  "www-data@h.example> bob@example.org" },
	{ "a dot and CRLF", DOT, WHOLE "\r\na\r\n.\r\nb\r\n", WHOLE "\r\na\r\n",
	  "www-data@h.example> bob@example.org" },
	{ "a dot at the end", DOT, WHOLE "\r\na\n.", WHOLE "\r\na\r\n",
	  "www-data@h.example> bob@example.org" },
	{ "a dot that is text", 0, WHOLE "\r\na\n.\nb\n", WHOLE "\r\na\r\n.\r\nb\r\n",
	  "www-data@h.example> bob@example.org" },
	{ "a dot in the header", DOT, "From: a@b.example\nDate: x\n.\nSubject: y\n",
	  "Message-ID: <1@h.example>\r\nFrom: a@b.example\r\nDate: x\r\n\r\n",
	  "www-data@h.example> bob@example.org" },
	/* no header, or half of one */
	{ "nothing at all", 0, "", FROM ADDED "\r\n", "www-data@h.example> bob@example.org" },
	{ "only a body", 0, "hello there\nbye\n", FROM ADDED "\r\nhello there\r\nbye\r\n",
	  "www-data@h.example> bob@example.org" },
	{ "an empty line first", 0, "\nSubject: x\n", FROM ADDED "\r\nSubject: x\r\n",
	  "www-data@h.example> bob@example.org" },
	{ "only a header", 0, "Subject: x", FROM ADDED "Subject: x\r\n\r\n",
	  "www-data@h.example> bob@example.org" },
	{ "a line that is no field", 0, "Subject: x\nhello there\nBcc: b@x.example\n",
	  FROM ADDED "Subject: x\r\n\r\nhello there\r\nBcc: b@x.example\r\n",
	  "www-data@h.example> bob@example.org" },
	{ "of a mailbox file", 0,
	  "From ann Sat Jan  1 00:00:00 2000\n" WHOLE "Return-Path: <x@y>\nContent-Length: 2\n\nhi",
	  WHOLE "\r\nhi\r\n", "www-data@h.example> bob@example.org" },
	{ "a field whose colon has a blank before it is no mailbox's line", 0,
	  "From : ann@x.example\nDate: x\nMessage-ID: <a@b>\n\nhi",
	  "From : ann@x.example\r\nDate: x\r\nMessage-ID: <a@b>\r\n\r\nhi\r\n",
	  "www-data@h.example> bob@example.org" },
	{ "From in the body", 0, WHOLE "\nFrom me\n", WHOLE "\r\nFrom me\r\n",
	  "www-data@h.example> bob@example.org" },
	/* sent again */
	{ "resent", T,
	  "Resent-From: r@x.example\nResent-Date: d\nResent-Message-ID: <r@x>\nResent-To: n@x.example\n"
	  "Resent-Bcc: s@x.example\nReceived: from x\nResent-To: old@x.example\n" WHOLE
	  "To: first@x.example\n\n",
	  "Resent-From: r@x.example\r\nResent-Date: d\r\nResent-Message-ID: <r@x>\r\nResent-To: "
	  "n@x.example\r\n"
	  "Received: from x\r\nResent-To: old@x.example\r\n" WHOLE "To: first@x.example\r\n\r\n",
	  "www-data@h.example> n@x.example s@x.example" },
	{ "resent twice, no trace between", T,
	  "Resent-From: r@x.example\nResent-Date: d\nResent-Message-ID: <r@x>\nResent-To: n@x.example\n"
	  "Resent-From: q@x.example\nResent-Cc: old@x.example\n" WHOLE "\n",
	  "Resent-From: r@x.example\r\nResent-Date: d\r\nResent-Message-ID: <r@x>\r\nResent-To: "
	  "n@x.example\r\n"
	  "Resent-From: q@x.example\r\nResent-Cc: old@x.example\r\n" WHOLE "\r\n",
	  "www-data@h.example> n@x.example" },
	{ "resent, half of it", T | AUTHOR, "Resent-To: n\nTo: first@x.example\n" WHOLE "\n",
	  "Resent-Date: Sat, 21 Nov 2026 23:39:43 +0000\r\nResent-From: www-data@h.example\r\n"
	  "Resent-Message-ID: <1@h.example>\r\nResent-To: n@h.example\r\nTo: first@x.example\r\n" WHOLE
	  "\r\n",
	  "www-data@h.example> n@h.example" },
	{ "resent, on its way since", T | AUTHOR,
	  "Received: from y\nResent-To: n@x.example\nReceived: from x\nResent-To: old@x.example\n" WHOLE "\n",
	  "Received: from y\r\nResent-Date: Sat, 21 Nov 2026 23:39:43 +0000\r\nResent-From: "
	  "www-data@h.example\r\nResent-Message-ID: <1@h.example>\r\nResent-To: n@x.example\r\n"
	  "Received: from x\r\nResent-To: old@x.example\r\n" WHOLE "\r\n",
	  "www-data@h.example> n@x.example" },
	{ "resent by", T | AUTHOR,
	  "Resent-Sender: rs@x.example\nResent-From: r@x.example\nResent-To: n@x.example\nResent-Date: d\n"
	  "Resent-Message-ID: <r@x>\n" WHOLE "\n",
	  "Resent-Sender: rs@x.example\r\nResent-From: r@x.example\r\nResent-To: n@x.example\r\nResent-Date: "
	  "d\r\n"
	  "Resent-Message-ID: <r@x>\r\n" WHOLE "\r\n",
	  "rs@x.example> n@x.example" },
	/* what is not ASCII */
	{ "UTF-8", T, WHOLE "To: J\xc3\xb6rg <j\xc3\xb6rg@b\xc3\xbc.example>\n\n\xff\n",
	  WHOLE "To: J\xc3\xb6rg <j\xc3\xb6rg@b\xc3\xbc.example>\r\n\r\n\xff\r\n",
	  "www-data@h.example> j\xc3\xb6rg@xn--b-eha.example" },
};

static struct letter_setup setup_of(unsigned flags)
{
	return (struct letter_setup){ .dot_ends = flags & DOT,
				      .recipients_from_header = flags & T,
				      .sender_from_header = flags & AUTHOR,
				      .fallback = SLICE_LIT("www-data"),
				      .domain = SLICE_LIT("h.example"),
				      .hostname = SLICE_LIT("h.example"),
				      .id = SLICE_LIT("1"),
				      .time_ms = 1795304383000 };
}

static enum mime_fault run(const struct letter_setup *s, struct slice in, size_t cut,
			   struct submit_envelope *e, struct buf *out, struct letter_facts *facts,
			   struct mime_problem *p)
{
	enum mime_fault fault = MIME_FINE;
	struct letter *l;

	assert_int_equal(submit_envelope_init(e), 0);
	if (!s->recipients_from_header)
		assert_int_equal(submit_envelope_add(e, SLICE_LIT("bob@example.org"), s->domain,
						     SLICE_LIT("x"), p),
				 MIME_FINE);
	l = letter_new(s, e);
	assert_non_null(l);
	for (; in.n > 0 && fault == MIME_FINE && !letter_is_over(l); in = slice_tail(in, cut))
		fault = letter_feed(l, slice_head(in, cut), out, p);
	if (fault == MIME_FINE)
		fault = letter_end(l, out, p);
	*facts = *letter_facts(l);
	letter_free(l);
	return fault;
}

static void assert_envelope(const char *name, const struct submit_envelope *e, const char *want)
{
	struct buf b;

	buf_init(&b, 10000);
	buf_str(&b, e->sender);
	buf_byte(&b, '>');
	for (size_t i = 0; i < e->recipients; i++) {
		buf_byte(&b, ' ');
		buf_str(&b, e->recipient[i]->address);
	}
	if (!slice_eq(buf_slice(&b), slice_str(want)))
		fail_msg("%s: envelope \"%.*s\", not \"%s\"", name, SLICE_ARG(buf_slice(&b)), want);
	buf_done(&b);
}

/* Each row whole, in threes, and octet by octet. */
static void letters(void **state)
{
	static const size_t cuts[] = { SIZE_MAX, 3, 1 };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) * 3; i++) {
		struct letter_setup s = setup_of(rows[i / 3].flags);
		struct submit_envelope e;
		struct letter_facts facts;
		struct mime_problem p = { 0 };
		struct buf out;

		buf_init(&out, 100000);
		if (run(&s, slice_str(rows[i / 3].in), cuts[i % 3], &e, &out, &facts, &p) != MIME_FINE)
			fail_msg("%s: fault %d of %s: %s", rows[i / 3].name, p.fault, p.field, p.about);
		if (!slice_eq(buf_slice(&out), slice_str(rows[i / 3].out)))
			fail_msg("%s: came out as\n%.*s\nnot as\n%s", rows[i / 3].name,
				 SLICE_ARG(buf_slice(&out)), rows[i / 3].out);
		assert_int_equal(facts.octets, buf_slice(&out).n);
		assert_int_equal(facts.eightbit, slice_has_8bit(buf_slice(&out)));
		assert_envelope(rows[i / 3].name, &e, rows[i / 3].envelope);
		submit_envelope_done(&e);
		buf_done(&out);
	}
}

static void given_sender(void **state)
{
	static const struct {
		const char *given, *name, *from, *sender;
	} given[] = {
		{ "ann@x.example", "", "From: ann@x.example\r\n", "ann@x.example> bob@example.org" },
		{ "ann", "Ann Roe", "From: Ann Roe <ann@h.example>\r\n", "ann@h.example> bob@example.org" },
		{ "<ann@x.example>", "J\xc3\xb6rg", "From: =?utf-8?q?J=C3=B6rg?= <ann@x.example>\r\n",
		  "ann@x.example> bob@example.org" },
		{ "", "Web, the", "From: \"Web, the\" <www-data@h.example>\r\n", "> bob@example.org" },
		{ "<>", "J\xf6rg", FROM, "> bob@example.org" }, /* of an old character set */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(given) / sizeof(given[0]); i++) {
		struct letter_setup s = setup_of(AUTHOR);
		struct submit_envelope e;
		struct letter_facts facts;
		struct mime_problem p;
		struct buf out;

		s.has_sender = true;
		s.sender = slice_str(given[i].given);
		s.full_name = slice_str(given[i].name);
		buf_init(&out, 100000);
		assert_int_equal(run(&s, SLICE_LIT("Sender: x@y.example\n\n"), SIZE_MAX, &e, &out, &facts,
				     &p),
				 MIME_FINE);
		if (!slice_starts(buf_slice(&out), slice_str(given[i].from)))
			fail_msg("%.*s", SLICE_ARG(buf_slice(&out)));
		assert_envelope(given[i].given, &e, given[i].sender);
		submit_envelope_done(&e);
		buf_done(&out);
	}
}

/* What is refused, and how people are told. */
static void faults(void **state)
{
	static const struct {
		unsigned flags;
		const char *sender, *name, *domain;
		struct slice in;
		const char *said;
	} bad[] = {
		{ T, NULL, "", "h", SLICE_INIT("Subject: x\n\n"), "recipient: missing" },
		{ T, NULL, "", "h", SLICE_INIT(""), "recipient: missing" },
		{ T, NULL, "", "h", SLICE_INIT("To: undisclosed-recipients:;\n\n"), "recipient: missing" },
		{ T, NULL, "", "h", SLICE_INIT("To: a@x, b@\n\n"), "To: no address" },
		{ T, NULL, "", "h", SLICE_INIT("Cc: a@x b@y\n\n"), "Cc: 'b@y' is no address" },
		{ T, NULL, "", "h", SLICE_INIT("To: a@-x\n\n"), "To: 'a@-x' is no address" },
		{ T, NULL, "", "", SLICE_INIT("To: root\n\n"), "To: 'root' is an address without a domain" },
		{ 0, "a b", "", "h", SLICE_INIT("\n"), "sender: 'a b' is no address" },
		{ 0, "a@x, b@x", "", "h", SLICE_INIT("\n"), "sender: 'a@x, b@x' is no address" },
		{ 0, "a@x>\r\nRCPT TO:<b@y>", "", "h", SLICE_INIT("\n"),
		  "sender: 'a@x>??RCPT TO:<b@y>' is no address" },
		{ 0, NULL, "a\r\nBcc: b", "h", SLICE_INIT("\n"),
		  "From: a line end in it: that would begin another field" },
		{ 0, NULL, "", "h", SLICE_INIT("Subject: x\0\n\n"), "message: a NUL octet in it" },
		{ 0, NULL, "", "h", SLICE_INIT("\nx\0\n"), "message: a NUL octet in it" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct letter_setup s = setup_of(bad[i].flags);
		struct submit_envelope e;
		struct letter_facts facts;
		struct mime_problem p = { 0 };
		struct buf out, text;

		s.has_sender = bad[i].sender;
		s.sender = slice_str(bad[i].sender);
		s.full_name = slice_str(bad[i].name);
		s.domain = slice_str(bad[i].domain);
		buf_init(&out, 100000);
		buf_init(&text, 1000);
		assert_int_not_equal(run(&s, bad[i].in, SIZE_MAX, &e, &out, &facts, &p), MIME_FINE);
		mime_problem_put(&p, &text);
		if (!slice_eq(buf_slice(&text), slice_str(bad[i].said)))
			fail_msg("\"%.*s\", not \"%s\"", SLICE_ARG(buf_slice(&text)), bad[i].said);
		submit_envelope_done(&e);
		buf_done(&out);
		buf_done(&text);
	}
}

static void ceilings(void **state)
{
	static char large[LETTER_HEADER_MAX + 10];
	struct letter_setup s = setup_of(0);
	struct submit_envelope e;
	struct letter_facts facts;
	struct mime_problem p;
	struct buf out;

	(void)state;
	memset(large, 'x', sizeof(large));
	memcpy(large, "X:", 2);
	buf_init(&out, 8 * LETTER_HEADER_MAX);
	assert_int_equal(run(&s, slice_of(large, sizeof(large)), 5000, &e, &out, &facts, &p), MIME_TOO_LONG);
	assert_string_equal(p.field, "header");
	submit_envelope_done(&e);
	memcpy(large, "\n\n", 2);
	s.max = 20000;
	assert_int_equal(run(&s, slice_of(large, sizeof(large)), 5000, &e, &out, &facts, &p), MIME_TOO_LONG);
	assert_string_equal(p.field, "message");
	submit_envelope_done(&e);
	s.max = 0;
	buf_reset(&out);
	assert_int_equal(run(&s, slice_of(large, sizeof(large)), 5000, &e, &out, &facts, &p), MIME_FINE);
	assert_int_equal(facts.longest, sizeof(large) - 2);
	submit_envelope_done(&e);
	buf_done(&out);
}

static void too_many(void **state)
{
	struct submit_envelope e;
	struct mime_problem p;
	char address[40];

	(void)state;
	assert_int_equal(submit_envelope_init(&e), 0);
	for (unsigned i = 0; i <= SUBMIT_RECIPIENTS_MAX; i++) {
		enum mime_fault fault;

		snprintf(address, sizeof(address), "u%u@x.example", i);
		fault = submit_envelope_add(&e, slice_str(address), SLICE_LIT(""), SLICE_LIT("To"), &p);
		assert_int_equal(fault, i < SUBMIT_RECIPIENTS_MAX ? MIME_FINE : MIME_TOO_MANY);
	}
	assert_string_equal(p.field, "recipients");
	assert_false(e.smtputf8);
	submit_envelope_done(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(letters),  cmocka_unit_test(given_sender), cmocka_unit_test(faults),
		cmocka_unit_test(ceilings), cmocka_unit_test(too_many),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
