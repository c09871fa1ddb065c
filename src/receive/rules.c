#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "receive/listener.h"
#include "smtp/advice.h"

/* The Unix socket has no block of its own in the configuration but for its
 * limits on messages: its users are this machine's. */
#define LOCAL_SESSIONS		500
#define LOCAL_SESSIONS_PER_USER 50
#define LOCAL_TIMEOUT_S		300
#define LOCAL_SESSION_S		3600

/* Where to go instead of this listener: never to where the client already is. */
static void write_advice(const struct conf *conf, const struct conf_listener *here, struct buf *to)
{
	struct conf_submission_port from[16];
	struct smtp_advice_port ports[16];
	size_t n = conf_submission_ports(conf, from, sizeof(from) / sizeof(from[0]));
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		if (!here || from[i].port != here->port)
			ports[kept++] = (struct smtp_advice_port){ from[i].port, from[i].implicit_tls };
	smtp_advice_where(ports, kept, to);
}

static void fill_limits(struct rules *r, const struct conf *conf)
{
	r->ipv4_network = conf->ipv4_network;
	r->ipv6_network = conf->ipv6_network;
	r->limit_period_s = conf->limit_period_s;
	r->account_messages = conf->account_messages;
	r->account_recipients = conf->account_recipients;
	r->uid_messages = conf->uid_messages;
	r->uid_recipients = conf->uid_recipients;
	r->owner_messages = conf->owner_messages;
	r->owner_recipients = conf->owner_recipients;
}

static void fill_local(struct rules *r, const struct conf *conf)
{
	r->role = SMTP_LOCAL;
	r->kind = WRONG_PORT_RELAY;
	r->command_timeout_s = r->data_timeout_s = LOCAL_TIMEOUT_S;
	r->session_timeout_s = LOCAL_SESSION_S;
	r->max_sessions = LOCAL_SESSIONS;
	r->max_sessions_per_ip = LOCAL_SESSIONS_PER_USER;
	r->engine.bare = SMTP_BARE_FIX; /* scripts end lines as Unix does */
	r->engine.max_size = conf->local_max_size;
	r->engine.max_recipients = conf->local_max_recipients;
	r->engine.max_hold_s = conf->local_max_hold_s;
	r->engine.priorities = true;
	r->class = (uint8_t)conf->local_class;
	r->engine.max_errors = 20;
	r->engine.max_commands = 100;
	r->engine.max_transactions = 1000;
}

static bool copy_networks(const struct ip_net *from, size_t n, struct ip_net **ret, size_t *ret_n)
{
	struct ip_net *copy;

	if (n == 0)
		return true;
	copy = calloc(n, sizeof(*copy));
	if (!copy)
		return false;
	memcpy(copy, from, n * sizeof(*copy));
	*ret = copy;
	*ret_n = n;
	return true;
}

static bool fill_listener(struct rules *r, const struct conf *conf, const struct conf_listener *l)
{
	r->port = l->port;
	r->role = l->role == CONF_RELAY ? SMTP_RELAY : SMTP_SUBMISSION;
	r->kind = l->tls == CONF_TLS_IMPLICIT ? WRONG_PORT_IMPLICIT
		  : l->role == CONF_RELAY     ? WRONG_PORT_RELAY
					      : WRONG_PORT_STARTTLS;
	r->serve = l->wrong_port == CONF_WRONG_PORT_SERVE;
	r->trust_all = l->role == CONF_SUBMISSION && !l->auth && conf->insecure_test_network;
	r->hold_ms = l->tls == CONF_TLS_OFF ? 0 : l->greeting_hold_ms;
	r->tls_timeout_s = l->tls_timeout_s;
	r->proxy_timeout_s = l->proxy_timeout_s;
	r->min_data_rate = l->min_data_rate;
	r->command_timeout_s = l->command_timeout_s;
	r->data_timeout_s = l->data_timeout_s;
	r->session_timeout_s = l->session_timeout_s;
	r->tls_min = l->tls_min;
	r->max_sessions = l->max_sessions;
	r->max_sessions_per_ip = l->max_sessions_per_ip;
	r->max_sessions_per_network = l->max_sessions_per_network;
	r->max_rate_per_ip = l->max_rate_per_ip;
	r->max_rate_per_network = l->max_rate_per_network;
	r->engine.starttls = l->tls == CONF_TLS_STARTTLS;
	r->engine.tls_required = l->tls_required && l->tls != CONF_TLS_IMPLICIT;
	r->engine.auth = l->auth;
	r->engine.bare = l->bare_line_ends == CONF_BARE_FIX ? SMTP_BARE_FIX : SMTP_BARE_REFUSE;
	r->engine.max_size = l->max_size;
	r->engine.max_recipients = l->max_recipients;
	r->engine.max_errors = l->max_errors;
	r->engine.max_commands = l->max_commands;
	r->engine.max_transactions = l->max_transactions;
	r->class = (uint8_t)l->class;
	if (l->role == CONF_SUBMISSION) {
		r->engine.max_hold_s = l->max_hold_s;
		r->engine.priorities = true;
	}
	return copy_networks(conf->exempt_networks, conf->n_exempt_networks, &r->exempt, &r->n_exempt) &&
	       copy_networks(l->relay_from, l->n_relay_from, &r->relay_from, &r->n_relay_from) &&
	       copy_networks(l->proxy_from, l->n_proxy_from, &r->proxy_from, &r->n_proxy_from);
}

int rules_new(const struct conf *conf, struct slice name, struct slice mechs, struct slice mechs_tls,
	      struct rules **ret)
{
	const struct conf_listener *l = conf_listener(conf, name);
	bool local = slice_eq(name, SLICE_LIT(LISTENER_LOCAL));
	struct rules *r;

	if (local ? !conf->local_socket : !l || !l->enabled)
		return -ENOENT;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->refs = 1;
	r->max_hops = conf->max_hops;
	buf_init(&r->advice, 1024);
	buf_init(&r->hostname, 256);
	buf_init(&r->mechs, 256);
	buf_init(&r->mechs_tls, 256);
	write_advice(conf, l, &r->advice);
	buf_str(&r->hostname, conf->hostname);
	buf_put(&r->mechs, mechs);
	buf_put(&r->mechs_tls, mechs_tls);
	fill_limits(r, conf);
	if (local)
		fill_local(r, conf);
	if (!slice_copy(name, r->name, sizeof(r->name)) || (!local && !fill_listener(r, conf, l)) ||
	    !buf_ok(&r->advice) || !buf_ok(&r->hostname) || !buf_ok(&r->mechs) || !buf_ok(&r->mechs_tls)) {
		rules_unref(r);
		return -ENOMEM;
	}
	r->engine.role = r->role;
	r->engine.advice = buf_slice(&r->advice);
	r->engine.hostname = buf_slice(&r->hostname);
	r->engine.mechs = buf_slice(&r->mechs);
	r->engine.mechs_tls = buf_slice(&r->mechs_tls);
	*ret = r;
	return 0;
}

struct rules *rules_ref(struct rules *r)
{
	r->refs++;
	return r;
}

void rules_unref(struct rules *r)
{
	if (!r || --r->refs > 0)
		return;
	buf_done(&r->advice);
	buf_done(&r->hostname);
	buf_done(&r->mechs);
	buf_done(&r->mechs_tls);
	free(r->relay_from);
	free(r->proxy_from);
	free(r->exempt);
	free(r);
}

static const struct ip_net *find_network(const struct ip_net *nets, size_t n, const struct ip *ip)
{
	for (size_t i = 0; i < n; i++)
		if (ip_net_has(&nets[i], ip))
			return &nets[i];
	return NULL;
}

bool rules_trust(const struct rules *r, const struct ip *ip)
{
	return r->trust_all || find_network(r->relay_from, r->n_relay_from, ip);
}

const struct ip_net *rules_proxy(const struct rules *r, const struct ip *ip)
{
	return find_network(r->proxy_from, r->n_proxy_from, ip);
}
