#include "submit/merge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>

static const struct slice columns[] = { SLICE_INIT("name"), SLICE_INIT("email"), SLICE_INIT("empty"),
					SLICE_INIT("more"), SLICE_INIT("link") };
static const struct slice cells[] = { SLICE_INIT("J\xc3\xb6rg"), SLICE_INIT("J@x.test"), SLICE_INIT(""),
				      SLICE_INIT("<b@x.test>, c@x.test"),
				      SLICE_INIT("https://x.test/?a=1&b=2") };
#define COLUMNS (sizeof(columns) / sizeof(columns[0]))

/* What is made of a template: its parts, those that are there; or what is said of it. */
static const struct {
	const char *name, *template, *html, *out; /* html: NULL, or "" for none */
} rows[] = {
	{ "plain", "From: a@x.test\nTo: {{name}} <{{email}}>\nSubject: Hi {{name}}\n\nHello\n", NULL,
	  "from:a@x.test to:\"J\xc3\xb6rg\" <J@x.test> subject:Hi J\xc3\xb6rg text:Hello\n key:j@x.test " },
	{ "CRLF, a byte order mark, folds",
	  "\xef\xbb\xbfTo: A <{{email}}>,\r\n b@x.test\r\nX-A:\r\n\t{{name}}\r\n\r\nHello\r\n", NULL,
	  "from:me@x.test to:A <J@x.test>, b@x.test X-A:J\xc3\xb6rg text:Hello\r\n key:j@x.test b@x.test " },
	{ "no body", "To: {{email}}", NULL, "from:me@x.test to:J@x.test text: key:j@x.test " },
	{ "HTML", "To: {{email}}\nContent-Type: text/html; charset=\"UTF-8\"\n\n<p>{{more}}", NULL,
	  "from:me@x.test to:J@x.test html:<p>&lt;b@x.test&gt;, c@x.test key:j@x.test " },
	{ "both", "To: {{email}}\n\n{{more}}", "<p>{{name}}",
	  "from:me@x.test to:J@x.test text:<b@x.test>, c@x.test html:<p>J\xc3\xb6rg key:j@x.test " },
	{ "HTML beside fields", "To: {{email}}\n", "<p>",
	  "from:me@x.test to:J@x.test html:<p> key:j@x.test " },
	{ "empty fields are left out",
	  "To: {{email}}\nCc: {{empty|}}\nX-A: {{empty|}}\nSubject: {{empty|}}\n\n", NULL,
	  "from:me@x.test to:J@x.test subject: text: key:j@x.test " },
	{ "the same To for all", "To: list@x.test\nBcc: {{email}}\n\n", NULL,
	  "from:me@x.test to:list@x.test bcc:J@x.test text: key:j@x.test " },
	{ "unsubscribing",
	  "To: {{email}}\nList-Unsubscribe: <{{link}}>,\n <mailto:u@x.test?subject={{more}}>\n"
	  "List-Unsubscribe-Post: List-Unsubscribe=One-Click\n\n",
	  NULL,
	  "from:me@x.test to:J@x.test text: url:https://x.test/?a=1&b=2 "
	  "url:mailto:u@x.test?subject=%3Cb%40x.test%3E%2C%20c%40x.test one-click key:j@x.test " },
	{ "files", "To: {{email}}\nAttach: in/{{name}}.pdf\nAttach: /b\nAttach: {{empty|}}\n\n", NULL,
	  "from:me@x.test to:J@x.test text: file:dir/in/J\xc3\xb6rg.pdf file:/b key:j@x.test " },
	{ "MIME-Version is not minded", "To: {{email}}\nMIME-Version: 1.0\n\n", NULL,
	  "from:me@x.test to:J@x.test text: key:j@x.test " },
	/* what is wrong */
	{ "an address that is two", "To: {{more}}\n\n", NULL,
	  "the template, line 1, column 5: 'more': the cell is no address, or more than one" },
	{ "an address in another field", "To: {{email}}\nErrors-To: {{more}}\n\n", NULL,
	  "the template, line 2, column 12: 'more': the cell is no address, or more than one" },
	{ "an address that is none", "To: {{name}}\n\n", NULL,
	  "To: 'J\xc3\xb6rg' is an address without a domain" },
	{ "no recipient", "To: {{empty|}}\n\n", NULL, "recipient: missing" },
	{ "a place in the body", "To: {{email}}\n\n\xc3\xb6 {{empty}}", NULL,
	  "the template, line 3, column 3: 'empty': the cell is empty: {{name|words}} says what stands there "
	  "then, {{name|}} nothing" },
	{ "a place in the HTML", "To: {{email}}\n\n", "\n\n {{nome}}",
	  "the HTML part, line 3, column 2: 'nome': there is no such column; is it 'name'?" },
	{ "HTML twice", "To: {{email}}\nContent-Type: text/html\n\nx", "y",
	  "the template is HTML itself (Content-Type), and there is another HTML part" },
	{ "another charset", "To: {{email}}\nContent-Type: text/plain; charset=latin1\n\nx", NULL,
	  "the template, line 2: 'Content-Type' is text/plain or text/html here, and both in UTF-8; what "
	  "else goes "
	  "with the message, stands in Attach" },
	{ "no list", "To: {{email}}\nList-Unsubscribe: {{link}}\n\nx", NULL,
	  "List-Unsubscribe: it is a list of <https:...> and <mailto:...>" },
	{ "no URL", "To: {{email}}\nList-Unsubscribe: <{{email}}>\n\nx", NULL,
	  "List-Unsubscribe: 'J@x.test' is neither <https:...> nor <mailto:...>" },
	{ "one click to nobody",
	  "To: {{email}}\nList-Unsubscribe: <https://x.test/>, <mailto:{{link}}>\n"
	  "List-Unsubscribe-Post: List-Unsubscribe=One-Click\n\nx",
	  NULL,
	  "List-Unsubscribe-Post wants a List-Unsubscribe: <https://...{{column}}...> beside it: the address "
	  "must "
	  "say by itself who unsubscribes (RFC 8058)" },
	{ "two clicks", "To: {{email}}\nList-Unsubscribe-Post: Two\n\nx", NULL,
	  "the template, line 2: 'List-Unsubscribe-Post' can say List-Unsubscribe=One-Click only (RFC "
	  "8058)" },
	{ "a field of ours", "To: {{email}}\nmessage-id: <1@x>\n\nx", NULL,
	  "the template, line 2: 'message-id' is made for each message, and is none to give" },
	{ "twice", "To: {{email}}\nX: 1\nSubject: a\n b\nsubject: c\n\nx", NULL,
	  "the template, line 5: 'subject' is there already" },
};

static void put(struct buf *to, const char *what, struct slice value, bool there)
{
	if (there)
		buf_fmt(to, "%s:%.*s ", what, SLICE_ARG(value));
}

static void put_parts(struct merge *m, const struct draft_parts *p, struct buf *to)
{
	const struct mime_message *x = &p->message;

	put(to, "from", x->from, true);
	put(to, "to", x->to, x->to.n > 0);
	put(to, "cc", x->cc, x->cc.n > 0);
	put(to, "bcc", p->bcc, p->bcc.n > 0);
	put(to, "subject", x->subject, x->has_subject);
	for (size_t i = 0; i < x->headers; i++)
		buf_fmt(to, "%.*s:%.*s ", SLICE_ARG(x->header[i].name), SLICE_ARG(x->header[i].value));
	put(to, "text", x->text, x->has_text);
	put(to, "html", x->html, x->has_html);
	for (size_t i = 0; i < x->unsubscribes; i++)
		put(to, "url", x->unsubscribe[i], true);
	if (x->one_click)
		buf_str(to, "one-click ");
	for (size_t i = 0; i < p->files; i++)
		put(to, "file", slice_str(p->file[i].path), true);
	buf_str(to, "key:");
	assert_int_equal(merge_key(m, p, to), 0);
}

static int make(size_t i, struct buf *to)
{
	struct merge_setup setup = { .text = slice_str(rows[i].template),
				     .has_html = rows[i].html != NULL,
				     .html = slice_str(rows[i].html),
				     .columns = columns,
				     .n = COLUMNS,
				     .from = "me@x.test",
				     .folder = "dir" };
	struct submit_envelope e;
	struct draft_parts parts;
	struct merge *m;
	int r = merge_new(&m, &setup, to);

	if (r < 0)
		return r;
	assert_int_equal(submit_envelope_init(&e), 0);
	for (int again = 0; again < 2 && r == 0; again++) {
		submit_envelope_done(&e);
		assert_int_equal(submit_envelope_init(&e), 0);
		r = merge_make(m, cells, &parts, to);
		parts.message.id = SLICE_LIT("1");
		parts.message.hostname = SLICE_LIT("x.test");
		if (r == 0)
			r = merge_check(m, &parts, &e, to);
	}
	if (r == 0)
		put_parts(m, &parts, to);
	submit_envelope_done(&e);
	merge_free(m);
	return r;
}

static void made(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf got;
		int r;

		buf_init(&got, 8192);
		r = make(i, &got);
		if ((r != 0 && r != -EBADMSG) || !slice_eq(buf_slice(&got), slice_str(rows[i].out)))
			fail_msg("%s: %d, '%.*s'", rows[i].name, r, SLICE_ARG(buf_slice(&got)));
		buf_done(&got);
	}
}

static void what_it_knows(void **state)
{
	static const struct {
		const char *template;
		bool one_click, could, one_sender;
	} facts[] = {
		{ "To: {{email}}\n\n", false, false, true },
		{ "From: {{email}}\nTo: a@x.test\n\n", false, false, false },
		{ "Sender: {{email}}\nTo: a@x.test\n\n", false, false, false },
		{ "To: {{email}}\nList-Unsubscribe: <https://x.test/{{name}}>\n\n", false, true, true },
		{ "To: {{email}}\nList-Unsubscribe: <mailto:{{name}}>\n\n", false, false, true },
		{ "To: {{email}}\nList-Unsubscribe-Post: list-unsubscribe=one-click\nList-Unsubscribe: "
		  "<{{link}}>\n\n",
		  true, false, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++) {
		struct merge_setup setup = { .text = slice_str(facts[i].template),
					     .columns = columns,
					     .n = COLUMNS,
					     .from = "me@x.test",
					     .folder = "" };
		struct merge *m;
		struct buf words;

		buf_init(&words, 1024);
		assert_int_equal(merge_new(&m, &setup, &words), 0);
		assert_int_equal(merge_has_one_click(m), facts[i].one_click);
		assert_int_equal(merge_could_one_click(m), facts[i].could);
		assert_int_equal(merge_has_one_sender(m), facts[i].one_sender);
		merge_free(m);
		buf_done(&words);
	}
}

static void too_long(void **state)
{
	size_t n = 1U << 20;
	char *cell = malloc(n);
	struct slice long_[COLUMNS];
	struct merge_setup setup = { .text = SLICE_LIT("To: {{email}}\nSubject: {{name}}\n\n"),
				     .columns = columns,
				     .n = COLUMNS,
				     .from = "me@x.test",
				     .folder = "" };
	struct draft_parts parts;
	struct merge *m;
	struct buf words;

	(void)state;
	memset(cell, 'x', n);
	memcpy(long_, cells, sizeof(cells));
	long_[0] = slice_of(cell, n);
	buf_init(&words, 1024);
	assert_int_equal(merge_new(&m, &setup, &words), 0);
	assert_int_equal(merge_make(m, long_, &parts, &words), -EBADMSG);
	assert_true(slice_eq(buf_slice(&words), SLICE_LIT("'name': what it makes is too long")));
	merge_free(m);
	buf_done(&words);
	free(cell);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(made), cmocka_unit_test(what_it_knows),
					    cmocka_unit_test(too_long) };

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
