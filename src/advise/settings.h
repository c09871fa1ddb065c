/* settings.h - what to set in a mail program so that it submits to a server: an engine.
 *
 * Data and a function.  settings.def has the programs, each with its files or places and what stands there;
 * advise_settings_part() fills in host, port, encryption and user.  A password is neither taken nor written:
 * where one belongs stands YOUR-PASSWORD, or better the way to where it is kept.
 *
 * What is filled in goes into many languages without quoting, so it is checked first
 * (advise_settings_usable): names and addresses as they are in use pass, quotes, blanks and what starts an
 * expansion do not.
 */
#ifndef POSTERN_ADVISE_SETTINGS_H
#define POSTERN_ADVISE_SETTINGS_H

#include "base/buf.h"

#define ADVISE_SETTINGS_MAX 4096 /* octets of a part, or a note */

/* Names (advise_settings_name) are an interface: --config NAME. */
enum advise_program {
#define CLIENT(code, name, title, note) ADVISE_FOR_##code,
#define PART(code, where, mode, text)
#include "advise/settings.def"
#undef CLIENT
#undef PART
	ADVISE_PROGRAMS, /* one past the last */
};

/* Borrowed: the texts must outlive the calls. */
struct advise_server {
	const char *host;
	uint16_t port;
	bool implicit;	   /* TLS from the first octet; else STARTTLS */
	const char *user;  /* NULL: "YOUR-USER-NAME" */
	const char *from;  /* NULL: the user if that is an address, else "YOU@YOUR-DOMAIN" */
	const char *mechs; /* that the server offers, with blanks between; NULL: not known */
};

/* NULL, or what cannot be written into settings: "the user name". */
const char *advise_settings_usable(const struct advise_server *s);

/* ADVISE_PROGRAMS: there is none of that name; letters in either case. */
enum advise_program advise_settings_find(struct slice name);
const char *advise_settings_name(enum advise_program program);	/* "postfix" */
const char *advise_settings_title(enum advise_program program); /* "Postfix" */
/* "PLAIN" or "LOGIN", as these settings have it; NULL where the server offers neither. */
const char *advise_settings_mechanism(const struct advise_server *s);

/* A program's part by number, from 0.  where and text are appended; mode: of a file that holds the password,
 * 0 for others.  false: it has no more.  The server must be usable. */
bool advise_settings_part(enum advise_program program, size_t i, const struct advise_server *s,
			  struct buf *where, struct buf *text, unsigned *ret_mode);
/* How to go on, and how the password is kept: sentences, or nothing. */
void advise_settings_note(enum advise_program program, const struct advise_server *s, struct buf *note);

#endif
