#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "send/recall.h"

static void test_for_a_while(void **state)
{
	struct slice host = SLICE_LIT("mx.test");
	struct recall r;
	uint32_t v = 0;

	(void)state;
	assert_int_equal(recall_init(&r), 0);
	assert_false(recall_has(&r, RECALL_FAILED, host, 0));
	recall_put(&r, RECALL_FAILED, host, 0, 100);
	recall_put(&r, RECALL_PORT, host, 465, 200);
	assert_true(recall_has(&r, RECALL_FAILED, host, 99));
	assert_false(recall_has(&r, RECALL_FAILED, host, 100));
	assert_true(recall_get(&r, RECALL_PORT, host, 150, &v));
	assert_int_equal(v, 465);
	recall_put(&r, RECALL_PORT, host, 2525, 300);
	assert_true(recall_get(&r, RECALL_PORT, host, 250, &v));
	assert_int_equal(v, 2525);
	recall_forget(&r, RECALL_PORT, host);
	assert_false(recall_has(&r, RECALL_PORT, host, 0));
	recall_put(&r, RECALL_IPV6_LOST, SLICE_LIT(""), 0, 100);
	assert_true(recall_has(&r, RECALL_IPV6_LOST, SLICE_LIT(""), 0));
	recall_done(&r);
}

static void test_ceiling(void **state)
{
	char name[32];
	struct recall r;

	(void)state;
	assert_int_equal(recall_init(&r), 0);
	for (int i = 0; i < RECALL_MAX + 10; i++) {
		snprintf(name, sizeof(name), "host%d", i);
		recall_put(&r, RECALL_FAILED, slice_str(name), 0, 100);
	}
	assert_int_equal(r.n, RECALL_MAX);
	assert_false(recall_has(&r, RECALL_FAILED, SLICE_LIT("host9"), 0));
	assert_true(recall_has(&r, RECALL_FAILED, SLICE_LIT("host10"), 0));
	assert_true(recall_has(&r, RECALL_FAILED, slice_str(name), 0));
	recall_done(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_for_a_while),
					    cmocka_unit_test(test_ceiling) };

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
