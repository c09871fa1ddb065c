#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "queue/bounce_pace.h"

#define T0  UINT64_C(1800000000000)
#define ANN SLICE_LIT("ann@example.org")
#define BOB SLICE_LIT("bob@example.org")

/* A burst goes at once; what comes after it waits its turn, and others are not behind it. */
static void test_one_sender(void **state)
{
	struct bounce_pace p;

	(void)state;
	assert_int_equal(bounce_pace_init(&p), 0);
	for (unsigned i = 0; i < BOUNCE_PACE_BURST; i++)
		assert_int_equal(bounce_pace_take(&p, ANN, T0), T0);
	assert_false(bounce_pace_free(&p, ANN, T0));
	assert_true(bounce_pace_free(&p, BOB, T0));
	assert_int_equal(bounce_pace_take(&p, ANN, T0), T0 + BOUNCE_PACE_MS);
	assert_int_equal(bounce_pace_take(&p, ANN, T0), T0 + 2 * BOUNCE_PACE_MS);
	assert_int_equal(bounce_pace_take(&p, BOB, T0), T0);
	/* Rest makes a new burst. */
	assert_int_equal(bounce_pace_take(&p, ANN, T0 + 2 * BOUNCE_PACE_BURST * BOUNCE_PACE_MS),
			 T0 + 2 * BOUNCE_PACE_BURST * BOUNCE_PACE_MS);
	bounce_pace_done(&p);
}

/* However many senders: so many in a second, and no more, and none of them is left out. */
static void test_all(void **state)
{
	struct bounce_pace p;
	uint64_t last = 0;
	unsigned at_once = 0;

	(void)state;
	assert_int_equal(bounce_pace_init(&p), 0);
	for (unsigned i = 0; i < 2 * BOUNCE_PACE_SENDERS; i++) {
		char name[40];
		uint64_t at;

		snprintf(name, sizeof(name), "u%u@example.org", i);
		at = bounce_pace_take(&p, slice_str(name), T0);
		assert_true(at >= last);
		at_once += at == T0;
		last = at;
	}
	assert_int_equal(at_once, BOUNCE_PACE_ALL_BURST);
	assert_int_equal(last, T0 + (2 * BOUNCE_PACE_SENDERS - BOUNCE_PACE_ALL_BURST) * BOUNCE_PACE_ALL_MS);
	assert_true(p.senders.n <= BOUNCE_PACE_SENDERS);
	/* Who had nothing since makes room. */
	bounce_pace_take(&p, ANN, last + 1);
	assert_int_equal(p.senders.n, 1);
	bounce_pace_done(&p);
}

static void test_clock(void **state)
{
	struct bounce_pace p;

	(void)state;
	assert_int_equal(bounce_pace_init(&p), 0);
	for (unsigned i = 0; i < BOUNCE_PACE_BURST; i++)
		bounce_pace_take(&p, ANN, T0);
	bounce_pace_shift(&p, -3600000);
	assert_int_equal(bounce_pace_take(&p, ANN, T0 - 3600000), T0 - 3600000 + BOUNCE_PACE_MS);
	bounce_pace_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_sender),
		cmocka_unit_test(test_all),
		cmocka_unit_test(test_clock),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
