/* queue_relay_world.h - for tests only: queue that sends mail on, and the smtp process that it does so with.
 *
 * The test is that process: it answers where mail goes, opens lanes, and says what came of it. Over
 * role/queue_world.h; everything is static, and each test program has its own.
 */
#ifndef POSTERN_ROLE_QUEUE_RELAY_WORLD_H
#define POSTERN_ROLE_QUEUE_RELAY_WORLD_H

#include "role/queue_world.h"
#include "smtp/client.h"

#define WINDOW 4000000

static void say(struct ipc_message m)
{
	send_msg(w.smtp, &m, -1);
}

static void credit(uint64_t job, size_t octets)
{
	say((struct ipc_message){ .type = IPC_TYPE_job_credit,
				  .job_credit = { .job = job, .octets = (uint32_t)octets } });
}

/* ---- mail in ---- */

static struct id put_from(const char *const *to, unsigned n, const char *const *senders)
{
	struct id id = id_next(&w.ids, 1800000000000);

	w.tx++;
	for (unsigned i = 0; i < n; i++) {
		struct ipc_message m = { .type = IPC_TYPE_rcpt,
					 .rcpt = { .tx = w.tx,
						   .kind = IPC_TARGET_REMOTE,
						   .address = slice_str(to[i]),
						   .original = slice_str(to[i]),
						   .sender = slice_str(senders ? senders[i] : "") } };

		send_msg(w.smtp, &m, -1);
	}
	put_body(w.tx, SLICE_LIT("Subject: x\r\n\r\nx\r\n"));
	assert_int_equal(put_commit(w.tx, &id, 17), 0);
	return id;
}

static struct id put(const char *to)
{
	return put_from(&to, 1, NULL);
}

/* ---- what queue wants ---- */

/* As smtp would have it: what came, in the order in which it did. */
struct seen {
	struct ipc_message m;
	char route[65], domain[256], sender[128], rcpt[4][64];
	unsigned rcpts;
	size_t cost;
};

/* The next resolve, lane_open, lane_close or whole job. */
static bool next(struct seen *s, int wait_ms)
{
	struct ipc_message m;

	memset(s, 0, sizeof(*s));
	while (raw_waits(w.smtp, wait_ms)) {
		if (raw_take(w.smtp, &m) != 0)
			return false;
		switch (m.type) {
		case IPC_TYPE_resolve:
			s->m = m;
			slice_copy(m.resolve.route, s->route, sizeof(s->route));
			slice_copy(m.resolve.domain, s->domain, sizeof(s->domain));
			return true;
		case IPC_TYPE_lane_open:
			s->m = m;
			slice_copy(m.lane_open.route, s->route, sizeof(s->route));
			slice_copy(m.lane_open.domain, s->domain, sizeof(s->domain));
			slice_copy(m.lane_open.helo, s->sender, sizeof(s->sender));
			return true;
		case IPC_TYPE_lane_close:
			s->m = m;
			return true;
		case IPC_TYPE_job:
			s->m = m;
			slice_copy(m.job.sender, s->sender, sizeof(s->sender));
			s->cost = m.job.sender.n + m.job.headers.n + m.job.envid.n;
			break;
		case IPC_TYPE_job_rcpt:
			slice_copy(m.job_rcpt.address, s->rcpt[s->rcpts++ % 4], 64);
			s->cost += m.job_rcpt.address.n + m.job_rcpt.orcpt.n;
			break;
		case IPC_TYPE_job_body:
			s->cost += m.job_body.data.n;
			break;
		case IPC_TYPE_job_end:
			return true;
		default:
			break;
		}
	}
	return false;
}

static struct seen expect(enum ipc_type type)
{
	struct seen s;

	if (!next(&s, WAIT_MS))
		fail_msg("no %s came", ipc_type_name(type));
	if (s.m.type != type)
		fail_msg("%s came instead of %s", ipc_type_name(s.m.type), ipc_type_name(type));
	return s;
}

static struct seen expect_but(enum ipc_type type, enum ipc_type passed_over)
{
	struct seen s;

	do
		assert_true(next(&s, WAIT_MS));
	while (s.m.type == passed_over);
	assert_int_equal(s.m.type, type);
	return s;
}

/* The next lane to that domain; those to others are passed over, which are open for ever then. */
static struct seen expect_lane(const char *domain)
{
	struct seen l;

	do
		l = expect(IPC_TYPE_lane_open);
	while (strcmp(l.domain, domain) != 0);
	return l;
}

static void resolved(const struct seen *q, const char *site)
{
	char key[IPC_SITE_KEY + 1];

	snprintf(key, sizeof(key), "%-16.16s", site);
	say((struct ipc_message){ .type = IPC_TYPE_resolved,
				  .resolved = { .req = q->m.resolve.req,
						.what = IPC_RESOLVED_OK,
						.site = slice_str(site),
						.key = slice_of(key, IPC_SITE_KEY),
						.ttl_s = 3600 } });
}

static void unresolved(const struct seen *q, bool permanent, const char *text)
{
	say((struct ipc_message){
		.type = IPC_TYPE_resolved,
		.resolved = { .req = q->m.resolve.req,
			      .what = permanent ? IPC_RESOLVED_PERMANENT : IPC_RESOLVED_TEMPORARY,
			      .enhanced = permanent ? SLICE_LIT("5.1.2") : SLICE_LIT("4.4.3"),
			      .text = slice_str(text) } });
}

static void lane_ready(uint64_t lane, const char *ip)
{
	struct ip at;

	assert_true(ip_parse(slice_str(ip), &at));
	say((struct ipc_message){ .type = IPC_TYPE_lane_ready,
				  .lane_ready = { .lane = lane,
						  .host = SLICE_LIT("mx1.example.net"),
						  .ip = slice_of(at.byte, 4),
						  .port = 25,
						  .tls = SLICE_LIT("TLSv1.3"),
						  .security = IPC_SECURITY_ENCRYPTED } });
}

static void lane_closed(uint64_t lane, enum ipc_lane_end end, const char *ip, const char *text)
{
	struct ip at;

	assert_true(ip_parse(slice_str(ip), &at));
	say((struct ipc_message){
		.type = IPC_TYPE_lane_closed,
		.lane_closed = { .lane = lane,
				 .failed = end != IPC_LANE_IN_ORDER && end != IPC_LANE_MOVED,
				 .enhanced = SLICE_LIT("4.4.1"),
				 .text = slice_str(text),
				 .end = (uint8_t)end,
				 .host = SLICE_LIT("mx1.example.net"),
				 .ip = slice_of(at.byte, 4),
				 .port = 25 } });
}

static void result(const struct seen *job, uint32_t recipient, uint8_t what, const char *text)
{
	say((struct ipc_message){ .type = IPC_TYPE_job_result,
				  .job_result = { .job = job->m.job.job,
						  .recipient = recipient,
						  .result = what,
						  .step = SMTP_CLIENT_AT_RCPT,
						  .text = slice_str(text) } });
}

static void over(const struct seen *job)
{
	credit(job->m.job.job, job->cost);
}

/* As far as a lane that stands. */
static uint64_t reach(const char *site, const char *domain)
{
	struct seen q = expect(IPC_TYPE_resolve), l;

	assert_string_equal(q.route, "mx");
	assert_string_equal(q.domain, domain);
	resolved(&q, site);
	l = expect(IPC_TYPE_lane_open);
	assert_int_equal(l.m.lane_open.protocol, IPC_LANE_SMTP);
	assert_string_equal(l.domain, domain);
	lane_ready(l.m.lane_open.lane, "192.0.2.1");
	return l.m.lane_open.lane;
}

static void wait_reason(const char *state, const char *words)
{
	char got[600] = "";

	for (uint64_t end = world_ms() + WAIT_MS; !strstr(got, words) && world_ms() < end;) {
		json_t *list = rows("state", state);
		const char *text = json_string_value(json_object_get(json_array_get(list, 0), "reason"));

		snprintf(got, sizeof(got), "%s", text ? text : "");
		json_decref(list);
		usleep(10000);
	}
	if (!strstr(got, words))
		fail_msg("\"%s\" instead of \"%s\"", got, words);
}

/* ---- what happens to most ---- */

/* A message to somebody there, and its lane, which is yet to be ready. */
static struct seen lane_to(const char *to, const char *site)
{
	struct seen q;

	put(to);
	q = expect(IPC_TYPE_resolve);
	resolved(&q, site);
	return expect(IPC_TYPE_lane_open);
}

/* What becomes of the one recipient of the next job; over that lane. */
static uint64_t job_ends(uint8_t what, const char *text)
{
	struct seen job = expect(IPC_TYPE_job);

	result(&job, 0, what, text);
	over(&job);
	return job.m.job.lane;
}

static uint64_t delivers(void)
{
	return job_ends(IPC_JOB_DELIVERED, "250 2.0.0 ok");
}

static void another_smtp(void)
{
	close(w.smtp);
	w.smtp = pair_with(&w.queue, IPC_SMTP);
	credit(0, WINDOW);
}

static int begin(void **state)
{
	int r = set_up(state);

	if (r == 0)
		credit(0, WINDOW);
	return r;
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, begin, tear_down)

#endif
