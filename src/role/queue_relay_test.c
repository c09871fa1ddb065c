/* Queue sends mail on. */
#define WORLD_CONF                                                                                    \
	"routes:\n"                                                                                   \
	"  hole: {to: [hole.example], via: discard}\n"                                                \
	"  no: {to: [no.example], via: refuse, text: \"we do not write to them\"}\n"                  \
	"  smart: {to: [smart.example, other.example], via: smarthost, hosts: [relay.example.net],\n" \
	"    helo: helo.example}\n"                                                                   \
	"replies:\n"                                                                                  \
	"  never: {code: 554, text: never again, action: fail, meaning: They know us no more}\n"
#include "role/queue_relay_world.h"

static void test_delivered(void **state)
{
	const char *const two[] = { "a@Example.NET", "b@example.net" };
	struct seen job;
	uint64_t lane;

	(void)state;
	put_from(two, 2, NULL);
	lane = reach("mx1.example.net", "example.net");
	job = expect(IPC_TYPE_job);
	assert_int_equal(job.m.job.lane, lane);
	assert_int_equal(job.rcpts, 2);
	assert_string_equal(job.sender, "ann@example.org");
	result(&job, 0, IPC_JOB_DELIVERED, "250 2.0.0 ok");
	result(&job, 1, IPC_JOB_DELIVERED, "250 2.0.0 ok");
	over(&job);
	wait_empty();
	/* The next one needs no question and no lane; nor does another domain of the same site. */
	put("c@example.net");
	assert_int_equal(delivers(), lane);
	put("d@example.com");
	job = expect(IPC_TYPE_resolve);
	assert_string_equal(job.domain, "example.com");
	resolved(&job, "mx1.example.net");
	assert_int_equal(delivers(), lane);
	wait_empty();
}

/* One question for all that goes there, and several jobs in the lane's hands. */
static void test_many(void **state)
{
	struct seen job[4];
	char to[64];

	(void)state;
	put("first@example.net");
	job[0] = expect(IPC_TYPE_resolve);
	for (int i = 1; i < 40; i++) {
		snprintf(to, sizeof(to), "u%d@example.net", i);
		put(to);
	}
	resolved(&job[0], "mx1.example.net");
	job[0] = expect(IPC_TYPE_lane_open);
	lane_ready(job[0].m.lane_open.lane, "192.0.2.1");
	for (int k = 0; k < 4; k++)
		job[k] = expect_but(IPC_TYPE_job, IPC_TYPE_lane_open);
	for (int k = 0; k < 4; k++) {
		result(&job[k], 0, IPC_JOB_DELIVERED, "250 2.0.0 ok");
		over(&job[k]);
	}
	for (int i = 4; i < 40; i++) {
		job[0] = expect_but(IPC_TYPE_job, IPC_TYPE_lane_open);
		result(&job[0], 0, IPC_JOB_DELIVERED, "250 2.0.0 ok");
		over(&job[0]);
	}
	wait_empty();
}

static void test_answers(void **state)
{
	(void)state;
	put("full@example.net");
	reach("mx1.example.net", "example.net");
	job_ends(IPC_JOB_DEFERRED, "452 4.2.2 mailbox full");
	wait_reason("deferred", "452 4.2.2 mailbox full");
	put("nobody@example.net");
	job_ends(IPC_JOB_FAILED, "550 5.1.1 no such user");
	wait_reason("failed", "550 5.1.1 no such user");
	/* Its code says for ever, its words do not. */
	put("grey@example.net");
	job_ends(IPC_JOB_FAILED, "550 5.7.1 greylisted, try again later");
	wait_state("deferred", 2);
}

static void test_no_such_domain(void **state)
{
	struct seen q;

	(void)state;
	put("a@example.invalid");
	q = expect(IPC_TYPE_resolve);
	unresolved(&q, true, "the domain does not exist");
	wait_reason("failed", "the domain does not exist");
	put("a@example.com");
	q = expect(IPC_TYPE_resolve);
	unresolved(&q, false, "no answer of its name servers");
	wait_reason("queued", "no answer of its name servers");
}

/* A lane finds out that no host can ever be reached: what waits for that domain fails, and nothing else. */
static void test_nowhere(void **state)
{
	struct seen q, l;

	(void)state;
	put("a@example.net");
	q = expect(IPC_TYPE_resolve);
	put("b@example.net");
	resolved(&q, "mx1.example.net");
	l = expect(IPC_TYPE_lane_open);
	put("c@example.org");
	q = expect(IPC_TYPE_resolve);
	resolved(&q, "mx1.example.net");
	lane_closed(l.m.lane_open.lane, IPC_LANE_NOWHERE, "192.0.2.1", "it has no address");
	wait_reason("failed", "it has no address");
	l = expect(IPC_TYPE_lane_open);
	if (!strcmp(l.domain, "example.net")) { /* one more was on its way already */
		lane_closed(l.m.lane_open.lane, IPC_LANE_NOWHERE, "192.0.2.1", "it has no address");
		l = expect(IPC_TYPE_lane_open);
	}
	assert_string_equal(l.domain, "example.org");
	wait_state("queued", 1);
	lane_ready(l.m.lane_open.lane, "192.0.2.1");
	l = expect(IPC_TYPE_job);
	assert_string_equal(l.rcpt[0], "c@example.org");
}

/* A row of the configuration that says so: what the server said to the connection is about each message. */
static void test_row_fails(void **state)
{
	struct seen q, l;

	(void)state;
	l = lane_to("a@example.net", "mx1.example.net");
	lane_closed(l.m.lane_open.lane, IPC_LANE_ANSWERED, "192.0.2.1",
		    "mx1.example.net (192.0.2.1) port 25: 554 5.7.1 not now");
	wait_reason("queued", "not now");
	put("b@example.org");
	q = expect_but(IPC_TYPE_resolve, IPC_TYPE_lane_open); /* the other site may be due again by now */
	resolved(&q, "mx2.example.net");
	l = expect_lane("example.org");
	lane_closed(l.m.lane_open.lane, IPC_LANE_ANSWERED, "192.0.2.1",
		    "mx1.example.net (192.0.2.1) port 25: 554 5.7.1 never again");
	wait_reason("failed", "never again");
	wait_state("queued", 1);
}

static void test_routes(void **state)
{
	struct seen q, l;

	(void)state;
	put("a@hole.example");
	wait_empty();
	put("a@no.example");
	wait_reason("failed", "we do not write to them");
	put("a@smart.example");
	q = expect(IPC_TYPE_resolve);
	assert_string_equal(q.route, "smart");
	assert_string_equal(q.domain, "");
	resolved(&q, "relay.example.net");
	l = expect(IPC_TYPE_lane_open);
	assert_string_equal(l.route, "smart");
	assert_string_equal(l.sender, "helo.example");
	lane_ready(l.m.lane_open.lane, "192.0.2.1");
	delivers();
	put("a@other.example"); /* leads to the same place */
	assert_int_equal(delivers(), l.m.lane_open.lane);
}

/* What is forwarded has a sender of its own, and goes by itself. */
static void test_senders(void **state)
{
	const char *const to[] = { "a@example.net", "b@example.net", "c@example.net" };
	const char *const from[] = { "", "SRS0=x=y=example.org=ann@example.com", "" };
	struct seen job[2];

	(void)state;
	put_from(to, 3, from);
	reach("mx1.example.net", "example.net");
	job[0] = expect(IPC_TYPE_job);
	job[1] = expect(IPC_TYPE_job);
	assert_int_equal(job[0].rcpts, 2);
	assert_string_equal(job[0].sender, "ann@example.org");
	assert_int_equal(job[1].rcpts, 1);
	assert_string_equal(job[1].sender, from[1]);
	assert_string_equal(job[1].rcpt[0], "b@example.net");
	result(&job[0], 0, IPC_JOB_DELIVERED, "250 2.0.0 ok");
	result(&job[0], 2, IPC_JOB_DELIVERED, "250 2.0.0 ok");
	result(&job[1], 1, IPC_JOB_DELIVERED, "250 2.0.0 ok");
	over(&job[0]);
	over(&job[1]);
	wait_empty();
}

static void test_moved(void **state)
{
	struct seen q, l;

	(void)state;
	l = lane_to("a@example.net", "mx1.example.net");
	lane_closed(l.m.lane_open.lane, IPC_LANE_MOVED, "192.0.2.1", "it has other servers now");
	q = expect(IPC_TYPE_resolve);
	resolved(&q, "mx2.example.net");
	l = expect(IPC_TYPE_lane_open);
	lane_ready(l.m.lane_open.lane, "192.0.2.1");
	(void)expect(IPC_TYPE_job);
}

/* The connection failed: the site waits, the message is untouched. */
static void test_trouble(void **state)
{
	struct seen q, l;
	uint64_t from;

	(void)state;
	put("a@example.net");
	q = expect(IPC_TYPE_resolve);
	put("b@example.net");
	resolved(&q, "mx1.example.net");
	l = expect(IPC_TYPE_lane_open);
	from = world_ms();
	lane_closed(l.m.lane_open.lane, IPC_LANE_REFUSED, "192.0.2.1", "connection refused");
	wait_reason("queued", "mx1.example.net port 25: connection refused");
	l = expect(IPC_TYPE_lane_open);
	assert_true(world_ms() - from >= 900);
	lane_closed(l.m.lane_open.lane, IPC_LANE_AUTH, "192.0.2.1", "535 5.7.8 no");
	wait_reason("queued", "it does not take our user and password: 535 5.7.8 no");
	wait_state("queued", 2);
}

/* A lane that breaks with jobs in its hands. */
static void test_broken(void **state)
{
	struct seen job[2], s;
	uint64_t lane;

	(void)state;
	put("a@example.net");
	lane = reach("mx1.example.net", "example.net");
	job[0] = expect(IPC_TYPE_job);
	put("b@example.net");
	job[1] = expect(IPC_TYPE_job);
	result(&job[0], 0, IPC_JOB_DEFERRED, "the connection broke");
	lane_closed(lane, IPC_LANE_BROKE, "192.0.2.1", "the connection broke");
	over(&job[0]);
	say((struct ipc_message){ .type = IPC_TYPE_job_back,
				  .job_back = { .job = job[1].m.job.job, .text = SLICE_LIT("broke") } });
	over(&job[1]);
	s = expect(IPC_TYPE_lane_open);
	lane_ready(s.m.lane_open.lane, "192.0.2.1");
	s = expect(IPC_TYPE_job);
	assert_string_equal(s.rcpt[0], "b@example.net");
	wait_state("deferred", 1);
}

/* smtp dies with a question, and with a job. */
static void test_smtp_dies(void **state)
{
	struct seen q;

	(void)state;
	put("a@example.net");
	(void)expect(IPC_TYPE_resolve);
	another_smtp();
	reach("mx1.example.net", "example.net");
	(void)expect(IPC_TYPE_job);
	another_smtp();
	q = expect(IPC_TYPE_lane_open);
	lane_ready(q.m.lane_open.lane, "192.0.2.1");
	delivers();
	wait_empty();
}

/* Port 25 is silent everywhere: said once, kept over a restart, taken back. */
static void test_port_25(void **state)
{
	static const char *const domains[] = { "example.net", "example.com", "example.edu" };
	static const char *const ips[] = { "192.0.2.1", "198.51.100.1", "203.0.113.1" };
	char to[64], path[128];
	struct seen q, l;

	(void)state;
	for (int i = 0; i < 3; i++) {
		snprintf(to, sizeof(to), "a@%s", domains[i]);
		put(to);
		q = expect_but(IPC_TYPE_resolve, IPC_TYPE_lane_open); /* one may be due again by now */
		resolved(&q, domains[i]);
		l = expect_lane(domains[i]);
		lane_closed(l.m.lane_open.lane, IPC_LANE_TIMED_OUT, ips[i], "connecting took too long");
	}
	wait_reason("queued", "this network blocks outbound port 25; set a smart host");
	snprintf(path, sizeof(path), "%s/state/spool/port25-blocked", w.dir);
	assert_int_equal(access(path, F_OK), 0);
	wait_state("queued", 3);
	while (next(&q, 0)) /* what was due again before it was known */
		assert_int_equal(q.m.type, IPC_TYPE_lane_open);
	assert_false(next(&q, 2500)); /* no message is tried against it */
	stop_queue();
	start_queue();
	credit(0, WINDOW);
	/* It is resolved, and waits. */
	for (int i = 0; i < 3; i++) {
		q = expect(IPC_TYPE_resolve);
		resolved(&q, q.domain);
	}
	wait_reason("queued", "this network blocks outbound port 25");
	/* A route that does not need it works. */
	l = lane_to("a@smart.example", "relay.example.net");
	assert_string_equal(l.route, "smart");
}

/* Lies that no working smtp process tells. */
static void test_hostile(void **state)
{
	(void)state;
	for (int i = 0; i < 8; i++) {
		struct ipc_message m;
		struct seen q, l;

		put("a@example.net");
		q = expect(IPC_TYPE_resolve);
		switch (i) {
		case 0:
			q.m.resolve.req += 1000;
			resolved(&q, "x");
			break;
		case 1:
			say((struct ipc_message){ .type = IPC_TYPE_resolved,
						  .resolved = { .req = q.m.resolve.req, .what = 9 } });
			break;
		case 2: /* no key */
			say((struct ipc_message){
				.type = IPC_TYPE_resolved,
				.resolved = { .req = q.m.resolve.req, .what = IPC_RESOLVED_OK } });
			break;
		case 3:
			lane_ready(1000, "192.0.2.1");
			break;
		default:
			resolved(&q, "mx1.example.net");
			l = expect(IPC_TYPE_lane_open);
			if (i == 4) {
				lane_ready(l.m.lane_open.lane, "192.0.2.1");
				lane_ready(l.m.lane_open.lane, "192.0.2.1");
			} else if (i == 5) {
				lane_closed(l.m.lane_open.lane, IPC_LANE_ENDS, "192.0.2.1", "");
			} else if (i == 6) {
				lane_closed(l.m.lane_open.lane, IPC_LANE_REFUSED, "192.0.2.1", "");
				lane_closed(l.m.lane_open.lane, IPC_LANE_REFUSED, "192.0.2.1", "");
			} else {
				say((struct ipc_message){ .type = IPC_TYPE_lane_ready,
							  .lane_ready = { .lane = l.m.lane_open.lane,
									  .ip = SLICE_LIT("abc") } });
			}
		}
		assert_true(recv_msg(w.queue.control, IPC_TYPE_complain, &m, WAIT_MS));
		assert_int_equal(m.complain.role, IPC_SMTP);
		tear_down(NULL);
		assert_int_equal(begin(NULL), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_delivered), CASE(test_many),	    CASE(test_answers), CASE(test_no_such_domain),
		CASE(test_nowhere),   CASE(test_row_fails), CASE(test_routes),	CASE(test_senders),
		CASE(test_moved),     CASE(test_trouble),   CASE(test_broken),	CASE(test_smtp_dies),
		CASE(test_port_25),   CASE(test_hostile),
	};

	signal(SIGPIPE, SIG_IGN);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
