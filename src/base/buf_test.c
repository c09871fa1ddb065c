#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/buf.h"

static void ceiling(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 5);
	buf_str(&b, "abc");
	assert_int_equal(buf_room(&b), 2);
	buf_str(&b, "def"); /* one too many: nothing of it, and nothing after it */
	assert_false(buf_ok(&b));
	buf_str(&b, "g");
	assert_true(slice_eq(buf_slice(&b), SLICE_LIT("abc")));
	assert_int_equal(buf_room(&b), 0);
	buf_reset(&b);
	buf_str(&b, "hello");
	assert_true(buf_ok(&b));
	assert_true(slice_eq(buf_slice(&b), SLICE_LIT("hello")));
	buf_done(&b);
	buf_done(&b);
}

static void formats(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 4000);
	buf_fmt(&b, "%d %s", 7, "x");
	assert_true(slice_eq(buf_slice(&b), SLICE_LIT("7 x")));
	buf_reset(&b);
	buf_fmt(&b, "%02000d", 1); /* longer than what is tried first */
	assert_int_equal(b.n, 2000);
	assert_int_equal(b.p[b.from + 1999], '1');
	buf_fmt(&b, "%03000d", 1);
	assert_false(buf_ok(&b));
	buf_done(&b);
}

static void decimals(void **state)
{
	static const struct {
		uint64_t v;
		unsigned digits;
		const char *want;
	} rows[] = {
		{ 0, 0, "0" },
		{ 0, 1, "0" },
		{ 7, 3, "007" },
		{ 1234, 3, "1234" },
		{ 90, 2, "90" },
		{ UINT64_MAX, 1, "18446744073709551615" },
		{ 5, 99, "00000000000000000005" },
	};
	struct buf b;

	(void)state;
	buf_init(&b, 64);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		buf_reset(&b);
		buf_dec(&b, rows[i].v, rows[i].digits);
		assert_true(slice_eq(buf_slice(&b), slice_str(rows[i].want)));
	}
	buf_done(&b);
}

/* A queue of bytes: what comes out is what went in, however it moves within. */
static void queue(void **state)
{
	unsigned in = 0, out = 0, seed = 1;
	struct buf b;

	(void)state;
	buf_init(&b, 300);
	for (int i = 0; i < 20000; i++) {
		size_t n = (seed = seed * 1103515245 + 12345) >> 16 & 127;

		if (seed & 0x400000) {
			unsigned char *to;

			n = buf_reserve(&b, n, &to);
			for (size_t k = 0; k < n; k++)
				to[k] = (unsigned char)in++;
			if (n)
				buf_filled(&b, n);
		} else {
			n = n < b.n ? n : b.n;
			for (size_t k = 0; k < n; k++)
				assert_int_equal(buf_slice(&b).p[k], (unsigned char)out++);
			buf_consume(&b, n);
		}
		assert_int_equal(b.n, in - out);
		assert_true(b.cap <= 300 && buf_ok(&b));
	}
	assert_true(out > 1000);
	buf_done(&b);
}

static void reserve_at_the_ceiling(void **state)
{
	unsigned char *to;
	struct buf b;

	(void)state;
	buf_init(&b, 10);
	assert_int_equal(buf_reserve(&b, 20, &to), 10);
	memset(to, 'x', 10);
	buf_filled(&b, 10);
	assert_int_equal(buf_reserve(&b, 1, &to), 0);
	assert_true(buf_ok(&b)); /* full is not failed */
	buf_consume(&b, 9);
	assert_int_equal(buf_reserve(&b, 20, &to), 9);
	assert_true(slice_eq(buf_slice(&b), SLICE_LIT("x")));
	buf_wipe(&b);
	assert_int_equal(b.n, 0);
	buf_str(&b, "again");
	assert_true(slice_eq(buf_slice(&b), SLICE_LIT("again")));
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ceiling),
		cmocka_unit_test(formats),
		cmocka_unit_test(decimals),
		cmocka_unit_test(queue),
		cmocka_unit_test(reserve_at_the_ceiling),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
