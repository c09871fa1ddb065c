/* What is said in each mechanism; SCRAM against GNU SASL's own server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <gsasl.h>

#include "send/login.h"

static void test_choice(void **state)
{
	static const struct {
		const char *offered;
		int pin;
		bool exporter;
		const char *chosen; /* NULL: none */
	} rows[] = {
		{ "PLAIN LOGIN", CONF_MECHANISM_AUTO, true, "PLAIN" },
		{ "LOGIN PLAIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS", CONF_MECHANISM_AUTO, true,
		  "SCRAM-SHA-256-PLUS" },
		{ "LOGIN PLAIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS", CONF_MECHANISM_AUTO, false,
		  "SCRAM-SHA-256" },
		{ "login", CONF_MECHANISM_AUTO, true, "LOGIN" },
		{ "XOAUTH2 PLAIN OAUTHBEARER", CONF_MECHANISM_AUTO, true, "PLAIN" },
		{ "XOAUTH2 OAUTHBEARER", CONF_MECHANISM_AUTO, true, "OAUTHBEARER" },
		{ "XOAUTH2", CONF_MECHANISM_AUTO, true, "XOAUTH2" },
		{ "PLAIN XOAUTH2", CONF_MECHANISM_XOAUTH2, true, "XOAUTH2" },
		{ "PLAIN XOAUTH2", CONF_MECHANISM_OAUTH, true, "XOAUTH2" },
		{ "PLAIN XOAUTH2 OAUTHBEARER", CONF_MECHANISM_OAUTH, true, "OAUTHBEARER" },
		{ "PLAIN LOGIN SCRAM-SHA-256", CONF_MECHANISM_OAUTH, true, NULL },
		{ "PLAIN LOGIN SCRAM-SHA-256", CONF_MECHANISM_LOGIN, true, "LOGIN" },
		{ "SCRAM-SHA-256-PLUS", CONF_MECHANISM_SCRAM_PLUS, false, NULL },
		{ "PLAIN", CONF_MECHANISM_SCRAM, true, NULL },
		{ "CRAM-MD5 NTLM GSSAPI", CONF_MECHANISM_AUTO, true, NULL },
		{ "PLAINER", CONF_MECHANISM_AUTO, true, NULL },
		{ "", CONF_MECHANISM_AUTO, true, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *got = login_choose(slice_str(rows[i].offered), rows[i].pin, rows[i].exporter);

		if (rows[i].chosen)
			assert_string_equal(got, rows[i].chosen);
		else
			assert_null(got);
	}
}

static struct login *begin(const char *mech, const char *user, const char *secret, const char *exporter)
{
	struct login_setup setup = { .mech = mech,
				     .user = slice_str(user),
				     .secret = slice_str(secret),
				     .exporter = slice_str(exporter),
				     .host = SLICE_LIT("smart.test"),
				     .port = 587 };
	struct login *l;

	assert_int_equal(login_new(&setup, &l), 0);
	return l;
}

#define SAYS(s, text) assert_true(slice_eq(s, SLICE_LIT(text)))

static void test_plain(void **state)
{
	struct login *l = begin("PLAIN", "u", "p", "");
	struct slice s;

	(void)state;
	assert_true(login_initial(l, &s));
	SAYS(s, "\0u\0p");
	assert_true(login_proved(l));
	assert_false(login_answer(l, SLICE_LIT("more?"), &s));
	login_free(l);
}

static void test_login(void **state)
{
	struct login *l = begin("LOGIN", "u", "p", "");
	struct slice s;

	(void)state;
	assert_false(login_initial(l, &s));
	assert_true(login_answer(l, SLICE_LIT("Username:"), &s));
	SAYS(s, "u");
	assert_false(login_proved(l)); /* a server that asks for no password is none */
	assert_true(login_answer(l, SLICE_LIT("Password:"), &s));
	SAYS(s, "p");
	assert_true(login_proved(l));
	assert_false(login_answer(l, SLICE_LIT("Password:"), &s)); /* not twice */
	login_free(l);
}

static void test_tokens(void **state)
{
	struct login *l = begin("XOAUTH2", "u@x", "tok", "");
	struct slice s;

	(void)state;
	assert_true(login_initial(l, &s));
	SAYS(s, "user=u@x\001auth=Bearer tok\001\001");
	assert_true(login_answer(l, SLICE_LIT("{\"status\":\"400\"}"), &s));
	SAYS(s, "");
	assert_false(login_proved(l));
	login_free(l);
	l = begin("OAUTHBEARER", "u=,@x", "tok", "");
	assert_true(login_initial(l, &s));
	SAYS(s, "n,a=u=3D=2C@x,\001host=smart.test\001port=587\001auth=Bearer tok\001\001");
	assert_true(login_answer(l, SLICE_LIT("{\"status\":\"invalid_token\"}"), &s));
	SAYS(s, "\001");
	login_free(l);
	assert_true(login_is_token("XOAUTH2"));
	assert_true(login_is_token("OAUTHBEARER"));
	assert_false(login_is_token("PLAIN"));
	assert_false(login_is_token("SCRAM-SHA-256"));
}

/* What cannot be carried is told before anything is sent. */
static void test_not_carried(void **state)
{
	static const struct {
		const char *mech;
		struct slice user, secret;
	} rows[] = {
		{ "XOAUTH2", SLICE_INIT("u\001auth=x"), SLICE_INIT("t") },
		{ "OAUTHBEARER", SLICE_INIT("u"), SLICE_INIT("t\r\n") },
		{ "PLAIN", SLICE_INIT("u\0v"), SLICE_INIT("p") },
		{ "PLAIN", SLICE_INIT("u"), SLICE_INIT("") },
		{ "SCRAM-SHA-256", SLICE_INIT("u"), SLICE_INIT("p\0q") },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct login_setup setup = { .mech = rows[i].mech,
					     .user = rows[i].user,
					     .secret = rows[i].secret };
		struct login *l;

		assert_int_equal(login_new(&setup, &l), -EINVAL);
	}
}

/* ---- SCRAM ---- */

static const char *server_password, *server_exporter;

static int on_server(Gsasl *g, Gsasl_session *s, Gsasl_property property)
{
	(void)g;
	if (property == GSASL_PASSWORD)
		return gsasl_property_set(s, property, server_password);
	if (property == GSASL_CB_TLS_EXPORTER && server_exporter[0])
		return gsasl_property_set(s, property, server_exporter);
	return GSASL_NO_CALLBACK;
}

/* How far it came: 0 the server refused, 1 we did, 2 both are content. */
static int scram(const char *mech, const char *password, const char *exporter, bool lie)
{
	struct login *l = begin(mech, "u", password, exporter);
	Gsasl_session *session;
	struct slice s;
	int came = 0, r;
	Gsasl *g;

	assert_int_equal(gsasl_init(&g), GSASL_OK);
	gsasl_callback_set(g, on_server);
	assert_int_equal(gsasl_server_start(g, mech, &session), GSASL_OK);
	assert_true(login_initial(l, &s));
	for (;;) {
		char *out = NULL;
		size_t n;
		bool ok;

		r = gsasl_step(session, (const char *)s.p, s.n, &out, &n);
		if (r != GSASL_OK && r != GSASL_NEEDS_MORE)
			break;
		if (r == GSASL_OK && lie)
			out[3] ^= 1;
		assert_false(login_proved(l)); /* 235 now would not count */
		ok = login_answer(l, slice_of(out, n), &s);
		gsasl_free(out);
		if (!ok) {
			came = 1;
			break;
		}
		if (r == GSASL_OK) {
			assert_int_equal(s.n, 0);
			assert_true(login_proved(l));
			came = 2;
			break;
		}
	}
	gsasl_finish(session);
	gsasl_done(g);
	login_free(l);
	return came;
}

static void test_scram(void **state)
{
	(void)state;
	server_password = "secret";
	server_exporter = "";
	assert_int_equal(scram("SCRAM-SHA-256", "secret", "", false), 2);
	assert_int_equal(scram("SCRAM-SHA-256", "wrong", "", false), 0);
	assert_int_equal(scram("SCRAM-SHA-256", "secret", "", true), 1);
	/* Within TLS, at a server that does not bind to it (Dovecot before 2.4). */
	assert_int_equal(scram("SCRAM-SHA-256", "secret", "01234567890123456789012345678901", false), 2);
	server_exporter = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="; /* 0123...01 */
	assert_int_equal(scram("SCRAM-SHA-256-PLUS", "secret", "01234567890123456789012345678901", false), 2);
	/* Another connection than the server's: somebody stands between. */
	assert_int_equal(scram("SCRAM-SHA-256-PLUS", "secret", "x1234567890123456789012345678901", false), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_choice), cmocka_unit_test(test_plain),
		cmocka_unit_test(test_login),  cmocka_unit_test(test_tokens),
		cmocka_unit_test(test_scram),  cmocka_unit_test(test_not_carried),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
