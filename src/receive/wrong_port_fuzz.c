/* However TCP cuts the first bytes of a connection, its port must decide the
 * same; and a decision, once taken, must stand.
 *
 * Input: one byte of settings, one of the cut, then what the client sends. */
#include <stdlib.h>

#include "net/conn.h"
#include "receive/wrong_port.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
	enum wrong_port_do decision;
	unsigned mishap;
};

/* Bytes come in steps of so many; if all of them decide nothing, silence follows. */
static struct outcome run(const struct wrong_port_setup *setup, struct slice in, size_t step)
{
	struct wrong_port w;
	enum wrong_port_do d = wrong_port_init(&w, setup);

	for (size_t n = 0; d == WRONG_PORT_WAIT && n < in.n;) {
		n = n + step < in.n ? n + step : in.n;
		d = wrong_port_bytes(&w, slice_head(in, n));
	}
	if (d == WRONG_PORT_WAIT)
		d = wrong_port_silence(&w);
	if (d == WRONG_PORT_WAIT)
		abort(); /* silence always decides */
	if (wrong_port_bytes(&w, in) != d || wrong_port_silence(&w) != d || w.decision != d)
		abort();
	return (struct outcome){ d, w.mishap };
}

/* A port never speaks clear text to TLS, nor TLS to clear text. */
static void check_language(const struct wrong_port_setup *setup, struct slice in, struct outcome o)
{
	bool tls = o.decision == WRONG_PORT_HANDSHAKE || o.decision == WRONG_PORT_SERVE ||
		   o.decision == WRONG_PORT_EXPLAIN_TLS;

	if (tls && (in.n == 0 || (in.p[0] != 0x16 && in.p[0] < 0x80)))
		abort();
	/* Half a ClientHello is no reason to talk in clear. */
	if (in.n > 0 && conn_sniff(in) == CONN_SNIFF_MORE &&
	    (o.decision == WRONG_PORT_EXPLAIN_PLAIN ||
	     (o.decision == WRONG_PORT_GREET && setup->hold_ms > 0)))
		abort();
	if (setup->kind == WRONG_PORT_IMPLICIT && o.decision == WRONG_PORT_GREET)
		abort();
	if (setup->kind == WRONG_PORT_RELAY && o.decision == WRONG_PORT_SERVE)
		abort();
	if (!setup->serve && o.decision == WRONG_PORT_SERVE)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wrong_port_setup setup = { .silence_ms = 8000, .rest_of_hello_ms = 30000 };
	struct outcome whole, cut;
	struct slice in;

	if (size < 2)
		return 0;
	setup.kind = (enum wrong_port_kind)(data[0] % 3);
	setup.serve = data[0] & 4;
	setup.hold_ms = data[0] & 8 ? 250 : 0;
	in = slice_of(data + 2, size - 2);
	whole = run(&setup, in, in.n ? in.n : 1);
	cut = run(&setup, in, 1 + data[1] % 7);
	if (whole.decision != cut.decision || whole.mishap != cut.mishap)
		abort();
	check_language(&setup, in, whole);
	return 0;
}
