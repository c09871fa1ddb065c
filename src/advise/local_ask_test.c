/* local_ask.c: what is set, what is true of the server, and what is said of the two.  A newcomer adds a row.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "advise/local_ask.h"

enum there { SILENT, REFUSED, IMAP, STARTTLS, IMPLICIT, BAD_CERTIFICATE, NO_TLS, HANDSHAKE_FAILS, NO_AUTH };

/* A port as a look leaves it behind. */
static void see(struct probe_port *p, uint16_t port, enum there there)
{
	*p = (struct probe_port){ .port = port, .reach = PROBE_OPEN };
	if (there == SILENT || there == REFUSED) {
		p->reach = there == SILENT ? PROBE_SILENT : PROBE_REFUSED;
		return;
	}
	if (there == IMAP) {
		p->other = PROBE_OTHER_IMAP;
		return;
	}
	p->greeting.code = p->clear.reply.code = 220;
	if (there == HANDSHAKE_FAILS) {
		p->tls = (struct probe_tls){ .tried = true, .words = "no cipher in common" };
		return;
	}
	if (there != NO_AUTH && there != NO_TLS)
		snprintf(p->in_tls.auth, sizeof(p->in_tls.auth), "PLAIN LOGIN");
	if (there == NO_TLS)
		snprintf(p->clear.auth, sizeof(p->clear.auth), "PLAIN");
	p->mail.code = 530;
	if (there == NO_TLS)
		return;
	p->in_tls.reply.code = 250;
	p->clear.starttls = there != IMPLICIT;
	p->tls_first = there == IMPLICIT;
	p->tls = (struct probe_tls){ .tried = true,
				     .up = true,
				     .implicit = there == IMPLICIT,
				     .verified = there != BAD_CERTIFICATE,
				     .words = "it is for another name" };
}

#define NO  ADVISE_SECURITY_NONE
#define MAY ADVISE_SECURITY_MAYBE
#define ST  ADVISE_SECURITY_STARTTLS
#define IMP ADVISE_SECURITY_IMPLICIT
#define UNK ADVISE_SECURITY_UNKNOWN

static const struct {
	uint16_t port;
	enum advise_security set;
	bool login;
	enum there there, on_465; /* at that port, and at 465 if that is another */
	const char *want;	  /* "result level [port mode]" */
} rows[] = {
	{ 587, ST, true, STARTTLS, IMPLICIT, "works note" },
	{ 587, MAY, true, STARTTLS, IMPLICIT, "works note" },
	{ 587, UNK, true, STARTTLS, IMPLICIT, "works note" },
	{ 465, IMP, true, IMPLICIT, IMPLICIT, "works note" },
	{ 587, IMP, true, STARTTLS, IMPLICIT, "other-encryption problem 587 STARTTLS" },
	{ 465, ST, true, IMPLICIT, IMPLICIT, "other-encryption problem 465 SSL/TLS" },
	{ 465, NO, true, IMPLICIT, IMPLICIT, "other-encryption problem 465 SSL/TLS" },
	{ 25, NO, true, STARTTLS, IMPLICIT, "no-login-there problem 25 STARTTLS" },
	{ 25, ST, true, NO_AUTH, IMPLICIT, "no-login-there problem 465 SSL/TLS" },
	{ 25, ST, true, SILENT, IMPLICIT, "closed problem 465 SSL/TLS" },
	{ 587, ST, true, REFUSED, SILENT, "closed problem" },
	{ 587, ST, true, IMAP, IMPLICIT, "no-smtp problem 465 SSL/TLS" },
	{ 587, ST, true, NO_TLS, IMPLICIT, "no-encryption problem 465 SSL/TLS" },
	{ 587, MAY, true, NO_TLS, SILENT, "no-encryption problem" },
	{ 587, MAY, false, NO_TLS, SILENT, "login-wanted problem" },
	{ 587, ST, false, STARTTLS, SILENT, "login-wanted problem" },
	{ 587, ST, true, HANDSHAKE_FAILS, IMPLICIT, "no-handshake problem 465 SSL/TLS" },
	{ 587, ST, true, BAD_CERTIFICATE, IMPLICIT, "certificate problem 465 SSL/TLS" },
	{ 587, MAY, true, BAD_CERTIFICATE, SILENT, "certificate warning" },
	{ 0, ST, true, STARTTLS, SILENT, "not-asked note" },
};

static void test_rows(void **state)
{
	size_t bad = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct advise_local_server s = { .host = "smtp.example.org",
						 .port = rows[i].port,
						 .security = rows[i].set,
						 .login = rows[i].login };
		static struct probe_port ports[2];
		struct probe_host h = { .name = "smtp.example.org", .port = ports, .n = 1 };
		const struct probe_host *hosts[] = { &h };
		struct probe_findings none = { 0 };
		struct probe_verdict v;
		struct advise_answer a;
		char got[200];

		see(&ports[0], rows[i].port, rows[i].there);
		if (rows[i].port != 465)
			see(&ports[h.n++], 465, rows[i].on_465);
		probe_verdict(&h, 1, &none, &v);
		advise_local_compare(&s, hosts, 1, &v, &a);
		snprintf(got, sizeof(got), "%s %s", advise_asked_name(a.asked), advise_level_name(a.level));
		if (a.has_target)
			snprintf(got + strlen(got), sizeof(got) - strlen(got), " %u %s", a.target.port,
				 a.target.implicit ? "SSL/TLS" : "STARTTLS");
		if (strcmp(got, rows[i].want) != 0 || (a.asked != ADVISE_ASKED_NOT && !a.text[0])) {
			print_message("# row %zu: %s\n# not: %s\n# (%s)\n", i, got, rows[i].want, a.text);
			bad++;
		}
	}
	assert_int_equal(bad, 0);
}

static void test_no_address(void **state)
{
	struct advise_local_server s = { .host = "smtp.example.org", .port = 587, .security = ST };
	struct probe_host h = { .name = "smtp.example.org", .lookup = "there is no such name" };
	const struct probe_host *hosts[] = { &h };
	struct probe_verdict v = { .answer = PROBE_USE_NOTHING };
	struct advise_answer a;

	(void)state;
	advise_local_compare(&s, hosts, 1, &v, &a);
	assert_int_equal(a.asked, ADVISE_ASKED_NO_ADDRESS);
	assert_non_null(strstr(a.text, "there is no such name"));
	assert_false(a.has_target);
	advise_local_compare(&s, hosts, 0, &v, &a);
	assert_int_equal(a.asked, ADVISE_ASKED_NOT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_no_address),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
