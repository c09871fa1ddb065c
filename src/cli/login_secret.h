/* login_secret.h - the password or token of a login elsewhere, for commands that submit mail: from where the
 * option, the account or the environment says, else asked for at the terminal.
 *
 * What is wrong is said on standard error, after the command's name.
 */
#ifndef POSTERN_CLI_LOGIN_SECRET_H
#define POSTERN_CLI_LOGIN_SECRET_H

#include <uv.h>

#include "secret/secret.h"
#include "submit/account.h"

#define CLI_SECRET_MAX 4096

struct cli_secret_setup {
	const char *program;
	const struct provider *server;
	const char *file;		      /* --password-file, or NULL */
	const struct submit_account *account; /* NULL: none */
	uv_loop_t *loop;
	unsigned limit_s; /* for a command */
};

/* Runs the loop while a command runs.  CLI_OK: *ret is filled; else the status to end with, said.  The caller
 * wipes *ret in any case. */
int cli_secret(const struct cli_secret_setup *s, struct buf *ret);

/* Whether there may be another one, now that this was refused: it is of a command. */
bool cli_secret_renews(const struct cli_secret_setup *s);
/* Runs it once more.  done as in secret/secret.h; NULL: it could not be run, which was said. */
struct secret_command *cli_secret_renew(const struct cli_secret_setup *s,
					void (*done)(void *arg, struct slice line, const char *why),
					void *arg);
/* What went wrong with the command. */
void cli_secret_failed(const struct cli_secret_setup *s, const char *why);

#endif
