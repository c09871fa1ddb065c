#include "base/turn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static uint64_t now;

static uint64_t test_clock(void)
{
	return now;
}

static const char a[] = "a", b[] = "b";

static void nothing_named(void **state)
{
	(void)state;
	now += 2;
	assert_null(turn_end().what);
}

static void what_took_most_is_named(void **state)
{
	struct turn_share most;

	(void)state;
	turn_doing(a);
	now += 3;
	turn_doing(NULL);
	now += 20; /* of nobody */
	turn_doing(b);
	now += 1;
	assert_ptr_equal(turn_doing(NULL), b);
	most = turn_end();
	assert_ptr_equal(most.what, a);
	assert_true(most.ns == 3);
	/* The next turn begins with nothing. */
	assert_null(turn_end().what);
}

static void many_small_pieces_add_up(void **state)
{
	struct turn_share most;

	(void)state;
	turn_doing(b);
	now += 3;
	for (int i = 0; i < 10; i++) {
		turn_doing(a);
		now += 1;
		turn_doing(NULL);
	}
	most = turn_end();
	assert_ptr_equal(most.what, a);
	assert_int_equal(most.times, 10);
	assert_true(most.ns == 10);
}

/* Work within work: the outer one goes on where it was. */
static void pieces_nest(void **state)
{
	const char *before;
	struct turn_share most;

	(void)state;
	turn_doing(a);
	now += 2;
	before = turn_doing(b);
	now += 1;
	turn_doing(before);
	now += 2;
	most = turn_end();
	assert_ptr_equal(most.what, a);
	assert_true(most.ns == 4);
}

static void too_many_names_lose_only_theirs(void **state)
{
	static const char names[100];

	(void)state;
	turn_doing(a);
	now += 2;
	for (int i = 0; i < 100; i++)
		turn_doing(&names[i]);
	turn_doing(a);
	assert_ptr_equal(turn_end().what, a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_named),
		cmocka_unit_test(what_took_most_is_named),
		cmocka_unit_test(many_small_pieces_add_up),
		cmocka_unit_test(pieces_nest),
		cmocka_unit_test(too_many_names_lose_only_theirs),
	};

	turn_clock(test_clock);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
