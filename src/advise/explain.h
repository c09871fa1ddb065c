/* explain.h - what a mail program's error text means, and what to change: an engine.
 *
 * Data and a function.  explain.def has the causes, what texts tell of them, and the clients with the names
 * that their settings have.  In: a text that somebody pasted, of any program and any length.  Out: the causes
 * it can have, the most probable first, which client speaks, host and port where they are in it, and a
 * server's reply.  It tries nothing and asks nobody: `postern check HOST` does that.
 *
 * The text is a stranger's and may hold passwords.  What comes out holds nothing of it but a host's name, a
 * port and a reply's code; all words are ours.
 */
#ifndef POSTERN_ADVISE_EXPLAIN_H
#define POSTERN_ADVISE_EXPLAIN_H

#include "route/classify.h"
#include "route/providers.h"

#define ADVISE_TEXT_MAX	   16384 /* octets that are looked at: the last of a longer text, where errors stand */
#define ADVISE_GUESSES_MAX 4
#define ADVISE_HOST_MAX	   254
#define ADVISE_CHANGE_MAX  1400

/* Names (advise_cause_name, advise_client_name) are an interface: they stand in --json and in scripts. */
enum advise_cause {
#define CAUSE(code, name, what, change) ADVISE_##code,
#define CLIENT(code, name, title, marks, implicit, starttls, trust, login, debug)
#define TELLS(cause, weight, port, pieces)
#include "advise/explain.def"
#undef CAUSE
#undef CLIENT
#undef TELLS
	ADVISE_CAUSES, /* one past the last */
};

/* The first, ADVISE_BY_UNKNOWN, is none of them. */
enum advise_client {
#define CAUSE(code, name, what, change)
#define CLIENT(code, name, title, marks, implicit, starttls, trust, login, debug) ADVISE_BY_##code,
#define TELLS(cause, weight, port, pieces)
#include "advise/explain.def"
#undef CAUSE
#undef CLIENT
#undef TELLS
	ADVISE_CLIENTS, /* one past the last */
};

struct advise_guess {
	enum advise_cause cause;
	unsigned weight; /* 1 to 99; nothing but the order of guesses should hang on it */
};

/* Zeroed, nothing is known.  It owns nothing; strings live for ever. */
struct advise_explained {
	struct advise_guess guess[ADVISE_GUESSES_MAX]; /* the most probable first, each cause once */
	size_t n;
	enum advise_client client;
	char host[ADVISE_HOST_MAX + 1]; /* in lower case, or an address; "" */
	uint16_t port;			/* 0: not in the text */
	const struct route_provider *provider;
	int code; /* of a server's reply; 0 */
	char enhanced[12];
	const char *class; /* of that reply, as route_class_name() has it; NULL without one */
	bool secret;	   /* the text seems to hold a password */
	bool cut;	   /* only its end was looked at */
};

void advise_explain(struct slice text, struct advise_explained *ret);
/* The same of a reply that we got ourselves from that host, so that nothing of it is guessed; code 0: our own
 * words on what went wrong there.  client: who is told. */
void advise_explain_reply(const struct route_reply *r, const char *host, uint16_t port,
			  enum advise_client client, struct advise_explained *ret);

const char *advise_cause_name(enum advise_cause cause);	   /* "tls-to-plain-port" */
const char *advise_cause_what(enum advise_cause cause);	   /* what it means: sentences */
const char *advise_client_name(enum advise_client client); /* "nodemailer"; "unknown" */
const char *advise_client_title(enum advise_client client);
/* Its words for TLS from the first octet, and for STARTTLS, each with the port. */
const char *advise_client_implicit(enum advise_client client);
const char *advise_client_starttls(enum advise_client client);
/* One of them as it is for that port.  Returns to, cut to size. */
const char *advise_client_setting(enum advise_client client, bool implicit, uint16_t port, char *to,
				  size_t size);
/* How it is made to say more: a sentence. */
const char *advise_client_debug(enum advise_client client);

/* What to change, with the settings as that client calls them.  Returns to, cut to size. */
const char *advise_change(enum advise_cause cause, enum advise_client client, char *to, size_t size);

#endif
