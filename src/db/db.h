/* db.h - a small embedded database in one file (SQLite), opened the one safe way.
 *
 * Write-ahead log, foreign keys on, its schema made and brought up to date by a
 * table of steps.  It is not an abstraction over several databases: callers
 * write SQL.  Statements are prepared once and kept, found by the address of
 * their text, so the text must be a literal (or live as long as the db).
 *
 *	q = db_query(db, "SELECT id, name FROM domain WHERE owner = ?");
 *	db_put_i64(q, owner);
 *	while ((r = db_step(q)) > 0)
 *		... db_col_i64(q, 0), db_col(q, 1) ...
 *	db_end(q);
 *
 * A query is in use from db_query() to db_end() and the same text must not be
 * asked again meanwhile: gather the rows first, then recurse.  One thread.
 *
 * Errors are negative errno, the words are in db_error():
 *	-EEXIST     a UNIQUE or PRIMARY KEY rule        -EBUSY   another process holds it
 *	-ENOTEMPTY  a FOREIGN KEY rule                  -ENOSPC  the disk is full
 *	-EINVAL     another rule, or a mistake in SQL   -EIO     the disk failed
 *	-EBADMSG    damaged, or no database of ours     -EROFS -EACCES -ENOMEM
 */
#ifndef POSTERN_DB_DB_H
#define POSTERN_DB_DB_H

#include "base/slice.h"

struct db;
struct db_query;

struct db_setup {
	const char *path;	 /* made with mode 0600 if absent; ":memory:" for tests */
	int32_t application_id;	 /* told apart from other files by this; not 0 */
	const char *const *step; /* SQL that leads from version i to i + 1; append only */
	int steps;
	bool sync_each; /* a commit survives power loss (synchronous=FULL); else only a crash */
};

/* 0, or negative errno with one line in reterr. */
int db_open(const struct db_setup *setup, struct db **ret, char *reterr, size_t reterr_size);
void db_close(struct db *db); /* NULL is fine */
const char *db_error(const struct db *db);

/* Never NULL: when preparing failed, db_step() and db_run() say so. */
struct db_query *db_query(struct db *db, const char *sql);
/* Fill the next parameter, from the left; the bytes are copied. */
void db_put_i64(struct db_query *q, int64_t v);
void db_put(struct db_query *q, struct slice text);
void db_put_blob(struct db_query *q, struct slice bytes);
void db_put_null(struct db_query *q);
/* 1: a row is here; 0: no more; negative errno. */
int db_step(struct db_query *q);
/* Columns of the row, from 0; a slice is valid until the next step or end. */
int64_t db_col_i64(const struct db_query *q, int column); /* 0 for NULL */
struct slice db_col(const struct db_query *q, int column);
bool db_col_is_null(const struct db_query *q, int column);
void db_end(struct db_query *q);
/* Step once, expecting no row, and end.  0 or negative errno. */
int db_run(struct db_query *q);
/* The same, but not synced, although sync_each: for what may be lost with the power (the time
 * of a login), so that it costs no wait for the disk.  Not inside db_begin(). */
int db_run_lazily(struct db_query *q);
/* The first column of the first row; -ENOENT when there is none.  Ends the query. */
int db_get_i64(struct db_query *q, int64_t *ret);

int64_t db_last_id(const struct db *db); /* of the last INSERT */
int64_t db_changes(const struct db *db); /* rows that the last statement changed */

/* Writers take the lock at once.  db_commit() rolls back when it fails. */
int db_begin(struct db *db);
int db_commit(struct db *db);
void db_rollback(struct db *db);

#endif
