#include "conf/directives.h"

struct check {
	const struct conf *conf;
	const struct conf_lines *lines;
	struct conf_findings *f;
};

static unsigned line(const struct check *c, size_t row, const char *path)
{
	return conf_line(c->lines, c->conf, row, path);
}

/* What would relay for strangers or take passwords in clear is refused, but for the override. */
#define DANGER(c, row, path, ...)                                                                       \
	((c)->conf->insecure_test_network ? conf_warning((c)->f, line((c), (row), (path)), __VA_ARGS__) \
					  : conf_error((c)->f, line((c), (row), (path)), __VA_ARGS__))

#define OVERRIDE " (insecure_test_network allows it, in a closed test network)"

#define QUOTA_ODD (64U << 10) /* octets; less was meant as something else */

/* As many addresses as 16 networks of /8: no one's own network is as large. */
#define RELAY_V4_MAX (UINT64_C(1) << 28)

static void check_relay_from(const struct check *c, size_t row, const struct conf_listener *l)
{
	char text[IP_TEXT_MAX];
	uint64_t covered = 0;
	bool wide = false;

	for (size_t i = 0; i < l->n_relay_from; i++) {
		const struct ip_net *n = &l->relay_from[i];

		if (n->ip.family == 4)
			covered += UINT64_C(1) << (32 - n->bits);
		if (n->bits >= (n->ip.family == 4 ? 8 : 16))
			continue;
		wide = true;
		DANGER(c, row, "relay_from",
		       "listeners.%s.relay_from: %s/%u would relay for strangers; allowed: at most a "
		       "/8 of "
		       "IPv4, a /16 of IPv6" OVERRIDE,
		       l->name, ip_format(&n->ip, text), n->bits);
	}
	if (!wide && covered > RELAY_V4_MAX)
		DANGER(c, row, "relay_from",
		       "listeners.%s.relay_from: all its networks together would relay for "
		       "strangers" OVERRIDE,
		       l->name);
}

/* Whoever may send a PROXY header may say that he is anybody. */
static void check_proxy_from(const struct check *c, size_t row, const struct conf_listener *l)
{
	char text[IP_TEXT_MAX];

	for (size_t i = 0; i < l->n_proxy_from; i++) {
		const struct ip_net *n = &l->proxy_from[i];

		if (n->bits < (n->ip.family == 4 ? 8 : 16))
			DANGER(c, row, "proxy_from",
			       "listeners.%s.proxy_from: %s/%u would let strangers pass for any address; "
			       "allowed: at most a /8 of IPv4, a /16 of IPv6" OVERRIDE,
			       l->name, ip_format(&n->ip, text), n->bits);
	}
}

static void check_relay(const struct check *c, size_t row, const struct conf_listener *l)
{
	if (l->auth)
		conf_error(
			c->f, line(c, row, "auth"),
			"listeners.%s.auth: a relay never offers AUTH; use a listener with role: submission",
			l->name);
	if (l->tls == CONF_TLS_OFF)
		conf_warning(c->f, line(c, row, "tls"),
			     "listeners.%s.tls: without STARTTLS all mail from other servers comes in clear",
			     l->name);
	if (l->tls == CONF_TLS_IMPLICIT)
		conf_warning(
			c->f, line(c, row, "tls"),
			"listeners.%s.tls: other servers do not begin with TLS; only STARTTLS reaches them",
			l->name);
	if (l->wrong_port == CONF_WRONG_PORT_SERVE)
		conf_warning(c->f, line(c, row, "wrong_port"),
			     "listeners.%s.wrong_port: has no effect, a relay always explains", l->name);
	check_relay_from(c, row, l);
}

static void check_submission(const struct check *c, size_t row, const struct conf_listener *l)
{
	if (!l->auth)
		DANGER(c, row, "auth",
		       "listeners.%s.auth: a submission listener without login would relay for "
		       "strangers" OVERRIDE,
		       l->name);
	if (l->tls == CONF_TLS_OFF)
		DANGER(c, row, "tls", "listeners.%s.tls: off would take passwords in clear text" OVERRIDE,
		       l->name);
	else if (!l->tls_required && l->tls == CONF_TLS_STARTTLS)
		DANGER(c, row, "tls_required",
		       "listeners.%s.tls_required: no would take passwords in clear text" OVERRIDE, l->name);
	if (l->n_relay_from > 0)
		conf_error(c->f, line(c, row, "relay_from"),
			   "listeners.%s.relay_from: only on a listener with role: relay; here everybody "
			   "logs in",
			   l->name);
	if (l->tls == CONF_TLS_STARTTLS && l->port == 465 + c->conf->port_offset)
		conf_warning(c->f, line(c, row, "tls"),
			     "listeners.%s.tls: clients begin with TLS on port 465; use tls: implicit",
			     l->name);
}

static void check_listener(const struct check *c, size_t row, const struct conf_listener *l)
{
	if (l->role == CONF_RELAY)
		check_relay(c, row, l);
	else
		check_submission(c, row, l);
	check_proxy_from(c, row, l);
	if (l->tls == CONF_TLS_OFF && l->tls_required)
		conf_error(c->f, line(c, row, "tls_required"),
			   "listeners.%s.tls_required: yes, but tls is off: nobody could send", l->name);
	if (l->tls != CONF_TLS_OFF && l->tls_min < CONF_TLS_1_2)
		conf_warning(c->f, line(c, row, "tls_min"),
			     "listeners.%s.tls_min: TLS before 1.2 is broken; keep it to old devices, on a "
			     "listener of "
			     "their own",
			     l->name);
}

/* The same address and port in an earlier place: of another listener, or of this one. */
static void check_clash(const struct check *c, size_t at, size_t address)
{
	const struct conf_listener *l = &c->conf->listeners[at];
	char text[IP_TEXT_MAX];

	for (size_t i = 0; i <= at; i++) {
		const struct conf_listener *o = &c->conf->listeners[i];

		if (!o->enabled || o->port != l->port || l->port == 0)
			continue;
		for (size_t j = 0; j < (i == at ? address : o->n_addresses); j++) {
			if (!ip_eq(&l->addresses[address], &o->addresses[j]))
				continue;
			ip_format(&l->addresses[address], text);
			if (i == at)
				conf_error(c->f, line(c, at + 1, "addresses"),
					   "listeners.%s.addresses: %s stands there twice", l->name, text);
			else
				conf_error(c->f, line(c, at + 1, "port"),
					   "listeners.%s.port: %s port %u is listeners.%s already", l->name,
					   text, l->port - c->conf->port_offset, o->name);
			return;
		}
	}
}

static void check_listeners(const struct check *c)
{
	bool any = false;

	for (size_t i = 0; i < c->conf->n_listeners; i++) {
		const struct conf_listener *l = &c->conf->listeners[i];

		if (!l->enabled)
			continue;
		any = true;
		if (!c->lines->doubtful[i])
			check_listener(c, i + 1, l);
		for (size_t a = 0; a < l->n_addresses; a++)
			check_clash(c, i, a);
	}
	if (!any)
		conf_warning(c->f, 0, "listeners: none is enabled; no mail comes in by the network");
}

static bool wrong_already(const struct check *c, unsigned at)
{
	for (const struct conf_finding *f = c->f->first; f; f = f->next)
		if (f->error && f->line == at && at > 0)
			return true;
	return false;
}

static void check_names(const struct check *c)
{
	const struct conf *conf = c->conf;

	if (!strchr(conf->hostname, '.') && !wrong_already(c, line(c, 0, "hostname")))
		conf_warning(c->f, line(c, 0, "hostname"),
			     "hostname: '%s'%s is no full name; other servers may refuse it%s",
			     conf->hostname, line(c, 0, "hostname") ? "" : ", as the system calls itself,",
			     line(c, 0, "hostname") ? "" : ": set hostname");
	if (!conf->postmaster[0] && !wrong_already(c, line(c, 0, "postmaster")))
		conf_warning(
			c->f, line(c, 0, "postmaster"),
			"postmaster: no address; mail for postmaster and abuse of a domain that has no such "
			"account waits in _postmaster/DOMAIN below mailboxes.dir, where nobody may look");
	if (strlen(conf->runtime_dir) > 90)
		conf_error(c->f, line(c, 0, "state_dir"),
			   "runtime_dir: '%.120s' is too long for the name of a socket; set runtime_dir",
			   conf->runtime_dir);
	if (conf->recipient_delimiter[0] && !strchr("+-=_.#~", conf->recipient_delimiter[0]))
		conf_error(c->f, line(c, 0, "recipient_delimiter"),
			   "recipient_delimiter: '%s' cannot be one; allowed: one of + - = _ . # ~, or \"\"",
			   conf->recipient_delimiter);
}

static void check_delivery(const struct check *c)
{
	const struct conf *conf = c->conf;

	if (conf->delivery_by == CONF_BY_LMTP && !conf->delivery_lmtp[0] &&
	    !wrong_already(c, line(c, 0, "delivery.lmtp")))
		conf_error(c->f, line(c, 0, "delivery.by"),
			   "delivery.by: lmtp, but delivery.lmtp does not say where; set it to "
			   "unix:/run/dovecot/lmtp or 127.0.0.1:24");
	if (conf->delivery_by == CONF_BY_MAILDIR && conf->delivery_lmtp[0] &&
	    !wrong_already(c, line(c, 0, "delivery.by")))
		conf_warning(c->f, line(c, 0, "delivery.lmtp"),
			     "delivery.lmtp: has no effect while delivery.by is maildir; set by: lmtp");
	if (conf->mail_quota > 0 && conf->mail_quota < QUOTA_ODD)
		conf_warning(c->f, line(c, 0, "mailboxes.quota"),
			     "mailboxes.quota: %llu octets hold hardly a message; write a unit, such as 2G",
			     (unsigned long long)conf->mail_quota);
}

bool conf_dns_server(struct slice text, struct endpoint *ret)
{
	struct endpoint e = { .port = CONF_DNS_PORT };

	if (!ip_parse(text, &e.ip) && (!endpoint_parse(text, &e) || e.path[0]))
		return false;
	*ret = e;
	return true;
}

static void check_dns(const struct check *c)
{
	const struct conf *conf = c->conf;
	struct endpoint e;

	for (size_t i = 0; i < conf->n_dns_servers; i++)
		if (!conf_dns_server(slice_str(conf->dns_servers[i]), &e))
			conf_error(c->f, line(c, 0, "dns.servers"),
				   "dns.servers: '%s' is no address; 192.0.2.53 and 127.0.0.1:5353 are",
				   conf->dns_servers[i]);
	if (conf->n_dns_servers > 0 && conf->dns_recursion != CONF_RECURSION_AUTO)
		conf_warning(c->f, line(c, 0, "dns.recursion"),
			     "dns.recursion: has no effect, dns.servers are asked");
}

void conf_check(const struct conf *conf, const struct conf_lines *lines, struct conf_findings *f)
{
	const struct check c = { .conf = conf, .lines = lines, .f = f };

	check_names(&c);
	check_listeners(&c);
	check_delivery(&c);
	check_dns(&c);
	conf_check_routes(conf, f);
	if (conf->guess_lock_max_s < conf->guess_lock_s)
		conf_error(f, line(&c, 0, "guessing.lock_max"),
			   "guessing.lock_max: is less than guessing.lock, where it begins");
	if (conf->spool_body_memory > conf->spool_memory)
		conf_error(f, line(&c, 0, "spool.body_memory"),
			   "spool.body_memory: is more than spool.memory");
	if (conf->insecure_test_network)
		conf_warning(f, line(&c, 0, "insecure_test_network"),
			     "insecure_test_network: yes; never where the Internet can reach it");
}
