#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/wire.h"

static void there_and_back(void **state)
{
	struct slice cur, bytes;
	uint64_t u64;
	uint32_t u32;
	uint16_t u16;
	uint8_t u8;
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	wire_put_u8(&b, 0xfe);
	wire_put_u16(&b, 0xfedc);
	wire_put_u32(&b, 0xfedcba98);
	wire_put_u64(&b, UINT64_MAX - 1);
	wire_put_bytes(&b, SLICE_LIT("a\0b"));
	wire_put_bytes(&b, SLICE_LIT(""));
	assert_int_equal(b.n, 1 + 2 + 4 + 8 + 4 + 3 + 4);
	assert_memory_equal(buf_slice(&b).p + 1, "\xdc\xfe", 2); /* little-endian */
	cur = buf_slice(&b);
	assert_true(wire_u8(&cur, &u8) && u8 == 0xfe);
	assert_true(wire_u16(&cur, &u16) && u16 == 0xfedc);
	assert_true(wire_u32(&cur, &u32) && u32 == 0xfedcba98);
	assert_true(wire_u64(&cur, &u64) && u64 == UINT64_MAX - 1);
	assert_true(wire_bytes(&cur, 3, &bytes) && slice_eq(bytes, SLICE_LIT("a\0b")));
	assert_true(wire_bytes(&cur, 0, &bytes) && bytes.n == 0);
	assert_int_equal(cur.n, 0);
	buf_done(&b);
}

/* Short, too long, or lying about its length: nothing is taken, nothing touched. */
static void refused(void **state)
{
	struct slice cur = SLICE_LIT("\3\0\0"), bytes = SLICE_LIT("old");
	uint64_t u64 = 7;
	uint32_t u32 = 7;

	(void)state;
	assert_false(wire_u32(&cur, &u32));
	assert_false(wire_u64(&cur, &u64));
	assert_false(wire_bytes(&cur, 100, &bytes));
	cur = SLICE_LIT("\4\0\0\0abc");
	assert_false(wire_bytes(&cur, 100, &bytes));
	assert_int_equal(cur.n, 7);
	cur = SLICE_LIT("\3\0\0\0abc");
	assert_false(wire_bytes(&cur, 2, &bytes));
	assert_int_equal(cur.n, 7);
	cur = SLICE_LIT("\xff\xff\xff\xff"
			"abc");
	assert_false(wire_bytes(&cur, SIZE_MAX, &bytes));
	assert_true(u32 == 7 && u64 == 7 && slice_eq(bytes, SLICE_LIT("old")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
