#include "conf/directives.h"

struct conf *conf_new(const struct conf_setup *setup)
{
	struct conf *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->port_offset = setup->port_offset;
	c->root = setup->root;
	c->listeners = calloc(CONF_LISTENERS_MAX, sizeof(*c->listeners));
	c->certificates = calloc(CONF_CERTIFICATES_MAX, sizeof(*c->certificates));
	c->routes = calloc(CONF_NAMED_MAX, sizeof(*c->routes));
	c->sources = calloc(CONF_NAMED_MAX, sizeof(*c->sources));
	c->replies = calloc(CONF_NAMED_MAX, sizeof(*c->replies));
	if (!c->listeners || !c->certificates || !c->routes || !c->sources || !c->replies) {
		conf_free(c);
		return NULL;
	}
	return c;
}

static void clear(enum conf_scope scope, void *in)
{
	for (size_t i = 0; i < conf_n_directives; i++)
		if (conf_directives[i].scope == scope)
			conf_value_clear(&conf_directives[i], in);
}

void conf_free(struct conf *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->n_listeners; i++) {
		free((void *)(uintptr_t)c->listeners[i].name);
		clear(CONF_AT_LISTENER, &c->listeners[i]);
	}
	for (size_t i = 0; i < c->n_certificates; i++)
		clear(CONF_AT_CERTIFICATE, &c->certificates[i]);
	for (size_t k = 0; k < conf_n_families; k++)
		for (size_t i = 0; i < conf_elements(&conf_families[k], c); i++) {
			struct conf_named *e = conf_element(&conf_families[k], c, i);

			free((void *)(uintptr_t)e->name);
			clear(conf_families[k].scope, e);
		}
	clear(CONF_AT_TOP, c);
	free(c->routes);
	free(c->sources);
	free(c->replies);
	free(c->listeners);
	free(c->certificates);
	free(c);
}

const struct conf_listener *conf_listener(const struct conf *conf, struct slice name)
{
	for (size_t i = 0; i < conf->n_listeners; i++)
		if (slice_eq(slice_str(conf->listeners[i].name), name))
			return &conf->listeners[i];
	return NULL;
}

/* 587 is what most clients' forms begin with, 465 its equal (RFC 8314 3.3); any other
 * port is for networks that block both. */
static unsigned port_rank(const struct conf *conf, const struct conf_listener *l)
{
	unsigned usual = l->port - conf->port_offset;

	return usual == 587 ? 0 : usual == 465 ? 1 : 2;
}

size_t conf_submission_ports(const struct conf *conf, struct conf_submission_port *to, size_t max)
{
	size_t n = 0;

	for (unsigned rank = 0; rank <= 2; rank++) {
		for (size_t i = 0; i < conf->n_listeners && n < max; i++) {
			const struct conf_listener *l = &conf->listeners[i];

			if (!l->enabled || l->role != CONF_SUBMISSION || !l->auth || l->tls == CONF_TLS_OFF ||
			    port_rank(conf, l) != rank)
				continue;
			to[n++] =
				(struct conf_submission_port){ .port = l->port,
							       .implicit_tls = l->tls == CONF_TLS_IMPLICIT };
		}
	}
	return n;
}
