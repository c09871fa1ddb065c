#include "role/queue_relay.h"

#include "base/json_text.h"
#include "queue/describe.h"

static void put(json_t *to, const char *key, uint64_t v)
{
	json_object_set_new(to, key, json_integer((json_int_t)v));
}

static void put_port25(const struct schedule *s, const struct handout *h, json_t *to)
{
	const struct port25 *p = handout_port25(h);
	struct schedule_block block;

	json_object_set_new(to, "port25_blocked", json_boolean(p->blocked));
	if (!p->blocked)
		return;
	schedule_blocked(s, &block);
	json_object_set_new(to, "alarm", json_string(PORT25_TEXT));
	put(to, "blocked_since", p->since_ms);
	put(to, "next_probe", block.probe_ms);
	put(to, "sites_behind", block.sites);
}

/* How a site is doing. */
static json_t *site_json(const struct schedule_site_view *v)
{
	json_t *j = json_object();

	if (!j)
		return NULL;
	json_object_set_new(j, "name", json_text(v->name));
	json_object_set_new(j, "known", json_boolean(v->key != NULL));
	put(j, "messages", v->parts);
	put(j, "ready", v->ready);
	put(j, "active", v->active);
	put(j, "deferred", v->deferred);
	put(j, "lanes", v->lanes);
	put(j, "lanes_limit", v->lanes_limit);
	if (v->blocked)
		json_object_set_new(j, "reason", json_string(PORT25_TEXT));
	else if (v->until_ms > 0)
		json_object_set_new(j, "reason", json_text(v->text));
	if (v->until_ms > 0)
		put(j, "next", v->until_ms);
	if (v->text.n > 0) {
		json_object_set_new(j, "status", json_text(v->status));
		json_object_set_new(j, "last", json_text(v->text));
	}
	return j;
}

/* The server of our mailboxes, as `postern status` shows it. */
static void put_lmtp(const struct schedule *s, const struct ways *ways, uint64_t now_ms, json_t *to)
{
	char text[ENDPOINT_TEXT_MAX];
	struct schedule_site_view v = { 0 };
	json_t *j;

	if (!ways->by_lmtp)
		return;
	schedule_look_destination(s, SLICE_LIT("lmtp"), now_ms, &v);
	j = json_pack("{s:s, s:s, s:I, s:I, s:I}", "protocol", "lmtp", "to",
		      endpoint_format(&ways->lmtp, text), "connections",
		      (json_int_t)ways->conf->delivery_connections, "lanes", (json_int_t)v.lanes, "busy",
		      (json_int_t)(v.active < v.lanes ? v.active : v.lanes));
	if (j && v.until_ms > 0) {
		json_object_set_new(j, "trouble", json_text(v.text));
		put(j, "next_s", v.until_ms > now_ms ? (v.until_ms - now_ms) / 1000 : 0);
	}
	json_object_set_new(to, "site", j);
}

void queue_relay_status(const struct schedule *s, struct handout *h, uint64_t now_ms, json_t *to)
{
	json_t *relay = json_object();
	struct handout_counters out;
	struct schedule_counters c;

	schedule_count(s, &c);
	handout_count(h, &out);
	put(relay, "lanes", c.lanes);
	put(relay, "opening", c.opening);
	put(relay, "opened", out.lanes_opened);
	put(relay, "failures", out.lanes_failed);
	put(relay, "resolving", c.resolving);
	put(relay, "asked", out.resolves);
	put(relay, "destinations", c.destinations);
	put(relay, "sites", c.sites);
	put(relay, "discarded", out.discarded);
	put(relay, "overdue", out.overdue);
	put_port25(s, h, relay);
	json_object_set_new(to, "relay", relay);
	put_lmtp(s, handout_ways(h), now_ms, to);
}

/* ---- queue.relay ---- */

static json_t *texts_json(char *const *texts, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_string(texts[i]));
	return list;
}

/* What the configuration says of the way. */
static json_t *route_json(const struct ways *ways, const struct way *way)
{
	static const char *const via[] = {
		[CONF_VIA_MX] = "mx",	  [CONF_VIA_HOST] = "host",	  [CONF_VIA_SMARTHOST] = "smarthost",
		[CONF_VIA_LMTP] = "lmtp", [CONF_VIA_DISCARD] = "discard", [CONF_VIA_REFUSE] = "refuse"
	};
	const struct conf_route *r = way->route;

	return json_pack("{s:s, s:i, s:s, s:s, s:s, s:o, s:o, s:o}", "name", r->name, "line", (int)r->line,
			 "via", via[r->via], "text", r->text, "source", ways_pool(ways, way), "to",
			 texts_json(r->to, r->n_to), "from", texts_json(r->from, r->n_from), "accounts",
			 texts_json(r->accounts, r->n_accounts));
}

static struct slice get(const struct role_request *req, const char *key)
{
	const char *text = json_string_value(json_object_get(req->json, key));

	return slice_str(text ? text : "");
}

void queue_relay_ask(const struct schedule *s, struct handout *h, struct role_request *req, uint64_t now_ms)
{
	struct envelope e = { .sender = get(req, "sender"),
			      .account_name = get(req, "account"),
			      .relax = json_is_true(json_object_get(req->json, "relax")) };
	struct envelope_rcpt r = { .kind = IPC_TARGET_REMOTE, .address = get(req, "address") };
	json_t *j = json_object();
	struct schedule_site_view v;
	unsigned char room[WAYS_TEXT_MAX];
	struct way way;
	struct buf name;

	put_port25(s, h, j);
	buf_init_in(&name, room, sizeof(room));
	if (r.address.n > 0) {
		if (!ways_name(handout_ways(h), &e, &r, &name)) {
			json_decref(j);
			role_answer_error(req, "not an address, or no route for it", NULL);
			return;
		}
		json_object_set_new(j, "destination", json_text(buf_slice(&name)));
		ways_find(handout_ways(h), buf_slice(&name), &way);
		if (way.route)
			json_object_set_new(j, "route", route_json(handout_ways(h), &way));
		if (schedule_look_destination(s, buf_slice(&name), now_ms, &v))
			json_object_set_new(j, "site", site_json(&v));
	}
	role_answer(req, j, true);
}
