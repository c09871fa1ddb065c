/* fault_test.c - full disks, failing disks, decay: each with the behaviour that
 * doc/spool.md states. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "spool/disk_sim.h"
#include "spool/record.h"
#include "spool/spool.h"

#define NOW UINT64_C(1790000000000)

struct place {
	struct disk_sim *sim;
	struct spool *sp;
	struct id_source ids;
	uint64_t free_min;
	size_t segment_max;
};

static int open_place(struct place *p)
{
	struct spool_setup setup = {
		.dir = "sim",
		.disk = disk_sim_disk(p->sim),
		.body_memory_max = 3000,
		.segment_max = p->segment_max,
		.free_min = p->free_min,
		.manual_sync = true,
	};

	p->sp = NULL;
	return spool_open(&setup, &p->sp);
}

static void close_place(struct place *p)
{
	spool_close(p->sp);
	p->sp = NULL;
}

static void reopen(struct place *p)
{
	close_place(p);
	assert_int_equal(open_place(p), 0);
}

static void power_cut(struct place *p)
{
	disk_sim_cut_after(p->sim, 0);
	close_place(p);
	disk_sim_reboot(p->sim, DISK_SIM_KEEP, 1);
	assert_int_equal(open_place(p), 0);
}

static unsigned char body_byte(size_t i)
{
	return (unsigned char)(i * 31 + (i >> 8));
}

static int try_put(struct place *p, size_t size, struct id *ret_id)
{
	struct id id = id_next(&p->ids, NOW);
	struct spool_message m = { .id = id, .time_ms = NOW, .recipients = 1, .envelope = id_slice(&id) };
	unsigned char *bytes = malloc(size + 1);
	struct spool_body *b;
	struct spool_done done;
	int r;

	*ret_id = id;
	for (size_t i = 0; i < size; i++)
		bytes[i] = body_byte(i);
	assert_int_equal(spool_body_new(p->sp, &b), 0);
	spool_body_put(b, slice_of(bytes, size));
	free(bytes);
	r = spool_commit(p->sp, b, &m, 5);
	if (r < 0)
		return r;
	spool_sync_now(p->sp);
	assert_true(spool_next_done(p->sp, &done));
	assert_true(done.token == 5);
	return done.result;
}

static struct id put(struct place *p, size_t size)
{
	struct id id;

	assert_int_equal(try_put(p, size, &id), 0);
	return id;
}

static int whole_of(struct place *p, const struct id *id)
{
	struct buf envelope, headers, body;
	int r;

	buf_init(&envelope, 100);
	buf_init(&headers, 100);
	buf_init(&body, 200000);
	r = spool_read_whole(p->sp, id, 65536, &envelope, &headers, &body);
	if (r == 0)
		assert_true(slice_eq(buf_slice(&envelope), id_slice(id)));
	for (size_t i = 0; r == 0 && i < body.n; i++)
		assert_int_equal(buf_slice(&body).p[i], body_byte(i));
	buf_done(&envelope);
	buf_done(&headers);
	buf_done(&body);
	return r;
}

/* 0: intact; -ENOENT: not there; -EBADMSG: reported as damaged. Anything else fails. */
static int state_of(struct place *p, const struct id *id)
{
	static unsigned char to[200000];
	struct spool_info info;
	struct buf envelope;
	ssize_t n;
	int r = spool_info(p->sp, id, &info), whole = whole_of(p, id);

	if (r < 0) {
		assert_int_equal(r, -ENOENT);
		assert_int_equal(whole, -ENOENT);
		return r;
	}
	buf_init(&envelope, 100);
	r = spool_read_meta(p->sp, id, &envelope, NULL);
	if (r == 0)
		assert_true(slice_eq(buf_slice(&envelope), id_slice(id)));
	buf_done(&envelope);
	n = r == 0 ? spool_read_body(p->sp, id, 0, to, sizeof(to)) : r;
	if (n >= 0 && (uint64_t)n < info.body_size) /* the rest says why */
		n = spool_read_body(p->sp, id, (uint64_t)n, to, sizeof(to));
	if (n < 0) {
		assert_int_equal(n, -EBADMSG);
		assert_int_equal(spool_info(p->sp, id, &info), 0);
		assert_true(info.damaged);
		assert_true(whole == -EBADMSG || whole == -ENODATA);
		return -EBADMSG;
	}
	assert_true(whole == 0 || whole == -ENODATA);
	for (ssize_t i = 0; i < n; i++)
		assert_int_equal(to[i], body_byte((size_t)i));
	return 0;
}

static void check(struct place *p, const struct id *id)
{
	assert_int_equal(state_of(p, id), 0);
}

static struct spool_recovery recovery(struct place *p)
{
	struct spool_recovery r;

	spool_recovered(p->sp, &r);
	return r;
}

static void ticks(struct place *p, int n)
{
	struct spool_done done;

	for (int i = 0; i < n; i++) {
		spool_tick(p->sp, NOW);
		spool_sync_now(p->sp);
		assert_false(spool_next_done(p->sp, &done));
	}
}

/* --- a full disk --- */

static void says_so_before_it_is_full(void **state)
{
	struct place *p = *state;

	p->free_min = 50000;
	reopen(p);
	assert_int_equal(spool_accepting(p->sp), 0);
	disk_sim_capacity(p->sim, 40000);
	ticks(p, 1);
	assert_int_equal(spool_accepting(p->sp), -ENOSPC);
	put(p, 100); /* who is at it may finish */
	disk_sim_capacity(p->sim, 0);
	ticks(p, 1);
	assert_int_equal(spool_accepting(p->sp), 0);
}

static void a_full_disk_refuses_and_recovers(void **state)
{
	struct place *p = *state;
	struct id a = put(p, 1000), b, c, large;
	struct spool_counters count;

	disk_sim_capacity(p->sim, 2500);
	assert_int_equal(try_put(p, 2000, &b), -ENOSPC);
	assert_int_equal(try_put(p, 9000, &large), -ENOSPC);
	assert_int_equal(spool_accepting(p->sp), -ENOSPC);
	assert_int_equal(state_of(p, &b), -ENOENT);
	check(p, &a);
	disk_sim_capacity(p->sim, 0);
	ticks(p, 1);
	assert_int_equal(spool_accepting(p->sp), 0);
	c = put(p, 2000);
	spool_count(p->sp, &count);
	assert_true(count.failed_commits == 2 && count.commits == 2);
	for (int round = 0; round < 2; round++) {
		check(p, &a);
		check(p, &c);
		assert_int_equal(state_of(p, &b), -ENOENT);
		assert_true(recovery(p).damaged == 0);
		power_cut(p);
	}
}

static void outcomes_wait_for_space(void **state)
{
	struct place *p = *state;
	struct id a = put(p, 5000), b = put(p, 100);
	size_t n;
	char file[40];

	snprintf(file, sizeof(file), "bodies/%s", a.text);
	disk_sim_capacity(p->sim, 1);
	assert_int_equal(spool_outcome(p->sp, &a, 0, SPOOL_DELIVERED), 0);
	assert_int_equal(spool_outcome(p->sp, &b, 0, SPOOL_DELIVERED), 0);
	ticks(p, 3);
	assert_int_equal(state_of(p, &a), -ENOENT);
	/* Not yet written, so nothing that follows from it has happened. */
	assert_non_null(disk_sim_content(p->sim, file, &n));
	disk_sim_capacity(p->sim, 0);
	ticks(p, 3);
	assert_null(disk_sim_content(p->sim, file, &n));
	power_cut(p);
	assert_int_equal(state_of(p, &a), -ENOENT);
	assert_int_equal(state_of(p, &b), -ENOENT);
}

/* What nobody would know of after a restart is not begun. */
static void attempts_wait_for_space(void **state)
{
	struct place *p = *state;
	struct id a = put(p, 100), b = put(p, 100);
	struct spool_recipient r;

	disk_sim_capacity(p->sim, 1);
	assert_int_equal(spool_mark(p->sp, &a, 0, SPOOL_MARK_ATTEMPT, SLICE_LIT("")), -ENOSPC);
	assert_int_equal(spool_recipient(p->sp, &a, 0, &r, NULL), 0);
	assert_false(r.attempted);
	/* Of one begun before, the outcome is kept in mind. */
	assert_int_equal(spool_mark(p->sp, &b, 0, SPOOL_MARK_DEFERRED, SLICE_LIT("451 later")), 0);
	assert_int_equal(spool_mark(p->sp, &a, 0, SPOOL_MARK_ATTEMPT, SLICE_LIT("")), -ENOSPC);
	disk_sim_capacity(p->sim, 0);
	assert_int_equal(spool_mark(p->sp, &a, 0, SPOOL_MARK_ATTEMPT, SLICE_LIT("")), 0);
	ticks(p, 3);
	power_cut(p);
	assert_int_equal(spool_recipient(p->sp, &a, 0, &r, NULL), 0);
	assert_true(r.attempted);
	assert_int_equal(spool_recipient(p->sp, &b, 0, &r, NULL), 0);
	assert_true(r.deferred);
}

static void short_writes_do_no_harm(void **state)
{
	static const size_t most[] = { 1, 7, 33, 500 };
	struct place *p = *state;
	struct id ids[8];

	for (size_t i = 0; i < 4; i++) {
		disk_sim_short_writes(p->sim, most[i]);
		ids[2 * i] = put(p, 2000);
		ids[2 * i + 1] = put(p, 4000);
	}
	disk_sim_short_writes(p->sim, 0);
	power_cut(p);
	for (size_t i = 0; i < 8; i++)
		check(p, &ids[i]);
}

/* --- a failing disk --- */

struct failing {
	const char *name;
	enum disk_sim_op op;
	unsigned after;
	size_t size; /* of the body under which it fails */
	int error;
};

static const struct failing failings[] = {
	{ "the segment's sync", DISK_SIM_DATASYNC, 0, 100, -EIO },
	{ "the segment's sync, full", DISK_SIM_DATASYNC, 0, 100, -ENOSPC },
	{ "the segment's write", DISK_SIM_WRITE, 0, 100, -EIO },
	{ "a body's sync", DISK_SIM_DATASYNC, 0, 5000, -EIO },
	{ "the bodies' folder", DISK_SIM_DIRSYNC, 0, 5000, -EIO },
	{ "the segment's sync after a body's", DISK_SIM_DATASYNC, 1, 5000, -EIO },
};

static void a_failed_sync_is_final(void **state)
{
	struct place *p = *state;

	for (size_t i = 0; i < sizeof(failings) / sizeof(failings[0]); i++) {
		const struct failing *f = &failings[i];
		struct id a = put(p, 1000), b, c;
		size_t before, after;

		disk_sim_content(p->sim, disk_sim_name(p->sim, ".seg", 0), &before);
		disk_sim_fail(p->sim, f->op, f->after, 1, f->error);
		assert_int_equal(try_put(p, f->size, &b), f->error);
		assert_int_equal(try_put(p, 100, &c), f->error); /* though the disk would work again */
		assert_int_equal(spool_accepting(p->sp), f->error);
		assert_int_equal(spool_tick(p->sp, NOW), f->error);
		disk_sim_content(p->sim, disk_sim_name(p->sim, ".seg", 0), &after);
		assert_int_equal(before, after); /* cut back: it was never promised */
		check(p, &a);
		reopen(p);
		assert_false(recovery(p).clean);
		assert_int_equal(spool_accepting(p->sp), 0);
		check(p, &a);
		assert_int_equal(state_of(p, &b), -ENOENT);
		assert_int_equal(state_of(p, &c), -ENOENT);
		assert_int_equal(spool_outcome(p->sp, &a, 0, SPOOL_DELIVERED), 0);
		ticks(p, 3);
	}
}

static void a_failed_log_sync_is_final(void **state)
{
	struct place *p = *state;
	struct id a = put(p, 1000), b;

	spool_outcome(p->sp, &a, 0, SPOOL_DELIVERED);
	disk_sim_fail(p->sim, DISK_SIM_DATASYNC, 0, 1, -EIO);
	spool_tick(p->sp, NOW);
	assert_int_equal(spool_sync_now(p->sp), -EIO);
	assert_int_equal(try_put(p, 10, &b), -EIO);
}

/* --- decay --- */

#define SEVERAL 6

static void several(struct place *p, struct id ids[SEVERAL])
{
	for (size_t i = 0; i < SEVERAL; i++)
		ids[i] = put(p, 150 * i);
}

/* Flips a bit of each octet in turn; at most one message may suffer, and it is
 * reported or (when not even its name is left) counted. */
static void flip_all(struct place *p, const char *file, const struct id ids[SEVERAL], size_t last_may_vanish)
{
	struct disk_sim *sim = p->sim;
	size_t n;

	assert_non_null(disk_sim_content(sim, file, &n));
	for (size_t at = 0; at < n; at++) {
		size_t lost = 0, damaged = 0;

		p->sim = disk_sim_clone(sim);
		assert_true(disk_sim_flip(p->sim, file, at, at % 8));
		assert_int_equal(open_place(p), 0);
		for (size_t i = 0; i < SEVERAL; i++) {
			int r = state_of(p, &ids[i]);

			lost += r == -ENOENT && i < last_may_vanish;
			damaged += r == -EBADMSG;
		}
		if (lost + damaged > 1)
			fail_msg("octet %zu: %zu lost, %zu damaged", at, lost, damaged);
		if (lost > 0)
			assert_true(recovery(p).damaged > 0);
		put(p, 10);
		close_place(p);
		disk_sim_free(p->sim);
	}
	p->sim = sim;
	assert_int_equal(open_place(p), 0);
}

static void decay_of_a_sealed_segment(void **state)
{
	struct place *p = *state;
	struct id ids[SEVERAL];

	several(p, ids);
	close_place(p);
	flip_all(p, disk_sim_name(p->sim, ".seg", 0), ids, SEVERAL);
}

/* Before its seal the last batch cannot be told from a torn one. */
static void decay_of_the_open_segment(void **state)
{
	struct place *p = *state;
	struct id ids[SEVERAL];

	several(p, ids);
	disk_sim_cut_after(p->sim, 0);
	close_place(p);
	disk_sim_reboot(p->sim, DISK_SIM_KEEP, 1);
	flip_all(p, disk_sim_name(p->sim, ".seg", 0), ids, SEVERAL - 1);
}

/* At worst an outcome is lost, and its message comes back; never another. */
static void decay_of_the_log(void **state)
{
	struct place *p = *state;
	struct id ids[SEVERAL];
	struct disk_sim *sim = p->sim;
	const char *file;
	size_t n;

	several(p, ids);
	for (size_t i = 0; i < SEVERAL - 2; i++)
		assert_int_equal(spool_outcome(p->sp, &ids[i], 0, SPOOL_DELIVERED), 0);
	close_place(p);
	file = disk_sim_name(sim, ".log", 0);
	assert_non_null(disk_sim_content(sim, file, &n));
	for (size_t at = 0; at < n; at++) {
		size_t back = 0;

		p->sim = disk_sim_clone(sim);
		assert_true(disk_sim_flip(p->sim, file, at, at % 8));
		assert_int_equal(open_place(p), 0);
		for (size_t i = 0; i < SEVERAL - 2; i++)
			back += state_of(p, &ids[i]) == 0;
		assert_true(back <= 1);
		if (back)
			assert_true(recovery(p).damaged > 0);
		check(p, &ids[SEVERAL - 2]);
		check(p, &ids[SEVERAL - 1]);
		close_place(p);
		disk_sim_free(p->sim);
	}
	p->sim = sim;
	assert_int_equal(open_place(p), 0);
}

static void a_body_that_decays_is_told_block_by_block(void **state)
{
	struct place *p = *state;
	struct id a = put(p, 150000), b = put(p, 100000);
	unsigned char byte;
	struct spool_info info;
	struct spool_counters count;
	char file[40];

	snprintf(file, sizeof(file), "bodies/%s", a.text);
	assert_true(disk_sim_flip(p->sim, file, 70000, 3));
	assert_int_equal(spool_read_body(p->sp, &a, 65535, &byte, 1), 1);
	assert_int_equal(byte, body_byte(65535));
	assert_int_equal(spool_info(p->sp, &a, &info), 0);
	assert_false(info.damaged);
	assert_int_equal(spool_read_body(p->sp, &a, 65536, &byte, 1), -EBADMSG);
	assert_int_equal(spool_info(p->sp, &a, &info), 0);
	assert_true(info.damaged);
	assert_int_equal(spool_read_body(p->sp, &a, 140000, &byte, 1), 1);
	spool_count(p->sp, &count);
	assert_true(count.damaged == 1);
	check(p, &b);
}

static void a_missing_body_is_told_at_the_start(void **state)
{
	struct place *p = *state;
	struct id a = put(p, 5000), b = put(p, 6000);
	struct spool_info info;
	struct buf envelope;
	char file[40];

	close_place(p);
	snprintf(file, sizeof(file), "bodies/%s", a.text);
	assert_true(disk_sim_remove(p->sim, file));
	assert_int_equal(open_place(p), 0);
	assert_true(recovery(p).missing == 1);
	assert_int_equal(spool_info(p->sp, &a, &info), 0);
	assert_true(info.damaged);
	buf_init(&envelope, 100);
	assert_int_equal(spool_read_meta(p->sp, &a, &envelope, NULL), 0);
	buf_done(&envelope);
	assert_int_equal(spool_body_fd(p->sp, &a), -EBADMSG);
	assert_int_equal(state_of(p, &a), -EBADMSG);
	check(p, &b);
	assert_int_equal(spool_outcome(p->sp, &a, SPOOL_ALL_RECIPIENTS, SPOOL_REMOVED), 0);
	reopen(p);
	assert_true(recovery(p).missing == 0);
	assert_int_equal(state_of(p, &a), -ENOENT);
}

static void a_missing_segment_is_told_at_each_start(void **state)
{
	struct place *p = *state;
	struct id ids[30];
	size_t there = 0;
	bool large_there;
	char file[40];
	size_t n;

	for (size_t i = 0; i < 30; i++)
		ids[i] = put(p, i == 10 ? 5000 : 1000);
	close_place(p);
	assert_true(disk_sim_remove(p->sim, disk_sim_name(p->sim, ".seg", 1)));
	for (int round = 0; round < 3; round++) {
		assert_int_equal(open_place(p), 0);
		assert_true(recovery(p).missing == 1);
		there = 0;
		for (size_t i = 0; i < 30; i++)
			there += state_of(p, &ids[i]) == 0;
		assert_true(there < 30 && there > 15);
		put(p, 10);
		ticks(p, 3);
		close_place(p);
	}
	/* The body of a message that was in it may be all that is left: it stays. */
	snprintf(file, sizeof(file), "bodies/%s", ids[10].text);
	large_there = disk_sim_content(p->sim, file, &n) != NULL;
	assert_true(large_there);
	assert_int_equal(open_place(p), 0);
}

static void orphans_are_deleted(void **state)
{
	struct place *p = *state;
	struct id a = put(p, 5000), nobody = id_next(&p->ids, NOW);
	char file[40];
	size_t n;

	close_place(p);
	snprintf(file, sizeof(file), "bodies/%s", nobody.text);
	disk_sim_put(p->sim, file, "x", 1);
	disk_sim_put(p->sim, "bodies/new-7", "x", 1);
	assert_int_equal(open_place(p), 0);
	assert_true(recovery(p).orphans == 2);
	assert_null(disk_sim_content(p->sim, file, &n));
	check(p, &a);
}

static void a_segment_with_a_hole_is_set_aside_in_the_end(void **state)
{
	struct place *p = *state;
	struct id ids[SEVERAL];
	const char *file;
	char aside[40];
	size_t n;

	several(p, ids);
	close_place(p);
	file = disk_sim_name(p->sim, ".seg", 0);
	snprintf(aside, sizeof(aside), "%.16s.damaged", file);
	assert_non_null(disk_sim_content(p->sim, file, &n));
	assert_true(disk_sim_flip(p->sim, file, n - 1, 0)); /* the trailer, and a record's head */
	assert_true(disk_sim_flip(p->sim, file, RECORD_FILE_HEAD + 1, 0));
	assert_int_equal(open_place(p), 0);
	assert_true(recovery(p).damaged > 0 && recovery(p).scanned == 1);
	put(p, 100);
	for (size_t i = 1; i < SEVERAL - 1; i++)
		assert_int_equal(spool_outcome(p->sp, &ids[i], 0, SPOOL_DELIVERED), 0);
	ticks(p, 8);
	assert_non_null(disk_sim_content(p->sim, aside, &n));
	check(p, &ids[SEVERAL - 1]);
	reopen(p);
	check(p, &ids[SEVERAL - 1]);
	for (size_t i = 0; i < SEVERAL - 1; i++)
		assert_int_equal(state_of(p, &ids[i]), -ENOENT);
}

/* A stranger mails a record.  The scan that lost its place must not take it. */
static void a_planted_record_is_not_believed(void **state)
{
	struct place *p = *state, other = { .sim = disk_sim_new(), .segment_max = 1 << 20 };
	struct id forged, carrier, after;
	struct spool_message m = { .time_ms = NOW, .recipients = 1, .envelope = SLICE_LIT("e") };
	struct spool_body *b;
	struct spool_done done;
	const unsigned char *seg;
	unsigned char evil[2400];
	const char *file;
	size_t n;

	id_source_init(&other.ids, 9);
	assert_int_equal(open_place(&other), 0);
	forged = put(&other, 100);
	seg = disk_sim_content(other.sim, disk_sim_name(other.sim, ".seg", 0), &n);
	/* The same record at every alignment that a scan could try. */
	memset(evil, 0, sizeof(evil));
	n -= RECORD_FILE_HEAD;
	assert_true(n <= 256);
	for (size_t i = 0; i < 8; i++)
		memcpy(evil + 256 * i + i, seg + RECORD_FILE_HEAD, n);
	m.id = carrier = id_next(&p->ids, NOW);
	assert_int_equal(spool_body_new(p->sp, &b), 0);
	assert_int_equal(spool_body_put(b, slice_of(evil, sizeof(evil))), 0);
	assert_int_equal(spool_commit(p->sp, b, &m, 1), 0);
	spool_sync_now(p->sp);
	assert_true(spool_next_done(p->sp, &done));
	after = put(p, 100);
	disk_sim_cut_after(p->sim, 0);
	close_place(p);
	disk_sim_reboot(p->sim, DISK_SIM_KEEP, 1);
	file = disk_sim_name(p->sim, ".seg", 0);
	assert_true(disk_sim_flip(p->sim, file, RECORD_FILE_HEAD + 20, 1)); /* the carrier's length */
	assert_int_equal(open_place(p), 0);
	assert_int_equal(state_of(p, &forged), -ENOENT);
	assert_int_equal(state_of(p, &carrier), -ENOENT);
	check(p, &after);
	assert_true(recovery(p).damaged == 1);
	spool_close(other.sp);
	disk_sim_free(other.sim);
}

static void says_whether_it_was_closed_in_order(void **state)
{
	struct place *p = *state;
	struct id a = put(p, 100);

	reopen(p);
	assert_true(recovery(p).clean && recovery(p).scanned == 0);
	power_cut(p);
	assert_false(recovery(p).clean);
	put(p, 100);
	power_cut(p);
	assert_true(!recovery(p).clean && recovery(p).scanned == 1);
	check(p, &a);
}

static int setup_place(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	p->sim = disk_sim_new();
	p->segment_max = 8192;
	id_source_init(&p->ids, 1);
	assert_int_equal(open_place(p), 0);
	*state = p;
	return 0;
}

static int teardown_place(void **state)
{
	struct place *p = *state;

	close_place(p);
	disk_sim_free(p->sim);
	free(p);
	return 0;
}

#define ROW(f) cmocka_unit_test_setup_teardown(f, setup_place, teardown_place)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(says_so_before_it_is_full),
		ROW(a_full_disk_refuses_and_recovers),
		ROW(outcomes_wait_for_space),
		ROW(attempts_wait_for_space),
		ROW(short_writes_do_no_harm),
		ROW(a_failed_sync_is_final),
		ROW(a_failed_log_sync_is_final),
		ROW(decay_of_a_sealed_segment),
		ROW(decay_of_the_open_segment),
		ROW(decay_of_the_log),
		ROW(a_body_that_decays_is_told_block_by_block),
		ROW(a_missing_body_is_told_at_the_start),
		ROW(a_missing_segment_is_told_at_each_start),
		ROW(orphans_are_deleted),
		ROW(a_segment_with_a_hole_is_set_aside_in_the_end),
		ROW(a_planted_record_is_not_believed),
		ROW(says_whether_it_was_closed_in_order),
	};

	if (sodium_init() < 0)
		return 1;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
