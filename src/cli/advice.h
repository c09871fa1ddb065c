/* advice.h - what a server's answer means, and what to change: said below it, as advise/ knows it. */
#ifndef POSTERN_CLI_ADVICE_H
#define POSTERN_CLI_ADVICE_H

#include <jansson.h>
#include <stdio.h>

#include "advise/explain.h"

/* Lines of "means" and "change", for one cause, or two that are about as probable; nothing where none is
 * known. Each begins behind so many blanks. */
void cli_advice_put(FILE *to, const struct advise_explained *e, unsigned indent);
json_t *cli_advice_json(const struct advise_explained *e); /* a list of all causes, as in doc/check.md */

#endif
