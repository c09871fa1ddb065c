#include "receive/ip_count.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static struct ip ip_of(const char *text)
{
	struct ip ip = { 0 };

	assert_true(ip_parse(slice_str(text), &ip));
	return ip;
}

static void test_count(void **state)
{
	struct ip_count c;
	struct ip a = ip_of("192.0.2.1"), b = ip_of("192.0.2.2"), none = { 0 };
	struct ip v6 = ip_of("2001:db8::1"), same = ip_of("2001:db8::ffff:1"),
		  other = ip_of("2001:db8:0:1::1");

	(void)state;
	assert_int_equal(ip_count_init(&c), 0);
	assert_int_equal(ip_count_add(&c, &a, 0), 1);
	assert_int_equal(ip_count_add(&c, &a, 0), 2);
	assert_int_equal(ip_count_add(&c, &b, 0), 1);
	/* One /64 is one peer. */
	assert_int_equal(ip_count_add(&c, &v6, 0), 1);
	assert_int_equal(ip_count_add(&c, &same, 0), 2);
	assert_int_equal(ip_count_add(&c, &other, 0), 1);
	/* Local users count by uid. */
	assert_int_equal(ip_count_add(&c, &none, 1000), 1);
	assert_int_equal(ip_count_add(&c, &none, 1001), 1);
	assert_int_equal(ip_count_add(&c, &none, 1000), 2);

	ip_count_remove(&c, &a, 0);
	assert_int_equal(ip_count_add(&c, &a, 0), 2);
	ip_count_remove(&c, &b, 0);
	ip_count_remove(&c, &b, 0); /* one too many is harmless */
	assert_int_equal(ip_count_add(&c, &b, 0), 1);
	ip_count_done(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_count) };

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
