/* thread_test.c - the sync thread on a real disk: many commits wait for few
 * syncs, and all of them are there afterwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <ftw.h>
#include <poll.h>
#include <sodium.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include "spool/spool.h"

#define NOW	UINT64_C(1790000000000)
#define COMMITS 4000
#define WAITING 50 /* sessions at once */

struct run {
	char dir[32];
	struct spool *sp;
	struct id_source ids;
	struct id id[COMMITS];
	atomic_uint begun, done; /* the disk looks at them, on the sync thread */
};

static struct run *run;
static struct disk slow;

/* A disk that is never quicker than the sessions, as one of memory is: a sync ends when all wait that may. */
static int slow_datasync(const struct disk *d, int file)
{
	for (int i = 0; i < 200; i++) {
		unsigned begun = atomic_load(&run->begun);

		if (begun == COMMITS || begun - atomic_load(&run->done) >= WAITING)
			break;
		usleep(500);
	}
	return disk_real()->datasync(d, file);
}

static void open_it(struct run *r)
{
	struct spool_setup setup = { .dir = r->dir, .disk = &slow, .segment_max = 4 << 20 };

	run = r;
	slow = *disk_real();
	slow.datasync = slow_datasync;
	assert_int_equal(spool_open(&setup, &r->sp), 0);
}

static void begin(struct run *r)
{
	static const unsigned char text[4096] = "Subject: x\r\n\r\n";
	unsigned n = r->begun++;
	struct spool_message m = { .time_ms = NOW, .recipients = 1, .envelope = SLICE_LIT("e") };
	struct spool_body *b;

	m.id = r->id[n] = id_next(&r->ids, NOW + n);
	assert_int_equal(spool_body_new(r->sp, &b), 0);
	assert_int_equal(spool_body_put(b, slice_of(text, n % sizeof(text))), 0);
	assert_int_equal(spool_commit(r->sp, b, &m, n), 0);
}

static void take_done(struct run *r)
{
	struct pollfd p = { .fd = spool_wake_fd(r->sp), .events = POLLIN };
	struct spool_done done;

	assert_int_equal(poll(&p, 1, 60000), 1);
	while (spool_next_done(r->sp, &done)) {
		assert_int_equal(done.result, 0);
		r->done++;
		if (done.token % 3 == 0) /* some are delivered while others come in */
			assert_int_equal(spool_outcome(r->sp, &r->id[done.token], 0, SPOOL_DELIVERED), 0);
	}
}

static void one_sync_serves_many(void **state)
{
	struct run *r = *state;
	struct spool_counters c;
	struct spool_info info;
	unsigned ticks = 0;

	open_it(r);
	while (r->done < COMMITS) {
		while (r->begun < COMMITS && r->begun - r->done < WAITING)
			begin(r);
		take_done(r);
		if (++ticks % 16 == 0)
			assert_int_equal(spool_tick(r->sp, NOW), 0);
	}
	spool_count(r->sp, &c);
	print_message("# %llu commits, %llu syncs, largest batch %llu, %llu us a sync\n",
		      (unsigned long long)c.commits, (unsigned long long)c.syncs,
		      (unsigned long long)c.largest_batch, (unsigned long long)(c.sync_us / c.syncs));
	assert_true(c.commits == COMMITS);
	assert_true(c.syncs < COMMITS / 2);
	for (int round = 0; round < 2; round++) {
		for (unsigned n = 0; n < COMMITS; n++)
			assert_int_equal(spool_info(r->sp, &r->id[n], &info) == 0, n % 3 != 0);
		spool_close(r->sp);
		open_it(r);
	}
	spool_close(r->sp);
}

/* What waits when the spool is closed is committed. */
static void closing_loses_nothing(void **state)
{
	struct run *r = *state;
	struct spool_info info;

	open_it(r);
	for (int i = 0; i < 200; i++)
		begin(r);
	spool_close(r->sp);
	open_it(r);
	for (int i = 0; i < 200; i++)
		assert_int_equal(spool_info(r->sp, &r->id[i], &info), 0);
	spool_close(r->sp);
}

static int setup_run(void **state)
{
	struct run *r = calloc(1, sizeof(*r));

	snprintf(r->dir, sizeof(r->dir), "/tmp/spool-test-XXXXXX");
	assert_non_null(mkdtemp(r->dir));
	id_source_init(&r->ids, 1);
	*state = r;
	return 0;
}

static int remove_one(const char *path, const struct stat *s, int type, struct FTW *ftw)
{
	(void)s, (void)type, (void)ftw;
	return remove(path);
}

static int teardown_run(void **state)
{
	struct run *r = *state;

	nftw(r->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(r);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_sync_serves_many, setup_run, teardown_run),
		cmocka_unit_test_setup_teardown(closing_loses_nothing, setup_run, teardown_run),
	};

	if (sodium_init() < 0)
		return 1;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
