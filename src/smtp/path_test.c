#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/ip.h"
#include "smtp/path.h"

#define X10 "xxxxxxxxxx"
#define X60 X10 X10 X10 X10 X10 X10
#define OK  SMTP_PARSE_OK
#define BAD SMTP_PARSE_SYNTAX

/* A bare address, what the parser says, and the form that is stored. */
static const struct {
	const char *address;
	enum smtp_parse want;
	const char *canonical; /* NULL: has none, the domain is not allowed by IDNA */
} addresses[] = {
	{ "a@b", OK, "a@b" },
	{ "User@Example.ORG", OK, "User@example.org" },
	{ "a.b.c@example.org", OK, "a.b.c@example.org" },
	{ "!#$%&'*+-/=?^_`{|}~@example.org", OK, "!#$%&'*+-/=?^_`{|}~@example.org" },
	{ "a@1.2.3.4", OK, "a@1.2.3.4" }, /* a domain of digits, not an address */
	{ "a@x--y.test", OK, "a@x--y.test" },
	{ "", BAD, NULL },
	{ "a", BAD, NULL },
	{ "@b", BAD, NULL },
	{ "a@", BAD, NULL },
	{ ".a@b", BAD, NULL },
	{ "a.@b", BAD, NULL },
	{ "a..b@c", BAD, NULL },
	{ "a b@c", BAD, NULL },
	{ "a@b c", BAD, NULL },
	{ "a@b@c", BAD, NULL },
	{ "a@b.", BAD, NULL },
	{ "a@.b", BAD, NULL },
	{ "a@b..c", BAD, NULL },
	{ "a@-b", BAD, NULL },
	{ "a@b-.c", BAD, NULL },
	{ "a@b_c", BAD, NULL },
	{ "a(comment)@b", BAD, NULL },
	{ "a<b@c", BAD, NULL },
	{ "a\rb@c", BAD, NULL },
	{ "postmaster", BAD, NULL },
	/* quoted local parts: RFC 5321 4.1.2 */
	{ "\"a\"@b", OK, "a@b" },
	{ "\"a b\"@c", OK, "\"a b\"@c" },
	{ "\"a\\b\"@c", OK, "ab@c" },
	{ "\"a\\\"b\"@c", OK, "\"a\\\"b\"@c" },
	{ "\"a\\ b\"@c", OK, "\"a b\"@c" },
	{ "\"a..b\"@c", OK, "\"a..b\"@c" },
	{ "\"a@b\"@c", OK, "\"a@b\"@c" },
	{ "\"\"@c", OK, "\"\"@c" },
	{ "\"", BAD, NULL },
	{ "\"a@b", BAD, NULL },
	{ "\"a\\", BAD, NULL },
	{ "\"a\"b@c", BAD, NULL },
	{ "a\"b\"@c", BAD, NULL },
	{ "\"a\tb\"@c", BAD, NULL },
	{ "\"a\x7f\"@c", BAD, NULL },
	/* address literals: 4.1.3 */
	{ "a@[192.0.2.1]", OK, "a@[192.0.2.1]" },
	{ "a@[IPv6:2001:DB8:0:0::1]", OK, "a@[IPv6:2001:db8::1]" },
	{ "a@[ipv6:::1]", OK, "a@[IPv6:::1]" },
	{ "a@[IPv6:::ffff:192.0.2.1]", OK, "a@[192.0.2.1]" },
	{ "a@[192.0.2.256]", BAD, NULL },
	{ "a@[192.0.2]", BAD, NULL },
	{ "a@[2001:db8::1]", BAD, NULL },
	{ "a@[IPv6:192.0.2.1]", BAD, NULL },
	{ "a@[IPv6:2001:db8::g]", BAD, NULL },
	{ "a@[tag:x]", BAD, NULL },
	{ "a@[]", BAD, NULL },
	{ "a@[192.0.2.1", BAD, NULL },
	{ "a@[192.0.2.1]x", BAD, NULL },
	/* lengths: 4.5.3.1 */
	{ X60 "1234@b", OK, X60 "1234@b" },
	{ X60 "12345@b", SMTP_PARSE_TOO_LONG, NULL },
	{ "a@" X60 "123.b", OK, "a@" X60 "123.b" },
	{ "a@" X60 "1234.b", SMTP_PARSE_TOO_LONG, NULL },
	{ "a@" X60 "." X60 "." X60 "." X60 ".12345678", OK, "a@" X60 "." X60 "." X60 "." X60 ".12345678" },
	{ "a@" X60 "." X60 "." X60 "." X60 ".123456789", SMTP_PARSE_TOO_LONG, NULL },
	/* UTF-8: RFC 6531 3.3, RFC 3629 */
	{ "\xc3\xa4@example.org", OK, "\xc3\xa4@example.org" },
	{ "\"\xc3\xa4 \"@example.org", OK, "\"\xc3\xa4 \"@example.org" },
	{ "a@b\xc3\xbc"
	  "cher.example",
	  OK, "a@xn--bcher-kva.example" },
	{ "a@B\xc3\x9c"
	  "CHER.example",
	  OK, "a@xn--bcher-kva.example" },
	{ "a@xn--BCHER-kva.example", OK, "a@xn--bcher-kva.example" },
	{ "a@fa\xc3\x9f.example", OK, "a@xn--fa-hia.example" },
	{ "a@\xe4\xbe\x8b\xe3\x80\x82\xe6\xb5\x8b\xe8\xaf\x95", OK,
	  "a@xn--fsq.xn--0zwm56d" }, /* U+3002 is a dot */
	{ "a@b\xef\xbc\xa0"
	  "c.example",
	  OK, NULL },				/* U+FF20, a full-width at sign */
	{ "a@\xe2\x98\x83.example", OK, NULL }, /* a snowman is no letter */
	{ "\xe4@example.org", SMTP_PARSE_UTF8, NULL },
	{ "\xc0\xaf@b", SMTP_PARSE_UTF8, NULL },
	{ "\xed\xa0\x80@b", SMTP_PARSE_UTF8, NULL }, /* a surrogate */
	{ "\xf4\x90\x80\x80@b", SMTP_PARSE_UTF8, NULL },
	{ "\xe2\x82@b", SMTP_PARSE_UTF8, NULL },
	{ "a@b\xc3", SMTP_PARSE_UTF8, NULL },
};

static void bare_addresses(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		struct smtp_path path;
		size_t at = 0;
		enum smtp_parse r = smtp_parse_address(slice_str(addresses[i].address), &path, &at);
		char text[512];
		struct buf b;

		if (r != addresses[i].want)
			fail_msg("%s: %d, at %zu", addresses[i].address, r, at);
		if (r != SMTP_PARSE_OK)
			continue;
		buf_init(&b, 400);
		smtp_path_put(&path, &b);
		assert_true(slice_eq(buf_slice(&b), slice_str(addresses[i].address)));
		buf_reset(&b);
		if (smtp_path_put_canonical(&path, &b) != (addresses[i].canonical != NULL))
			fail_msg("%s: a canonical form or not", addresses[i].address);
		if (addresses[i].canonical) {
			assert_true(slice_copy(buf_slice(&b), text, sizeof(text)));
			assert_string_equal(text, addresses[i].canonical);
		}
		buf_done(&b);
	}
}

static const struct smtp_params_offered all = { true, true, true, true, true, true, true, true }, nothing;

static const struct {
	const char *args;
	enum smtp_parse want;
	size_t at; /* where the grammar ends, on failure */
} mails[] = {
	{ "FROM:<a@b>", OK, 0 },
	{ "from:<>", OK, 0 },
	{ "FROM: <a@b>  ", OK, 0 },
	{ "FROM:<@c,@d:a@b>", OK, 0 },
	{ "FROM:<a@b> SIZE=1 BODY=7BIT", OK, 0 },
	{ "FROM:<a@b> size=18446744073709551615", OK, 0 },
	{ "FROM:<a@b> AUTH=a+40b ENVID=x RET=full", OK, 0 },
	{ "FROM:<\xc3\xa4@b> SMTPUTF8", OK, 0 },
	{ "", BAD, 0 },
	{ "FROM <a@b>", BAD, 0 },
	{ "FROM:a@b", BAD, 5 },
	{ "FROM:<a@b", BAD, 9 },
	{ "FROM:<a@b>>", BAD, 10 },
	{ "FROM:<a@b>SIZE=1", BAD, 10 },
	{ "FROM:<@c:>", BAD, 9 },
	{ "FROM:<@c a@b>", BAD, 8 },
	{ "FROM:<a@b> =1", BAD, 11 },
	{ "FROM:<a@b> -X", BAD, 11 },
	{ "FROM:<a@b> SIZE=1=2", BAD, 17 },
	{ "FROM:<a@b> SIZE=", SMTP_PARSE_PARAM_BAD, 11 },
	{ "FROM:<a@b> SIZE=-1", SMTP_PARSE_PARAM_BAD, 11 },
	{ "FROM:<a@b> SIZE=18446744073709551616", SMTP_PARSE_PARAM_BAD, 11 },
	{ "FROM:<a@b> SIZE=000000000000000000001", SMTP_PARSE_PARAM_BAD, 11 },
	{ "FROM:<a@b> BODY=8BIT", SMTP_PARSE_PARAM_BAD, 11 },
	{ "FROM:<a@b> ENVID=a+4", SMTP_PARSE_PARAM_BAD, 11 },
	{ "FROM:<a@b> ENVID=" X60 X10 X10 X10 X10, OK, 0 },
	{ "FROM:<a@b> ENVID=" X60 X10 X10 X10 X10 "x", SMTP_PARSE_PARAM_BAD, 11 },
	{ "FROM:<a@b> SIZE=1 SMTPUTF8 SIZE=1", SMTP_PARSE_PARAM_TWICE, 27 },
	{ "FROM:<a@b> REQUIRETLS HOLDFOR=1 MT-PRIORITY=-9", OK, 0 },
	{ "FROM:<a@b> HOLDUNTIL=2027-01-15T08:00:00Z MT-PRIORITY=0", OK, 0 },
	{ "FROM:<a@b> holdfor=999999999 mt-priority=9", OK, 0 },
	{ "FROM:<a@b> REQUIRETLS=", SMTP_PARSE_PARAM_BAD, 11 },
	{ "FROM:<a@b> REQUIRETLS=1", SMTP_PARSE_PARAM_BAD, 11 },
	{ "FROM:<a@b> HOLDFOR=0", SMTP_PARSE_PARAM_BAD, 11 },
	{ "FROM:<a@b> HOLDFOR=01", SMTP_PARSE_PARAM_BAD, 11 },
	{ "FROM:<a@b> HOLDFOR=1000000000", SMTP_PARSE_PARAM_BAD, 11 },
	{ "FROM:<a@b> HOLDFOR", SMTP_PARSE_PARAM_BAD, 11 },
	{ "FROM:<a@b> HOLDFOR=-1", SMTP_PARSE_PARAM_BAD, 11 },
	{ "FROM:<a@b> HOLDFOR=1 HOLDUNTIL=2027-01-15T08:00:00Z", SMTP_PARSE_PARAM_BAD, 21 },
	{ "FROM:<a@b> HOLDUNTIL=tomorrow", SMTP_PARSE_PARAM_BAD, 11 },
	{ "FROM:<a@b> MT-PRIORITY=10", SMTP_PARSE_PARAM_BAD, 11 },
	{ "FROM:<a@b> MT-PRIORITY=+1", SMTP_PARSE_PARAM_BAD, 11 },
	{ "FROM:<a@b> MT-PRIORITY=-0", SMTP_PARSE_PARAM_BAD, 11 },
	{ "FROM:<a@b> MT-PRIORITY=-", SMTP_PARSE_PARAM_BAD, 11 },
	{ "FROM:<a@b> MT-PRIORITY=", SMTP_PARSE_PARAM_BAD, 11 },
	{ "FROM:<a@b> FOO", SMTP_PARSE_PARAM_UNKNOWN, 11 },
	{ "FROM:<\xc3\xa4@b>", SMTP_PARSE_NEEDS_UTF8, 11 },
	{ "FROM:<\xc3@b>", SMTP_PARSE_UTF8, 6 },
};

static void mail_arguments(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(mails) / sizeof(mails[0]); i++) {
		struct smtp_path path = { .null = true };
		struct smtp_mail_params params = { .size = 77 };
		size_t at = 0;
		enum smtp_parse r = smtp_parse_mail(slice_str(mails[i].args), &all, &path, &params, &at);

		if (r != mails[i].want || at != mails[i].at)
			fail_msg("%s: %d, at %zu", mails[i].args, r, at);
		if (r != SMTP_PARSE_OK)
			assert_true(path.null && params.size == 77); /* untouched on failure */
	}
}

static const struct {
	const char *args;
	bool smtputf8;
	enum smtp_parse want;
	unsigned notify;
} rcpts[] = {
	{ "TO:<a@b>", false, OK, 0 },
	{ "TO:<postmaster>", false, OK, 0 },
	{ "TO:<POSTMASTER>", false, OK, 0 },
	{ "TO:<abuse>", false, BAD, 0 },
	{ "TO:<>", false, BAD, 0 },
	{ "TO:<a@b> NOTIFY=NEVER", false, OK, SMTP_NOTIFY_NEVER },
	{ "TO:<a@b> NOTIFY=delay,success,FAILURE", false, OK,
	  SMTP_NOTIFY_DELAY | SMTP_NOTIFY_SUCCESS | SMTP_NOTIFY_FAILURE },
	{ "TO:<a@b> NOTIFY=NEVER,SUCCESS", false, SMTP_PARSE_PARAM_BAD, 0 },
	{ "TO:<a@b> NOTIFY=SUCCESS,", false, SMTP_PARSE_PARAM_BAD, 0 },
	{ "TO:<a@b> NOTIFY", false, SMTP_PARSE_PARAM_BAD, 0 },
	{ "TO:<a@b> NOTIFY=NEVER NOTIFY=NEVER", false, SMTP_PARSE_PARAM_TWICE, 0 },
	{ "TO:<a@b> ORCPT=rfc822;a+2Bb@c", false, OK, 0 },
	{ "TO:<a@b> ORCPT=;a", false, SMTP_PARSE_PARAM_BAD, 0 },
	{ "TO:<a@b> ORCPT=rfc822;", false, SMTP_PARSE_PARAM_BAD, 0 },
	{ "TO:<a@b> ORCPT=rfc822;a+2bb", false, SMTP_PARSE_PARAM_BAD, 0 },
	{ "TO:<a@b> ORCPT=utf-8;\\x{C4}@c", false, OK, 0 },
	{ "TO:<a@b> ORCPT=utf-8;\\x{c4}@c", false, SMTP_PARSE_PARAM_BAD, 0 },
	{ "TO:<a@b> ORCPT=utf-8;\xc3\xa4@c", true, OK, 0 },
	{ "TO:<a@b> ORCPT=utf-8;\xc3\xa4@c", false, SMTP_PARSE_PARAM_BAD, 0 },
	{ "TO:<a@b> ORCPT=rfc822;\xc3\xa4@c", true, SMTP_PARSE_PARAM_BAD, 0 },
	{ "TO:<a@b> SIZE=1", false, SMTP_PARSE_PARAM_UNKNOWN, 0 },
	{ "TO:<\xc3\xa4@b>", true, OK, 0 },
	{ "TO:<\xc3\xa4@b>", false, SMTP_PARSE_NEEDS_UTF8, 0 },
};

static void rcpt_arguments(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rcpts) / sizeof(rcpts[0]); i++) {
		struct smtp_path path;
		struct smtp_rcpt_params params = { 0 };
		size_t at = 0;
		enum smtp_parse r = smtp_parse_rcpt(slice_str(rcpts[i].args), &all, rcpts[i].smtputf8, &path,
						    &params, &at);

		if (r != rcpts[i].want || params.notify != rcpts[i].notify)
			fail_msg("%s: %d, at %zu, notify %u", rcpts[i].args, r, at, params.notify);
	}
}

static void values(void **state)
{
	struct smtp_path path;
	struct smtp_mail_params p;
	struct ip ip, want;
	size_t at;

	(void)state;
	assert_int_equal(smtp_parse_mail(SLICE_LIT("FROM:<@r:\"a b\"@[192.0.2.1]> SIZE=12 BODY=8bitmime "
						   "SMTPUTF8 RET=HDRS ENVID=e AUTH=<>"),
					 &all, &path, &p, &at),
			 SMTP_PARSE_OK);
	assert_true(path.quoted && path.literal && !path.null && !path.utf8);
	assert_true(slice_eq(path.local, SLICE_LIT("\"a b\"")));
	assert_true(slice_eq(path.domain, SLICE_LIT("[192.0.2.1]")));
	assert_true(smtp_path_literal(&path, &ip) && ip_parse(SLICE_LIT("192.0.2.1"), &want) &&
		    ip_eq(&ip, &want));
	assert_int_equal(p.size, 12);
	assert_int_equal(p.body, SMTP_BODY_8BITMIME);
	assert_int_equal(p.ret, SMTP_RET_HDRS);
	assert_true(p.smtputf8);
	assert_true(slice_eq(p.envid, SLICE_LIT("e")));
	assert_true(slice_eq(p.auth, SLICE_LIT("<>")));
}

/* What was not announced is not known. */
static void nothing_offered(void **state)
{
	static const char *const params[] = { "SIZE=1",	  "BODY=7BIT", "SMTPUTF8",
					      "RET=FULL", "ENVID=x",   "AUTH=<>" };
	struct smtp_path path;
	struct smtp_mail_params p;
	struct smtp_rcpt_params rp;
	char args[64];
	size_t at;

	(void)state;
	for (size_t i = 0; i < sizeof(params) / sizeof(params[0]); i++) {
		snprintf(args, sizeof(args), "FROM:<a@b> %s", params[i]);
		assert_int_equal(smtp_parse_mail(slice_str(args), &nothing, &path, &p, &at),
				 SMTP_PARSE_PARAM_UNKNOWN);
	}
	assert_int_equal(smtp_parse_rcpt(SLICE_LIT("TO:<a@b> NOTIFY=NEVER"), &nothing, false, &path, &rp,
					 &at),
			 SMTP_PARSE_PARAM_UNKNOWN);
}

static void special_paths(void **state)
{
	struct smtp_path path;
	struct smtp_rcpt_params rp;
	struct buf b;
	size_t at;

	(void)state;
	buf_init(&b, 100);
	path = (struct smtp_path){ .null = true };
	smtp_path_put(&path, &b);
	assert_true(smtp_path_put_canonical(&path, &b));
	assert_int_equal(b.n, 0);
	assert_int_equal(smtp_parse_rcpt(SLICE_LIT("TO:<PostMaster>"), &all, false, &path, &rp, &at),
			 SMTP_PARSE_OK);
	assert_true(smtp_path_put_canonical(&path, &b));
	assert_true(slice_eq(buf_slice(&b), SLICE_LIT("postmaster")));
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bare_addresses),  cmocka_unit_test(mail_arguments),
		cmocka_unit_test(rcpt_arguments),  cmocka_unit_test(values),
		cmocka_unit_test(nothing_offered), cmocka_unit_test(special_paths),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
