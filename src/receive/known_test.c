#include "receive/known.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static struct ip ip4(unsigned n)
{
	return (struct ip){ .family = 4, .byte = { 10, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n } };
}

static void test_age(void **state)
{
	struct known k;
	struct ip a = ip4(1), b = ip4(2);

	(void)state;
	assert_int_equal(known_init(&k, 10, 1000), 0);
	assert_false(known_has(&k, &a, 0));
	known_plain(&k, &a, 5000);
	assert_true(known_has(&k, &a, 6000));
	assert_false(known_has(&k, &b, 6000));
	assert_false(known_has(&k, &a, 6001));
	assert_int_equal(k.map.n, 0);
	/* Seen again: young again. */
	known_plain(&k, &a, 7000);
	known_plain(&k, &a, 7900);
	assert_true(known_has(&k, &a, 8900));
	known_done(&k);
}

/* Where one client speaks TLS first, the greeting is held for all, for as long. */
static void test_mixed(void **state)
{
	struct known k;
	struct ip a = ip4(1);

	(void)state;
	assert_int_equal(known_init(&k, 10, 1000), 0);
	known_plain(&k, &a, 100);
	known_tls(&k, &a, 200);
	assert_false(known_has(&k, &a, 200));
	known_plain(&k, &a, 300);
	assert_false(known_has(&k, &a, 300));
	known_plain(&k, &a, 1200);
	assert_false(known_has(&k, &a, 1200));
	known_plain(&k, &a, 1201);
	assert_true(known_has(&k, &a, 1201));
	known_done(&k);
}

static void test_ceiling(void **state)
{
	struct known k;
	struct ip ip;

	(void)state;
	assert_int_equal(known_init(&k, 100, 100000), 0);
	for (unsigned i = 0; i < 1000; i++) {
		struct ip first = ip4(0);

		ip = ip4(i);
		known_plain(&k, &ip, i);
		known_plain(&k, &first, i); /* seen all the time: never the oldest */
		assert_true(k.map.n <= 100);
	}
	ip = ip4(0);
	assert_true(known_has(&k, &ip, 1000));
	ip = ip4(999);
	assert_true(known_has(&k, &ip, 1000));
	ip = ip4(900);
	assert_false(known_has(&k, &ip, 1000));
	known_done(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_age),
		cmocka_unit_test(test_mixed),
		cmocka_unit_test(test_ceiling),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
