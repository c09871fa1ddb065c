/* A message through queue - taken in, planned, handed out, its outcome written - in which
 * each request for memory is refused in turn, on a real disk: what was said to be stored is
 * delivered once, what was not leaves nothing behind, and the next message works in full. */
#include "base/test_torture.h"

#include "queue/parts_world.h"

#define NOW	   PARTS_NOW
#define LATER	   (NOW + 3600 * 1000) /* what was put off is due */
#define IN_MEMORY  4000		       /* larger bodies go to files */
#define RECIPIENTS 2
#define SETTLING   3 /* requests of the spool for a message that is on the disk: refused, it is taken back */

static struct world {
	char dir[64];
	struct parts q;
	char body[3 * IN_MEMORY];
	/* what local has in its hands */
	uint64_t job;
	uint32_t cost, n_rcpt, rcpt[RECIPIENTS];
	size_t octets;
	bool in_file, whole;
	unsigned delivered[RECIPIENTS];
} w;

/* ---- the world ---- */

static int set_up(void **state)
{
	struct spool_setup setup = { .dir = w.dir,
				     .disk = disk_real(),
				     .memory_max = 512U << 20,
				     .body_memory_max = IN_MEMORY,
				     .segment_max = 1U << 20,
				     .manual_sync = true };

	(void)state;
	memset(&w, 0, sizeof(w));
	parts_folder("queue-torture", false, w.dir);
	id_source_init(&w.q.ids, 1);
	memset(w.body, 'x', sizeof(w.body));
	parts_begin(&w.q, &setup, 1U << PARTS_SMTP | 1U << PARTS_LOCAL, NOW);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	parts_end(&w.q, NOW);
	return parts_remove(w.dir);
}

/* ---- smtp ---- */

static void say(const struct ipc_message *m)
{
	const char *broken;

	torture_in();
	broken = intake_message(w.q.intake, 0, m, NOW);
	torture_out();
	if (broken)
		fail_msg("smtp would be killed: %s", broken);
}

static void say_body(uint64_t tx, size_t n)
{
	struct ipc_message m = parts_body(tx, slice_of(w.body, n));

	say(&m);
}

static void say_rcpt(uint64_t tx, const char *address)
{
	struct ipc_message m = parts_rcpt(tx, IPC_TARGET_MAILBOX, address, address);

	say(&m);
}

static struct id say_commit(uint64_t tx, size_t n)
{
	struct id id = id_next(&w.q.ids, NOW);
	struct ipc_message m = parts_commit(tx, &id, n, "ann@example.org", NOW);

	say(&m);
	return id;
}

/* What smtp is told of that transaction, once; -1: nothing. */
static int told(uint64_t tx)
{
	struct ipc_message m;
	int result = -1;

	channel_flush(w.q.to[PARTS_SMTP]);
	while (raw_take(w.q.fd[PARTS_SMTP], &m) == 0)
		if (m.type == IPC_TYPE_stored && m.stored.tx == tx) {
			assert_int_equal(result, -1);
			result = (int)m.stored.result;
		}
	return result;
}

static void to_disk(void)
{
	torture_in();
	spool_sync_now(w.q.sp);
	intake_done(w.q.intake, NOW);
	torture_out();
}

/* The errno that it is answered with, or 0. */
static int submit(size_t n, struct id *ret)
{
	uint64_t tx = ++w.q.tx;
	int result;

	say_body(tx, n / 2);
	say_body(tx, n - n / 2);
	say_rcpt(tx, "bob@example.org");
	say_rcpt(tx, "carol@example.org");
	*ret = say_commit(tx, n);
	to_disk();
	result = told(tx);
	if (result < 0)
		fail_msg("a commit was not answered");
	return result;
}

/* ---- local ---- */

static void on_job(const struct ipc_message *m)
{
	switch (m->type) {
	case IPC_TYPE_job:
		w.job = m->job.job;
		w.cost = (uint32_t)(m->job.sender.n + m->job.headers.n);
		w.n_rcpt = 0;
		w.octets = 0;
		w.in_file = w.whole = false;
		assert_true(slice_eq(m->job.headers, PARTS_HEADERS));
		break;
	case IPC_TYPE_job_mailbox:
		w.cost += (uint32_t)(m->job_mailbox.mailbox.n + m->job_mailbox.address.n +
				     m->job_mailbox.original.n);
		assert_true(w.n_rcpt < RECIPIENTS);
		w.rcpt[w.n_rcpt++] = m->job_mailbox.recipient;
		break;
	case IPC_TYPE_job_body:
		w.cost += (uint32_t)m->job_body.data.n;
		w.octets += m->job_body.data.n;
		w.in_file |= m->job_body.in_file;
		break;
	case IPC_TYPE_job_end:
		w.whole = true;
		break;
	default:
		fail_msg("local got %s", ipc_type_name(m->type));
	}
}

static void answer(const struct ipc_message *m, uint64_t now)
{
	const char *broken;

	torture_in();
	broken = handout_local_message(w.q.handout, m, now);
	torture_out();
	if (broken)
		fail_msg("local would be killed: %s", broken);
}

/* Takes what is handed out, and answers all of it. */
static void deliver(size_t n, uint64_t now)
{
	struct ipc_message m;

	torture_in();
	handout_run(w.q.handout, now);
	channel_flush(w.q.to[PARTS_LOCAL]);
	torture_out();
	while (raw_take(w.q.fd[PARTS_LOCAL], &m) == 0) {
		on_job(&m);
		if (!w.whole)
			continue;
		if (w.octets != n && !w.in_file)
			fail_msg("a body of %zu octets", w.octets);
		for (uint32_t i = 0; i < w.n_rcpt; i++) {
			struct ipc_message said = { .type = IPC_TYPE_job_result,
						    .job_result = { .job = w.job,
								    .recipient = w.rcpt[i],
								    .result = IPC_JOB_DELIVERED } };

			w.delivered[w.rcpt[i]]++;
			answer(&said, now);
		}
		m = (struct ipc_message){ .type = IPC_TYPE_job_credit, .job_credit = { w.job, w.cost } };
		answer(&m, now);
	}
}

/* ---- the tests ---- */

/* As role/queue.c does when something could not be planned. */
static void look_again(void)
{
	struct load l;

	load_init(&l, w.q.sp, w.q.schedule, handout_ways(w.q.handout));
	for (int pass = 0; pass < 2; pass++) {
		torture_in();
		while (load_step(&l, 10, NOW))
			;
		torture_out();
		if (!l.again)
			break;
		torture_enough();
		assert_true(load_restart(&l));
	}
	assert_false(l.again);
	assert_int_equal(l.damaged, 0);
}

static void nothing_is_left(const char *what)
{
	struct schedule_counters sc;
	struct intake_counters in;
	struct spool_counters sp;

	schedule_count(w.q.schedule, &sc);
	intake_count(w.q.intake, &in);
	spool_count(w.q.sp, &sp);
	if (sc.messages || sc.jobs || in.transactions || in.committing || in.memory || sp.messages ||
	    sp.collecting || sp.memory_used || sp.damaged)
		fail_msg("%s: left are %u planned, %u jobs, %u transactions, %u commits, %u octets; in the "
			 "spool "
			 "%u messages, %u collected, %u octets, %u damaged",
			 what, (unsigned)sc.messages, (unsigned)sc.jobs, (unsigned)in.transactions,
			 (unsigned)in.committing, (unsigned)in.memory, (unsigned)sp.messages,
			 (unsigned)sp.collecting, (unsigned)sp.memory_used, (unsigned)sp.damaged);
}

/* Whatever is refused on the way. */
static void one_message(const char *what, size_t n)
{
	struct schedule_view view;
	struct spool_info info;
	struct id id;
	int r;

	memset(w.delivered, 0, sizeof(w.delivered));
	r = submit(n, &id);
	if (r != 0 && (r != ENOMEM && r != ENOBUFS))
		fail_msg("%s: refused with %s", what, strerror(r));
	if (r != 0 && !torture_hit())
		fail_msg("%s: refused for nothing", what);
	assert_int_equal(spool_info(w.q.sp, &id, &info), r == 0 ? 0 : -ENOENT);
	if (r == 0 && !schedule_look(w.q.schedule, &id, &view)) {
		look_again();
		if (!schedule_look(w.q.schedule, &id, &view))
			fail_msg("%s: stored and never planned", what);
	}
	deliver(n, NOW);
	torture_enough();
	deliver(n, LATER);
	for (unsigned i = 0; i < RECIPIENTS; i++)
		if (w.delivered[i] != (r == 0))
			fail_msg("%s: %s, and delivered %u times", what, r ? "refused" : "stored",
				 w.delivered[i]);
	nothing_is_left(what);
}

static void test_messages(void **state)
{
	static const size_t sizes[] = { 500, 3 * IN_MEMORY };

	(void)state;
	if (!torture_works())
		skip();
	for (unsigned i = 0; i < 2; i++) {
		one_message("at first", sizes[i]);
		for (struct torture t = torture(1); torture_goes_on(&t);) {
			char what[100];

			snprintf(what, sizeof(what), "%zu octets, TORTURE_AT=%u%s", sizes[i], t.nth,
				 t.rest ? "+" : "");
			one_message(what, sizes[i]);
			one_message(what, sizes[i]); /* the next one */
		}
	}
}

/* One smtp process has as many transactions open as it may: one more is refused for now, is no
 * reason to end the process, and those that are open go on. */
static void test_too_many_transactions(void **state)
{
	struct ipc_message drop = { .type = IPC_TYPE_drop, .drop = { .tx = 2 } };
	struct id id;

	(void)state;
	for (uint64_t tx = 1; tx <= INTAKE_TRANSACTIONS; tx++)
		say_body(tx, 10);
	w.q.tx = INTAKE_TRANSACTIONS;
	assert_int_equal(submit(10, &id), ENOMEM);
	say_rcpt(1, "bob@example.org");
	say_commit(1, 10);
	to_disk();
	assert_int_equal(told(1), 0);
	/* What was refused stays refused, though there is room: it would be without its beginning. */
	say_body(w.q.tx, 10);
	say_rcpt(w.q.tx, "bob@example.org");
	say_commit(w.q.tx, 10);
	assert_int_equal(told(w.q.tx), ENOMEM);
	assert_int_equal(submit(10, &id), 0);
	assert_int_equal(submit(10, &id), 0); /* the first one's place is free again */
	say(&drop);
	assert_int_equal(submit(10, &id), 0);
}

/* There was memory to store a message and none to plan it: it is found in the spool again,
 * as often as it takes. */
static void test_found_again(void **state)
{
	struct intake_counters in;
	struct schedule_view view;
	struct spool_info info;
	struct load l;
	struct id id;
	uint64_t tx = ++w.q.tx;

	(void)state;
	if (!torture_works())
		skip();
	say_body(tx, 10);
	say_rcpt(tx, "bob@example.org");
	id = say_commit(tx, 10);
	spool_sync_now(w.q.sp);
	torture_all_but(SETTLING);
	torture_in();
	intake_done(w.q.intake, NOW);
	torture_out();
	assert_int_equal(told(tx), 0);
	assert_int_equal(spool_info(w.q.sp, &id, &info), 0);
	assert_false(schedule_look(w.q.schedule, &id, &view));
	intake_count(w.q.intake, &in);
	assert_int_equal(in.unscheduled, 1);

	load_init(&l, w.q.sp, w.q.schedule, handout_ways(w.q.handout));
	torture_all_but(0);
	torture_in();
	assert_false(load_step(&l, 10, NOW));
	torture_out();
	assert_true(l.again);
	torture_enough();
	assert_true(load_restart(&l));
	assert_false(load_step(&l, 10, NOW));
	assert_false(l.again);
	assert_true(schedule_look(w.q.schedule, &id, &view));
	deliver(10, NOW);
	assert_int_equal(w.delivered[0], 1);
	nothing_is_left("found again");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_messages, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_too_many_transactions, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_found_again, set_up, tear_down),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
