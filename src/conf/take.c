/* One value of the file, from its node. */
#include <errno.h>

#include "conf/tree.h"

static void quote_value(struct slice text, struct buf *to)
{
	if (text.n <= 60 && conf_text_ok(text))
		buf_fmt(to, "'%.*s'", SLICE_ARG(text));
	else
		buf_str(to, "the value");
}

static const char *nearest_word(const struct conf_directive *d, struct slice text)
{
	struct conf_near near;

	conf_near_begin(&near, text);
	for (const struct conf_word *w = d->words; w->word; w++)
		if (strlen(w->word) >= near.distance)
			conf_near_look(&near, w->word);
	return near.best;
}

static void value_error(struct conf_findings *f, const char *name, const struct conf_directive *d,
			const struct conf_node *node, struct slice why)
{
	struct buf text;
	const char *near;

	buf_init(&text, 1024);
	if (node->kind == CONF_NODE_TEXT) {
		quote_value(node->text, &text);
		buf_byte(&text, ' ');
	}
	buf_put(&text, why);
	buf_str(&text, "; allowed: ");
	conf_value_allowed(d, &text);
	near = d->type == CONF_T_WORD && node->kind == CONF_NODE_TEXT ? nearest_word(d, node->text) : NULL;
	if (near)
		buf_fmt(&text, "; did you mean '%s'?", near);
	conf_error(f, node->line, "%s%s: %.*s", name, d->path, SLICE_ARG(buf_slice(&text)));
	buf_done(&text);
}

static int set_one(struct conf_findings *f, const char *name, const struct conf_directive *d, void *in,
		   const struct conf_node *node)
{
	struct buf why;
	int rc = 0;

	buf_init(&why, 256);
	if (node->kind == CONF_NODE_TEXT)
		rc = conf_value_set(d, in, node->text, &why);
	else if (node->kind != CONF_NODE_BAD)
		rc = -EINVAL;
	if (rc == -EINVAL && node->kind != CONF_NODE_TEXT)
		buf_str(&why, node->kind == CONF_NODE_NOTHING ? "no value"
			      : node->kind == CONF_NODE_LIST  ? "a list is not expected"
							      : "a block is not expected");
	if (rc == -EINVAL)
		value_error(f, name, d, node, buf_slice(&why));
	buf_done(&why);
	return rc == -ENOMEM ? rc : 0;
}

int conf_take_value(struct conf_findings *f, const char *name, const struct conf_directive *d, void *in,
		    const struct conf_node *node)
{
	int rc = 0;

	if (!conf_is_list(d->type) || (node->kind != CONF_NODE_LIST && node->kind != CONF_NODE_TEXT))
		return set_one(f, name, d, in, node);
	conf_value_clear(d, in);
	if (node->kind == CONF_NODE_TEXT) /* one needs no brackets */
		return set_one(f, name, d, in, node);
	if (node->n < d->min)
		value_error(f, name, d, node, SLICE_LIT("an empty list"));
	for (const struct conf_node *e = node->first; e && rc == 0; e = e->next)
		rc = set_one(f, name, d, in, e);
	return rc;
}
