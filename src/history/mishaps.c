#include "history/mishaps.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "history/file.h"

#define APPLICATION_ID 0x506d6973 /* "Pmis" */
#define LISTENER_MAX   64
#define ACCOUNT_MAX    320
#define HELO_MAX       255

static const char *const steps[] = {
	"CREATE TABLE mishap (id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, listener TEXT NOT NULL,"
	" ip BLOB NOT NULL, account TEXT NOT NULL, port INTEGER NOT NULL, served INTEGER NOT NULL,"
	" helo TEXT NOT NULL, count INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,"
	" UNIQUE (kind, listener, ip, account)) STRICT;"
	"CREATE INDEX mishap_seen ON mishap (last);"
	"CREATE INDEX mishap_kind_seen ON mishap (kind, last)",
};

/* A copy of a mishap, with its texts. */
struct waiting {
	unsigned kind;
	uint16_t port;
	bool served;
	struct ip ip;
	int64_t at;
	char listener[LISTENER_MAX + 1], account[ACCOUNT_MAX + 1], helo[HELO_MAX + 1];
};

struct mishaps {
	struct db *db;
	size_t rows_max;
	struct waiting waiting[MISHAPS_BATCH];
	struct mishaps_counters counters;
};

static int count_rows(void *arg, struct db *db)
{
	struct mishaps *m = arg;
	int64_t rows;
	int r = db_get_i64(db_query(db, "SELECT count(*) FROM mishap"), &rows);

	if (r == 0)
		m->counters.rows = (uint64_t)rows;
	return r;
}

int mishaps_open(const char *path, size_t rows_max, struct mishaps **ret, bool *ret_aside, char *reterr,
		 size_t reterr_size)
{
	struct db_setup setup = { .path = path,
				  .application_id = APPLICATION_ID,
				  .step = steps,
				  .steps = sizeof(steps) / sizeof(steps[0]) };
	struct mishaps *m = calloc(1, sizeof(*m));
	int r;

	snprintf(reterr, reterr_size, "out of memory");
	if (!m)
		return -ENOMEM;
	m->rows_max = rows_max;
	r = history_file_open(&setup, count_rows, m, &m->db, ret_aside, reterr, reterr_size);
	if (r < 0) {
		mishaps_free(m);
		return r;
	}
	*ret = m;
	return 0;
}

void mishaps_free(struct mishaps *m)
{
	if (!m)
		return;
	db_close(m->db);
	free(m);
}

bool mishaps_add(struct mishaps *m, const struct mishap *what, int64_t now)
{
	struct waiting *w;

	if (m->counters.waiting == MISHAPS_BATCH) {
		m->counters.dropped++;
		return true;
	}
	w = &m->waiting[m->counters.waiting++];
	w->kind = what->kind;
	w->port = what->port;
	w->served = what->served;
	w->ip = what->ip;
	w->at = now;
	history_text(what->listener, w->listener, LISTENER_MAX);
	history_text(what->account, w->account, ACCOUNT_MAX);
	history_text(what->helo, w->helo, HELO_MAX);
	return m->counters.waiting == MISHAPS_BATCH;
}

static void put_key(struct db_query *q, const struct waiting *w)
{
	db_put_i64(q, w->kind);
	db_put(q, slice_str(w->listener));
	db_put_blob(q, history_ip(&w->ip));
	db_put(q, slice_str(w->account));
}

/* A later mishap of the same client knows better what it is called and whether it was served. */
static int write_one(struct mishaps *m, const struct waiting *w)
{
	struct db_query *q =
		db_query(m->db, "UPDATE mishap SET count = count + 1, last = ?, port = ?, served = ?,"
				" helo = CASE ? WHEN '' THEN helo ELSE ? END"
				" WHERE kind = ? AND listener = ? AND ip = ? AND account = ?");
	int r;

	db_put_i64(q, w->at);
	db_put_i64(q, w->port);
	db_put_i64(q, w->served);
	db_put(q, slice_str(w->helo));
	db_put(q, slice_str(w->helo));
	put_key(q, w);
	r = db_run(q);
	if (r < 0 || db_changes(m->db) > 0)
		return r;
	q = db_query(
		m->db,
		"INSERT INTO mishap (kind, listener, ip, account, port, served, helo, count, first, last)"
		" VALUES (?, ?, ?, ?, ?, ?, ?, 1, ?, ?)");
	put_key(q, w);
	db_put_i64(q, w->port);
	db_put_i64(q, w->served);
	db_put(q, slice_str(w->helo));
	db_put_i64(q, w->at);
	db_put_i64(q, w->at);
	r = db_run(q);
	if (r == 0)
		m->counters.rows++;
	return r;
}

/* Make room down to nine tenths, so that this is rare. */
static int take_out(struct mishaps *m)
{
	size_t goal = m->rows_max - m->rows_max / 10;

	while (m->counters.rows > goal) {
		struct db_query *q = db_query(
			m->db, "DELETE FROM mishap WHERE id IN (SELECT id FROM mishap WHERE kind ="
			       " (SELECT kind FROM mishap GROUP BY kind ORDER BY count(*) DESC, kind LIMIT 1)"
			       " ORDER BY last, id LIMIT ?)");
		size_t over = m->counters.rows - goal;
		int r;

		/* In steps, because the kind that has most may change. */
		db_put_i64(q, (int64_t)(over > 64 ? (over + 7) / 8 : over));
		r = db_run(q);
		if (r < 0)
			return r;
		if (db_changes(m->db) == 0)
			return -EIO;
		m->counters.rows -= (uint64_t)db_changes(m->db);
		m->counters.taken_out += (uint64_t)db_changes(m->db);
	}
	return 0;
}

static int write_all(struct mishaps *m)
{
	int r = db_begin(m->db);

	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < m->counters.waiting; i++)
		r = write_one(m, &m->waiting[i]);
	if (r == 0 && m->counters.rows > m->rows_max)
		r = take_out(m);
	if (r == 0)
		return db_commit(m->db);
	db_rollback(m->db);
	return r;
}

int mishaps_flush(struct mishaps *m)
{
	struct mishaps_counters before = m->counters;
	int r;

	if (m->counters.waiting == 0)
		return 0;
	r = write_all(m);
	if (r < 0) {
		m->counters = before;
		m->counters.dropped += before.waiting;
	} else {
		m->counters.written += before.waiting;
	}
	m->counters.waiting = 0;
	return r;
}

static void row_of(const struct db_query *q, struct mishap_row *ret)
{
	*ret = (struct mishap_row){
		.what = { .kind = (unsigned)db_col_i64(q, 0),
			  .listener = db_col(q, 1),
			  .account = db_col(q, 3),
			  .port = (uint16_t)db_col_i64(q, 4),
			  .served = db_col_i64(q, 5) != 0,
			  .helo = db_col(q, 6) },
		.count = (uint64_t)db_col_i64(q, 7),
		.first = db_col_i64(q, 8),
		.last = db_col_i64(q, 9),
	};
	history_ip_of(db_col(q, 2), &ret->what.ip);
}

int mishaps_list(struct mishaps *m, int64_t since, unsigned kind, size_t limit,
		 bool (*each)(void *arg, const struct mishap_row *row), void *arg)
{
	struct db_query *q =
		db_query(m->db, "SELECT kind, listener, ip, account, port, served, helo, count, first, last"
				" FROM mishap WHERE last >= ? AND (? = 0 OR kind = ?)"
				" ORDER BY last DESC, id DESC LIMIT ?");
	struct mishap_row row;
	int r;

	db_put_i64(q, since);
	db_put_i64(q, kind);
	db_put_i64(q, kind);
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

void mishaps_count(const struct mishaps *m, struct mishaps_counters *ret)
{
	*ret = m->counters;
}
