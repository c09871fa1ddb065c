/* login.h - the client's side of AUTH: mechanisms, and what is said in them.
 *
 * Octets in and out, before base64; it knows no SMTP and holds no connection.  GNU SASL does
 * PLAIN and SCRAM; LOGIN, XOAUTH2 and OAUTHBEARER (RFC 7628) are here.  Whether the connection
 * is fit for a password is the caller's to know: it begins nothing without TLS.
 * Everything secret is wiped at login_free(); a session lives as long as one AUTH.
 */
#ifndef POSTERN_SEND_LOGIN_H
#define POSTERN_SEND_LOGIN_H

#include "base/buf.h"
#include "conf/conf.h"

#define LOGIN_DATA_MAX 12288 /* of one challenge or response */

struct login;

/* offered: the names behind AUTH in the answer to EHLO, with blanks between.  pin: enum
 * conf_mechanism.  The strongest: SCRAM-SHA-256-PLUS (where there is an exporter), SCRAM-SHA-256,
 * PLAIN, LOGIN; tokens, OAUTHBEARER before XOAUTH2, where nothing else is offered or one is
 * pinned, or either by CONF_MECHANISM_OAUTH.  NULL: none fits. */
const char *login_choose(struct slice offered, int pin, bool has_exporter);
bool login_is_token(const char *mech); /* its secret is one that expires and is asked for anew */

struct login_setup {
	const char *mech; /* of login_choose() */
	struct slice user, secret;
	struct slice exporter; /* of the TLS connection, or "" */
	struct slice host;     /* OAUTHBEARER tells whom it means */
	uint16_t port;
};

int login_new(const struct login_setup *setup, struct login **ret); /* 0, -ENOMEM, -EINVAL: user or password
								     * are not what the mechanism can carry */
void login_free(struct login *l);

/* What goes with the command AUTH; false: nothing does, the server begins. */
bool login_initial(struct login *l, struct slice *ret);
/* The answer to a challenge; false: the server is not the one that it says, or makes no sense:
 * cancel. */
bool login_answer(struct login *l, struct slice challenge, struct slice *ret);
/* 235 was said: does that count?  Not of a server that should have proved that it knows the
 * password, and did not (SCRAM). */
bool login_proved(const struct login *l);

#endif
