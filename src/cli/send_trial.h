/* send_trial.h - `postern send --test`: a marked message is sent, waited for in a mailbox, and the way it
 * took is shown.
 */
#ifndef POSTERN_CLI_SEND_TRIAL_H
#define POSTERN_CLI_SEND_TRIAL_H

#include <jansson.h>

#include "cli/carrier.h"
#include "mime/journey.h"

enum {
	CLI_SEND_TRIAL = 420,
	CLI_SEND_IMAP,
	CLI_SEND_IMAP_PASSWORD,
	CLI_SEND_WAIT,
};

#define CLI_SEND_TRIAL_OPTIONS                                                                             \
	{ "test", no_argument, NULL, CLI_SEND_TRIAL }, { "imap", required_argument, NULL, CLI_SEND_IMAP }, \
		{ "imap-password-file", required_argument, NULL, CLI_SEND_IMAP_PASSWORD },                 \
	{                                                                                                  \
		"wait", required_argument, NULL, CLI_SEND_WAIT                                             \
	}

struct cli_send_trial {
	bool on;
	const char *imap, *imap_password_file;
	bool has_wait;
	unsigned wait_s;
};

/* False: it is none of these.  *ret_ok: it can be understood. */
bool cli_send_trial_option(struct cli_send_trial *t, int c, const char *arg, bool *ret_ok);

struct cli_send_trial_ask {
	const struct cli_send_trial *t;
	struct cli_carrier *carrier;
	const struct cli_carrier_setup *by;
	const char *from, *to; /* lists of addresses; to: "" for from's own */
	unsigned verbose;
	bool json;
};
/* The exit status: CLI_OK, it was taken, and where a mailbox was named it came there and not as junk. */
int cli_send_trial(const struct cli_send_trial_ask *ask);

/* ---- what is shown (send_trial_print.c) ---- */

struct cli_send_trialed {
	const char *token, *subject, *to;
	char message_id[MIME_JOURNEY_WORD];
	const char *host;   /* of IMAP; NULL: nobody looked */
	const char *folder; /* where it was found; NULL: nowhere */
	bool junk;
	uint64_t sent_ms, found_ms; /* since 1970, by this machine's clock */
	unsigned waited_s;
	const struct mime_journey *journey; /* of what was found */
};
void cli_send_trial_print(const struct cli_send_trialed *t);
json_t *cli_send_trial_json(const struct cli_send_trialed *t);

#endif
