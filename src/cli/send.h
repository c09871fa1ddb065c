/* send.h - the parts of `postern send`: its answer for people, and as JSON. */
#ifndef POSTERN_CLI_SEND_H
#define POSTERN_CLI_SEND_H

#include <jansson.h>

#include "submit/carry.h"

struct cli_sent {
	const struct provider *provider;
	const struct draft *draft;
	const struct carry_result *r;
	unsigned verbose; /* 1: what was tried, 2: and what was said */
};

int cli_send_status(const struct cli_sent *s); /* the exit status */
void cli_send_print(const struct cli_sent *s);
void cli_send_print_tries(const struct cli_sent *s); /* each connection, on standard error */
json_t *cli_send_json(const struct cli_sent *s);     /* NULL: out of memory */

#endif
