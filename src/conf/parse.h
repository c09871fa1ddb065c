/* parse.h - from the tree of a file to struct conf.
 *
 * Private to conf/.  Walks a block and sets what the table of directives knows;
 * whatever is wrong becomes a finding and the walk goes on.  Functions return 0 or
 * -ENOMEM.
 */
#ifndef POSTERN_CONF_PARSE_H
#define POSTERN_CONF_PARSE_H

#include "conf/tree.h"

/* What is being filled: a struct, where it stands in the file, and its row of lines. */
struct conf_place {
	enum conf_scope scope;
	void *in;
	const char *name; /* "listeners.intern.": before each directive in a message */
	unsigned *lines;  /* NULL: nobody asks */
};

struct conf_parse {
	struct conf_findings f;
	struct conf_lines lines;
	const struct conf_setup *setup;
	struct conf *conf;
};

unsigned *conf_row(struct conf_parse *p, size_t n); /* of p->lines */
int conf_place_defaults(const struct conf_place *at, enum conf_role role);
/* Take all names of a block; block is its path within the scope: "log.", or "". */
int conf_place_walk(struct conf_parse *p, const struct conf_place *at, const char *block,
		    const struct conf_node *node);
/* Is it a block?  Empty ones are not, and no error. */
bool conf_expect_block(struct conf_parse *p, const char *name, const struct conf_node *node);
/* A name that nothing has: an error with the nearest one. */
void conf_unknown(struct conf_parse *p, const struct conf_place *at, struct slice block,
		  const struct conf_node *node);

/* --- conf/listener.c --- */

/* Also makes the listeners that nobody wrote. */
int conf_read_listeners(struct conf_parse *p, const struct conf_node *node);
int conf_read_tls(struct conf_parse *p, const struct conf_node *node); /* the certificates */

/* --- conf/named.c --- */

/* Also makes the elements that nobody wrote. */
int conf_read_named(struct conf_parse *p, const struct conf_family *family, const struct conf_node *node);

#endif
