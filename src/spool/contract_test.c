/* contract_test.c - what every store behind spool.h must do.
 *
 * A store is a row of makers[]: how it is made on a place, and reopened.  Nothing
 * here knows files, so that a database's row can be added.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <ftw.h>
#include <poll.h>
#include <sodium.h>
#include <sys/stat.h>

#include "spool/spool.h"

#define NOW UINT64_C(1790000000000)

struct maker {
	const char *name;
	bool manual;
};

static const struct maker makers[] = {
	{ "files, in turns", true },
	{ "files, sync thread", false },
};

struct store {
	const struct maker *maker;
	char dir[32];
	struct spool *sp;
	struct id_source ids;
};

static void reopen(struct store *st)
{
	struct spool_setup setup = {
		.dir = st->dir,
		.disk = disk_real(),
		.memory_max = 1 << 20,
		.body_memory_max = 20000,
		.segment_max = 64 << 10,
		.manual_sync = st->maker->manual,
	};

	spool_close(st->sp);
	st->sp = NULL;
	assert_int_equal(spool_open(&setup, &st->sp), 0);
}

static int remove_one(const char *path, const struct stat *s, int type, struct FTW *ftw)
{
	(void)s, (void)type, (void)ftw;
	return remove(path);
}

static int each_done(struct store *st, struct spool_done *done)
{
	while (!spool_next_done(st->sp, done)) {
		struct pollfd p = { .fd = spool_wake_fd(st->sp), .events = POLLIN };

		if (st->maker->manual)
			spool_sync_now(st->sp);
		else
			assert_int_equal(poll(&p, 1, 60000), 1);
	}
	return done->result;
}

static unsigned char body_byte(size_t i, unsigned seed)
{
	return (unsigned char)((i * 31 + seed * 7 + (i >> 8)) & 0xff);
}

static int begin(struct store *st, struct id id, size_t size, uint32_t recipients, uint64_t token)
{
	struct spool_body *b;
	unsigned char piece[1000];
	struct spool_message m = {
		.id = id,
		.time_ms = NOW,
		.recipients = recipients,
		.envelope = SLICE_LIT("an envelope"),
		.headers = SLICE_LIT("Received: x\r\n"),
	};

	assert_int_equal(spool_body_new(st->sp, &b), 0);
	for (size_t at = 0; at < size;) {
		size_t n = size - at < sizeof(piece) ? size - at : sizeof(piece);

		for (size_t i = 0; i < n; i++)
			piece[i] = body_byte(at + i, (unsigned)size);
		assert_int_equal(spool_body_put(b, slice_of(piece, n)), 0);
		at += n;
	}
	assert_true(spool_body_size(b) == size);
	return spool_commit(st->sp, b, &m, token);
}

static struct id put(struct store *st, size_t size, uint32_t recipients)
{
	struct id id = id_next(&st->ids, NOW);
	struct spool_done done;

	assert_int_equal(begin(st, id, size, recipients, 77), 0);
	assert_int_equal(each_done(st, &done), 0);
	assert_true(done.token == 77);
	return id;
}

static void check(struct store *st, struct id id, size_t size)
{
	unsigned char to[3000];
	struct buf envelope, headers;
	struct spool_info info;
	size_t at = 0;

	assert_int_equal(spool_info(st->sp, &id, &info), 0);
	assert_true(info.body_size == size);
	assert_false(info.damaged);
	buf_init(&envelope, 100);
	buf_init(&headers, 100);
	assert_int_equal(spool_read_meta(st->sp, &id, &envelope, &headers), 0);
	assert_true(slice_eq(buf_slice(&envelope), SLICE_LIT("an envelope")));
	assert_true(slice_eq(buf_slice(&headers), SLICE_LIT("Received: x\r\n")));
	buf_done(&envelope);
	buf_done(&headers);
	for (;;) {
		ssize_t n = spool_read_body(st->sp, &id, at, to, sizeof(to));

		assert_true(n >= 0);
		if (n == 0)
			break;
		for (ssize_t i = 0; i < n; i++)
			assert_int_equal(to[i], body_byte(at + (size_t)i, (unsigned)size));
		at += (size_t)n;
	}
	assert_true(at == size);
}

/* Read at once it is the same, or must be read in parts. */
static void check_whole(struct store *st, struct id id, size_t size, size_t max, int want)
{
	struct buf envelope, headers, body;

	buf_init(&envelope, 100);
	buf_init(&headers, 100);
	buf_init(&body, 300000);
	assert_int_equal(spool_read_whole(st->sp, &id, max, &envelope, &headers, &body), want);
	if (want == 0) {
		assert_true(slice_eq(buf_slice(&envelope), SLICE_LIT("an envelope")));
		assert_true(slice_eq(buf_slice(&headers), SLICE_LIT("Received: x\r\n")));
		assert_true(body.n == size);
		for (size_t i = 0; i < size; i++)
			assert_int_equal(buf_slice(&body).p[i], body_byte(i, (unsigned)size));
	} else {
		assert_true(envelope.n == 0 && headers.n == 0 && body.n == 0);
	}
	buf_done(&envelope);
	buf_done(&headers);
	buf_done(&body);
}

static void what_is_put_is_there(void **state)
{
	static const size_t sizes[] = { 0, 1, 999, 4096, 19999, 20001, 65536, 65537, 200000 };
	struct store *st = *state;
	struct id ids[9];

	for (size_t i = 0; i < 9; i++)
		ids[i] = put(st, sizes[i], 1);
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < 9; i++)
			check(st, ids[i], sizes[i]);
		for (size_t i = 0; i < 9; i++)
			check_whole(st, ids[i], sizes[i], 65536, sizes[i] > 20000 ? -ENODATA : 0);
		check_whole(st, ids[3], sizes[3], 4096,
			    -ENODATA); /* with all that goes with it, it is longer */
		reopen(st);
	}
}

static void the_order_is_that_of_ids(void **state)
{
	struct store *st = *state;
	struct id ids[50];
	struct spool_info info;
	struct id *after = NULL;

	for (size_t i = 0; i < 50; i++)
		ids[i] = id_next(&st->ids, NOW);
	for (size_t i = 0; i < 50; i++)
		assert_int_equal(begin(st, ids[(i * 37) % 50], 10, 1, i), 0);
	for (size_t i = 0; i < 50; i++) {
		struct spool_done done;

		assert_int_equal(each_done(st, &done), 0);
		assert_true(done.token == i);
	}
	for (size_t i = 0; i < 50; i++) {
		assert_true(spool_next(st->sp, after, &info));
		assert_string_equal(info.id.text, ids[i].text);
		after = &ids[i];
	}
	assert_false(spool_next(st->sp, after, &info));
}

static void not_seen_before_it_is_durable(void **state)
{
	struct store *st = *state;
	struct id id = id_next(&st->ids, NOW);
	struct spool_info info;
	struct spool_done done;

	assert_int_equal(begin(st, id, 10, 1, 1), 0);
	assert_int_equal(spool_info(st->sp, &id, &info), -ENOENT);
	assert_false(spool_next(st->sp, NULL, &info));
	assert_int_equal(spool_outcome(st->sp, &id, 0, SPOOL_DELIVERED), -ENOENT);
	assert_int_equal(begin(st, id, 10, 1, 2), -EEXIST);
	assert_int_equal(each_done(st, &done), 0);
	assert_int_equal(begin(st, id, 10, 1, 2), -EEXIST);
	check(st, id, 10);
}

static void gone_with_the_last_outcome(void **state)
{
	struct store *st = *state;
	struct id three = put(st, 30000, 3), one = put(st, 10, 1), all = put(st, 10, 2);
	struct spool_recipient r;
	struct spool_info info;

	assert_int_equal(spool_outcome(st->sp, &three, 0, SPOOL_DELIVERED), 0);
	assert_int_equal(spool_outcome(st->sp, &three, 2, SPOOL_BOUNCED), 0);
	assert_int_equal(spool_outcome(st->sp, &three, 2, SPOOL_BOUNCED), 0);
	assert_int_equal(spool_outcome(st->sp, &three, 3, SPOOL_BOUNCED), -EINVAL);
	assert_int_equal(spool_outcome(st->sp, &one, 0, SPOOL_DELIVERED), 0);
	assert_int_equal(spool_outcome(st->sp, &all, SPOOL_ALL_RECIPIENTS, SPOOL_REMOVED), 0);
	for (int round = 0; round < 2; round++) {
		assert_int_equal(spool_info(st->sp, &one, &info), -ENOENT);
		assert_int_equal(spool_info(st->sp, &all, &info), -ENOENT);
		assert_int_equal(spool_info(st->sp, &three, &info), 0);
		assert_int_equal(info.open, 1);
		assert_int_equal(spool_recipient(st->sp, &three, 2, &r, NULL), 0);
		assert_true(r.done && r.outcome == SPOOL_BOUNCED);
		assert_int_equal(spool_recipient(st->sp, &three, 1, &r, NULL), 0);
		assert_false(r.done);
		check(st, three, 30000);
		reopen(st);
	}
	assert_int_equal(spool_outcome(st->sp, &three, 1, SPOOL_DELIVERED), 0);
	assert_int_equal(spool_info(st->sp, &three, &info), -ENOENT);
	reopen(st);
	assert_int_equal(spool_info(st->sp, &three, &info), -ENOENT);
	assert_false(spool_next(st->sp, NULL, &info));
}

static void marks_are_kept(void **state)
{
	struct store *st = *state;
	struct id id = put(st, 10, 2);
	struct spool_recipient r;
	struct spool_info info;
	struct buf detail;

	buf_init(&detail, 2000);
	assert_int_equal(spool_mark(st->sp, &id, 0, SPOOL_MARK_ATTEMPT, SLICE_LIT("")), 0);
	assert_int_equal(spool_recipient(st->sp, &id, 0, &r, NULL), 0);
	assert_true(r.attempted && !r.deferred && r.marked_ms > NOW - 1000000000000);
	assert_int_equal(spool_mark(st->sp, &id, 0, SPOOL_MARK_DEFERRED, SLICE_LIT("451 later")), 0);
	assert_int_equal(spool_mark(st->sp, &id, 1, SPOOL_MARK_ATTEMPT, SLICE_LIT("")), 0);
	assert_int_equal(spool_mark(st->sp, &id, SPOOL_ALL_RECIPIENTS, SPOOL_MARK_HOLD, SLICE_LIT("why")), 0);
	for (int round = 0; round < 2; round++) {
		assert_int_equal(spool_info(st->sp, &id, &info), 0);
		assert_true(info.held);
		buf_reset(&detail);
		assert_int_equal(spool_recipient(st->sp, &id, 0, &r, &detail), 0);
		assert_true(!r.attempted && r.deferred);
		assert_true(slice_eq(buf_slice(&detail), SLICE_LIT("451 later")));
		assert_int_equal(spool_recipient(st->sp, &id, 1, &r, NULL), 0);
		assert_true(r.attempted && !r.deferred);
		reopen(st);
	}
	assert_int_equal(spool_mark(st->sp, &id, SPOOL_ALL_RECIPIENTS, SPOOL_MARK_RELEASE, SLICE_LIT("")), 0);
	reopen(st);
	assert_int_equal(spool_info(st->sp, &id, &info), 0);
	assert_false(info.held);
	buf_done(&detail);
}

static void large_bodies_have_a_descriptor(void **state)
{
	struct store *st = *state;
	struct id small = put(st, 100, 1), large = put(st, 30000, 1);
	unsigned char byte;
	int fd;

	assert_int_equal(spool_body_fd(st->sp, &small), -ENODATA);
	fd = spool_body_fd(st->sp, &large);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, 29999), 1);
	assert_int_equal(byte, body_byte(29999, 30000));
	assert_int_equal(write(fd, "x", 1), -1);
	close(fd);
}

static void the_ceiling_of_memory_holds(void **state)
{
	struct store *st = *state;
	struct spool_body *b[100];
	struct spool_counters c;
	static unsigned char piece[15000];

	for (size_t i = 0; i < 100; i++) {
		assert_int_equal(spool_body_new(st->sp, &b[i]), 0);
		assert_int_equal(spool_body_put(b[i], slice_of(piece, sizeof(piece))), 0);
		spool_count(st->sp, &c);
		assert_true(c.memory_used <= c.memory_max);
	}
	assert_int_equal(c.collecting, 100);
	for (size_t i = 0; i < 100; i++)
		spool_body_drop(b[i]);
	spool_count(st->sp, &c);
	assert_true(c.memory_used == 0 && c.collecting == 0);
}

static void space_is_given_back(void **state)
{
	struct store *st = *state;
	struct id ids[200];
	struct spool_counters c;
	struct spool_info info;

	for (size_t i = 0; i < 200; i++)
		ids[i] = put(st, 5000, 1);
	spool_count(st->sp, &c);
	assert_true(c.segments > 10 && c.messages == 200);
	for (size_t i = 0; i < 200; i++)
		if (i % 10 != 3)
			assert_int_equal(spool_outcome(st->sp, &ids[i], 0, SPOOL_DELIVERED), 0);
	for (int i = 0; i < 12000 && c.segments > 5; i++) {
		struct spool_done done;

		assert_int_equal(spool_tick(st->sp, NOW), 0);
		if (st->maker->manual)
			spool_sync_now(st->sp);
		else
			usleep(5000);
		assert_false(spool_next_done(st->sp, &done));
		spool_count(st->sp, &c);
	}
	assert_true(c.segments <= 5 && c.messages == 20);
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < 200; i++)
			if (i % 10 != 3)
				assert_int_equal(spool_info(st->sp, &ids[i], &info), -ENOENT);
			else
				check(st, ids[i], 5000);
		reopen(st);
	}
}

static void only_one_process_has_it(void **state)
{
	struct store *st = *state;
	struct spool_setup setup = { .dir = st->dir, .disk = disk_real() };
	struct spool *second;

	assert_int_equal(spool_open(&setup, &second), -EBUSY);
}

static void refuses_nonsense(void **state)
{
	struct store *st = *state;
	struct id id = id_next(&st->ids, NOW);
	struct spool_info info;
	struct buf b;

	assert_int_equal(begin(st, id, 10, 0, 1), -EINVAL);
	assert_int_equal(begin(st, id, 10, 2000000, 1), -EINVAL);
	assert_int_equal(spool_info(st->sp, &id, &info), -ENOENT);
	buf_init(&b, 100);
	assert_int_equal(spool_read_meta(st->sp, &id, &b, &b), -ENOENT);
	assert_int_equal(spool_read_body(st->sp, &id, 0, &b, 1), -ENOENT);
	assert_int_equal(spool_body_fd(st->sp, &id), -ENOENT);
	assert_int_equal(spool_mark(st->sp, &id, 0, SPOOL_MARK_HOLD, SLICE_LIT("")), -ENOENT);
	buf_done(&b);
}

static const struct maker *making;

static int setup_store(void **state)
{
	struct store *st = calloc(1, sizeof(*st));

	st->maker = making;
	snprintf(st->dir, sizeof(st->dir), "/tmp/spool-test-XXXXXX");
	assert_non_null(mkdtemp(st->dir));
	id_source_init(&st->ids, 1);
	reopen(st);
	*state = st;
	return 0;
}

static int teardown_store(void **state)
{
	struct store *st = *state;

	spool_close(st->sp);
	nftw(st->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(st);
	return 0;
}

#define ROW(f) cmocka_unit_test_setup_teardown(f, setup_store, teardown_store)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(what_is_put_is_there),
		ROW(the_order_is_that_of_ids),
		ROW(not_seen_before_it_is_durable),
		ROW(gone_with_the_last_outcome),
		ROW(marks_are_kept),
		ROW(large_bodies_have_a_descriptor),
		ROW(the_ceiling_of_memory_holds),
		ROW(space_is_given_back),
		ROW(only_one_process_has_it),
		ROW(refuses_nonsense),
	};
	int failed = 0;

	if (sodium_init() < 0)
		return 1;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	for (size_t i = 0; i < sizeof(makers) / sizeof(makers[0]); i++) {
		making = &makers[i];
		failed += cmocka_run_group_tests_name(makers[i].name, tests, NULL, NULL);
	}
	return failed;
}
