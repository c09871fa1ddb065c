/* login.h - logs in at one port, over a connection of its own, and asks whether mail from there would be
 * taken.
 *
 * By the relay's client engine and its mechanisms (smtp/client.h, send/login.h).  The connection is encrypted
 * and its server verified before a word of the login goes out: by chain and name, or by a fingerprint that
 * the user gave; else nothing is said at all.  After the login MAIL FROM is said and taken back; no recipient
 * is named and no message sent.  One try: a server counts wrong passwords.
 */
#ifndef POSTERN_CHECK_LOGIN_H
#define POSTERN_CHECK_LOGIN_H

#include <uv.h>

#include "conf/conf.h"
#include "net/tls_client.h"
#include "probe/report.h"

struct check_login;

/* Borrowed until it is over. */
struct check_login_setup {
	uv_loop_t *loop;
	struct tls_client *tls;
	const char *helo;
	unsigned connect_ms, reply_ms; /* as in look.h */
	struct slice user, secret;     /* a password, or a token */
	enum conf_mechanism mechanism; /* AUTO: the strongest that is offered */
	struct slice sender;	       /* for MAIL FROM; "": it is not asked */
	const unsigned char (*fingerprints)[TLS_FINGERPRINT_LEN];
	size_t n_fingerprints; /* 0: chain and name */
};

/* Called once, from the loop; the login is gone then, and port->login says what came of it. */
typedef void check_login_done(void *arg, struct probe_port *port);

/* At port's address and port, in TLS as it was seen there (port->tls.implicit).  name: for SNI and the
 * certificate.  Both outlive it.  0 or negative errno. */
int check_login_begin(const struct check_login_setup *setup, const char *name, struct probe_port *port,
		      check_login_done *done, void *arg, struct check_login **ret);
void check_login_cancel(struct check_login *l); /* NULL is fine */

#endif
