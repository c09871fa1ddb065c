#include "conf/tree.h"

#include <errno.h>
#include <yaml.h>

struct reader {
	yaml_parser_t parser;
	struct conf_findings *f;
	struct slice text;
};

static unsigned line_of(const yaml_mark_t *mark)
{
	return (unsigned)mark->line + 1;
}

void conf_tree_free(struct conf_node *node)
{
	while (node) {
		struct conf_node *next = node->next;

		conf_tree_free(node->first);
		free(node->key);
		free((void *)(uintptr_t)node->text.p);
		free(node);
		node = next;
	}
}

const struct conf_node *conf_tree_find(const struct conf_node *block, const char *key)
{
	const struct conf_node *at = block && block->kind == CONF_NODE_BLOCK ? block->first : NULL;

	while (at && strcmp(at->key, key) != 0)
		at = at->next;
	return at;
}

/* What libyaml found wrong.  Its reader knows an offset only, its scanner a line. */
static void syntax_error(struct reader *r)
{
	const yaml_parser_t *p = &r->parser;
	unsigned line = line_of(&p->problem_mark);
	size_t at = p->problem_mark.index;

	if (p->error == YAML_READER_ERROR) {
		line = 1;
		for (size_t i = 0; i < p->problem_offset && i < r->text.n; i++)
			line += r->text.p[i] == '\n';
		conf_error(r->f, line, "this is not YAML: %s", p->problem ? p->problem : "unreadable");
		return;
	}
	if (at < r->text.n && r->text.p[at] == '\t') {
		conf_error(r->f, line, "a tab stands where YAML wants blanks (column %zu)",
			   p->problem_mark.column + 1);
		return;
	}
	conf_error(r->f, line, "this is not YAML: %s%s%s (column %zu)", p->context ? p->context : "",
		   p->context ? ", " : "", p->problem ? p->problem : "not understood",
		   p->problem_mark.column + 1);
}

static int next_event(struct reader *r, yaml_event_t *ret)
{
	if (yaml_parser_parse(&r->parser, ret))
		return 0;
	if (r->parser.error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	syntax_error(r);
	return -EINVAL;
}

/* The two characters behind which YAML hides text that stands elsewhere. */
static bool refuse_magic(struct reader *r, const yaml_event_t *e)
{
	const yaml_char_t *anchor = NULL, *tag = NULL;

	if (e->type == YAML_ALIAS_EVENT) {
		conf_error(r->f, line_of(&e->start_mark),
			   "aliases (*name) are not supported: write the value out");
		return true;
	}
	if (e->type == YAML_SCALAR_EVENT) {
		anchor = e->data.scalar.anchor;
		tag = e->data.scalar.tag;
	} else if (e->type == YAML_MAPPING_START_EVENT) {
		anchor = e->data.mapping_start.anchor;
		tag = e->data.mapping_start.tag;
	} else if (e->type == YAML_SEQUENCE_START_EVENT) {
		anchor = e->data.sequence_start.anchor;
		tag = e->data.sequence_start.tag;
	}
	if (anchor)
		conf_error(r->f, line_of(&e->start_mark),
			   "anchors (&name) are not supported: write the value where it is used");
	if (tag)
		conf_error(r->f, line_of(&e->start_mark), "tags (!name) are not supported: leave it out");
	return anchor || tag;
}

static int set_text(struct conf_node *node, const yaml_event_t *e)
{
	struct slice s = slice_of(e->data.scalar.value, e->data.scalar.length);
	bool plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	unsigned char *copy;

	node->kind = CONF_NODE_TEXT;
	if (plain && (s.n == 0 || slice_eq(s, SLICE_LIT("~")) || slice_eq_nocase(s, SLICE_LIT("null")))) {
		node->kind = CONF_NODE_NOTHING;
		return 0;
	}
	copy = malloc(s.n + 1);
	if (!copy)
		return -ENOMEM;
	if (s.n > 0)
		memcpy(copy, s.p, s.n);
	node->text = slice_of(copy, s.n);
	return 0;
}

static int append(struct reader *r, struct conf_node *to, unsigned line, struct conf_node **ret)
{
	struct conf_node *node;

	if (to->n >= CONF_KEYS_MAX) {
		conf_error(r->f, line, "more than %d entries in one block or list", CONF_KEYS_MAX);
		return -EINVAL;
	}
	node = calloc(1, sizeof(*node));
	if (!node)
		return -ENOMEM;
	node->line = line;
	if (to->last)
		to->last->next = node;
	else
		to->first = node;
	to->last = node;
	to->n++;
	*ret = node;
	return 0;
}

static int read_children(struct reader *r, struct conf_node *to, unsigned depth);

/* The value that the event begins. */
static int read_value(struct reader *r, const yaml_event_t *e, struct conf_node *node, unsigned depth)
{
	bool bad = refuse_magic(r, e);
	int rc = 0;

	if (e->type == YAML_SCALAR_EVENT) {
		rc = set_text(node, e);
	} else if (e->type == YAML_MAPPING_START_EVENT || e->type == YAML_SEQUENCE_START_EVENT) {
		if (depth >= CONF_DEPTH_MAX) {
			conf_error(r->f, line_of(&e->start_mark), "more than %d blocks within each other",
				   CONF_DEPTH_MAX);
			return -EINVAL;
		}
		node->kind = e->type == YAML_MAPPING_START_EVENT ? CONF_NODE_BLOCK : CONF_NODE_LIST;
		rc = read_children(r, node, depth + 1);
	}
	if (bad)
		node->kind = CONF_NODE_BAD;
	return rc;
}

/* The key becomes a name; a key that cannot be one gives its node no name. */
static int take_key(struct reader *r, const yaml_event_t *e, const struct conf_node *block, char **ret)
{
	struct slice s;
	unsigned line = line_of(&e->start_mark);
	const struct conf_node *other;
	char *key;

	if (e->type != YAML_SCALAR_EVENT) {
		conf_error(r->f, line, "a name is expected here, not a block or list");
		return -EINVAL;
	}
	s = slice_of(e->data.scalar.value, e->data.scalar.length);
	if (slice_eq(s, SLICE_LIT("<<"))) {
		conf_error(r->f, line, "merges (<<) are not supported: write the values out");
	} else if (refuse_magic(r, e)) {
		/* said */
	} else if (s.n == 0 || s.n > 128 || !conf_text_ok(s)) {
		conf_error(r->f, line, "this is not the name of anything");
	} else {
		key = slice_dup(s);
		if (!key)
			return -ENOMEM;
		other = conf_tree_find(block, key);
		if (other && other->key) {
			conf_error(r->f, line, "%s: stands here twice; the first is in line %u", key,
				   other->line);
			free(key);
			return 0;
		}
		*ret = key;
	}
	return 0;
}

/* One name and its value; values of refused names are read past. */
static int read_pair(struct reader *r, const yaml_event_t *first, struct conf_node *to, unsigned depth)
{
	struct conf_node aside = { 0 }, *node = &aside;
	char *key = NULL;
	yaml_event_t e;
	int rc;

	rc = take_key(r, first, to, &key);
	if (rc == 0 && key)
		rc = append(r, to, line_of(&first->start_mark), &node);
	if (rc == 0 && key) {
		node->key = key;
		key = NULL;
	}
	free(key);
	if (rc < 0)
		return rc;
	rc = next_event(r, &e);
	if (rc < 0)
		return rc;
	rc = read_value(r, &e, node, depth);
	yaml_event_delete(&e);
	if (node == &aside) {
		conf_tree_free(aside.first);
		free((void *)(uintptr_t)aside.text.p);
	}
	return rc;
}

static int read_children(struct reader *r, struct conf_node *to, unsigned depth)
{
	struct conf_node *node;
	yaml_event_t e;
	int rc;

	for (;;) {
		rc = next_event(r, &e);
		if (rc < 0)
			return rc;
		if (e.type == YAML_MAPPING_END_EVENT || e.type == YAML_SEQUENCE_END_EVENT) {
			yaml_event_delete(&e);
			return 0;
		}
		if (to->kind == CONF_NODE_BLOCK) {
			rc = read_pair(r, &e, to, depth);
		} else {
			rc = append(r, to, line_of(&e.start_mark), &node);
			if (rc == 0)
				rc = read_value(r, &e, node, depth);
		}
		yaml_event_delete(&e);
		if (rc < 0)
			return rc;
	}
}

static int read_stream(struct reader *r, struct conf_node **root)
{
	yaml_event_t e;
	bool end = false;
	int rc;

	while (!end) {
		rc = next_event(r, &e);
		if (rc < 0)
			return rc;
		switch (e.type) {
		case YAML_STREAM_END_EVENT:
			end = true;
			break;
		case YAML_STREAM_START_EVENT:
		case YAML_DOCUMENT_START_EVENT:
		case YAML_DOCUMENT_END_EVENT:
			break;
		default:
			if (*root) {
				conf_error(r->f, line_of(&e.start_mark),
					   "a second document begins here (---)");
				rc = -EINVAL;
				break;
			}
			*root = calloc(1, sizeof(**root));
			if (!*root) {
				rc = -ENOMEM;
				break;
			}
			(*root)->line = line_of(&e.start_mark);
			rc = read_value(r, &e, *root, 0);
		}
		yaml_event_delete(&e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int conf_tree_new(struct slice text, struct conf_findings *f, struct conf_node **ret)
{
	struct reader r = { .f = f, .text = text };
	struct conf_node *root = NULL;
	int rc;

	if (text.n > CONF_TEXT_MAX) {
		conf_error(f, 0, "the file is larger than 1 MiB");
		return -EINVAL;
	}
	if (!yaml_parser_initialize(&r.parser))
		return -ENOMEM;
	yaml_parser_set_input_string(&r.parser, text.p ? text.p : (const unsigned char *)"", text.n);
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	rc = read_stream(&r, &root);
	yaml_parser_delete(&r.parser);
	if (rc < 0) {
		conf_tree_free(root);
		return rc;
	}
	*ret = root;
	return 0;
}
