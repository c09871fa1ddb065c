/* The table of providers holds what its readers rely on. */
#include "route/providers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_rows_are_whole(void **state)
{
	uint16_t ports[ROUTE_PROVIDER_PORTS];

	(void)state;
	for (size_t i = 0; i < route_n_providers; i++) {
		const struct route_provider *p = &route_providers[i];
		size_t n = route_provider_ports(p, ports), words = 1;

		if (route_provider(slice_str(p->name)) != p)
			fail_msg("%s stands there twice", p->name);
		if (route_provider_of_host(slice_str(p->host)) != p)
			fail_msg("%s: another provider has this host", p->name);
		for (const char *c = p->ports; *c; c++)
			words += *c == ' ';
		if (n == 0 || n != words)
			fail_msg("%s: ports '%s'", p->name, p->ports);
		for (size_t k = 0; k < n; k++)
			if (ports[k] == 25)
				fail_msg("%s: 25 is no port for submission", p->name);
		if (!p->title[0] || !p->mechanisms[0] || !p->user[0])
			fail_msg("%s: something is missing", p->name);
		if (p->password == ROUTE_PASSWORD_OAUTH && !strstr(p->mechanisms, "XOAUTH2"))
			fail_msg("%s: a token, and no mechanism for it", p->name);
	}
}

static void test_looked_up(void **state)
{
	uint16_t ports[ROUTE_PROVIDER_PORTS];

	(void)state;
	assert_string_equal(route_provider_of_domain(SLICE_LIT("GoogleMail.com"))->name, "gmail");
	assert_string_equal(route_provider_of_host(SLICE_LIT("SMTP.gmail.com"))->name, "gmail");
	assert_int_equal(route_provider_ports(route_provider(SLICE_LIT("Gmail")), ports), 2);
	assert_int_equal(ports[0], 587);
	assert_int_equal(ports[1], 465);
	assert_null(route_provider(SLICE_LIT("nobody")));
	assert_null(route_provider_of_domain(SLICE_LIT("mail.com")));
	assert_null(route_provider_of_domain(SLICE_LIT("")));
	assert_null(route_provider_of_host(SLICE_LIT("")));
	assert_string_equal(route_provider_of_mx(SLICE_LIT("ASPMX.l.google.com"))->name, "gmail");
	assert_string_equal(route_provider_of_mx(SLICE_LIT("example-org.mail.protection.outlook.com"))->name,
			    "microsoft365");
	assert_null(route_provider_of_mx(SLICE_LIT("google.com.example.org")));
	assert_null(route_provider_of_mx(SLICE_LIT(".google.com")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows_are_whole),
		cmocka_unit_test(test_looked_up),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
