#include "queue/lanes.h"

#include <stdlib.h>

int lanes_init(struct lanes *l, struct carrier *carriers)
{
	*l = (struct lanes){ .carriers = carriers };
	return map_init(&l->all);
}

void lanes_done(struct lanes *l)
{
	struct map_node *node;

	while (l->all.bucket && (node = map_take_any(&l->all)))
		free(container_of(node, struct lane, node));
	map_done(&l->all);
}

unsigned lanes_best_carrier(const struct lanes *l)
{
	unsigned best = LANES_CARRIERS;

	for (unsigned i = 0; i < LANES_CARRIERS; i++)
		if (carrier_has_room(&l->carriers[i]) && l->each[i] < LANES_EACH &&
		    (best == LANES_CARRIERS || l->each[i] < l->each[best]))
			best = i;
	return best;
}

static void say_open(struct lanes *l, const struct lane *lane, const struct schedule_lane *what,
		     const struct way *way, const struct ways *ways)
{
	const struct conf *conf = ways->conf;
	char endpoint[ENDPOINT_TEXT_MAX];
	struct ipc_message m = { .type = IPC_TYPE_lane_open, .lane_open = { .lane = lane->number } };
	struct ipc_lane_open *o = &m.lane_open;

	if (lane->way == CARRIER_LMTP) {
		o->protocol = IPC_LANE_LMTP;
		o->endpoint = slice_str(endpoint_format(&ways->lmtp, endpoint));
		o->connect_s = conf->delivery_connect_s;
		o->command_s = conf->delivery_command_s;
		o->final_s = conf->delivery_final_s;
	} else {
		o->protocol = way->route->via == CONF_VIA_LMTP ? IPC_LANE_LMTP : IPC_LANE_SMTP;
		o->connect_s = conf->relay_connect_s;
		o->command_s = conf->relay_command_s;
		o->final_s = conf->relay_final_s;
		o->route = slice_str(way->route->name);
		o->domain = way->domain;
		o->relax = way->relax;
		o->key = slice_of(what->key, SCHEDULE_KEY);
		o->source = what->source;
		o->helo = way->route->helo[0] ? slice_str(way->route->helo) : what->helo;
	}
	channel_send(l->carriers[lane->carrier].ch, &m, -1);
}

struct lane *lanes_open(struct lanes *l, unsigned carrier, const struct schedule_lane *what,
			const struct way *way, const struct ways *ways)
{
	struct lane *lane = calloc(1, sizeof(*lane));

	if (!lane)
		return NULL;
	lane->number = what->number;
	lane->carrier = carrier;
	lane->way = way->kind == WAY_LMTP ? CARRIER_LMTP : CARRIER_RELAY;
	lane->needs_25 = way->needs_25;
	lane->probe = what->probe;
	list_init(&lane->jobs);
	slice_copy(what->destination, lane->destination, sizeof(lane->destination));
	slice_copy(what->site, lane->site, sizeof(lane->site));
	slice_copy(what->source, lane->source, sizeof(lane->source));
	map_insert(&l->all, &lane->node, slice_of(&lane->number, sizeof(lane->number)));
	l->each[carrier]++;
	l->opened++;
	say_open(l, lane, what, way, ways);
	return lane;
}

struct lane *lanes_find(const struct lanes *l, uint64_t number)
{
	struct map_node *node = map_find(&l->all, slice_of(&number, sizeof(number)));

	return node ? container_of(node, struct lane, node) : NULL;
}

bool lanes_ip(struct slice octets, struct ip *ret)
{
	struct ip ip = { .family = octets.n == 4 ? 4 : octets.n == 16 ? 6 : 0 };

	if (octets.n != 0 && ip.family == 0)
		return false;
	if (octets.n > 0)
		memcpy(ip.byte, octets.p, octets.n);
	*ret = ip;
	return true;
}

void lanes_ready(struct lane *lane, const struct ipc_lane_ready *m)
{
	lane->ready = true;
	slice_copy(m->host, lane->host, sizeof(lane->host));
	slice_copy(m->tls, lane->tls, sizeof(lane->tls));
	lanes_ip(m->ip, &lane->ip);
	lane->port = m->port;
	lane->security = m->security;
	lane->fell_back = m->fell_back;
}

void lanes_close(struct lanes *l, struct lane *lane)
{
	struct ipc_message m = { .type = IPC_TYPE_lane_close, .lane_close = { .lane = lane->number } };

	if (lane->closing)
		return;
	lane->closing = true;
	channel_send(l->carriers[lane->carrier].ch, &m, -1);
}

void lanes_forget(struct lanes *l, struct lane *lane)
{
	struct list *at, *after;

	LIST_EACH (&lane->jobs, at, after)
		list_remove(at);
	map_remove(&l->all, &lane->node);
	l->each[lane->carrier]--;
	free(lane);
}

struct lane *lanes_any_of(const struct lanes *l, unsigned carrier)
{
	struct map_node *node = NULL;

	if (l->each[carrier] == 0)
		return NULL;
	while ((node = map_next(&l->all, node))) {
		struct lane *lane = container_of(node, struct lane, node);

		if (lane->carrier == carrier)
			return lane;
	}
	return NULL;
}

const char *lanes_security(uint8_t security)
{
	static const char *const names[] = { [IPC_SECURITY_CLEAR] = "clear",
					     [IPC_SECURITY_ENCRYPTED] = "encrypted",
					     [IPC_SECURITY_VERIFIED] = "verified",
					     [IPC_SECURITY_DANE] = "dane" };

	return security < sizeof(names) / sizeof(names[0]) ? names[security] : "unknown";
}
