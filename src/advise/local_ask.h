/* local_ask.h - a server of a configuration file held against what is true of that server: an engine.
 *
 * In: what local.h read, and what probe/ saw of that host.  Out: whether the settings work, why not, and the
 * port and encryption that would.
 */
#ifndef POSTERN_ADVISE_LOCAL_ASK_H
#define POSTERN_ADVISE_LOCAL_ASK_H

#include "advise/local.h"
#include "probe/verdict.h"

/* Names (advise_asked_name) are an interface. */
enum advise_asked {
	ADVISE_ASKED_NOT,   /* host or port is not known */
	ADVISE_ASKED_WORKS, /* as far as that can be told without logging in */
	ADVISE_ASKED_NO_ADDRESS,
	ADVISE_ASKED_CLOSED,	       /* refused, filtered, unreachable */
	ADVISE_ASKED_NO_SMTP,	       /* something else speaks there */
	ADVISE_ASKED_OTHER_ENCRYPTION, /* the one of both that is not set */
	ADVISE_ASKED_NO_ENCRYPTION,    /* and it is set as a must, or a password would be readable */
	ADVISE_ASKED_NO_HANDSHAKE,     /* TLS does not come about */
	ADVISE_ASKED_CERTIFICATE,      /* it does not verify */
	ADVISE_ASKED_NO_LOGIN,	       /* none is offered there, under that encryption */
	ADVISE_ASKED_LOGIN_WANTED,     /* and none is set */
	ADVISE_ASKEDS,
};
const char *advise_asked_name(enum advise_asked asked); /* "works" */

struct advise_answer {
	enum advise_asked asked;
	enum advise_level level; /* NOTE: as it should be */
	char text[700];		 /* a sentence */
	bool has_target;	 /* something else works there: */
	struct advise_target target;
};

/* hosts: those of that name; the first is the one that the verdict is of. */
void advise_local_compare(const struct advise_local_server *s, const struct probe_host *const *hosts,
			  size_t n, const struct probe_verdict *verdict, struct advise_answer *ret);

#endif
