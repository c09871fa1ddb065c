#include "role/ledger_tls.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/turn.h"
#include "history/tls.h"

#define FLUSH_MS     1000
#define RESULTS_MAX  200000
#define POLICIES_MAX 100000
#define LIST_DEFAULT 1000
#define LIST_MAX     10000
#define PART_ROWS    20	    /* far below IPC_CHUNK_MAX */
#define ROOM_MIN     131072 /* of the way back, before another part is made */
#define DAYS_DEFAULT 2
#define COMPLAIN_S   60

static struct {
	struct tls_history *history; /* NULL: the database could not be opened */
	uv_timer_t flush;
	bool flush_set;
	uint64_t results, failures, asked, recalled, kept;
	int64_t complained;
} self;

static int64_t now(void)
{
	return (int64_t)time(NULL);
}

static void complain(int err)
{
	if (err >= 0 || now() - self.complained < COMPLAIN_S)
		return;
	self.complained = now();
	LOG(LOG_ERR, "ledger-write-failed", LOG_STR("what", "results and policies of TLS"), LOG_ERRNO(err));
}

static void flush(void)
{
	if (self.history)
		complain(tls_history_flush(self.history));
}

static void on_flush(uv_timer_t *t)
{
	const char *before = turn_doing("writing results of TLS");

	(void)t;
	self.flush_set = false;
	flush();
	turn_doing(before);
}

int ledger_tls_open(struct role *r)
{
	char path[4096], why[256];
	bool aside;
	int err;

	snprintf(path, sizeof(path), "%s/ledger/tls.db", r->conf->state_dir);
	err = tls_history_open(path, RESULTS_MAX, POLICIES_MAX, &self.history, &aside, why, sizeof(why));
	if (err < 0)
		LOG(LOG_ERR, "ledger-unusable", LOG_STR("path", path), LOG_STR("why", why), LOG_ERRNO(err));
	else if (aside)
		LOG(LOG_ERR, "history-set-aside", LOG_STR("path", path),
		    LOG_STR("why",
			    "the file was damaged; results and policies of TLS are not known any more"));
	return 0;
}

int ledger_tls_start(struct role *r)
{
	return uv_timer_init(r->loop, &self.flush);
}

/* ---- what smtp says ---- */

bool ledger_tls_is_for(const struct ipc_message *m)
{
	return m->type == IPC_TYPE_tls_result || m->type == IPC_TYPE_sts_ask || m->type == IPC_TYPE_sts_keep;
}

static const char *result(const struct ipc_tls_result *m)
{
	struct tls_history_result r = { .domain = m->domain,
					.policy = m->policy,
					.result = m->result,
					.host = m->host,
					.text = m->text };

	if (m->policy == 0 || m->policy >= TLS_RESULT_POLICIES || m->result >= TLS_RESULTS ||
	    m->domain.n == 0 || (m->ip.n != 0 && m->ip.n != 4 && m->ip.n != 16))
		return "no result of TLS";
	self.results++;
	self.failures += m->result != TLS_RESULT_OK;
	if (!self.history)
		return NULL;
	r.ip.family = m->ip.n == 4 ? 4 : m->ip.n == 16 ? 6 : 0;
	memcpy(r.ip.byte, m->ip.p ? m->ip.p : r.ip.byte, m->ip.n);
	if (tls_history_add(self.history, &r, now())) {
		flush();
	} else if (!self.flush_set) {
		self.flush_set = true;
		uv_timer_start(&self.flush, on_flush, FLUSH_MS, 0);
	}
	return NULL;
}

static void recall(struct role *r, unsigned index, const struct ipc_sts_ask *m)
{
	struct channel *ch = role_peer(r, IPC_SMTP, index);
	struct ipc_message a = { .type = IPC_TYPE_sts_is, .sts_is = { .req = m->req } };
	struct tls_history_policy p;

	self.asked++;
	if (self.history && tls_history_find(self.history, m->domain, now(), &p) > 0) {
		self.recalled++;
		a.sts_is.known = 1;
		a.sts_is.fetched = (uint64_t)p.fetched;
		a.sts_is.id = slice_head(p.id, 32);
		a.sts_is.policy = p.text;
	}
	if (ch)
		channel_send(ch, &a, -1);
}

static void keep(const struct ipc_sts_keep *m)
{
	struct tls_history_policy p = {
		.id = m->id, .text = m->policy, .fetched = (int64_t)m->fetched, .expires = (int64_t)m->expires
	};

	if (!self.history)
		return;
	self.kept++;
	complain(tls_history_keep(self.history, m->domain, &p));
}

const char *ledger_tls_message(struct role *r, unsigned index, const struct ipc_message *m)
{
	switch (m->type) {
	case IPC_TYPE_tls_result:
		return result(&m->tls_result);
	case IPC_TYPE_sts_ask:
		recall(r, index, &m->sts_ask);
		return NULL;
	case IPC_TYPE_sts_keep:
		keep(&m->sts_keep);
		return NULL;
	default:
		return "no message about TLS";
	}
}

/* ---- tls.results ---- */

struct listing {
	struct role_request *req;
	json_t *rows; /* of the part under way */
	size_t n;
	int64_t last; /* the number of the last row */
	bool full, failed;
};

static json_t *json_of(struct slice s)
{
	return json_stringn(s.n > 0 ? (const char *)s.p : "", s.n);
}

static json_t *json_of_row(const struct tls_history_row *row)
{
	const struct tls_history_result *w = &row->what;
	time_t day = (time_t)row->day * 86400;
	char ip[IP_TEXT_MAX], date[16] = "";
	struct tm tm;

	if (gmtime_r(&day, &tm))
		strftime(date, sizeof(date), "%Y-%m-%d", &tm);
	return json_pack("{s:s, s:o, s:s, s:o, s:s, s:s, s:o, s:I, s:I}", "day", date, "domain",
			 json_of(w->domain), "policy", tls_result_policy_name(w->policy), "host",
			 json_of(w->host), "result", tls_result_name(w->result), "ip",
			 w->ip.family ? ip_format(&w->ip, ip) : "", "text", json_of(w->text), "count",
			 (json_int_t)row->count, "last", (json_int_t)row->last);
}

static bool list_one(void *arg, const struct tls_history_row *row)
{
	struct listing *l = arg;

	if (!l->rows)
		l->rows = json_array();
	if (!l->rows || json_array_append_new(l->rows, json_of_row(row)) < 0) {
		l->failed = true;
		return false;
	}
	l->n++;
	l->last = row->number;
	if (json_array_size(l->rows) < PART_ROWS)
		return true;
	role_answer(l->req, json_pack("{s:o}", "results", l->rows), false);
	l->rows = NULL;
	l->full = role_answer_room(l->req) < ROOM_MIN;
	return !l->full;
}

/* {"ask": "tls.results", "domain": ..., "days": 2, "limit": 1000, "after": 0}; the last part has "after"
 * where there may be more: the next question's. */
static void list(struct role_request *req)
{
	const char *domain = json_string_value(json_object_get(req->json, "domain"));
	const json_t *days_json = json_object_get(req->json, "days");
	const json_t *limit_json = json_object_get(req->json, "limit");
	json_int_t days = days_json ? json_integer_value(days_json) : DAYS_DEFAULT;
	json_int_t limit = limit_json ? json_integer_value(limit_json) : LIST_DEFAULT;
	struct tls_history_ask what = { .domain = slice_str(domain ? domain : ""),
					.after = json_integer_value(json_object_get(req->json, "after")) };
	struct listing l = { .req = req };
	json_t *end = json_object();

	if (days < 1 || days > TLS_HISTORY_DAYS || limit < 1 || limit > LIST_MAX) {
		json_decref(end);
		role_answer_error(req, "days must be from 1 to 30, limit from 1 to 10000", NULL);
		return;
	}
	if (!self.history) {
		json_decref(end);
		role_answer_error(req, "the ledger's database of TLS cannot be opened",
				  "The log line ledger-unusable says why.");
		return;
	}
	flush(); /* what happened a moment ago is asked for most */
	what.since_day = now() / 86400 - days + 1;
	what.limit = (size_t)limit;
	if (tls_history_list(self.history, &what, list_one, &l) < 0 || l.failed) {
		json_decref(l.rows);
		json_decref(end);
		role_answer_error(req, "the ledger's database of TLS cannot be read", NULL);
		return;
	}
	if (l.rows)
		role_answer(req, json_pack("{s:o}", "results", l.rows), false);
	if (l.full || l.n == what.limit)
		json_object_set_new(end, "after", json_integer(l.last));
	role_answer(req, end, true);
}

void ledger_tls_request(struct role *r, struct role_request *req)
{
	(void)r;
	if (strcmp(req->ask, "tls.results") == 0)
		list(req);
	else
		role_answer_error(req, "the ledger answers no such question", NULL);
}

void ledger_tls_status(json_t *to)
{
	struct tls_history_counters n = { 0 };
	json_t *j = json_object();

	if (self.history)
		tls_history_count(self.history, &n);
	json_object_set_new(j, "usable", json_boolean(self.history != NULL));
	json_object_set_new(j, "sessions", json_integer((json_int_t)self.results));
	json_object_set_new(j, "failures", json_integer((json_int_t)self.failures));
	json_object_set_new(j, "rows", json_integer((json_int_t)n.results));
	json_object_set_new(j, "policies", json_integer((json_int_t)n.policies));
	json_object_set_new(j, "policies_asked", json_integer((json_int_t)self.asked));
	json_object_set_new(j, "policies_recalled", json_integer((json_int_t)self.recalled));
	json_object_set_new(j, "dropped", json_integer((json_int_t)n.dropped));
	json_object_set_new(j, "taken_out", json_integer((json_int_t)n.taken_out));
	json_object_set_new(to, "tls", j);
}

void ledger_tls_leave(void)
{
	flush();
	tls_history_free(self.history);
	self.history = NULL;
}
