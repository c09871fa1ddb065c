/* The blocks that hold something of which there may be several: listeners, certificates. */
#include "conf/parse.h"

#include <errno.h>

/* --- listeners --- */

static const char *builtin_text(const struct conf_builtin *b, const char *path)
{
	if (strcmp(path, "role") == 0)
		return b->role;
	return strcmp(path, "port") == 0 ? b->port : b->tls;
}

/* The role decides the defaults, so it is looked up before anything else is set. */
static int listener_defaults(const struct conf_place *at, const struct conf_builtin *builtin,
			     const struct conf_node *role, bool *ret_doubtful)
{
	static const char *const own[] = { "role", "port", "tls" };
	struct conf_listener *l = at->in;
	const struct conf_directive *d;
	struct buf why;
	int rc;

	buf_init(&why, 256);
	d = conf_directive(CONF_AT_LISTENER, SLICE_LIT("role"));
	if (builtin)
		conf_value_set(d, l, slice_str(builtin->role), &why);
	*ret_doubtful =
		role ? role->kind != CONF_NODE_TEXT || conf_value_set(d, l, role->text, &why) < 0 : !builtin;
	rc = conf_place_defaults(at, l->role);
	for (size_t i = 1; builtin && rc == 0 && i < 3; i++)
		rc = conf_value_set(conf_directive(CONF_AT_LISTENER, slice_str(own[i])), l,
				    slice_str(builtin_text(builtin, own[i])), &why);
	buf_done(&why);
	return rc;
}

static void listener_require(struct conf_parse *p, const struct conf_place *at, const struct conf_node *node)
{
	static const char *const required[] = { "role", "port" };
	struct buf text;

	for (size_t i = 0; i < 2; i++) {
		if (conf_tree_find(node, required[i]))
			continue;
		buf_init(&text, 512);
		conf_value_allowed(conf_directive(CONF_AT_LISTENER, slice_str(required[i])), &text);
		conf_error(&p->f, node->line,
			   "%s%s: required for a listener with a name of your own; allowed: %.*s", at->name,
			   required[i], SLICE_ARG(buf_slice(&text)));
		buf_done(&text);
	}
}

static void add_offset(struct conf_parse *p, const struct conf_place *at, struct conf_listener *l,
		       unsigned line)
{
	if (l->port > 65535 - p->setup->port_offset)
		conf_error(&p->f, line, "%sport: %u is over 65535 with the port offset %u", at->name, l->port,
			   p->setup->port_offset);
	else if (l->port > 0)
		l->port = (uint16_t)(l->port + p->setup->port_offset);
}

static int read_listener(struct conf_parse *p, const char *name, const struct conf_builtin *builtin,
			 const struct conf_node *node)
{
	struct conf *conf = p->conf;
	struct conf_listener *l = &conf->listeners[conf->n_listeners];
	struct conf_place at = { .scope = CONF_AT_LISTENER,
				 .in = l,
				 .lines = conf_row(p, 1 + conf->n_listeners) };
	char block[128], prefix[160];
	int rc;

	l->name = slice_dup(slice_str(name));
	if (!l->name)
		return -ENOMEM;
	l->line = node ? node->line : 0;
	snprintf(block, sizeof(block), "listeners.%s", name);
	snprintf(prefix, sizeof(prefix), "%s.", block);
	at.name = prefix;
	conf->n_listeners++;
	rc = listener_defaults(&at, builtin, conf_tree_find(node, "role"),
			       &p->lines.doubtful[conf->n_listeners - 1]);
	if (rc < 0)
		return rc;
	if (!builtin)
		listener_require(p, &at, node);
	if (node && conf_expect_block(p, block, node))
		rc = conf_place_walk(p, &at, "", node);
	if (l->tls == CONF_TLS_OFF && !conf_tree_find(node, "tls_required"))
		l->tls_required = false; /* its default means TLS where there is TLS */
	add_offset(p, &at, l, conf_line(&p->lines, conf, conf->n_listeners, "port"));
	return rc;
}

int conf_read_listeners(struct conf_parse *p, const struct conf_node *node)
{
	int rc = 0;

	if (!conf_expect_block(p, "listeners", node))
		node = NULL;
	for (size_t i = 0; i < conf_n_builtins && rc == 0; i++)
		rc = read_listener(p, conf_builtins[i].name, &conf_builtins[i],
				   conf_tree_find(node, conf_builtins[i].name));
	for (const struct conf_node *child = node ? node->first : NULL; child && rc == 0;
	     child = child->next) {
		bool builtin = false;

		for (size_t i = 0; i < conf_n_builtins; i++)
			builtin |= strcmp(child->key, conf_builtins[i].name) == 0;
		if (builtin)
			continue;
		if (!conf_name_ok(slice_str(child->key))) {
			conf_error(
				&p->f, child->line,
				"listeners.%s: a name has up to 32 letters, digits, - and _, first a letter",
				child->key);
			continue;
		}
		if (p->conf->n_listeners == CONF_LISTENERS_MAX) {
			conf_error(&p->f, child->line, "listeners: more than %d", CONF_LISTENERS_MAX);
			break;
		}
		rc = read_listener(p, child->key, NULL, child);
	}
	return rc;
}

/* --- certificates --- */

static int read_certificate(struct conf_parse *p, const struct conf_node *node)
{
	struct conf_certificate *c = &p->conf->certificates[p->conf->n_certificates];
	struct conf_place at = { .scope = CONF_AT_CERTIFICATE, .in = c, .name = "tls.certificates." };
	int rc;

	if (!conf_expect_block(p, "tls.certificates", node))
		return 0;
	p->conf->n_certificates++;
	c->line = node->line;
	rc = conf_place_walk(p, &at, "", node);
	for (size_t i = 0; i < conf_n_directives && rc == 0; i++) {
		const struct conf_directive *d = &conf_directives[i];

		if (d->scope == CONF_AT_CERTIFICATE && !conf_tree_find(node, d->path))
			conf_error(&p->f, node->line, "tls.certificates.%s: required", d->path);
	}
	return rc;
}

int conf_read_tls(struct conf_parse *p, const struct conf_node *node)
{
	int rc = 0;

	if (!conf_expect_block(p, "tls", node))
		return 0;
	for (const struct conf_node *child = node->first; child; child = child->next) {
		if (strcmp(child->key, "certificates") != 0) {
			struct conf_place at = { .scope = CONF_AT_CERTIFICATE, .name = "tls." };

			if (conf_distance(slice_str(child->key), SLICE_LIT("certificates"), 3) <= 3)
				conf_error(&p->f, child->line,
					   "tls.%s: no such directive; did you mean 'certificates'?",
					   child->key);
			else
				conf_unknown(p, &at, SLICE_LIT(""), child);
			continue;
		}
		if (child->kind == CONF_NODE_NOTHING || child->kind == CONF_NODE_BAD)
			continue;
		if (child->kind != CONF_NODE_LIST) {
			conf_error(&p->f, child->line,
				   "tls.certificates: a list is expected, each with cert and key");
			continue;
		}
		if (child->n > CONF_CERTIFICATES_MAX) {
			conf_error(&p->f, child->line, "tls.certificates: more than %d",
				   CONF_CERTIFICATES_MAX);
			continue;
		}
		for (const struct conf_node *e = child->first; e && rc == 0; e = e->next)
			rc = read_certificate(p, e);
	}
	return rc;
}
