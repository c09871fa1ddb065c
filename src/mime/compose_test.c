#include "mime/compose.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "mime/compose_harness.h"
#include "mime/type.h"

#define U_UML "\xc3\xbc"
#define SMILE "\xf0\x9f\x98\x80"
#define TEN   "0123456789"
#define X100  TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

/* A value, and how its field is written; NULL: the fault. */
static const struct {
	const char *value, *written;
	enum mime_fault fault;
} texts[] = {
	{ "hello", "X: hello\r\n", 0 },
	{ "", "X:\r\n", 0 },
	{ "  blanks around\t", "X: blanks around\r\n", 0 },
	{ "two  blanks", "X: two  blanks\r\n", 0 },
	{ "gr" U_UML "n", "X: =?utf-8?q?gr=C3=BCn?=\r\n", 0 },
	/* from the first word that must be encoded to the last, and no further */
	{ "Re: gr" U_UML "n und bl" U_UML " now", "X: Re: =?utf-8?q?gr=C3=BCn_und_bl=C3=BC?= now\r\n", 0 },
	{ "Re:  " U_UML, "X: =?utf-8?q?Re=3A__=C3=BC?=\r\n", 0 },
	{ SMILE SMILE SMILE, "X: =?utf-8?b?8J+YgPCfmIDwn5iA?=\r\n", 0 },
	/* what looks like an encoded-word is none */
	{ "=?utf-8?q?x?=", "X: =?utf-8?q?=3D=3Futf-8=3Fq=3Fx=3F=3D?=\r\n", 0 },
	{ "a?=b", "X: a?=b\r\n", 0 },
	{ "It is a long subject that goes on and on until it must be folded somewhere, and then on",
	  "X: It is a long subject that goes on and on until it must be folded\r\n somewhere, and then "
	  "on\r\n",
	  0 },
	{ X100 " " X100, "X: " X100 "\r\n " X100 "\r\n", 0 },
	{ "a\r\nBcc: x@example.org", NULL, MIME_LINE_END },
	{ "a\nb", NULL, MIME_LINE_END },
	{ "a\rb", NULL, MIME_LINE_END },
	{ "a\x07", NULL, MIME_CONTROL },
	{ "a\x7f", NULL, MIME_CONTROL },
	{ "a\xff", NULL, MIME_NOT_UTF8 },
	{ "\xc3", NULL, MIME_NOT_UTF8 },
	{ "\xed\xa0\x80", NULL, MIME_NOT_UTF8 }, /* a surrogate */
};

static void check_row(const char *value, const char *written, enum mime_fault want, enum mime_fault got,
		      const struct buf *b, const struct mime_problem *p)
{
	if (got != want)
		fail_msg("\"%s\": fault %d, not %d", value, got, want);
	if (!slice_eq(buf_slice(b), slice_str(written ? written : "")))
		fail_msg("\"%s\": written as\n%.*s\nnot as\n%s", value, SLICE_ARG(buf_slice(b)), written);
	if (want != MIME_FINE) {
		assert_int_equal(p->fault, want);
		assert_string_equal(p->field, "X");
	}
}

static void text_fields(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct mime_problem p;
		enum mime_fault fault;
		struct buf b;

		buf_init(&b, 10000);
		fault = mime_put_text(SLICE_LIT("X"), slice_str(texts[i].value), &b, &p);
		check_row(texts[i].value, texts[i].written, texts[i].fault, fault, &b, &p);
		buf_done(&b);
	}
}

static const struct {
	const char *value, *written;
	enum mime_fault fault;
	bool smtputf8;
} people[] = {
	{ "bob@Example.ORG", "X: bob@example.org\r\n", 0, false },
	{ "Bob Roe <bob@example.org>", "X: Bob Roe <bob@example.org>\r\n", 0, false },
	{ "\"Roe, Bob\" <bob@example.org>", "X: \"Roe, Bob\" <bob@example.org>\r\n", 0, false },
	{ "\"say \\\"hi\\\" \\\\o/\" <b@x.org>", "X: \"say \\\"hi\\\" \\\\o/\" <b@x.org>\r\n", 0, false },
	{ "J" U_UML "rg <j@x.org>", "X: =?utf-8?q?J=C3=BCrg?= <j@x.org>\r\n", 0, false },
	{ "bob@b" U_UML "cher.example", "X: bob@xn--bcher-kva.example\r\n", 0, false },
	{ "j" U_UML "rg@b" U_UML "cher.example", "X: j" U_UML "rg@xn--bcher-kva.example\r\n", 0, true },
	{ "root", "X: root@h.example\r\n", 0, false },
	{ "root (Cron Daemon)", "X: Cron Daemon <root@h.example>\r\n", 0, false },
	{ "a@x.org,b@y.org ,", "X: a@x.org, b@y.org\r\n", 0, false },
	{ "All: a@x.org, B <b@y.org>; , c@z.org", "X: All: a@x.org, B <b@y.org>;, c@z.org\r\n", 0, false },
	{ "none:;", "X: none:;\r\n", 0, false },
	{ "\"\":;", "X: \"\":;\r\n", 0, false },
	{ "\" a \" <a@x.org>", "X: \" a \" <a@x.org>\r\n", 0, false },
	{ "\"a  b\" <a@x.org>", "X: \"a  b\" <a@x.org>\r\n", 0, false },
	{ "\"=?utf-8?q?x?=\" <a@x.org>", "X: =?utf-8?q?=3D=3Futf-8=3Fq=3Fx=3F=3D?= <a@x.org>\r\n", 0, false },
	{ "one.of.many@long.example.org, another.of.many@long.example.org, the.third@example.org",
	  "X: one.of.many@long.example.org, another.of.many@long.example.org,\r\n the.third@example.org\r\n",
	  0, false },
	{ "a@x.org\r\nBcc: b@y.org", NULL, MIME_LINE_END, false },
	{ "bob@", NULL, MIME_NO_ADDRESS, false },
	{ "bob@-x.org", NULL, MIME_NO_ADDRESS, false },
	{ "Bob Roe", NULL, MIME_NO_ADDRESS, false },
	{ "a@x.org; b@y.org", NULL, MIME_NO_ADDRESS, false },
	{ " , ", NULL, MIME_NO_ADDRESS, false },
	{ "\xff@x.org", NULL, MIME_NOT_UTF8, false },
};

static void address_fields(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(people) / sizeof(people[0]); i++) {
		struct mime_needs needs = { 0 };
		struct mime_problem p;
		enum mime_fault fault;
		struct buf b;

		buf_init(&b, 10000);
		fault = mime_put_addresses(SLICE_LIT("X"), slice_str(people[i].value), SLICE_LIT("h.example"),
					   &b, &needs, &p);
		check_row(people[i].value, people[i].written, people[i].fault, fault, &b, &p);
		if (needs.smtputf8 != people[i].smtputf8)
			fail_msg("\"%s\": smtputf8 %d", people[i].value, needs.smtputf8);
		buf_done(&b);
	}
}

static void file_names(void **state)
{
	static const struct {
		const char *name, *written;
		enum mime_fault fault;
	} rows[] = {
		{ "a b.txt", "X: attachment; filename=\"a b.txt\"\r\n", 0 },
		{ "M" U_UML "ll.pdf", "X: attachment; filename*0*=utf-8''M%C3%BCll.pdf\r\n", 0 },
		{ "say \"hi\".txt", "X: attachment; filename*0*=utf-8''say%20%22hi%22.txt\r\n", 0 },
		{ "=?x", "X: attachment; filename*0*=utf-8''%3D%3Fx\r\n", 0 },
		{ X100 ".c",
		  "X: attachment;\r\n filename*0*=utf-8''" TEN TEN TEN TEN TEN
		  "012345;\r\n filename*1*=6789" TEN TEN TEN TEN ".c\r\n",
		  0 },
		{ "a\r\nX-Evil: b", NULL, MIME_LINE_END },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mime_problem p;
		enum mime_fault fault;
		struct buf b;

		buf_init(&b, 10000);
		fault = mime_put_filename(SLICE_LIT("X"), SLICE_LIT("attachment"), slice_str(rows[i].name),
					  &b, &p);
		if (fault == MIME_FINE)
			check_row(rows[i].name, rows[i].written, rows[i].fault, fault, &b, &p);
		assert_int_equal(fault, rows[i].fault);
		buf_done(&b);
	}
}

/* No cut through a character, at whatever column it comes. */
static void long_names(void **state)
{
	char value[2000];
	struct buf b, raw, text;

	(void)state;
	buf_init(&b, 20000);
	buf_init(&raw, 20000);
	buf_init(&text, 20000);
	for (size_t n = 1; n < 200; n++) {
		size_t at = 0;

		for (size_t i = 0; i < n; i++)
			at += (size_t)snprintf(value + at, sizeof(value) - at, "%s",
					       i % 3 == 0   ? SMILE
					       : i % 3 == 1 ? "x"
							    : "\xe6\x9d\x8e");
		buf_reset(&b);
		assert_int_equal(mime_put_text(SLICE_LIT("Subject"), slice_str(value), &b, NULL), MIME_FINE);
		check_header(buf_slice(&b));
		assert_true(field(buf_slice(&b), "Subject", &raw));
		decode(buf_slice(&raw), &text);
		assert_true(slice_eq(buf_slice(&text), slice_str(value)));
	}
	buf_done(&b);
	buf_done(&raw);
	buf_done(&text);
}

static struct mime_message basic(void)
{
	return (struct mime_message){ .from = SLICE_LIT("Ann <ann@example.com>"),
				      .to = SLICE_LIT("bob@example.org"),
				      .subject = SLICE_LIT("hello"),
				      .has_subject = true,
				      .date_ms = 1795304383000,
				      .id = SLICE_LIT("0TEST"),
				      .hostname = SLICE_LIT("c.example"),
				      .unique = SLICE_LIT("u") };
}

static void assert_composed(const struct mime_message *m, const char *want)
{
	struct mime_problem p = { 0 };
	struct mime_compose c;
	struct buf b;

	buf_init(&b, 100000);
	if (mime_compose_begin(&c, m, &b, &p) != MIME_FINE)
		fail_msg("fault %d of %s", p.fault, p.field);
	mime_compose_end(&c, &b);
	if (!slice_eq(buf_slice(&b), slice_str(want)))
		fail_msg("composed:\n%.*s\nwanted:\n%s", SLICE_ARG(buf_slice(&b)), want);
	buf_done(&b);
}

#define HEAD                                        \
	"Date: Sat, 21 Nov 2026 23:39:43 +0000\r\n" \
	"From: Ann <ann@example.com>\r\n"           \
	"To: bob@example.org\r\n"                   \
	"Subject: hello\r\n"                        \
	"Message-ID: <0TEST@c.example>\r\n"

static void whole_messages(void **state)
{
	struct mime_message m = basic();
	const struct mime_extra extra[] = { { SLICE_INIT("X-Mailer"), SLICE_INIT("a test") },
					    { SLICE_INIT("Errors-To"),
					      SLICE_INIT("Ann <ann@example.com>") } };
	const struct slice urls[] = { SLICE_INIT("https://example.com/u?id=1"),
				      SLICE_INIT("mailto:u@example.com") };

	(void)state;
	m.has_text = true;
	m.text = SLICE_LIT("Hi,\n.\nbye");
	assert_composed(&m, HEAD "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
				 "Content-Transfer-Encoding: 7bit\r\n\r\nHi,\r\n.\r\nbye\r\n");
	m.text = SLICE_LIT("gr" U_UML "n\nFrom here\n.\n= \n");
	assert_composed(&m, HEAD "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
				 "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
				 "gr=C3=BCn\r\n=46rom here\r\n=2E\r\n=3D=20\r\n");
	m.text = SLICE_LIT(SMILE SMILE "\n");
	assert_composed(&m, HEAD "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
				 "Content-Transfer-Encoding: base64\r\n\r\n8J+YgPCfmIANCg==\r\n");
	m.eightbit = true;
	assert_composed(&m, HEAD "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
				 "Content-Transfer-Encoding: 8bit\r\n\r\n" SMILE SMILE "\r\n");
	m.has_html = true;
	m.html = SLICE_LIT("<p>Hi</p>\n");
	m.text = SLICE_LIT("Hi");
	assert_composed(&m, HEAD "MIME-Version: 1.0\r\n"
				 "Content-Type: multipart/alternative; boundary=\"=_au.0=\"\r\n\r\n"
				 "--=_au.0=\r\nContent-Type: text/plain; charset=utf-8\r\n"
				 "Content-Transfer-Encoding: 7bit\r\n\r\nHi\r\n\r\n"
				 "--=_au.0=\r\nContent-Type: text/html; charset=utf-8\r\n"
				 "Content-Transfer-Encoding: 7bit\r\n\r\n<p>Hi</p>\r\n\r\n--=_au.0=--\r\n");
	m.has_html = m.has_text = false;
	m.header = extra;
	m.headers = 2;
	m.unsubscribe = urls;
	m.unsubscribes = 2;
	m.one_click = true;
	assert_composed(&m, HEAD
			"List-Unsubscribe: <https://example.com/u?id=1>, <mailto:u@example.com>\r\n"
			"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
			"X-Mailer: a test\r\nErrors-To: Ann <ann@example.com>\r\nMIME-Version: 1.0\r\n"
			"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n");
}

/* A text that holds the boundaries that come to mind first. */
static void boundaries(void **state)
{
	struct mime_message m = basic();
	struct mime_compose c;
	struct part whole, part[2];
	struct buf b, value, boundary;

	(void)state;
	m.has_text = m.attachments = true;
	m.text = SLICE_LIT("--=_mu.0=--\n=_au.1=\n");
	buf_init(&b, 100000);
	buf_init(&value, 1000);
	buf_init(&boundary, 1000);
	assert_int_equal(mime_compose_begin(&c, &m, &b, NULL), MIME_FINE);
	assert_int_equal(mime_compose_attach(&c, SLICE_LIT("a.png"), SLICE_LIT(""), true, &b, NULL),
			 MIME_FINE);
	mime_compose_octets(&c, SLICE_LIT("a\0b\r\n"), &b);
	mime_compose_end(&c, &b);
	whole = split(buf_slice(&b));
	assert_true(field(whole.header, "Content-Type", &value));
	assert_true(param(buf_slice(&value), "boundary", &boundary));
	assert_true(slice_eq(buf_slice(&boundary), SLICE_LIT("=_mu.2=")));
	assert_int_equal(parts(whole.body, buf_slice(&boundary), part, 2), 2);
	assert_true(field(part[1].header, "Content-Type", &value));
	assert_true(slice_eq(buf_slice(&value), SLICE_LIT("image/png")));
	content(&part[1], &value);
	assert_true(slice_eq(buf_slice(&value), SLICE_LIT("a\0b\r\n")));
	buf_done(&b);
	buf_done(&value);
	buf_done(&boundary);
}

static void no_addressee(void **state)
{
	struct mime_message m = basic();
	struct mime_compose c;
	struct buf b;

	(void)state;
	m.to = SLICE_LIT("");
	buf_init(&b, 10000);
	assert_int_equal(mime_compose_begin(&c, &m, &b, NULL), MIME_FINE);
	assert_non_null(memmem(buf_slice(&b).p, buf_slice(&b).n, "\r\nTo: undisclosed-recipients:;\r\n", 32));
	buf_done(&b);
}

/* Each way in which a message cannot be composed, and what people are told. */
static void faults(void **state)
{
	static const struct mime_extra injected = { SLICE_INIT("X"), SLICE_INIT("a\r\nBcc: b@x.org") },
				       ours = { SLICE_INIT("bcc"), SLICE_INIT("b@x.org") },
				       content_type = { SLICE_INIT("Content-Type"), SLICE_INIT("text/html") },
				       name = { SLICE_INIT("X Y"), SLICE_INIT("b") },
				       name2 = { SLICE_INIT("X:\nBcc"), SLICE_INIT("b") };
	static const struct slice web = SLICE_INIT("http://x.org/"), mail = SLICE_INIT("mailto:a@x.org"),
				  bad = SLICE_INIT("https://x.org/>\r\nBcc: y");
	struct mime_message rows[15];
	static const char *const said[15] = {
		"From: missing",
		"From: 'Ann' is an address without a domain",
		"To: a line end in it: that would begin another field",
		"To: '@example.org' is no address",
		"Subject: a line end in it: that would begin another field",
		"X: a line end in it: that would begin another field",
		"header: 'bcc' is not to be given in this way",
		"header: 'Content-Type' is not to be given in this way",
		"header: 'X Y' is no name for a field",
		"header: 'X:?Bcc' is no name for a field",
		"List-Unsubscribe: one click needs an https address (RFC 8058)",
		"List-Unsubscribe: one click needs an https address (RFC 8058)",
		"List-Unsubscribe: 'https://x.org/>??Bcc: y' is neither <https:...> nor <mailto:...>",
		"text/plain: not in UTF-8",
		"Message-ID: 'x> y' is no address",
	};

	(void)state;
	for (size_t i = 0; i < 15; i++)
		rows[i] = basic();
	rows[0].from = SLICE_LIT(" ");
	rows[1].from = SLICE_LIT("Ann");
	rows[2].to = SLICE_LIT("bob@example.org\r\nBcc: x@example.org");
	rows[3].to = SLICE_LIT("bob@x.org, @example.org");
	rows[4].subject = SLICE_LIT("a\nb");
	const struct mime_extra *extra[] = { &injected, &ours, &content_type, &name, &name2 };

	for (size_t i = 0; i < 5; i++) {
		rows[5 + i].header = extra[i];
		rows[5 + i].headers = 1;
	}
	const struct slice *url[] = { &web, &mail, &bad };

	for (size_t i = 0; i < 3; i++) {
		rows[10 + i].unsubscribe = url[i];
		rows[10 + i].unsubscribes = 1;
		rows[10 + i].one_click = true;
	}
	rows[13].has_text = true;
	rows[13].text = SLICE_LIT("a\xff");
	rows[14].message_id = SLICE_LIT("x> y");
	for (size_t i = 0; i < 15; i++) {
		struct mime_problem p = { 0 };
		struct mime_compose c;
		struct buf b, text;

		buf_init(&b, 10000);
		buf_init(&text, 1000);
		assert_int_not_equal(mime_compose_begin(&c, &rows[i], &b, &p), MIME_FINE);
		mime_problem_put(&p, &text);
		if (!slice_eq(buf_slice(&text), slice_str(said[i])))
			fail_msg("%zu: \"%.*s\"", i, SLICE_ARG(buf_slice(&text)));
		buf_done(&b);
		buf_done(&text);
	}
}

static void full_buffer(void **state)
{
	struct mime_message m = basic();
	struct mime_compose c;
	struct buf b;

	(void)state;
	for (size_t max = 1; max < 200; max += 7) {
		struct mime_problem p = { 0 };

		buf_init(&b, max);
		assert_int_equal(mime_compose_begin(&c, &m, &b, &p), MIME_NO_MEMORY);
		assert_int_equal(p.fault, MIME_NO_MEMORY);
		buf_done(&b);
	}
}

static void types(void **state)
{
	(void)state;
	assert_string_equal(mime_type_of(SLICE_LIT("a.PDF")), "application/pdf");
	assert_string_equal(mime_type_of(SLICE_LIT("a.tar.gz")), "application/gzip");
	assert_string_equal(mime_type_of(SLICE_LIT("a.eml")), "application/octet-stream");
	assert_string_equal(mime_type_of(SLICE_LIT("pdf")), "application/octet-stream");
	assert_string_equal(mime_type_of(SLICE_LIT("a.")), "application/octet-stream");
	assert_true(mime_type_ok(SLICE_LIT("image/png")));
	assert_false(mime_type_ok(SLICE_LIT("image")));
	assert_false(mime_type_ok(SLICE_LIT("image/png; x=y")));
	assert_false(mime_type_ok(SLICE_LIT("message/rfc822")));
	assert_false(mime_type_ok(SLICE_LIT("multipart/mixed")));
	assert_false(mime_type_ok(SLICE_LIT("a/b\r\nBcc: x")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_fields),	  cmocka_unit_test(address_fields),
		cmocka_unit_test(file_names),	  cmocka_unit_test(long_names),
		cmocka_unit_test(whole_messages), cmocka_unit_test(boundaries),
		cmocka_unit_test(no_addressee),	  cmocka_unit_test(faults),
		cmocka_unit_test(full_buffer),	  cmocka_unit_test(types),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
