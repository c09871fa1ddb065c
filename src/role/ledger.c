/* The ledger: what may be lost without losing mail.  Writes in batches, once a
 * second or when a batch is full; nobody waits for it. */
#include <errno.h>
#include <time.h>

#include "base/log.h"
#include "base/turn.h"
#include "history/mishaps.h"
#include "history/remedy.h"
#include "ipc/event.h"
#include "role/ledger_events.h"
#include "role/ledger_limits.h"
#include "role/ledger_tls.h"
#include "role/role.h"

#define FLUSH_MS     1000
#define LEAVE_MS     50
#define ROWS_MAX     100000
#define LIST_DEFAULT 100
#define LIST_MAX     1000
#define PART_ROWS    10	    /* with long names still far below IPC_CHUNK_MAX */
#define COMPLAIN_S   60	    /* a disk that fails is logged no more often */
#define ROOM_MIN     131072 /* of the way back, before another part is made */

static struct {
	struct mishaps *mishaps; /* NULL: the database could not be opened */
	struct claims *claims;
	struct ledger_events *events;
	uv_timer_t flush;
	bool flush_set;
	uint64_t received, refused, unstored;
	int64_t complained;
} self;

static int64_t now(void)
{
	return (int64_t)time(NULL);
}

static int ledger_open(struct role *r)
{
	char path[4096], why[256];
	bool aside;
	int err;

	err = claims_new(&self.claims);
	if (err == 0)
		err = ledger_events_new(r, &self.events);
	if (err < 0) {
		LOG(LOG_ERR, "start-failed", LOG_ERRNO(err));
		return err;
	}
	ledger_tls_open(r);
	snprintf(path, sizeof(path), "%s/ledger/mishaps.db", r->conf->state_dir);
	err = mishaps_open(path, ROWS_MAX, &self.mishaps, &aside, why, sizeof(why));
	/* No reason to stay away: the counters still work, and mail never waits for this. */
	if (err < 0)
		LOG(LOG_ERR, "ledger-unusable", LOG_STR("path", path), LOG_STR("why", why), LOG_ERRNO(err));
	else if (aside)
		LOG(LOG_ERR, "history-set-aside", LOG_STR("path", path),
		    LOG_STR("why", "the file was damaged; who came to a wrong port is not known any more"));
	return 0;
}

static int ledger_start(struct role *r)
{
	int err = uv_timer_init(r->loop, &self.flush);

	if (err == 0)
		err = ledger_tls_start(r);
	return err < 0 ? err : ledger_events_start(self.events);
}

static void flush(void)
{
	int err = self.mishaps ? mishaps_flush(self.mishaps) : 0;

	if (err < 0 && now() - self.complained >= COMPLAIN_S) {
		self.complained = now();
		LOG(LOG_ERR, "ledger-write-failed", LOG_ERRNO(err));
	}
}

static void on_flush(uv_timer_t *t)
{
	const char *before = turn_doing("writing the ledger");

	(void)t;
	self.flush_set = false;
	flush();
	turn_doing(before);
}

static bool ip_of(struct slice bytes, struct ip *ret)
{
	*ret = (struct ip){ .family = bytes.n == 4 ? 4 : bytes.n == 16 ? 6 : 0 };
	if (ret->family == 0)
		return bytes.n == 0;
	memcpy(ret->byte, bytes.p, bytes.n);
	return true;
}

/* The same as an event, for those who follow. */
static void tell_mishap(const struct mishap *what)
{
	struct event_sink *e = ledger_events_sink(self.events);
	char ip[IP_TEXT_MAX];

	event_begin(e, EVENT_WRONG_PORT, ledger_events_now_ms(), SLICE_LIT(""), EVENT_NO_RECIPIENT);
	event_text(e, EVENT_KEY_WHAT, slice_str(ipc_mishap_name(what->kind)));
	event_text(e, EVENT_KEY_LISTENER, what->listener);
	event_number(e, EVENT_KEY_PORT, what->port);
	event_text(e, EVENT_KEY_IP, slice_str(ip_format(&what->ip, ip)));
	event_text(e, EVENT_KEY_ACCOUNT, what->account);
	event_text(e, EVENT_KEY_HELO, what->helo);
	event_number(e, EVENT_KEY_SERVED, what->served);
	ledger_events_tell(self.events);
}

static bool tell_limit(void *arg, const struct claims_row *row)
{
	struct event_sink *e = ledger_events_sink(self.events);
	bool of_account = row->kind == LIMIT_ACCOUNT_MESSAGES || row->kind == LIMIT_ACCOUNT_RECIPIENTS;
	bool of_uid = row->kind == LIMIT_UID_MESSAGES || row->kind == LIMIT_UID_RECIPIENTS;
	bool of_owner = row->kind == LIMIT_OWNER_MESSAGES || row->kind == LIMIT_OWNER_RECIPIENTS;

	(void)arg;
	event_begin(e, EVENT_LIMIT, ledger_events_now_ms(), SLICE_LIT(""), EVENT_NO_RECIPIENT);
	event_text(e, EVENT_KEY_WHAT, slice_str(limit_kind_name(row->kind)));
	event_text(e, EVENT_KEY_LISTENER, row->listener);
	event_text(e,
		   of_account ? EVENT_KEY_ACCOUNT
		   : of_uid   ? EVENT_KEY_UID
		   : of_owner ? EVENT_KEY_OWNER
			      : EVENT_KEY_IP,
		   row->who);
	event_number(e, EVENT_KEY_COUNT, row->use);
	event_number(e, EVENT_KEY_MAX, row->limit);
	ledger_events_tell(self.events);
	return true;
}

static void ledger_message(struct role *r, enum ipc_role who, unsigned index, const struct ipc_message *m,
			   int *fd)
{
	const char *broken;
	struct mishap what;

	(void)fd;
	if (who == IPC_SMTP && ledger_tls_is_for(m)) {
		broken = ledger_tls_message(r, index, m);
		if (broken)
			role_peer_broken(r, who, index, broken);
		return;
	}
	if (who == IPC_SMTP && m->type == IPC_TYPE_claim) {
		ledger_claim(r, self.claims, index, &m->claim);
		claims_met(self.claims, uv_now(r->loop), tell_limit, NULL);
		return;
	}
	if ((who == IPC_SMTP || who == IPC_QUEUE) && m->type == IPC_TYPE_event && event_is_sound(&m->event)) {
		ledger_events_add(self.events, &m->event);
		return;
	}
	if (who != IPC_SMTP || m->type != IPC_TYPE_mishap || m->mishap.kind == 0 ||
	    m->mishap.kind >= IPC_MISHAP_KINDS || !ip_of(m->mishap.ip, &what.ip)) {
		self.refused++;
		role_peer_broken(r, who, index, "no mishap, claim or event");
		return;
	}
	self.received++;
	what.kind = m->mishap.kind;
	what.port = m->mishap.port;
	what.served = m->mishap.served != 0;
	what.listener = m->mishap.listener;
	what.account = m->mishap.account;
	what.helo = m->mishap.helo;
	tell_mishap(&what);
	if (!self.mishaps) {
		self.unstored++;
		return;
	}
	if (mishaps_add(self.mishaps, &what, now())) {
		flush();
	} else if (!self.flush_set) {
		self.flush_set = true;
		uv_timer_start(&self.flush, on_flush, FLUSH_MS, 0);
	}
}

/* ---- clients.list ---- */

struct listing {
	struct role_request *req;
	struct remedy_ports ports;
	json_t *rows; /* of the part under way */
	bool cut;
	bool failed;
};

static struct remedy_ports ports_of(const struct conf *conf)
{
	struct remedy_ports ports = { 0 };

	for (size_t i = 0; i < conf->n_listeners; i++) {
		const struct conf_listener *l = &conf->listeners[i];

		if (!l->enabled || l->role != CONF_SUBMISSION)
			continue;
		if (l->tls == CONF_TLS_STARTTLS && !ports.starttls)
			ports.starttls = l->port;
		if (l->tls == CONF_TLS_IMPLICIT && !ports.implicit)
			ports.implicit = l->port;
	}
	return ports;
}

static json_t *json_of(struct slice s)
{
	return json_stringn(s.n > 0 ? (const char *)s.p : "", s.n);
}

static json_t *json_of_row(const struct mishap_row *row, const struct remedy_ports *ports)
{
	const struct mishap *w = &row->what;
	char ip[IP_TEXT_MAX];
	struct buf what, advice;
	json_t *j;

	buf_init(&what, 512);
	buf_init(&advice, 1024);
	remedy_what(w->kind, w->port, &what);
	remedy_advice(w->kind, w->port, ports, &advice);
	j = json_pack("{s:s, s:o, s:i, s:s, s:o, s:o, s:b, s:I, s:I, s:I, s:o, s:o}", "kind",
		      ipc_mishap_name(w->kind), "listener", json_of(w->listener), "port", (int)w->port, "ip",
		      ip_format(&w->ip, ip), "account", json_of(w->account), "helo", json_of(w->helo),
		      "served", (int)w->served, "count", (json_int_t)row->count, "first",
		      (json_int_t)row->first, "last", (json_int_t)row->last, "what",
		      json_of(buf_slice(&what)), "advice", json_of(buf_slice(&advice)));
	buf_done(&what);
	buf_done(&advice);
	return j;
}

static void send_part(struct listing *l)
{
	role_answer(l->req, json_pack("{s:o}", "clients", l->rows), false);
	l->rows = NULL;
}

static bool list_one(void *arg, const struct mishap_row *row)
{
	struct listing *l = arg;

	if (!l->rows)
		l->rows = json_array();
	if (!l->rows || json_array_append_new(l->rows, json_of_row(row, &l->ports)) < 0) {
		l->failed = true;
		return false;
	}
	if (json_array_size(l->rows) < PART_ROWS)
		return true;
	send_part(l);
	l->cut = role_answer_room(l->req) < ROOM_MIN;
	return !l->cut;
}

static void clients_list(struct role *r, struct role_request *req)
{
	const char *kind_name = json_string_value(json_object_get(req->json, "kind"));
	const json_t *limit_json = json_object_get(req->json, "limit");
	json_int_t since = json_integer_value(json_object_get(req->json, "since"));
	json_int_t limit = limit_json ? json_integer_value(limit_json) : LIST_DEFAULT;
	unsigned kind = kind_name ? remedy_kind(slice_str(kind_name)) : 0;
	struct listing l = { .req = req, .ports = ports_of(r->conf) };

	if (kind_name && !kind) {
		role_answer_error(req, "there is no such kind of mishap",
				  "See their names: postern help status");
		return;
	}
	if (limit < 1 || limit > LIST_MAX) {
		role_answer_error(req, "the limit must be from 1 to 1000", NULL);
		return;
	}
	if (!self.mishaps) {
		role_answer_error(req, "the ledger's database cannot be opened",
				  "The log line ledger-unusable says why.");
		return;
	}
	flush(); /* what happened a moment ago is asked for most */
	if (mishaps_list(self.mishaps, since, kind, (size_t)limit, list_one, &l) < 0 || l.failed) {
		json_decref(l.rows);
		role_answer_error(req, "the ledger's database cannot be read", NULL);
		return;
	}
	if (l.rows)
		send_part(&l);
	role_answer(req, json_pack("{s:b}", "cut", (int)l.cut), true);
}

/* Also when it comes anew: what the one before held is free. */
static void ledger_peer(struct role *r, enum ipc_role who, unsigned index, struct channel *ch)
{
	(void)r;
	(void)ch;
	if (who == IPC_SMTP && self.claims)
		claims_drop(self.claims, index);
}

static void ledger_request(struct role *r, struct role_request *req)
{
	if (strncmp(req->ask, "limit.", 6) == 0)
		ledger_limits_request(r, self.claims, req);
	else if (strncmp(req->ask, "events.", 7) == 0)
		ledger_events_request(self.events, req);
	else if (strncmp(req->ask, "tls.", 4) == 0)
		ledger_tls_request(r, req);
	else if (strcmp(req->ask, "clients.list") == 0)
		clients_list(r, req);
	else
		role_answer_error(req, "the ledger answers no such question", NULL);
}

static void ledger_status(struct role *r, json_t *to)
{
	struct mishaps_counters n = { 0 };

	(void)r;
	if (self.mishaps)
		mishaps_count(self.mishaps, &n);
	json_object_set_new(to, "usable", json_boolean(self.mishaps != NULL));
	json_object_set_new(to, "claims", json_integer((json_int_t)claims_size(self.claims)));
	json_object_set_new(to, "mishaps_received", json_integer((json_int_t)self.received));
	json_object_set_new(to, "mishaps_dropped", json_integer((json_int_t)(n.dropped + self.unstored)));
	ledger_events_status(self.events, to);
	json_object_set_new(to, "messages_refused", json_integer((json_int_t)self.refused));
	json_object_set_new(to, "rows", json_integer((json_int_t)n.rows));
	json_object_set_new(to, "rows_max", json_integer(ROWS_MAX));
	json_object_set_new(to, "rows_taken_out", json_integer((json_int_t)n.taken_out));
	ledger_tls_status(to);
}

static void on_leave(uv_timer_t *t)
{
	(void)t;
	flush();
	mishaps_free(self.mishaps);
	self.mishaps = NULL;
	ledger_tls_leave();
	ledger_events_close(self.events, role_exit);
}

/* The smtp processes are gone by now; what they said last may still lie in our sockets. */
static void ledger_drain(struct role *r, unsigned seconds)
{
	(void)r;
	self.flush_set = true;
	uv_timer_start(&self.flush, on_leave, seconds > 0 ? LEAVE_MS : 0, 0);
}

const struct role_ops role_ledger = {
	.id = IPC_LEDGER,
	.open = ledger_open,
	.start = ledger_start,
	.peer = ledger_peer,
	.message = ledger_message,
	.request = ledger_request,
	.status = ledger_status,
	.drain = ledger_drain,
};
