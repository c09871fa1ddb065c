/* Nobody answers: whatever a message waits for, it does not wait for ever, and whoever is silent is named.
 *
 * queue's parts in virtual time; at the other ends of the channels sit processes that live and read, and
 * say nothing but what a test has them say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "ipc/raw.h"
#include "queue/bounce.h"
#include "queue/handout.h"
#include "queue/intake.h"

#define T0     UINT64_C(1800000000000)
#define SECOND UINT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
#define ENDS   4 /* smtp 0 and 1, local, keeper */
#define LOCAL  2
#define KEEPER 3

static struct world {
	char dir[64];
	uv_loop_t loop;
	struct spool *sp;
	struct schedule *schedule;
	struct intake *intake;
	struct handout *handout;
	struct bounce *bounce;
	struct conf *conf;
	struct channel *to[ENDS];
	int fd[ENDS];
	struct id_source ids;
	uint64_t now, tx;
	unsigned seen[256];	 /* messages that came, by type */
	struct ipc_message last; /* of the type that is waited for; its slices are gone */
	unsigned silent[ENDS];	 /* how often it was named */
	unsigned from;		 /* who got the last one */
} w;

static void on_message(void *arg, struct channel *ch, const struct ipc_message *m, int *fd)
{
	(void)arg, (void)ch, (void)m, (void)fd;
}

static void on_closed(void *arg, struct channel *ch, const char *why)
{
	(void)arg, (void)ch;
	fail_msg("a channel closed: %s", why);
}

static int set_up(void **state)
{
	static const struct channel_handlers handlers = { on_message, on_closed };
	struct spool_setup spool = { .dir = w.dir,
				     .disk = disk_real(),
				     .memory_max = 64U << 20,
				     .body_memory_max = 64U << 10,
				     .segment_max = 1U << 20,
				     .manual_sync = true };
	struct ipc_message credit = { .type = IPC_TYPE_job_credit, .job_credit = { 0, 1U << 20 } };
	struct conf_setup setup = { .file = "test.conf" };
	struct conf_finding *findings = NULL;
	struct bounce_setup bounce = { .hostname = "mx.test", .lifetime_ms = 5 * DAY };
	int fd[2];

	(void)state;
	memset(&w, 0, sizeof(w));
	w.now = T0;
	log_level(LOG_CRIT);
	snprintf(w.dir, sizeof(w.dir), "/dev/shm/queue-silence-XXXXXX"); /* no disk: quicker */
	if (!mkdtemp(w.dir)) {
		snprintf(w.dir, sizeof(w.dir), "/tmp/queue-silence-XXXXXX");
		assert_non_null(mkdtemp(w.dir));
	}
	id_source_init(&w.ids, 1);
	assert_int_equal(uv_loop_init(&w.loop), 0);
	assert_int_equal(spool_open(&spool, &w.sp), 0);
	assert_int_equal(schedule_new(HANDOUT_JOBS, &w.schedule), 0);
	assert_int_equal(conf_parse(SLICE_LIT("hostname: mx.test\n"), &setup, &w.conf, &findings), 0);
	conf_findings_free(findings);
	assert_int_equal(handout_new(w.sp, w.schedule, &w.handout), 0);
	assert_int_equal(intake_new(w.sp, w.schedule, handout_ways(w.handout), &w.intake), 0);
	assert_int_equal(bounce_new(w.sp, w.schedule, w.intake, &w.bounce), 0);
	assert_int_equal(bounce_configure(w.bounce, &bounce), 0);
	handout_bounce(w.handout, w.bounce);
	assert_int_equal(handout_configure(w.handout, w.conf, w.now), 0);
	for (unsigned i = 0; i < ENDS; i++) {
		assert_int_equal(channel_pair(fd), 0);
		assert_int_equal(channel_new(&w.loop, fd[0], 8U << 20, &handlers, NULL, &w.to[i]), 0);
		w.fd[i] = fd[1];
	}
	intake_peer(w.intake, 0, w.to[0]);
	for (unsigned i = 0; i < 2; i++) {
		handout_smtp_peer(w.handout, i, w.to[i], w.now);
		assert_null(handout_smtp_message(w.handout, i, &credit, w.now));
	}
	handout_local_peer(w.handout, w.to[LOCAL], w.now);
	assert_null(handout_local_message(w.handout, &credit, w.now));
	bounce_keeper(w.bounce, w.to[KEEPER], w.now);
	bounce_look(w.bounce);
	return 0;
}

static int rm(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static int tear_down(void **state)
{
	(void)state;
	handout_local_peer(w.handout, NULL, w.now);
	for (unsigned i = 0; i < 2; i++)
		handout_smtp_peer(w.handout, i, NULL, w.now);
	bounce_keeper(w.bounce, NULL, w.now);
	intake_peer(w.intake, 0, NULL);
	for (unsigned i = 0; i < ENDS; i++) {
		channel_free(w.to[i]);
		close(w.fd[i]);
	}
	bounce_free(w.bounce);
	intake_free(w.intake);
	handout_free(w.handout);
	spool_close(w.sp);
	schedule_free(w.schedule);
	conf_free(w.conf);
	uv_run(&w.loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&w.loop), 0);
	return nftw(w.dir, rm, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- time passes ---- */

static void read_all(enum ipc_type want)
{
	struct ipc_message m;

	for (unsigned i = 0; i < ENDS; i++) {
		channel_flush(w.to[i]);
		while (raw_take(w.fd[i], &m) == 0) {
			w.seen[m.type]++;
			if (m.type == want) {
				w.last = m;
				w.from = i;
			}
		}
	}
}

/* As role/queue.c pumps.  How long nothing is to be done. */
static uint64_t pump(enum ipc_type want)
{
	uint64_t tell = bounce_run(w.bounce, w.now), wait = handout_run(w.handout, w.now);
	unsigned index;
	bool local;

	while (handout_next_silent(w.handout, &local, &index))
		w.silent[local ? LOCAL : index]++;
	w.silent[KEEPER] += bounce_keeper_silent(w.bounce);
	spool_sync_now(w.sp);
	intake_done(w.intake, w.now);
	read_all(want);
	wait = tell < wait ? tell : wait;
	return wait < HOUR ? wait : HOUR;
}

/* Until a message of that type came, or (0) until then.  False: none came. */
static bool pass(uint64_t ms, enum ipc_type want)
{
	uint64_t until = w.now + ms;
	unsigned before = want ? w.seen[want] : 0;

	for (;;) {
		uint64_t wait = pump(want);

		if (want && w.seen[want] > before)
			return true;
		if (w.now >= until)
			return false;
		wait = wait > 0 ? wait : 1;
		w.now = wait < until - w.now ? w.now + wait : until;
	}
}

/* ---- what comes in ---- */

static struct id submit(uint8_t kind, const char *address, const char *sender)
{
	struct id id = id_next(&w.ids, w.now);
	uint64_t tx = ++w.tx;
	struct ipc_message body = { .type = IPC_TYPE_body,
				    .body = { tx, SLICE_LIT("Subject: x\r\n\r\nhello\r\n") } };
	struct ipc_message rcpt = {
		.type = IPC_TYPE_rcpt,
		.rcpt = { .tx = tx,
			  .kind = kind,
			  .address = slice_str(address),
			  .original = slice_str(address),
			  .mailbox = slice_str(kind == IPC_TARGET_MAILBOX ? "example.org/bob" : "") }
	};
	struct ipc_message commit = { .type = IPC_TYPE_commit,
				      .commit = { .tx = tx,
						  .id = id_slice(&id),
						  .time_ms = w.now,
						  .body_size = body.body.data.n,
						  .sender = slice_str(sender),
						  .listener = SLICE_LIT("submission"),
						  .headers = SLICE_LIT("Received: by the test\r\n") } };

	assert_null(intake_message(w.intake, 0, &body, w.now));
	assert_null(intake_message(w.intake, 0, &rcpt, w.now));
	assert_null(intake_message(w.intake, 0, &commit, w.now));
	spool_sync_now(w.sp);
	assert_int_equal(intake_done(w.intake, w.now), 1);
	return id;
}

static void say(unsigned who, struct ipc_message m)
{
	const char *broken = handout_smtp_message(w.handout, who, &m, w.now);

	if (broken)
		fail_msg("smtp would be killed: %s", broken);
}

/* Where it goes; port 25 of nobody. */
static void say_resolved(void)
{
	say(w.from, (struct ipc_message){ .type = IPC_TYPE_resolved,
					  .resolved = { .req = w.last.resolve.req,
							.what = IPC_RESOLVED_OK,
							.site = SLICE_LIT("mx.far.test"),
							.key = SLICE_LIT("0123456789abcdef"),
							.ttl_s = 3600 } });
}

static void say_ready(void)
{
	say(w.from, (struct ipc_message){ .type = IPC_TYPE_lane_ready,
					  .lane_ready = { .lane = w.last.lane_open.lane,
							  .host = SLICE_LIT("mx.far.test"),
							  .ip = SLICE_LIT("\x7f\0\0\1"),
							  .port = 24 } });
}

static enum schedule_state state_of(const struct id *id)
{
	struct schedule_view v;

	assert_true(schedule_look(w.schedule, id, &v));
	return v.state;
}

/* It ends as failed, and its sender's report is asked about of keeper. */
static void assert_expires(const struct id *id)
{
	struct schedule_view v;

	pass(T0 + 5 * DAY - MINUTE - w.now, 0);
	assert_true(schedule_look(w.schedule, id, &v));
	assert_int_equal(v.count[SCHEDULE_FAILED], 0);
	assert_true(pass(2 * HOUR + 2 * MINUTE, IPC_TYPE_recipient));
	assert_int_equal(state_of(id), SCHEDULE_IS_FAILED);
}

/* ---- the tests ---- */

static void test_question(void **state)
{
	struct id id = submit(IPC_TARGET_REMOTE, "bob@far.test", "ann@example.org");

	(void)state;
	assert_true(pass(SECOND, IPC_TYPE_resolve));
	pass(2 * MINUTE - SECOND, 0);
	assert_int_equal(w.silent[0] + w.silent[1], 0);
	pass(SECOND + 100, 0);
	assert_int_equal(w.silent[0] + w.silent[1], 1);
	/* An answer now is too late, and no lie. */
	say(w.from, (struct ipc_message){
			    .type = IPC_TYPE_resolved,
			    .resolved = { .req = w.last.resolve.req, .what = IPC_RESOLVED_TEMPORARY } });
	assert_true(pass(2 * MINUTE, IPC_TYPE_resolve)); /* it is asked again */
	assert_int_equal(state_of(&id), SCHEDULE_IS_QUEUED);
	assert_expires(&id);
	assert_in_range(w.seen[IPC_TYPE_resolve], 100, 300);
}

static void test_lane(void **state)
{
	struct id id = submit(IPC_TARGET_REMOTE, "bob@far.test", "ann@example.org");

	(void)state;
	assert_true(pass(SECOND, IPC_TYPE_resolve));
	say_resolved();
	assert_true(pass(SECOND, IPC_TYPE_lane_open));
	pass(10 * MINUTE - SECOND, 0);
	assert_int_equal(w.silent[0] + w.silent[1], 0);
	assert_true(pass(2 * SECOND, IPC_TYPE_lane_close));
	assert_int_equal(w.silent[0] + w.silent[1], 1);
	assert_true(pass(MINUTE, IPC_TYPE_lane_open)); /* another one */
	assert_int_equal(state_of(&id), SCHEDULE_IS_QUEUED);
	assert_int_equal(w.seen[IPC_TYPE_lane_open], 2);
	/* That one stands, takes the message, and is silent then. */
	say_ready();
	assert_true(pass(SECOND, IPC_TYPE_job_end));
	assert_int_equal(state_of(&id), SCHEDULE_IS_ACTIVE);
	pass(2 * HOUR - 2 * SECOND, 0);
	assert_int_equal(state_of(&id), SCHEDULE_IS_ACTIVE);
	pass(4 * SECOND, 0);
	assert_int_equal(state_of(&id), SCHEDULE_IS_QUEUED);
	assert_int_equal(w.silent[0] + w.silent[1], 2);
	assert_expires(&id);
}

static void test_closing(void **state)
{
	submit(IPC_TARGET_REMOTE, "bob@far.test", "ann@example.org");
	(void)state;
	assert_true(pass(SECOND, IPC_TYPE_resolve));
	say_resolved();
	assert_true(pass(SECOND, IPC_TYPE_lane_open));
	schedule_forget_sites(w.schedule, w.now); /* what it is opened for leads elsewhere, perhaps */
	assert_true(pass(SECOND, IPC_TYPE_lane_close));
	pass(10 * MINUTE + SECOND, 0);
	assert_true(w.silent[w.from] >= 1);
}

static void test_local(void **state)
{
	struct id id = submit(IPC_TARGET_MAILBOX, "bob@example.org", "ann@example.org");

	(void)state;
	assert_true(pass(SECOND, IPC_TYPE_job_end));
	pass(2 * HOUR - 2 * SECOND, 0);
	assert_int_equal(w.silent[LOCAL], 0);
	pass(4 * SECOND, 0);
	assert_int_equal(w.silent[LOCAL], 1);
	assert_int_equal(w.seen[IPC_TYPE_job_end], 2); /* it has it again */
	assert_expires(&id);
}

/* Nobody is there at all: it waits, and no longer than anything else. */
static void test_nobody_there(void **state)
{
	struct id id[2];

	(void)state;
	for (unsigned i = 0; i < 2; i++)
		handout_smtp_peer(w.handout, i, NULL, w.now);
	handout_local_peer(w.handout, NULL, w.now);
	id[0] = submit(IPC_TARGET_REMOTE, "bob@far.test", "ann@example.org");
	id[1] = submit(IPC_TARGET_MAILBOX, "bob@example.org", "ann@example.org");
	assert_expires(&id[0]);
	assert_int_equal(state_of(&id[1]), SCHEDULE_IS_FAILED);
	assert_int_equal(w.seen[IPC_TYPE_resolve] + w.seen[IPC_TYPE_job], 0);
}

/* Held by an operator it waits as long as he wants; released it has an hour more at least. */
static void test_held(void **state)
{
	struct id id = submit(IPC_TARGET_REMOTE, "bob@far.test", "ann@example.org");

	(void)state;
	assert_int_equal(schedule_hold(w.schedule, &id), 0);
	pass(30 * DAY, 0);
	assert_int_equal(state_of(&id), SCHEDULE_IS_HELD);
	assert_int_equal(schedule_release(w.schedule, &id, w.now), 0);
	pass(HOUR - SECOND, 0);
	assert_int_equal(state_of(&id), SCHEDULE_IS_QUEUED);
	assert_true(pass(MINUTE, IPC_TYPE_recipient));
	assert_int_equal(state_of(&id), SCHEDULE_IS_FAILED);
}

/* A report whose way keeper does not tell: asked again, and keeper is named. */
static void test_report(void **state)
{
	struct id id = submit(IPC_TARGET_REMOTE, "bob@far.test", "ann@example.org");

	(void)state;
	assert_true(bounce_give_up(w.bounce, &id, w.now) > 0);
	assert_true(pass(MINUTE, IPC_TYPE_recipient));
	assert_true(pass(MINUTE, IPC_TYPE_recipient));
	assert_int_equal(w.silent[KEEPER], 0);
	assert_true(pass(MINUTE, IPC_TYPE_recipient));
	assert_true(pass(MINUTE, IPC_TYPE_recipient));
	assert_int_equal(w.silent[KEEPER], 1);
	assert_int_equal(state_of(&id), SCHEDULE_IS_FAILED); /* never forgotten */
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(test_question), TEST(test_lane),	  TEST(test_closing),
					    TEST(test_local),	 TEST(test_nobody_there), TEST(test_held),
					    TEST(test_report) };

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
