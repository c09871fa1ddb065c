/* Templates filled in: what stands there for each program and encryption, and what is never let in. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "advise/settings.h"

#define TLS                                                                                          \
	{                                                                                            \
		.host = "smtp.example.org", .port = 465, .implicit = true, .user = "ann@example.org" \
	}
#define STARTTLS                                                                   \
	{                                                                          \
		.host = "smtp.example.org", .port = 587, .user = "ann@example.org" \
	}

/* All parts of a program and its note, one behind the other. */
static const char *all_of(enum advise_program program, const struct advise_server *s)
{
	static char room[16384];
	struct buf text;
	unsigned mode = 0;
	size_t i = 0;

	buf_init_in(&text, room, sizeof(room) - 1);
	while (advise_settings_part(program, i, s, &text, &text, &mode))
		i++;
	assert_true(i > 0);
	advise_settings_note(program, s, &text);
	assert_true(buf_ok(&text));
	assert_true(buf_slice(&text).p == (unsigned char *)room);
	room[buf_slice(&text).n] = '\0';
	return room;
}

/* program, what stands there with TLS from the first octet, what with STARTTLS. */
static const struct {
	const char *program, *tls, *starttls;
} rows[] = {
	{ "postfix", "smtp_tls_wrappermode = yes\n", "smtp_tls_wrappermode = no\n" },
	{ "postfix", "relayhost = [smtp.example.org]:465\n",
	  "[smtp.example.org]:587 ann@example.org:YOUR-PASSWORD\n" },
	{ "exim", "  driver = smtp\n  protocol = smtps\n  hosts_require_tls",
	  "  driver = smtp\n  hosts_require_tls = *\n" },
	{ "exim", "route_list = * smtp.example.org::465\n",
	  "client_send = ^ann@example.org^${sg{${readfile{" },
	{ "msmtp", "tls on\ntls_starttls off\n", "tls on\ntls_starttls on\n" },
	{ "nodemailer", "secure: true,\n  auth: { user: 'ann@example.org'",
	  "secure: false,\n  requireTLS: true,\n  auth" },
	{ "python",
	  "smtplib.SMTP_SSL('smtp.example.org', 465, timeout=30, context=context) as smtp:\n    smtp.login(",
	  "smtplib.SMTP('smtp.example.org', 587, timeout=30) as smtp:\n    "
	  "smtp.starttls(context=context)\n" },
	{ "phpmailer", "SMTPSecure = 'ssl';  // TLS from", "SMTPSecure = 'tls';  // STARTTLS\n" },
	{ "wordpress", "'WPMS_SSL', 'ssl' );", "'WPMS_SMTP_AUTOTLS', true );" },
	{ "django", "EMAIL_USE_SSL = True\nEMAIL_USE_TLS = False\n",
	  "EMAIL_USE_SSL = False\nEMAIL_USE_TLS = True\n" },
	{ "git", "smtpEncryption = ssl\n", "smtpEncryption = tls\n" },
	{ "outlook", "Encryption method: SSL/TLS\n", "Encryption method: STARTTLS\n" },
	{ "apple-mail", "Port: 465\n", "Port: 587\n" },
	{ "thunderbird", "Connection security: SSL/TLS\n", "Connection security: STARTTLS\n" },
	{ "gmail", "Secured connection using SSL\n", "Secured connection using TLS\n" },
	{ "ios", "Server Port: 465\n", "Server Port: 587\n" },
	{ "android", "Security type: SSL/TLS\n", "Security type: STARTTLS\n" },
	{ "scanner", "Encryption: SSL/TLS (implicit", "Encryption: STARTTLS (" },
	{ "postern-send", "    port: 465\n    tls: implicit\n", "    port: 587\n    tls: starttls\n" },
	{ "postern", "    port: 465\n    tls: verify\n", "    port: 587\n    tls: verify\n" },
};

static void test_rows(void **state)
{
	const struct advise_server tls = TLS, starttls = STARTTLS;
	bool seen[ADVISE_PROGRAMS] = { false };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		enum advise_program p = advise_settings_find(slice_str(rows[i].program));

		assert_true(p < ADVISE_PROGRAMS);
		seen[p] = true;
		if (!strstr(all_of(p, &tls), rows[i].tls))
			fail_msg("%s: no \"%s\" in\n%s", rows[i].program, rows[i].tls, all_of(p, &tls));
		if (!strstr(all_of(p, &starttls), rows[i].starttls))
			fail_msg("%s: no \"%s\" in\n%s", rows[i].program, rows[i].starttls,
				 all_of(p, &starttls));
	}
	for (unsigned p = 0; p < ADVISE_PROGRAMS; p++)
		if (!seen[p])
			fail_msg("%s has no row", advise_settings_name((enum advise_program)p));
}

/* Nothing of a template's own signs is left, and none but the right encryption's words stand there. */
static void test_nothing_left(void **state)
{
	static const struct advise_server servers[] = {
		TLS, STARTTLS, { .host = "a", .port = 587, .implicit = true, .mechs = "LOGIN" }
	};
	static const char *const signs[] = { "{?", "{host", "{port", "{user", "{from", "{mech" };

	(void)state;
	for (unsigned p = 0; p < ADVISE_PROGRAMS; p++)
		for (size_t i = 0; i < 3; i++)
			for (size_t k = 0; k < sizeof(signs) / sizeof(signs[0]); k++)
				if (strstr(all_of((enum advise_program)p, &servers[i]), signs[k]))
					fail_msg("%s", all_of((enum advise_program)p, &servers[i]));
}

static void test_odd_port_and_login(void **state)
{
	const struct advise_server odd = {
		.host = "a", .port = 587, .implicit = true, .mechs = "LOGIN XOAUTH2"
	};
	const struct advise_server usual = TLS;

	(void)state;
	assert_non_null(strstr(all_of(ADVISE_FOR_POSTERN, &odd), "use the usual port"));
	assert_null(strstr(all_of(ADVISE_FOR_POSTERN, &usual), "use the usual port"));
	assert_non_null(strstr(all_of(ADVISE_FOR_MSMTP, &odd), "auth login\n"));
	assert_non_null(
		strstr(all_of(ADVISE_FOR_MSMTP, &odd), "from YOU@YOUR-DOMAIN\nuser YOUR-USER-NAME\n"));
	assert_non_null(strstr(all_of(ADVISE_FOR_EXIM, &odd), "client_send = : YOUR-USER-NAME : ${sg{"));
}

static void test_mechanism(void **state)
{
	static const struct {
		const char *offered, *used;
	} mechs[] = {
		{ NULL, "PLAIN" },
		{ "LOGIN PLAIN", "PLAIN" },
		{ "CRAM-MD5 login", "LOGIN" },
		{ "XOAUTH2 PLAIN-CLIENTTOKEN", NULL },
		{ "", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(mechs) / sizeof(mechs[0]); i++) {
		const struct advise_server s = { .host = "a", .port = 587, .mechs = mechs[i].offered };
		const char *got = advise_settings_mechanism(&s);

		assert_string_equal(got ? got : "none", mechs[i].used ? mechs[i].used : "none");
	}
}

static void test_usable(void **state)
{
	static const struct {
		const char *host, *user;
		bool usable;
	} given[] = {
		{ "smtp.example.org", NULL, true },
		{ "192.0.2.1", "ann", true },
		{ "2001:db8::1", "ann+x@example.org", true },
		{ "smtp.example.org", "a'b", false },
		{ "smtp.example.org", "a\"b", false },
		{ "smtp.example.org", "a\\b", false },
		{ "smtp.example.org", "${run{id}}", false },
		{ "smtp.example.org", "a b", false },
		{ "smtp.example.org", "a:b", false },
		{ "smtp.example.org", "a#b", false },
		{ "smtp.example.org", "a^b", false },
		{ "smtp.example.org", "a\nb", false },
		{ "smtp.example.org", "-Cx", false },
		{ "smtp.example.org", "", false },
		{ "smtp'.example.org", NULL, false },
		{ "$(id)", NULL, false },
		{ "a b", NULL, false },
		{ "", NULL, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(given) / sizeof(given[0]); i++) {
		const struct advise_server s = { .host = given[i].host, .port = 587, .user = given[i].user };

		if (!advise_settings_usable(&s) != given[i].usable)
			fail_msg("%s, %s", given[i].host, given[i].user);
	}
	assert_string_equal(advise_settings_usable(&(struct advise_server){ .host = "a" }), "the port");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_nothing_left),
		cmocka_unit_test(test_odd_port_and_login),
		cmocka_unit_test(test_mechanism),
		cmocka_unit_test(test_usable),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
