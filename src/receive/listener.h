/* listener.h - one listener of the configuration in this process: its sockets, its
 * rules, its counters, the sessions that came through it.
 *
 * It has several sockets (one an address), which main binds and passes.  Its rules
 * are a snapshot of the configuration that sessions share: those that began before a
 * reload keep theirs.  Limits hold for the whole server (receive/session_limits.c).
 */
#ifndef POSTERN_RECEIVE_LISTENER_H
#define POSTERN_RECEIVE_LISTENER_H

#include <uv.h>

#include "base/list.h"
#include "conf/conf.h"
#include "receive/counters.h"
#include "receive/ip_count.h"
#include "receive/known.h"
#include "receive/wrong_port.h"
#include "smtp/server.h"

struct receive;

/* What a session needs of the configuration. */
struct rules {
	unsigned refs;
	char name[64 + 1];
	uint16_t port;
	enum smtp_role role;
	enum wrong_port_kind kind;
	bool serve;	/* wrong_port = serve */
	bool trust_all; /* open to anywhere by the override for test networks */
	unsigned hold_ms, tls_timeout_s, command_timeout_s, data_timeout_s, session_timeout_s;
	unsigned proxy_timeout_s, min_data_rate; /* octets a second */
	enum conf_tls_min tls_min;
	uint32_t max_sessions, max_sessions_per_ip, max_sessions_per_network;
	uint32_t max_rate_per_ip, max_rate_per_network; /* a minute */
	uint8_t ipv4_network, ipv6_network;
	struct ip_net *exempt;
	size_t n_exempt;
	unsigned limit_period_s;
	uint32_t account_messages, account_recipients, uid_messages, uid_recipients, owner_messages,
		owner_recipients;
	unsigned max_hops;
	uint8_t class; /* enum ipc_class */
	struct ip_net *relay_from;
	size_t n_relay_from;
	struct ip_net *proxy_from;
	size_t n_proxy_from;
	struct buf advice, hostname, mechs, mechs_tls; /* what engine points at */
	struct smtp_server_setup engine;
};

/* -ENOENT: the configuration does not have that listener; -ENOMEM.  name
 * LISTENER_LOCAL: the Unix socket.  mechs: what AUTH offers, "PLAIN LOGIN"; mechs_tls:
 * and over TLS with channel binding. */
#define LISTENER_LOCAL "@local" /* as main calls it; no name of the configuration begins so */
int rules_new(const struct conf *conf, struct slice name, struct slice mechs, struct slice mechs_tls,
	      struct rules **ret);
struct rules *rules_ref(struct rules *r);
void rules_unref(struct rules *r); /* NULL is fine */
bool rules_trust(const struct rules *r, const struct ip *ip);
/* The network of proxy_from that the address is in; NULL: it is no proxy. */
const struct ip_net *rules_proxy(const struct rules *r, const struct ip *ip);

struct listener {
	struct list link; /* of receive's listeners */
	struct receive *rx;
	char name[64 + 1];
	struct rules *rules; /* for sessions to come; NULL: the configuration has it no more */
	struct list sockets;
	struct list sessions;
	uint32_t n_sessions;
	struct known known;
	struct ip_count by_ip;
	struct counters count;
	uint64_t accept_logged_ms;
	unsigned pressed; /* how nearly full it was when somebody came last, see session_time.c */
	uint64_t pressed_ms, pressed_logged_ms;
	uint64_t proxy_logged_ms, proxy_unlogged; /* what is wrong with PROXY headers is said now and then */
};

int listener_new(struct receive *rx, struct slice name, struct listener **ret);
/* Only without sockets and sessions. */
void listener_free(struct listener *l);

/* Takes the descriptor over; address and port are what unlisten will name. */
int listener_add(struct listener *l, int fd, struct slice address, uint16_t port);
/* False if there is no such socket. */
bool listener_remove(struct listener *l, struct slice address, uint16_t port);
void listener_remove_all(struct listener *l);
/* For a session there is no memory or no descriptor, and whoever came is told as much.  On
 * an implicit TLS port such words mean nothing, and are not said. */
void listener_sorry(const struct listener *l, int fd);
json_t *listener_json(const struct listener *l);

#endif
