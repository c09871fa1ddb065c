/* Queue hands mail for mailboxes to lanes; the test is the smtp process, right and wrong. */
#define WORLD_CONF "delivery: {by: lmtp, lmtp: \"unix:/nowhere\", connections: 2}\n"
#include "role/queue_world.h"

#define WINDOW 4000000

struct taken {
	uint64_t lane, job;
	bool opened; /* for this job */
	unsigned n;
	uint32_t rcpt[128];
	char body[256];
	size_t cost;
};

static void say(struct ipc_message m)
{
	send_msg(w.smtp, &m, -1);
}

static void credit(uint64_t job, size_t octets)
{
	say((struct ipc_message){ .type = IPC_TYPE_job_credit,
				  .job_credit = { .job = job, .octets = (uint32_t)octets } });
}

static void result(const struct taken *t, uint32_t recipient, uint8_t what, const char *status)
{
	say((struct ipc_message){ .type = IPC_TYPE_job_result,
				  .job_result = { .job = t->job,
						  .recipient = recipient,
						  .result = what,
						  .enhanced = slice_str(status),
						  .text = SLICE_LIT("words") } });
}

static void closed(uint64_t lane, bool failed)
{
	say((struct ipc_message){
		.type = IPC_TYPE_lane_closed,
		.lane_closed = { .lane = lane, .failed = failed, .text = SLICE_LIT("nobody there") } });
}

static void ready(uint64_t lane)
{
	say((struct ipc_message){ .type = IPC_TYPE_lane_ready, .lane_ready = { .lane = lane } });
}

/* The next whole job. */
static bool take(struct taken *t, int wait_ms)
{
	struct ipc_message m;

	memset(t, 0, sizeof(*t));
	while (raw_waits(w.smtp, wait_ms)) {
		if (raw_take(w.smtp, &m) != 0)
			return false;
		if (m.type == IPC_TYPE_lane_open) {
			t->opened = true;
			assert_true(slice_eq(m.lane_open.endpoint, SLICE_LIT("unix:/nowhere")));
			ready(m.lane_open.lane);
		} else if (m.type == IPC_TYPE_job) {
			t->job = m.job.job;
			t->lane = m.job.lane;
			t->cost = m.job.sender.n + m.job.headers.n + m.job.envid.n;
		} else if (m.type == IPC_TYPE_job_rcpt) {
			assert_true(t->n < 128 && m.job_rcpt.job == t->job);
			t->rcpt[t->n++] = m.job_rcpt.recipient;
			t->cost += m.job_rcpt.address.n + m.job_rcpt.orcpt.n;
		} else if (m.type == IPC_TYPE_job_body) {
			slice_copy(m.job_body.data, t->body, sizeof(t->body));
			t->cost += m.job_body.data.n;
		} else if (m.type == IPC_TYPE_job_end) {
			return true;
		}
	}
	return false;
}

static void deliver(const struct taken *t)
{
	for (unsigned i = 0; i < t->n; i++)
		result(t, t->rcpt[i], IPC_JOB_DELIVERED, "2.0.0");
	credit(t->job, t->cost);
}

static void put_many(unsigned n)
{
	struct id id = id_next(&w.ids, 1800000000000);
	char address[64];

	w.tx++;
	for (unsigned i = 0; i < n; i++) {
		snprintf(address, sizeof(address), "u%u@example.org", i);
		put_rcpt(w.tx, IPC_TARGET_MAILBOX, address, "example.org/u");
	}
	put_body(w.tx, SLICE_LIT("Subject: x\r\n\r\nx\r\n"));
	assert_int_equal(put_commit(w.tx, &id, 17), 0);
}

static void test_results(void **state)
{
	struct taken t, next;

	(void)state;
	credit(0, WINDOW);
	put_many(3);
	assert_true(take(&t, WAIT_MS));
	assert_true(t.opened);
	assert_int_equal(t.n, 3);
	assert_string_equal(t.body, "Subject: x\r\n\r\nx\r\n");
	result(&t, t.rcpt[0], IPC_JOB_DELIVERED, "2.0.0");
	result(&t, t.rcpt[1], IPC_JOB_DEFERRED, "4.2.2");
	result(&t, t.rcpt[2], IPC_JOB_FAILED, "5.1.1");
	credit(t.job, t.cost);
	wait_state("deferred", 1);
	/* The same lane takes the next one. */
	put_many(1);
	assert_true(take(&next, WAIT_MS));
	assert_false(next.opened);
	assert_int_equal(next.lane, t.lane);
	deliver(&next);
	wait_state("deferred", 1);
}

static void test_thousand_recipients(void **state)
{
	unsigned char seen[1000] = { 0 };
	uint64_t lanes[2] = { 0 };
	unsigned got = 0;
	struct taken t;

	(void)state;
	credit(0, WINDOW);
	put_many(1000);
	while (got < 1000) {
		assert_true(take(&t, WAIT_MS));
		assert_true(t.n <= 100);
		if (lanes[0] == 0 || (lanes[1] == 0 && t.lane != lanes[0]))
			lanes[lanes[0] > 0] = t.lane;
		assert_true(t.lane == lanes[0] || t.lane == lanes[1]); /* two and no third */
		for (unsigned n = 0; n < t.n; n++)
			assert_int_equal(seen[t.rcpt[n]]++, 0);
		got += t.n;
		deliver(&t);
	}
	wait_empty();
}

/* Nothing was tried: the site waits, the message is untouched, and one lane looks again. */
static void test_back(void **state)
{
	struct taken t, again;
	uint64_t begin;

	(void)state;
	credit(0, WINDOW);
	put_many(2);
	assert_true(take(&t, WAIT_MS));
	begin = world_ms();
	closed(t.lane, true);
	say((struct ipc_message){ .type = IPC_TYPE_job_back,
				  .job_back = { .job = t.job, .text = SLICE_LIT("nobody there") } });
	credit(t.job, t.cost);
	put_many(1);
	wait_state("queued", 2);
	assert_true(take(&again, WAIT_MS));
	assert_true(world_ms() - begin >= 900);
	assert_true(again.opened);
	/* One at a time, as long as none succeeded; whoever answered this had time for the other. */
	assert_int_equal(listed(NULL, NULL), 2);
	assert_false(take(&t, 300));
	deliver(&again);
	assert_true(take(&t, WAIT_MS));
	deliver(&t);
	wait_empty();
}

static void test_smtp_dies(void **state)
{
	struct taken t, again;

	(void)state;
	credit(0, WINDOW);
	put_many(1);
	assert_true(take(&t, WAIT_MS));
	close(w.smtp);
	w.smtp = pair_with(&w.queue, IPC_SMTP);
	credit(0, WINDOW);
	assert_true(take(&again, WAIT_MS));
	assert_true(again.opened);
	assert_int_not_equal(again.job, t.job);
	deliver(&again);
	wait_empty();
}

/* What no working smtp process says: it is given up, and its job goes to the next one. */
static void test_hostile(void **state)
{
	(void)state;
	for (int i = 0; i < 8; i++) {
		struct ipc_message m;
		struct taken t;

		credit(0, WINDOW);
		put_many(1);
		assert_true(take(&t, WAIT_MS));
		switch (i) {
		case 0: /* of no such job */
			t.job += 1000;
			result(&t, 0, IPC_JOB_DELIVERED, "2.0.0");
			break;
		case 1: /* of nobody in it */
			result(&t, 77, IPC_JOB_DELIVERED, "2.0.0");
			break;
		case 2: /* of no known kind */
			result(&t, 0, 9, "2.0.0");
			break;
		case 3: /* twice */
			result(&t, 0, IPC_JOB_DEFERRED, "4.0.0");
			result(&t, 0, IPC_JOB_DELIVERED, "2.0.0");
			break;
		case 4: /* before the results */
			credit(t.job, t.cost);
			break;
		case 5:
			closed(t.lane + 1000, true);
			break;
		case 6:
			say((struct ipc_message){ .type = IPC_TYPE_job_back,
						  .job_back = { .job = t.job + 1 } });
			break;
		case 7:
			credit(0, UINT32_MAX);
			break;
		}
		assert_true(recv_msg(w.queue.control, IPC_TYPE_complain, &m, WAIT_MS));
		assert_int_equal(m.complain.role, IPC_SMTP);
		tear_down(NULL);
		assert_int_equal(set_up(NULL), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD(test_results), WORLD(test_thousand_recipients), WORLD(test_back), WORLD(test_smtp_dies),
		WORLD(test_hostile),
	};

	signal(SIGPIPE, SIG_IGN);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
