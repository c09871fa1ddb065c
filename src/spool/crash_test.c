/* crash_test.c - the power fails: everywhere, and again while recovering.
 *
 * One scripted day of a spool runs once on the simulated disk.  Before each
 * operation that changes the disk, copies of it are cut there (of a write, at
 * every octet), left with what a real disk might have kept, opened again, and
 * compared with what had been promised at that moment.
 *
 * By default places and octets are sampled; POSTERN_FULL=1 takes all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <sodium.h>

#include "spool/disk_sim.h"
#include "spool/spool.h"

#define NOW	    UINT64_C(1790000000000)
#define MESSAGES    64
#define RECIPIENTS  2
#define BODY_MEMORY 2000

enum kept { NOT, PERHAPS, SURELY }; /* on the disk */

struct expected {
	struct id id;
	size_t size;
	uint32_t recipients;
	enum kept stored;
	enum kept done[RECIPIENTS];
	enum kept held; /* PERHAPS: the last change of it is not durable */
	bool hold;
};

struct day {
	struct disk_sim *sim;
	struct spool *sp;
	struct id_source ids;
	struct expected m[MESSAGES];
	size_t messages;
	unsigned waiting;
	/* checking */
	bool full, quiet;
	uint64_t cuts, ops;
	uint32_t seed;
};

static struct spool *open_on(struct disk_sim *sim, int *ret_error)
{
	struct spool_setup setup = {
		.dir = "sim",
		.disk = disk_sim_disk(sim),
		.body_memory_max = BODY_MEMORY,
		.segment_max = 8192,
		.manual_sync = true,
	};
	struct spool *sp = NULL;

	*ret_error = spool_open(&setup, &sp);
	return sp;
}

static unsigned char body_byte(size_t i, size_t size)
{
	return (unsigned char)(i * 31 + size * 7 + (i >> 8));
}

static void check_body(struct spool *sp, const struct expected *m)
{
	static unsigned char to[80000];
	ssize_t n = spool_read_body(sp, &m->id, 0, to, sizeof(to));

	assert_int_equal(n, (ssize_t)m->size);
	for (size_t i = 0; i < m->size; i++)
		if (to[i] != body_byte(i, m->size))
			fail_msg("octet %zu of %s differs", i, m->id.text);
}

static bool all_done(const struct expected *m, enum kept at_least)
{
	for (uint32_t i = 0; i < m->recipients; i++)
		if (m->done[i] < at_least)
			return false;
	return true;
}

static void check_recipients(struct spool *sp, const struct expected *m)
{
	for (uint32_t i = 0; i < m->recipients; i++) {
		struct spool_recipient r;

		assert_int_equal(spool_recipient(sp, &m->id, i, &r, NULL), 0);
		if (m->done[i] == SURELY)
			assert_true(r.done);
		if (m->done[i] == NOT)
			assert_false(r.done);
	}
}

static void check_message(struct spool *sp, const struct expected *m)
{
	struct spool_info info;
	struct buf envelope;
	int r = spool_info(sp, &m->id, &info);

	if (r == -ENOENT) {
		if (m->stored == SURELY && !all_done(m, PERHAPS))
			fail_msg("%s was acknowledged and is not there", m->id.text);
		return;
	}
	assert_int_equal(r, 0);
	if (m->stored == NOT)
		fail_msg("%s is there and was never committed", m->id.text);
	if (all_done(m, SURELY))
		fail_msg("%s came back after its last outcome", m->id.text);
	assert_false(info.damaged);
	assert_true(info.recipients == m->recipients && info.body_size == m->size);
	if (m->held == SURELY)
		assert_int_equal(info.held, m->hold);
	check_recipients(sp, m);
	buf_init(&envelope, 100);
	assert_int_equal(spool_read_meta(sp, &m->id, &envelope, NULL), 0);
	assert_true(slice_eq(buf_slice(&envelope), id_slice(&m->id)));
	buf_done(&envelope);
	check_body(sp, m);
}

static bool is_known(const struct day *d, const struct id *id)
{
	for (size_t i = 0; i < d->messages; i++)
		if (slice_eq(id_slice(id), id_slice(&d->m[i].id)))
			return true;
	return false;
}

static void check_all(struct spool *sp, const struct day *d)
{
	struct spool_info info;
	struct spool_recovery r;
	struct id last = { "" };
	size_t n = 0;

	for (size_t i = 0; i < d->messages; i++)
		check_message(sp, &d->m[i]);
	while (spool_next(sp, n ? &last : NULL, &info)) {
		assert_true(is_known(d, &info.id));
		assert_true(n == 0 || slice_cmp(id_slice(&last), id_slice(&info.id)) < 0);
		last = info.id;
		n++;
	}
	spool_recovered(sp, &r);
	assert_true(r.damaged == 0 && r.missing == 0);
	assert_true(r.messages == n);
}

/* --- what the day consists of --- */

static void settle_done(struct day *d)
{
	struct spool_done done;

	while (spool_next_done(d->sp, &done)) {
		assert_int_equal(done.result, 0);
		d->m[done.token].stored = SURELY;
		d->waiting--;
	}
}

static void sync_now(struct day *d)
{
	assert_int_equal(spool_sync_now(d->sp), 0);
	for (size_t i = 0; i < d->messages; i++) {
		for (uint32_t k = 0; k < RECIPIENTS; k++)
			if (d->m[i].done[k] == PERHAPS)
				d->m[i].done[k] = SURELY;
		d->m[i].held = SURELY;
	}
	settle_done(d);
}

static size_t commit(struct day *d, size_t size, uint32_t recipients)
{
	struct expected *m = &d->m[d->messages];
	struct spool_message sm = { .time_ms = NOW, .recipients = recipients };
	struct spool_body *b;
	unsigned char piece[700];

	assert_true(d->messages < MESSAGES);
	*m = (struct expected){ .size = size, .recipients = recipients, .held = SURELY };
	m->id = sm.id = id_next(&d->ids, NOW + d->messages);
	sm.envelope = id_slice(&sm.id);
	d->messages++;
	assert_int_equal(spool_body_new(d->sp, &b), 0);
	for (size_t at = 0; at < size;) {
		size_t n = size - at < sizeof(piece) ? size - at : sizeof(piece);

		for (size_t i = 0; i < n; i++)
			piece[i] = body_byte(at + i, size);
		assert_int_equal(spool_body_put(b, slice_of(piece, n)), 0);
		at += n;
	}
	m->stored = PERHAPS;
	assert_int_equal(spool_commit(d->sp, b, &sm, (uint64_t)(m - d->m)), 0);
	d->waiting++;
	return (size_t)(m - d->m);
}

static void outcome(struct day *d, size_t i, uint32_t recipient)
{
	d->m[i].done[recipient] = PERHAPS;
	assert_int_equal(spool_outcome(d->sp, &d->m[i].id, recipient, SPOOL_DELIVERED), 0);
}

static void finish(struct day *d, size_t i)
{
	for (uint32_t k = 0; k < d->m[i].recipients; k++)
		if (d->m[i].done[k] == NOT)
			outcome(d, i, k);
}

static void hold(struct day *d, size_t i, bool on)
{
	d->m[i].hold = on;
	d->m[i].held = PERHAPS;
	assert_int_equal(spool_mark(d->sp, &d->m[i].id, SPOOL_ALL_RECIPIENTS,
				    on ? SPOOL_MARK_HOLD : SPOOL_MARK_RELEASE, SLICE_LIT("an operator")),
			 0);
}

static void defer(struct day *d, size_t i, uint32_t recipient)
{
	struct slice reply = SLICE_LIT("451 4.7.1 greylisted, come back later, and say what you said");

	assert_int_equal(spool_mark(d->sp, &d->m[i].id, recipient, SPOOL_MARK_ATTEMPT, SLICE_LIT("")), 0);
	assert_int_equal(spool_mark(d->sp, &d->m[i].id, recipient, SPOOL_MARK_DEFERRED, reply), 0);
}

static void tick(struct day *d)
{
	assert_int_equal(spool_tick(d->sp, NOW), 0);
	sync_now(d);
}

static void restart(struct day *d)
{
	int r;

	spool_close(d->sp);
	for (size_t i = 0; i < d->messages; i++) {
		if (d->m[i].stored == PERHAPS)
			d->m[i].stored = SURELY;
		for (uint32_t k = 0; k < RECIPIENTS; k++)
			if (d->m[i].done[k] == PERHAPS)
				d->m[i].done[k] = SURELY;
		d->m[i].held = SURELY;
	}
	d->sp = open_on(d->sim, &r);
	assert_int_equal(r, 0);
}

/* Sizes on both sides of "a file of its own", of a block, and of a segment. */
static void morning(struct day *d)
{
	size_t a, b, c;

	a = commit(d, 100, 1);
	sync_now(d);
	b = commit(d, 1500, 2);
	c = commit(d, 70000, 2);
	commit(d, 0, 1);
	sync_now(d);
	outcome(d, b, 1);
	hold(d, c, true);
	commit(d, 2500, 1);
	sync_now(d);
	outcome(d, a, 0);
	outcome(d, c, 0);
	defer(d, c, 1);
	tick(d);
	hold(d, c, false);
	outcome(d, c, 1);
	tick(d);
	restart(d);
}

/* Rollover, mostly dead segments, and enough events to compact the log. */
static void afternoon(struct day *d)
{
	size_t from = d->messages;

	for (int i = 0; i < 21; i++) {
		commit(d, (size_t)(900 + 50 * i), 1 + (uint32_t)i % 2);
		if (i % 3 == 2)
			sync_now(d);
	}
	for (size_t i = from; i < d->messages; i++) {
		defer(d, i, 0);
		if (i % 5 != 0)
			outcome(d, i, 0);
		if (i % 5 != 0 && d->m[i].recipients > 1)
			outcome(d, i, 1);
		if (i % 7 == 0)
			tick(d);
	}
	hold(d, from + 2 - (from + 2) % 5 + 5, true);
	/* Some end between their move to another segment and the end of the old one. */
	for (size_t i = 0; i < 5; i++) {
		tick(d);
		finish(d, from + 5 - from % 5 + 5 * (i % 3));
	}
	for (size_t i = from; i < d->messages; i++)
		if (i % 5 == 0 && !all_done(&d->m[i], PERHAPS))
			for (int k = 0; k < 8; k++)
				defer(d, i, 0);
	for (int i = 0; i < 5; i++)
		tick(d);
}

static void evening(struct day *d)
{
	commit(d, 3000, 1);
	commit(d, 300, 1);
	sync_now(d);
	for (size_t i = 0; i < d->messages; i++)
		for (uint32_t k = 0; k < d->m[i].recipients; k++)
			if (d->m[i].done[k] == NOT && i % 2 == 0)
				outcome(d, i, k);
	for (int i = 0; i < 4; i++)
		tick(d);
	restart(d);
	commit(d, 50, 1);
	sync_now(d);
}

/* A message ends between its move to another segment and the end of the old one:
 * its end must be remembered until both are gone. */
static void night(struct day *d)
{
	size_t from = d->messages;

	for (int i = 0; i < 12; i++) {
		commit(d, 1500, 1);
		sync_now(d);
	}
	for (size_t i = from; i < d->messages; i++)
		if (i % 4 != 0)
			outcome(d, i, 0);
	for (int round = 0; round < 4; round++) {
		tick(d);
		for (size_t i = from; i < d->messages && round == 1; i += 4)
			finish(d, i - i % 4 + 4 < d->messages ? i - i % 4 + 4 : i);
	}
	for (int i = 0; i < 6; i++) {
		size_t m = commit(d, 1600, 1);

		sync_now(d);
		finish(d, m);
		tick(d);
	}
}

static void run_day(struct day *d, disk_sim_hook *hook, int *ret_error)
{
	id_source_init(&d->ids, 1);
	d->sim = disk_sim_new();
	disk_sim_set_hook(d->sim, hook, d);
	d->sp = open_on(d->sim, ret_error);
	assert_int_equal(*ret_error, 0);
	morning(d);
	afternoon(d);
	evening(d);
	night(d);
}

static void end_day(struct day *d)
{
	spool_close(d->sp);
	assert_int_equal(disk_sim_open_files(d->sim), 0);
	disk_sim_free(d->sim);
}

/* --- cutting --- */

static uint32_t random_of(struct day *d)
{
	d->seed = d->seed * 1664525 + 1013904223;
	return d->seed >> 8;
}

/* Works on: what was recovered must take new mail and outcomes, and keep them. */
static void work_on(struct disk_sim *sim, struct spool *sp, const struct day *d)
{
	struct day *next = malloc(sizeof(*next));
	int r;

	*next = *d;
	next->sim = sim;
	next->sp = sp;
	for (size_t i = 0; i < next->messages; i++) { /* what is uncertain became one or the other */
		struct expected *m = &next->m[i];
		struct spool_info info;

		if (spool_info(sp, &m->id, &info) < 0) {
			m->stored = NOT;
			continue;
		}
		m->stored = SURELY;
		m->hold = info.held;
		m->held = SURELY;
		for (uint32_t k = 0; k < m->recipients; k++) {
			struct spool_recipient rec;

			assert_int_equal(spool_recipient(sp, &m->id, k, &rec, NULL), 0);
			m->done[k] = rec.done ? SURELY : NOT;
		}
	}
	commit(next, 1200, 1);
	sync_now(next);
	for (size_t i = 0; i < next->messages; i += 3)
		if (next->m[i].stored == SURELY && next->m[i].done[0] == NOT)
			outcome(next, i, 0);
	tick(next);
	tick(next);
	check_message(sp, &next->m[next->messages - 1]);
	spool_close(next->sp);
	disk_sim_reboot(sim, DISK_SIM_LOSE, 0);
	next->sp = open_on(sim, &r);
	assert_int_equal(r, 0);
	for (size_t i = 0; i < next->messages; i++)
		check_message(next->sp, &next->m[i]);
	spool_close(next->sp);
	free(next);
}

/* Opens a cut disk, cutting again after so many operations (UINT64_MAX: not). */
static void open_and_check(struct day *d, struct disk_sim *sim, enum disk_sim_cut how, uint32_t seed,
			   uint64_t again_after)
{
	struct spool *sp;
	int r;

	disk_sim_reboot(sim, how, seed);
	if (again_after != UINT64_MAX) {
		disk_sim_cut_after(sim, again_after);
		sp = open_on(sim, &r);
		spool_close(sp);
		disk_sim_reboot(sim, how, seed + 1);
	}
	sp = open_on(sim, &r);
	assert_int_equal(r, 0);
	check_all(sp, d);
	d->cuts++;
	if (d->full || d->cuts % 16 == 0)
		work_on(sim, sp, d);
	else
		spool_close(sp);
	disk_sim_free(sim);
}

static void cut_here(struct day *d, struct disk_sim *sim, size_t first, enum disk_sim_cut how, bool twice)
{
	uint32_t seed = random_of(d);
	struct disk_sim *copy = disk_sim_clone_torn(sim, first);
	uint64_t ops;
	struct spool *sp;
	int r;

	if (!twice) {
		open_and_check(d, copy, how, seed, UINT64_MAX);
		return;
	}
	disk_sim_reboot(copy, how, seed);
	{
		struct disk_sim *measure = disk_sim_clone(copy);

		sp = open_on(measure, &r);
		assert_int_equal(r, 0);
		ops = disk_sim_ops(measure);
		spool_close(sp);
		disk_sim_free(measure);
	}
	for (uint64_t i = 0; i < ops; i += d->full ? 1 : 1 + random_of(d) % 4)
		open_and_check(d, disk_sim_clone(copy), i % 2 ? DISK_SIM_LOSE : DISK_SIM_SOME, seed, i);
	disk_sim_free(copy);
}

static void cut_everywhere(void *arg, struct disk_sim *sim, size_t n)
{
	struct day *d = arg;
	size_t step = d->full ? 1 : 1 + n / 5;

	d->ops++;
	cut_here(d, sim, 0, DISK_SIM_LOSE, d->ops % 8 == 1);
	cut_here(d, sim, 0, DISK_SIM_KEEP, d->ops % 16 == 3);
	for (int i = 0; i < (d->full ? 8 : 1); i++)
		cut_here(d, sim, 0, DISK_SIM_SOME, d->ops % 16 == 5);
	for (size_t first = 1 + (d->full ? 0 : random_of(d) % step); first <= n; first += step) {
		cut_here(d, sim, first, DISK_SIM_KEEP, false);
		if (first % 7 == 0)
			cut_here(d, sim, first, DISK_SIM_SOME, false);
	}
}

static void the_power_fails_everywhere(void **state)
{
	struct day *d = calloc(1, sizeof(*d));
	const char *full = getenv("POSTERN_FULL");
	struct spool_counters c;
	int r;

	(void)state;
	d->full = full && *full == '1';
	d->seed = randombytes_random();
	print_message("# seed %u\n", d->seed);
	run_day(d, cut_everywhere, &r);
	spool_count(d->sp, &c);
	disk_sim_set_hook(d->sim, NULL, NULL);
	end_day(d);
	print_message("# %llu operations, %llu cuts\n", (unsigned long long)d->ops,
		      (unsigned long long)d->cuts);
	assert_true(d->cuts > 300);
	free(d);
}

/* The day must reach what it is there for, or the cuts prove nothing. */
static bool seen_snapshot, seen_move, seen_rollover;

static void watch(void *arg, struct disk_sim *sim, size_t n)
{
	(void)arg, (void)n;
	seen_snapshot |= disk_sim_name(sim, ".tmp", 0) != NULL;
	seen_rollover |= disk_sim_name(sim, ".seg", 2) != NULL;
	seen_move |= disk_sim_name(sim, "0000000000000003.seg", 0) == NULL &&
		     disk_sim_name(sim, ".seg", 1) != NULL;
}

static void the_day_has_everything(void **state)
{
	struct day *d = calloc(1, sizeof(*d));
	struct spool_counters c;
	int r;

	(void)state;
	run_day(d, watch, &r);
	spool_count(d->sp, &c);
	assert_true(seen_snapshot && seen_rollover && seen_move);
	assert_true(disk_sim_name(d->sim, "0000000000000002.seg", 0) == NULL);
	assert_true(disk_sim_name(d->sim, "0000000000000001.log", 0) == NULL);
	for (size_t i = 0; i < d->messages; i++)
		check_message(d->sp, &d->m[i]);
	disk_sim_set_hook(d->sim, NULL, NULL);
	end_day(d);
	free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_day_has_everything),
		cmocka_unit_test(the_power_fails_everywhere),
	};

	if (sodium_init() < 0)
		return 1;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
