/* outbox.h - the user's outbox as the commands use it: what is kept there, sent from there, listed, tried
 * again and dropped.  What it is itself: submit/outbox.h.
 *
 * What goes wrong is said on standard error, beginning with the command's name.
 */
#ifndef POSTERN_CLI_OUTBOX_H
#define POSTERN_CLI_OUTBOX_H

#include "cli/carrier.h"
#include "submit/outbox.h"

#define CLI_OUTBOX_IDS_MAX 64

/* The one of whoever runs this.  NULL: said; or (without make) there is none yet, and *ret_none is true. */
struct outbox *cli_outbox_open(const char *program, bool make, bool *ret_none);

/* How a server was reached, and how the options said so. */
struct cli_outbox_by {
	const char *program;
	struct cli_carrier *carrier;
	const struct cli_carrier_setup *setup;
};

/* What may be taken later of a message, as its answer tells: all that was not taken for a reason that passes.
 */
bool cli_outbox_wants(const struct carry_result *r);
/* Kept for those recipients.  CLI_OK, and its id; else said, and nothing is kept. */
int cli_outbox_keep(const struct cli_outbox_by *by, const struct draft *d, const struct carry_result *r,
		    struct id *ret);

/* What was said to the one that was refused; else what was said last. */
const char *cli_outbox_why(const struct outbox_message *m);

struct cli_outbox_count {
	size_t sent, waiting, unsure, failed; /* messages: gone; and what is left in the outbox */
};
/* A server was reached: what waits for the same goes out over this carrier, but for what it told lately to
 * come later.  What cannot be sent stays, and nothing is said of it. */
void cli_outbox_also(const struct cli_outbox_by *by, struct cli_outbox_count *ret);
/* One line on standard error of what was sent, and of what needs its owner; or nothing. */
void cli_outbox_hint(const char *program, const struct cli_outbox_count *c);

struct cli_outbox_ask {
	const char *program;
	struct cli_carrier_setup by; /* account, url: only what is for that; password_file: in place of what
				      * was said when it was kept */
	const char *id[CLI_OUTBOX_IDS_MAX];
	size_t ids; /* 0: all of them */
	unsigned verbose;
	bool json;
};
/* Each tries what waits, a server that cannot be reached once; CLI_OK: nothing of it waits any more. */
int cli_outbox_flush(const struct cli_outbox_ask *ask);
/* Of what failed or is in doubt: it waits again, and is tried at once. */
int cli_outbox_retry(const struct cli_outbox_ask *ask);
int cli_outbox_drop(const struct cli_outbox_ask *ask);
int cli_outbox_list(const struct cli_outbox_ask *ask);

#endif
