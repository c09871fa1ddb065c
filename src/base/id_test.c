#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/id.h"

#define NOW UINT64_C(1795304383123)

/* More than a millisecond's worth, and a clock that stands still, jumps and goes back. */
static void sorted_and_unique(void **state)
{
	struct id_source src;
	struct id last = { "" };
	uint64_t now = NOW;

	(void)state;
	id_source_init(&src, 3);
	for (int i = 0; i < 200000; i++) {
		struct id id;
		uint64_t before = src.last_ms;

		if (i == 100000)
			now += 5000;
		if (i == 150000)
			now -= 4000;
		id = id_next(&src, now);
		assert_int_equal(strlen(id.text), ID_LEN);
		/* Sorted by time; within one millisecond the counter may begin anywhere, but not repeat. */
		if (src.last_ms != before || i == 0)
			assert_true(strcmp(id.text, last.text) > 0);
		else
			assert_string_not_equal(id.text, last.text);
		last = id;
	}
}

static void all_different(void **state)
{
	static struct id ids[70000];
	struct id_source src;

	(void)state;
	id_source_init(&src, 0);
	for (size_t i = 0; i < 70000; i++)
		ids[i] = id_next(&src, NOW);
	qsort(ids, 70000, sizeof(ids[0]), (int (*)(const void *, const void *))(void (*)(void))strcmp);
	for (size_t i = 1; i < 70000; i++)
		assert_string_not_equal(ids[i - 1].text, ids[i].text);
}

static void time_and_process(void **state)
{
	struct id_source a, b;
	struct id one, two;

	(void)state;
	id_source_init(&a, 1);
	id_source_init(&b, 2);
	b.counter = a.counter;
	one = id_next(&a, NOW);
	two = id_next(&b, NOW);
	assert_int_equal(id_time_ms(&one), NOW);
	assert_string_not_equal(one.text, two.text);
	one = id_next(&a, 0); /* a clock before 2020: never back */
	assert_true(id_time_ms(&one) >= NOW);
}

static void reading(void **state)
{
	static const char *const bad[] = { "",
					   "0",
					   "0123456789ABC0",
					   "0123456789AB",
					   "0123456789abc",
					   "0123456789ABI",
					   "0123456789ABO",
					   "0123456789AB/" };
	struct id id;

	(void)state;
	assert_true(id_parse(SLICE_LIT("0123456789ABC"), &id));
	assert_string_equal(id.text, "0123456789ABC");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(id_parse(slice_str(bad[i]), &id));
	assert_false(id_parse(SLICE_LIT("0123456789AB\0"), &id));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sorted_and_unique),
		cmocka_unit_test(all_different),
		cmocka_unit_test(time_and_process),
		cmocka_unit_test(reading),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
