/* advice.h - what a client at the wrong port is told, in one line each.
 *
 * Many clients show only the first line of a reply, so each text is one line
 * that names the setting to change, in the words of mail clients ("SSL/TLS"
 * is implicit TLS).  Used by the server's engine and by its driver.
 */
#ifndef POSTERN_SMTP_ADVICE_H
#define POSTERN_SMTP_ADVICE_H

#include "base/buf.h"

struct smtp_advice_port {
	uint16_t port;
	bool implicit_tls; /* else STARTTLS */
};

/* "port 587 with STARTTLS or port 465 with SSL/TLS": the first port of each kind, of
 * those given best first.  More than that nobody reads in an error message. */
void smtp_advice_where(const struct smtp_advice_port *ports, size_t n, struct buf *to);

/* Texts of replies (no code, no line end); port is the one the client came to,
 * where is what smtp_advice_where() wrote. */
void smtp_advice_plain_on_implicit(uint16_t port, struct slice where, struct buf *to); /* 554 5.7.0 on 465 */
void smtp_advice_tls_on_starttls(uint16_t port, struct slice where,
				 struct buf *to); /* 554 5.7.0, wrong_port = explain */
void smtp_advice_tls_on_relay(uint16_t port, struct slice where, struct buf *to); /* 554 5.7.0 */
void smtp_advice_tls_too_late(struct slice where, struct buf *to);  /* 554 5.7.0, after the greeting */
void smtp_advice_auth_on_relay(struct slice where, struct buf *to); /* 503 5.5.1 */
void smtp_advice_relay_denied(struct slice where, struct buf *to);  /* 554 5.7.1 */
void smtp_advice_starttls_first(struct buf *to);		    /* 530 5.7.0 */
void smtp_advice_auth_first(struct buf *to);			    /* 530 5.7.0 */
void smtp_advice_auth_needs_tls(struct buf *to);		    /* 538 5.7.11, no secret came */
void smtp_advice_password_exposed(struct buf *to);		    /* 538 5.7.11 */

#endif
