/* A message over a lane of its own - where to, connected, TLS, sent - in which each request for memory is
 * refused in turn: queue hears what became of it, and of the lane; what it takes for delivered the server
 * has, and what it takes for untried the server has not; and the next one works in full. */
#include "base/test_torture.h"

#define WORLD_TURN(run) (torture_in(), (run), torture_out())
#define WORLD_REST_US	1
#define WORLD_MAY_BREAK true
#include "send/lane_world.h"

#define HUNG_TURNS 200000

static uint64_t last;

/* Messages that the server has in full. */
static unsigned has(const struct server *v)
{
	struct slice all = buf_slice(&v->heard), found = SLICE_LIT("\r\n.\r\n");
	unsigned n = 0;

	for (const unsigned char *at; all.n > 0 && (at = memmem(all.p, all.n, found.p, found.n)); n++)
		all = slice_tail(all, (size_t)(at - all.p) + found.n);
	return n;
}

/* The next thing that concerns queue; it must come. */
static enum ipc_type next(const char *what)
{
	for (unsigned i = 0; !raw_waits(queue, 0); i++) {
		if (i > HUNG_TURNS)
			fail_msg("%s: nothing comes any more", what);
		turn();
		if (i > 2000)
			usleep(200);
	}
	assert_int_equal(raw_take(queue, &m), 0);
	return m.type;
}

struct became {
	bool delivered, tried, back, credited, closed, in_doubt;
};

static void hear_of(struct became *b, enum ipc_type type)
{
	switch (type) {
	case IPC_TYPE_job_result:
		assert_int_equal(m.job_result.job, last);
		assert_false(b->tried || b->back);
		b->tried = true;
		b->delivered = m.job_result.result == IPC_JOB_DELIVERED;
		b->in_doubt = m.job_result.in_doubt;
		assert_int_not_equal(m.job_result.result, IPC_JOB_FAILED);
		break;
	case IPC_TYPE_job_back:
		assert_false(b->tried || b->back);
		b->back = true;
		break;
	case IPC_TYPE_job_credit:
		if (m.job_credit.job == 0) /* what it takes at all */
			break;
		assert_int_equal(m.job_credit.job, last);
		assert_int_equal(m.job_credit.octets, strlen("a@us.test"
							     "Subject: x\r\n\r\n"
							     "b@there.test"
							     "x\r\n"));
		assert_true(b->tried || b->back);
		b->credited = true;
		break;
	case IPC_TYPE_lane_closed:
		assert_int_equal(m.lane_closed.lane, last);
		b->closed = true;
		break;
	default:
		assert_int_equal(type, IPC_TYPE_lane_ready);
	}
}

static void one_message(const char *what, struct server *v, bool must_work)
{
	struct became b = { 0 };
	unsigned got;

	buf_reset(&v->heard);
	v->connections = 0;
	time_s = final_s = must_work ? 30 : 2; /* where memory lacks, some wait in vain */
	open_lane(++last);
	job(last, last, false);
	while (!b.credited)
		hear_of(&b, next(what));
	if (!b.closed) {
		tell((struct ipc_message){ .type = IPC_TYPE_lane_close, .lane_close = { .lane = last } });
		while (!b.closed)
			hear_of(&b, next(what));
	}
	got = has(v);
	if (must_work && !b.delivered)
		fail_msg("%s: it does not work any more: %.*s", what, SLICE_ARG(m.lane_closed.text));
	if (got > 1 || (b.delivered && got == 0))
		fail_msg("%s: delivered %d, and the server has it %u times", what, b.delivered, got);
	if (got > 0 && !b.delivered && !b.in_doubt)
		fail_msg("%s: the server has it, and queue was told that it has not", what);
}

static void torment(const char *name, struct server *v, unsigned stride)
{
	struct torture t = torture(stride);

	one_message(name, v, true);
	if (stride > 1)
		t.each = 40;
	while (torture_goes_on(&t)) {
		char what[100];

		snprintf(what, sizeof(what), "%s, TORTURE_AT=%u%s", name, t.nth, t.rest ? "+" : "");
		one_message(what, v, false);
		torture_enough();
		one_message(what, v, true);
	}
}

static void test_plain(void **state)
{
	char route[256];
	struct server *v;

	(void)state;
	if (!torture_works())
		skip();
	v = serve(address(1), 0, SCRIPT(HELLO, "S 250 smart.test", MESSAGE, QUIT));
	snprintf(route, sizeof(route), "    via: host\n    hosts: [%s]\n    port: %u\n", address(1), v->port);
	configure(route);
	torment("plain", v, 1);
}

static void test_tls(void **state)
{
	char route[256];
	struct server *v;

	(void)state;
	if (!torture_works())
		skip();
	v = serve(address(1), 0,
		  SCRIPT(HELLO, STARTTLS, "C EHLO us.test", "S 250 smart.test", MESSAGE, QUIT));
	snprintf(route, sizeof(route), "    via: host\n    hosts: [%s]\n    port: %u\n", address(1), v->port);
	configure(route);
	torment("TLS", v, 97);
}

static void test_login(void **state)
{
	struct server *v;

	(void)state;
	if (!torture_works())
		skip();
	v = serve(address(1), 465, SCRIPT("TLS", "S 220 smart.test", LOGIN, MESSAGE, QUIT));
	smart("    port: 465\n");
	torment("login", v, 97);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_plain, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_tls, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_login, set_up, tear_down),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
