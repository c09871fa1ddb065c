/* scan_test.c - large bodies and odd cuts, which the dialogs are too short for. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "smtp/scan.h"

#define MANY (1U << 20)

/* A generator of its own: a failing test is the same test tomorrow. */
static uint64_t next(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005U + 1442695040888963407U;
	return *seed >> 33;
}

/* Lines of odd lengths, many with dots; as the wire has them and as they are meant. */
static void make_body(uint64_t *seed, size_t lines, struct buf *wire, struct buf *plain)
{
	for (size_t i = 0; i < lines; i++) {
		size_t dots = next(seed) % 4 == 0 ? next(seed) % 4 : 0,
		       n = next(seed) % 5 ? next(seed) % 90 : 0;

		if (next(seed) % 50 == 0)
			n = next(seed) % 9000;
		if (dots > 0)
			buf_byte(wire, '.');
		for (size_t k = 0; k < dots + n; k++) {
			unsigned char c = k < dots ? '.' : (unsigned char)("abc.\t\xe4 "[next(seed) % 7]);

			if (k == 0 && dots == 0 && c == '.')
				c = 'x';
			buf_byte(wire, c);
			buf_byte(plain, c);
		}
		buf_str(wire, "\r\n");
		buf_str(plain, "\r\n");
	}
	buf_str(wire, ".\r\n");
}

static void random_bodies(void **state)
{
	uint64_t seed = 7;

	(void)state;
	for (int round = 0; round < 60; round++) {
		struct buf wire, plain, have;
		struct smtp_scan b;
		struct slice rest;
		bool end = false;

		buf_init(&wire, MANY);
		buf_init(&plain, MANY);
		buf_init(&have, MANY);
		make_body(&seed, 1 + next(&seed) % 600, &wire, &plain);
		buf_str(&wire, "QUIT\r\n");
		smtp_scan_init(&b, true, false, 0);
		for (rest = buf_slice(&wire); rest.n > 0 && !end;) {
			size_t cut = round % 3 == 0 ? rest.n : 1 + next(&seed) % (round % 3 == 1 ? 5 : 20000);
			struct smtp_scan_out out;
			size_t n = smtp_scan_step(&b, slice_head(rest, cut), &out);

			assert_true(n > 0);
			buf_put(&have, out.copy);
			buf_put(&have, out.run);
			rest = slice_tail(rest, n);
			end = out.end;
		}
		assert_true(end);
		assert_int_equal(b.fault, SMTP_SCAN_FINE);
		assert_true(slice_eq(rest, SLICE_LIT("QUIT\r\n")));
		assert_true(slice_eq(buf_slice(&have), buf_slice(&plain)));
		assert_int_equal(b.size, plain.n);
		smtp_scan_done(&b);
		buf_done(&wire);
		buf_done(&plain);
		buf_done(&have);
	}
}

/* Without dots nothing is copied: one piece in, the same piece out. */
static void plain_body_stays_in_place(void **state)
{
	struct smtp_scan_out out;
	struct smtp_scan b;
	struct buf wire;

	(void)state;
	buf_init(&wire, MANY);
	for (int i = 0; i < 1000; i++)
		buf_str(&wire, "A line of a body as bodies are, of some seventy-six octets or so.\r\n");
	smtp_scan_init(&b, true, false, 0);
	assert_int_equal(smtp_scan_step(&b, buf_slice(&wire), &out), wire.n);
	assert_int_equal(out.copy.n, 0);
	assert_ptr_equal(out.run.p, buf_slice(&wire).p);
	assert_int_equal(out.run.n, wire.n);
	assert_null(b.copy.p);
	smtp_scan_done(&b);
	buf_done(&wire);
}

/* A body of nothing but stuffed dots comes in few pieces, not in one a line. */
static void dots_come_in_large_pieces(void **state)
{
	struct smtp_scan b;
	struct buf wire;
	struct slice rest;
	size_t pieces = 0;

	(void)state;
	buf_init(&wire, MANY);
	for (int i = 0; i < 50000; i++)
		buf_str(&wire, "..\r\n");
	smtp_scan_init(&b, true, false, 0);
	for (rest = buf_slice(&wire); rest.n > 0; pieces++) {
		struct smtp_scan_out out;

		rest = slice_tail(rest, smtp_scan_step(&b, rest, &out));
	}
	assert_in_range(pieces, 1, 15);
	smtp_scan_done(&b);
	buf_done(&wire);
}

/* Which limit is passed first is the same wherever the cuts are. */
static void first_fault(void **state)
{
	static const struct {
		uint64_t max;
		size_t line;
		const char *tail;
		enum smtp_scan_fault want;
	} cases[] = {
		{ 70000, 65536, "\r\n.\r\n", SMTP_SCAN_FINE },
		{ 70000, 65537, "\r\n.\r\n", SMTP_SCAN_LONG_LINE },
		{ 60000, 65537, "\r\n.\r\n", SMTP_SCAN_TOO_LARGE },
		{ 65537, 65536, "\r\n.\r\n", SMTP_SCAN_TOO_LARGE },
		{ 65538, 65536, "\r\n.\r\n", SMTP_SCAN_FINE },
		{ 100, 101, "\n\r\n.\r\n", SMTP_SCAN_TOO_LARGE },
		{ 100, 100, "\n\r\n.\r\n", SMTP_SCAN_BARE_LF },
		{ 100, 1, "\r\r\n.\r\n", SMTP_SCAN_BARE_CR },
		{ 100, 1, "\rx\n\r\n.\r\n", SMTP_SCAN_BARE_CR },
	};
	static const size_t cuts[] = { 1, 3, 4096, MANY };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]) * 4; i++) {
		struct smtp_scan_out out = { 0 };
		struct smtp_scan b;
		struct buf wire;
		struct slice rest;

		buf_init(&wire, MANY);
		for (size_t k = 0; k < cases[i / 4].line; k++)
			buf_byte(&wire, 'x');
		buf_str(&wire, cases[i / 4].tail);
		smtp_scan_init(&b, true, false, cases[i / 4].max);
		for (rest = buf_slice(&wire); rest.n > 0;)
			rest = slice_tail(rest, smtp_scan_step(&b, slice_head(rest, cuts[i % 4]), &out));
		assert_true(out.end);
		if (b.fault != cases[i / 4].want)
			fail_msg("case %zu, cut %zu: fault %d", i / 4, cuts[i % 4], b.fault);
		smtp_scan_done(&b);
		buf_done(&wire);
	}
}

/* Each of the three octets is seen at each place of a vector, and around its edges. */
static void special_octets_everywhere(void **state)
{
	(void)state;
	for (size_t n = 1; n < 70; n++) {
		for (size_t at = 0; at < n; at++) {
			for (unsigned k = 0; k < 3; k++) {
				struct smtp_scan_out out;
				struct smtp_scan b;
				char text[80];

				memset(text, 'x', sizeof(text));
				text[at] = "\r\n"[k];
				smtp_scan_init(&b, true, false, 0);
				smtp_scan_step(&b, slice_of(text, n), &out);
				if (k == 0 && at == n - 1)
					assert_int_equal(b.at, SMTP_SCAN_AT_CR);
				else
					assert_int_equal(b.fault, k == 0   ? SMTP_SCAN_BARE_CR
								  : k == 1 ? SMTP_SCAN_BARE_LF
									   : SMTP_SCAN_NUL);
				smtp_scan_done(&b);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_bodies),
		cmocka_unit_test(plain_body_stays_in_place),
		cmocka_unit_test(dots_come_in_large_pieces),
		cmocka_unit_test(first_fault),
		cmocka_unit_test(special_octets_everywhere),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
