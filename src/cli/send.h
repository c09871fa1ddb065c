/* send.h - the parts of `postern send`: its answer for people, and as JSON. */
#ifndef POSTERN_CLI_SEND_H
#define POSTERN_CLI_SEND_H

#include <jansson.h>

#include "cli/carrier.h"
#include "submit/carry.h"

struct cli_sent {
	const struct provider *provider;
	const struct draft *draft;
	const struct carry_result *r;
	unsigned verbose;		    /* 1: what was tried, 2: and what was said */
	const struct cli_carrier_setup *by; /* what else told how; NULL: nothing */
};

int cli_send_status(const struct cli_sent *s); /* the exit status */
void cli_send_print(const struct cli_sent *s);
void cli_send_print_tries(const struct cli_sent *s); /* and what was said, with verbose 2 */
/* Below it, on standard error: what a failure means, what to change, and which call tells more; nothing if
 * all went well. */
void cli_send_advise(const struct cli_sent *s);
/* A list, as of check --explain, for a recipient, or NULL: for what ended the connection. */
json_t *cli_send_causes(const struct cli_sent *s, const struct carry_rcpt *t);
json_t *cli_send_call(const struct cli_sent *s); /* of postern check; null at a socket */
json_t *cli_send_json(const struct cli_sent *s); /* NULL: out of memory */

/* The message to standard output, its envelope to standard error. */
int cli_send_print_draft(const struct draft *d);
/* "example.org" of "Bob <bob@example.org>": for the Message-ID, where this machine has no name of its own. */
struct slice cli_send_domain_of(struct slice from);

#endif
