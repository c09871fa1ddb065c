#include "queue/ways.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

#include "ipc/message.h"
#include "queue/lanes.h"
#include "queue/port25.h"
#include "route/table.h"

#define RELAX " relax"

/* ---- what is configured ---- */

static void print_str(crypto_generichash_state *st, const char *s)
{
	crypto_generichash_update(st, (const unsigned char *)(s ? s : ""), (s ? strlen(s) : 0) + 1);
}

static void print_strs(crypto_generichash_state *st, char *const *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		print_str(st, s[i]);
	print_str(st, "");
}

static void print_u(crypto_generichash_state *st, uint64_t v)
{
	crypto_generichash_update(st, (const unsigned char *)&v, sizeof(v));
}

static void print_route(crypto_generichash_state *st, const struct conf_route *r)
{
	print_str(st, r->name);
	print_strs(st, r->to, r->n_to);
	print_strs(st, r->from, r->n_from);
	print_strs(st, r->accounts, r->n_accounts);
	print_strs(st, r->hosts, r->n_hosts);
	print_strs(st, r->fingerprints, r->n_fingerprints);
	print_strs(st, r->password_command, r->n_password_command);
	print_u(st, (uint64_t)r->via << 32 | r->port);
	print_u(st, (uint64_t)r->tls << 32 | (uint64_t)r->mechanism);
	print_str(st, r->provider);
	print_str(st, r->user);
	print_str(st, r->password_file);
	print_str(st, r->source);
	print_str(st, r->helo);
	print_str(st, r->text);
	print_u(st, r->connections);
	print_u(st, r->messages_per_minute);
	print_u(st, r->messages_per_connection);
}

static void print(const struct conf *conf, unsigned char ret[static 32])
{
	crypto_generichash_state st;

	crypto_generichash_init(&st, NULL, 0, 32);
	print_u(&st, (uint64_t)conf->delivery_by);
	print_str(&st, conf->delivery_lmtp);
	print_u(&st, conf->delivery_connections);
	print_str(&st, conf->hostname);
	for (size_t i = 0; i < conf->n_routes; i++)
		print_route(&st, &conf->routes[i]);
	for (size_t i = 0; i < conf->n_sources; i++) {
		print_str(&st, conf->sources[i].name);
		print_str(&st, conf->sources[i].pool);
		crypto_generichash_update(&st, (const unsigned char *)conf->sources[i].addresses,
					  conf->sources[i].n_addresses *
						  sizeof(conf->sources[i].addresses[0]));
	}
	print_str(&st, conf->relay_source);
	print_u(&st, conf->relay_connections);
	print_u(&st, conf->relay_messages_per_connection);
	print_u(&st,
		(uint64_t)conf->relay_dane << 2 | (uint64_t)conf->relay_mta_sts << 1 | conf->relay_loopback);
	/* Who was not found because the wrong one was asked is asked for anew. */
	print_strs(&st, conf->dns_servers, conf->n_dns_servers);
	print_u(&st, (uint64_t)conf->dns_recursion << 32 | (uint64_t)conf->dns_validate);
	crypto_generichash_final(&st, ret, 32);
}

static int make_table(const struct conf *conf, struct route_table **ret)
{
	struct route_table_rule *rules;
	int r;

	*ret = NULL;
	if (conf->n_routes == 0)
		return 0;
	rules = calloc(conf->n_routes, sizeof(*rules));
	if (!rules)
		return -ENOMEM;
	for (size_t i = 0; i < conf->n_routes; i++) {
		const struct conf_route *c = &conf->routes[i];

		rules[i] = (struct route_table_rule){ { c->to, c->n_to },
						      { c->from, c->n_from },
						      { c->accounts, c->n_accounts } };
	}
	r = route_table_new(rules, conf->n_routes, ret);
	free(rules);
	return r;
}

int ways_set(struct ways *w, const struct conf *conf)
{
	struct ways now = { .conf = conf };
	int r = make_table(conf, &now.table);
	bool other;

	if (r < 0)
		return r;
	/* It was parsed when the configuration was checked. */
	now.by_lmtp = conf->delivery_by == CONF_BY_LMTP &&
		      endpoint_parse(slice_str(conf->delivery_lmtp), &now.lmtp);
	print(conf, now.print);
	other = memcmp(w->print, now.print, sizeof(now.print)) != 0;
	route_table_free(w->table);
	*w = now;
	return other;
}

void ways_done(struct ways *w)
{
	route_table_free(w->table);
	w->table = NULL;
}

/* ---- names ---- */

/* Via these all domains have the same destination. */
static bool leads_to_one(const struct conf_route *r)
{
	return r->via != CONF_VIA_MX;
}

static void put_domain(struct slice domain, struct buf *to)
{
	for (size_t i = 0; i < domain.n; i++)
		buf_byte(to, (unsigned char)(domain.p[i] >= 'A' && domain.p[i] <= 'Z' ? domain.p[i] | 0x20
										      : domain.p[i]));
}

bool ways_name(const struct ways *w, const struct envelope *e, const struct envelope_rcpt *r, struct buf *to)
{
	const struct conf_route *route;
	size_t at = slice_rfind(r->address, '@');

	if (r->kind == IPC_TARGET_MAILBOX) {
		/* Where postmaster's mail goes that nobody was named for, no other server knows. */
		bool ours = !w->by_lmtp || slice_starts_nocase(r->mailbox, SLICE_LIT("_postmaster/"));

		buf_str(to, ours ? "local" : "lmtp");
		return buf_ok(to);
	}
	if (!w->table || at >= r->address.n)
		return false;
	route = &w->conf->routes[route_table_find(w->table, r->address,
						  r->sender.n > 0 ? r->sender : e->sender, e->account_name)];
	buf_str(to, route->name);
	buf_byte(to, ' ');
	if (leads_to_one(route))
		buf_byte(to, '*');
	else
		put_domain(slice_tail(r->address, at + 1), to);
	if (e->relax)
		buf_str(to, RELAX);
	return buf_ok(to);
}

/* Our own network's doing is only what leaves it. */
static bool needs_25(const struct conf_route *r)
{
	struct ip ip;

	if (r->port != 0 && r->port != 25)
		return false;
	if (r->via == CONF_VIA_MX)
		return true;
	for (size_t i = 0; r->via == CONF_VIA_HOST && i < r->n_hosts; i++)
		if (!ip_parse(slice_str(r->hosts[i]), &ip) || !port25_is_inside(&ip))
			return true;
	return false;
}

void ways_find(const struct ways *w, struct slice name, struct way *ret)
{
	struct way way = { .kind = WAY_NONE };
	size_t blank = slice_find(name, ' ');
	struct slice rest = slice_tail(name, blank < name.n ? blank + 1 : name.n);

	if (slice_eq(name, SLICE_LIT("local")))
		way.kind = WAY_LOCAL;
	else if (slice_eq(name, SLICE_LIT("lmtp")))
		way.kind = w->by_lmtp ? WAY_LMTP : WAY_NONE;
	for (size_t i = 0; blank < name.n && w->conf && i < w->conf->n_routes; i++)
		if (slice_eq(slice_head(name, blank), slice_str(w->conf->routes[i].name)))
			way.route = &w->conf->routes[i];
	if (way.route) {
		size_t end = slice_find(rest, ' ');

		way.relax = end < rest.n;
		way.domain = slice_head(rest, end);
		if (slice_eq(way.domain, SLICE_LIT("*")))
			way.domain = SLICE_LIT("");
		way.kind = way.route->via == CONF_VIA_DISCARD  ? WAY_DISCARD
			   : way.route->via == CONF_VIA_REFUSE ? WAY_REFUSE
							       : WAY_RELAY;
		way.needs_25 = needs_25(way.route);
	}
	*ret = way;
}

/* ---- limits ---- */

static unsigned one_of(unsigned first, unsigned other)
{
	unsigned n = first > 0 ? first : other;

	return n > 0 ? n : 1;
}

void ways_limits(const struct ways *w, const struct way *way, struct schedule_site *ret)
{
	const struct conf *conf = w->conf;

	ret->window = LANES_WINDOW;
	if (way->kind == WAY_LMTP) {
		ret->mailboxes = true;
		ret->connections = one_of(conf->delivery_connections, 1);
	} else if (way->route) {
		ret->connections = one_of(way->route->connections, conf->relay_connections);
		ret->per_minute = way->route->messages_per_minute;
		ret->per_connection = way->route->messages_per_connection
					      ? way->route->messages_per_connection
					      : conf->relay_messages_per_connection;
		ret->needs_25 = way->needs_25;
	}
}

const char *ways_pool(const struct ways *w, const struct way *way)
{
	if (!way->route)
		return "";
	return way->route->source[0]   ? way->route->source
	       : w->conf->relay_source ? w->conf->relay_source
				       : "";
}
