#include "history/tls.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "history/file.h"

#define APPLICATION_ID 0x50746c73 /* "Ptls" */
#define NAME_MAX_      255
#define TEXT_MAX_      200
#define DAY_S	       86400

static const char *const steps[] = {
	"CREATE TABLE result (id INTEGER PRIMARY KEY, day INTEGER NOT NULL, domain TEXT NOT NULL,"
	" policy INTEGER NOT NULL, host TEXT NOT NULL, result INTEGER NOT NULL, ip BLOB NOT NULL,"
	" text TEXT NOT NULL, count INTEGER NOT NULL, last INTEGER NOT NULL,"
	" UNIQUE (day, domain, policy, host, result, ip)) STRICT;"
	"CREATE TABLE policy (domain TEXT PRIMARY KEY, id TEXT NOT NULL, fetched INTEGER NOT NULL,"
	" expires INTEGER NOT NULL, text TEXT NOT NULL) STRICT;"
	"CREATE INDEX policy_expires ON policy (expires)",
};

struct waiting {
	int64_t at;
	uint8_t policy, result;
	struct ip ip;
	char domain[NAME_MAX_ + 1], host[NAME_MAX_ + 1], text[TEXT_MAX_ + 1];
};

struct tls_history {
	struct db *db;
	size_t results_max, policies_max;
	struct waiting waiting[TLS_HISTORY_BATCH];
	size_t n;
	char id[64], text[TLS_HISTORY_POLICY_MAX + 1]; /* of the policy found last */
	struct tls_history_counters counters;
};

/* ---- the file ---- */

static int count_rows(void *arg, struct db *db)
{
	struct tls_history *h = arg;
	int64_t results, policies;
	int r = db_get_i64(db_query(db, "SELECT count(*) FROM result"), &results);

	if (r == 0)
		r = db_get_i64(db_query(db, "SELECT count(*) FROM policy"), &policies);
	if (r < 0)
		return r;
	h->counters.results = (uint64_t)results;
	h->counters.policies = (uint64_t)policies;
	return 0;
}

int tls_history_open(const char *path, size_t results_max, size_t policies_max, struct tls_history **ret,
		     bool *ret_aside, char *reterr, size_t reterr_size)
{
	struct db_setup setup = { .path = path,
				  .application_id = APPLICATION_ID,
				  .step = steps,
				  .steps = sizeof(steps) / sizeof(steps[0]) };
	struct tls_history *h = calloc(1, sizeof(*h));
	int r;

	snprintf(reterr, reterr_size, "out of memory");
	if (!h)
		return -ENOMEM;
	h->results_max = results_max;
	h->policies_max = policies_max;
	r = history_file_open(&setup, count_rows, h, &h->db, ret_aside, reterr, reterr_size);
	if (r < 0) {
		tls_history_free(h);
		return r;
	}
	*ret = h;
	return 0;
}

void tls_history_free(struct tls_history *h)
{
	if (!h)
		return;
	db_close(h->db);
	free(h);
}

/* ---- results ---- */

bool tls_history_add(struct tls_history *h, const struct tls_history_result *r, int64_t now)
{
	struct waiting *w;

	if (h->n == TLS_HISTORY_BATCH) {
		h->counters.dropped++;
		return true;
	}
	w = &h->waiting[h->n++];
	*w = (struct waiting){ .at = now, .policy = (uint8_t)r->policy, .result = (uint8_t)r->result };
	if (r->result != TLS_RESULT_OK)
		w->ip = r->ip;
	history_text(r->domain, w->domain, NAME_MAX_);
	history_text(r->host, w->host, NAME_MAX_);
	history_text(r->text, w->text, TEXT_MAX_);
	return h->n == TLS_HISTORY_BATCH;
}

static int write_one(struct tls_history *h, const struct waiting *w)
{
	struct db_query *q =
		db_query(h->db,
			 "INSERT INTO result (day, domain, policy, host, result, ip, text, last, count)"
			 " VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1)"
			 " ON CONFLICT (day, domain, policy, host, result, ip) DO UPDATE"
			 " SET count = count + 1, text = excluded.text, last = excluded.last"
			 " RETURNING count");
	int64_t count;
	int r;

	db_put_i64(q, w->at / DAY_S);
	db_put(q, slice_str(w->domain));
	db_put_i64(q, w->policy);
	db_put(q, slice_str(w->host));
	db_put_i64(q, w->result);
	db_put_blob(q, history_ip(&w->ip));
	db_put(q, slice_str(w->text));
	db_put_i64(q, w->at);
	r = db_get_i64(q, &count);
	if (r == 0 && count == 1)
		h->counters.results++;
	return r;
}

/* What is too old, then down to nine tenths of the ceiling, so that this is rare. */
static int take_out(struct tls_history *h, int64_t now)
{
	struct db_query *q = db_query(h->db, "DELETE FROM result WHERE day < ?");
	size_t goal = h->results_max - h->results_max / 10;
	int r;

	db_put_i64(q, now / DAY_S - TLS_HISTORY_DAYS);
	r = db_run(q);
	if (r < 0)
		return r;
	h->counters.results -= (uint64_t)db_changes(h->db);
	h->counters.taken_out += (uint64_t)db_changes(h->db);
	if (h->counters.results <= h->results_max)
		return 0;
	q = db_query(h->db, "DELETE FROM result WHERE id IN"
			    " (SELECT id FROM result ORDER BY day, count, last, id LIMIT ?)");
	db_put_i64(q, (int64_t)(h->counters.results - goal));
	r = db_run(q);
	if (r < 0)
		return r;
	h->counters.results -= (uint64_t)db_changes(h->db);
	h->counters.taken_out += (uint64_t)db_changes(h->db);
	return 0;
}

static int write_all(struct tls_history *h)
{
	int r = db_begin(h->db);

	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < h->n; i++)
		r = write_one(h, &h->waiting[i]);
	if (r == 0)
		r = take_out(h, h->waiting[h->n - 1].at);
	if (r == 0)
		return db_commit(h->db);
	db_rollback(h->db);
	return r;
}

int tls_history_flush(struct tls_history *h)
{
	struct tls_history_counters before = h->counters;
	int r;

	if (h->n == 0)
		return 0;
	r = write_all(h);
	if (r < 0) {
		h->counters = before;
		h->counters.dropped += h->n;
	}
	h->n = 0;
	return r;
}

static void row_of(const struct db_query *q, struct tls_history_row *ret)
{
	*ret = (struct tls_history_row){ .number = db_col_i64(q, 9),
					 .day = db_col_i64(q, 0),
					 .what = { .domain = db_col(q, 1),
						   .policy = (enum tls_result_policy)db_col_i64(q, 2),
						   .host = db_col(q, 3),
						   .result = (enum tls_result)db_col_i64(q, 4),
						   .text = db_col(q, 6) },
					 .count = (uint64_t)db_col_i64(q, 7),
					 .last = db_col_i64(q, 8) };
	history_ip_of(db_col(q, 5), &ret->what.ip);
}

int tls_history_list(struct tls_history *h, const struct tls_history_ask *ask,
		     bool (*each)(void *arg, const struct tls_history_row *row), void *arg)
{
	struct db_query *q =
		db_query(h->db,
			 "SELECT day, domain, policy, host, result, ip, text, count, last, id FROM result"
			 " WHERE id > ? AND day >= ? AND (? = '' OR domain = ?) ORDER BY id LIMIT ?");
	struct tls_history_row row;
	int r;

	db_put_i64(q, ask->after);
	db_put_i64(q, ask->since_day);
	db_put(q, ask->domain);
	db_put(q, ask->domain);
	db_put_i64(q, ask->limit > INT32_MAX ? INT32_MAX : (int64_t)ask->limit);
	while ((r = db_step(q)) > 0) {
		row_of(q, &row);
		if (!each(arg, &row)) {
			r = 0;
			break;
		}
	}
	db_end(q);
	return r;
}

/* ---- policies ---- */

static int make_room(struct tls_history *h)
{
	struct db_query *q = db_query(h->db, "DELETE FROM policy WHERE domain IN"
					     " (SELECT domain FROM policy ORDER BY expires LIMIT ?)");
	int r;

	db_put_i64(q, (int64_t)(h->counters.policies - (h->policies_max - h->policies_max / 10)));
	r = db_run(q);
	if (r < 0)
		return r;
	h->counters.policies -= (uint64_t)db_changes(h->db);
	h->counters.taken_out += (uint64_t)db_changes(h->db);
	return 0;
}

int tls_history_keep(struct tls_history *h, struct slice domain, const struct tls_history_policy *p)
{
	struct db_query *q;
	int64_t there;
	int r;

	if (p->text.n > TLS_HISTORY_POLICY_MAX || p->id.n >= sizeof(h->id) || domain.n > NAME_MAX_)
		return -EINVAL;
	q = db_query(h->db, "SELECT 1 FROM policy WHERE domain = ?");
	db_put(q, domain);
	r = db_get_i64(q, &there);
	if (r < 0 && r != -ENOENT)
		return r;
	h->counters.policies += r == -ENOENT;
	q = db_query(h->db, "INSERT OR REPLACE INTO policy (domain, id, fetched, expires, text)"
			    " VALUES (?, ?, ?, ?, ?)");
	db_put(q, domain);
	db_put(q, p->id);
	db_put_i64(q, p->fetched);
	db_put_i64(q, p->expires);
	db_put(q, p->text);
	there = db_run(q);
	if (there < 0) {
		h->counters.policies -= r == -ENOENT;
		return (int)there;
	}
	return h->counters.policies > h->policies_max ? make_room(h) : 0;
}

int tls_history_find(struct tls_history *h, struct slice domain, int64_t now, struct tls_history_policy *ret)
{
	struct db_query *q = db_query(h->db, "SELECT id, text, fetched, expires FROM policy"
					     " WHERE domain = ? AND expires > ?");
	int r;

	db_put(q, domain);
	db_put_i64(q, now);
	r = db_step(q);
	if (r > 0 && (!slice_copy(db_col(q, 0), h->id, sizeof(h->id)) ||
		      !slice_copy(db_col(q, 1), h->text, sizeof(h->text))))
		r = 0;
	if (r > 0)
		*ret = (struct tls_history_policy){ .id = slice_str(h->id),
						    .text = slice_str(h->text),
						    .fetched = db_col_i64(q, 2),
						    .expires = db_col_i64(q, 3) };
	db_end(q);
	return r;
}

void tls_history_count(const struct tls_history *h, struct tls_history_counters *ret)
{
	*ret = h->counters;
}
