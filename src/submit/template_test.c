#include "submit/template.h"
#include "submit/test_table.h"

#define HOSTILE "a\" <evil@x.test>, \"b\\"

static const struct slice columns[] = { SLICE_INIT("Name"),    SLICE_INIT("email"),	SLICE_INIT("empty"),
					SLICE_INIT("hostile"), SLICE_INIT("two lines"), SLICE_INIT("url"),
					SLICE_INIT("html") };
static const struct slice cells[] = {
	SLICE_INIT("J\xc3\xb6rg"), SLICE_INIT(" j@x.test "),	       SLICE_INIT(" "),
	SLICE_INIT(HOSTILE),	   SLICE_INIT("one\r\nBcc: e@x.test"), SLICE_INIT("https://x.test/?a=b&c=d"),
	SLICE_INIT("<b a='x'>&\"")
};
#define COLUMNS (sizeof(columns) / sizeof(columns[0]))

/* Made of it; or "fault N at line:column NAME near NAME". */
static const struct row {
	const char *name;
	enum template_kind kind;
	const char *in, *out;
} rows[] = {
	{ "nothing", TEMPLATE_TEXT, "", "" },
	{ "no place", TEMPLATE_TEXT, "a { b } }} {x}", "a { b } }} {x}" },
	{ "one", TEMPLATE_TEXT, "Dear {{name}},\n", "Dear J\xc3\xb6rg,\n" },
	{ "side by side", TEMPLATE_TEXT, "{{NAME}}{{ name }}", "J\xc3\xb6rgJ\xc3\xb6rg" },
	{ "as it is", TEMPLATE_TEXT, "{{two lines}}|{{html}}", "one\r\nBcc: e@x.test|<b a='x'>&\"" },
	{ "braces that are meant", TEMPLATE_TEXT, "{{{{name}} {{{{ {{name}}", "{{name}} {{ J\xc3\xb6rg" },
	{ "a brace before", TEMPLATE_TEXT, "{ {{name}}}", "{ J\xc3\xb6rg}" },
	{ "for an empty cell", TEMPLATE_TEXT, "{{empty|friend}} {{name|friend}}{{empty|}}",
	  "friend J\xc3\xb6rg" },
	{ "a bar in the words", TEMPLATE_TEXT, "{{empty|a|b:url}}", "a|b:url" },
	{ "part of a URL", TEMPLATE_TEXT, "https://x.test/{{hostile:url}}",
	  "https://x.test/a%22%20%3Cevil%40x.test%3E%2C%20%22b%5C" },
	{ "HTML", TEMPLATE_HTML, "<p>{{html}}</p><a href=\"{{url}}\">{{html:url}}",
	  "<p>&lt;b a=&#39;x&#39;&gt;&amp;&quot;</p><a href=\"https://x.test/?a=b&amp;c=d\">"
	  "%3Cb%20a%3D%27x%27%3E%26%22" },
	{ "HTML of words for an empty cell", TEMPLATE_HTML, "{{empty|<&>}}", "&lt;&amp;&gt;" },
	{ "a subject", TEMPLATE_FIELD, " For {{name}}: {{html}}", " For J\xc3\xb6rg: <b a='x'>&\"" },
	{ "a subject with a line end", TEMPLATE_FIELD, "x {{two lines}}", "fault 7 at 3:9 two lines" },
	{ "a name and its address", TEMPLATE_ADDRESSES, "{{name}} <{{email}}>",
	  "\"J\xc3\xb6rg\" <j@x.test>" },
	{ "an address", TEMPLATE_ADDRESSES, " {{email}}, Bob <b@x.test>", " j@x.test, Bob <b@x.test>" },
	{ "two names", TEMPLATE_ADDRESSES, "Dr. {{name}} {{name}} <{{email}}>",
	  "Dr. \"J\xc3\xb6rg\" \"J\xc3\xb6rg\" <j@x.test>" },
	{ "a hostile name", TEMPLATE_ADDRESSES, "{{hostile}} <a@x.test>",
	  "\"a\\\" <evil@x.test>, \\\"b\\\\\" <a@x.test>" },
	{ "a hostile name in quotation marks", TEMPLATE_ADDRESSES, "\"{{hostile}}, Dr.\" <a@x.test>",
	  "\"a\\\" <evil@x.test>, \\\"b\\\\, Dr.\" <a@x.test>" },
	{ "a hostile address", TEMPLATE_ADDRESSES, "{{hostile}}", "fault 9 at 3:7 hostile" },
	{ "a hostile address in brackets", TEMPLATE_ADDRESSES, "x <{{hostile}}>", "fault 9 at 3:10 hostile" },
	{ "an address literal", TEMPLATE_ADDRESSES, "<{{empty|e@[192.0.2.1]}}>, x@[192.0.2.1]",
	  "<e@[192.0.2.1]>, x@[192.0.2.1]" },
	{ "half an address literal", TEMPLATE_ADDRESSES, "<{{empty|e@[}}>, <x@[192.0.2.1]>",
	  "fault 9 at 3:8 empty" },
	{ "the other half", TEMPLATE_ADDRESSES, "<x@[{{empty|]>}}", "fault 9 at 3:11 empty" },
	{ "an address of two parts", TEMPLATE_ADDRESSES, "{{name}}@x.test", "J\xc3\xb6rg@x.test" },
	{ "no name", TEMPLATE_ADDRESSES, "{{empty|}} <{{email}}>", " <j@x.test>" },
	{ "a name with a line end", TEMPLATE_ADDRESSES, "{{two lines}} <a@x.test>",
	  "fault 7 at 3:7 two lines" },
	{ "in a comment", TEMPLATE_ADDRESSES, "a@x.test ({{name}})", "fault 5 at 3:17 name" },
	{ "in a comment behind another", TEMPLATE_ADDRESSES, "a@x.test ((b) {{hostile}} )",
	  "fault 5 at 3:21 hostile" },
	{ "in a comment that goes on", TEMPLATE_ADDRESSES, "a@x.test (\\) {{hostile}} )",
	  "fault 5 at 3:20 hostile" },
	{ "behind a backslash", TEMPLATE_ADDRESSES, "\"\\{{hostile}}\" <a@x.test>",
	  "fault 5 at 3:9 hostile" },
	{ "behind a quotation mark that is none", TEMPLATE_ADDRESSES, "a@[\"], {{hostile}} <b@x.test>",
	  "a@[\"], \"a\\\" <evil@x.test>, \\\"b\\\\\" <b@x.test>" },
	{ "a name before a comment", TEMPLATE_ADDRESSES, "{{name}} (,\") <{{email}}>",
	  "\"J\xc3\xb6rg\" (,\") <j@x.test>" },
	{ "half a name", TEMPLATE_ADDRESSES, "Mc{{name}} <a@x.test>", "fault 5 at 3:9 name" },
	{ "the second address", TEMPLATE_ADDRESSES, "A <a@x.test>, {{email}}", "A <a@x.test>, j@x.test" },
	{ "in a group", TEMPLATE_ADDRESSES, "all: {{email}}, {{name}} <{{email}}>;",
	  "all: j@x.test, \"J\xc3\xb6rg\" <j@x.test>;" },
	{ "URL for a name", TEMPLATE_ADDRESSES, "{{name:url}} <a@x.test>", "fault 4 at 3:7 name" },
	{ "unsubscribing", TEMPLATE_URLS, "<https://x.test/u?{{email}}>, <{{url}}>",
	  "<https://x.test/u?%20j%40x.test%20>, <https://x.test/?a=b&c=d>" },
	{ "a hostile whole URL", TEMPLATE_URLS, "<{{hostile}}>", "fault 10 at 3:8 hostile" },
	{ "a file", TEMPLATE_PATH, "in/{{name}}.pdf", "in/J\xc3\xb6rg.pdf" },
	{ "a file elsewhere", TEMPLATE_PATH, "in/{{url}}.pdf", "fault 11 at 3:10 url" },
	{ "an empty cell", TEMPLATE_TEXT, "x{{empty}}", "fault 6 at 3:8 empty" },
	{ "not closed", TEMPLATE_TEXT, "a\n {{name\n}}", "fault 1 at 4:2 " },
	{ "not closed at all", TEMPLATE_TEXT, "{{", "fault 1 at 3:7 " },
	{ "nothing in it", TEMPLATE_TEXT, "{{ }}", "fault 2 at 3:7 " },
	{ "no column", TEMPLATE_TEXT, "\xc3\xb6{{nmae}}", "fault 3 at 3:8 nmae near Name" },
	{ "no column, and none near", TEMPLATE_TEXT, "{{telephone}}", "fault 3 at 3:7 telephone" },
	{ "no column, one letter", TEMPLATE_TEXT, "{{Emal}}", "fault 3 at 3:7 Emal near email" },
	{ "no such filter", TEMPLATE_TEXT, "{{name:upper}}", "fault 4 at 3:7 name:upper" },
	{ "the third", TEMPLATE_TEXT, "{{name}}\n{{name}}{{nme}}", "fault 3 at 4:9 nme near Name" },
};

static void put_problem(struct buf *to, const struct template_problem *p)
{
	buf_reset(to);
	buf_fmt(to, "fault %d at %u:%u %.*s", (int)p->fault, p->line, p->column, SLICE_ARG(p->name));
	if (p->near.n > 0)
		buf_fmt(to, " near %.*s", SLICE_ARG(p->near));
}

static void put_made(const struct row *r, struct buf *to)
{
	struct template_problem p = { 0 };
	struct template *t = NULL;

	if (template_new(&t, r->kind, slice_str(r->in), columns, COLUMNS, 3, 7, &p) != TEMPLATE_FINE ||
	    template_put(t, cells, to, &p) != TEMPLATE_FINE)
		put_problem(to, &p);
	template_free(t);
}

static void made(void **state)
{
	(void)state;
	TEST_TABLE(rows, put_made);
}

static void no_room(void **state)
{
	struct template_problem p;
	struct template *t;
	struct buf to;

	(void)state;
	assert_int_equal(template_new(&t, TEMPLATE_TEXT, SLICE_LIT("{{name}}{{name}}"), columns, COLUMNS, 1,
				      1, NULL),
			 TEMPLATE_FINE);
	assert_int_equal(template_places(t), 2);
	buf_init(&to, 7);
	assert_int_equal(template_put(t, cells, &to, &p), TEMPLATE_NO_MEMORY);
	assert_int_equal(p.column, 9);
	template_free(t);
	buf_done(&to);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(made), cmocka_unit_test(no_room) };

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
