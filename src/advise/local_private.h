/* local_private.h - the parts of local.c among themselves: a file's settings one by one, whatever its syntax;
 * what each is for; and what they said of a server before it is known what they mean together.
 */
#ifndef POSTERN_ADVISE_LOCAL_PRIVATE_H
#define POSTERN_ADVISE_LOCAL_PRIVATE_H

#include "advise/local.h"

/* ---- syntaxes: local_pairs.c ---- */

enum advise_syntax {
	ADVISE_LINES,	/* Postfix: name = value, continued by lines that begin with a blank */
	ADVISE_MASTER,	/* Postfix's master.cf: the -o name=value of the service smtp */
	ADVISE_EXIM,	/* name = value, below "begin section" and "name:"; continued after a backslash */
	ADVISE_SHELL,	/* NAME=value, quoted or not; export before it */
	ADVISE_WORDS,	/* name value */
	ADVISE_INI,	/* name = value, below [section] or [section "subsection"] */
	ADVISE_DEFINES, /* PHP: define('NAME', value) */
	ADVISE_PYTHON,	/* NAME = value */
};

struct advise_pair {
	struct slice section, sub, key, value; /* within the text, without quotes */
	unsigned line, last;		       /* from 1; where it begins and ends */
	bool literal;	/* the value stands there as it is; else something computes it */
	bool condition; /* it may not hold: it stands in a block */
	bool directive; /* Exim: .key value */
	bool pool;	/* PHP: of the pool sub */
	bool filled;	/* there was a name in the value that stands for another */
};

struct advise_pairs {
	enum advise_syntax syntax;
	struct slice rest, section, sub;
	const unsigned char *counted, *end; /* up to there lines are counted; the text's end */
	unsigned line;
};

/* The next setting; false at the end.  What is no setting is passed over. */
bool advise_pairs_next(struct advise_pairs *p, struct advise_pair *ret);
void advise_pairs_init(struct advise_pairs *p, enum advise_syntax syntax, struct slice text);

/* ---- names that stand for values: local_macros.c ---- */

#define ADVISE_MACROS_MAX 128
#define ADVISE_EXPANDED	  2048 /* octets of a value with its names filled in */

/* Borrowed from the texts. */
struct advise_macros {
	struct {
		struct slice name, value;
	} m[ADVISE_MACROS_MAX];
	size_t n;
};

bool advise_is_macro(struct slice s); /* as Exim spells them */
void advise_macros_set(struct advise_macros *m, struct slice name, struct slice value);
bool advise_macros_has(const struct advise_macros *m, struct slice name);
/* Exim's.  True where there was one; *value is in `to` then. */
bool advise_macros_expand(const struct advise_macros *m, struct slice *value,
			  char to[static ADVISE_EXPANDED]);
/* Postfix's $name.  False, and nothing is changed, where one is not known, or something else is computed. */
bool advise_variables_fill(const struct advise_macros *m, struct slice *value,
			   char to[static ADVISE_EXPANDED]);

/* ---- settings: local_rows.c ---- */

enum advise_role {
	ROLE_HOST,
	ROLE_HOST_BRACKETS, /* [host]:port */
	ROLE_HOST_COLONS,   /* host::port */
	ROLE_ROUTE_LIST,    /* Exim: * host::port options */
	ROLE_ROUTE_DATA,    /* Exim: host::port */
	ROLE_EXIM_HOSTS,    /* Exim: of a transport */
	ROLE_TRANSPORT,	    /* Exim: the name of a router's */
	ROLE_PORT,
	ROLE_WINDOWS_HOST,
	ROLE_WINDOWS_PORT,
	ROLE_IMPLICIT,	/* a truth: TLS from the first octet */
	ROLE_STARTTLS,	/* a truth: STARTTLS */
	ROLE_ENCRYPTED, /* a truth: one of both */
	ROLE_MAYBE,	/* a truth: STARTTLS where it is offered */
	ROLE_REQUIRE,	/* where it is set, encryption is a must */
	ROLE_SSL_TLS,	/* "ssl" or "tls" */
	ROLE_LARAVEL,	/* the former, as each version of it takes that otherwise */
	ROLE_SECURE,	/* a truth as nodemailer's secure, or the former */
	ROLE_SCHEME,	/* "smtp" or "smtps" */
	ROLE_URL,
	ROLE_DJANGO_URL, /* in which smtps means STARTTLS */
	ROLE_POSTFIX_LEVEL,
	ROLE_POSTFIX_PASSWORDS,
	ROLE_SASL_OPTIONS,
	ROLE_SASL_TLS_OPTIONS,
	ROLE_AUTHORITIES,     /* where it is set, some are trusted */
	ROLE_AUTHORITIES_TOO, /* a truth: the system's are */
	ROLE_ELSEWHERE,	      /* where it is set, it decides too, and is not read */
	ROLE_LOGIN,	      /* a truth */
	ROLE_LOGIN_SET,	      /* where it is set, it logs in */
	ROLE_PASSWORD,
	ROLE_EXIM_SECRET, /* of all servers */
	ROLE_VERIFY,	  /* a truth */
	ROLE_VERIFY_OFF,  /* a truth: it does not */
	ROLE_VERIFY_SET,  /* where it is set, it does */
	ROLE_VERIFY_MODE, /* "none": it does not */
	ROLE_CERT_PATH,	  /* git: an empty one switches the check off */
	ROLE_MAILER,	  /* "smtp", or mail goes another way */
	ROLE_SWITCH,	  /* a truth: all of it counts */
	ROLE_SENDMAIL,	  /* a command */
	ROLE_OBSOLETE,
	ROLE_OLD_MAY,	  /* a truth: Postfix's level may, of old */
	ROLE_OLD_MUST,	  /* a truth: encrypt */
	ROLE_DEBIAN_TYPE, /* where Debian's Exim sends mail to */
	ROLE_CLEAR_TOO,	  /* where it is set, passwords are sent without encryption, too */
	ROLES,
};

struct advise_row {
	enum advise_local_kind kind;
	const char *section, *key;
	enum advise_role role;
	const char *implicit, *starttls, *usual, *only; /* NULL: it is no AIM */
};

const struct advise_row *advise_row(size_t key); /* of advise_set.key */
size_t advise_rows(void);
/* That setting of a server; NULL: it is not set. */
const struct advise_set *advise_set_of(const struct advise_local_server *s, size_t key);
/* Index of that setting's row; advise_rows(): it is none that is known. */
size_t advise_row_find(enum advise_local_kind kind, struct slice section, struct slice key);
enum advise_syntax advise_local_syntax(enum advise_local_kind kind);
/* What tells one server of a file from another, where keys begin with it: "MAIL"; a URL's key; "". */
struct slice advise_row_group(enum advise_local_kind kind, enum advise_role role, struct slice key);

/* ---- values: local_values.c ---- */

enum advise_truth { ADVISE_UNSET, ADVISE_NO, ADVISE_YES };

/* What the settings said, before it is known what they mean together. */
struct advise_said {
	enum advise_truth implicit, starttls, encrypted, maybe, verify, login, authorities;
	enum advise_truth old_may, old_must;	   /* Postfix's former settings */
	bool encryption_computed, port_computed;   /* something is set, but not known */
	bool verifies;				   /* Postfix: it must */
	bool level;				   /* Postfix: one is set */
	enum advise_truth plain, plain_within_tls; /* Postfix: PLAIN and LOGIN are allowed */
	bool off;				   /* nothing of it counts */
	bool not_smtp;				   /* nor of the server */
	bool windows;
	bool laravel_ssl;
	bool secret; /* for all servers of the file */
	char transport[ADVISE_LOCAL_NAME];
	bool is_transport;
	bool clear_too;
	bool debian_route; /* Exim: to where update-exim4.conf.conf says */
	bool alias;	   /* msmtp: it takes all from another account, so far */
};

void advise_take_value(enum advise_local_kind kind, enum advise_role role, const struct advise_pair *p,
		       struct advise_local_server *s, struct advise_said *said);
/* As truths are written in configuration files: yes, true, on, 1. */
bool advise_true(struct slice s);
/* [host]:port, host:port */
bool advise_place(struct slice v, struct slice *ret_host, uint16_t *ret_port, bool *ret_brackets);
/* Bytes that are no printable ASCII become "?". */
void advise_printable(char *s);

/* ---- rules: local_rules.c ---- */

void advise_local_judge(enum advise_local_kind kind, const struct advise_said *said,
			struct advise_local_server *s);

/* ---- words: local_words.c ---- */

/* "tls_starttls off", as its syntax has it. */
struct buf;
void advise_setting(struct buf *to, enum advise_local_kind kind, const char *key, struct slice value);
/* By which kind's syntax a setting of that file is written: Debian's Exim has two. */
enum advise_local_kind advise_written_as(enum advise_local_kind kind, uint16_t file);
/* The setting that a finding is about; NULL: none that is set. */
const struct advise_set *advise_wrong_set(enum advise_wrong wrong, const struct advise_local_server *s);

#endif
