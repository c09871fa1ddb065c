#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "queue/heap.h"

#define N 300

/* Random moves; the top must always be what a plain search finds. */
static void test_top_is_least(void **state)
{
	struct heap_node node[N] = { 0 };
	uint32_t lcg = 7;
	struct heap h;

	(void)state;
	heap_init(&h);
	assert_null(heap_top(&h));
	assert_true(heap_reserve(&h, N));
	for (int step = 0; step < 20000; step++) {
		struct heap_node *n = &node[(lcg >> 8) % N];
		uint64_t least = UINT64_MAX;
		size_t in = 0;

		if ((lcg >> 20) % 4 == 0)
			heap_remove(&h, n);
		else
			heap_set(&h, n, (lcg >> 4) % 1000);
		for (size_t i = 0; i < N; i++)
			if (heap_has(&node[i])) {
				in++;
				least = node[i].key < least ? node[i].key : least;
			}
		assert_int_equal(h.n, in);
		if (in > 0)
			assert_int_equal(heap_top(&h)->key, least);
		lcg = lcg * 1664525 + 1013904223;
	}
	heap_done(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_top_is_least) };

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
