#include "receive/wrong_port.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

/* The beginning of a ClientHello of TLS 1.2/1.3, as every client sends it. */
#define HELLO "\x16\x03\x01\x00\xc0\x01\x00\x00\xbc\x03\x03"

/* What comes, what it leads to, and what is counted.  A NULL piece is silence until
 * the wait is over; pieces end with the first row that is unset. */
struct piece {
	const char *bytes;
	size_t n;
};
#define P(s)                     \
	{                        \
		s, sizeof(s) - 1 \
	}
#define SILENCE         \
	{               \
		NULL, 1 \
	}

/* clang-format off */
static const struct {
	const char *what;
	enum wrong_port_kind kind;
	bool serve;
	unsigned hold_ms;
	struct piece pieces[4];
	enum wrong_port_do decision;
	unsigned mishap;
} cases[] = {
	{ "587: silence is the rule", WRONG_PORT_STARTTLS, true, 250, { SILENCE }, WRONG_PORT_GREET, 0 },
	{ "587: TLS first is served", WRONG_PORT_STARTTLS, true, 250, { P(HELLO) }, WRONG_PORT_SERVE, IPC_MISHAP_TLS_ON_STARTTLS },
	{ "587: TLS first, explained", WRONG_PORT_STARTTLS, false, 250, { P(HELLO) }, WRONG_PORT_EXPLAIN_TLS, IPC_MISHAP_TLS_ON_STARTTLS },
	{ "587: TLS first in two packets", WRONG_PORT_STARTTLS, true, 250, { P("\x16\x03"), P("\x16\x03\x01\x00\xc0\x01") }, WRONG_PORT_SERVE, IPC_MISHAP_TLS_ON_STARTTLS },
	{ "587: half a hello, then nothing", WRONG_PORT_STARTTLS, true, 250, { P("\x16\x03"), SILENCE }, WRONG_PORT_CLOSE, IPC_MISHAP_TLS_FAILED },
	{ "587: talks before the greeting", WRONG_PORT_STARTTLS, true, 250, { P("EHLO a\r\n") }, WRONG_PORT_GREET, 0 },
	{ "587: one plain byte", WRONG_PORT_STARTTLS, true, 250, { P("E") }, WRONG_PORT_GREET, 0 },
	{ "587: looked like TLS for one byte", WRONG_PORT_STARTTLS, true, 250, { P("\x16"), P("\x16" "EHLO\r\n") }, WRONG_PORT_GREET, 0 },
	{ "587: no hold, greets before anything", WRONG_PORT_STARTTLS, true, 0, { { NULL, 0 } }, WRONG_PORT_GREET, 0 },

	{ "25: no hold by default", WRONG_PORT_RELAY, true, 0, { { NULL, 0 } }, WRONG_PORT_GREET, 0 },
	{ "25 with a hold: silence", WRONG_PORT_RELAY, true, 100, { SILENCE }, WRONG_PORT_GREET, 0 },
	{ "25 with a hold: TLS is always explained", WRONG_PORT_RELAY, true, 100, { P(HELLO) }, WRONG_PORT_EXPLAIN_TLS, IPC_MISHAP_TLS_ON_RELAY },

	{ "465: TLS", WRONG_PORT_IMPLICIT, true, 0, { P(HELLO) }, WRONG_PORT_HANDSHAKE, 0 },
	{ "465: TLS, byte by byte", WRONG_PORT_IMPLICIT, true, 0, { P("\x16"), P("\x16\x03\x01"), P(HELLO) }, WRONG_PORT_HANDSHAKE, 0 },
	{ "465: plain", WRONG_PORT_IMPLICIT, true, 0, { P("EHLO a\r\n") }, WRONG_PORT_EXPLAIN_PLAIN, IPC_MISHAP_PLAIN_ON_IMPLICIT },
	{ "465: one plain byte is enough", WRONG_PORT_IMPLICIT, true, 0, { P("Q") }, WRONG_PORT_EXPLAIN_PLAIN, IPC_MISHAP_PLAIN_ON_IMPLICIT },
	{ "465: HTTP", WRONG_PORT_IMPLICIT, true, 0, { P("GET / HTTP/1.1\r\n") }, WRONG_PORT_EXPLAIN_PLAIN, IPC_MISHAP_PLAIN_ON_IMPLICIT },
	{ "465: waits for a greeting", WRONG_PORT_IMPLICIT, true, 0, { SILENCE }, WRONG_PORT_EXPLAIN_PLAIN, IPC_MISHAP_SILENT_ON_IMPLICIT },
	{ "465: half a hello, then nothing", WRONG_PORT_IMPLICIT, true, 0, { P("\x16\x03\x01"), SILENCE }, WRONG_PORT_CLOSE, IPC_MISHAP_TLS_FAILED },
};
/* clang-format on */

#define N_CASES (sizeof(cases) / sizeof(cases[0]))

static struct wrong_port_setup setup_of(size_t i)
{
	return (struct wrong_port_setup){ .kind = cases[i].kind,
					  .serve = cases[i].serve,
					  .hold_ms = cases[i].hold_ms,
					  .silence_ms = 8000,
					  .rest_of_hello_ms = 30000 };
}

static void test_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_CASES; i++) {
		struct wrong_port_setup setup = setup_of(i);
		struct wrong_port w;
		enum wrong_port_do d = wrong_port_init(&w, &setup);

		for (size_t k = 0; k < 4 && cases[i].pieces[k].n > 0; k++) {
			const struct piece *p = &cases[i].pieces[k];

			if (d != WRONG_PORT_WAIT)
				fail_msg("%s: decided %d before piece %zu", cases[i].what, d, k);
			d = p->bytes ? wrong_port_bytes(&w, slice_of(p->bytes, p->n))
				     : wrong_port_silence(&w);
		}
		if (d != cases[i].decision || w.mishap != cases[i].mishap)
			fail_msg("%s: decision %d, mishap %s", cases[i].what, d, ipc_mishap_name(w.mishap));
	}
}

/* A decision is final: later bytes and timers do not change it. */
static void test_final(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_CASES; i++) {
		struct wrong_port_setup setup = setup_of(i);
		struct wrong_port w;
		enum wrong_port_do d = wrong_port_init(&w, &setup);

		for (size_t k = 0; k < 4 && cases[i].pieces[k].n > 0; k++) {
			const struct piece *p = &cases[i].pieces[k];

			d = p->bytes ? wrong_port_bytes(&w, slice_of(p->bytes, p->n))
				     : wrong_port_silence(&w);
		}
		assert_int_equal(wrong_port_bytes(&w, SLICE_LIT("EHLO x\r\n")), d);
		assert_int_equal(wrong_port_silence(&w), d);
		assert_int_equal(wrong_port_bytes(&w, SLICE_LIT(HELLO)), d);
	}
}

/* The wait is the hold, or the silence, until a ClientHello began. */
static void test_wait(void **state)
{
	struct wrong_port_setup setup = { WRONG_PORT_STARTTLS, true, 250, 8000, 30000 };
	struct wrong_port w;

	(void)state;
	wrong_port_init(&w, &setup);
	assert_int_equal(wrong_port_wait_ms(&w), 250);
	assert_int_equal(wrong_port_bytes(&w, SLICE_LIT("")), WRONG_PORT_WAIT);
	assert_int_equal(wrong_port_wait_ms(&w), 250);
	assert_int_equal(wrong_port_bytes(&w, SLICE_LIT("\x16")), WRONG_PORT_WAIT);
	assert_int_equal(wrong_port_wait_ms(&w), 30000);
	setup.kind = WRONG_PORT_IMPLICIT;
	wrong_port_init(&w, &setup);
	assert_int_equal(wrong_port_wait_ms(&w), 8000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_final),
		cmocka_unit_test(test_wait),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
