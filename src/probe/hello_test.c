/* The hello messages as OpenSSL's servers read them is in check's tests; here their form and the answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "probe/hello.h"

static const unsigned char random_octets[PROBE_RANDOM] = { 1, 2, 3 };

/* Lengths of record, handshake and extensions agree with what is there. */
static void lengths_agree(void **state)
{
	static const char *const names[] = { "", "mx.example.org", "192.0.2.1" };

	(void)state;
	for (int v = 0; v < PROBE_VERSIONS; v++)
		for (size_t i = 0; i < 3; i++) {
			unsigned char room[PROBE_HELLO_MAX];
			struct buf b;
			size_t at;

			buf_init_in(&b, room, sizeof(room));
			probe_hello(&b, (enum probe_version)v, slice_str(names[i]), random_octets);
			assert_true(buf_ok(&b));
			assert_int_equal(room[0], 22);
			assert_int_equal(room[3] * 256 + room[4], b.n - 5);
			assert_int_equal(room[7] * 256 + room[8], b.n - 9);
			assert_int_equal(room[10], v);
			at = 9 + 2 + 32 + 1;
			at += 2 + (size_t)(room[at] * 256 + room[at + 1]);
			at += 2;
			if (v == PROBE_SSL3) {
				assert_int_equal(at, b.n);
				continue;
			}
			assert_int_equal(room[at] * 256 + room[at + 1], b.n - at - 2);
			/* The name stands there, and no address ever (RFC 6066 3). */
			assert_int_equal(room[at + 2] * 256 + room[at + 3], i == 1 ? 0 : 10);
		}
}

static void longest_name_fits(void **state)
{
	unsigned char room[PROBE_HELLO_MAX], name[253];
	struct buf b;

	(void)state;
	for (size_t i = 0; i < sizeof(name); i++)
		name[i] = 'a';
	buf_init_in(&b, room, sizeof(room));
	probe_hello(&b, PROBE_TLS11, slice_of(name, sizeof(name)), random_octets);
	assert_true(buf_ok(&b));
}

#define HELLO_OF(minor) "\x16\x03" minor "\x00\x31\x02\x00\x00\x2d\x03" minor "rest"

static void answers(void **state)
{
	static const struct {
		enum probe_version asked;
		struct slice in;
		enum probe_old is;
	} rows[] = {
		{ PROBE_TLS10, SLICE_INIT(HELLO_OF("\x01")), PROBE_OLD_ACCEPTED },
		{ PROBE_TLS11, SLICE_INIT(HELLO_OF("\x02")), PROBE_OLD_ACCEPTED },
		{ PROBE_TLS11, SLICE_INIT(HELLO_OF("\x01")), PROBE_OLD_REFUSED },
		{ PROBE_SSL3, SLICE_INIT("\x16\x03\x00\x00\x31\x02\x00\x00\x2d\x03\x00"),
		  PROBE_OLD_ACCEPTED },
		/* fatal protocol_version */
		{ PROBE_TLS10, SLICE_INIT("\x15\x03\x01\x00\x02\x02\x46"), PROBE_OLD_REFUSED },
		/* warning unrecognized_name, then it goes on */
		{ PROBE_TLS10, SLICE_INIT("\x15\x03\x01\x00\x02\x01\x70"), PROBE_OLD_NOT_ASKED },
		{ PROBE_TLS10, SLICE_INIT("\x15\x03\x01\x00\x02\x01\x70" HELLO_OF("\x01")),
		  PROBE_OLD_ACCEPTED },
		{ PROBE_TLS10, SLICE_INIT("500 what?\r\n"), PROBE_OLD_UNCLEAR },
		{ PROBE_TLS10, SLICE_INIT("\x16\x03\x01\x00\x31\x0e\x00\x00\x2d\x03\x01"),
		  PROBE_OLD_UNCLEAR },
		{ PROBE_TLS10, SLICE_INIT(""), PROBE_OLD_NOT_ASKED },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (probe_hello_answer(rows[i].asked, rows[i].in) != rows[i].is)
			fail_msg("row %zu", i);
	/* However little of it came. */
	for (size_t n = 0; n < 11; n++)
		assert_int_equal(probe_hello_answer(PROBE_TLS10, slice_head(rows[0].in, n)),
				 PROBE_OLD_NOT_ASKED);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(lengths_agree),
		cmocka_unit_test(longest_name_fits),
		cmocka_unit_test(answers),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
