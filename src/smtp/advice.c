#include "smtp/advice.h"

void smtp_advice_where(const struct smtp_advice_port *ports, size_t n, struct buf *to)
{
	bool named[2] = { false, false };

	for (size_t i = 0; i < n; i++) {
		bool tls = ports[i].implicit_tls;

		if (named[tls])
			continue;
		buf_fmt(to, "%sport %u with %s", named[!tls] ? " or " : "", ports[i].port,
			tls ? "SSL/TLS" : "STARTTLS");
		named[tls] = true;
	}
}

/* A server without a submission listener has no port to name. */
static void put_where(struct buf *to, struct slice where)
{
	if (where.n > 0)
		buf_put(to, where);
	else
		buf_str(to, "the submission port of your mail provider");
}

void smtp_advice_plain_on_implicit(uint16_t port, struct slice where, struct buf *to)
{
	buf_fmt(to, "port %u needs TLS from the first byte: set the connection security to SSL/TLS, or use ",
		port);
	put_where(to, where);
}

void smtp_advice_tls_on_starttls(uint16_t port, struct slice where, struct buf *to)
{
	buf_fmt(to, "port %u starts without TLS: set the connection security to STARTTLS, or use ", port);
	put_where(to, where);
}

void smtp_advice_tls_on_relay(uint16_t port, struct slice where, struct buf *to)
{
	buf_fmt(to, "port %u is for servers, and starts without TLS: to send mail use ", port);
	put_where(to, where);
}

void smtp_advice_tls_too_late(struct slice where, struct buf *to)
{
	buf_str(to, "TLS must begin before the greeting or with STARTTLS: set the client to ");
	put_where(to, where);
}

void smtp_advice_auth_on_relay(struct slice where, struct buf *to)
{
	buf_str(to, "no login on this port, it is for servers: to send mail use ");
	put_where(to, where);
}

void smtp_advice_relay_denied(struct slice where, struct buf *to)
{
	buf_str(to, "relay denied: this port takes mail for our own domains only; to send mail log in on ");
	put_where(to, where);
}

void smtp_advice_starttls_first(struct buf *to)
{
	buf_str(to, "encryption is missing: set the connection security to STARTTLS");
}

void smtp_advice_auth_first(struct buf *to)
{
	buf_str(to, "log in first: switch on authentication for outgoing mail (user name and password)");
}

void smtp_advice_auth_needs_tls(struct buf *to)
{
	buf_str(to, "no login without encryption: set the connection security to STARTTLS");
}

void smtp_advice_password_exposed(struct buf *to)
{
	buf_str(to, "your password was sent unencrypted, change it; then set the connection security to "
		    "STARTTLS");
}
