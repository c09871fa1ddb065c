/* local.h - configuration files of mail programs, read: which server they submit to, what is wrong, and what
 * to write instead: an engine.
 *
 * Text in; servers, findings and changes out.  Which files there are, which of them takes in which others,
 * and who may read them is for the caller (cli/check_local.c, local_include.h).  A file is no trusted input:
 * it is read up to a size, nothing in it is run.  What is computed in it (a variable that is set elsewhere, a
 * call) is not guessed but said to be unknown.
 *
 * Of what the file says only hosts, ports, the values of settings that are about encryption, names of
 * accounts and of programs come out; a password never does, nor a user name, which to some providers is one:
 * that they are there is a bool.
 */
#ifndef POSTERN_ADVISE_LOCAL_H
#define POSTERN_ADVISE_LOCAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

#define ADVISE_LOCAL_MAX       (1 << 20) /* octets of a file that are read */
#define ADVISE_LOCAL_SERVERS   32	 /* of a file */
#define ADVISE_LOCAL_NAME      64
#define ADVISE_LOCAL_HOST      254
#define ADVISE_LOCAL_PASSWORDS 512
#define ADVISE_LOCAL_SETS      12 /* settings of a server that are kept */
#define ADVISE_LOCAL_VALUE     64 /* of a value that is kept, to show it */
#define ADVISE_LOCAL_CHANGES   8
#define ADVISE_LOCAL_FILES     256		  /* that one configuration consists of */
#define ADVISE_LOCAL_BESIDE    ADVISE_LOCAL_FILES /* in place of a file's number: the one beside it */

/* Names (advise_local_kind_name, advise_wrong_name) are an interface. */
enum advise_local_kind {
#define KIND(code, name, title, syntax, beside, paths) ADVISE_LOCAL_##code,
#define KEY(kind, section, key, role)
#define AIM(kind, section, key, role, implicit, starttls, usual, only)
#define WRONG(code, name, level, mend, what, change)
#include "advise/local.def"
#undef KIND
#undef WRONG
	ADVISE_LOCAL_KINDS, /* one past the last */
};

enum advise_wrong {
#define KIND(code, name, title, syntax, beside, paths)
#define WRONG(code, name, level, mend, what, change) ADVISE_WRONG_##code,
#include "advise/local.def"
#undef KIND
#undef KEY
#undef AIM
#undef WRONG
	ADVISE_WRONGS, /* one past the last; at most 32 */
};

enum advise_level { ADVISE_NOTE, ADVISE_WARNING, ADVISE_PROBLEM };
const char *advise_level_name(enum advise_level level); /* "note" */

enum advise_security {
	ADVISE_SECURITY_UNKNOWN,
	ADVISE_SECURITY_NONE,
	ADVISE_SECURITY_MAYBE,	  /* STARTTLS where it is offered */
	ADVISE_SECURITY_STARTTLS, /* as a must */
	ADVISE_SECURITY_IMPLICIT, /* TLS from the first octet */
};
const char *advise_security_name(enum advise_security security); /* "SSL/TLS", "STARTTLS if offered" */

/* One setting that stands in the file. */
struct advise_set {
	uint16_t key;			/* opaque: a row of local.def */
	bool beside;			/* it stands in the file beside */
	uint16_t file;			/* else in that one (advise_part.file) */
	bool inherited;			/* it holds for other servers of the file, too */
	bool computed;			/* its value is not known */
	bool condition;			/* it may not hold */
	unsigned line, last;		/* from 1; where it begins and ends */
	char value[ADVISE_LOCAL_VALUE]; /* printable; "": it is secret, or too long to be shown */
};

/* One server of a file.  Zeroed, nothing is known; it owns nothing. */
struct advise_local_server {
	char name[ADVISE_LOCAL_NAME];		/* of the account or section; "" */
	char host[ADVISE_LOCAL_HOST + 1];	/* "" */
	char program[ADVISE_LOCAL_NAME];	/* that is given the mail instead, as a path or a name; "" */
	char passwords[ADVISE_LOCAL_PASSWORDS]; /* Postfix: the table of passwords, as type:path; "" */
	uint16_t port;				/* 0: not known */
	bool port_set;				/* else it is the program's default */
	bool port_alone;			/* it was set by itself, not with the host */
	bool brackets;				/* Postfix: [host] */
	enum advise_security security;
	bool login;		/* it logs in */
	bool login_known;	/* else that is set elsewhere */
	bool password;		/* one stands in the file */
	uint16_t password_file; /* in which */
	bool macros;		/* Exim of Debian's: its files take the macros of local.def */
	uint16_t file;		/* of the line */
	unsigned line;		/* below which what is added belongs; 0: anywhere */
	struct advise_set set[ADVISE_LOCAL_SETS];
	size_t n_sets;
	uint32_t wrong; /* bits 1 << enum advise_wrong */
};

struct advise_local {
	enum advise_local_kind kind;
	struct advise_local_server server[ADVISE_LOCAL_SERVERS];
	size_t n;
	bool cut;   /* there was more than is read */
	bool split; /* Exim of Debian's: of many files */
};

/* A piece of a file.  What takes in others is given in pieces: up to where another is taken in, that one,
 * what is behind it. */
struct advise_part {
	struct slice text;
	uint16_t file; /* of which it is, by a number below ADVISE_LOCAL_FILES; 0: the configuration itself */
	unsigned line; /* of its beginning, from 1 */
	struct slice when; /* git: only then it counts ("gitdir:~/office/"); else "" */
};

struct advise_whole {
	const struct advise_part *part; /* in the order in which they count; the later one wins */
	size_t n;
	struct slice beside; /* the text of the file that advise_local_kind_beside() names; may be empty */
	struct slice folder; /* that it lies in: Postfix's $config_directory */
};

void advise_local_read_whole(enum advise_local_kind kind, const struct advise_whole *whole,
			     struct advise_local *ret);
/* Of one file. */
void advise_local_read(enum advise_local_kind kind, struct slice text, struct slice beside,
		       struct advise_local *ret);
/* What only the caller can know (READABLE, NO_PROGRAM, NO_ENTRY, POSTMAP), or any other. */
void advise_wrong_add(struct advise_local_server *s, enum advise_wrong wrong);
bool advise_wrong_has(const struct advise_local_server *s, enum advise_wrong wrong);
/* Whether a table of Postfix's passwords (its text) has a line for this server. */
bool advise_local_has_password(const struct advise_local_server *s, struct slice table);

const char *advise_local_kind_name(enum advise_local_kind kind);   /* "postfix" */
const char *advise_local_kind_title(enum advise_local_kind kind);  /* "Postfix" */
const char *advise_local_kind_beside(enum advise_local_kind kind); /* "master.cf"; "" */
const char *advise_local_kind_paths(enum advise_local_kind kind);  /* with blanks between */
/* By the path alone; ADVISE_LOCAL_KINDS: it is none that is known. */
enum advise_local_kind advise_local_kind_of(struct slice path);
/* By what stands in it, for a file whose name tells nothing; the same. */
enum advise_local_kind advise_local_kind_by(struct slice text);

/* The setting that decides about encryption, as it stands there; "": none is set.  Returns its line; 0: none,
 * or in the file beside. */
unsigned advise_local_setting(const struct advise_local *l, const struct advise_local_server *s, char *to,
			      size_t size);
uint16_t advise_local_setting_file(const struct advise_local_server *s); /* in which that line is */
const char *advise_set_key(const struct advise_set *set);		 /* "relayhost" */

const char *advise_wrong_name(enum advise_wrong wrong);
enum advise_level advise_wrong_level(enum advise_wrong wrong);
/* A sentence about that server.  Returns to, cut to size. */
const char *advise_wrong_what(enum advise_wrong wrong, const struct advise_local *l,
			      const struct advise_local_server *s, char *to, size_t size);
const char *advise_wrong_change(enum advise_wrong wrong); /* what to do besides the changes; "" */
/* The line of the file that it is about; 0: of no single one, or in the file beside. */
unsigned advise_wrong_line(enum advise_wrong wrong, const struct advise_local_server *s);
uint16_t advise_wrong_file(enum advise_wrong wrong, const struct advise_local_server *s); /* of that line */

/* ---- what to write ---- */

struct advise_target {
	uint16_t port;
	bool implicit;
};

struct advise_change {
	unsigned line;	   /* that is replaced, or below which it is added; 0: anywhere */
	unsigned last;	   /* up to this one, where it stands on several */
	bool add;	   /* it is not there yet */
	bool beside;	   /* in the file beside */
	uint16_t file;	   /* else in that one */
	const char *place; /* a file of the same folder that is for it, made if there is none; "" */
	char text[400];	   /* the line */
	char now[ADVISE_LOCAL_VALUE]; /* what stands there; "": it is not shown */
};

/* What the server's port and encryption should be by what is wrong with it; false: nothing of it is. */
bool advise_local_target(const struct advise_local *l, const struct advise_local_server *s,
			 struct advise_target *ret);
/* What is to be done when they are written: "run ..."; "" */
const char *advise_local_then(enum advise_local_kind kind);
/* The lines that lead there; how many, 0 when all is so, or this file cannot say it. */
size_t advise_local_changes(const struct advise_local *l, const struct advise_local_server *s,
			    const struct advise_target *target,
			    struct advise_change ret[static ADVISE_LOCAL_CHANGES]);

#endif
