/* The accounts file: what is read from it, and what is wrong with it, by line. */
#include "submit/account.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#define IN(lines) "accounts:\n  a:\n" lines

static struct submit_accounts *parse(const char *text, struct buf *said)
{
	struct conf_finding *findings = NULL;
	struct submit_accounts *all = NULL;
	int r = submit_accounts_parse(slice_str(text), "/home/ann", &all, &findings);

	buf_init(said, 65536);
	conf_findings_show(findings, "send.yaml", said);
	buf_byte(said, '\0');
	conf_findings_free(findings);
	if ((r == 0) != (all != NULL) || (r != 0 && r != -EINVAL) || (r == 0) != (said->n == 1))
		fail_msg("%d\n%s%s", r, text, (const char *)said->p);
	return all;
}

/* Good ones: what the server comes to, and how `send` finds the secret. */
static const struct {
	const char *text;
	const char *host, *user;
	unsigned port;
	bool implicit_tls;
	const char *command; /* the words with | between, "" */
} good[] = {
	{ IN("    url: smtp://ann%40x.org@mail.x.org\n"), "mail.x.org", "ann@x.org", 0, false, "" },
	{ IN("    url: smtps://mail.x.org\n    user: ann@x.org\n"), "mail.x.org", "ann@x.org", 465, true,
	  "" },
	{ IN("    host: mail.x.org\n"), "mail.x.org", "", 0, false, "" },
	{ IN("    host: mail.x.org\n    tls: implicit\n"), "mail.x.org", "", 465, true, "" },
	{ IN("    host: mail.x.org\n    port: 465\n"), "mail.x.org", "", 465, true, "" },
	{ IN("    host: mail.x.org\n    port: 2525\n    tls: starttls\n"), "mail.x.org", "", 2525, false,
	  "" },
	{ IN("    host: mail.x.org\n    port: 2465\n    tls: implicit\n"), "mail.x.org", "", 2465, true, "" },
	{ IN("    host: 192.0.2.1\n"), "192.0.2.1", "", 0, false, "" },
	{ IN("    host: \"[2001:db8::1]\"\n"), "2001:db8::1", "", 0, false, "" },
	{ IN("    host: 2001:db8::1\n"), "2001:db8::1", "", 0, false, "" },
	{ IN("    provider: gmail\n    user: ann@gmail.com\n"), "smtp.gmail.com", "ann@gmail.com", 0, false,
	  "" },
	{ IN("    url: unix:/run/postern/submit.sock\n"), "", "", 0, false, "" },
	{ IN("    host: h.x.org\n    user: u\n    password_command: pass show  mail/work\n"), "h.x.org", "u",
	  0, false, "pass|show|mail/work" },
	{ IN("    host: h.x.org\n    user: u\n    password_command: [/bin/x, \"a b\", \"$HOME\"]\n"),
	  "h.x.org", "u", 0, false, "/bin/x|a b|$HOME" },
	{ IN("    host: h.x.org\n    user: u\n    password_command: gpg -d ~/.pw.gpg\n"), "h.x.org", "u", 0,
	  false, "gpg|-d|/home/ann/.pw.gpg" },
	{ IN("    host: h.x.org\n    user: u\n    password_command: ~/bin/pw\n"), "h.x.org", "u", 0, false,
	  "/home/ann/bin/pw" },
};

static void words(const struct submit_account *a, struct buf *to)
{
	buf_init(to, 4096);
	for (size_t i = 0; i < a->n_password_command; i++) {
		buf_str(to, i > 0 ? "|" : "");
		buf_str(to, a->password_command[i]);
	}
	if (a->password_command)
		assert_null(a->password_command[a->n_password_command]);
	buf_byte(to, '\0');
}

static void reads(void **state)
{
	struct submit_accounts *all;
	struct buf said, command;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		const struct provider *p;

		all = parse(good[i].text, &said);
		if (!all)
			fail_msg("%s%s", good[i].text, (const char *)said.p);
		assert_int_equal(all->n, 1);
		p = &all->account[0].server;
		words(&all->account[0], &command);
		if (strcmp(p->host, good[i].host) != 0 || strcmp(p->user, good[i].user) != 0 ||
		    p->port != good[i].port || p->implicit_tls != good[i].implicit_tls ||
		    strcmp((const char *)command.p, good[i].command) != 0)
			fail_msg("%s: %s at %s:%u, %d, %s", good[i].text, p->user, p->host, p->port,
				 p->implicit_tls, (const char *)command.p);
		assert_ptr_equal(submit_account_standard(all), &all->account[0]); /* the only one */
		submit_accounts_free(all);
		buf_done(&command);
		buf_done(&said);
	}
}

#define SERVER "    host: mail.x.org\n"
#define LOGIN  SERVER "    user: u\n"

/* Wrong ones: what is said begins so, behind the file's name. */
static const struct {
	const char *text, *said;
} bad[] = {
	{ "accounts: x\n", ":1: error: accounts: a block is expected here" },
	{ "- a\n", ":1: error: 'accounts:' is expected here" },
	{ "acounts:\n  a:\n" SERVER, ":1: error: acounts: no such name; did you mean 'accounts'?" },
	{ "password: x\n", ":1: error: password: no secret stands in this file; password_file" },
	{ "accounts:\n  a: x\n", ":2: error: accounts.a: what belongs to it is expected here" },
	{ "accounts:\n  1a:\n" SERVER, ":2: error: accounts.1a: a name has up to 32 letters" },
	{ "accounts:\n  a:\n" SERVER "  a:\n" SERVER,
	  ":4: error: a: stands here twice; the first is in line 2" },
	{ "default: b\naccounts:\n  a:\n" SERVER, ":1: error: default: there is no account 'b'" },
	{ IN("    usr: x\n" SERVER), ":3: error: accounts.a.usr: no such name; did you mean 'user'?" },
	{ IN("    fingerprint: x\n" SERVER),
	  ":3: error: accounts.a.fingerprint: no such name; did you mean 'fingerprints'?" },
	{ IN("    password: geheim\n" SERVER),
	  ":3: error: accounts.a.password: no secret stands in this file" },
	{ IN("    token: geheim\n" SERVER), ":3: error: accounts.a.token: no secret stands in this file" },
	{ IN(SERVER "    port: 99999\n"),
	  ":4: error: accounts.a.port: '99999' is too large; allowed: a port" },
	{ IN(SERVER "    tls: startls\n"), ":4: error: accounts.a.tls: 'startls' is none of its words; "
					   "allowed: auto, starttls or implicit; did you "
					   "mean 'starttls'?" },
	{ IN(SERVER "    mechanism: kerberos\n"),
	  ":4: error: accounts.a.mechanism: 'kerberos' is none of its words" },
	{ IN(SERVER "    queue: perhaps\n"), ":4: error: accounts.a.queue: 'perhaps' is neither yes nor no" },
	{ IN(SERVER "    from: ann\n"), ":4: error: accounts.a.from: 'ann' is not a mail address" },
	{ IN(SERVER "    from: Ann <ann>\n"), ":4: error: accounts.a.from: 'ann' is not a mail address" },
	{ IN(SERVER "    from: Roe, Ann <ann@x.org>\n"),
	  ":4: error: accounts.a.from: 'Roe, Ann <ann@x.org>' is not a mail address" },
	{ IN(SERVER "    from: a@x.org, b@x.org\n"),
	  ":4: error: accounts.a.from: 'a@x.org, b@x.org' is not a mail address" },
	{ IN(SERVER "    from: \"A\\x00 <a@x.org>\"\n"), ":4: error: accounts.a.from: " },
	{ IN(SERVER "    from: Ann <ann@x.org>\n    name: Bea\n"),
	  ":2: error: accounts.a.name: 'Bea', but from has the name 'Ann': only one of them can be" },
	{ IN(SERVER "    rewrite_from: yes\n"),
	  ":4: error: accounts.a.rewrite_from: 'yes' is none of its words; allowed: auto, no, local or all" },
	{ IN(LOGIN "    rewrite_from: all\n"),
	  ":2: error: accounts.a.from: required, to go with rewrite_from" },
	{ IN(SERVER "    local_to: root\n"), ":4: error: accounts.a.local_to: 'root' is not a mail address" },
	{ IN(SERVER "    fingerprints: abc\n"), ":4: error: accounts.a.fingerprints: 'abc' is no SHA-256" },
	{ IN("    from: a@x.org\n"),
	  ":2: error: accounts.a: to which server? One is required: url, provider or host" },
	{ IN(SERVER "    url: smtp://y.org\n"),
	  ":2: error: accounts.a: only one of these can be: url, provider or host" },
	{ IN("    url: smtp://y.org\n    port: 587\n"), ":2: error: accounts.a.port: only with host" },
	{ IN("    provider: gmail\n    tls: implicit\n"), ":2: error: accounts.a.tls: only with host" },
	{ IN("    provider: gmial\n"), ":2: error: accounts.a.provider: 'gmial' is not known" },
	{ IN("    url: smtp://u:geheim@y.org\n"),
	  ":2: error: accounts.a.url: a password in a URL can be read" },
	{ IN("    url: smtp://u@y.org\n    user: v\n"),
	  ":2: error: accounts.a.user: the url has one already" },
	{ IN("    url: unix:/run/x\n    user: v\n"),
	  ":2: error: accounts.a.user: at a socket of this machine" },
	{ IN("    url: unix:/run/x\n    fingerprints: "
	     "0000000000000000000000000000000000000000000000000000000000000000\n"),
	  ":2: error: accounts.a.fingerprints: a socket of this machine shows no certificate" },
	{ IN("    host: \"a b\"\n"),
	  ":2: error: accounts.a.host: this is neither the name of a host nor an address" },
	{ IN(SERVER "    port: 25\n"), ":2: error: accounts.a.port: 25 is for servers among each other" },
	{ IN(SERVER "    port: 465\n    tls: starttls\n"),
	  ":2: error: accounts.a.tls: 465 has TLS from the first octet" },
	{ IN(SERVER "    password_file: /x\n"),
	  ":2: error: accounts.a.user: required, to go with password_file" },
	{ IN(LOGIN "    password_file: /x\n    token_command: x\n"),
	  ":2: error: accounts.a.token_command: only one of password_file, password_command and "
	  "token_command" },
	{ IN(LOGIN "    password_file: geheim\n"),
	  ":2: error: accounts.a.password_file: this is no path of a file" },
	{ IN(LOGIN "    ca_file: x\n"), ":2: error: accounts.a.ca_file: this is no path of a file" },
	{ IN(LOGIN "    password_command: ./x\n"),
	  ":2: error: accounts.a.password_command: a program is named without" },
	{ IN(LOGIN "    password_command: gpg -d x | head -1\n"),
	  ":2: error: accounts.a.password_command: '|' means something to a shell, and no shell runs this" },
	{ IN(LOGIN "    password_command: echo $PW\n"),
	  ":2: error: accounts.a.password_command: '$' means something" },
	{ IN(LOGIN "    password_command: \"x 'a b'\"\n"),
	  ":2: error: accounts.a.password_command: ''' means something" },
	{ IN(LOGIN "    password_command: \"  \"\n"), ":2: error: accounts.a.password_command: it is empty" },
	{ IN(LOGIN "    password_command: []\n"), ":5: error: accounts.a.password_command: an empty list" },
	{ IN(LOGIN "    password_command: \"\"\n"), ":5: error: accounts.a.password_command: '' is empty" },
	{ IN(LOGIN "    token_command: x\n    mechanism: plain\n"),
	  ":2: error: accounts.a.mechanism: a token goes with oauth" },
	{ "accounts:\n\ta:\n", ":2: error: a tab stands where YAML wants blanks (column 1)" },
	{ "accounts: [\n", ":2: error: this is not YAML:" },
	{ IN(SERVER "    from: *x\n"), ":4: error: aliases (*name) are not supported" },
};

static void says_what_is_wrong(void **state)
{
	struct buf said;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct submit_accounts *all = parse(bad[i].text, &said);
		const char *text = (const char *)said.p + strlen("send.yaml");

		if (all || strncmp(text, bad[i].said, strlen(bad[i].said)) != 0 || strstr(text, "geheim"))
			fail_msg("%s\nsaid %s\nnot %s", bad[i].text, text, bad[i].said);
		buf_done(&said);
	}
}

static void several(void **state)
{
	static const char text[] = "default: home\n"
				   "accounts:\n"
				   "  work:\n"
				   "    provider: microsoft365\n"
				   "    user: ann@work.example\n"
				   "    name: Ann Examplé\n"
				   "    token_command: [oauth, work]\n"
				   "    queue: yes\n"
				   "    messages_per_minute: 30\n"
				   "  home:\n"
				   "    url: smtps://mail.x.org\n"
				   "    user: ann\n"
				   "    from: ann@x.org\n"
				   "    password_file: ~/.mail-password\n";
	const struct submit_account *a;
	struct submit_accounts *all;
	struct buf said;

	(void)state;
	all = parse(text, &said);
	assert_non_null(all);
	buf_done(&said);
	assert_int_equal(all->n, 2);
	a = submit_account_standard(all);
	assert_string_equal(a->name, "home");
	assert_string_equal(a->password_file, "/home/ann/.mail-password");
	assert_string_equal(a->from, "ann@x.org");
	assert_false(a->queue);
	a = submit_account(all, "work");
	assert_int_equal(a->mechanism, CONF_MECHANISM_OAUTH); /* a token is no password */
	assert_string_equal(a->server.known, "microsoft365");
	assert_string_equal(a->token_command[1], "work");
	assert_string_equal(a->full_name, "Ann Examplé");
	assert_true(a->queue);
	assert_int_equal(a->messages_per_minute, 30);
	assert_null(submit_account(all, "wrok"));
	assert_string_equal(submit_account_near(all, "wrok"), "work");
	assert_null(submit_account_near(all, "elsewhere"));
	submit_accounts_free(all);
}

/* `from` with a name in it, in every form of RFC 5322; the same name twice is none too many. */
static void from_with_a_name(void **state)
{
	static const struct {
		const char *lines, *from, *name;
	} froms[] = {
		{ "    from: Ann Roe <ann@x.org>\n", "ann@x.org", "Ann Roe" },
		{ "    from: '\"Roe, Ann\" <ann@x.org>'\n", "ann@x.org", "Roe, Ann" },
		{ "    from: <ann@x.org>\n    name: Ann\n", "ann@x.org", "Ann" },
		{ "    from: ann@x.org (Ann Roe)\n", "ann@x.org", "Ann Roe" },
		{ "    from: J\xc3\xb6rg <j@x.org>\n", "j@x.org", "J\xc3\xb6rg" },
		{ "    name: Ann Roe\n    from: Ann Roe <ann@x.org>\n", "ann@x.org", "Ann Roe" },
		{ "    from: \"\"\n    name: Ann\n", "", "Ann" },
	};
	struct submit_accounts *all, *again;
	struct buf said, shown;

	(void)state;
	for (size_t i = 0; i < sizeof(froms) / sizeof(froms[0]); i++) {
		char text[200];

		snprintf(text, sizeof(text), IN(SERVER) "%s", froms[i].lines);
		all = parse(text, &said);
		if (!all)
			fail_msg("%s%s", text, (const char *)said.p);
		assert_string_equal(all->account[0].from, froms[i].from);
		assert_string_equal(all->account[0].full_name, froms[i].name);
		buf_done(&said);
		buf_init(&shown, 4096);
		submit_accounts_show(all, &shown);
		buf_byte(&shown, '\0');
		again = parse((const char *)shown.p, &said);
		assert_non_null(again);
		assert_string_equal(again->account[0].full_name, froms[i].name);
		submit_accounts_free(again);
		submit_accounts_free(all);
		buf_done(&shown);
		buf_done(&said);
	}
}

/* Of two without `default` none is meant; an empty file has none. */
static void none_is_meant(void **state)
{
	static const char *const texts[] = { "", "accounts:\n", "accounts: {}\n",
					     "accounts:\n  a:\n" SERVER "  b:\n" SERVER };
	struct buf said;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct submit_accounts *all = parse(texts[i], &said);

		assert_non_null(all);
		assert_null(submit_account_standard(all));
		submit_accounts_free(all);
		buf_done(&said);
	}
}

static void without_a_home(void **state)
{
	struct submit_accounts *all = NULL;
	struct conf_finding *findings = NULL;

	(void)state;
	assert_int_equal(submit_accounts_parse(SLICE_LIT(IN(LOGIN "    password_file: ~/x\n")), NULL, &all,
					       &findings),
			 -EINVAL);
	assert_non_null(strstr(findings->text, "$HOME is not set"));
	conf_findings_free(findings);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads),	  cmocka_unit_test(says_what_is_wrong),
		cmocka_unit_test(several),	  cmocka_unit_test(none_is_meant),
		cmocka_unit_test(without_a_home), cmocka_unit_test(from_with_a_name),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
