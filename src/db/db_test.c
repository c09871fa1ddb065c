#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "db/db.h"

#define APP 0x504f5354

static const char *const steps[] = {
	"CREATE TABLE a (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT",
	("CREATE TABLE b (a INTEGER NOT NULL REFERENCES a (id), data BLOB) STRICT; INSERT INTO a VALUES (7, "
	 "'seven')"),
	"CREATE TABLE c (x INTEGER) STRICT; THIS IS NOT SQL",
};

static char dir[64], path[96], why[256];

static int set_up(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/postern-db-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/a.db", dir);
	why[0] = 0;
	return 0;
}

static int tear_down(void **state)
{
	static const char *const end[] = { "", "-wal", "-shm" };
	char name[128];

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "%s%s", path, end[i]);
		unlink(name);
	}
	return rmdir(dir);
}

static int open_with(int n, struct db **ret)
{
	struct db_setup setup = {
		.path = path, .application_id = APP, .step = steps, .steps = n, .sync_each = true
	};

	return db_open(&setup, ret, why, sizeof(why));
}

static int insert(struct db *db, int64_t id, const char *name)
{
	struct db_query *q = db_query(db, "INSERT INTO a VALUES (?, ?)");

	db_put_i64(q, id);
	db_put(q, slice_str(name));
	return db_run(q);
}

/* What SQLite calls is found here before the C library's. */
static unsigned syncs;
int fdatasync(int fd)
{
	syncs++;
	return (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
	syncs++;
	return (int)syscall(SYS_fsync, fd);
}

static int insert_lazily(struct db *db, int64_t id)
{
	struct db_query *q = db_query(db, "INSERT INTO a VALUES (?, 'lazy')");

	db_put_i64(q, id);
	return db_run_lazily(q);
}

/* A lazy write waits for no disk, whether it works or not, and the next one is synced again. */
static void lazy_is_not_synced(void **state)
{
	struct db *db;
	unsigned before;

	(void)state;
	assert_int_equal(open_with(1, &db), 0);
	assert_int_equal(insert(db, 1, "one"), 0);
	before = syncs;
	assert_int_equal(insert_lazily(db, 2), 0);
	assert_int_equal(insert_lazily(db, 2), -EEXIST);
	assert_int_equal(syncs, before);
	assert_int_equal(insert(db, 3, "three"), 0);
	assert_true(syncs > before);
	db_close(db);
}

static int64_t count(struct db *db)
{
	int64_t n = -1;

	assert_int_equal(db_get_i64(db_query(db, "SELECT count(*) FROM a"), &n), 0);
	return n;
}

/* The schema grows step by step and keeps what is in it; the file is private. */
static void migrates(void **state)
{
	struct db *db;
	struct stat st;

	(void)state;
	assert_int_equal(open_with(1, &db), 0);
	assert_int_equal(insert(db, 1, "one"), 0);
	db_close(db);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);

	assert_int_equal(open_with(2, &db), 0);
	assert_int_equal(count(db), 2);
	db_close(db);
	assert_int_equal(open_with(2, &db), 0); /* nothing is done twice */
	assert_int_equal(count(db), 2);
	db_close(db);

	assert_int_equal(open_with(1, &db), -EBADMSG);
	assert_non_null(strstr(why, "newer"));
}

/* A step that fails leaves the version before it, whole. */
static void failed_step_changes_nothing(void **state)
{
	struct db *db;
	int64_t n;

	(void)state;
	assert_int_equal(open_with(3, &db), -EINVAL);
	assert_non_null(strstr(why, "syntax"));
	assert_int_equal(open_with(2, &db), 0);
	assert_int_equal(db_get_i64(db_query(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'c'"), &n),
			 0);
	assert_int_equal(n, 0);
	db_close(db);
}

static void refuses_other_files(void **state)
{
	struct db_setup other = { .path = path, .application_id = 99, .step = steps, .steps = 1 };
	struct db *db;
	FILE *f;

	(void)state;
	assert_int_equal(db_open(&other, &db, why, sizeof(why)), 0);
	db_close(db);
	assert_int_equal(open_with(1, &db), -EBADMSG);
	assert_non_null(strstr(why, "another program"));
	f = fopen(path, "w");
	for (int i = 0; i < 1000; i++)
		fputs("this is no database\n", f);
	fclose(f);
	assert_int_equal(open_with(1, &db), -EBADMSG);
}

static void errors_are_told_apart(void **state)
{
	struct db *db;
	struct db_query *q;

	(void)state;
	assert_int_equal(open_with(2, &db), 0);
	assert_int_equal(insert(db, 8, "seven"), -EEXIST);
	assert_non_null(strstr(db_error(db), "UNIQUE"));
	assert_int_equal(insert(db, 7, "eight"), -EEXIST);
	q = db_query(db, "INSERT INTO b VALUES (?, ?)");
	db_put_i64(q, 999);
	db_put_null(q);
	assert_int_equal(db_run(q), -ENOTEMPTY);
	assert_int_equal(db_run(db_query(db, "SELECT nonsense")), -EINVAL);
	assert_int_equal(db_run(db_query(db, "INSERT INTO a VALUES (1, NULL)")), -EINVAL);
	db_close(db);
}

static void bytes_come_back_as_they_went(void **state)
{
	static const unsigned char bytes[] = { 0, 1, 0xff, 0, 'x' };
	struct slice blob = { bytes, sizeof(bytes) };
	struct db *db;
	struct db_query *q;

	(void)state;
	assert_int_equal(open_with(2, &db), 0);
	q = db_query(db, "INSERT INTO b VALUES (?, ?)");
	db_put_i64(q, 7);
	db_put_blob(q, blob);
	assert_int_equal(db_run(q), 0);
	q = db_query(db, "INSERT INTO b VALUES (7, ?)");
	db_put_blob(q, slice_of(NULL, 0));
	assert_int_equal(db_run(q), 0);
	q = db_query(db, "INSERT INTO b VALUES (7, ?)");
	db_put_null(q);
	assert_int_equal(db_run(q), 0);
	q = db_query(db, "SELECT data FROM b ORDER BY rowid");
	assert_int_equal(db_step(q), 1);
	assert_true(slice_eq(db_col(q, 0), blob));
	assert_int_equal(db_step(q), 1);
	assert_int_equal(db_col(q, 0).n, 0);
	assert_false(db_col_is_null(q, 0));
	assert_int_equal(db_step(q), 1);
	assert_true(db_col_is_null(q, 0));
	assert_int_equal(db_step(q), 0);
	db_end(q);
	db_close(db);
}

static void rolls_back(void **state)
{
	struct db *db;

	(void)state;
	assert_int_equal(open_with(1, &db), 0);
	assert_int_equal(db_begin(db), 0);
	assert_int_equal(insert(db, 1, "one"), 0);
	db_rollback(db);
	assert_int_equal(count(db), 0);
	assert_int_equal(db_begin(db), 0);
	assert_int_equal(insert(db, 1, "one"), 0);
	assert_int_equal(db_commit(db), 0);
	assert_int_equal(count(db), 1);
	db_close(db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(migrates, set_up, tear_down),
		cmocka_unit_test_setup_teardown(failed_step_changes_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(refuses_other_files, set_up, tear_down),
		cmocka_unit_test_setup_teardown(errors_are_told_apart, set_up, tear_down),
		cmocka_unit_test_setup_teardown(bytes_come_back_as_they_went, set_up, tear_down),
		cmocka_unit_test_setup_teardown(rolls_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(lazy_is_not_synced, set_up, tear_down),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
