/* cli.h - the subcommands of postern: one file each, one row each.
 *
 * A subcommand gets its own name as argv[0] and returns the exit status.  It
 * parses its options with getopt_long() (optind is reset), prints results to
 * standard output and what went wrong to standard error.
 */
#ifndef POSTERN_CLI_CLI_H
#define POSTERN_CLI_CLI_H

#include <stdio.h>

enum cli_exit {
	CLI_OK = 0,
	CLI_FAILED = 1,	   /* the server, or the machine, said no */
	CLI_USAGE = 2,	   /* a wrong option or argument */
	CLI_NO_SERVER = 3, /* no server answers */
	CLI_LATER = 75,	   /* EX_TEMPFAIL: not now; the same may work later */
	CLI_PORTS = 77,	   /* EX_NOPERM: listeners cannot be opened */
	CLI_CONFIG = 78,   /* EX_CONFIG: the configuration has errors */
};

struct cli_command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *usage; /* what follows the name; lines after the first are further forms */
	const char *help;  /* one line */
	const char *more;  /* options and examples, or NULL */
};

/* Ends with a row without a name. A row without help is not listed. */
extern const struct cli_command cli_commands[];

const struct cli_command *cli_find(const char *name);
/* The command whose name is nearest, or NULL if none is near. */
const char *cli_nearest(const char *name);
/* Prints "postern NAME: TEXT" and how it is used to standard error; returns CLI_USAGE. */
int cli_usage(const char *name, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same two lines when getopt_long() has already said what is wrong. */
int cli_usage_only(const char *name);

/* The lines "usage: ..." alone. */
void cli_print_usage(const struct cli_command *c, FILE *to);

/* Runs argv[0]'s subcommand; what main() does. */
int cli_main(int argc, char **argv);

int cli_check(int argc, char **argv);
int cli_config(int argc, char **argv);
int cli_send(int argc, char **argv);
int cli_sendmail(int argc, char **argv); /* argv[0]: sendmail, mailq or newaliases; sysexits */
/* owner, domain, account, alias and key: argv[0] says which. */
int cli_account(int argc, char **argv);
int cli_help(int argc, char **argv);
int cli_clients(int argc, char **argv); /* `status --clients` */
int cli_events(int argc, char **argv);
int cli_trace(int argc, char **argv);
int cli_limits(int argc, char **argv);
int cli_status(int argc, char **argv);
int cli_queue(int argc, char **argv);
int cli_reload(int argc, char **argv);
int cli_route(int argc, char **argv);
int cli_dovecot_login(int argc, char **argv);
int cli_tls(int argc, char **argv);
int cli_version(int argc, char **argv);
int cli_serve(int argc, char **argv);
int cli_role(int argc, char **argv);

#endif
