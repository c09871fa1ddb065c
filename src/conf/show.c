#include "conf/directives.h"

struct show {
	const struct conf *conf, *defaults; /* defaults NULL: show all */
	struct buf *to;
};

/* Does it hold what it would hold by itself?  Compared as text, for all types alike. */
static bool is_default(const struct conf_directive *d, const void *in, const void *defaults)
{
	struct buf a, b;
	bool same;

	buf_init(&a, CONF_TEXT_MAX);
	buf_init(&b, CONF_TEXT_MAX);
	conf_value_show(d, in, &a);
	conf_value_show(d, defaults, &b);
	same = slice_eq(buf_slice(&a), buf_slice(&b));
	buf_done(&a);
	buf_done(&b);
	return same;
}

/* The directives of one scope and block ("log.", or "" for those in none), each on a
 * line behind the indent; head, if any, goes before the first. */
static void show_block(const struct show *s, enum conf_scope scope, const char *block, const void *in,
		       const void *defaults, const char *head, const char *indent)
{
	size_t skip = strlen(block);

	for (size_t i = 0; i < conf_n_directives; i++) {
		const struct conf_directive *d = &conf_directives[i];

		if (d->scope != scope || strncmp(d->path, block, skip) != 0 || strchr(d->path + skip, '.'))
			continue;
		if (defaults && is_default(d, in, defaults))
			continue;
		if (head) {
			buf_str(s->to, head);
			head = NULL;
		}
		buf_fmt(s->to, "%s%s: ", indent, d->path + skip);
		conf_value_show(d, in, s->to);
		buf_byte(s->to, '\n');
	}
}

static void show_listener(const struct show *s, const struct conf_listener *l, bool *any)
{
	/* Ports are shown as the file has them. */
	struct conf_listener own = *l, other;
	const struct conf_listener *def = s->defaults ? conf_listener(s->defaults, slice_str(l->name)) : NULL;
	struct buf head;

	own.port = (uint16_t)(own.port - s->conf->port_offset);
	if (def) {
		other = *def;
		other.port = (uint16_t)(other.port - s->defaults->port_offset);
	}
	buf_init(&head, 256);
	buf_fmt(&head, "%s  %s:\n%c", *any ? "" : "listeners:\n", l->name, 0);
	if (buf_ok(&head)) {
		size_t before = buf_slice(s->to).n;

		show_block(s, CONF_AT_LISTENER, "", &own, def ? &other : NULL,
			   (const char *)buf_slice(&head).p, "    ");
		*any |= buf_slice(s->to).n > before;
	}
	buf_done(&head);
}

static void show_certificates(const struct show *s)
{
	if (s->conf->n_certificates > 0 || !s->defaults)
		buf_fmt(s->to, "tls:\n  certificates:%s\n", s->conf->n_certificates > 0 ? "" : " []");
	for (size_t i = 0; i < s->conf->n_certificates; i++) {
		buf_str(s->to, "    - cert: ");
		conf_quote(slice_str(s->conf->certificates[i].cert), s->to);
		buf_str(s->to, "\n      key: ");
		conf_quote(slice_str(s->conf->certificates[i].key), s->to);
		buf_byte(s->to, '\n');
	}
}

void conf_show(const struct conf *conf, bool all, struct buf *to)
{
	const struct conf_setup setup = { .port_offset = conf->port_offset, .root = conf->root };
	struct conf_finding *findings = NULL;
	struct conf *defaults = NULL;
	struct show s = { .conf = conf, .to = to };
	bool any = false;

	/* Without defaults to compare with, all is shown: longer, never wrong. */
	if (!all && conf_parse(SLICE_LIT(""), &setup, &defaults, &findings) == 0)
		s.defaults = defaults;
	conf_findings_free(findings);
	show_block(&s, CONF_AT_TOP, "", conf, s.defaults, NULL, "");
	for (size_t i = 0; i < conf_n_blocks; i++) {
		char head[64], block[64];

		snprintf(head, sizeof(head), "%s:\n", conf_blocks[i].name);
		snprintf(block, sizeof(block), "%s.", conf_blocks[i].name);
		show_block(&s, CONF_AT_TOP, block, conf, s.defaults, head, "  ");
	}
	show_certificates(&s);
	for (size_t i = 0; i < conf->n_listeners; i++)
		show_listener(&s, &conf->listeners[i], &any);
	conf_free(defaults);
}
