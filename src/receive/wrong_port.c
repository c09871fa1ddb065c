#include "receive/wrong_port.h"

#include "net/conn.h"

/* What each event leads to on each kind of port: the wrong-port table of the
 * design, as far as it is decided before the first command. */
enum event { CAME_TLS, CAME_PLAIN, CAME_SILENCE };

struct row {
	enum wrong_port_do decision;
	enum ipc_mishap_kind mishap;
};

/* clang-format off */
static const struct row table[3][3] = {
	[WRONG_PORT_IMPLICIT] = {
		[CAME_TLS]     = { WRONG_PORT_HANDSHAKE,     (enum ipc_mishap_kind)0 },
		[CAME_PLAIN]   = { WRONG_PORT_EXPLAIN_PLAIN, IPC_MISHAP_PLAIN_ON_IMPLICIT },
		[CAME_SILENCE] = { WRONG_PORT_EXPLAIN_PLAIN, IPC_MISHAP_SILENT_ON_IMPLICIT },
	},
	[WRONG_PORT_STARTTLS] = {
		[CAME_TLS]     = { WRONG_PORT_SERVE,         IPC_MISHAP_TLS_ON_STARTTLS },
		[CAME_PLAIN]   = { WRONG_PORT_GREET,         (enum ipc_mishap_kind)0 },
		[CAME_SILENCE] = { WRONG_PORT_GREET,         (enum ipc_mishap_kind)0 },
	},
	[WRONG_PORT_RELAY] = {
		[CAME_TLS]     = { WRONG_PORT_EXPLAIN_TLS,   IPC_MISHAP_TLS_ON_RELAY },
		[CAME_PLAIN]   = { WRONG_PORT_GREET,         (enum ipc_mishap_kind)0 },
		[CAME_SILENCE] = { WRONG_PORT_GREET,         (enum ipc_mishap_kind)0 },
	},
};
/* clang-format on */

static enum wrong_port_do decide(struct wrong_port *w, enum event event)
{
	const struct row *row = &table[w->setup.kind][event];

	w->decision = row->decision;
	w->mishap = row->mishap;
	if (w->decision == WRONG_PORT_SERVE && !w->setup.serve)
		w->decision = WRONG_PORT_EXPLAIN_TLS;
	return w->decision;
}

enum wrong_port_do wrong_port_init(struct wrong_port *w, const struct wrong_port_setup *setup)
{
	*w = (struct wrong_port){ .setup = *setup, .decision = WRONG_PORT_WAIT };
	/* Without a hold the greeting goes out at once, and the client's first bytes
	 * are for the SMTP engine to judge. */
	if (setup->kind != WRONG_PORT_IMPLICIT && setup->hold_ms == 0)
		w->decision = WRONG_PORT_GREET;
	return w->decision;
}

enum wrong_port_do wrong_port_bytes(struct wrong_port *w, struct slice so_far)
{
	if (w->decision != WRONG_PORT_WAIT || so_far.n == 0)
		return w->decision;
	switch (conn_sniff(so_far)) {
	case CONN_SNIFF_TLS:
		return decide(w, CAME_TLS);
	case CONN_SNIFF_PLAIN:
		return decide(w, CAME_PLAIN);
	case CONN_SNIFF_MORE:
		/* No SMTP command begins as a TLS record does: a greeting sent into
		 * a half ClientHello would only spoil it. */
		w->hello_begun = true;
		break;
	}
	return w->decision;
}

enum wrong_port_do wrong_port_silence(struct wrong_port *w)
{
	if (w->decision != WRONG_PORT_WAIT)
		return w->decision;
	if (w->hello_begun) {
		w->decision = WRONG_PORT_CLOSE;
		w->mishap = IPC_MISHAP_TLS_FAILED;
		return w->decision;
	}
	return decide(w, CAME_SILENCE);
}

unsigned wrong_port_wait_ms(const struct wrong_port *w)
{
	if (w->hello_begun)
		return w->setup.rest_of_hello_ms;
	return w->setup.kind == WRONG_PORT_IMPLICIT ? w->setup.silence_ms : w->setup.hold_ms;
}
