#include "send/way.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "resolve/resolve.h"
#include "route/providers.h"
#include "route/tls_policy.h"
#include "send/private.h"
#include "send/report.h"
#include "send/sts.h"

#define TTL_MIN_S 60
#define TTL_MAX_S 3600
#define RETRY_S	  30 /* what could not be found out is asked again, if somebody asks us again */
#define SMTP_PORT 25
#define LMTP_PORT 24

/* ---- life ---- */

static void way_free(struct way *w)
{
	resolve_cancel(w->query);
	sts_cancel(w->sts_ask);
	free(w->mx);
	free(w->host);
	free(w->user);
	free(w->helo);
	free(w->source);
	free(w);
}

static void forget(struct way *w)
{
	if (!w->kept)
		return;
	w->kept = false;
	map_remove(&w->send->ways, &w->node);
	list_remove(&w->link);
	w->send->n_ways--;
	way_put(w);
}

void way_put(struct way *w)
{
	if (w && --w->refs == 0)
		way_free(w);
}

void way_forget_all(struct send *s)
{
	while (!list_empty(&s->ways_kept))
		forget(container_of(s->ways_kept.next, struct way, link));
}

void way_wait(struct way *w, struct way_waiter *waiter)
{
	assert(w->state == WAY_ASKING);
	list_push_back(&w->waiters, &waiter->link);
}

static void done(struct way *w)
{
	uint32_t ttl = w->ttl_s < TTL_MIN_S ? TTL_MIN_S : w->ttl_s > TTL_MAX_S ? TTL_MAX_S : w->ttl_s;

	w->ttl_s = w->state == WAY_TEMPORARY ? RETRY_S : ttl;
	w->until_ms = uv_now(w->send->loop) + w->ttl_s * UINT64_C(1000);
	w->refs++;
	while (!list_empty(&w->waiters)) {
		struct way_waiter *first = container_of(w->waiters.next, struct way_waiter, link);

		list_remove(&first->link);
		first->done(first->arg, w);
	}
	way_put(w);
}

static void fail(struct way *w, enum way_state state, const char *enhanced, const char *text)
{
	w->state = state;
	(void)slice_copy(slice_str(enhanced), w->enhanced, sizeof(w->enhanced));
	(void)slice_copy(slice_head(slice_str(text), sizeof(w->text) - 1), w->text, sizeof(w->text));
}

/* ---- the site ---- */

const char *host_name(const struct way *w, size_t host, char text[static 256])
{
	const struct way_host *h = &w->host[host];

	if (h->path[0])
		snprintf(text, 256, "unix:%s", h->path);
	else if (h->ip.family)
		ip_format(&h->ip, text);
	else
		snprintf(text, 256, "%s", h->name.text);
	return text;
}

static int by_preference(const struct way *w, size_t a, size_t b)
{
	char x[256], y[256];

	if (w->host[a].preference != w->host[b].preference)
		return w->host[a].preference < w->host[b].preference ? -1 : 1;
	return strcmp(host_name(w, a, x), host_name(w, b, y));
}

static void sort(const struct way *w, size_t *order)
{
	for (size_t i = 0; i < w->n_hosts; i++) {
		size_t at = i;

		for (; at > 0 && by_preference(w, i, order[at - 1]) < 0; at--)
			order[at] = order[at - 1];
		order[at] = i;
	}
}

static void hash_text(crypto_generichash_state *h, const char *text)
{
	crypto_generichash_update(h, (const unsigned char *)text, strlen(text) + 1);
}

/* Destinations that share it share lanes: so all that makes a difference to a connection is in it. */
static void name_site(struct way *w)
{
	crypto_generichash_state h;
	size_t order[DIAL_HOSTS_MAX];
	char text[320], name[256];

	sort(w, order);
	crypto_generichash_init(&h, NULL, 0, sizeof(w->key));
	snprintf(text, sizeof(text), "%d %u %d %d %d %d", w->via == CONF_VIA_LMTP, w->port.port, w->tls,
		 w->relax, w->sts, w->login);
	hash_text(&h, text);
	hash_text(&h, w->login || w->n_fingerprints ? w->route : "");
	hash_text(&h, w->source ? w->source : "");
	hash_text(&h, w->helo ? w->helo : "");
	for (size_t i = 0; i < w->n_hosts; i++) {
		snprintf(text, sizeof(text), "%u %d %s", w->host[order[i]].preference,
			 w->host[order[i]].sts_listed, host_name(w, order[i], name));
		hash_text(&h, text);
	}
	crypto_generichash_final(&h, w->key, sizeof(w->key));
	host_name(w, order[0], w->site);
	/* So that two smart hosts on one machine can be told apart. */
	if (w->port.port != 0 && w->port.port != 25 && w->host[order[0]].path[0] == 0) {
		snprintf(text, sizeof(text), "%s:%u", w->site, w->port.port);
		(void)slice_copy(slice_str(text), w->site, sizeof(w->site));
	}
}

/* ---- hosts by MX ---- */

static void on_sts(void *arg, const struct sts_answer *a)
{
	struct way *w = arg;

	w->sts_ask = NULL;
	report_policy(w, a->result, a->words);
	if (a->policy)
		w->sts =
			a->policy->mode == STS_MODE_ENFORCE ? TLS_POLICY_STS_ENFORCE : TLS_POLICY_STS_TESTING;
	for (size_t i = 0; a->policy && i < w->n_hosts; i++)
		w->host[i].sts_listed = sts_policy_lists(a->policy, dns_name_slice(&w->host[i].name));
	w->state = WAY_OK;
	name_site(w);
	done(w);
}

/* Not where an administrator or the sender has said something else. */
static bool wants_sts(const struct way *w)
{
	const struct send *s = w->send;

	return s->setup.sts && s->conf && s->conf->relay_mta_sts && !w->mx->literal && !w->relax &&
	       !w->n_fingerprints && w->tls != CONF_ROUTE_TLS_OFF;
}

static void found(struct way *w)
{
	const struct mx *mx = w->mx;

	w->host = calloc(mx->n, sizeof(*w->host));
	if (!w->host) {
		fail(w, WAY_TEMPORARY, "4.3.0", "out of memory");
		return;
	}
	w->n_hosts = mx->n;
	for (size_t i = 0; i < mx->n; i++)
		w->host[i] = (struct way_host){ .name = mx->host[i].name,
						.ip = mx->host[i].ip,
						.preference = mx->host[i].preference };
	w->ttl_s = mx->ttl;
	if (wants_sts(w)) {
		if (sts_find(w->send->setup.sts, &mx->domain, on_sts, w, &w->sts_ask) < 0)
			fail(w, WAY_TEMPORARY, "4.3.0", "too much is being looked up at once");
		return;
	}
	w->state = WAY_OK;
	name_site(w);
}

static void on_mx_answer(void *arg, const struct dns_answer *a);

static void mx_go_on(struct way *w, enum mx_step step, const struct dns_question *ask)
{
	struct send *s = w->send;

	if (step == MX_ASK) {
		if (s->setup.resolve && resolve_ask(s->setup.resolve, ask, on_mx_answer, w, &w->query) == 0)
			return;
		fail(w, WAY_TEMPORARY, "4.3.0", "out of memory");
	} else if (w->mx->outcome == MX_OK) {
		found(w);
	} else {
		w->ttl_s = w->mx->ttl;
		fail(w, w->mx->outcome == MX_PERMANENT ? WAY_PERMANENT : WAY_TEMPORARY, w->mx->enhanced,
		     w->mx->text);
	}
}

static void on_mx_answer(void *arg, const struct dns_answer *a)
{
	struct way *w = arg;
	struct dns_question ask;

	w->query = NULL;
	mx_go_on(w, mx_answer(w->mx, a, &ask), &ask);
	if (w->state != WAY_ASKING)
		done(w);
}

static void begin_mx(struct way *w)
{
	struct send *s = w->send;
	struct dns_question ask;
	uint64_t random;

	w->mx = calloc(1, sizeof(*w->mx));
	if (!w->mx) {
		fail(w, WAY_TEMPORARY, "4.3.0", "out of memory");
		return;
	}
	randombytes_buf(&random, sizeof(random));
	mx_go_on(w, mx_start(w->mx, slice_str(w->domain), &s->own_name, s->own_name.n > 0, random, &ask),
		 &ask);
}

/* ---- hosts of the configuration ---- */

/* "mail.example.org", "192.0.2.1", "2001:db8::1", "[2001:db8::1]", "unix:/run/lmtp" */
static bool parse_host(struct slice text, struct way_host *ret)
{
	if (slice_starts(text, SLICE_LIT("unix:")))
		return slice_copy(slice_tail(text, 5), ret->path, sizeof(ret->path));
	if (text.n > 2 && text.p[0] == '[' && text.p[text.n - 1] == ']')
		text = slice_of(text.p + 1, text.n - 2);
	return ip_parse(text, &ret->ip) || dns_name_from_user(text, &ret->name) == 0;
}

static void take_hosts(struct way *w, const struct conf_route *r)
{
	const struct route_provider *p = *r->provider ? route_provider(slice_str(r->provider)) : NULL;
	size_t n = r->n_hosts < DIAL_HOSTS_MAX ? r->n_hosts : DIAL_HOSTS_MAX;
	const char *by_provider = p && n == 0 ? p->host : NULL;

	if (by_provider)
		n = 1;
	w->host = calloc(n ? n : 1, sizeof(*w->host));
	if (!w->host || n == 0) {
		fail(w, WAY_TEMPORARY, "4.3.5", w->host ? "the route names no host" : "out of memory");
		return;
	}
	for (size_t i = 0; i < n; i++) {
		struct way_host h = { .preference = (uint16_t)i };

		if (parse_host(slice_str(by_provider ? by_provider : r->hosts[i]), &h))
			w->host[w->n_hosts++] = h;
	}
	if (w->n_hosts == 0) {
		fail(w, WAY_TEMPORARY, "4.3.5", "the route names no host that can be one");
		return;
	}
	w->ttl_s = TTL_MAX_S;
	w->state = WAY_OK;
	name_site(w);
}

/* ---- of the route ---- */

static const struct conf_route *find_route(const struct conf *conf, const char *name)
{
	for (size_t i = 0; conf && i < conf->n_routes; i++)
		if (!strcmp(conf->routes[i].name, name))
			return &conf->routes[i];
	return NULL;
}

static unsigned hex(unsigned char c)
{
	return c <= '9' ? c - (unsigned)'0' : (c | 0x20U) - 'a' + 10U;
}

/* 64 digits, colons between as one likes; the configuration was checked. */
static void take_fingerprint(struct way *w, const char *text)
{
	unsigned char *to = w->fingerprints[w->n_fingerprints];
	size_t n = 0;

	for (; *text && n < 64; text++)
		if (*text != ':') {
			to[n / 2] =
				(unsigned char)((unsigned)to[n / 2] << 4 | (hex((unsigned char)*text) & 15));
			n++;
		}
	w->n_fingerprints += n == 64;
}

/* The submission ports: by custom, or those that the provider has, in its order. */
static void take_ports(struct way *w, const struct route_provider *p)
{
	struct dial_port custom[DIAL_PORTS_MAX];
	uint16_t has[ROUTE_PROVIDER_PORTS];
	size_t n = p ? route_provider_ports(p, has) : 0;

	dial_auto_ports(0, custom);
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < DIAL_PORTS_MAX && w->n_ports < DIAL_PORTS_MAX; k++)
			if (custom[k].port == has[i])
				w->ports[w->n_ports++] = custom[k];
	if (w->n_ports > 0)
		return;
	memcpy(w->ports, custom, sizeof(custom));
	w->n_ports = DIAL_PORTS_MAX;
}

/* A provider that takes tokens only offers LOGIN all the same. */
static void take_mechanism(struct way *w, const struct route_provider *p)
{
	if (!p || p->password != ROUTE_PASSWORD_OAUTH || w->mechanism != CONF_MECHANISM_AUTO)
		return;
	w->mechanism = strstr(p->mechanisms, "XOAUTH2") ? CONF_MECHANISM_XOAUTH2 : CONF_MECHANISM_OAUTHBEARER;
}

static bool take_route(struct way *w, const struct conf_route *r)
{
	const struct route_provider *p = *r->provider ? route_provider(slice_str(r->provider)) : NULL;

	w->via = r->via;
	w->tls = r->tls;
	w->mechanism = r->mechanism;
	w->named = r->via != CONF_VIA_MX;
	w->login = *r->user != '\0';
	w->user = strdup(r->user);
	w->helo = strdup(r->helo);
	w->source = strdup(r->source);
	for (size_t i = 0; i < r->n_fingerprints && i < WAY_FINGERPRINTS_MAX; i++)
		take_fingerprint(w, r->fingerprints[i]);
	take_ports(w, p);
	take_mechanism(w, p);
	w->port.port = r->port;
	w->port.tls = r->tls == CONF_ROUTE_TLS_OFF ? DIAL_TLS_NEVER : DIAL_TLS_MAY;
	if (r->port == 0 && r->via != CONF_VIA_SMARTHOST)
		w->port.port = r->via == CONF_VIA_LMTP ? LMTP_PORT : SMTP_PORT;
	/* The custom of the ports, whatever the route's hosts are for (RFC 8314, 6409). */
	if (r->port == 465 || r->implicit_tls)
		w->port.tls = DIAL_TLS_IMPLICIT;
	else if (r->via == CONF_VIA_SMARTHOST && (r->port == 587 || r->port == 2525))
		w->port.tls = DIAL_TLS_MUST;
	return w->user && w->helo && w->source;
}

static struct way *way_new(struct send *s)
{
	struct way *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->send = s;
	w->refs = 1;
	list_init(&w->link);
	list_init(&w->waiters);
	return w;
}

static void keep(struct way *w, size_t key_n)
{
	struct send *s = w->send;

	if (s->n_ways >= WAYS_MAX)
		forget(container_of(s->ways_kept.next, struct way, link));
	w->kept = true;
	w->refs++;
	map_insert(&s->ways, &w->node, slice_of(w->map_key, key_n));
	list_push_back(&s->ways_kept, &w->link);
	s->n_ways++;
}

struct way *way_get(struct send *s, struct slice route, struct slice domain, bool relax)
{
	const struct conf_route *r;
	struct map_node *node;
	struct buf key;
	struct way *w = way_new(s);

	if (!w || !slice_copy(route, w->route, sizeof(w->route)) ||
	    !slice_copy(domain, w->domain, sizeof(w->domain))) {
		free(w);
		return NULL;
	}
	w->relax = relax;
	buf_init_in(&key, w->map_key, sizeof(w->map_key));
	buf_put(&key, route);
	buf_byte(&key, 0);
	buf_put(&key, domain);
	buf_byte(&key, relax);
	node = map_find(&s->ways, buf_slice(&key));
	if (node) {
		struct way *old = container_of(node, struct way, node);

		if (old->state == WAY_ASKING || uv_now(s->loop) < old->until_ms) {
			free(w);
			old->refs++;
			return old;
		}
		forget(old);
	}
	r = find_route(s->conf, w->route);
	if (!r)
		fail(w, WAY_TEMPORARY, "4.3.5", "the configuration has no such route any more");
	else if (!take_route(w, r))
		fail(w, WAY_TEMPORARY, "4.3.0", "out of memory");
	else if (w->named)
		take_hosts(w, r);
	else
		begin_mx(w);
	keep(w, key.n);
	if (w->state != WAY_ASKING)
		done(w);
	return w;
}

struct way *way_to_endpoint(struct send *s, const struct endpoint *to)
{
	struct way *w = way_new(s);

	if (!w)
		return NULL;
	w->via = CONF_VIA_LMTP;
	w->tls = CONF_ROUTE_TLS_OFF;
	w->named = true;
	w->port = (struct dial_port){ to->port, DIAL_TLS_NEVER };
	w->user = strdup("");
	w->helo = strdup("");
	w->host = calloc(1, sizeof(*w->host));
	if (!w->host || !w->user || !w->helo) {
		way_free(w);
		return NULL;
	}
	w->n_hosts = 1;
	w->host[0].ip = to->ip;
	memcpy(w->host[0].path, to->path, sizeof(to->path));
	w->state = WAY_OK;
	return w;
}
