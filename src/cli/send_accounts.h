/* send_accounts.h - the accounts file of those who submit mail: found, judged, read, and listed.
 *
 * One file: $POSTERN_ACCOUNTS, else postern/send.yaml below $XDG_CONFIG_HOME or ~/.config, else
 * /etc/postern/send.yaml.  It names programs that run as whoever reads it, so nobody else may be able to
 * change it.
 */
#ifndef POSTERN_CLI_SEND_ACCOUNTS_H
#define POSTERN_CLI_SEND_ACCOUNTS_H

#include <limits.h>

#include "submit/account.h"

struct cli_accounts {
	char path[PATH_MAX];	      /* "": there is no such file */
	struct submit_accounts *file; /* NULL then */
};

/* What is wrong is said on standard error after the command's name.  CLI_OK, also if there is no file; else
 * the status to end with. */
int cli_accounts_read(const char *program, struct cli_accounts *ret);
void cli_accounts_done(struct cli_accounts *a);

/* `send --accounts`: which there are, and where their secrets are kept; never a secret. */
int cli_accounts_list(const char *program, bool json);

#endif
