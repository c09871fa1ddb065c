/* Nobody answers: whatever a message waits for, it does not wait for ever, and whoever is silent is named.
 *
 * queue's parts in virtual time; at the other ends of the channels sit processes that live and read, and
 * say nothing but what a test has them say. */
#include "queue/parts_world.h"

#define T0     PARTS_NOW
#define SECOND UINT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

static struct world {
	char dir[64];
	struct parts q;
	uint64_t now;
	unsigned seen[256];	     /* messages that came, by type */
	struct ipc_message last;     /* of the type that is waited for; its slices are gone */
	unsigned silent[PARTS_ENDS]; /* how often it was named */
	unsigned from;		     /* who got the last one */
} w;

static int set_up(void **state)
{
	struct spool_setup spool = { .dir = w.dir,
				     .disk = disk_real(),
				     .memory_max = 64U << 20,
				     .body_memory_max = 64U << 10,
				     .segment_max = 1U << 20,
				     .manual_sync = true };

	(void)state;
	memset(&w, 0, sizeof(w));
	w.now = T0;
	parts_folder("queue-silence", true, w.dir);
	id_source_init(&w.q.ids, 1);
	parts_begin(&w.q, &spool,
		    1U << PARTS_SMTP | 1U << PARTS_SMTP_2 | 1U << PARTS_LOCAL | 1U << PARTS_KEEPER, w.now);
	bounce_look(w.q.bounce);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	parts_end(&w.q, w.now);
	return parts_remove(w.dir);
}

/* ---- time passes ---- */

static void read_all(enum ipc_type want)
{
	struct ipc_message m;

	for (unsigned i = 0; i < PARTS_ENDS; i++) {
		channel_flush(w.q.to[i]);
		while (raw_take(w.q.fd[i], &m) == 0) {
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
	uint64_t tell = bounce_run(w.q.bounce, w.now), wait = handout_run(w.q.handout, w.now);
	unsigned index;
	bool local;

	while (handout_next_silent(w.q.handout, &local, &index))
		w.silent[local ? PARTS_LOCAL : index]++;
	w.silent[PARTS_KEEPER] += bounce_keeper_silent(w.q.bounce);
	spool_sync_now(w.q.sp);
	intake_done(w.q.intake, w.now);
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
	struct id id = id_next(&w.q.ids, w.now);
	uint64_t tx = ++w.q.tx;
	struct ipc_message body = parts_body(tx, SLICE_LIT("Subject: x\r\n\r\nhello\r\n"));
	struct ipc_message rcpt =
		parts_rcpt(tx, kind, address, kind == IPC_TARGET_MAILBOX ? "example.org/bob" : "");
	struct ipc_message commit = parts_commit(tx, &id, body.body.data.n, sender, w.now);

	assert_null(intake_message(w.q.intake, 0, &body, w.now));
	assert_null(intake_message(w.q.intake, 0, &rcpt, w.now));
	assert_null(intake_message(w.q.intake, 0, &commit, w.now));
	spool_sync_now(w.q.sp);
	assert_int_equal(intake_done(w.q.intake, w.now), 1);
	return id;
}

static void say(unsigned who, struct ipc_message m)
{
	const char *broken = handout_smtp_message(w.q.handout, who, &m, w.now);

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

	assert_true(schedule_look(w.q.schedule, id, &v));
	return v.state;
}

/* It ends as failed, and its sender's report is asked about of keeper. */
static void assert_expires(const struct id *id)
{
	struct schedule_view v;

	pass(T0 + 5 * DAY - MINUTE - w.now, 0);
	assert_true(schedule_look(w.q.schedule, id, &v));
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
	schedule_forget_sites(w.q.schedule, w.now); /* what it is opened for leads elsewhere, perhaps */
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
	assert_int_equal(w.silent[PARTS_LOCAL], 0);
	pass(4 * SECOND, 0);
	assert_int_equal(w.silent[PARTS_LOCAL], 1);
	assert_int_equal(w.seen[IPC_TYPE_job_end], 2); /* it has it again */
	assert_expires(&id);
}

/* Nobody is there at all: it waits, and no longer than anything else. */
static void test_nobody_there(void **state)
{
	struct id id[2];

	(void)state;
	for (unsigned i = 0; i < 2; i++)
		handout_smtp_peer(w.q.handout, i, NULL, w.now);
	handout_local_peer(w.q.handout, NULL, w.now);
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
	assert_int_equal(schedule_hold(w.q.schedule, &id), 0);
	pass(30 * DAY, 0);
	assert_int_equal(state_of(&id), SCHEDULE_IS_HELD);
	assert_int_equal(schedule_release(w.q.schedule, &id, w.now), 0);
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
	assert_true(bounce_give_up(w.q.bounce, &id, w.now) > 0);
	assert_true(pass(MINUTE, IPC_TYPE_recipient));
	assert_true(pass(MINUTE, IPC_TYPE_recipient));
	assert_int_equal(w.silent[PARTS_KEEPER], 0);
	assert_true(pass(MINUTE, IPC_TYPE_recipient));
	assert_true(pass(MINUTE, IPC_TYPE_recipient));
	assert_int_equal(w.silent[PARTS_KEEPER], 1);
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
