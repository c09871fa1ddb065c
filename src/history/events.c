#include "history/events.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "history/file.h"

#define APPLICATION_ID 0x50657674 /* "Pevt" */
#define LEVEL	       1
#define HASH_SIZE      3		/* octets of one in the file */
#define OUT_A_WRITE    64		/* rows that one write takes out at most, beside as many as it adds */
#define SLACK_MS       UINT64_C(600000) /* that the clock may have been set back while events came */

static const char *const steps[] = {
	"CREATE TABLE batch (row INTEGER PRIMARY KEY, first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL,"
	" events INTEGER NOT NULL, body BLOB NOT NULL) STRICT;"
	"CREATE TABLE names (row INTEGER PRIMARY KEY, last_ms INTEGER NOT NULL, hashes BLOB NOT NULL) STRICT;"
	"CREATE INDEX names_time ON names (last_ms)",
};

struct events {
	struct db *db;
	ZSTD_CCtx *pack;
	ZSTD_DCtx *unpack;
	struct events_counters counters;
	uint32_t hash[BATCH_HASHES];
	unsigned char names[BATCH_HASHES * HASH_SIZE];
	unsigned char packed[BATCH_OCTETS + BATCH_OCTETS / 128 + 1024]; /* over ZSTD_compressBound() */
	unsigned char plain[BATCH_OCTETS];
};

_Static_assert(ZSTD_COMPRESSBOUND(BATCH_OCTETS) <= BATCH_OCTETS + BATCH_OCTETS / 128 + 1024, "it fits");

static int get(struct events *e, const char *sql, uint64_t *ret)
{
	int64_t v = 0;
	int r = db_get_i64(db_query(e->db, sql), &v);

	if (r == -ENOENT)
		r = 0;
	if (r == 0)
		*ret = (uint64_t)v;
	return r;
}

static int measure(struct events *e)
{
	uint64_t pages = 0, idle = 0, size = 0;
	int r = get(e, "PRAGMA page_count", &pages);

	if (r == 0)
		r = get(e, "PRAGMA freelist_count", &idle);
	if (r == 0)
		r = get(e, "PRAGMA page_size", &size);
	if (r == 0)
		e->counters.octets = (pages - idle) * size;
	return r;
}

static int find_oldest(struct events *e)
{
	e->counters.oldest_ms = 0;
	return get(e, "SELECT first_ms FROM batch ORDER BY row LIMIT 1", &e->counters.oldest_ms);
}

/* Reads what is read at every start: of a file damaged there nothing can be made. */
static int take_stock(struct events *e)
{
	int r = get(e, "SELECT count(*) FROM names", &e->counters.rows);

	if (r == 0)
		r = get(e, "SELECT coalesce(sum(events), 0) FROM batch", &e->counters.events);
	if (r == 0)
		r = measure(e);
	return r == 0 ? find_oldest(e) : r;
}

static int look(void *arg, struct db *db)
{
	struct events *e = arg;
	int r;

	e->db = db;
	r = take_stock(e);
	if (r < 0)
		e->db = NULL;
	return r;
}

int events_open(const char *path, struct events **ret, bool *ret_set_aside, char *reterr, size_t reterr_size)
{
	struct db_setup setup = { .path = path,
				  .application_id = APPLICATION_ID,
				  .step = steps,
				  .steps = sizeof(steps) / sizeof(steps[0]) };
	struct events *e = calloc(1, sizeof(*e));
	int r = -ENOMEM;

	snprintf(reterr, reterr_size, "out of memory");
	if (!e)
		return r;
	e->pack = ZSTD_createCCtx();
	e->unpack = ZSTD_createDCtx();
	if (e->pack && e->unpack)
		r = history_file_open(&setup, look, e, &e->db, ret_set_aside, reterr, reterr_size);
	if (r < 0) {
		events_free(e);
		return r;
	}
	*ret = e;
	return 0;
}

void events_free(struct events *e)
{
	if (!e)
		return;
	db_close(e->db);
	ZSTD_freeCCtx(e->pack);
	ZSTD_freeDCtx(e->unpack);
	free(e);
}

/* ---- writing ---- */

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static struct slice names_of(struct events *e, const struct events_part *p)
{
	size_t n = 0;

	memcpy(e->hash, p->batch->hash, p->n_hashes * sizeof(e->hash[0]));
	qsort(e->hash, p->n_hashes, sizeof(e->hash[0]), by_value);
	for (uint32_t i = 0; i < p->n_hashes; i++) {
		uint32_t h = e->hash[i];

		if (i > 0 && h == e->hash[i - 1])
			continue;
		e->names[n++] = (unsigned char)(h >> 16);
		e->names[n++] = (unsigned char)(h >> 8 & 0xff);
		e->names[n++] = (unsigned char)(h & 0xff);
	}
	return slice_of(e->names, n);
}

static int write_one(struct events *e, const struct events_part *p, int64_t *row)
{
	size_t n =
		ZSTD_compressCCtx(e->pack, e->packed, sizeof(e->packed), p->batch->bytes, p->octets, LEVEL);
	struct db_query *q;
	int r;

	if (ZSTD_isError(n))
		return -ENOMEM;
	q = db_query(e->db, "INSERT OR REPLACE INTO batch (row, first_ms, last_ms, events, body)"
			    " VALUES (?, ?, ?, ?, ?)");
	if (*row)
		db_put_i64(q, *row);
	else
		db_put_null(q);
	db_put_i64(q, (int64_t)p->first_ms);
	db_put_i64(q, (int64_t)p->last_ms);
	db_put_i64(q, p->n);
	db_put_blob(q, slice_of(e->packed, n));
	r = db_run(q);
	if (r < 0)
		return r;
	*row = db_last_id(e->db);
	q = db_query(e->db, "INSERT OR REPLACE INTO names (row, last_ms, hashes) VALUES (?, ?, ?)");
	db_put_i64(q, *row);
	db_put_i64(q, (int64_t)p->last_ms);
	db_put_blob(q, names_of(e, p));
	return db_run(q);
}

/* 1: a row went, 0: there is none left. */
static int take_oldest(struct events *e)
{
	struct db_query *q = db_query(e->db, "SELECT row, events FROM batch ORDER BY row LIMIT 1");
	int r = db_step(q);
	int64_t row = 0;
	uint64_t n = 0;

	if (r > 0) {
		row = db_col_i64(q, 0);
		n = (uint64_t)db_col_i64(q, 1);
	}
	db_end(q);
	if (r <= 0)
		return r;
	q = db_query(e->db, "DELETE FROM batch WHERE row = ?");
	db_put_i64(q, row);
	r = db_run(q);
	if (r == 0) {
		q = db_query(e->db, "DELETE FROM names WHERE row = ?");
		db_put_i64(q, row);
		r = db_run(q);
	}
	if (r < 0)
		return r;
	e->counters.rows--;
	e->counters.events -= n;
	e->counters.taken_out += n;
	return 1;
}

static bool is_too_old(struct events *e, const struct events_keep *keep)
{
	uint64_t last = UINT64_MAX;

	return keep->now_ms > keep->keep_ms &&
	       get(e, "SELECT last_ms FROM batch ORDER BY row LIMIT 1", &last) == 0 &&
	       last < keep->now_ms - keep->keep_ms;
}

/* At most so many rows: what is left over goes with the next write. */
static int take_out(struct events *e, const struct events_keep *keep, size_t max)
{
	int r = measure(e);

	while (r == 0 && max-- > 0 && e->counters.rows > 0 &&
	       (e->counters.octets > keep->octets_max || is_too_old(e, keep))) {
		r = take_oldest(e);
		if (r > 0)
			r = measure(e);
	}
	return r;
}

static int write_all(struct events *e, const struct events_part *parts, size_t n, int64_t *rows,
		     const struct events_keep *keep)
{
	int r = db_begin(e->db);

	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < n; i++) {
		rows[i] = parts[i].batch->row;
		r = write_one(e, &parts[i], &rows[i]);
	}
	if (r == 0)
		r = take_out(e, keep, OUT_A_WRITE + n);
	if (r == 0)
		return db_commit(e->db);
	db_rollback(e->db);
	return r;
}

int events_write(struct events *e, const struct events_part *parts, size_t n, const struct events_keep *keep)
{
	struct events_counters before = e->counters;
	int64_t rows[EVENTS_PARTS_MAX];
	int r;

	if (n > EVENTS_PARTS_MAX)
		return -E2BIG;
	for (size_t i = 0; i < n; i++) {
		e->counters.rows += parts[i].batch->row == 0;
		e->counters.events += parts[i].n - parts[i].batch->stored;
	}
	r = write_all(e, parts, n, rows, keep);
	if (r < 0) {
		e->counters = before;
		return r;
	}
	for (size_t i = 0; i < n; i++)
		parts[i].batch->row = rows[i];
	return find_oldest(e);
}

/* ---- looking ---- */

static bool has_name(struct slice names, uint32_t hash)
{
	size_t low = 0, high = names.n / HASH_SIZE;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const unsigned char *p = names.p + middle * HASH_SIZE;
		uint32_t h = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];

		if (h == hash)
			return true;
		if (h < hash)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

static bool may_hold(const struct events_scan *s, struct slice names)
{
	for (size_t i = 0; s->hashes && i < s->n_hashes; i++)
		if (has_name(names, s->hashes[i]))
			return true;
	return !s->hashes;
}

/* 1: go on, 0: each() has enough. */
static int unpack(struct events *e, int64_t row, bool (*each)(void *arg, const struct ipc_event *e),
		  void *arg)
{
	struct db_query *q = db_query(e->db, "SELECT body FROM batch WHERE row = ?");
	struct ipc_event one;
	struct slice cur;
	size_t n = 0;
	int r;

	db_put_i64(q, row);
	r = db_step(q);
	if (r > 0) {
		struct slice body = db_col(q, 0);

		n = ZSTD_decompressDCtx(e->unpack, e->plain, sizeof(e->plain), body.p, body.n);
	}
	db_end(q);
	if (r < 0)
		return r;
	if (ZSTD_isError(n)) {
		e->counters.damaged++;
		return 1;
	}
	cur = slice_of(e->plain, n);
	while (batch_take(&cur, &one))
		if (!each(arg, &one))
			return 0;
	if (cur.n > 0)
		e->counters.damaged++;
	return 1;
}

int events_scan(struct events *e, struct events_scan *s, bool (*each)(void *arg, const struct ipc_event *e),
		void *arg)
{
	uint64_t since = s->since_ms > SLACK_MS ? s->since_ms - SLACK_MS : 0;
	struct db_query *q =
		s->forward ? db_query(e->db, "SELECT row, hashes FROM names WHERE row >="
					     " (SELECT min(row) FROM names WHERE last_ms >= ?) ORDER BY row")
			   : db_query(e->db,
				      "SELECT row, hashes FROM names WHERE row >="
				      " (SELECT min(row) FROM names WHERE last_ms >= ?) ORDER BY row DESC");
	int r;

	db_put_i64(q, (int64_t)since);
	while ((r = db_step(q)) > 0) {
		s->row = db_col_i64(q, 0);
		if ((s->forward && s->row <= s->after) || !may_hold(s, db_col(q, 1)))
			continue;
		r = unpack(e, s->row, each, arg);
		if (r <= 0)
			break;
	}
	db_end(q);
	return r;
}

void events_count(const struct events *e, struct events_counters *ret)
{
	*ret = e->counters;
}
