#include "db/db.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>

/* Far over what any caller has; a growing number means text that is no literal. */
#define QUERIES_MAX	256
#define BUSY_TIMEOUT_MS 2000

struct db_query {
	struct db *db;
	const char *sql;
	sqlite3_stmt *stmt;
	int next;  /* parameter */
	int error; /* the first, negative errno */
	bool used; /* between db_query() and db_end() */
};

struct db {
	sqlite3 *handle;
	struct db_query *query[QUERIES_MAX];
	size_t queries;
	struct db_query broken; /* handed out when memory is lacking */
	bool sync_each;
	bool synced; /* each commit is, as it was set last */
	sqlite3_stmt *rollback;
	char error[256];
};

static int to_errno(int code)
{
	switch (code) {
	case SQLITE_CONSTRAINT_UNIQUE:
	case SQLITE_CONSTRAINT_PRIMARYKEY:
		return -EEXIST;
	case SQLITE_CONSTRAINT_FOREIGNKEY:
		return -ENOTEMPTY;
	}
	switch (code & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_PERM:
	case SQLITE_AUTH:
	case SQLITE_CANTOPEN:
		return -EACCES;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EBADMSG;
	case SQLITE_CONSTRAINT:
	case SQLITE_ERROR:
	case SQLITE_MISMATCH:
	case SQLITE_MISUSE:
	case SQLITE_RANGE:
		return -EINVAL;
	case SQLITE_TOOBIG:
		return -E2BIG;
	default:
		return -EIO;
	}
}

/* Keeps the words of an error, because ending the query would lose them. */
static int fail(struct db *db, int code)
{
	int r = to_errno(code);

	if (r < 0)
		snprintf(db->error, sizeof(db->error), "%s", sqlite3_errmsg(db->handle));
	return r;
}

static int run_script(struct db *db, const char *sql)
{
	return fail(db, sqlite3_exec(db->handle, sql, NULL, NULL, NULL));
}

static int pragma_i64(struct db *db, const char *sql, int64_t *ret)
{
	sqlite3_stmt *stmt;
	int code = sqlite3_prepare_v2(db->handle, sql, -1, &stmt, NULL);

	if (code == SQLITE_OK) {
		code = sqlite3_step(stmt);
		if (code == SQLITE_ROW)
			*ret = sqlite3_column_int64(stmt, 0);
		sqlite3_finalize(stmt);
	}
	return fail(db, code);
}

/* SQLite makes the log files with the mode of the database, so the mode is right
 * for all when the file is made here. */
static int make_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

/* Each step and its version number are one transaction. */
static int migrate(struct db *db, const struct db_setup *setup, int64_t version)
{
	int r = 0;

	for (; r == 0 && version < setup->steps; version++) {
		char set[96];

		snprintf(set, sizeof(set), "PRAGMA application_id = %d; PRAGMA user_version = %lld",
			 (int)setup->application_id, (long long)version + 1);
		r = run_script(db, "BEGIN IMMEDIATE");
		if (r == 0)
			r = run_script(db, setup->step[version]);
		if (r == 0)
			r = run_script(db, set);
		if (r == 0)
			r = run_script(db, "COMMIT");
		if (r < 0)
			db_rollback(db);
	}
	return r;
}

static int check_kind(struct db *db, const struct db_setup *setup, int64_t *ret_version)
{
	int64_t id = 0, version = 0, tables = 0;
	int r = pragma_i64(db, "PRAGMA application_id", &id);

	if (r == 0)
		r = pragma_i64(db, "PRAGMA user_version", &version);
	if (r == 0)
		r = pragma_i64(db, "SELECT count(*) FROM sqlite_schema", &tables);
	if (r < 0)
		return r;
	if (id != setup->application_id && (id != 0 || version != 0 || tables != 0)) {
		snprintf(db->error, sizeof(db->error), "this is a database of another program");
		return -EBADMSG;
	}
	if (version > setup->steps) {
		snprintf(db->error, sizeof(db->error),
			 "made by a newer version (schema %lld, this program knows up to %d)",
			 (long long)version, setup->steps);
		return -EBADMSG;
	}
	*ret_version = version;
	return 0;
}

static int set_sync(struct db *db, bool each)
{
	int r = db->synced == each
			? 0
			: run_script(db, each ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");

	if (r == 0)
		db->synced = each;
	return r;
}

/* Prepared when the database is opened: there may be no memory when it is needed. */
static int prepare_rollback(struct db *db)
{
	return fail(db, sqlite3_prepare_v3(db->handle, "ROLLBACK", -1, SQLITE_PREPARE_PERSISTENT,
					   &db->rollback, NULL));
}

static int set_up(struct db *db, const struct db_setup *setup)
{
	int64_t version = 0;
	int r;

	sqlite3_extended_result_codes(db->handle, 1);
	sqlite3_busy_timeout(db->handle, BUSY_TIMEOUT_MS);
	r = check_kind(db, setup, &version);
	if (r == 0)
		r = run_script(db, "PRAGMA journal_mode = WAL;"
				   "PRAGMA foreign_keys = ON;"
				   "PRAGMA trusted_schema = OFF;"
				   "PRAGMA secure_delete = ON;"	  /* removed hashes are overwritten */
				   "PRAGMA temp_store = MEMORY"); /* no other folder is needed, or allowed */
	db->synced = true;					  /* SQLite's own default */
	if (r == 0)
		r = set_sync(db, setup->sync_each);
	if (r == 0)
		r = prepare_rollback(db);
	return r == 0 ? migrate(db, setup, version) : r;
}

int db_open(const struct db_setup *setup, struct db **ret, char *reterr, size_t reterr_size)
{
	bool in_memory = slice_eq(slice_str(setup->path), SLICE_LIT(":memory:"));
	struct db *db;
	int r = 0;

	assert(setup->application_id != 0);
	if (!in_memory)
		r = make_file(setup->path);
	if (r < 0) {
		snprintf(reterr, reterr_size, "%s", strerrordesc_np(-r));
		return r;
	}
	db = calloc(1, sizeof(*db));
	if (!db) {
		snprintf(reterr, reterr_size, "out of memory");
		return -ENOMEM;
	}
	db->sync_each = setup->sync_each;
	r = to_errno(
		sqlite3_open_v2(setup->path, &db->handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL));
	if (r == 0)
		r = set_up(db, setup);
	else if (db->handle)
		snprintf(db->error, sizeof(db->error), "%s", sqlite3_errmsg(db->handle));
	if (r < 0) {
		snprintf(reterr, reterr_size, "%s", db->error[0] ? db->error : strerrordesc_np(-r));
		db_close(db);
		return r;
	}
	*ret = db;
	return 0;
}

void db_close(struct db *db)
{
	if (!db)
		return;
	for (size_t i = 0; i < db->queries; i++) {
		sqlite3_finalize(db->query[i]->stmt);
		free(db->query[i]);
	}
	sqlite3_finalize(db->rollback);
	sqlite3_close(db->handle);
	free(db);
}

const char *db_error(const struct db *db)
{
	return db->error;
}

static struct db_query *query_find(struct db *db, const char *sql)
{
	struct db_query *q;

	for (size_t i = 0; i < db->queries; i++)
		if (db->query[i]->sql == sql)
			return db->query[i];
	if (db->queries == QUERIES_MAX)
		return NULL;
	q = calloc(1, sizeof(*q));
	if (!q)
		return NULL;
	q->db = db;
	q->sql = sql;
	db->query[db->queries++] = q;
	return q;
}

struct db_query *db_query(struct db *db, const char *sql)
{
	struct db_query *q = query_find(db, sql);

	if (!q) {
		snprintf(db->error, sizeof(db->error), "out of memory for statements");
		db->broken.db = db;
		db->broken.error = -ENOMEM;
		return &db->broken;
	}
	assert(!q->used); /* the same question inside itself: see db.h */
	q->used = true;
	q->next = 1;
	q->error = 0;
	if (!q->stmt)
		q->error = fail(db, sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT,
						       &q->stmt, NULL));
	return q;
}

static void bound(struct db_query *q, int code)
{
	if (q->error == 0)
		q->error = fail(q->db, code);
}

void db_put_i64(struct db_query *q, int64_t v)
{
	if (q->error == 0)
		bound(q, sqlite3_bind_int64(q->stmt, q->next++, v));
}

void db_put(struct db_query *q, struct slice text)
{
	if (q->error == 0)
		bound(q, sqlite3_bind_text64(q->stmt, q->next++, text.n ? (const char *)text.p : "", text.n,
					     SQLITE_TRANSIENT, SQLITE_UTF8));
}

void db_put_blob(struct db_query *q, struct slice bytes)
{
	if (q->error == 0)
		bound(q, sqlite3_bind_blob64(q->stmt, q->next++, bytes.n ? (const void *)bytes.p : "",
					     bytes.n, SQLITE_TRANSIENT));
}

void db_put_null(struct db_query *q)
{
	if (q->error == 0)
		bound(q, sqlite3_bind_null(q->stmt, q->next++));
}

int db_step(struct db_query *q)
{
	int code;

	if (q->error < 0)
		return q->error;
	code = sqlite3_step(q->stmt);
	if (code == SQLITE_ROW)
		return 1;
	if (code != SQLITE_DONE)
		q->error = fail(q->db, code);
	return q->error;
}

int64_t db_col_i64(const struct db_query *q, int column)
{
	return sqlite3_column_int64(q->stmt, column);
}

struct slice db_col(const struct db_query *q, int column)
{
	const void *p = sqlite3_column_blob(q->stmt, column);

	return slice_of(p, (size_t)sqlite3_column_bytes(q->stmt, column));
}

bool db_col_is_null(const struct db_query *q, int column)
{
	return sqlite3_column_type(q->stmt, column) == SQLITE_NULL;
}

void db_end(struct db_query *q)
{
	if (q->stmt) {
		sqlite3_reset(q->stmt);
		sqlite3_clear_bindings(q->stmt); /* a secret must not stay in one */
	}
	q->used = false;
}

int db_run(struct db_query *q)
{
	/* After a lazy one that could not be ended as it should. */
	int err = sqlite3_get_autocommit(q->db->handle) ? set_sync(q->db, q->db->sync_each) : 0;
	int r = err < 0 ? err : db_step(q);

	db_end(q);
	return r > 0 ? 0 : r;
}

/* The next synced commit syncs the log up to there, this one's part included: the order stays. */
int db_run_lazily(struct db_query *q)
{
	struct db *db = q->db;
	int r;

	if (!db->sync_each)
		return db_run(q);
	db_rollback(db); /* a transaction that could not be ended when it should */
	(void)set_sync(db, false);
	r = db_step(q);
	db_end(q);
	(void)set_sync(db, true); /* else the next one does it */
	return r > 0 ? 0 : r;
}

int db_get_i64(struct db_query *q, int64_t *ret)
{
	int r = db_step(q);

	if (r > 0)
		*ret = db_col_i64(q, 0);
	db_end(q);
	return r > 0 ? 0 : r < 0 ? r : -ENOENT;
}

int64_t db_last_id(const struct db *db)
{
	return sqlite3_last_insert_rowid(db->handle);
}

int64_t db_changes(const struct db *db)
{
	return sqlite3_changes64(db->handle);
}

int db_begin(struct db *db)
{
	int r;

	db_rollback(db);
	r = set_sync(db, db->sync_each);
	return r < 0 ? r : run_script(db, "BEGIN IMMEDIATE");
}

int db_commit(struct db *db)
{
	int r = run_script(db, "COMMIT");

	if (r < 0)
		db_rollback(db);
	return r;
}

void db_rollback(struct db *db)
{
	if (sqlite3_get_autocommit(db->handle))
		return;
	if (!db->rollback) { /* while it is being opened */
		sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
		return;
	}
	sqlite3_step(db->rollback);
	sqlite3_reset(db->rollback);
}
