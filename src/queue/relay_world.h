/* relay_world.h - for tests only: queue without its process, on any disk, and the books of what became of
 * each message.
 *
 * The test is smtp and keeper: every recipient leads elsewhere; "ok" is taken, "no" is refused for good,
 * "later" for now and taken the next time, and reports to the sender go out like other mail.  Time is the
 * test's: while nothing is to be done, hours pass.  Everything is static: each program has its own.
 *
 * With base/test_torture.h included before, what queue does is within torture_in() and torture_out().
 */
#ifndef POSTERN_QUEUE_RELAY_WORLD_H
#define POSTERN_QUEUE_RELAY_WORLD_H

#include "queue/parts_world.h"
#include "smtp/client.h"

#ifndef TORTURE_EACH
#define torture_in()
#define torture_out()
#endif

#define WORLD_MESSAGES 32
#define WORLD_RCPTS    3
#define WORLD_JOBS     64

enum world_rcpt { WORLD_OK, WORLD_NO, WORLD_LATER };

/* What is known of one message outside of queue. */
struct world_message {
	struct id id;
	bool promised; /* queue said that it is stored */
	unsigned taken[WORLD_RCPTS], told[WORLD_RCPTS];
	/* As of the last moment at which all that was written was on the disk. */
	unsigned known_taken[WORLD_RCPTS], known_told[WORLD_RCPTS];
};

struct world_job {
	uint64_t number, lane; /* 0: free */
	size_t cost;
	bool report;
	unsigned message, n;
	uint32_t rcpt[WORLD_RCPTS];
	enum world_rcpt to[WORLD_RCPTS];
	struct buf body;
};

struct disk_sim;

static struct relay_world {
	uint64_t now;
	struct parts q;
	struct load load;
	uint64_t unscheduled;
	bool again;			      /* "later" is not refused any more */
	bool (*off)(const struct disk_sim *); /* or NULL: the power is, and nothing happens any more */
	const struct disk_sim *off_arg;
	const char *boot; /* of the machine; or NULL */
	struct world_job job[WORLD_JOBS];
	/* these outlive the process */
	struct world_message message[WORLD_MESSAGES];
	unsigned messages;
} w;

/* ---- the world ---- */

/* Queue starts, on that disk. */
static __attribute__((unused)) void world_begin(const struct disk *disk, const char *dir)
{
	struct spool_setup spool = { .dir = dir,
				     .disk = disk,
				     .body_memory_max = 64000,
				     .segment_max = 1U << 20,
				     .boot = w.boot,
				     .manual_sync = true };
	struct spool_recovery found;

	parts_begin(&w.q, &spool, 1U << PARTS_SMTP | 1U << PARTS_KEEPER, w.now);
	load_init(&w.load, w.q.sp, w.q.schedule, handout_ways(w.q.handout));
	spool_recovered(w.q.sp, &found);
	if (found.power_lost)
		load_power_lost(&w.load, w.now);
	w.unscheduled = 0;
}

static __attribute__((unused)) void world_end(void)
{
	for (size_t i = 0; i < WORLD_JOBS; i++) {
		buf_done(&w.job[i].body);
		w.job[i] = (struct world_job){ 0 };
	}
	parts_end(&w.q, w.now);
}

static bool world_is_off(void)
{
	return w.off && w.off(w.off_arg);
}

/* ---- to queue ---- */

static void world_say(const struct ipc_message *m)
{
	const char *broken;

	torture_in();
	if (handout_is_for(m))
		broken = handout_smtp_message(w.q.handout, 0, m, w.now);
	else if (bounce_is_for(m))
		broken = bounce_keeper_message(w.q.bounce, m, w.now);
	else
		broken = intake_message(w.q.intake, 0, m, w.now);
	torture_out();
	if (broken)
		fail_msg("whoever said %s would be killed: %s", ipc_type_name(m->type), broken);
}

/* All that is written is on the disk. */
static __attribute__((unused)) void world_sync(void)
{
	int r;

	torture_in();
	r = spool_sync_now(w.q.sp);
	intake_done(w.q.intake, w.now);
	torture_out();
	for (unsigned i = 0; r == 0 && i < w.messages; i++) {
		memcpy(w.message[i].known_taken, w.message[i].taken, sizeof(w.message[i].taken));
		memcpy(w.message[i].known_told, w.message[i].told, sizeof(w.message[i].told));
	}
}

static const char *world_address(enum world_rcpt r)
{
	static const char *const names[] = { "ok@a.example", "no@a.example", "later@b.example" };

	return names[r];
}

/* A new message to all three; its number. */
static __attribute__((unused)) unsigned world_submit(void)
{
	unsigned n = w.messages++;
	struct world_message *to = &w.message[n];
	struct ipc_message m;
	char body[64];

	assert_true(n < WORLD_MESSAGES);
	*to = (struct world_message){ .id = id_next(&w.q.ids, w.now) };
	snprintf(body, sizeof(body), "Subject: m%u.\r\n\r\nhello\r\n", n);
	m = parts_body(++w.q.tx, slice_str(body));
	world_say(&m);
	for (unsigned i = 0; i < WORLD_RCPTS; i++) {
		m = parts_rcpt(w.q.tx, IPC_TARGET_REMOTE, world_address((enum world_rcpt)i), "");
		world_say(&m);
	}
	m = parts_commit(w.q.tx, &to->id, strlen(body), "ann@us.example", w.now);
	world_say(&m);
	return n;
}

/* ---- from queue ---- */

static struct world_job *world_job(uint64_t number)
{
	for (size_t i = 0; i < WORLD_JOBS; i++)
		if (w.job[i].number == number)
			return &w.job[i];
	fail_msg("no job %u", (unsigned)number);
	return NULL;
}

static unsigned world_of_text(struct slice text)
{
	const unsigned char *at = memmem(text.p, text.n, "Subject: m", 10);
	struct slice cur = at ? slice_tail(text, (size_t)(at - text.p) + 10) : slice_of(NULL, 0);
	uint64_t n;

	if (!cur_u64(&cur, w.messages - 1, &n))
		fail_msg("a body without the message's number: %.*s", SLICE_ARG(text));
	return (unsigned)n;
}

/* By its Message-ID: without memory a report goes out without the message. */
static struct world_message *world_reported(struct slice text)
{
	for (unsigned i = 0; i < w.messages; i++) {
		char id[60];

		snprintf(id, sizeof(id), "<%s.failed.", w.message[i].id.text);
		if (memmem(text.p, text.n, id, strlen(id)))
			return &w.message[i];
	}
	fail_msg("a report of no message: %.*s", SLICE_ARG(text));
	return NULL;
}

static void world_report(struct slice text)
{
	struct world_message *about = world_reported(text);
	bool any = false;

	for (unsigned i = 0; i < WORLD_RCPTS; i++) {
		char row[100];

		snprintf(row, sizeof(row), "Final-Recipient: rfc822; %s", world_address((enum world_rcpt)i));
		if (memmem(text.p, text.n, row, strlen(row))) {
			about->told[i]++;
			any = true;
		}
	}
	assert_true(any);
}

static void world_result(const struct world_job *j, unsigned i)
{
	struct ipc_message m = { .type = IPC_TYPE_job_result,
				 .job_result = { .job = j->number,
						 .recipient = j->rcpt[i],
						 .result = IPC_JOB_DELIVERED,
						 .enhanced = SLICE_LIT("2.0.0"),
						 .text = SLICE_LIT("250 2.0.0 taken"),
						 .code = 250,
						 .step = SMTP_CLIENT_AT_FINAL } };

	if (!j->report && j->to[i] == WORLD_NO) {
		m.job_result.result = IPC_JOB_FAILED;
		m.job_result.enhanced = SLICE_LIT("5.1.1");
		m.job_result.text = SLICE_LIT("550 5.1.1 no such user");
		m.job_result.code = 550;
	} else if (!j->report && j->to[i] == WORLD_LATER && !w.again) {
		m.job_result.result = IPC_JOB_DEFERRED;
		m.job_result.enhanced = SLICE_LIT("4.2.2");
		m.job_result.text = SLICE_LIT("452 4.2.2 full");
		m.job_result.code = 452;
	} else if (!j->report) {
		w.message[j->message].taken[j->to[i]]++;
	}
	world_say(&m);
}

static void world_work(struct world_job *j)
{
	struct ipc_message m = { .type = IPC_TYPE_job_credit,
				 .job_credit = { .job = j->number, .octets = (uint32_t)j->cost } };
	struct slice body = buf_slice(&j->body);

	if (world_is_off())
		return;
	if (j->report)
		world_report(body);
	else
		j->message = world_of_text(body);
	for (unsigned i = 0; i < j->n; i++)
		world_result(j, i);
	world_say(&m);
	buf_done(&j->body);
	*j = (struct world_job){ 0 };
}

static enum world_rcpt world_rcpt_of(struct slice address)
{
	for (unsigned i = 0; i < WORLD_RCPTS; i++)
		if (slice_eq(address, slice_str(world_address((enum world_rcpt)i))))
			return (enum world_rcpt)i;
	assert_true(slice_eq(address, SLICE_LIT("ann@us.example")));
	return WORLD_OK;
}

static void world_on_job(const struct ipc_message *m)
{
	struct world_job *j;

	switch (m->type) {
	case IPC_TYPE_job:
		j = world_job(0);
		*j = (struct world_job){ .number = m->job.job,
					 .lane = m->job.lane,
					 .cost = m->job.sender.n + m->job.headers.n + m->job.envid.n,
					 .report = m->job.sender.n == 0 };
		buf_init(&j->body, 100000);
		return;
	case IPC_TYPE_job_rcpt:
		j = world_job(m->job_rcpt.job);
		assert_true(j->n < WORLD_RCPTS);
		j->to[j->n] = world_rcpt_of(m->job_rcpt.address);
		j->rcpt[j->n++] = m->job_rcpt.recipient;
		j->cost += m->job_rcpt.address.n + m->job_rcpt.orcpt.n;
		return;
	case IPC_TYPE_job_body:
		j = world_job(m->job_body.job);
		buf_put(&j->body, m->job_body.data);
		j->cost += m->job_body.data.n;
		return;
	default:
		world_work(world_job(m->job_end.job));
	}
}

static void world_answer(const struct ipc_message *m)
{
	struct ipc_message a = { 0 };
	unsigned char key[IPC_SITE_KEY] = { 0 };

	switch (m->type) {
	case IPC_TYPE_resolve:
		memcpy(key, m->resolve.domain.p, m->resolve.domain.n < 16 ? m->resolve.domain.n : 16);
		a.type = IPC_TYPE_resolved;
		a.resolved = (struct ipc_resolved){ .req = m->resolve.req,
						    .what = IPC_RESOLVED_OK,
						    .site = m->resolve.domain,
						    .key = slice_of(key, sizeof(key)),
						    .ttl_s = 300 };
		break;
	case IPC_TYPE_lane_open:
		a.type = IPC_TYPE_lane_ready;
		a.lane_ready = (struct ipc_lane_ready){ .lane = m->lane_open.lane,
							.host = SLICE_LIT("mx"),
							.port = 25 };
		break;
	case IPC_TYPE_lane_close:
		a.type = IPC_TYPE_lane_closed;
		a.lane_closed = (struct ipc_lane_closed){ .lane = m->lane_close.lane };
		break;
	default:
		world_on_job(m);
		return;
	}
	world_say(&a);
}

static void world_stored(const struct ipc_stored *m)
{
	/* The last that was begun: the test asks one after the other. */
	if (m->tx == w.q.tx && !world_is_off())
		w.message[w.messages - 1].promised = m->result == 0;
}

/* True: something was said. */
static bool world_listen(void)
{
	struct ipc_message m, verdict = { .type = IPC_TYPE_verdict };
	bool any = false;

	torture_in();
	channel_flush(w.q.to[PARTS_SMTP]);
	channel_flush(w.q.to[PARTS_KEEPER]);
	torture_out();
	while (raw_take(w.q.fd[PARTS_SMTP], &m) == 0) {
		any = true;
		if (m.type == IPC_TYPE_stored)
			world_stored(&m.stored);
		else if (m.type != IPC_TYPE_accepting && m.type != IPC_TYPE_credit)
			world_answer(&m);
	}
	while (raw_take(w.q.fd[PARTS_KEEPER], &m) == 0) {
		any = true;
		assert_int_equal(m.type, IPC_TYPE_recipient);
		verdict.verdict.req = m.recipient.req;
		verdict.verdict.what = IPC_VERDICT_NOT_LOCAL;
		world_say(&verdict);
	}
	return any;
}

/* As role/queue.c does, each second. */
static void world_tick(void)
{
	struct intake_counters in;
	bool more;

	torture_in();
	spool_tick(w.q.sp, w.now);
	intake_accepting(w.q.intake);
	intake_count(w.q.intake, &in);
	if (w.load.again || in.unscheduled != w.unscheduled || !w.load.done) {
		w.unscheduled = in.unscheduled;
		load_restart(&w.load);
		do
			more = load_step(&w.load, 10, w.now);
		while (more);
		bounce_look(w.q.bounce);
	}
	torture_out();
}

/* Until nothing happens any more at this time. */
static __attribute__((unused)) void world_turns(void)
{
	bool any = true;

	for (unsigned i = 0; any && !world_is_off(); i++) {
		if (i > 10000)
			fail_msg("it never comes to rest");
		torture_in();
		bounce_run(w.q.bounce, w.now);
		handout_run(w.q.handout, w.now);
		torture_out();
		any = world_listen();
		world_sync();
	}
}

static uint64_t world_left(void)
{
	struct spool_counters sp;

	spool_count(w.q.sp, &sp);
	assert_int_equal(sp.damaged, 0);
	return sp.messages;
}

/* Time passes until everything is done; within two days. */
static __attribute__((unused)) void world_finish(const char *what)
{
	struct schedule_counters sc;
	struct bounce_counters b;

	w.again = true;
	for (unsigned i = 0; i < 300; i++) {
		world_tick();
		world_turns();
		schedule_count(w.q.schedule, &sc);
		bounce_count(w.q.bounce, &b);
		if (world_left() == 0 && sc.messages == 0 && b.waiting == 0)
			return;
		w.now += (i % 2 ? 600 : 2) * 1000;
	}
	fail_msg("%s: left are %u messages in the spool, %u planned, %u reports", what,
		 (unsigned)world_left(), (unsigned)sc.messages, (unsigned)b.waiting);
}

/* twice: the same thing may have been done again. */
static __attribute__((unused)) void world_books(const char *what, bool twice)
{
	for (unsigned i = 0; i < w.messages; i++) {
		const struct world_message *m = &w.message[i];
		unsigned least = m->promised ? 1 : 0, most = !m->promised && !twice ? 0 : twice ? 99 : 1;

		if (m->taken[WORLD_NO] || m->told[WORLD_OK] || m->told[WORLD_LATER])
			fail_msg("%s: message %u was taken or told of where it was not so", what, i);
		if (m->taken[WORLD_OK] < least || m->taken[WORLD_LATER] < least || m->told[WORLD_NO] < least)
			fail_msg("%s: message %u is lost: taken %u and %u, told %u", what, i,
				 m->taken[WORLD_OK], m->taken[WORLD_LATER], m->told[WORLD_NO]);
		if (m->taken[WORLD_OK] > most || m->taken[WORLD_LATER] > most || m->told[WORLD_NO] > most)
			fail_msg("%s: message %u, promised %u, came too often: taken %u and %u, told %u",
				 what, i, m->promised, m->taken[WORLD_OK], m->taken[WORLD_LATER],
				 m->told[WORLD_NO]);
	}
}

#endif
