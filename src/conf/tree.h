/* tree.h - YAML text as a tree that knows its lines.
 *
 * Private to conf/ and submit/account.c.  Only what a configuration needs: blocks (mappings), lists
 * and texts.  Anchors, aliases, merges, tags and second documents are refused:
 * each lets a file mean something else than what a reader sees.  Depth, width
 * and size have ceilings, so no file costs more than its length.
 */
#ifndef POSTERN_CONF_TREE_H
#define POSTERN_CONF_TREE_H

#include "conf/directives.h"

enum conf_kind { CONF_NODE_NOTHING, CONF_NODE_TEXT, CONF_NODE_BLOCK, CONF_NODE_LIST, CONF_NODE_BAD };

struct conf_node {
	enum conf_kind kind; /* BAD: an error was reported already */
	unsigned line;	     /* of its key, or of the element */
	char *key;	     /* in a block */
	struct slice text;
	struct conf_node *first, *last, *next;
	unsigned n; /* children */
};

/* 0 with a tree (NULL for an empty text), or -EINVAL when the text is no YAML, or
 * -ENOMEM.  Errors that leave a tree are findings only. */
int conf_tree_new(struct slice text, struct conf_findings *f, struct conf_node **ret);
void conf_tree_free(struct conf_node *node);
const struct conf_node *conf_tree_find(const struct conf_node *block, const char *key);

/* --- conf/take.c ---------------------------------------------------------- */

/* Sets the directive in its struct from the node; what is wrong with it becomes an error, name being what
 * stands before the directive in it ("listeners.intern.").  0 or -ENOMEM. */
int conf_take_value(struct conf_findings *f, const char *name, const struct conf_directive *d, void *in,
		    const struct conf_node *node);

#endif
