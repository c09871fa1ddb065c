/* parts_test.c - checksum and index, against what is known or simple. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <sodium.h>
#include <string.h>

#include "base/crc32c.h"
#include "spool/index.h"

struct known {
	const char *text;
	uint32_t crc;
};

/* The first from RFC 3720 B.4's generator (check value of CRC-32C). */
static const struct known knowns[] = {
	{ "123456789", 0xe3069283 },
	{ "", 0 },
	{ "a", 0xc1d04330 },
};

static void checksums_are_the_known_ones(void **state)
{
	static const unsigned char zeros[32];

	(void)state;
	for (size_t i = 0; i < sizeof(knowns) / sizeof(knowns[0]); i++) {
		assert_int_equal(crc32c(0, slice_str(knowns[i].text)), knowns[i].crc);
		assert_int_equal(crc32c_portable(0, slice_str(knowns[i].text)), knowns[i].crc);
	}
	assert_int_equal(crc32c(0, slice_of(zeros, 32)), 0x8a9136aa); /* RFC 3720 B.4 */
}

static void both_ways_and_in_pieces(void **state)
{
	unsigned char bytes[1000];

	(void)state;
	randombytes_buf(bytes, sizeof(bytes));
	for (size_t n = 0; n < sizeof(bytes); n += 13) {
		struct slice s = slice_of(bytes + n % 8, n > 8 ? n - 8 : n);
		uint32_t whole = crc32c(0, s);

		assert_int_equal(crc32c_portable(0, s), whole);
		assert_int_equal(crc32c(crc32c(0, slice_head(s, n / 3)), slice_tail(s, n / 3)), whole);
	}
}

#define MANY 3000

static void the_index_is_in_order(void **state)
{
	struct index x;
	static bool in[MANY];
	size_t n = 0;

	(void)state;
	memset(in, 0, sizeof(in));
	index_init(&x);
	for (int round = 0; round < 20000; round++) {
		uint32_t k = randombytes_uniform(MANY);
		char id[32];
		struct entry *e;

		snprintf(id, sizeof(id), "%013u", k);
		e = index_find(&x, id);
		assert_int_equal(e != NULL, in[k]);
		if (e) {
			index_remove(&x, e);
			entry_free(&x, e);
			n--;
		} else {
			e = calloc(1, sizeof(*e));
			memcpy(e->id, id, ID_LEN);
			index_insert(&x, e);
			n++;
		}
		in[k] = !in[k];
	}
	for (struct entry *e = index_after(&x, NULL), *next; e; e = next, n--) {
		next = index_after(&x, e->id);
		assert_true(!next || memcmp(e->id, next->id, ID_LEN) < 0);
	}
	assert_int_equal(n, 0);
	index_done(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(checksums_are_the_known_ones),
		cmocka_unit_test(both_ways_and_in_pieces),
		cmocka_unit_test(the_index_is_in_order),
	};

	if (sodium_init() < 0)
		return 1;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
