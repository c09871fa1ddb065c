/* What queue may say to a process with lanes, and what it may not; the test is queue. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/raw.h"
#include "send/send.h"

static const struct conf conf = { .hostname = "mx.test" };
static uv_loop_t loop;
static struct send *s;
static struct channel *ch;
static int queue; /* our end */

static void on_message(void *arg, struct channel *c, const struct ipc_message *m, int *fd)
{
	(void)arg, (void)c, (void)m, (void)fd;
}

static void on_closed(void *arg, struct channel *c, const char *why)
{
	(void)arg, (void)c, (void)why;
}

static int set_up(void **state)
{
	static const struct channel_handlers handlers = { on_message, on_closed };
	int fd[2];

	(void)state;
	uv_loop_init(&loop);
	assert_int_equal(channel_pair(fd), 0);
	assert_int_equal(channel_new(&loop, fd[0], 4U << 20, &handlers, NULL, &ch), 0);
	queue = fd[1];
	assert_int_equal(send_new(&(struct send_setup){ .loop = &loop }, &s), 0);
	assert_int_equal(send_configure(s, &conf), 0);
	send_peer(s, ch);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	send_free(s);
	channel_free(ch);
	close(queue);
	uv_run(&loop, UV_RUN_DEFAULT);
	return uv_loop_close(&loop);
}

static const char *tell(struct ipc_message m)
{
	int fd = -1;

	return send_message(s, &m, &fd);
}

static const char *open_lane(uint64_t lane, uint8_t protocol, const char *to)
{
	return tell((struct ipc_message){ .type = IPC_TYPE_lane_open,
					  .lane_open = { .lane = lane,
							 .protocol = protocol,
							 .endpoint = slice_str(to),
							 .connect_s = 5,
							 .command_s = 5,
							 .final_s = 5 } });
}

static const char *job(uint64_t number, uint64_t lane, uint64_t size)
{
	return tell((struct ipc_message){
		.type = IPC_TYPE_job,
		.job = {
			.job = number, .lane = lane, .id = SLICE_LIT("1JMB4MM9R0JRV"), .body_size = size } });
}

static const char *rcpt(uint64_t number)
{
	return tell((struct ipc_message){ .type = IPC_TYPE_job_rcpt,
					  .job_rcpt = { .job = number, .address = SLICE_LIT("a@x") } });
}

static const char *body(uint64_t number, const char *text)
{
	return tell((struct ipc_message){ .type = IPC_TYPE_job_body,
					  .job_body = { .job = number, .data = slice_str(text) } });
}

static const char *end(uint64_t number)
{
	return tell((struct ipc_message){ .type = IPC_TYPE_job_end, .job_end = { .job = number } });
}

static enum ipc_type heard(struct ipc_message *ret)
{
	for (int i = 0; i < 60000 && !raw_waits(queue, 0); i++) {
		uv_run(&loop, UV_RUN_NOWAIT);
		usleep(1000);
	}
	assert_int_equal(raw_take(queue, ret), 0);
	return ret->type;
}

/* Nobody is there: the lane says so first, then the job comes back, then its credit. */
static void test_nobody_there(void **state)
{
	struct ipc_message m;

	(void)state;
	assert_int_equal(heard(&m), IPC_TYPE_job_credit);
	assert_int_equal(m.job_credit.job, 0);
	assert_null(open_lane(1, IPC_LANE_LMTP, "unix:/nonexistent/lmtp"));
	assert_null(job(7, 1, 3));
	assert_null(rcpt(7));
	assert_null(body(7, "x\r\n"));
	assert_null(end(7));
	assert_int_equal(heard(&m), IPC_TYPE_lane_closed);
	assert_true(m.lane_closed.failed);
	assert_int_equal(heard(&m), IPC_TYPE_job_back);
	assert_int_equal(m.job_back.job, 7);
	assert_int_equal(heard(&m), IPC_TYPE_job_credit);
	assert_int_equal(m.job_credit.octets, 6);
	/* Its lane is gone already. */
	assert_null(job(8, 1, 0));
	assert_null(rcpt(8));
	assert_null(end(8));
	assert_int_equal(heard(&m), IPC_TYPE_job_back);
	assert_int_equal(heard(&m), IPC_TYPE_job_credit);
}

static void test_hostile(void **state)
{
	struct rlimit files;

	(void)state;
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	assert_non_null(open_lane(0, IPC_LANE_LMTP, "127.0.0.1:1"));
	assert_non_null(open_lane(1, 77, "127.0.0.1:1"));
	assert_non_null(open_lane(1, IPC_LANE_LMTP, "localhost:25"));
	assert_null(open_lane(1, IPC_LANE_LMTP, "127.0.0.1:1"));
	assert_non_null(open_lane(1, IPC_LANE_LMTP, "127.0.0.1:1")); /* twice */
	assert_non_null(rcpt(5));
	assert_non_null(body(5, "x"));
	assert_non_null(end(5));
	assert_null(job(5, 1, 3));
	assert_non_null(job(5, 1, 3)); /* twice */
	assert_non_null(end(5));       /* for nobody */
	assert_null(rcpt(5));
	assert_null(body(5, "x"));
	assert_non_null(end(5)); /* of another size */
	for (int i = 0; i < 127; i++)
		assert_null(rcpt(5));
	assert_non_null(rcpt(5)); /* one too many */
	for (uint64_t i = 6; i < 9; i++)
		assert_null(job(i, 1, 0));
	assert_non_null(job(9, 1, 0)); /* more than a lane takes */
	assert_non_null(tell((struct ipc_message){ .type = IPC_TYPE_job_body,
						   .job_body = { .job = 6, .in_file = 1 } })); /* no file */
	for (uint64_t i = 2; i < 1025; i++)
		assert_null(open_lane(i, IPC_LANE_LMTP, "127.0.0.1:1"));
	assert_non_null(open_lane(1025, IPC_LANE_LMTP, "127.0.0.1:1"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_nobody_there, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_hostile, set_up, tear_down),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
