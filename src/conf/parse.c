#include "conf/parse.h"

#include <assert.h>
#include <errno.h>

unsigned *conf_row(struct conf_parse *p, size_t n)
{
	return p->lines.line + n * conf_n_directives;
}

unsigned conf_line(const struct conf_lines *lines, const struct conf *conf, size_t n, const char *path)
{
	const struct conf_directive *d =
		conf_directive(n == 0 ? CONF_AT_TOP : CONF_AT_LISTENER, slice_str(path));
	unsigned line;

	assert(d);
	line = lines->line[n * conf_n_directives + (size_t)(d - conf_directives)];
	return line == 0 && n > 0 ? conf->listeners[n - 1].line : line;
}

/* --- messages --- */

static const char *last_part(const char *path)
{
	const char *dot = strrchr(path, '.');

	return dot ? dot + 1 : path;
}

/* A name that means something elsewhere is a better hint than one that looks like it. */
static const struct conf_directive *elsewhere(struct slice name)
{
	for (size_t i = 0; i < conf_n_directives; i++)
		if (slice_eq_nocase(slice_str(last_part(conf_directives[i].path)), name))
			return &conf_directives[i];
	return NULL;
}

static const char *nearest(const struct conf_place *at, struct slice block, struct slice name)
{
	struct conf_near near;

	conf_near_begin(&near, name);
	for (size_t i = 0; i < conf_n_directives; i++) {
		const struct conf_directive *d = &conf_directives[i];

		if (d->scope == at->scope && slice_starts(slice_str(d->path), block) &&
		    !strchr(d->path + block.n, '.'))
			conf_near_look(&near, d->path + block.n);
	}
	if (at->scope == CONF_AT_TOP && block.n == 0) {
		for (size_t i = 0; i < conf_n_blocks; i++)
			conf_near_look(&near, conf_blocks[i].name);
		conf_near_look(&near, "listeners");
		conf_near_look(&near, "tls");
		for (size_t i = 0; i < conf_n_families; i++)
			conf_near_look(&near, conf_families[i].block);
	}
	return near.best;
}

void conf_unknown(struct conf_parse *p, const struct conf_place *at, struct slice block,
		  const struct conf_node *node)
{
	static const char *const where[] = { [CONF_AT_TOP] = "",
					     [CONF_AT_LISTENER] = "listeners.NAME.",
					     [CONF_AT_CERTIFICATE] = "tls.certificates: ",
					     [CONF_AT_ROUTE] = "routes.NAME.",
					     [CONF_AT_SOURCE] = "sources.NAME.",
					     [CONF_AT_REPLY] = "replies.NAME." };
	const char *near = nearest(at, block, slice_str(node->key));
	const struct conf_directive *d = elsewhere(slice_str(node->key));

	if (near && (!d || conf_distance(slice_str(node->key), slice_str(near), 1) <= 1))
		conf_error(&p->f, node->line, "%s%.*s%s: no such directive; did you mean '%s'?", at->name,
			   SLICE_ARG(block), node->key, near);
	else if (d)
		conf_error(&p->f, node->line, "%s%.*s%s: no such directive here; it stands in %s%s", at->name,
			   SLICE_ARG(block), node->key, where[d->scope], d->path);
	else
		conf_error(&p->f, node->line, "%s%.*s%s: no such directive", at->name, SLICE_ARG(block),
			   node->key);
}

int conf_place_defaults(const struct conf_place *at, enum conf_role role)
{
	struct buf why;
	int rc = 0;

	buf_init(&why, 256);
	for (size_t i = 0; i < conf_n_directives && rc == 0; i++) {
		const struct conf_directive *d = &conf_directives[i];
		const char *def = conf_default(d, role);
		struct slice text = slice_str(def), one;

		if (d->scope != at->scope || !def)
			continue;
		if (!conf_is_list(d->type)) {
			rc = conf_value_set(d, at->in, text, &why);
			continue;
		}
		while (rc == 0 && text.n > 0) {
			if (!cur_until(&text, ' ', &one)) {
				one = text;
				text = slice_tail(text, text.n);
			}
			rc = conf_value_set(d, at->in, one, &why);
		}
	}
	assert(rc != -EINVAL); /* the table contradicts itself */
	buf_done(&why);
	return rc;
}

/* --- blocks --- */

bool conf_expect_block(struct conf_parse *p, const char *name, const struct conf_node *node)
{
	if (node->kind == CONF_NODE_TEXT || node->kind == CONF_NODE_LIST)
		conf_error(&p->f, node->line, "%s: a block of directives is expected here", name);
	return node->kind == CONF_NODE_BLOCK;
}

/* One name of a block: a directive, or at the top another block. */
static int take(struct conf_parse *p, const struct conf_place *at, const char *block,
		const struct conf_node *node)
{
	const struct conf_directive *d;
	char path[256];

	if (at->scope == CONF_AT_TOP && !block[0]) {
		if (strcmp(node->key, "listeners") == 0)
			return conf_read_listeners(p, node);
		if (strcmp(node->key, "tls") == 0)
			return conf_read_tls(p, node);
		for (size_t i = 0; i < conf_n_families; i++)
			if (strcmp(node->key, conf_families[i].block) == 0)
				return conf_read_named(p, &conf_families[i], node);
		for (size_t i = 0; i < conf_n_blocks; i++) {
			if (strcmp(node->key, conf_blocks[i].name) != 0)
				continue;
			snprintf(path, sizeof(path), "%s.", node->key);
			return conf_expect_block(p, node->key, node) ? conf_place_walk(p, at, path, node) : 0;
		}
	}
	snprintf(path, sizeof(path), "%s%s", block, node->key);
	/* "log.level: x" at the top is not how it is written. */
	d = strchr(node->key, '.') ? NULL : conf_directive(at->scope, slice_str(path));
	if (!d) {
		conf_unknown(p, at, slice_str(block), node);
		return 0;
	}
	if (at->lines)
		at->lines[d - conf_directives] = node->line;
	return conf_take_value(&p->f, at->name, d, at->in, node);
}

int conf_place_walk(struct conf_parse *p, const struct conf_place *at, const char *block,
		    const struct conf_node *node)
{
	int rc = 0;

	for (const struct conf_node *child = node->first; child && rc == 0; child = child->next)
		rc = take(p, at, block, child);
	return rc;
}

/* --- what the file leaves to the machine --- */

static int fill(const char **at, const char *fmt, const char *arg) __attribute__((format(printf, 2, 0)));

static int fill(const char **at, const char *fmt, const char *arg)
{
	char *text;

	if (*at)
		return 0;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	if (asprintf(&text, fmt, arg) < 0)
		return -ENOMEM;
#pragma GCC diagnostic pop
	*at = text;
	return 0;
}

static int compute(struct conf_parse *p)
{
	struct conf *c = p->conf;
	bool root = p->setup->root;
	char *text = NULL;
	int rc = 0;

	if (!c->hostname) {
		rc = conf_system_hostname(&text);
		if (rc < 0)
			return rc;
		c->hostname = text;
	}
	if (!c->state_dir && root) {
		rc = fill(&c->state_dir, "%s", "/var/lib/postern");
	} else if (!c->state_dir) {
		rc = conf_system_state_dir(&text);
		if (rc == 0)
			c->state_dir = text;
	}
	if (rc == 0)
		rc = fill(&c->runtime_dir, root ? "%s" : "%s/run", root ? "/run/postern" : c->state_dir);
	if (rc == 0)
		rc = fill(&c->mail_dir, root ? "%s" : "%s/mail", root ? "/var/vmail" : c->state_dir);
	return rc;
}

static int parse_tree(struct conf_parse *p, const struct conf_node *root)
{
	struct conf_place at = { .scope = CONF_AT_TOP, .in = p->conf, .name = "", .lines = conf_row(p, 0) };
	int rc = conf_place_defaults(&at, CONF_RELAY);

	if (rc == 0 && root && root->kind != CONF_NODE_NOTHING) {
		if (root->kind == CONF_NODE_BLOCK)
			rc = conf_place_walk(p, &at, "", root);
		else if (root->kind != CONF_NODE_BAD)
			conf_error(&p->f, root->line, "directives are expected, each as 'name: value'");
	}
	if (rc == 0 && p->conf->n_listeners == 0) {
		struct conf_node none = { .kind = CONF_NODE_NOTHING };

		rc = conf_read_listeners(p, &none);
	}
	for (size_t i = 0; i < conf_n_families && rc == 0; i++)
		if (conf_elements(&conf_families[i], p->conf) == 0)
			rc = conf_read_named(p, &conf_families[i], NULL);
	if (rc == 0)
		rc = compute(p);
	if (rc == 0)
		conf_check(p->conf, &p->lines, &p->f);
	return rc;
}

int conf_parse(struct slice text, const struct conf_setup *setup, struct conf **ret,
	       struct conf_finding **ret_findings)
{
	struct conf_parse p = { .setup = setup };
	struct conf_node *root = NULL;
	int rc;

	conf_findings_init(&p.f);
	p.lines.line = calloc((1 + CONF_LISTENERS_MAX) * conf_n_directives, sizeof(unsigned));
	p.conf = conf_new(setup);
	rc = p.lines.line && p.conf ? conf_tree_new(text, &p.f, &root) : -ENOMEM;
	if (rc == 0)
		rc = parse_tree(&p, root);
	conf_findings_end(&p.f);
	conf_tree_free(root);
	free(p.lines.line);
	if (rc == 0 && p.f.no_memory)
		rc = -ENOMEM;
	if (rc == 0 && p.f.errors > 0)
		rc = -EINVAL;
	if (rc == 0)
		*ret = p.conf;
	else
		conf_free(p.conf);
	*ret_findings = p.f.first;
	return rc;
}
