#include "conf/directives.h"

#define DEPTH 4

/* Writes nested blocks, as YAML or as JSON.  A block is begun only when something
 * comes to stand in it, so `config show` has no empty ones. */
struct emitter {
	struct buf *to;
	bool json;
	const char *open[DEPTH]; /* names of the blocks we are in; NULL: an element of a list */
	unsigned depth, begun;	 /* how many of them, and how many of those are written */
	bool more[DEPTH + 1];	 /* something stands there already: JSON wants a comma */
	bool dash;		 /* the next line is the first of an element of a YAML list */
};

static void line(struct emitter *e, unsigned depth)
{
	if (e->json)
		buf_fmt(e->to, "%s\n%*s", e->more[depth] ? "," : "", (int)(2 * depth + 2), "");
	else if (e->dash)
		buf_fmt(e->to, "%*s- ", (int)(2 * depth - 2), "");
	else
		buf_fmt(e->to, "%*s", (int)(2 * depth), "");
	e->dash = false;
	e->more[depth] = true;
}

static void begin(struct emitter *e)
{
	while (e->begun < e->depth) {
		const char *name = e->open[e->begun];

		if (name || e->json)
			line(e, e->begun);
		if (name)
			buf_fmt(e->to, e->json ? "\"%s\": {" : "%s:\n", name);
		else if (e->json)
			buf_byte(e->to, '{');
		else
			e->dash = true;
		e->more[++e->begun] = false;
	}
}

static void open_block(struct emitter *e, const char *name)
{
	e->open[e->depth++] = name;
}

static void close_block(struct emitter *e)
{
	if (e->begun == e->depth && e->json)
		buf_fmt(e->to, "\n%*s}", (int)(2 * e->depth), "");
	if (e->begun == e->depth)
		e->begun--;
	e->depth--;
}

static void value(struct emitter *e, const char *name, const struct conf_directive *d, const void *in)
{
	begin(e);
	line(e, e->depth);
	if (e->json) {
		buf_fmt(e->to, "\"%s\": ", name);
		conf_value_show_json(d, in, e->to);
	} else {
		buf_fmt(e->to, "%s: ", name);
		conf_value_show(d, in, e->to);
		buf_byte(e->to, '\n');
	}
}

/* The directives of one scope and block ("log.", or "" for those in none); with
 * defaults only those that differ. */
static void show_block(struct emitter *e, enum conf_scope scope, const char *block, const void *in,
		       const void *defaults)
{
	size_t skip = strlen(block);

	for (size_t i = 0; i < conf_n_directives; i++) {
		const struct conf_directive *d = &conf_directives[i];

		if (d->scope != scope || strncmp(d->path, block, skip) != 0 || strchr(d->path + skip, '.'))
			continue;
		if (!defaults || !conf_value_same(d, in, defaults))
			value(e, d->path + skip, d, in);
	}
}

static void show_certificates(struct emitter *e, const struct conf *conf, bool all)
{
	if (!all && conf->n_certificates == 0)
		return;
	open_block(e, "tls");
	begin(e);
	line(e, e->depth);
	buf_str(e->to, e->json ? "\"certificates\": [" : "certificates:");
	buf_str(e->to, e->json ? "" : conf->n_certificates == 0 ? " []\n" : "\n");
	/* The list stands one deeper than its name, an element's lines one deeper still. */
	e->open[e->depth++] = NULL;
	e->more[++e->begun] = false;
	for (size_t i = 0; i < conf->n_certificates; i++) {
		open_block(e, NULL);
		show_block(e, CONF_AT_CERTIFICATE, "", &conf->certificates[i], NULL);
		close_block(e);
	}
	e->depth--;
	e->begun--;
	if (e->json)
		buf_fmt(e->to, "%s]", conf->n_certificates > 0 ? "\n    " : "");
	close_block(e);
}

static void show_listener(struct emitter *e, const struct conf *conf, const struct conf_listener *l,
			  const struct conf *defaults)
{
	const struct conf_listener *def = defaults ? conf_listener(defaults, slice_str(l->name)) : NULL;
	struct conf_listener own = *l, other;

	/* Ports are shown as a file has them. */
	own.port = (uint16_t)(own.port - conf->port_offset);
	if (def) {
		other = *def;
		other.port = (uint16_t)(other.port - defaults->port_offset);
	}
	open_block(e, l->name);
	show_block(e, CONF_AT_LISTENER, "", &own, def ? &other : NULL);
	close_block(e);
}

/* What an element has that says nothing: as the built-in one of its family, where there is one. */
static const struct conf_named *like(const struct conf_family *family, const struct conf *defaults,
				     const char *name)
{
	const struct conf_named *same = defaults ? conf_find(family, defaults, name) : NULL;

	if (same || !defaults || !family->builtin)
		return same;
	return conf_find(family, defaults, family->builtin);
}

/* In order, for order decides. */
static void show_named(struct emitter *e, const struct conf_family *family, const struct conf *conf,
		       const struct conf *defaults)
{
	open_block(e, family->block);
	for (size_t i = 0; i < conf_elements(family, conf); i++) {
		const struct conf_named *in = conf_element(family, conf, i);
		const struct conf_named *def = like(family, defaults, in->name);

		open_block(e, in->name);
		show_block(e, family->scope, "", in, def);
		/* One of the user's own is there although nothing differs. */
		if (e->begun < e->depth && defaults && !conf_find(family, defaults, in->name))
			show_block(e, family->scope, "", in, NULL);
		close_block(e);
	}
	close_block(e);
}

static void show(const struct conf *conf, bool all, bool json, struct buf *to)
{
	const struct conf_setup setup = { .port_offset = conf->port_offset, .root = conf->root };
	struct emitter e = { .to = to, .json = json };
	struct conf_finding *findings = NULL;
	struct conf *defaults = NULL;

	/* Without defaults to compare with, all is shown: longer, never wrong. */
	if (!all)
		conf_parse(SLICE_LIT(""), &setup, &defaults, &findings);
	conf_findings_free(findings);
	if (json)
		buf_byte(to, '{');
	show_block(&e, CONF_AT_TOP, "", conf, defaults);
	for (size_t i = 0; i < conf_n_blocks; i++) {
		char block[64];

		snprintf(block, sizeof(block), "%s.", conf_blocks[i].name);
		open_block(&e, conf_blocks[i].name);
		show_block(&e, CONF_AT_TOP, block, conf, defaults);
		close_block(&e);
	}
	for (size_t i = 0; i < conf_n_families; i++)
		show_named(&e, &conf_families[i], conf, defaults);
	show_certificates(&e, conf, all);
	open_block(&e, "listeners");
	for (size_t i = 0; i < conf->n_listeners; i++)
		show_listener(&e, conf, &conf->listeners[i], defaults);
	close_block(&e);
	if (json)
		buf_str(to, "\n}\n");
	conf_free(defaults);
}

void conf_show(const struct conf *conf, bool all, struct buf *to)
{
	show(conf, all, false, to);
}

void conf_show_json(const struct conf *conf, bool all, struct buf *to)
{
	show(conf, all, true, to);
}
