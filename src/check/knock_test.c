/* Knocks that need neither root nor a network; the others are in tests/lab/test_check.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "check/knock.h"

struct seen {
	int calls, fd;
};

static void on_done(void *arg, int fd)
{
	struct seen *s = arg;

	s->calls++;
	s->fd = fd;
}

/* A socket at a port of loopback that is free; backlog < 0: it does not listen. */
static int bound(int backlog, uint16_t *ret_port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_return_code(bind(fd, (const struct sockaddr *)&a, sizeof(a)), 0);
	if (backlog >= 0)
		assert_return_code(listen(fd, backlog), 0);
	assert_return_code(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	*ret_port = ntohs(a.sin_port);
	return fd;
}

static struct seen knock(const char *ip, struct probe_port *p, unsigned timeout_ms, int *ret)
{
	struct seen s = { .fd = -2 };
	struct knock *k;
	uv_loop_t loop;

	assert_true(ip_parse(slice_str(ip), &p->ip));
	assert_int_equal(uv_loop_init(&loop), 0);
	*ret = knock_begin(&loop, p, timeout_ms, on_done, &s, &k);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	return s;
}

static void open_and_refused(void **state)
{
	struct probe_port p = { 0 };
	int r, fd = bound(5, &p.port);
	struct seen s = knock("127.0.0.1", &p, 30000, &r);

	(void)state;
	assert_int_equal(r, 0);
	assert_int_equal(s.calls, 1);
	assert_int_equal(p.reach, PROBE_OPEN);
	assert_true(s.fd >= 0);
	close(s.fd);
	close(fd);

	/* By the host itself, which is here: that is no rule, and nobody is asked twice. */
	memset(&p, 0, sizeof(p));
	fd = bound(-1, &p.port);
	s = knock("127.0.0.1", &p, 30000, &r);
	assert_int_equal(s.calls, 1);
	assert_int_equal(s.fd, -1);
	assert_int_equal(p.reach, PROBE_REFUSED);
	assert_int_equal(p.sent, PROBE_SENT_UNKNOWN);
	assert_false(p.local);
	close(fd);
}

/* Nobody accepts, and the queue is full: then the kernel drops what comes. */
static void silent(void **state)
{
	struct probe_port p = { 0 };
	int r, fd = bound(0, &p.port), full[4];
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				 .sin_port = htons(p.port) };
	struct seen s;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		full[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		(void)connect(full[i], (const struct sockaddr *)&a, sizeof(a));
	}
	s = knock("127.0.0.1", &p, 2500, &r);
	assert_int_equal(s.calls, 1);
	assert_int_equal(s.fd, -1);
	assert_int_equal(p.reach, PROBE_SILENT);
	assert_int_equal(p.sent, PROBE_SENT); /* and again after a second */
	assert_false(p.local);
	for (size_t i = 0; i < 4; i++)
		close(full[i]);
	close(fd);
}

/* connect() itself says so: there is no way to everybody at once. */
static void no_route(void **state)
{
	struct probe_port p = { .port = 25 };
	int r;
	struct seen s = knock("255.255.255.255", &p, 1000, &r);

	(void)state;
	assert_true(r < 0);
	assert_int_equal(s.calls, 0);
	assert_int_equal(p.reach, PROBE_UNREACHABLE);
	assert_true(p.no_route);
	assert_false(p.local);
}

static void cancelled(void **state)
{
	struct probe_port p = { 0 };
	int fd = bound(5, &p.port);
	struct seen s = { 0 };
	struct knock *k;
	uv_loop_t loop;

	(void)state;
	assert_true(ip_parse(SLICE_LIT("127.0.0.1"), &p.ip));
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(knock_begin(&loop, &p, 1000, on_done, &s, &k), 0);
	knock_cancel(k);
	knock_cancel(NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	assert_int_equal(s.calls, 0);
	close(fd);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(open_and_refused),
		cmocka_unit_test(silent),
		cmocka_unit_test(no_route),
		cmocka_unit_test(cancelled),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
