#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "mime/header.h"

/* What a message shows; each is fed whole, and octet by octet. */
static const struct {
	const char *what, *text;
	enum mime_header_end end;
	unsigned fields;
	const char *message_id, *from;
	bool missing;
} cases[] = {
	{ "as it should be", "From: a@b\r\nMessage-ID: <1@b>\r\n\r\nText\r\n", MIME_HEADER_EMPTY, 2, "<1@b>",
	  "a@b", false },
	{ "names in any case", "FROM: a@b\r\nmessage-id:<1@b>\r\n\r\n", MIME_HEADER_EMPTY, 2, "<1@b>", "a@b",
	  false },
	{ "folded", "From: A\r\n\tB\r\n <a@b>\r\n\r\n", MIME_HEADER_EMPTY, 1, "", "A\tB <a@b>", false },
	{ "blank before the colon", "From : a@b\r\n\r\n", MIME_HEADER_EMPTY, 1, "", "a@b", false },
	{ "the first of two", "From: a\r\nFrom: b\r\n\r\n", MIME_HEADER_EMPTY, 2, "", "a", false },
	{ "the second's folded line", "From: a\r\nTo: x\r\n y\r\nFrom: b\r\n c\r\n\r\n", MIME_HEADER_EMPTY, 3,
	  "", "a", false },
	{ "no body", "From: a\r\n", MIME_HEADER_NO_BODY, 1, "", "a", false },
	{ "no line end", "From: a", MIME_HEADER_NO_BODY, 1, "", "a", false },
	{ "no colon", "From: a\r\nhello\r\nTo: b\r\n\r\n", MIME_HEADER_BAD_LINE, 1, "", "a", false },
	{ "8-bit in a name", "From: a\r\nT\xc3\xb6: b\r\n\r\n", MIME_HEADER_BAD_LINE, 1, "", "a", false },
	{ "text without header", "hello\r\n", MIME_HEADER_BAD_LINE, 0, "", "", true },
	{ "mbox", "From a@b Sat Nov 21 23:39:43 2026\r\nFrom: a\r\n\r\n", MIME_HEADER_BAD_LINE, 0, "", "",
	  true },
	{ "a folded line first", " x\r\nFrom: a\r\n\r\n", MIME_HEADER_BAD_LINE, 0, "", "", true },
	{ "a colon first", ": x\r\n\r\n", MIME_HEADER_BAD_LINE, 0, "", "", true },
	{ "empty header", "\r\nFrom: a\r\n", MIME_HEADER_EMPTY, 0, "", "", false },
	{ "nothing at all", "", MIME_HEADER_NO_BODY, 0, "", "", true },
	{ "a body's fields do not count", "To: x\r\n\r\nFrom: a\r\nMessage-ID: <2>\r\n", MIME_HEADER_EMPTY, 1,
	  "", "", false },
	{ "an empty value", "From:\r\n\r\n", MIME_HEADER_EMPTY, 1, "", "", false },
	{ "a CR in a value", "From: a\rb\r\n\r\n", MIME_HEADER_EMPTY, 1, "", "a\rb", false },
	{ "a long name", "X-A-Name-That-Is-Longer-Than-Any-That-We-Know: x\r\nFrom: a\r\n\r\n",
	  MIME_HEADER_EMPTY, 2, "", "a", false },
};

static void scan(struct mime_header *h, struct slice text, size_t cut)
{
	mime_header_init(h);
	for (; text.n > 0; text = slice_tail(text, cut))
		mime_header_feed(h, slice_head(text, cut));
	mime_header_end(h);
}

static void shapes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]) * 2; i++) {
		struct mime_header h;
		char copy[64];
		size_t k = i / 2;

		scan(&h, slice_str(cases[k].text), i % 2 ? 1 : 1000);
		if (h.end != cases[k].end || h.fields != cases[k].fields ||
		    mime_header_missing(&h) != cases[k].missing)
			fail_msg("%s: end %d fields %u", cases[k].what, h.end, h.fields);
		assert_true(slice_copy(mime_header_message_id(&h), copy, sizeof(copy)));
		assert_string_equal(copy, cases[k].message_id);
		assert_true(slice_copy(mime_header_from(&h), copy, sizeof(copy)));
		assert_string_equal(copy, cases[k].from);
		mime_header_done(&h);
	}
}

static void counts(void **state)
{
	static const char text[] =
		"Received: a\r\nReceived: b\r\n by c\r\nResent-From: x\r\nResent-Date: y\r\n"
		"Date: z\r\nSubject: \xc3\xa4\r\nReturn-Path: <>\r\nReceivedX: no\r\n\r\nReceived: d\r\n";
	struct mime_header h;

	(void)state;
	scan(&h, slice_str(text), 5);
	assert_int_equal(h.count[MIME_RECEIVED], 2);
	assert_int_equal(h.count[MIME_RESENT], 2);
	assert_int_equal(h.count[MIME_DATE], 1);
	assert_int_equal(h.count[MIME_SUBJECT], 1);
	assert_int_equal(h.count[MIME_RETURN_PATH], 1);
	assert_int_equal(h.count[MIME_FROM], 0);
	assert_int_equal(h.fields, 8);
	assert_int_equal(h.octets, strstr(text, "\r\n\r\n") + 2 - text);
	assert_true(h.eightbit);
	assert_false(h.body_eightbit);
	mime_header_done(&h);
}

static void eight_bit_body(void **state)
{
	struct mime_header h;

	(void)state;
	scan(&h, slice_str("A: b\r\n\r\nText\xe4\r\n"), 3);
	assert_false(h.eightbit);
	assert_true(h.body_eightbit);
	mime_header_done(&h);
	scan(&h, slice_str("\xe4 no header\r\n"), 3);
	assert_false(h.eightbit);
	assert_true(h.body_eightbit);
	mime_header_done(&h);
}

/* A peer's long value takes no more memory than was said. */
static void long_value(void **state)
{
	struct mime_header h;
	struct buf text;

	(void)state;
	buf_init(&text, 200000);
	buf_str(&text, "Message-ID: ");
	for (int i = 0; i < 100000; i++)
		buf_byte(&text, 'x');
	buf_str(&text, "\r\n\r\n");
	scan(&h, buf_slice(&text), 1000);
	assert_true(mime_header_message_id(&h).n >= MIME_LINE_MAX - 1);
	assert_true(mime_header_message_id(&h).n <= MIME_LINE_MAX);
	assert_true(buf_ok(&h.message_id));
	assert_int_equal(h.end, MIME_HEADER_EMPTY);
	mime_header_done(&h);
	buf_done(&text);
}

/* RFC 8689 5: one field, one value; everything else is no wish. */
static void relaxes(void **state)
{
	static const struct {
		const char *text;
		bool yes;
	} rows[] = {
		{ "From: a@b\r\nTLS-Required: No\r\n\r\n", true },
		{ "tls-required:no \r\n\r\n", true },
		{ "TLS-Required:\r\n No\r\nFrom: a\r\n\r\n", true },
		{ "TLS-Required: No\r\nTLS-Required: No\r\n\r\n", false },
		{ "TLS-Required: Yes\r\n\r\n", false },
		{ "TLS-Required: Not at all, my friend\r\n\r\n", false },
		{ "TLS-Required: \r\n\r\n", false },
		{ "X-TLS-Required: No\r\n\r\n", false },
		{ "From: a@b\r\n\r\nTLS-Required: No\r\n", false },
	};

	(void)state;
	for (size_t i = 0; i < 2 * sizeof(rows) / sizeof(rows[0]); i++) {
		struct mime_header h;

		scan(&h, slice_str(rows[i / 2].text), i % 2 ? 1 : 1000);
		if (mime_header_relaxes_tls(&h) != rows[i / 2].yes)
			fail_msg("%s", rows[i / 2].text);
		mime_header_done(&h);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shapes),	  cmocka_unit_test(counts),	cmocka_unit_test(relaxes),
		cmocka_unit_test(eight_bit_body), cmocka_unit_test(long_value),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
