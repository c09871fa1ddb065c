#include "conf/directives.h"

#include <errno.h>

static void differs(struct conf_findings *f, const struct conf_directive *d, const char *before,
		    const void *a, const void *b, unsigned line)
{
	struct buf text;

	if (conf_value_same(d, a, b))
		return;
	buf_init(&text, CONF_TEXT_MAX);
	conf_value_show(d, a, &text);
	buf_str(&text, " becomes ");
	conf_value_show(d, b, &text);
	if (d->fixed)
		conf_warning(f, line, "%s%s: %.*s only at the next start", before, d->path,
			     SLICE_ARG(buf_slice(&text)));
	else
		conf_note(f, line, "%s%s: %.*s", before, d->path, SLICE_ARG(buf_slice(&text)));
	buf_done(&text);
}

static void diff_scope(struct conf_findings *f, enum conf_scope scope, const char *name, const void *a,
		       const void *b, unsigned line)
{
	char before[80] = "";

	if (scope == CONF_AT_LISTENER)
		snprintf(before, sizeof(before), "listeners.%s.", name);
	for (size_t i = 0; i < conf_n_families; i++)
		if (conf_families[i].scope == scope)
			snprintf(before, sizeof(before), "%s.%s.", conf_families[i].block, name);
	for (size_t i = 0; i < conf_n_directives; i++)
		if (conf_directives[i].scope == scope)
			differs(f, &conf_directives[i], before, a, b, line);
}

static bool same_certificates(const struct conf *a, const struct conf *b)
{
	if (a->n_certificates != b->n_certificates)
		return false;
	for (size_t i = 0; i < a->n_certificates; i++)
		if (strcmp(a->certificates[i].cert, b->certificates[i].cert) != 0 ||
		    strcmp(a->certificates[i].key, b->certificates[i].key) != 0)
			return false;
	return true;
}

static void diff_family(struct conf_findings *f, const struct conf_family *family, const struct conf *old,
			const struct conf *new)
{
	size_t n = conf_elements(family, new), last = 0;
	bool moved = false;

	for (size_t i = 0; i < conf_elements(family, old); i++) {
		const struct conf_named *was = conf_element(family, old, i);
		size_t at = 0;

		while (at < n && strcmp(conf_element(family, new, at)->name, was->name) != 0)
			at++;
		if (at == n)
			conf_note(f, 0, "%s.%s: removed", family->block, was->name);
		else if (at < last)
			moved = true;
		else
			last = at;
	}
	if (moved)
		conf_note(f, 0, "%s: in another order", family->block);
	for (size_t i = 0; i < n; i++) {
		const struct conf_named *e = conf_element(family, new, i),
					*was = conf_find(family, old, e->name);

		if (was)
			diff_scope(f, family->scope, e->name, was, e, e->line);
		else
			conf_note(f, e->line, "%s.%s: added", family->block, e->name);
	}
}

int conf_reload_diff(const struct conf *old, const struct conf *new, struct conf_finding **ret)
{
	struct conf_findings f;

	conf_findings_init(&f);
	diff_scope(&f, CONF_AT_TOP, "", old, new, 0);
	if (!same_certificates(old, new))
		conf_note(&f, 0, "tls.certificates: changed");
	for (size_t i = 0; i < old->n_listeners; i++)
		if (!conf_listener(new, slice_str(old->listeners[i].name)))
			conf_note(&f, 0, "listeners.%s: removed", old->listeners[i].name);
	for (size_t i = 0; i < new->n_listeners; i++) {
		const struct conf_listener *l = &new->listeners[i],
					   *was = conf_listener(old, slice_str(l->name));

		if (was)
			diff_scope(&f, CONF_AT_LISTENER, l->name, was, l, l->line);
		else
			conf_note(&f, l->line, "listeners.%s: added", l->name);
	}
	for (size_t i = 0; i < conf_n_families; i++)
		diff_family(&f, &conf_families[i], old, new);
	if (f.no_memory) {
		conf_findings_free(f.first);
		return -ENOMEM;
	}
	*ret = f.first;
	return 0;
}

int conf_keep_fixed(const struct conf *old, struct conf *new)
{
	int kept = 0;

	for (size_t i = 0; i < conf_n_directives; i++) {
		const struct conf_directive *d = &conf_directives[i];

		if (d->scope != CONF_AT_TOP || !d->fixed || conf_value_same(d, old, new))
			continue;
		if (conf_value_copy(d, old, new) < 0)
			return -ENOMEM;
		kept = 1;
	}
	return kept;
}
