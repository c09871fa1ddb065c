/* control.h - asks the running server a question over its control socket.
 *
 * Blocking, with time-outs; says itself on standard error why nobody answers.
 * Not for the server: there it is the admin role.
 */
#ifndef POSTERN_CLI_CONTROL_H
#define POSTERN_CLI_CONTROL_H

#include <getopt.h>
#include <jansson.h>

#include "base/slice.h"

/* Where the server is asked: from --socket PATH, or -c FILE (its runtime_dir), or
 * $POSTERN_RUNTIME_DIR, or the default configuration, in this order.  Subcommands
 * put CONTROL_OPTIONS into their table and CONTROL_SHORT
 * into their short options, and hand what getopt_long() returned to control_option(). */
#define CONTROL_SHORT	   "c:"
#define CONTROL_OPT_SOCKET 0x1000
#define CONTROL_OPTIONS                                               \
	{ "config", required_argument, NULL, 'c' },                   \
	{                                                             \
		"socket", required_argument, NULL, CONTROL_OPT_SOCKET \
	}
/* True if it was one of ours. */
bool control_option(int opt, const char *arg);

/* Sends {"ask": ...} (takes the reference) and a secret (may be empty), and calls part()
 * for every part of the answer; a part with "error" is printed to standard error
 * instead, with its "advice".  part() returns 0 to go on, or the exit status
 * to end with.  Returns CLI_OK, CLI_FAILED (the answer was an error), CLI_NO_SERVER,
 * or what part() said. */
int control_ask(json_t *question, struct slice secret, int (*part)(void *arg, json_t *part), void *arg);

#endif
