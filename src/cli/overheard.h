/* overheard.h - what a command says on standard error, kept besides: for a log, where nobody reads that.
 *
 * One for the process.  It is kept from cli_overhear() on, up to OVERHEARD_MAX octets, and goes to standard
 * error as before.
 */
#ifndef POSTERN_CLI_OVERHEARD_H
#define POSTERN_CLI_OVERHEARD_H

#include "base/buf.h"

#define OVERHEARD_MAX 4096

void cli_overhear(void);
/* What is said next, up to the end of the line, is not kept: other programs may have written it, and secrets
 * among it.  These words are, in its place. */
void cli_overhear_instead(const char *words);
/* Appends why it went wrong: the lines that begin with the program's name or tell an error in a file, in one,
 * without what every failure says. */
void cli_overheard_put(const char *program, struct buf *to);

#endif
