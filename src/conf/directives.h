/* directives.h - the one table of what may stand in a configuration file.
 *
 * Private to conf/.  A row says where a directive stands, what it may hold, its
 * default and what it is for; the parser, the defaults, `config show` and the
 * reference in postern.conf(5) are loops over the rows.  A new setting is one
 * row in directives.c and one member in conf.h.
 * Values, texts and findings serve submit/ as well, which reads a file of its own.
 */
#ifndef POSTERN_CONF_DIRECTIVES_H
#define POSTERN_CONF_DIRECTIVES_H

#include "conf/conf.h"

#define CONF_TEXT_MAX	      (1U << 20) /* octets of a file */
#define CONF_SMTP_MAX	      64	 /* processes */
#define CONF_DEPTH_MAX	      8
#define CONF_KEYS_MAX	      256 /* in one block; elements of one list */
#define CONF_FINDINGS_MAX     100 /* more errors are only counted */
#define CONF_STRING_MAX	      1024
#define CONF_LISTENERS_MAX    64
#define CONF_CERTIFICATES_MAX 128
#define CONF_ADDRESSES_MAX    16
#define CONF_NETWORKS_MAX     128
#define CONF_NAMED_MAX	      256 /* routes; sources; replies */

enum conf_type {
	CONF_T_STRING,	     /* char * */
	CONF_T_ACCOUNT_NAME, /* char *: a user or group of the system, or "" */
	CONF_T_HOST,	     /* char * */
	CONF_T_PATH,	     /* char *: absolute */
	CONF_T_EMAIL,	     /* char *, or "" */
	CONF_T_ENDPOINT,     /* char *, as in base/endpoint.h, or "" */
	CONF_T_BOOL,	     /* bool */
	CONF_T_NUMBER,	     /* an unsigned integer of any width */
	CONF_T_PORT,	     /* uint16_t; the file holds it without the offset */
	CONF_T_SIZE,	     /* uint64_t, octets */
	CONF_T_SECONDS,	     /* unsigned */
	CONF_T_MILLISECONDS, /* unsigned */
	CONF_T_WORD,	     /* an enum or int */
	CONF_T_ADDRESSES,    /* struct ip *, and a size_t */
	CONF_T_NETWORKS,     /* struct ip_net *, and a size_t */
	CONF_T_STRINGS,	     /* char **, and a size_t */
	CONF_T_PATTERNS,     /* char **, and a size_t: as in route/table.h */
	CONF_T_HOSTS,	     /* char **, and a size_t: names and addresses, unix:/path */
	CONF_T_FINGERPRINTS, /* char **, and a size_t: 64 hexadecimal digits each */
};

enum conf_scope {
	CONF_AT_TOP,
	CONF_AT_LISTENER,
	CONF_AT_CERTIFICATE,
	CONF_AT_ROUTE,
	CONF_AT_SOURCE,
	CONF_AT_REPLY,
	CONF_SCOPES
};

struct conf_word {
	const char *word; /* NULL ends the list */
	int value;
};

struct conf_directive {
	enum conf_scope scope;
	const char *path; /* below its scope: "log.level" */
	enum conf_type type;
	uint16_t at, at_n;	    /* offsets in the struct of its scope */
	uint8_t width;		    /* of a number, octets */
	bool fixed;		    /* a reload does not change it */
	const char *def;	    /* as in a file, elements apart by blanks; NULL: required, or computed */
	const char *def_submission; /* listeners: where that role differs */
	const char *def_text;	    /* for the reference, when def does not tell it */
	uint64_t min, max;	    /* of a number; octets of a text; elements of a list */
	const struct conf_word *words; /* of CONF_T_WORD */
	const char *help;	       /* whole sentences, for the reference */
};

/* Empty, with room for CONF_LISTENERS_MAX and CONF_CERTIFICATES_MAX; NULL: out of memory. */
struct conf *conf_new(const struct conf_setup *setup);

extern const struct conf_directive conf_directives[];
extern const struct conf_word conf_mechanisms[]; /* of routes.NAME.mechanism */
extern const size_t conf_n_directives;

/* The blocks that hold directives of the top level, in the order of the reference. */
struct conf_block {
	const char *name; /* "log" */
	const char *help;
};
extern const struct conf_block conf_blocks[];
extern const size_t conf_n_blocks;

/* The listeners of an empty file: what they have beyond the defaults of their role. */
struct conf_builtin {
	const char *name, *role, *port, *tls;
};
extern const struct conf_builtin conf_builtins[];
extern const size_t conf_n_builtins;

/* Blocks whose elements have names: routes, sources, replies. */
struct conf_family {
	enum conf_scope scope;
	const char *block;   /* "routes" */
	const char *builtin; /* the element that is always there, and last; or NULL */
	uint16_t at, at_n;   /* of the array in struct conf, with room for CONF_NAMED_MAX */
	size_t size;	     /* of an element, which begins like struct conf_named */
	const char *help;
};
extern const struct conf_family conf_families[];
extern const size_t conf_n_families;

struct conf_named *conf_element(const struct conf_family *family, const struct conf *conf, size_t i);
size_t conf_elements(const struct conf_family *family, const struct conf *conf); /* how many */
struct conf_named *conf_find(const struct conf_family *family, const struct conf *conf, const char *name);

const struct conf_directive *conf_directive(enum conf_scope scope, struct slice path); /* NULL if none */
/* The default as text for a listener of that role; NULL if it has none. */
const char *conf_default(const struct conf_directive *d, enum conf_role role);
bool conf_is_list(enum conf_type type);

/* --- conf/value.c: one value, between text and storage ------------------- */

/* Set the directive in its struct from one text (for lists: add one element).
 * 0; -ENOMEM; -EINVAL, with what is wrong with it in why ("is not a port"). */
int conf_value_set(const struct conf_directive *d, void *in, struct slice text, struct buf *why);
void conf_value_clear(const struct conf_directive *d, void *in); /* frees; a list becomes empty */
/* As YAML, on one line. */
void conf_value_show(const struct conf_directive *d, const void *in, struct buf *to);
void conf_value_show_json(const struct conf_directive *d, const void *in, struct buf *to);
bool conf_value_same(const struct conf_directive *d, const void *a, const void *b);
/* No list.  0 or -ENOMEM. */
int conf_value_copy(const struct conf_directive *d, const void *from, void *to);
/* What may be written: "yes or no", "a port, 1 to 65535". */
void conf_value_allowed(const struct conf_directive *d, struct buf *to);

/* --- conf/text.c: texts --------------------------------------------------- */

bool conf_text_ok(struct slice s); /* printable UTF-8 on one line */
bool conf_host_ok(struct slice s);
bool conf_email_ok(struct slice s);
bool conf_account_name_ok(struct slice s); /* not empty */
bool conf_pattern_ok(struct slice s);
bool conf_place_ok(struct slice s); /* of CONF_T_HOSTS */
bool conf_fingerprint_ok(struct slice s);
bool conf_name_ok(struct slice s);		 /* what an element of a block may be called */
void conf_quote(struct slice s, struct buf *to); /* as a YAML scalar */
void conf_quote_always(struct slice s, struct buf *to);

/* --- conf/finding.c ------------------------------------------------------- */

struct conf_findings {
	struct conf_finding *first, **last;
	unsigned errors, warnings;
	bool no_memory;
};

void conf_findings_init(struct conf_findings *f);
void conf_error(struct conf_findings *f, unsigned line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void conf_warning(struct conf_findings *f, unsigned line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void conf_note(struct conf_findings *f, unsigned line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void conf_findings_end(struct conf_findings *f); /* sorts by line, says how many were left out */
/* How many letters to add, drop, change or swap with their neighbour; more than max gives max + 1. */
unsigned conf_distance(struct slice a, struct slice b, unsigned max);

/* The name that is nearest to a wanted one, of those that it is shown; NULL: none is near. */
struct conf_near {
	struct slice wanted;
	unsigned distance; /* only what is nearer */
	const char *best;
};
void conf_near_begin(struct conf_near *n, struct slice wanted);
void conf_near_look(struct conf_near *n, const char *name);

/* --- conf/check.c --------------------------------------------------------- */

/* Where the file sets what.  Row 0 is the top level, row 1 + i the listener i. */
struct conf_lines {
	unsigned *line;			   /* conf_n_directives numbers a row; 0: not in the file */
	bool doubtful[CONF_LISTENERS_MAX]; /* its role is missing or wrong */
};
unsigned conf_line(const struct conf_lines *lines, const struct conf *conf, size_t row, const char *path);

/* What no single directive can tell: relaying for strangers, passwords in clear, clashes. */
void conf_check(const struct conf *conf, const struct conf_lines *lines, struct conf_findings *f);

/* --- conf/check_routes.c ---------------------------------------------------- */

void conf_check_routes(const struct conf *conf, struct conf_findings *f); /* sources and replies, too */

/* --- conf/system.c: what the machine says --------------------------------- */

int conf_system_hostname(char **ret);
/* The directories of somebody who is not root. */
int conf_system_state_dir(char **ret);

#endif
