#include "history/tls.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"

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

static int open_db(const char *path, struct db **ret, char *reterr, size_t reterr_size)
{
	struct db_setup setup = { .path = path,
				  .application_id = APPLICATION_ID,
				  .step = steps,
				  .steps = sizeof(steps) / sizeof(steps[0]) };

	return db_open(&setup, ret, reterr, reterr_size);
}

static int set_aside(const char *path)
{
	static const char *const parts[] = { "", "-wal", "-shm" };
	char from[4096], to[4096];

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		snprintf(from, sizeof(from), "%s%s", path, parts[i]);
		snprintf(to, sizeof(to), "%s.damaged%s", path, parts[i]);
		if (rename(from, to) < 0 && errno != ENOENT)
			return -errno;
	}
	return 0;
}

static int count_rows(struct tls_history *h)
{
	int64_t results, policies;
	int r = db_get_i64(db_query(h->db, "SELECT count(*) FROM result"), &results);

	if (r == 0)
		r = db_get_i64(db_query(h->db, "SELECT count(*) FROM policy"), &policies);
	if (r < 0)
		return r;
	h->counters.results = (uint64_t)results;
	h->counters.policies = (uint64_t)policies;
	return 0;
}

int tls_history_open(const char *path, size_t results_max, size_t policies_max, struct tls_history **ret,
		     char *reterr, size_t reterr_size)
{
	struct tls_history *h = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return -ENOMEM;
	h->results_max = results_max;
	h->policies_max = policies_max;
	r = open_db(path, &h->db, reterr, reterr_size);
	if (r == -EBADMSG && set_aside(path) == 0)
		r = open_db(path, &h->db, reterr, reterr_size);
	if (r == 0) {
		r = count_rows(h);
		if (r < 0)
			snprintf(reterr, reterr_size, "%s", db_error(h->db));
	}
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

/* Texts of strangers: cut to their ceiling, and printable ASCII only. */
static void keep_text(struct slice s, char *to, size_t max)
{
	size_t n = s.n < max ? s.n : max;

	for (size_t i = 0; i < n; i++)
		to[i] = (char)(s.p[i] >= 0x20 && s.p[i] < 0x7f ? s.p[i] : '?');
	to[n] = '\0';
}

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
	keep_text(r->domain, w->domain, NAME_MAX_);
	keep_text(r->host, w->host, NAME_MAX_);
	keep_text(r->text, w->text, TEXT_MAX_);
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
	db_put_blob(q, slice_of(w->ip.byte, w->ip.family == 4 ? 4 : w->ip.family == 6 ? 16 : 0));
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
	struct slice ip = db_col(q, 5);

	*ret = (struct tls_history_row){ .day = db_col_i64(q, 0),
					 .what = { .domain = db_col(q, 1),
						   .policy = (enum tls_result_policy)db_col_i64(q, 2),
						   .host = db_col(q, 3),
						   .result = (enum tls_result)db_col_i64(q, 4),
						   .text = db_col(q, 6) },
					 .count = (uint64_t)db_col_i64(q, 7),
					 .last = db_col_i64(q, 8) };
	if (ip.n == 4 || ip.n == 16) {
		ret->what.ip.family = ip.n == 4 ? 4 : 6;
		memcpy(ret->what.ip.byte, ip.p, ip.n);
	}
}

int tls_history_list(struct tls_history *h, int64_t since_day, struct slice domain, size_t limit,
		     bool (*each)(void *arg, const struct tls_history_row *row), void *arg)
{
	struct db_query *q =
		db_query(h->db, "SELECT day, domain, policy, host, result, ip, text, count, last FROM result"
				" WHERE day >= ? AND (? = '' OR domain = ?)"
				" ORDER BY day, domain, policy, host, result, ip LIMIT ?");
	struct tls_history_row row;
	int r;

	db_put_i64(q, since_day);
	db_put(q, domain);
	db_put(q, domain);
	db_put_i64(q, limit > INT32_MAX ? INT32_MAX : (int64_t)limit);
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
