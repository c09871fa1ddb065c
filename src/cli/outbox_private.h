/* outbox_private.h - for cli/outbox*.c only. */
#ifndef POSTERN_CLI_OUTBOX_PRIVATE_H
#define POSTERN_CLI_OUTBOX_PRIVATE_H

#include <jansson.h>
#include <limits.h>

#include "cli/outbox.h"

/* Room for what a way points at. */
struct cli_outbox_way {
	struct outbox_way way;
	char url[3 * PROVIDER_USER_MAX + 600], password_file[PATH_MAX], ca_file[PATH_MAX];
};
/* How this carrier's server is found again. */
bool cli_outbox_way(const struct cli_outbox_by *by, struct cli_outbox_way *ret);
/* As the URL is kept.  False: it is none, which is said. */
bool cli_outbox_url(const char *program, const char *url, struct cli_outbox_way *ret);
bool cli_outbox_same_server(const struct outbox_way *a, const struct outbox_way *b);

/* What ended a connection is not the server's or the network's passing trouble. */
bool cli_outbox_is_final(uint8_t end);
/* "bob@example.org", "bob@example.org and 3 others"; those in any state, or those that wait. */
void cli_outbox_put_people(const struct outbox_message *m, bool waiting, FILE *to);
const char *cli_outbox_way_text(const struct outbox_way *w);
json_t *cli_outbox_json(const struct outbox_message *m);
bool cli_outbox_wanted(const struct cli_outbox_ask *ask, const char *id);
int cli_outbox_print_json(const char *program, json_t *j); /* CLI_OK or not; j is used up */
/* Of "NAME: cannot be changed" and the like. */
int cli_outbox_error(const char *program, const char *about, int error);
void cli_outbox_tally(struct outbox *o, struct cli_outbox_count *c);

#endif
