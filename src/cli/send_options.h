/* send_options.h - what `postern send` was told on its command line. */
#ifndef POSTERN_CLI_SEND_OPTIONS_H
#define POSTERN_CLI_SEND_OPTIONS_H

#include <string.h>

#include "base/buf.h"
#include "cli/carrier.h"
#include "cli/send_merge.h"
#include "cli/send_outbox.h"
#include "cli/send_trial.h"
#include "submit/draft.h"

#define CLI_SEND_FILES_MAX  256
#define CLI_SEND_FIELDS_MAX 64

/* Texts are those of argv. */
struct cli_send_options {
	struct cli_carrier_setup by;
	struct cli_carrier *carrier;
	const char *message, *text_file, *html_file;
	const char *from, *reply_to, *subject, *text;
	struct buf to, cc, bcc;
	struct draft_file file[CLI_SEND_FILES_MAX];
	size_t files;
	struct mime_extra field[CLI_SEND_FIELDS_MAX];
	size_t fields;
	unsigned verbose;
	bool dry_run, json, list_accounts;
	struct cli_send_outbox outbox;
	struct cli_merge merge;
	struct cli_send_trial test;
	/* What was read of the files, and who sends. */
	struct buf text_read, html_read, mailbox;
};

static inline bool cli_send_is_stdin(const char *file)
{
	return file && !strcmp(file, "-");
}

/* o: all zero, but for its init()ed buffers and by.program.  CLI_OK: they fit together, and the carrier is
 * found unless the command needs none; else the status to end with, said on standard error. */
int cli_send_options(int argc, char **argv, struct cli_send_options *o);

#endif
