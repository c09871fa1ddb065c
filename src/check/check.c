/* Names, addresses, looks. */
#include "check/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check/knock.h"

struct check_host {
	struct check *check;
	uint16_t only_port; /* 0: all */
	struct check_sts_found *sts;
	struct resolve_query *query[2];
	struct ip ip[2 * CHECK_ADDRESSES_MAX];
	size_t n_ips;
	char why[2][160]; /* A, AAAA: why there is none */
	struct look *look[2 * CHECK_ADDRESSES_MAX * CHECK_PORTS_MAX];
};

struct check {
	struct check_setup setup;
	struct probe_host host[CHECK_HOSTS_MAX];
	struct check_host own[CHECK_HOSTS_MAX];
	size_t n;
	size_t looks, looks_done, waiting; /* waiting: look-ups, looks, and running itself */
	struct knock *knock;
	struct probe_port control_port;
	enum probe_control control;
	bool control_asked;
};

/* A root server of the DNS: always there, never about mail. */
#define CONTROL_IPV4 "198.41.0.4"
#define CONTROL_PORT 53

static void step_done(struct check *c);

struct check *check_new(const struct check_setup *setup)
{
	struct check *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->setup = *setup;
	if (!c->setup.control.family) {
		(void)ip_parse(SLICE_LIT(CONTROL_IPV4), &c->setup.control);
		c->setup.control_port = CONTROL_PORT;
	}
	return c;
}

void check_free(struct check *c)
{
	if (!c)
		return;
	for (size_t h = 0; h < c->n; h++) {
		resolve_cancel(c->own[h].query[0]);
		resolve_cancel(c->own[h].query[1]);
		for (size_t i = 0; i < c->host[h].n; i++)
			look_cancel(c->own[h].look[i]);
		free(c->host[h].port);
		free(c->own[h].sts);
	}
	knock_cancel(c->knock);
	free(c);
}

int check_add(struct check *c, const char *name, const char *from, uint16_t port)
{
	struct probe_host *h = &c->host[c->n];

	for (size_t i = 0; i < c->n; i++)
		if (slice_eq_nocase(slice_str(c->host[i].name), slice_str(name)) &&
		    c->own[i].only_port == port)
			return -EEXIST;
	if (c->n == CHECK_HOSTS_MAX || strlen(name) >= sizeof(h->name))
		return -E2BIG;
	snprintf(h->name, sizeof(h->name), "%s", name);
	snprintf(h->from, sizeof(h->from), "%s", from);
	c->own[c->n].check = c;
	c->own[c->n].only_port = port;
	c->n++;
	return 0;
}

int check_add_mx(struct check *c, const char *name, const char *from, uint16_t preference,
		 const struct check_sts_found *sts)
{
	struct check_sts_found *copy = NULL;
	int r = check_add(c, name, from, 25);

	if (r < 0)
		return r;
	if (sts && sts->state != CHECK_STS_NONE) {
		copy = malloc(sizeof(*copy));
		if (!copy)
			return -ENOMEM;
		*copy = *sts;
	}
	c->own[c->n - 1].sts = copy;
	c->host[c->n - 1].mx = true;
	c->host[c->n - 1].preference = preference;
	return 0;
}

const struct probe_host *check_hosts(const struct check *c, size_t *ret_n)
{
	*ret_n = c->n;
	return c->host;
}

enum probe_control check_control(const struct check *c)
{
	return c->control;
}

void check_count(const struct check *c, size_t *ret_all, size_t *ret_done)
{
	*ret_all = c->looks;
	*ret_done = c->looks_done;
}

/* ---- looks ---- */

static void on_look(void *arg, struct probe_port *port)
{
	struct check_host *own = arg;
	struct check *c = own->check;
	size_t h = (size_t)(own - c->own);

	own->look[port - c->host[h].port] = NULL;
	if (own->sts)
		check_sts_match(own->sts, c->host[h].name, port);
	c->looks_done++;
	if (c->setup.progress)
		c->setup.progress(c->setup.arg, c);
	step_done(c);
}

/* All ports of all its addresses. */
static void look_at(struct check *c, size_t h)
{
	struct probe_host *host = &c->host[h];
	struct check_host *own = &c->own[h];
	size_t n_ports = own->only_port ? 1 : c->setup.n_ports;

	host->port = calloc(own->n_ips * n_ports, sizeof(*host->port));
	if (!host->port) {
		snprintf(host->lookup, sizeof(host->lookup), "out of memory");
		return;
	}
	for (size_t p = 0; p < n_ports; p++)
		for (size_t i = 0; i < own->n_ips; i++) {
			struct probe_port *port = &host->port[host->n];

			port->ip = own->ip[i];
			port->port = own->only_port ? own->only_port : c->setup.port[p];
			if (look_begin(&c->setup.look, host->name, port, on_look, own, &own->look[host->n]) <
			    0) {
				port->reach = PROBE_FAILED;
				port->error = -ENOMEM;
			} else {
				c->waiting++;
				c->looks++;
			}
			host->n++;
		}
}

/* ---- addresses ---- */

static void add_addresses(struct check_host *own, const struct dns_answer *a)
{
	size_t n = 0;

	for (size_t i = 0; i < a->n && n < CHECK_ADDRESSES_MAX; i++, n++)
		own->ip[own->n_ips++] = a->records[i].ip;
}

static void addresses_known(struct check *c, size_t h)
{
	struct check_host *own = &c->own[h];

	if (own->query[0] || own->query[1])
		return;
	if (own->n_ips > 0)
		look_at(c, h);
	else
		snprintf(c->host[h].lookup, sizeof(c->host[h].lookup), "%s",
			 own->why[0][0]	  ? own->why[0]
			 : own->why[1][0] ? own->why[1]
					  : "it has no address");
}

static void on_addresses(void *arg, const struct dns_answer *a)
{
	struct check_host *own = arg;
	struct check *c = own->check;
	size_t family = a->type == DNS_AAAA;

	own->query[family] = NULL;
	if (a->status == DNS_OK)
		add_addresses(own, a);
	else
		snprintf(own->why[family], sizeof(own->why[family]), "%s%s%.100s", dns_status_name(a->status),
			 a->why[0] ? ": " : "", a->why);
	addresses_known(c, (size_t)(own - c->own));
	step_done(c);
}

static int ask_addresses(struct check *c, size_t h)
{
	struct check_host *own = &c->own[h];
	struct dns_question q;
	static const enum dns_type types[2] = { DNS_A, DNS_AAAA };
	const bool wanted[2] = { c->setup.ipv4, c->setup.ipv6 };

	if (ip_parse(slice_str(c->host[h].name), &own->ip[0])) {
		own->n_ips = 1;
		look_at(c, h);
		return 0;
	}
	if (dns_name_from_user(slice_str(c->host[h].name), &q.name) < 0) {
		snprintf(c->host[h].lookup, sizeof(c->host[h].lookup), "it is no host's name");
		return 0;
	}
	for (int i = 0; i < 2; i++) {
		if (!wanted[i])
			continue;
		q.type = types[i];
		if (resolve_ask_host(c->setup.resolve, &q, on_addresses, own, &own->query[i]) < 0)
			return -ENOMEM;
		c->waiting++;
	}
	return 0;
}

int check_run(struct check *c)
{
	c->waiting = 1;
	for (size_t h = 0; h < c->n; h++)
		if (ask_addresses(c, h) < 0)
			return -ENOMEM;
	step_done(c);
	return 0;
}

/* ---- the control connection, and the end ---- */

static void on_control(void *arg, int fd)
{
	struct check *c = arg;

	c->knock = NULL;
	if (fd >= 0)
		close(fd);
	/* Refused: somebody far away said so. */
	c->control = c->control_port.reach == PROBE_OPEN ||
				     (c->control_port.reach == PROBE_REFUSED && !c->control_port.local)
			     ? PROBE_CONTROL_UP
			     : PROBE_CONTROL_DOWN;
	step_done(c);
}

/* Only where it tells something: when nothing was reached, or not 25. */
static bool needs_control(const struct check *c)
{
	bool reached = false, lost = false;

	for (size_t h = 0; h < c->n; h++)
		for (size_t i = 0; i < c->host[h].n; i++) {
			const struct probe_port *p = &c->host[h].port[i];

			reached = reached || (p->reach == PROBE_OPEN && p->port != 25);
			lost = lost || (p->reach != PROBE_OPEN && !ip_is_loopback(&p->ip));
		}
	return lost && !reached;
}

static void step_done(struct check *c)
{
	if (--c->waiting > 0)
		return;
	if (!c->control_asked && needs_control(c)) {
		c->control_asked = true;
		c->control_port.ip = c->setup.control;
		c->control_port.port = c->setup.control_port;
		if (knock_begin(c->setup.look.loop, &c->control_port, c->setup.look.connect_ms, on_control, c,
				&c->knock) == 0) {
			c->waiting = 1;
			return;
		}
		c->control = PROBE_CONTROL_DOWN;
	}
	c->setup.done(c->setup.arg, c);
}
