/* Reports, a word a port, and what they lead to: add a row. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "probe/across.h"
#include "probe/verdict.h"

#define NOW  1800000000
#define DAYS 86400

static struct probe_host hosts[4];
static struct probe_port ports[4][12];

static void put(char *to, size_t size, const char *text)
{
	slice_copy(slice_str(text), to, size);
}

static void open_smtp(struct probe_port *p, const char *name)
{
	p->reach = PROBE_OPEN;
	p->greeting.code = 220;
	put(p->greeting.text, sizeof(p->greeting.text), name);
	p->clear.reply.code = 250;
	p->mail.code = p->rcpt.code = 530;
}

static void tls(struct probe_port *p, const char *name, bool implicit)
{
	struct probe_tls *t = &p->tls;

	t->tried = t->up = t->verified = true;
	t->implicit = p->tls_first = implicit;
	put(t->version, sizeof(t->version), "TLSv1.3");
	put(t->wanted, sizeof(t->wanted), name);
	put(t->names, sizeof(t->names), name);
	t->n_chain = 2;
	t->chain[0].not_after = NOW + 60 * DAYS;
	put(t->chain[0].issuer, sizeof(t->chain[0].issuer), "CN=R10, O=Example Trust");
	put(t->chain[0].sha256, sizeof(t->chain[0].sha256), name);
	p->in_tls.reply.code = 250;
	put(p->in_tls.auth, sizeof(p->in_tls.auth), "PLAIN LOGIN");
	if (!implicit) {
		p->clear.starttls = true;
		p->starttls.code = 220;
	}
}

static void bad_certificate(struct probe_port *p, enum tls_result result, const char *words)
{
	p->tls.verified = false;
	p->tls.result = result;
	put(p->tls.words, sizeof(p->tls.words), words);
}

/* "465:tls" and so on. */
static void make_port(struct probe_port *p, const char *name, const char *word)
{
	memset(p, 0, sizeof(*p));
	ip_parse(slice_str("192.0.2.1"), &p->ip);
	if (!strncmp(word, "6/", 2)) {
		ip_parse(slice_str("2001:db8::1"), &p->ip);
		word += 2;
	}
	p->port = (uint16_t)strtoul(word, NULL, 10);
	word = strchr(word, ':') + 1;
	p->connect_ms = 20;
	if (!strcmp(word, "refused")) {
		p->reach = PROBE_REFUSED;
	} else if (!strcmp(word, "filtered")) {
		p->reach = PROBE_SILENT;
		p->connect_ms = 8000;
	} else if (!strcmp(word, "noroute")) {
		p->reach = PROBE_UNREACHABLE;
		p->no_route = true;
		p->error = -ENETUNREACH;
	} else if (!strcmp(word, "localdrop")) {
		p->reach = PROBE_SILENT;
		p->sent = PROBE_SENT_HELD;
		p->local = true;
		put(p->local_why, sizeof(p->local_why), "the system throws it away");
	} else if (!strcmp(word, "local")) {
		p->reach = PROBE_REFUSED;
		p->local = true;
		put(p->local_why, sizeof(p->local_why), "the refusal came from its own address");
	} else if (!strcmp(word, "prohibited")) {
		p->reach = PROBE_PROHIBITED;
		ip_parse(slice_str("198.51.100.7"), &p->icmp_from);
	} else if (!strcmp(word, "imap")) {
		p->reach = PROBE_OPEN;
		p->other = PROBE_OTHER_IMAP;
		p->end = PROBE_END_NO_SMTP;
	} else if (!strcmp(word, "tlsfails")) {
		p->reach = PROBE_OPEN;
		p->end = PROBE_END_TLS;
		p->at = PROBE_AT_GREETING;
		p->tls.tried = true;
		put(p->tls.words, sizeof(p->tls.words), "the server has an internal error");
	} else if (!strcmp(word, "tlsreset")) {
		p->reach = PROBE_OPEN;
		p->end = PROBE_END_RESET;
		p->at = PROBE_AT_HANDSHAKE;
		p->tls.tried = true;
	} else if (!strcmp(word, "silent")) {
		p->reach = PROBE_OPEN;
		p->end = PROBE_END_TIMEOUT;
		p->at = PROBE_AT_GREETING;
	} else {
		open_smtp(p, name);
		if (!strcmp(word, "masked"))
			p->clear.masked = true;
		if (strstr(word, "-stars"))
			put(p->greeting.text, sizeof(p->greeting.text), "***********2**0**");
		if (strstr(word, "-isp"))
			put(p->greeting.text, sizeof(p->greeting.text), "smtp.isp.example ESMTP");
		if (strstr(word, "-nameless"))
			put(p->greeting.text, sizeof(p->greeting.text), "ESMTP ready");
		if (!strncmp(word, "tls", 3) || !strncmp(word, "starttls", 8))
			tls(p, name, word[0] == 't');
		if (strstr(word, "-expired")) {
			bad_certificate(p, TLS_RESULT_CERTIFICATE_EXPIRED, "expired");
			p->tls.chain[0].not_after = NOW - 3 * DAYS;
		}
		if (strstr(word, "-soon"))
			p->tls.chain[0].not_after = NOW + 5 * DAYS;
		if (strstr(word, "-name"))
			bad_certificate(p, TLS_RESULT_CERTIFICATE_HOST_MISMATCH, "another name");
		if (strstr(word, "-untrusted"))
			bad_certificate(p, TLS_RESULT_CERTIFICATE_NOT_TRUSTED, "no known authority");
		if (strstr(word, "-inspected")) {
			bad_certificate(p, TLS_RESULT_CERTIFICATE_NOT_TRUSTED, "no known authority");
			put(p->tls.chain[0].issuer, sizeof(p->tls.chain[0].issuer), "CN=Fortinet CA");
			put(p->tls.chain[0].sha256, sizeof(p->tls.chain[0].sha256), "ab");
		}
		if (strstr(word, "-same")) {
			bad_certificate(p,
					strstr(word, "name") ? TLS_RESULT_CERTIFICATE_HOST_MISMATCH
							     : TLS_RESULT_CERTIFICATE_NOT_TRUSTED,
					"wrong");
			put(p->tls.chain[0].sha256, sizeof(p->tls.chain[0].sha256), "cd");
		}
		if (strstr(word, "-trusted"))
			put(p->tls.chain[0].issuer, sizeof(p->tls.chain[0].issuer), "CN=Zscaler Root CA");
		if (strstr(word, "-clear"))
			put(p->clear.auth, sizeof(p->clear.auth), "PLAIN");
		if (strstr(word, "-noauth"))
			p->in_tls.auth[0] = '\0';
		if (strstr(word, "-relays"))
			p->rcpt.code = 250;
		if (strstr(word, "-old"))
			p->old[PROBE_TLS10] = PROBE_OLD_ACCEPTED;
	}
}

/* "smtp.example.org 465:tls 587:starttls; mx.example.net 25:plain" */
static size_t make_hosts(const char *text)
{
	char copy[400], *save, *save_word, *h;
	size_t n = 0;

	put(copy, sizeof(copy), text);
	for (h = strtok_r(copy, ";", &save); h; h = strtok_r(NULL, ";", &save), n++) {
		char *word = strtok_r(h, " ", &save_word);

		memset(&hosts[n], 0, sizeof(hosts[n]));
		put(hosts[n].name, sizeof(hosts[n].name), word);
		hosts[n].port = ports[n];
		while ((word = strtok_r(NULL, " ", &save_word))) {
			struct probe_port *p = &ports[n][hosts[n].n++];

			make_port(p, hosts[n].name, word);
			p->ip.byte[1] = (uint8_t)(p->ip.byte[1] + n); /* another network */
		}
	}
	return n;
}

static const struct row {
	const char *hosts;
	enum probe_control control;
	enum probe_answer answer;
	uint16_t port; /* the best one's */
	uint16_t also;
	const char *found; /* names of findings above NOTE level or as said, sorted by place */
} rows[] = {
	{ "smtp.example.org 25:starttls-noauth 465:tls 587:starttls 2525:filtered", 0, PROBE_USE, 465, 587,
	  "2525 filtered" },
	{ "smtp.example.org 25:filtered 465:filtered 587:starttls 2525:starttls", 0, PROBE_USE, 587, 0,
	  "25 filtered, 465 filtered" },
	{ "smtp.example.org 465:refused 587:refused 2525:starttls", 0, PROBE_USE, 2525, 0,
	  "465 refused, 587 refused" },
	/* TLS the other way round is right where it is told so. */
	{ "smtp.example.org 465:starttls 587:tls", 0, PROBE_USE, 465, 587,
	  "465 tls-unusual, 587 tls-unusual" },
	/* The provider's order. */
	{ "smtp.gmail.com 465:tls 587:starttls", 0, PROBE_USE, 587, 465, "" },
	/* Never in clear, never on 25. */
	{ "smtp.example.org 25:starttls", 0, PROBE_USE_NOTHING, 0, 0, "" },
	{ "smtp.example.org 587:plain-clear", 0, PROBE_USE_NOTHING, 0, 0,
	  "587 no-starttls, 587 auth-in-clear" },
	{ "smtp.example.org 587:masked", 0, PROBE_USE_NOTHING, 0, 0, "587 starttls-masked" },
	{ "smtp.example.org 465:tls-noauth", 0, PROBE_USE_NOTHING, 0, 0, "465 no-auth" },
	{ "smtp.example.org 465:plain 587:starttls-clear", 0, PROBE_USE, 587, 0,
	  "465 no-starttls, 587 auth-in-clear" },
	/* Certificates. */
	{ "smtp.example.org 465:tls-expired 587:starttls", 0, PROBE_USE, 587, 0, "465 certificate-expired" },
	{ "smtp.example.org 465:tls-name 587:starttls-name", 0, PROBE_USE_PINNED, 465, 587,
	  "465 certificate-name, 587 certificate-name" },
	{ "smtp.example.org 465:tls-soon-old", 0, PROBE_USE, 465, 0,
	  "465 certificate-expires-soon, 465 tls-old" },
	{ "smtp.gmail.com 465:tls-untrusted", 0, PROBE_USE_NOTHING, 0, 0,
	  "465 certificate-untrusted, 465 intercepted" },
	{ "smtp.example.org 587:starttls-inspected", 0, PROBE_USE_NOTHING, 0, 0,
	  "587 certificate-untrusted, 587 intercepted" },
	/* Other things. */
	{ "smtp.example.org 465:imap 587:silent", 0, PROBE_USE_NOTHING, 0, 0, "465 not-smtp, 587 silent" },
	{ "smtp.example.org 465:tlsreset", 0, PROBE_USE_NOTHING, 0, 0, "465 reset-after-connect" },
	{ "smtp.example.org 465:tlsfails", 0, PROBE_USE_NOTHING, 0, 0, "465 tls-failed" },
	{ "smtp.example.org 587:starttls-relays", 0, PROBE_USE, 587, 0, "587 takes-mail-without-auth" },
	{ "smtp.example.org 465:local 587:local", 0, PROBE_USE_NOTHING, 0, 0,
	  "465 local-rule, 587 local-rule" },
	{ "smtp.example.org 10465:tls 993:tls", 0, PROBE_USE, 10465, 993, "" },
	{ "smtp.example.org 465:prohibited", 0, PROBE_USE_NOTHING, 0, 0, "465 prohibited" },
	/* Two ways to one host. */
	{ "smtp.example.org 587:starttls 6/587:plain", 0, PROBE_USE, 587, 0,
	  "587 no-starttls, 587 intercepted" },
	{ "smtp.example.org 587:starttls 6/587:plain 465:tls", 0, PROBE_USE, 465, 0,
	  "587 no-starttls, 587 intercepted" },
	{ "smtp.example.org 587:starttls 6/587:plain 2525:starttls", 0, PROBE_USE, 2525, 0,
	  "587 no-starttls, 587 intercepted" },
	{ "smtp.example.org 587:starttls 6/587:filtered", 0, PROBE_USE, 587, 0,
	  "587 filtered, all ipv6-broken" },
	{ "smtp.example.org 587:starttls 6/587:masked", 0, PROBE_USE, 587, 0,
	  "587 starttls-masked, 587 intercepted" },
	{ "smtp.example.org 587:starttls 6/587:starttls-stars", 0, PROBE_USE, 587, 0,
	  "587 greeting-masked, 587 intercepted" },
	{ "smtp.example.org 587:starttls-stars", 0, PROBE_USE, 587, 0, "587 greeting-masked" },
	{ "smtp.example.org 587:starttls 6/587:starttls-isp", 0, PROBE_USE, 587, 0, "" },
	{ "smtp.example.org 465:tls-trusted", 0, PROBE_USE, 465, 0, "465 intercepted" },
	/* Without IPv6 nothing is wrong; without both it is. */
	{ "smtp.example.org 25:filtered 6/25:noroute 465:tls 6/465:noroute", 0, PROBE_USE, 465, 0,
	  "25 filtered" },
	{ "smtp.example.org 25:noroute 6/25:noroute", PROBE_CONTROL_DOWN, PROBE_USE_NOTHING, 0, 0,
	  "25 unreachable, 25 unreachable, all no-network" },
	{ "smtp.example.org 6/465:noroute", PROBE_CONTROL_UP, PROBE_USE_NOTHING, 0, 0, "465 unreachable" },
	/* Several hosts. */
	{ "mx.example.org 25:filtered 465:tls; mx.example.net 25:filtered 465:tls", 0, PROBE_USE, 465, 0,
	  "25 filtered, 25 filtered, all port-25-blocked" },
	{ "mx.example.org 25:filtered; mx.example.net 25:filtered", PROBE_CONTROL_UP, PROBE_USE_NOTHING, 0, 0,
	  "25 filtered, 25 filtered, all port-25-blocked" },
	{ "mx.example.org 25:filtered; mx.example.net 25:plain", PROBE_CONTROL_UP, PROBE_USE_NOTHING, 0, 0,
	  "25 filtered, 25 no-starttls" },
	{ "mx.example.org 25:filtered; mx.example.net 25:filtered", PROBE_CONTROL_DOWN, PROBE_USE_NOTHING, 0,
	  0, "25 filtered, 25 filtered, all no-network" },
	{ "mx.example.org 587:starttls-same 465:tls; mx.example.net 587:starttls-same", 0, PROBE_USE, 465, 0,
	  "587 certificate-untrusted, 587 certificate-untrusted, 587 intercepted, 587 intercepted" },
	{ "smtp.example.org 465:tls-samename; smtp.example.net 465:tls-samename", 0, PROBE_USE_PINNED, 465, 0,
	  "465 certificate-name, 465 certificate-name, 465 intercepted, 465 intercepted" },
	/* The rules of this machine are not the network's. */
	{ "mx.example.org 25:localdrop; mx.example.net 25:localdrop", PROBE_CONTROL_UP, PROBE_USE_NOTHING, 0,
	  0, "25 local-rule, 25 local-rule" },
	{ "mx.example.org 25:plain-isp; mx.example.net 25:plain-isp", 0, PROBE_USE_NOTHING, 0, 0,
	  "25 no-starttls, 25 no-starttls, 25 intercepted, 25 intercepted" },
	{ "mx.example.org 25:plain-nameless; mx.example.net 25:plain-nameless", 0, PROBE_USE_NOTHING, 0, 0,
	  "25 no-starttls, 25 no-starttls" },
	{ "mx.example.org 465:tls-inspected; mx.example.net 465:tls-inspected", 0, PROBE_USE_NOTHING, 0, 0,
	  "465 certificate-untrusted, 465 certificate-untrusted, 465 intercepted, 465 intercepted" },
};

static void describe(const struct probe_findings *found, char *to, size_t size)
{
	size_t n = 0;

	to[0] = '\0';
	for (size_t i = 0; i < found->n; i++) {
		const struct probe_finding *f = &found->f[i];
		char where[16] = "all";

		if (f->level <= PROBE_NOTE)
			continue;
		if (f->port != PROBE_NOWHERE)
			snprintf(where, sizeof(where), "%u", hosts[f->host].port[f->port].port);
		n += (size_t)snprintf(to + n, size - n, "%s%s %s", n ? ", " : "", where,
				      probe_code_name(f->code));
	}
}

static void every_row(void **state)
{
	const struct probe_facts facts = { .now = NOW };
	int wrong = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *r = &rows[i];
		struct probe_findings found = { 0 };
		struct probe_verdict v;
		char said[600];
		size_t n = make_hosts(r->hosts);
		uint16_t port = 0, also = 0;

		for (size_t h = 0; h < n; h++)
			for (size_t p = 0; p < hosts[h].n; p++)
				probe_judge(&hosts[h], h, p, &facts, &found);
		probe_judge_across(hosts, n, r->control, &found);
		probe_verdict(hosts, n, &found, &v);
		if (v.answer != PROBE_USE_NOTHING) {
			port = hosts[v.best.host].port[v.best.port].port;
			also = v.n_also ? hosts[v.also[0].host].port[v.also[0].port].port : 0;
		}
		describe(&found, said, sizeof(said));
		if (v.answer != r->answer || port != r->port || also != r->also ||
		    strcmp(said, r->found) != 0) {
			print_message("# row %zu (%s):\n#   %s %u %u: %s\n#   %s %s\n", i, r->hosts,
				      probe_answer_name(v.answer), port, also, said, v.text, v.todo);
			wrong++;
		}
		probe_findings_done(&found);
	}
	assert_int_equal(wrong, 0);
}

/* "465=refused 587=accepted": what logins make of the verdict; and the port. */
static void logins(void **state)
{
	static const struct {
		enum probe_login_state at[2]; /* 465, 587 */
		int code[2];
		uint16_t port;
	} table[] = {
		{ { PROBE_LOGIN_ACCEPTED, PROBE_LOGIN_ACCEPTED }, { 235, 235 }, 465 },
		{ { PROBE_LOGIN_REFUSED, PROBE_LOGIN_ACCEPTED }, { 504, 235 }, 587 },
		{ { PROBE_LOGIN_FAILED, PROBE_LOGIN_ACCEPTED }, { 0, 235 }, 587 },
		/* Then it is the password that is wrong. */
		{ { PROBE_LOGIN_REFUSED, PROBE_LOGIN_SPARED }, { 535, 0 }, 465 },
		{ { PROBE_LOGIN_REFUSED, PROBE_LOGIN_REFUSED }, { 535, 535 }, 465 },
	};
	const struct probe_facts facts = { .now = NOW };

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct probe_findings found = { 0 };
		struct probe_verdict v;

		assert_int_equal(make_hosts("smtp.example.org 465:tls 587:starttls"), 1);
		for (size_t p = 0; p < 2; p++) {
			ports[0][p].login.state = table[i].at[p];
			ports[0][p].login.auth.code = table[i].code[p];
			probe_judge(&hosts[0], 0, p, &facts, &found);
			assert_int_equal(probe_findings_has(&found, PROBE_IS_LOGIN_OK, 0, p),
					 table[i].at[p] == PROBE_LOGIN_ACCEPTED);
			assert_int_equal(probe_findings_has(&found, PROBE_IS_LOGIN_FAILED, 0, p),
					 table[i].at[p] == PROBE_LOGIN_REFUSED);
		}
		probe_verdict(hosts, 1, &found, &v);
		assert_int_equal(v.answer, PROBE_USE);
		assert_int_equal(ports[0][v.best.port].port, table[i].port);
		probe_findings_done(&found);
	}
}

/* What stands at the end where there is something to mend: beginnings of text, and what todo must say. */
static const struct {
	const char *hosts, *text, *todo;
} mends[] = {
	{ "smtp.example.org 465:tls-expired",
	  "Have the certificate mended first, then use smtp.example.org, port 465",
	  "the certificate expired 3 days ago. Whoever runs the server must renew it" },
	{ "smtp.example.org 587:starttls-name", "Have the certificate mended first",
	  "Use a host name that stands in" },
	{ "smtp.example.org 25:plain-clear 587:plain-clear",
	  "No port here can be used to submit mail: at port 587 it does not offer STARTTLS.",
	  "Do not log in here" },
	{ "smtp.example.org 465:imap 587:refused",
	  "No port here can be used to submit mail: at port 465 what answers here is IMAP, not SMTP.", "" },
	/* One that speaks SMTP is nearer. */
	{ "smtp.example.org 465:imap 587:starttls-noauth",
	  "No port here can be used to submit mail: at port 587", "log in" },
	{ "smtp.example.org 465:filtered 587:filtered", "No port here can be used to submit mail.",
	  "from another network" },
	{ "smtp.example.org 465:refused 587:filtered", "No port here can be used to submit mail.",
	  "its outgoing server" },
	{ "smtp.example.org 25:starttls 465:refused 587:refused", "No port here can be used to submit mail.",
	  "takes mail from other servers" },
	{ "smtp.example.org 465:local 587:local",
	  "No port here can be used to submit mail: this machine itself does not let",
	  "firewall of this machine" },
};

static void what_to_mend(void **state)
{
	const struct probe_facts facts = { .now = NOW };

	(void)state;
	for (size_t i = 0; i < sizeof(mends) / sizeof(mends[0]); i++) {
		struct probe_findings found = { 0 };
		struct probe_verdict v;
		size_t n = make_hosts(mends[i].hosts);

		for (size_t p = 0; p < hosts[0].n; p++)
			probe_judge(&hosts[0], 0, p, &facts, &found);
		probe_judge_across(hosts, n, PROBE_CONTROL_UP, &found);
		probe_verdict(hosts, n, &found, &v);
		if (strncmp(v.text, mends[i].text, strlen(mends[i].text)) != 0 ||
		    !strstr(v.todo, mends[i].todo))
			fail_msg("%s: %s %s", mends[i].hosts, v.text, v.todo);
		probe_findings_done(&found);
	}
}

/* What people read. */
static void words(void **state)
{
	const struct probe_facts facts = { .now = NOW };
	struct probe_findings found = { 0 };
	struct probe_verdict v;
	char why[400];

	(void)state;
	assert_int_equal(make_hosts("smtp.fastmail.com 25:filtered 465:tls 587:starttls 2525:starttls"), 1);
	for (size_t p = 0; p < hosts[0].n; p++)
		probe_judge(&hosts[0], 0, p, &facts, &found);
	probe_verdict(hosts, 1, &found, &v);
	assert_string_equal(v.text,
			    "Use smtp.fastmail.com, port 465, encryption \"SSL/TLS\", and log in. Port 587 "
			    "with \"STARTTLS\" is as good.");
	assert_non_null(strstr(v.todo, "Fastmail: the user name is the whole address"));
	probe_why_not(hosts, 0, 3, &found, &v, why, sizeof(why));
	assert_string_equal(why, "works; for networks that let neither 465 nor 587 through");
	probe_why_not(hosts, 0, 0, &found, &v, why, sizeof(why));
	assert_string_equal(why, "no answer at all in 8 s: a firewall drops it, on the way or there");
	probe_findings_done(&found);
}

static void names_are_all_there(void **state)
{
	(void)state;
	for (int i = 0; i < PROBE_CODES; i++)
		for (int j = 0; j < i; j++)
			assert_string_not_equal(probe_code_name((enum probe_code)i),
						probe_code_name((enum probe_code)j));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row),	       cmocka_unit_test(logins),
		cmocka_unit_test(what_to_mend),	       cmocka_unit_test(words),
		cmocka_unit_test(names_are_all_there),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
