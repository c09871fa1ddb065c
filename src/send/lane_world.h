/* lane_world.h - for tests only: lanes, servers to connect to (send/server_world.h), and queue, which is the
 * test.  Everything is static: each program has its own.
 */
#ifndef POSTERN_SEND_LANE_WORLD_H
#define POSTERN_SEND_LANE_WORLD_H

#include "ipc/raw.h"
#include "send/send.h"
#include "send/server_world.h"

/* ---- queue ---- */

static struct send *tx;
static struct channel *ch;
static struct conf *conf;
static int queue;
static unsigned stales;
/* How long servers may take, and behind the dot; long enough for a slow machine, where the test is not about
 * that. */
static unsigned time_s, final_s;

static void on_message(void *arg, struct channel *c, const struct ipc_message *m, int *fd)
{
	(void)arg, (void)c, (void)m, (void)fd;
}

static void on_closed(void *arg, struct channel *c, const char *why)
{
	(void)arg, (void)c, (void)why;
}

static void credential(const char *secret, uint64_t generation)
{
	struct ipc_credential m = { .route = SLICE_LIT("r"),
				    .generation = generation,
				    .there = secret != NULL,
				    .secret = slice_str(secret),
				    .why = SLICE_LIT("nobody knows") };

	assert_int_equal(send_secret(tx, &m), 0);
}

/* As main does: another token comes, once. */
static void on_stale(void *arg, struct slice route, uint64_t generation)
{
	(void)arg;
	assert_true(slice_eq(route, SLICE_LIT("r")));
	if (++stales == 1)
		credential("new-token", generation + 1);
	else
		credential("new-token", generation);
}

static int set_up(void **state)
{
	static const struct channel_handlers handlers = { on_message, on_closed };
	struct send_setup setup = { .loop = &loop, .stale = on_stale };
	int fd[2];

	(void)state;
	servers_up();
	stales = 0;
	time_s = final_s = 20;
	assert_int_equal(channel_pair(fd), 0);
	assert_int_equal(channel_new(&loop, fd[0], 4U << 20, &handlers, NULL, &ch), 0);
	queue = fd[1];
	assert_int_equal(send_new(&setup, &tx), 0);
	send_trust(tx, trust);
	return 0;
}

static int tear_down(void **state)
{
	int r;

	(void)state;
	send_free(tx);
	channel_free(ch);
	close(queue);
	r = servers_down();
	conf_free(conf);
	conf = NULL;
	return r;
}

/* What stands below routes: r: */
static void configure(const char *route)
{
	struct conf_setup setup = { .file = "test" };
	struct conf_finding *findings = NULL;
	struct buf text;

	buf_init(&text, 65536);
	buf_fmt(&text, "hostname: us.test\nroutes:\n  r:\n    to: \"*\"\n%s", route);
	if (conf_parse(buf_slice(&text), &setup, &conf, &findings) < 0) {
		struct buf b;

		buf_init(&b, 65536);
		conf_findings_show(findings, "test", &b);
		print_message("%.*s", SLICE_ARG(buf_slice(&b)));
		fail();
	}
	conf_findings_free(findings);
	buf_done(&text);
	assert_int_equal(send_configure(tx, conf), 0);
	send_peer(tx, ch);
}

/* The servers' certificate is their own: it passes with "require" only. */
static __attribute__((unused)) void smart(const char *more)
{
	char text[1024];

	snprintf(text, sizeof(text),
		 "    via: smarthost\n    hosts: [%s]\n    user: u\n    password_file: /nonexistent\n%s%s",
		 address(1), strstr(more, "tls:") ? "" : "    tls: require\n", more);
	configure(text);
	credential("secret", 1);
}

static struct ipc_message m; /* the last that was heard */

static enum ipc_type hear(void)
{
	for (unsigned i = 0; i < 60000 && !raw_waits(queue, 0); i++)
		turn();
	assert_int_equal(raw_take(queue, &m), 0);
	return m.type == IPC_TYPE_job_credit ? hear() : m.type;
}

static void tell(struct ipc_message t)
{
	const char *broken;
	int fd = -1;

	WORLD_TURN(broken = send_message(tx, &t, &fd));
	if (broken)
		fail_msg("queue would be killed: %s", broken);
}

static void open_lane(uint64_t lane)
{
	tell((struct ipc_message){ .type = IPC_TYPE_lane_open,
				   .lane_open = { .lane = lane,
						  .protocol = IPC_LANE_SMTP,
						  .route = SLICE_LIT("r"),
						  .connect_s = time_s,
						  .command_s = time_s,
						  .final_s = final_s } });
}

static void job(uint64_t number, uint64_t lane, bool requiretls)
{
	tell((struct ipc_message){ .type = IPC_TYPE_job,
				   .job = { .job = number,
					    .lane = lane,
					    .id = SLICE_LIT("1JMB4MM9R0JRV"),
					    .sender = SLICE_LIT("a@us.test"),
					    .headers = SLICE_LIT("Subject: x\r\n\r\n"),
					    .requiretls = requiretls,
					    .body_size = 3 } });
	tell((struct ipc_message){ .type = IPC_TYPE_job_rcpt,
				   .job_rcpt = { .job = number, .address = SLICE_LIT("b@there.test") } });
	tell((struct ipc_message){ .type = IPC_TYPE_job_body,
				   .job_body = { .job = number, .data = SLICE_LIT("x\r\n") } });
	tell((struct ipc_message){ .type = IPC_TYPE_job_end, .job_end = { .job = number } });
}

/* The lane ends, in this way and with these words in it. */
static __attribute__((unused)) void ends(enum ipc_lane_end end, const char *enhanced, const char *words)
{
	assert_int_equal(hear(), IPC_TYPE_lane_closed);
	if (m.lane_closed.end != end || !slice_eq(m.lane_closed.enhanced, slice_str(enhanced)) ||
	    !memmem(m.lane_closed.text.p, m.lane_closed.text.n, words, strlen(words)))
		fail_msg("end %u, %.*s %.*s", m.lane_closed.end, SLICE_ARG(m.lane_closed.enhanced),
			 SLICE_ARG(m.lane_closed.text));
}

static __attribute__((unused)) void is_ready(uint16_t port, enum ipc_security security)
{
	if (hear() != IPC_TYPE_lane_ready)
		fail_msg("%s: %.*s", ipc_type_name(m.type), SLICE_ARG(m.lane_closed.text));
	assert_int_equal(m.lane_ready.port, port);
	assert_int_equal(m.lane_ready.security, security);
}

static __attribute__((unused)) void delivers(uint64_t number)
{
	assert_int_equal(hear(), IPC_TYPE_job_result);
	assert_int_equal(m.job_result.job, number);
	assert_int_equal(m.job_result.result, IPC_JOB_DELIVERED);
	assert_int_equal(m.job_result.code, 250);
}

#endif
