/* Blocks whose elements have names of the user's own: routes, sources, replies. */
#include "conf/parse.h"

#include <errno.h>
#include <stddef.h>

#define FAMILY(s, b, of)                                                                                    \
	.scope = (s), .block = (b), .at = offsetof(struct conf, of), .at_n = offsetof(struct conf, n_##of), \
	.size = sizeof(*((struct conf *)0)->of)

const struct conf_family conf_families[] = {
	{ FAMILY(CONF_AT_ROUTE, "routes", routes), .builtin = "mx",
	  .help = "How mail for elsewhere goes there: a block for each route, by its name. "
		  "They are tried in the order of the file; the first one is taken that matches the "
		  "recipient (to), "
		  "the envelope sender (from) and the account that submitted the message (accounts), as far "
		  "as it has "
		  "these lists. "
		  "The last one is always there: it is called mx, and leads to the servers that the "
		  "recipient's domain "
		  "names in the DNS. "
		  "A route of that name changes what is written and stays the last." },
	{ FAMILY(CONF_AT_SOURCE, "sources", sources),
	  .help = "Addresses of this machine to send from: a block for each, by its name. "
		  "Those of one pool share its mail by their weights." },
	{ FAMILY(CONF_AT_REPLY, "replies", replies),
	  .help = "What answers of other servers mean here, where it differs from what the server knows by "
		  "itself: "
		  "a block for each, by its name. "
		  "The first one is taken whose code, enhanced and text match the answer." },
};
const size_t conf_n_families = sizeof(conf_families) / sizeof(*conf_families);

size_t conf_elements(const struct conf_family *family, const struct conf *conf)
{
	return *(const size_t *)(const void *)((const unsigned char *)conf + family->at_n);
}

struct conf_named *conf_element(const struct conf_family *family, const struct conf *conf, size_t i)
{
	unsigned char *array =
		*(unsigned char *const *)(const void *)((const unsigned char *)conf + family->at);

	return (void *)(array + i * family->size);
}

struct conf_named *conf_find(const struct conf_family *family, const struct conf *conf, const char *name)
{
	for (size_t i = 0; i < conf_elements(family, conf); i++)
		if (strcmp(conf_element(family, conf, i)->name, name) == 0)
			return conf_element(family, conf, i);
	return NULL;
}

static int read_element(struct conf_parse *p, const struct conf_family *family, const char *name,
			const struct conf_node *node)
{
	size_t *n = (void *)((unsigned char *)p->conf + family->at_n);
	struct conf_named *e = conf_element(family, p->conf, *n);
	struct conf_place at = { .scope = family->scope, .in = e };
	char block[80], prefix[96];
	int rc;

	e->name = slice_dup(slice_str(name));
	if (!e->name)
		return -ENOMEM;
	e->line = node ? node->line : 0;
	(*n)++;
	snprintf(block, sizeof(block), "%s.%s", family->block, name);
	snprintf(prefix, sizeof(prefix), "%s.", block);
	at.name = prefix;
	rc = conf_place_defaults(&at, CONF_RELAY);
	if (rc == 0 && node && conf_expect_block(p, block, node))
		rc = conf_place_walk(p, &at, "", node);
	return rc;
}

int conf_read_named(struct conf_parse *p, const struct conf_family *family, const struct conf_node *node)
{
	const struct conf_node *builtin = NULL;
	size_t room = CONF_NAMED_MAX - (family->builtin != NULL);
	int rc = 0;

	if (node && !conf_expect_block(p, family->block, node))
		node = NULL;
	for (const struct conf_node *child = node ? node->first : NULL; child && rc == 0;
	     child = child->next) {
		if (family->builtin && strcmp(child->key, family->builtin) == 0) {
			builtin = child;
		} else if (!conf_name_ok(slice_str(child->key))) {
			conf_error(&p->f, child->line,
				   "%s.%s: a name has up to 32 letters, digits, - and _, first a letter",
				   family->block, child->key);
		} else if (conf_elements(family, p->conf) >= room) {
			conf_error(&p->f, child->line, "%s: more than %zu", family->block, room);
			break;
		} else {
			rc = read_element(p, family, child->key, child);
		}
	}
	if (rc == 0 && family->builtin)
		rc = read_element(p, family, family->builtin, builtin);
	return rc;
}
