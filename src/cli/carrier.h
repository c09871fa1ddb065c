/* carrier.h - how the commands that submit mail reach their server: which one it is, with which secret, and
 * the submitting itself.
 *
 * What goes wrong is said on standard error, beginning with the command's name; only what a server answered
 * to a message is left for the command to say.
 */
#ifndef POSTERN_CLI_CARRIER_H
#define POSTERN_CLI_CARRIER_H

#include "cli/net.h"
#include "submit/account.h"
#include "submit/carry.h"

struct cli_carrier_setup {
	const char *program;	     /* "send", "sendmail": begins what is said on standard error */
	const char *account, *url;   /* as options gave them; NULL: found */
	const char *provider, *user; /* as submit/provider.h has them; user alone: its domain's provider */
	/* In place of the account's; NULL: that, else $POSTERN_PASSWORD_FILE, else asked at the terminal. */
	const char *password_file;
	const char *mechanism; /* as routes.NAME.mechanism; NULL: the account's, else the strongest */
	const char *pin[CARRY_PINS_MAX]; /* as routes.NAME.fingerprints; none: the account's */
	size_t pins;
	struct cli_net_setup net;
	unsigned timeout_s; /* 0: 30 */
};

struct cli_carrier;

/* False: it is no SHA-256 in hexadecimal. */
bool cli_carrier_pin_ok(const char *text);

/* Which provider: --url, --account, $POSTERN_URL, $POSTERN_ACCOUNT, the Postern of this machine (its socket),
 * the accounts file's default.  Reads no secret and opens no connection yet (--dry-run needs none).  CLI_OK,
 * or the status to end with, said.  The setup's strings outlive it. */
int cli_carrier_find(struct cli_carrier **ret, const struct cli_carrier_setup *s);
const struct provider *cli_carrier_provider(const struct cli_carrier *c);
/* As it is found: with the account's pins, authorities and mechanism in it. */
const struct cli_carrier_setup *cli_carrier_by(const struct cli_carrier *c);
/* NULL: none, but a URL or the socket.  Lives as long as the carrier. */
const struct submit_account *cli_carrier_account(const struct cli_carrier *c);
const char *cli_carrier_from(const struct cli_carrier *c); /* the address to send as when none is told; "" */
/* More than one message will come: the connection stays open between them, and is opened anew where the
 * server closed it.  The result of a message before is gone. */
void cli_carrier_keep(struct cli_carrier *c);
/* Gets the secret, and what a connection needs of this machine.  CLI_OK, or the status to end with, said. */
int cli_carrier_ready(struct cli_carrier *c);
/* One message.  Gets the secret when it is first needed, and a token anew, once, when it is refused.  Blocks
 * (runs the loop).  The draft need live no longer than the call, the result is valid until the next.  CLI_OK:
 * a result is there, good or bad; else the status to end with, said. */
int cli_carrier_send(struct cli_carrier *c, const struct draft *d, const struct carry_result **ret);
/* Is told, from now on, each time before the server is given a message: see carry.h.  NULL: nobody. */
void cli_carrier_before(struct cli_carrier *c, int (*before)(void *arg, const struct carry_result *so_far),
			void *arg);
/* Its secret, for another login of the same user at the same provider; valid until the next call.  CLI_OK, or
 * the status to end with, said.  *ret_token: it is one of OAuth 2. */
int cli_carrier_secret(struct cli_carrier *c, struct slice *ret, bool *ret_token);
/* It is a token, which was refused there: its command is run once more.  CLI_OK: there is another one, which
 * holds for messages, too; else the status to end with, said; nothing is said where it has no command. */
int cli_carrier_renew(struct cli_carrier *c, struct slice *ret);
void cli_carrier_free(struct cli_carrier *c); /* secrets are wiped.  NULL is fine */

#endif
