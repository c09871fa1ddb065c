/* send_outbox.h - what `postern send` has to do with the outbox: its options, and what becomes of a message
 * that was not taken.
 */
#ifndef POSTERN_CLI_SEND_OUTBOX_H
#define POSTERN_CLI_SEND_OUTBOX_H

#include "cli/outbox.h"
#include "cli/send.h"

enum {
	CLI_SEND_QUEUE = 400,
	CLI_SEND_FLUSH,
	CLI_SEND_LIST,
	CLI_SEND_RETRY,
	CLI_SEND_DROP,
};

#define CLI_SEND_OUTBOX_OPTIONS                                                                         \
	{ "queue", no_argument, NULL, CLI_SEND_QUEUE }, { "flush", no_argument, NULL, CLI_SEND_FLUSH }, \
		{ "list", no_argument, NULL, CLI_SEND_LIST },                                           \
		{ "retry", required_argument, NULL, CLI_SEND_RETRY },                                   \
	{                                                                                               \
		"drop", required_argument, NULL, CLI_SEND_DROP                                          \
	}

struct cli_send_outbox {
	bool queue; /* --queue: what can be tried later is kept */
	int what;   /* 0, or the option that stands in place of a message */
	const char *id[CLI_OUTBOX_IDS_MAX];
	size_t ids;
	bool many; /* options that exclude each other */
};

/* False: it is none of these.  *ret_ok: it can be understood. */
bool cli_send_outbox_option(struct cli_send_outbox *x, int c, const char *arg, bool *ret_ok);
/* In place of a message: x->what is set. */
int cli_send_outbox(const struct cli_send_outbox *x, const struct cli_carrier_setup *by, unsigned verbose,
		    bool json);
/* The answer to a message is told; what may be taken later is kept if that is wanted; and where the server
 * was reached, what waits for it goes out, too.  The exit status. */
int cli_send_finish(bool queue, const struct cli_outbox_by *by, const struct cli_sent *s, bool json);

#endif
