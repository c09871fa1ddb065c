#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/map.h"

#define N 2000

struct element {
	struct map_node node;
	uint32_t key;
	bool in;
};

static struct slice key_of(const uint32_t *key)
{
	return slice_of(key, sizeof(*key));
}

/* Against a table that is beyond doubt: an array. */
static void as_an_array(void **state)
{
	static struct element e[N];
	unsigned seed = 1;
	struct map_node *again;
	size_t n = 0, seen = 0;
	struct map m;

	(void)state;
	assert_int_equal(map_init(&m), 0);
	for (uint32_t i = 0; i < 50000; i++) {
		uint32_t k = (seed = seed * 1103515245 + 12345) >> 8 & 0xffff;
		struct element *at = &e[k % N];

		at->key = k % N;
		if (at->in)
			map_remove(&m, &at->node);
		else
			map_insert(&m, &at->node, key_of(&at->key));
		at->in = !at->in;
		n = at->in ? n + 1 : n - 1;
		assert_int_equal(m.n, n);
		assert_ptr_equal(map_find(&m, key_of(&at->key)), at->in ? &at->node : NULL);
	}
	for (struct map_node *at = map_next(&m, NULL); at; at = map_next(&m, at))
		seen++;
	assert_int_equal(seen, n);
	for (uint32_t k = 0; k < N; k++)
		if (e[k].in)
			assert_ptr_equal(map_find(&m, key_of(&k)), &e[k].node);
	/* What comes in while the table is being emptied goes out with the rest. */
	for (seen = 0; (again = map_take_any(&m)); seen++)
		if (seen % 3 == 2 && seen < 300) {
			map_insert(&m, again, again->key);
			n++;
		}
	assert_int_equal(seen, n);
	assert_int_equal(m.n, 0);
	map_done(&m);
}

static void odd_keys(void **state)
{
	struct map_node empty, nul, longer;
	struct map m;

	(void)state;
	assert_int_equal(map_init(&m), 0);
	assert_null(map_next(&m, NULL));
	assert_null(map_take_any(&m));
	map_insert(&m, &empty, slice_of(NULL, 0));
	map_insert(&m, &nul, SLICE_LIT("\0"));
	map_insert(&m, &longer, SLICE_LIT("\0\0"));
	assert_ptr_equal(map_find(&m, SLICE_LIT("")), &empty);
	assert_ptr_equal(map_find(&m, SLICE_LIT("\0")), &nul);
	assert_ptr_equal(map_find(&m, SLICE_LIT("\0\0")), &longer);
	assert_null(map_find(&m, SLICE_LIT("\0\0\0")));
	map_done(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_an_array),
		cmocka_unit_test(odd_keys),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
