#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/ip.h"

static const struct {
	const char *text, *shown; /* NULL: refused */
} addresses[] = {
	{ "192.0.2.1", "192.0.2.1" },
	{ "2001:DB8:0:0:0:0:0:1", "2001:db8::1" },
	{ "::ffff:192.0.2.1", "192.0.2.1" }, /* mapped: IPv4, whichever way it came */
	{ "::", "::" },
	{ "192.0.2.256", NULL },
	{ "192.0.2", NULL },
	{ "192.0.2.1 ", NULL },
	{ "2001:db8::1%eth0", NULL },
	{ "", NULL },
	{ "1:2:3:4:5:6:7:8:9", NULL },
};

static void reading_and_showing(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		char text[IP_TEXT_MAX];
		struct ip ip;

		if (ip_parse(slice_str(addresses[i].text), &ip) != (addresses[i].shown != NULL))
			fail_msg("'%s'", addresses[i].text);
		if (addresses[i].shown)
			assert_string_equal(ip_format(&ip, text), addresses[i].shown);
	}
}

static const struct {
	const char *net, *ip;
	bool ok, has;
} nets[] = {
	{ "192.0.2.0/24", "192.0.2.255", true, true },
	{ "192.0.2.0/24", "192.0.3.0", true, false },
	{ "192.0.2.128/25", "192.0.2.127", true, false },
	{ "192.0.2.1", "192.0.2.1", true, true },
	{ "192.0.2.1", "192.0.2.2", true, false },
	{ "0.0.0.0/0", "203.0.113.9", true, true },
	{ "0.0.0.0/0", "2001:db8::1", true, false },
	{ "192.0.2.0/24", "::ffff:192.0.2.7", true, true },
	{ "2001:db8::/33", "2001:db8:8000::1", true, false },
	{ "2001:db8::/32", "2001:db8:8000::1", true, true },
	{ "::/0", "192.0.2.1", true, false },
	{ "192.0.2.1/24", NULL, false, false }, /* bits behind the prefix: a typing error */
	{ "192.0.2.0/33", NULL, false, false },
	{ "192.0.2.0/", NULL, false, false },
	{ "192.0.2.0/24x", NULL, false, false },
	{ "/24", NULL, false, false },
};

static void networks(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(nets) / sizeof(nets[0]); i++) {
		struct ip_net net;
		struct ip ip;

		if (ip_net_parse(slice_str(nets[i].net), &net) != nets[i].ok)
			fail_msg("'%s'", nets[i].net);
		if (!nets[i].ok)
			continue;
		assert_true(ip_parse(slice_str(nets[i].ip), &ip));
		if (ip_net_has(&net, &ip) != nets[i].has)
			fail_msg("'%s' and '%s'", nets[i].net, nets[i].ip);
	}
}

static void sockaddrs(void **state)
{
	static const char *const texts[] = { "192.0.2.1", "2001:db8::1" };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct sockaddr_storage sa;
		struct ip ip, back;

		assert_true(ip_parse(slice_str(texts[i]), &ip));
		ip_to_sockaddr(&ip, 25, &sa);
		assert_true(ip_from_sockaddr((struct sockaddr *)&sa, &back) && ip_eq(&ip, &back));
		assert_int_equal(((struct sockaddr_in *)&sa)->sin_port, htons(25));
	}
}

static void loopback(void **state)
{
	static const char *const yes[] = { "127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1" };
	static const char *const no[] = { "126.0.0.1", "128.0.0.1", "::2", "::", "192.0.2.1" };
	struct ip ip;

	(void)state;
	for (size_t i = 0; i < 4; i++)
		assert_true(ip_parse(slice_str(yes[i]), &ip) && ip_is_loopback(&ip));
	for (size_t i = 0; i < 5; i++)
		assert_true(ip_parse(slice_str(no[i]), &ip) && !ip_is_loopback(&ip));
}

/* What a name server may say, and no mail can be sent to. */
static void nobodys(void **state)
{
	static const struct {
		const char *text;
		bool unspecified, no_host;
	} rows[] = {
		{ "0.0.0.0", true, false },    { "0.1.2.3", true, false },
		{ "::", true, false },	       { "224.0.0.1", false, true },
		{ "240.0.0.1", false, true },  { "255.255.255.255", false, true },
		{ "ff02::1", false, true },    { "fe80::1", false, true },
		{ "febf::1", false, true },    { "192.0.2.1", false, false },
		{ "127.0.0.1", false, false }, { "223.255.255.255", false, false },
		{ "fec0::1", false, false },   { "fd00::1", false, false },
		{ "::1", false, false },
	};
	struct ip ip, mapped = { .family = 6, .byte = { [10] = 0xff, [11] = 0xff, 127, 0, 0, 9 } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_true(ip_parse(slice_str(rows[i].text), &ip));
		assert_int_equal(ip_is_unspecified(&ip), rows[i].unspecified);
		assert_int_equal(ip_is_no_host(&ip), rows[i].no_host);
	}
	ip_unmap(&mapped);
	assert_int_equal(mapped.family, 4);
	assert_true(ip_is_loopback(&mapped));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reading_and_showing),
		cmocka_unit_test(networks),
		cmocka_unit_test(sockaddrs),
		cmocka_unit_test(loopback),
		cmocka_unit_test(nobodys),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
