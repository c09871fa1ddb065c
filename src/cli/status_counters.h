/* status_counters.h - what the roles count, for `postern status`.
 *
 * The numbers of all processes of a role are added up; --json has each by itself.
 */
#ifndef POSTERN_CLI_STATUS_COUNTERS_H
#define POSTERN_CLI_STATUS_COUNTERS_H

#include <jansson.h>

/* Prints them; of_main, what main answered (NULL: it did not), says in which order. */
void status_counters(const json_t *of_main, const json_t *roles);

#endif
