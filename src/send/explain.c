#include "send/explain.h"

#include <errno.h>
#include <stdlib.h>

#include "send/private.h"

#define EXPLAINS_MAX 16

struct explain {
	struct list link;
	struct send *send;
	struct way *way;
	struct way_waiter waiter;
	struct host_look look;
	size_t at;
	json_t *hosts;
	void (*done)(void *arg, json_t *what);
	void *arg;
};

static void finish(struct explain *e, json_t *what)
{
	list_remove(&e->waiter.link);
	list_remove(&e->link);
	e->send->n_explains--;
	host_end(&e->look);
	way_put(e->way);
	json_decref(e->hosts);
	e->done(e->arg, what);
	free(e);
}

void send_explains_drop(struct send *s)
{
	while (!list_empty(&s->explains))
		finish(container_of(s->explains.next, struct explain, link), NULL);
}

/* ---- the answer ---- */

static json_t *failure_json(const struct way *w)
{
	return json_pack("{s:{s:b, s:s, s:s}}", "failure", "permanent", w->state == WAY_PERMANENT, "status",
			 w->enhanced, "text", w->text);
}

static json_t *ports_json(const struct way *w)
{
	static const char *const tls[] = { [DIAL_TLS_NEVER] = "never",
					   [DIAL_TLS_MAY] = "starttls, if offered",
					   [DIAL_TLS_MUST] = "starttls",
					   [DIAL_TLS_IMPLICIT] = "implicit" };
	json_t *all = json_array();
	struct dial_port ports[DIAL_PORTS_MAX];
	size_t n = send_ports(w, ports);

	for (size_t i = 0; i < n; i++)
		json_array_append_new(all, json_pack("{s:i, s:s}", "port", (int)ports[i].port, "tls",
						     tls[ports[i].tls]));
	return all;
}

static json_t *host_json(const struct explain *e)
{
	const struct host_look *h = &e->look;
	const struct way_host *to = &e->way->host[e->at];
	char text[256];
	json_t *j = json_pack("{s:s, s:i}", "host", host_name(e->way, e->at, text), "preference",
			      (int)to->preference);
	json_t *addresses = json_array();

	for (size_t i = 0; !to->path[0] && i < h->n_ips; i++)
		json_array_append_new(addresses, json_string(ip_format(&h->ips[i], text)));
	json_object_set_new(j, "addresses", addresses);
	json_object_set_new(j, "us", json_boolean(h->is_us));
	if (h->n_ips == 0) {
		json_object_set_new(j, "failure",
				    json_pack("{s:b, s:s, s:s}", "permanent", h->for_good, "status",
					      h->enhanced, "text", h->text));
		return j;
	}
	json_object_set_new(j, "usable", json_boolean(h->policy.use == TLS_POLICY_USE));
	json_object_set_new(j, "policy", json_string(h->policy.name));
	json_object_set_new(j, "words", json_string(h->policy.words));
	json_object_set_new(j, "starttls",
			    json_string(!h->policy.starttls ? "never"
					: h->policy.clear   ? "may"
							    : "must"));
	json_object_set_new(j, "tlsa", json_string(dane_state_name(h->dane.state)));
	json_object_set_new(j, "dnssec", json_boolean(h->secure));
	return j;
}

/* ---- one host after the other ---- */

static void on_host(void *arg);

/* Behind ourselves nobody is tried. */
static void append(struct explain *e)
{
	json_array_append_new(e->hosts, host_json(e));
	e->at = e->look.is_us ? e->way->n_hosts : e->at + 1;
}

static void next_hosts(struct explain *e)
{
	const struct way *w = e->way;
	struct dial_port ports[DIAL_PORTS_MAX];

	send_ports(w, ports);
	while (e->at < w->n_hosts) {
		host_end(&e->look);
		if (!host_begin(&e->look, e->way, e->at, ports[0].port, on_host, e))
			return;
		append(e);
	}
	finish(e, json_pack("{s:s, s:I, s:b, s:o, s:O}", "site", w->site, "ttl_s", (json_int_t)w->ttl_s,
			    "dnssec", w->mx && w->mx->secure, "ports", ports_json(w), "hosts", e->hosts));
}

static void on_host(void *arg)
{
	struct explain *e = arg;

	append(e);
	next_hosts(e);
}

static void on_way(void *arg, struct way *w)
{
	struct explain *e = arg;

	if (w->state == WAY_OK)
		next_hosts(e);
	else
		finish(e, failure_json(w));
}

int send_explain(struct send *s, struct slice route, struct slice domain, bool relax,
		 void (*done)(void *arg, json_t *what), void *arg)
{
	struct explain *e;

	if (s->n_explains >= EXPLAINS_MAX)
		return -EBUSY;
	e = calloc(1, sizeof(*e));
	if (!e)
		return -ENOMEM;
	e->way = way_get(s, route, domain, relax);
	e->hosts = json_array();
	if (!e->way || !e->hosts) {
		way_put(e->way);
		json_decref(e->hosts);
		free(e);
		return -ENOMEM;
	}
	e->send = s;
	e->done = done;
	e->arg = arg;
	e->waiter = (struct way_waiter){ .done = on_way, .arg = e };
	list_init(&e->waiter.link);
	list_push_back(&s->explains, &e->link);
	s->n_explains++;
	if (e->way->state == WAY_ASKING)
		way_wait(e->way, &e->waiter);
	else
		on_way(e, e->way);
	return 0;
}
