#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "smtp/advice.h"

static const struct {
	struct smtp_advice_port ports[6];
	size_t n;
	const char *want;
} cases[] = {
	{ { { 0, false } }, 0, "" },
	{ { { 465, true } }, 1, "port 465 with SSL/TLS" },
	{ { { 587, false }, { 465, true } }, 2, "port 587 with STARTTLS or port 465 with SSL/TLS" },
	/* one of each kind, in the order given */
	{ { { 587, false }, { 465, true }, { 2525, false } },
	  3,
	  "port 587 with STARTTLS or port 465 with SSL/TLS" },
	{ { { 10465, true }, { 10587, false } }, 2, "port 10465 with SSL/TLS or port 10587 with STARTTLS" },
	{ { { 1, true }, { 2, true }, { 587, false } }, 3, "port 1 with SSL/TLS or port 587 with STARTTLS" },
};

static void where(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char have[256];
		struct buf b;

		buf_init(&b, 200);
		smtp_advice_where(cases[i].ports, cases[i].n, &b);
		assert_true(slice_copy(buf_slice(&b), have, sizeof(have)));
		assert_string_equal(have, cases[i].want);
		buf_done(&b);
	}
}

/* Each text is one line that fits into a reply with its code, and names what to set. */
static void check(struct buf *b, const char *must)
{
	struct slice s = buf_slice(b);

	assert_true(buf_ok(b));
	assert_true(s.n > 0 && s.n < 480);
	assert_int_equal(slice_find(s, '\n'), s.n);
	assert_false(slice_has_8bit(s));
	if (!memmem(s.p, s.n, must, strlen(must)))
		fail_msg("'%.*s' does not say '%s'", SLICE_ARG(s), must);
	buf_done(b);
}

static void texts(void **state)
{
	struct slice at = SLICE_LIT("port 587 with STARTTLS");
	struct buf b;

	(void)state;
	buf_init(&b, 512);
	smtp_advice_plain_on_implicit(465, at, &b);
	check(&b, "SSL/TLS, or use port 587 with STARTTLS");
	smtp_advice_tls_on_starttls(587, at, &b);
	check(&b, "STARTTLS");
	smtp_advice_tls_on_relay(25, at, &b);
	check(&b, "to send mail use port 587 with STARTTLS");
	smtp_advice_tls_too_late(at, &b);
	check(&b, "port 587 with STARTTLS");
	smtp_advice_auth_on_relay(at, &b);
	check(&b, "port 587 with STARTTLS");
	smtp_advice_relay_denied(at, &b);
	check(&b, "port 587 with STARTTLS");
	smtp_advice_starttls_first(&b);
	check(&b, "connection security to STARTTLS");
	smtp_advice_auth_first(&b);
	check(&b, "authentication");
	smtp_advice_auth_needs_tls(&b);
	check(&b, "STARTTLS");
	smtp_advice_password_exposed(&b);
	check(&b, "your password was sent unencrypted, change it");
}

/* A relay without a submission listener has no port to name, and no hole in its text. */
static void nowhere(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 512);
	smtp_advice_relay_denied((struct slice){ 0 }, &b);
	check(&b, "log in on the submission port of your mail provider");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(where),
		cmocka_unit_test(texts),
		cmocka_unit_test(nowhere),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
