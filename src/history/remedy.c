#include "history/remedy.h"

#include "ipc/message.h"

/* In both texts %P stands for the port that it came to, %W for where to submit. */
static const struct {
	const char *what, *advice;
} remedies[IPC_MISHAP_KINDS] = {
	[IPC_MISHAP_TLS_ON_STARTTLS] = {
		"speaks TLS from the first byte on port %P, which begins in clear text",
		"Set its connection security to STARTTLS for port %P; or keep SSL/TLS and change the port. What works: %W.",
	},
	[IPC_MISHAP_TLS_ON_RELAY] = {
		"speaks TLS from the first byte on port %P, where servers hand over mail",
		"A mail client does not belong there. Set its outgoing server to %W. If it is a server, it must begin "
		"in clear text and use STARTTLS.",
	},
	[IPC_MISHAP_PLAIN_ON_IMPLICIT] = {
		"speaks plain SMTP on port %P, which is TLS from the first byte",
		"Set its connection security to SSL/TLS (not STARTTLS, not none) for port %P; or change the port. What "
		"works: %W.",
	},
	[IPC_MISHAP_SILENT_ON_IMPLICIT] = {
		"waits for a greeting on port %P, which is TLS from the first byte",
		"Set its connection security to SSL/TLS (not STARTTLS, not none) for port %P; or change the port. What "
		"works: %W.",
	},
	[IPC_MISHAP_TLS_TOO_LATE] = {
		"speaks TLS on port %P after the greeting, without STARTTLS",
		"On port %P TLS begins by STARTTLS; it began by itself, and too late to be helped. What works: %W.",
	},
	[IPC_MISHAP_AUTH_ON_RELAY] = {
		"tries to log in on port %P, where servers hand over mail",
		"Change the port of its outgoing server. What works: %W.",
	},
	[IPC_MISHAP_NO_STARTTLS] = {
		"wants to log in or send on port %P without encryption",
		"Set its connection security to STARTTLS. What works: %W.",
	},
	[IPC_MISHAP_NO_AUTH] = {
		"wants to send on port %P without logging in",
		"Switch on authentication (normal password) with the user name and password of an account.",
	},
	[IPC_MISHAP_PASSWORD_IN_CLEAR] = {
		"sent a password in clear text to port %P",
		"Change the password of the account: others may have read it. Then switch on encryption. What works: %W.",
	},
	[IPC_MISHAP_RELAY_DENIED] = {
		"wants to send to other domains by way of port %P",
		"If it is one of ours, it must log in and submit instead: %W. If it is a stranger, nothing is to be done.",
	},
	[IPC_MISHAP_NOT_SMTP] = {
		"does not speak SMTP on port %P",
		"Mostly a scanner: nothing is to be done. If it is a program of yours, it has the wrong port.",
	},
	[IPC_MISHAP_TLS_FAILED] = {
		"cannot agree on TLS on port %P",
		"Mostly too old a TLS, or a certificate that it does not trust: the log line tls-failed says which. Bring "
		"the client up to date, or set tls_min for that listener.",
	},
	[IPC_MISHAP_PROXY_MISSING] = {
		"is a proxy that sends no good PROXY header to port %P",
		"Switch it on in the proxy: send-proxy-v2 (HAProxy, on the server line) or proxy_protocol on (nginx); or take "
		"its address out of proxy_from of that listener.",
	},
	[IPC_MISHAP_PROXY_UNEXPECTED] = {
		"sends a PROXY header to port %P, which expects none from there",
		"If it is a proxy of yours, add its address to proxy_from of that listener; or switch its header off. If it is "
		"a stranger, nothing is to be done.",
	},
};

static void put_where(const struct remedy_ports *ports, struct buf *to)
{
	if (ports->starttls)
		buf_fmt(to, "port %u with STARTTLS", ports->starttls);
	if (ports->starttls && ports->implicit)
		buf_str(to, " or ");
	if (ports->implicit)
		buf_fmt(to, "port %u with SSL/TLS", ports->implicit);
	if (!ports->starttls && !ports->implicit)
		buf_str(to, "none (no submission port is open)");
}

static void put(const char *text, uint16_t port, const struct remedy_ports *ports, struct buf *to)
{
	for (; text && *text; text++) {
		if (*text != '%') {
			buf_byte(to, (unsigned char)*text);
			continue;
		}
		text++;
		if (*text == 'P')
			buf_fmt(to, "%u", port);
		else
			put_where(ports, to);
	}
}

void remedy_what(unsigned kind, uint16_t port, struct buf *to)
{
	static const struct remedy_ports none;

	put(kind < IPC_MISHAP_KINDS ? remedies[kind].what : NULL, port, &none, to);
}

void remedy_advice(unsigned kind, uint16_t port, const struct remedy_ports *ports, struct buf *to)
{
	put(kind < IPC_MISHAP_KINDS ? remedies[kind].advice : NULL, port, ports, to);
}

unsigned remedy_kind(struct slice name)
{
	for (unsigned kind = 1; kind < IPC_MISHAP_KINDS; kind++)
		if (slice_eq(name, slice_str(ipc_mishap_name(kind))))
			return kind;
	return 0;
}
