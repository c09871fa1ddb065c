/* Senders that become the account's own, and local recipients that become somebody's. */
#include "submit/letter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define OTHERS "Date: x\nMessage-ID: <m@b.example>\n"
#define OWN    "me@mail.example"

/* The header that comes in besides OTHERS, what comes of it, and the envelope's sender.  given: -f. */
static const struct {
	const char *name;
	enum letter_rewrite rewrite;
	const char *given, *in, *out, *sender;
} rows[] = {
	{ "nothing is rewritten", LETTER_AS_IT_IS, "root", "From: root (Cron Daemon)\n",
	  "From: root@vm.example (Cron Daemon)\n", "root@vm.example" },
	{ "Debian's cron", LETTER_LOCAL, NULL, "From: root (Cron Daemon)\n",
	  "From: \"Cron Daemon (root at vm.example)\" <" OWN ">\n"
	  "X-Original-From: root@vm.example (Cron Daemon)\n",
	  OWN },
	{ "cronie", LETTER_LOCAL, "root", "From: \"(Cron Daemon)\" <root>\n",
	  "From: \"(Cron Daemon) (root at vm.example)\" <" OWN ">\n"
	  "X-Original-From: \"(Cron Daemon)\" <root@vm.example>\n",
	  OWN },
	{ "without a name", LETTER_LOCAL, "root@localhost", "From: root\n",
	  "From: \"root at vm.example\" <" OWN ">\nX-Original-From: root@vm.example\n", OWN },
	{ "its name is its address", LETTER_LOCAL, NULL, "From: root <root@web1.internal>\n",
	  "From: \"root at web1.internal\" <" OWN ">\nX-Original-From: root <root@web1.internal>\n", OWN },
	{ "the other name of the machine", LETTER_LOCAL, "www-data@HOST.example",
	  "From: www-data@Host.Example\n",
	  "From: \"www-data at Host.Example\" <" OWN ">\nX-Original-From: www-data@Host.Example\n", OWN },
	{ "UTF-8", LETTER_LOCAL, NULL, "From: J\xc3\xb6rg <j@vm>\n",
	  "From: =?utf-8?q?J=C3=B6rg_=28j_at_vm=29?= <" OWN ">\nX-Original-From: J\xc3\xb6rg <j@vm>\n", OWN },
	{ "an old character set", LETTER_LOCAL, NULL, "From: J\xf6rg <j@vm>\n",
	  "From: j at vm <" OWN ">\nX-Original-From: J\xf6rg <j@vm>\n", OWN },
	{ "encoded already", LETTER_LOCAL, NULL, "From: =?utf-8?q?J=C3=B6rg?=\n =?utf-8?q?_R?= <j@vm>\n",
	  "From: =?utf-8?q?J=C3=B6rg?=\n =?utf-8?q?_R?=\n \"j at vm\"\n <" OWN ">\n"
	  "X-Original-From: =?utf-8?q?J=C3=B6rg?=\n =?utf-8?q?_R?= <j@vm>\n",
	  OWN },
	{ "encoded, with a fold before the address", LETTER_LOCAL, NULL,
	  "From:\n =?utf-8?q?J=C3=B6rg?=\n \t\n <j@vm>\n",
	  "From: =?utf-8?q?J=C3=B6rg?=\n \"j at vm\"\n <" OWN ">\n"
	  "X-Original-From:\n =?utf-8?q?J=C3=B6rg?=\n \t\n <j@vm>\n",
	  OWN },
	{ "encoded, in quotes", LETTER_LOCAL, NULL, "From: \"=?utf-8?q?J=C3=B6rg?=\" <j@vm>\n",
	  "From: \"=?utf-8?q?J=C3=B6rg?=\"\n \"j at vm\"\n <" OWN ">\n"
	  "X-Original-From: \"=?utf-8?q?J=C3=B6rg?=\" <j@vm>\n",
	  OWN },
	{ "encoded, in half of the quotes", LETTER_LOCAL, NULL, "From: \"=?utf-8?q?J?= <\" <j@vm>\n",
	  "From: j at vm <" OWN ">\nX-Original-From: \"=?utf-8?q?J?= <\" <j@vm>\n", OWN },
	{ "of others", LETTER_LOCAL, "ann@other.example", "From: Ann <ann@other.example>\n",
	  "From: Ann <ann@other.example>\n", "ann@other.example" },
	{ "of the own domain", LETTER_LOCAL, "root@mail.example", "From: root@mail.example\n",
	  "From: root@mail.example\n", "root@mail.example" },
	{ "one of two is of others", LETTER_LOCAL, NULL, "From: root, ann@other.example\n",
	  "From: root, ann@other.example\n", OWN },
	{ "a comma too much", LETTER_LOCAL, NULL, "From: Foo, Inc. <foo@other.example>\n",
	  "From: Foo, Inc. <foo@other.example>\n", OWN },
	{ "unreadable", LETTER_LOCAL, NULL, "From: @@\n", "From: @@\n", OWN },
	{ "the null sender", LETTER_LOCAL, "<>", "From: root@vm.example\n",
	  "From: \"root at vm.example\" <" OWN ">\nX-Original-From: root@vm.example\n", "" },
	{ "Sender", LETTER_LOCAL, NULL, "Sender: www-data@vm\nFrom: ann@other.example\n",
	  "X-Original-Sender: www-data@vm\nFrom: ann@other.example\n", OWN },
	{ "Sender of others", LETTER_LOCAL, NULL, "Sender: ann@other.example\nFrom: root\n",
	  "Sender: ann@other.example\nFrom: \"root at vm.example\" <" OWN
	  ">\nX-Original-From: root@vm.example\n",
	  OWN },
	{ "From twice", LETTER_LOCAL, NULL, "From: root\nFrom: ann@other.example\n",
	  "From: \"root at vm.example\" <" OWN ">\nX-Original-From: root@vm.example\n"
	  "X-Original-From: ann@other.example\n",
	  OWN },
	{ "what is resent", LETTER_LOCAL, NULL,
	  "Resent-From: root@vm\nResent-Date: x\nResent-Message-ID: <1@2>\n"
	  "Resent-To: bob@example.org\nFrom: ann@other.example\n",
	  "Resent-From: root@vm\nResent-Date: x\nResent-Message-ID: <1@2>\nResent-To: bob@example.org\n"
	  "From: ann@other.example\n",
	  OWN },
	/* all */
	{ "all: of others", LETTER_ALL, "ann@other.example", "From: \"Roe, Ann\" <ann@other.example>\n",
	  "From: \"Roe, Ann (ann at other.example)\" <" OWN ">\nReply-To: \"Roe, Ann\" <ann@other.example>\n"
	  "X-Original-From: \"Roe, Ann\" <ann@other.example>\n",
	  OWN },
	{ "all: with a Reply-To", LETTER_ALL, NULL, "From: ann@other.example\nReply-To: bob@other.example\n",
	  "From: \"ann at other.example\" <" OWN ">\nX-Original-From: ann@other.example\n"
	  "Reply-To: bob@other.example\n",
	  OWN },
	{ "all: nobody can answer there", LETTER_ALL, NULL, "From: root\n",
	  "From: \"root at vm.example\" <" OWN ">\nX-Original-From: root@vm.example\n", OWN },
	{ "all: the own one", LETTER_ALL, OWN, "From: Me <ME@mail.example>\n", "From: Me <ME@mail.example>\n",
	  OWN },
	{ "all: the login", LETTER_ALL, "login@mail.example", "From: login@mail.example\n",
	  "From: login@mail.example\n", "login@mail.example" },
	{ "all: the own domain", LETTER_ALL, "root@mail.example", "From: root@mail.example\n",
	  "From: \"root at mail.example\" <" OWN ">\nReply-To: root@mail.example\n"
	  "X-Original-From: root@mail.example\n",
	  OWN },
	{ "all: the null sender", LETTER_ALL, "", "From: " OWN "\n", "From: " OWN "\n", OWN },
	{ "all: unreadable", LETTER_ALL, NULL, "From: @@\n", "From: " OWN "\nX-Original-From: @@\n", OWN },
	{ "all: several", LETTER_ALL, NULL,
	  "From: Ann <ann@o.example>, bob@o.example\nSender: bob@o.example\n",
	  "From: \"ann at o.example\" <" OWN ">\nReply-To: Ann <ann@o.example>, bob@o.example\n"
	  "X-Original-From: Ann <ann@o.example>, bob@o.example\nX-Original-Sender: bob@o.example\n",
	  OWN },
};

/* LF for CRLF, and without what every row has. */
static void tidy(struct slice s, struct buf *to)
{
	struct slice others = SLICE_LIT(OTHERS "\n");

	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] != '\r')
			buf_byte(to, s.p[i]);
	s = buf_slice(to);
	assert_true(s.n >= others.n && slice_eq(slice_tail(s, s.n - others.n), others));
	to->n -= others.n;
}

static struct letter_setup setup_of(size_t i)
{
	return (struct letter_setup){ .rewrite = rows[i].rewrite,
				      .own = SLICE_LIT(OWN),
				      .login = SLICE_LIT("login@mail.example"),
				      .machine = SLICE_LIT("host.example"),
				      .has_sender = rows[i].given,
				      .sender = slice_str(rows[i].given),
				      .fallback = SLICE_LIT(OWN),
				      .domain = SLICE_LIT("vm.example"),
				      .hostname = SLICE_LIT("vm.example"),
				      .id = SLICE_LIT("1"),
				      .time_ms = 1795304383000 };
}

static void feed(const struct letter_setup *s, const char *header, struct submit_envelope *e, struct buf *out)
{
	struct mime_problem p;
	struct letter *l;

	assert_int_equal(submit_envelope_init(e), 0);
	assert_int_equal(submit_envelope_add(e, SLICE_LIT("bob@example.org"), s->domain, SLICE_LIT(""), &p),
			 MIME_FINE);
	l = letter_new(s, e);
	assert_non_null(l);
	buf_init(out, 100000);
	assert_int_equal(letter_feed(l, slice_str(header), out, &p), MIME_FINE);
	assert_int_equal(letter_feed(l, SLICE_LIT(OTHERS "\n"), out, &p), MIME_FINE);
	assert_int_equal(letter_end(l, out, &p), MIME_FINE);
	letter_free(l);
}

static void senders(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct letter_setup s = setup_of(i);
		struct submit_envelope e;
		struct buf out, tidied;

		feed(&s, rows[i].in, &e, &out);
		buf_init(&tidied, 100000);
		tidy(buf_slice(&out), &tidied);
		if (!slice_eq(buf_slice(&tidied), slice_str(rows[i].out)))
			fail_msg("%s: came out as\n%.*s\nnot as\n%s", rows[i].name,
				 SLICE_ARG(buf_slice(&tidied)), rows[i].out);
		if (strcmp(e.sender, rows[i].sender) != 0)
			fail_msg("%s: sender \"%s\", not \"%s\"", rows[i].name, e.sender, rows[i].sender);
		submit_envelope_done(&e);
		buf_done(&out);
		buf_done(&tidied);
	}
}

/* What the DNS of all has is not of this machine, unless it says so itself. */
static void which_are_local(void **state)
{
	static const struct {
		const char *domain;
		bool local;
	} domains[] = {
		{ "vm.example", true },
		{ "VM.example", true },
		{ "host.example", true },
		{ "localhost", true },
		{ "vm", true },
		{ "localhost.localdomain", true },
		{ "a.internal", true },
		{ "a.LAN", true },
		{ "a.b.home.arpa", true },
		{ "[127.0.0.1]", true },
		{ "printer.local", true },
		{ "mail.example", false },
		{ "x.vm.example", false },
		{ "internal.example", false },
		{ "alan.example", false },
		{ "example", true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(domains) / sizeof(domains[0]); i++) {
		struct letter_setup s = setup_of(1);
		struct submit_envelope e;
		char given[100];
		struct buf out;

		snprintf(given, sizeof(given), "root@%s", domains[i].domain);
		s.has_sender = true;
		s.sender = slice_str(given);
		feed(&s, "From: " OWN "\n", &e, &out);
		if ((strcmp(e.sender, OWN) == 0) != domains[i].local)
			fail_msg("%s: %s", domains[i].domain, e.sender);
		submit_envelope_done(&e);
		buf_done(&out);
	}
}

/* Local recipients go to one address, once; others stay, and each keeps the reports that were wanted. */
static void recipients(void **state)
{
	struct letter_setup s = setup_of(0);
	struct submit_envelope e;
	struct mime_problem p;
	struct letter *l;
	struct buf out;

	(void)state;
	s.local_to = SLICE_LIT("ann@vm"); /* is no reason to go round in circles */
	assert_int_equal(submit_envelope_init(&e), 0);
	e.notify = 4;
	assert_int_equal(submit_envelope_add(&e, SLICE_LIT("root, bob@example.org, www@localhost"), s.domain,
					     SLICE_LIT(""), &p),
			 MIME_FINE);
	e.notify = 1;
	l = letter_new(&s, &e);
	assert_non_null(l);
	buf_init(&out, 10000);
	assert_int_equal(letter_feed(l, SLICE_LIT("To: root\n\n"), &out, &p), MIME_FINE);
	assert_int_equal(letter_end(l, &out, &p), MIME_FINE);
	assert_int_equal(e.recipients, 2);
	assert_string_equal(e.recipient[0]->address, "bob@example.org");
	assert_string_equal(e.recipient[1]->address, "ann@vm");
	assert_int_equal(e.recipient[1]->notify, 4);
	assert_int_equal(e.notify, 1);
	assert_non_null(memmem(out.p, out.n, "To: root@vm.example\r\n", 21)); /* as aliases do it */
	letter_free(l);
	submit_envelope_done(&e);
	buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(senders),
		cmocka_unit_test(which_are_local),
		cmocka_unit_test(recipients),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
