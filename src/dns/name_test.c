#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "dns/dns.h"

#define L63 "abcdefghijklmnopqrstuvwxyz-0123456789-abcdefghijklmnopqrstuvwxy"

static const struct {
	const char *text, *parsed; /* NULL: refused */
	bool host;
} names[] = {
	{ "example.org", "example.org", true },
	{ "EXAMPLE.Org.", "example.org", true },
	{ ".", "", false },
	{ "localhost", "localhost", true },
	{ "_25._tcp.mx.example.org", "_25._tcp.mx.example.org", true },
	{ "a+b.example", "a+b.example", false },
	{ "-a.example", "-a.example", false },
	{ "a-.example", "a-.example", false },
	{ "192.0.2.1", "192.0.2.1", false },
	{ "192.0.2.1a", "192.0.2.1a", true },
	{ L63 ".example", L63 ".example", true },
	{ L63 "a.example", NULL, false },
	{ L63 "." L63 "." L63 ".abcdefghijklmnopqrstuvwxyz-0123456789-abcdefghijklmnopqrstuvw",
	  L63 "." L63 "." L63 ".abcdefghijklmnopqrstuvwxyz-0123456789-abcdefghijklmnopqrstuvw", true },
	{ L63 "." L63 "." L63 ".abcdefghijklmnopqrstuvwxyz-0123456789-abcdefghijklmnopqrstuvwx", NULL,
	  false },
	{ "", NULL, false },
	{ "..", NULL, false },
	{ ".a", NULL, false },
	{ "a..b", NULL, false },
	{ "a b", NULL, false },
	{ "a\\.b", NULL, false },
	{ "b\xc3\xbc"
	  "cher.example",
	  NULL, false },
};

static void parsing(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct dns_name n;

		if (dns_name_parse(slice_str(names[i].text), &n) != (names[i].parsed != NULL))
			fail_msg("'%s'", names[i].text);
		if (!names[i].parsed)
			continue;
		assert_string_equal(n.text, names[i].parsed);
		assert_int_equal(n.n, strlen(n.text));
		if (dns_name_is_host(&n) != names[i].host)
			fail_msg("'%s' as a host", names[i].text);
	}
	assert_false(dns_name_parse(slice_of("a\0b", 3), &(struct dns_name){ 0 }));
}

static const struct {
	const char *text, *parsed;
} written[] = {
	{ "b\xc3\xbc"
	  "cher.example",
	  "xn--bcher-kva.example" },
	{ "B\xc3\x9c"
	  "CHER.Example",
	  "xn--bcher-kva.example" },
	{ "xn--bcher-kva.example", "xn--bcher-kva.example" },
	{ "\xe4\xbe\x8b\xe3\x81\x88\xe3\x80\x82\xe3\x83\x86\xe3\x82\xb9\xe3\x83\x88",
	  "xn--r8jz45g.xn--zckzah" },
	{ "example\xe3\x80\x82org", "example.org" }, /* an ideographic full stop */
	{ "a\xef\xbc\xa0.example", "a@.example" },   /* a full-width one: a name, but no host's */
	{ "a\xff.example", NULL },		     /* no UTF-8 */
	{ "example.org", "example.org" },
	{ "", NULL },
};

static void from_users(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(written) / sizeof(written[0]); i++) {
		struct dns_name n;
		int r = dns_name_from_user(slice_str(written[i].text), &n);

		if (r != (written[i].parsed ? 0 : -EINVAL))
			fail_msg("'%s': %d", written[i].text, r);
		if (r == 0)
			assert_string_equal(n.text, written[i].parsed);
	}
}

static void made_of_others(void **state)
{
	struct dns_name host, n;
	struct ip ip;

	(void)state;
	assert_true(dns_name_parse(SLICE_LIT("mx.example.org"), &host));
	assert_true(dns_name_tlsa(&host, 25, &n));
	assert_string_equal(n.text, "_25._tcp.mx.example.org");
	assert_true(dns_name_parse(slice_str(&(L63 "." L63 "." L63 "." L63)[5]), &host));
	assert_false(dns_name_tlsa(&host, 25, &n));
	assert_true(dns_name_parse(SLICE_LIT("."), &host));
	assert_false(dns_name_tlsa(&host, 25, &n));

	assert_true(ip_parse(SLICE_LIT("192.0.2.1"), &ip));
	dns_name_reverse(&ip, &n);
	assert_string_equal(n.text, "1.2.0.192.in-addr.arpa");
	assert_int_equal(n.n, strlen(n.text));
	assert_true(ip_parse(SLICE_LIT("2001:db8::567:89ab"), &ip));
	dns_name_reverse(&ip, &n);
	assert_string_equal(n.text,
			    "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
	assert_int_equal(n.n, strlen(n.text));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parsing),
		cmocka_unit_test(from_users),
		cmocka_unit_test(made_of_others),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
