/* URLs of servers that take submissions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "submit/provider.h"

static const struct {
	const char *url, *user, *host;
	uint16_t port;
	bool implicit;
	const char *path;
} good[] = {
	{ "smtp://mail.example.org", "", "mail.example.org", 0, false, "" },
	{ "SMTP://mail.example.org/", "", "mail.example.org", 0, false, "" },
	{ "smtps://mail.example.org", "", "mail.example.org", 465, true, "" },
	{ "smtps://bob@mail.example.org:8465", "bob", "mail.example.org", 8465, true, "" },
	{ "smtp://bob%40example.org@mail.example.org:587", "bob@example.org", "mail.example.org", 587, false,
	  "" },
	{ "smtp://bob@example.org@mail.example.org", "bob@example.org", "mail.example.org", 0, false, "" },
	{ "smtp://a%3Ab%25%c3%bc@192.0.2.1:2525", "a:b%\xc3\xbc", "192.0.2.1", 2525, false, "" },
	{ "smtp://[2001:db8::1]:587", "", "2001:db8::1", 587, false, "" },
	{ "smtp://[2001:db8::1]", "", "2001:db8::1", 0, false, "" },
	{ "smtp://m\xc3\xbcller.example", "", "m\xc3\xbcller.example", 0, false, "" },
	{ "unix:/run/postern/submit.sock", "", "", 0, false, "/run/postern/submit.sock" },
};

static void test_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct provider p;
		const char *why = provider_url(slice_str(good[i].url), &p);

		if (why)
			fail_msg("%s: %s", good[i].url, why);
		assert_string_equal(p.user, good[i].user);
		assert_string_equal(p.host, good[i].host);
		assert_string_equal(p.path, good[i].path);
		assert_int_equal(p.port, good[i].port);
		assert_int_equal(p.implicit_tls, good[i].implicit);
	}
}

static const struct {
	const char *url, *words;
} bad[] = {
	{ "", "begins with" },
	{ "mail.example.org", "begins with" },
	{ "http://mail.example.org", "begins with" },
	{ "smtp:mail.example.org", "begins with" },
	{ "smtp://", "names no host" },
	{ "smtp://bob@", "names no host" },
	{ "smtp://@mail.example.org", "no user" },
	{ "smtp://bob:secret@mail.example.org", "a password in a URL" },
	{ "smtp://bob:@mail.example.org", "a password in a URL" },
	{ "smtp://bob%4@mail.example.org", "two hexadecimal digits" },
	{ "smtp://bob%4", "no name of a host" },
	{ "smtp://bob%0d%0aQUIT@mail.example.org", "control character" },
	{ "smtp://bob%00@mail.example.org", "control character" },
	{ "smtp://mail.example.org:", "no port" },
	{ "smtp://mail.example.org:0", "no port" },
	{ "smtp://mail.example.org:65536", "no port" },
	{ "smtp://mail.example.org:587x", "no port" },
	{ "smtp://mail.example.org:25", "servers among each other" },
	{ "smtps://mail.example.org:25", "servers among each other" },
	{ "smtp://mail.example.org:465", "smtps://" },
	{ "smtp://mail.example.org/path", "nothing may stand behind" },
	{ "smtp://mail.example.org?tls=off", "nothing may stand behind" },
	{ "smtp://mail example.org", "no name of a host" },
	{ "smtp://-mail.example.org", "no name of a host" },
	{ "smtp://2001:db8::1", "no port" },
	{ "smtp://[mail.example.org]", "no address" },
	{ "smtp://[2001:db8::1", "no address" },
	{ "smtp://[2001:db8::1]x", "no port" },
	{ "unix:submit.sock", "the whole path" },
	{ "unix:", "the whole path" },
};

static void test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct provider p;
		const char *why;

		memset(&p, 0x5a, sizeof(p));
		why = provider_url(slice_str(bad[i].url), &p);
		if (!why || !strstr(why, bad[i].words))
			fail_msg("%s: %s", bad[i].url, why ? why : "taken");
		assert_int_equal(p.port, 0x5a5a); /* untouched */
	}
}

static void test_known(void **state)
{
	static const struct {
		const char *name, *user, *host,
			*gets; /* host NULL: refused, with words that begin as in gets */
	} table[] = {
		{ "gmail", "me@example.org", "smtp.gmail.com", "me@example.org" },
		{ "GMail", "me@gmail.com", "smtp.gmail.com", "me@gmail.com" },
		{ "googlemail.com", "me@googlemail.com", "smtp.gmail.com", "me@googlemail.com" },
		{ "me@gmx.de", "", "mail.gmx.net", "me@gmx.de" },
		{ "me@Web.DE", "other", "smtp.web.de", "other" },
		{ "me@comcast.net", "", "smtp.comcast.net", "me" },
		{ "sendgrid", "", "smtp.sendgrid.net", "apikey" },
		{ "gmail", "", NULL, "as which user?" },
		{ "@gmail.com", "", NULL, "as which user?" },
		{ "mailjet", "", NULL, "as which user?" },
		{ "gmial", "me", NULL, "no such provider" },
		{ "me@example.org", "", NULL, "no such provider" },
		{ "me@gmail", "", NULL, "no such provider" },
		{ "", "me", NULL, "no such provider" },
		{ "gmail", "me\r\nQUIT", NULL, "the user is too long" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct provider p = { .port = 7 };
		const char *why = provider_known(slice_str(table[i].name), slice_str(table[i].user), &p);

		if (!table[i].host) {
			if (!why || strncmp(why, table[i].gets, strlen(table[i].gets)) != 0)
				fail_msg("%s: %s", table[i].name, why ? why : p.user);
			assert_int_equal(p.port, 7); /* untouched */
			continue;
		}
		if (why)
			fail_msg("%s: %s", table[i].name, why);
		assert_string_equal(p.host, table[i].host);
		assert_string_equal(p.user, table[i].gets);
		assert_non_null(p.known);
		assert_int_equal(p.port, 0);
		assert_string_equal(p.path, "");
	}
}

static void test_ceilings(void **state)
{
	char url[1200];
	struct provider p;

	(void)state;
	memset(url, 'a', sizeof(url));
	memcpy(url, "smtp://", 7);
	memcpy(url + 7 + PROVIDER_USER_MAX, "@host", 6);
	assert_null(provider_url(slice_str(url), &p));
	assert_int_equal(strlen(p.user), PROVIDER_USER_MAX);
	memcpy(url + 7 + PROVIDER_USER_MAX, "a@host", 7);
	assert_non_null(strstr(provider_url(slice_str(url), &p), "too long"));
	url[7 + 255] = '\0';
	assert_null(provider_url(slice_str(url), &p));
	url[7 + 255] = 'a';
	url[7 + 256] = '\0';
	assert_non_null(provider_url(slice_str(url), &p));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_ceilings),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
