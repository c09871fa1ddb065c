#include "role/ledger_limits.h"

#include "base/log.h"

#define ROWS_MAX  1000
#define PART_ROWS 50
#define SWEEP_MS  30000

void ledger_claim(struct role *r, struct claims *c, unsigned index, const struct ipc_claim *m)
{
	static uint64_t swept_ms;
	uint64_t now = uv_now(r->loop);
	const struct limit_claim claim = { .key = m->key,
					   .use = m->use,
					   .limit = m->limit,
					   .want = m->want,
					   .have = m->have,
					   .pool = m->pool,
					   .refused_s = m->refused_s < 86400 * 2 ? m->refused_s : 86400 * 2 };
	bool full;
	struct ipc_message out = { .type = IPC_TYPE_grant, .grant = { .key = m->key } };
	struct channel *ch = role_peer(r, IPC_SMTP, index);

	out.grant.claim = claims_claim(c, now, index, &claim, &full);
	out.grant.full = full;
	if (m->answer && ch)
		channel_send(ch, &out, -1);
	if (now - swept_ms >= SWEEP_MS) {
		swept_ms = now;
		claims_sweep(c, now);
	}
}

struct listing {
	struct role_request *req;
	uint64_t now;
	json_t *rows;
	size_t n;
};

static void send_part(struct listing *l)
{
	role_answer(l->req, json_pack("{s:o}", "limits", l->rows), false);
	l->rows = NULL;
}

static json_t *text(struct slice s)
{
	return json_stringn(s.n > 0 ? (const char *)s.p : "", s.n);
}

/* Who was refused lately, or uses most of what he may. */
static bool list_one(void *arg, const struct claims_row *row)
{
	struct listing *l = arg;
	bool refused = row->refused_ms > l->now;
	json_int_t seconds = refused ? (json_int_t)((row->refused_ms - l->now + 999) / 1000) : 0;

	if (row->refused_ms == 0 && row->use < row->limit / 10 * 9)
		return true;
	if (!l->rows)
		l->rows = json_array();
	json_array_append_new(l->rows,
			      json_pack("{s:s, s:o, s:o, s:I, s:I, s:I, s:b}", "kind",
					limit_kind_name(row->kind), "listener", text(row->listener), "who",
					text(row->who), "count", (json_int_t)row->use, "limit",
					(json_int_t)row->limit, "seconds", seconds, "locked", (int)refused));
	if (json_array_size(l->rows) >= PART_ROWS)
		send_part(l);
	return ++l->n < ROWS_MAX;
}

static void list(struct role *r, struct claims *c, struct role_request *req)
{
	struct listing l = { .req = req, .now = uv_now(r->loop) };

	claims_each(c, l.now, list_one, &l);
	if (l.rows)
		send_part(&l);
	role_answer(req, json_pack("{s:b}", "cut", (int)(l.n >= ROWS_MAX)), true);
}

/* The processes hold the counts: they are all told, also of somebody that is not known here. */
static void clear(struct role *r, struct claims *c, struct role_request *req)
{
	const char *who = json_string_value(json_object_get(req->json, "who"));
	struct ipc_message m = { .type = IPC_TYPE_forget, .forget = { .who = slice_str(who) } };
	size_t n;

	if (!who || m.forget.who.n > IPC_ADDRESS_MAX) {
		role_answer_error(req, "who is missing", NULL);
		return;
	}
	n = claims_clear(c, m.forget.who);
	for (unsigned i = 0; i < ROLE_SMTP_MAX; i++) {
		struct channel *ch = role_peer(r, IPC_SMTP, i);

		if (ch)
			channel_send(ch, &m, -1);
	}
	LOG(LOG_NOTICE, "limits-cleared", LOG_STR("who", *who ? who : "all"), LOG_U("counts", n));
	role_answer(req, json_pack("{s:I}", "cleared", (json_int_t)n), true);
}

void ledger_limits_request(struct role *r, struct claims *c, struct role_request *req)
{
	if (strcmp(req->ask, "limit.list") == 0)
		list(r, c, req);
	else if (strcmp(req->ask, "limit.clear") == 0)
		clear(r, c, req);
	else
		role_answer_error(req, "the ledger answers no such question", NULL);
}
