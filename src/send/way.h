/* way.h - where mail for a destination goes: the hosts of a route and domain, what is known of
 * their safety before anybody is connected to, and the site that they are.
 *
 * A way is asked for once and kept for as long as the DNS lets it; lanes hold a reference to
 * the one that they began with.  Everything of the configuration that it needs is its own, so
 * it outlives a reload.  The hosts' addresses and TLSA records are looked up as each host is
 * tried: see host.h.
 */
#ifndef POSTERN_SEND_WAY_H
#define POSTERN_SEND_WAY_H

#include "base/endpoint.h"
#include "base/list.h"
#include "base/map.h"
#include "conf/conf.h"
#include "ipc/message.h"
#include "route/dial.h"
#include "route/mx.h"

#define WAYS_MAX	     2000 /* kept */
#define WAY_FINGERPRINTS_MAX 16

struct send;
struct resolve_query;

enum way_state { WAY_ASKING, WAY_OK, WAY_PERMANENT, WAY_TEMPORARY };

struct way_host {
	struct dns_name name; /* "" where it is an address or a path */
	struct ip ip;	      /* family 0 where it is not */
	char path[ENDPOINT_PATH_MAX + 1];
	uint16_t preference;
	bool sts_listed; /* as struct tls_policy_facts wants it */
};

struct way {
	struct send *send;
	struct map_node node;
	struct list link; /* of those kept */
	struct list waiters;
	unsigned refs;
	bool kept, relax;
	enum way_state state;
	uint64_t until_ms;
	char route[65], domain[256];
	unsigned char map_key[65 + 256 + 2];

	/* Of the route. */
	int via, tls, mechanism; /* enum conf_via, conf_route_tls, conf_mechanism */
	bool named;		 /* its hosts are the configuration's, not MX's */
	bool login;
	struct dial_port port; /* port 0: one of these, in turn */
	struct dial_port ports[DIAL_PORTS_MAX];
	size_t n_ports;
	char *user, *helo, *source;
	unsigned char fingerprints[WAY_FINGERPRINTS_MAX][32];
	size_t n_fingerprints;

	/* What was found. */
	struct mx *mx; /* NULL where named */
	struct resolve_query *query;
	struct sts_ask *sts_ask;
	int sts; /* enum tls_policy_sts */
	struct way_host *host;
	size_t n_hosts;
	uint32_t ttl_s;
	unsigned char key[IPC_SITE_KEY];
	char site[256];
	char enhanced[16], text[IPC_TEXT_MAX];
};

struct way_waiter {
	struct list link;
	void (*done)(void *arg, struct way *w); /* the state is no longer ASKING */
	void *arg;
};

/* With a reference for the caller; NULL: out of memory.  It may be asking still: then way_wait(). */
struct way *way_get(struct send *s, struct slice route, struct slice domain, bool relax);
/* To the one endpoint of the configuration's LMTP server; never kept. */
struct way *way_to_endpoint(struct send *s, const struct endpoint *to);
void way_wait(struct way *w, struct way_waiter *waiter); /* list_remove(&waiter->link) forgets it */
void way_put(struct way *w);				 /* NULL is fine */
void way_forget_all(struct send *s);			 /* the configuration is another */

#endif
