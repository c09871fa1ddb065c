/* Where a lane goes: hosts looked up and connections raced, as route/dial.h says. */
#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "base/log.h"
#include "ipc/event.h"
#include "send/private.h"
#include "send/report.h"

#define INPUT_MAX    (16U << 10)
#define OUTPUT_MAX   (64U << 10)
#define FAILED_MS    UINT64_C(300000) /* a host that failed is tried last */
#define IPV6_LOST_MS UINT64_C(600000)
#define IPV6_LOSSES  3		       /* of so many hosts in a row: it is our own network */
#define PORT_MS	     UINT64_C(3600000) /* then the first choice is tried again */
#define TOLD_MS	     UINT64_C(86400000)

static uint64_t now(const struct lane *l)
{
	return uv_now(l->send->loop);
}

/* ---- what is remembered ---- */

static void remember(struct lane *l)
{
	struct recall *r = &l->send->recall;
	struct slice route = slice_str(l->way->route), site = slice_str(l->way->site);
	uint32_t port;
	char host[256];

	for (size_t i = 0; i < l->way->n_hosts; i++)
		if (dial_host_failed(&l->dial, i))
			recall_put(r, RECALL_FAILED, slice_str(host_name(l->way, i, host)), 0,
				   now(l) + FAILED_MS);
	if (dial_stripped(&l->dial) && !recall_has(r, RECALL_TOLD, site, now(l))) {
		recall_put(r, RECALL_TOLD, site, 0, now(l) + TOLD_MS);
		LOG(LOG_WARNING, "starttls-missing", LOG_S("route", route), LOG_S("site", site),
		    LOG_STR("note", "somebody on the way may have taken it out; nothing was sent in clear"));
	}
	if (l->state != LANE_SENDS)
		return;
	recall_forget(r, RECALL_FAILED, slice_str(host_name(l->way, l->try.host, host)));
	if (l->try.ip.family == 6)
		l->send->ipv6_losses = 0;
	if (dial_ipv6_lost(&l->dial)) {
		recall_put(r, RECALL_IPV6_LOST, slice_str(host), 0, now(l) + IPV6_LOST_MS);
		if (++l->send->ipv6_losses >= IPV6_LOSSES)
			recall_put(r, RECALL_IPV6_LOST, SLICE_LIT(""), 0, now(l) + IPV6_LOST_MS);
	}
	if (l->way->port.port == 0 &&
	    !(recall_get(r, RECALL_PORT, route, now(l), &port) && port == l->try.port))
		recall_put(r, RECALL_PORT, route, l->try.port, now(l) + PORT_MS);
}

/* In words what dial remembers: by the same rule, the first of those that got furthest. */
static void note(struct lane *l, enum dial_how how, int code, const char *enhanced, struct slice text)
{
	/* Why it waits says only who may yet have an address. */
	bool for_now = how == DIAL_NO_HOST && enhanced[0] == '4' && l->worst.enhanced[0] == '5';

	if (l->worst.any && (how < l->worst.how || (how == l->worst.how && !for_now)))
		return;
	l->worst.any = true;
	l->worst.how = how;
	l->worst.code = code;
	(void)slice_copy(slice_str(enhanced), l->worst.enhanced, sizeof(l->worst.enhanced));
	snprintf(l->worst.text, sizeof(l->worst.text), "%.*s", SLICE_ARG(text));
}

/* ---- the end ---- */

static void drop_racer(struct lane_racer *r)
{
	conn_close(r->conn);
	r->conn = NULL;
}

/* Those that the engine has given up. */
static void sweep(struct lane *l)
{
	for (size_t i = 0; i < DIAL_ADDRESSES_MAX; i++)
		if (l->racer[i].conn && !dial_is_on(&l->dial, l->racer[i].number))
			drop_racer(&l->racer[i]);
}

void lane_dial_end(struct lane *l)
{
	for (size_t i = 0; i < DIAL_ADDRESSES_MAX; i++)
		drop_racer(&l->racer[i]);
	host_end(&l->look);
	l->looking = false;
}

static enum ipc_lane_end end_of(enum dial_how how)
{
	static const enum ipc_lane_end ends[DIAL_HOWS] = {
		[DIAL_LOOP] = IPC_LANE_DNS,	   [DIAL_NO_HOST] = IPC_LANE_DNS,
		[DIAL_LOCAL] = IPC_LANE_LOCAL,	   [DIAL_UNREACHABLE] = IPC_LANE_UNREACHABLE,
		[DIAL_REFUSED] = IPC_LANE_REFUSED, [DIAL_TIMED_OUT] = IPC_LANE_TIMED_OUT,
		[DIAL_LOST] = IPC_LANE_BROKE,	   [DIAL_SESSION_REFUSED] = IPC_LANE_ANSWERED,
		[DIAL_NO_STARTTLS] = IPC_LANE_TLS, [DIAL_TLS_REFUSED] = IPC_LANE_TLS,
		[DIAL_TLS_FAILED] = IPC_LANE_TLS,  [DIAL_TLS_STALLED] = IPC_LANE_TLS,
		[DIAL_CERTIFICATE] = IPC_LANE_TLS, [DIAL_PASSWORD] = IPC_LANE_AUTH,
	};

	return ends[how];
}

static void nothing_reached(struct lane *l, const struct dial_ask *a)
{
	enum ipc_lane_end end = end_of(a->end.how);

	/* Connected and then silent is another trouble than no connection: see port 25 that is blocked. */
	if (a->end.how == DIAL_TIMED_OUT && l->worst_connected)
		end = IPC_LANE_BROKE;
	if (a->end.how == DIAL_LOCAL && l->unbound)
		end = IPC_LANE_SOURCE;
	/* It has no address of that family: of this site, not of this moment. */
	else if (a->end.how == DIAL_LOCAL && !strcmp(l->worst.enhanced, "4.4.4"))
		end = IPC_LANE_UNREACHABLE;
	remember(l);
	l->try = a->end.try;
	if (a->end.for_good)
		end = IPC_LANE_NOWHERE;
	/* A better host that certainly has no address changes nothing: that we are next is what can be mended
	 * here. */
	if (l->loop.text[0] && (a->end.for_good || a->end.how == DIAL_LOOP))
		lane_fail(l, end, l->loop.enhanced, l->loop.text);
	else
		lane_fail(l, end, l->worst.enhanced, l->worst.text);
}

/* RFC 5321 5.1: none of its preference is tried, nor behind it. */
static void is_us(struct lane *l, size_t host)
{
	mx_loop(l->way->mx, host, &l->loop);
	l->worst = l->worst_before;
	dial_is_us(&l->dial);
}

/* ---- hosts ---- */

/* It is no host to connect to. */
static void tell_host(const struct lane *l, enum dial_how how, const char *text)
{
	struct dial_try t = { .host = (unsigned char)l->looked_at };

	lane_tell_attempt(l, &t, how, NULL, slice_str(text), now(l));
}

const struct ip *lane_source(const struct lane *l, const struct ip *to)
{
	for (unsigned i = 0; i < l->n_sources; i++)
		if (l->source[i].family == to->family)
			return &l->source[i];
	return NULL;
}

static bool fits(const struct lane *l, const struct ip *ip)
{
	return l->n_sources == 0 || ip->family == 0 || lane_source(l, ip);
}

static void host_known(struct lane *l)
{
	struct host_look *h = &l->look;
	char host[256], text[IPC_TEXT_MAX];
	bool ipv6_last, tls = h->policy.starttls;
	size_t n = 0;

	host_name(l->way, l->looked_at, host);
	if (h->is_us) {
		is_us(l, l->looked_at);
		return;
	}
	if (h->n_ips == 0) {
		note(l, DIAL_NO_HOST, 0, h->enhanced, slice_str(h->text));
		tell_host(l, DIAL_NO_HOST, h->text);
		dial_not_found(&l->dial, h->for_good, now(l));
		return;
	}
	for (size_t i = 0; i < h->n_ips; i++)
		if (fits(l, &h->ips[i]))
			h->ips[n++] = h->ips[i];
	if (n == 0) {
		snprintf(text, sizeof(text),
			 "%s has no IPv%u address, and this mail goes out by an IPv%u one", host,
			 l->source[0].family, l->source[0].family);
		note(l, DIAL_LOCAL, 0, "4.4.4", slice_str(text));
		tell_host(l, DIAL_LOCAL, text);
		dial_skip(&l->dial, DIAL_LOCAL);
		return;
	}
	if (h->policy.use != TLS_POLICY_USE) {
		snprintf(text, sizeof(text), "%s: %s", host, h->policy.words);
		note(l, DIAL_CERTIFICATE, 0, h->policy.enhanced, slice_str(text));
		tell_host(l, DIAL_CERTIFICATE, text);
		report_forbidden(l, h->host);
		dial_skip(&l->dial, DIAL_CERTIFICATE);
		return;
	}
	ipv6_last = recall_has(&l->send->recall, RECALL_IPV6_LOST, slice_str(host), now(l)) ||
		    recall_has(&l->send->recall, RECALL_IPV6_LOST, SLICE_LIT(""), now(l));
	dial_found(&l->dial, h->ips, n,
		   !tls		     ? DIAL_TLS_NEVER
		   : h->policy.clear ? DIAL_TLS_MAY
				     : DIAL_TLS_MUST,
		   ipv6_last, now(l));
}

static void on_host(void *arg)
{
	struct lane *l = arg;

	l->looking = false;
	host_known(l);
	lane_run(l);
}

static void look(struct lane *l, size_t host)
{
	struct dial_port *first = &l->dial.setup.ports[0];

	l->looked_at = host;
	l->worst_before = l->worst;
	host_end(&l->look);
	if (host_begin(&l->look, l->way, host, first->port, on_host, l))
		host_known(l);
	else
		l->looking = true;
}

/* ---- connections ---- */

/* Ours is what we lack.  Whatever else stops it, a prohibiting route or a packet filter's word, is the
 * way there. */
static enum dial_how how_of(const struct lane *l, int r)
{
	switch (r) {
	case -ECONNREFUSED:
	case -ENOENT: /* a Unix socket */
	case -ECONNRESET:
		return DIAL_REFUSED;
	case -ETIMEDOUT:
		return DIAL_TIMED_OUT;
	case -EMFILE:
	case -ENFILE:
	case -ENOMEM:
	case -ENOBUFS:
	case -EAGAIN:
		return DIAL_LOCAL;
	case -EADDRNOTAVAIL: /* without a source: a family that this machine has not */
		return l->n_sources > 0 ? DIAL_LOCAL : DIAL_UNREACHABLE;
	case -EACCES:
		return l->mailboxes ? DIAL_LOCAL : DIAL_UNREACHABLE;
	default:
		return DIAL_UNREACHABLE;
	}
}

static void say_where(const struct lane *l, const struct dial_try *t, char *to, size_t size)
{
	char host[256], ip[IP_TEXT_MAX];

	host_name(l->way, t->host, host);
	if (t->ip.family == 0)
		snprintf(to, size, "%s", host);
	else if (l->way->host[t->host].ip.family)
		snprintf(to, size, "%s port %u", host, t->port);
	else
		snprintf(to, size, "%s (%s) port %u", host, ip_format(&t->ip, ip), t->port);
}

/* Where it is one of our own configuration its administrator can do something about it. */
static void say_unconnected(const struct lane *l, const struct dial_try *t, int r, const char *what, char *to,
			    size_t size)
{
	char where[340];

	say_where(l, t, where, sizeof(where));
	if (!l->mailboxes)
		snprintf(to, size, "cannot connect to %s: %s", where, what);
	else if (r == -EACCES)
		snprintf(to, size,
			 "cannot connect: %s: the socket and all folders above it must be open to user id %u",
			 what, (unsigned)geteuid());
	else if (r == -ENOENT || r == -ECONNREFUSED)
		snprintf(to, size, "cannot connect: %s: start the server there, or correct delivery.lmtp",
			 what);
	else
		snprintf(to, size, "cannot connect: %s", what);
}

static void connect_failed(struct lane *l, const struct dial_try *t, int r, const char *what,
			   uint64_t since_ms)
{
	const struct ip *source = lane_source(l, &t->ip);
	char text[IPC_TEXT_MAX], unbound[80 + IP_TEXT_MAX], ip[IP_TEXT_MAX];
	enum dial_how how = how_of(l, r);

	if (r == -EADDRNOTAVAIL && source) {
		l->unbound = true;
		snprintf(unbound, sizeof(unbound), "the source address %s is none of this machine",
			 ip_format(source, ip));
		what = unbound;
	}
	say_unconnected(l, t, r, what, text, sizeof(text));
	note(l, how, 0, how == DIAL_LOCAL && r != -EACCES ? "4.3.0" : "4.4.1", slice_str(text));
	lane_tell_attempt(l, t, how, NULL, slice_str(text), since_ms);
	dial_failed(&l->dial, t->number, how, now(l));
}

static struct lane_racer *free_racer(struct lane *l)
{
	size_t i = 0;

	while (i + 1 < DIAL_ADDRESSES_MAX && l->racer[i].conn)
		i++;
	return &l->racer[i];
}

static void on_racer(struct lane_racer *r, struct conn *c, enum conn_event event)
{
	struct lane *l = r->lane;
	struct dial_try t = r->try;

	if (event == CONN_CONNECTED) {
		dial_connected(&l->dial, r->number, now(l));
	} else if (event == CONN_ERROR) {
		int status = conn_connect_status(c);
		char what[128];

		snprintf(what, sizeof(what), "%s", conn_error(c));
		drop_racer(r);
		connect_failed(l, &t, status, what, r->since_ms);
	}
	lane_run(l);
}

static void on_conn(void *arg, struct conn *c, enum conn_event event)
{
	struct lane_racer *r = arg;

	if (c == r->lane->conn)
		lane_on_conn(r->lane, event);
	else
		on_racer(r, c, event);
}

static void begin_connection(struct lane *l, const struct dial_try *t)
{
	struct lane_racer *r = free_racer(l);
	struct conn_setup setup = { l->send->loop, INPUT_MAX, OUTPUT_MAX, on_conn, r };
	struct endpoint to = { .ip = t->ip, .port = t->port };
	int err;

	if (t->ip.family == 0)
		memcpy(to.path, l->way->host[t->host].path, sizeof(to.path));
	r->lane = l;
	r->try = *t;
	r->number = t->number;
	r->since_ms = now(l);
	l->send->count.tries++;
	err = conn_connect_from(&setup, &to, lane_source(l, &t->ip), &r->conn);
	if (err < 0) {
		r->conn = NULL;
		connect_failed(l, t, err, strerrordesc_np(-err), now(l));
	} else {
		dial_begun(&l->dial, now(l));
	}
}

static void begin_talk(struct lane *l, const struct dial_try *t)
{
	for (size_t i = 0; i < DIAL_ADDRESSES_MAX; i++) {
		struct lane_racer *r = &l->racer[i];

		if (!r->conn || r->number != t->number)
			continue;
		l->conn = r->conn;
		l->conn_since_ms = r->since_ms;
		r->conn = NULL; /* its handler's argument it stays */
	}
	sweep(l);
	l->try = *t;
	l->state = LANE_TALKS;
	if (!lane_talk_begin(l))
		lane_talked(l, DIAL_LOCAL, 0, "4.3.0", SLICE_LIT("out of memory"));
}

void lane_dial_run(struct lane *l)
{
	while (l->state == LANE_DIALS && !l->over) {
		struct dial_ask a = *dial_want(&l->dial);

		sweep(l);
		if (a.want == DIAL_HOST && l->looking)
			return;
		if (a.want == DIAL_HOST)
			look(l, a.host);
		else if (a.want == DIAL_CONNECT)
			begin_connection(l, &a.try);
		else if (a.want == DIAL_TALK)
			begin_talk(l, &a.try);
		else if (a.want == DIAL_END)
			nothing_reached(l, &a);
		else
			return;
	}
}

void lane_dial_tick(struct lane *l)
{
	char text[IPC_TEXT_MAX];

	for (size_t i = 0; i < DIAL_ADDRESSES_MAX; i++) {
		struct lane_racer *r = &l->racer[i];

		if (!r->conn || now(l) < r->since_ms + l->connect_s * UINT64_C(1000))
			continue;
		if (l->mailboxes)
			snprintf(text, sizeof(text), "connecting took too long");
		else
			say_unconnected(l, &r->try, -ETIMEDOUT, "no answer in time", text, sizeof(text));
		note(l, DIAL_TIMED_OUT, 0, "4.4.1", slice_str(text));
		lane_tell_attempt(l, &r->try, DIAL_TIMED_OUT, NULL, slice_str(text), r->since_ms);
	}
	dial_tick(&l->dial, now(l));
	lane_run(l);
}

/* The one that worked last comes first, for an hour. */
size_t send_ports(const struct way *w, struct dial_port ret[static DIAL_PORTS_MAX])
{
	uint32_t worked = 0;
	size_t n = 0;

	if (w->port.port != 0 || w->n_ports == 0) {
		ret[0] = w->port;
		return 1;
	}
	(void)recall_get(&w->send->recall, RECALL_PORT, slice_str(w->route), uv_now(w->send->loop), &worked);
	for (size_t i = 0; i < w->n_ports; i++)
		if (w->ports[i].port == worked)
			ret[n++] = w->ports[i];
	for (size_t i = 0; i < w->n_ports; i++)
		if (w->ports[i].port != worked)
			ret[n++] = w->ports[i];
	return n;
}

void lane_dial_begin(struct lane *l)
{
	struct way *w = l->way;
	struct dial_host hosts[DIAL_HOSTS_MAX];
	struct dial_setup setup = { .hosts = hosts,
				    .n_hosts = w->n_hosts < DIAL_HOSTS_MAX ? w->n_hosts : DIAL_HOSTS_MAX,
				    .strict = w->via == CONF_VIA_SMARTHOST || w->login,
				    .credentials = w->login,
				    .connect_ms = l->connect_s * 1000 };

	setup.n_ports = send_ports(w, setup.ports);
	for (size_t i = 0; i < setup.n_hosts; i++) {
		char host[256];

		hosts[i] = (struct dial_host){
			.preference = w->host[i].preference,
			.failed_lately = recall_has(&l->send->recall, RECALL_FAILED,
						    slice_str(host_name(w, i, host)), now(l)),
		};
	}
	randombytes_buf(&setup.seed, sizeof(setup.seed));
	dial_init(&l->dial, &setup);
	l->state = LANE_DIALS;
}

/* ---- what came of talking ---- */

void lane_talked(struct lane *l, enum dial_how how, int code, const char *enhanced, struct slice text)
{
	char where[340], words[IPC_TEXT_MAX];

	if (how == DIAL_READY) {
		dial_talked(&l->dial, how, now(l));
		l->state = LANE_SENDS;
		remember(l);
		lane_tell_ready(l);
		return;
	}
	say_where(l, &l->try, where, sizeof(where));
	if (l->mailboxes)
		snprintf(words, sizeof(words), "%.*s", SLICE_ARG(text));
	else
		snprintf(words, sizeof(words), "%s: %.*s", where, SLICE_ARG(text));
	if (how == DIAL_TIMED_OUT && !(l->worst.any && how <= l->worst.how))
		l->worst_connected = true;
	note(l, how, code, enhanced, slice_str(words));
	lane_tell_attempt(l, &l->try, how, NULL, slice_str(words), l->conn_since_ms);
	lane_hang_up(l, how != DIAL_TIMED_OUT && how != DIAL_TLS_STALLED);
	l->state = LANE_DIALS;
	if (how == DIAL_LOOP)
		is_us(l, l->try.host);
	else
		dial_talked(&l->dial, how, now(l));
}
