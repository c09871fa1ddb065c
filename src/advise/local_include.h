/* local_include.h - which other files a configuration takes in, by what stands in it: an engine.
 *
 * It names them as they stand there; where they lie and whether they may be read is for the caller
 * (cli/check_local_gather.c).
 */
#ifndef POSTERN_ADVISE_LOCAL_INCLUDE_H
#define POSTERN_ADVISE_LOCAL_INCLUDE_H

#include "advise/local.h"

#define ADVISE_INCLUDE_PATH 512

struct advise_include {
	char path[ADVISE_INCLUDE_PATH]; /* absolute, below the folder of the file it stands in, or ~/ */
	char when[ADVISE_LOCAL_NAME];	/* git: the condition; else "" */
	bool optional;			/* that it is missing is no mistake */
	bool apart;    /* Postfix: it is a configuration of its own, main.cf of another instance */
	unsigned line; /* from 1 */
	size_t end;    /* where the text goes on behind it */
};

/* The next one behind *at, which is moved past it; false: there is none. */
bool advise_include_next(enum advise_local_kind kind, struct slice text, size_t *at,
			 struct advise_include *ret);

/* Which files belong to it by where they lie, and count after it: patterns of glob(7) below its folder, with
 * blanks between, in their order; "".  text: of the configuration itself. */
const char *advise_local_with(enum advise_local_kind kind, struct slice text);
/* Which one of the same folder counts before it (.env before .env.local), the i-th; "": no more.  name:
 * without a folder. */
const char *advise_local_before(enum advise_local_kind kind, struct slice name, size_t i,
				char to[static ADVISE_LOCAL_NAME]);
/* Whether one that the pattern fits is taken: Debian's Exim passes over what editors and dpkg leave. */
bool advise_local_with_takes(enum advise_local_kind kind, struct slice name);

#endif
