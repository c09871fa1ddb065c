/* What is expected, as it is written, and whether it is met: add a row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "probe/expect.h"

#define NOW 1800000000

static void reading(void **state)
{
	static const struct {
		const char *text;
		size_t n; /* conditions; 0: it is wrong */
	} rows[] = {
		{ "587", 1 },
		{ "587:", 1 },
		{ "587:starttls,auth,cert>14d", 3 },
		{ "465:TLS,cert", 2 },
		{ "25:closed", 1 },
		{ "25:tls>=1.2,size>=25M,ext=CHUNKING,within<500ms", 4 },
		{ "0:open", 0 },
		{ "65536:open", 0 },
		{ "starttls", 0 },
		{ "587 starttls", 0 },
		{ "587:starttls,", 0 },
		{ "587:starttlsx", 0 },
		{ "587:cert>", 0 },
		{ "587:cert>14x", 0 },
		{ "587:tls>=2.0", 0 },
		{ "587:within<2", 0 },
		{ "587:auth=", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct probe_expect e = { 0 };
		const char *wrong = probe_expect_parse(slice_str(rows[i].text), &e);

		if (!wrong != (rows[i].n > 0) || e.n != rows[i].n)
			fail_msg("%s: %zu conditions, %s", rows[i].text, e.n, wrong ? wrong : "fine");
	}
}

static struct probe_port good(void)
{
	struct probe_port p = { .port = 587, .reach = PROBE_OPEN, .connect_ms = 100 };

	p.greeting.code = 220;
	p.greeting.ms = 300;
	p.clear.reply.code = p.in_tls.reply.code = 250;
	p.clear.starttls = true;
	p.starttls.code = 220;
	p.tls.tried = p.tls.up = p.tls.verified = true;
	snprintf(p.tls.version, sizeof(p.tls.version), "%s", "TLSv1.3");
	p.tls.n_chain = 1;
	p.tls.chain[0].not_after = NOW + 20 * 86400;
	snprintf(p.in_tls.auth, sizeof(p.in_tls.auth), "%s", "PLAIN LOGIN");
	snprintf(p.in_tls.extensions, sizeof(p.in_tls.extensions), "%s", "SIZE CHUNKING AUTH");
	p.in_tls.has_size = true;
	p.in_tls.size = 10000000;
	p.old[PROBE_TLS11] = PROBE_OLD_ACCEPTED;
	p.rcpt.code = 530;
	return p;
}

static void meeting(void **state)
{
	static const struct {
		const char *text;
		bool met;
	} rows[] = {
		{ "587:open,starttls,cert,cert>14d,auth,auth=login,no-clear-auth,no-relay", true },
		{ "587:size>=10M,ext=chunking,within<401ms,tls>=1.1", true },
		{ "587:closed", false },
		{ "587:refused", false },
		{ "587:filtered", false },
		{ "587:tls", false },
		{ "587:no-starttls", false },
		{ "587:cert>20d", false },
		{ "587:tls>=1.2", false },
		{ "587:auth=CRAM-MD5", false },
		{ "587:no-auth", false },
		{ "587:size>=11M", false },
		{ "587:ext=SMTPUTF8", false },
		{ "587:dane", false },
		{ "587:sts", false },
		{ "587:within<400ms", false },
		{ "587:login", false }, /* not tried */
	};
	const struct probe_port p = good();

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct probe_expect e;
		char why[200] = "";

		assert_null(probe_expect_parse(slice_str(rows[i].text), &e));
		for (size_t c = 0; c < e.n; c++)
			if (probe_expect_met(&e.condition[c], &p, NOW, why, sizeof(why)) != rows[i].met)
				fail_msg("%s: %s", e.condition[c].text, why);
		if (!rows[i].met)
			assert_true(strlen(why) > strlen(e.condition[0].text) + 3);
	}
}

static void a_login(void **state)
{
	struct probe_port p = good();
	struct probe_expect e;
	char why[200] = "";

	(void)state;
	assert_null(probe_expect_parse(SLICE_LIT("587:starttls,login"), &e));
	assert_true(probe_expect_wants_login(&e));
	p.login.state = PROBE_LOGIN_ACCEPTED;
	assert_true(probe_expect_met(&e.condition[1], &p, NOW, why, sizeof(why)));
	p.login.state = PROBE_LOGIN_REFUSED;
	p.login.auth.code = 535;
	snprintf(p.login.auth.text, sizeof(p.login.auth.text), "no");
	assert_false(probe_expect_met(&e.condition[1], &p, NOW, why, sizeof(why)));
	assert_string_equal(why, "login: 535 no");
	assert_null(probe_expect_parse(SLICE_LIT("587:starttls,auth=LOGIN"), &e));
	assert_false(probe_expect_wants_login(&e));
}

static void what_is_not_there_meets_nothing(void **state)
{
	struct probe_port p = { .port = 587, .reach = PROBE_SILENT };
	struct probe_expect e;
	char why[200];

	(void)state;
	assert_null(
		probe_expect_parse(SLICE_LIT("587:closed,filtered,open,no-auth,no-relay,no-starttls"), &e));
	for (size_t c = 0; c < e.n; c++)
		assert_int_equal(probe_expect_met(&e.condition[c], &p, NOW, why, sizeof(why)), c < 2);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(reading),
		cmocka_unit_test(meeting),
		cmocka_unit_test(a_login),
		cmocka_unit_test(what_is_not_there_meets_nothing),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
