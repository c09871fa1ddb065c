/* server_world.h - for tests only: servers that play a script on addresses of loopback.
 *
 * They have a loop of their own: what is done to the one of what is tested (base/test_torture.h) does not
 * concern them.  Everything is static: each program has its own.
 */
#ifndef POSTERN_SEND_SERVER_WORLD_H
#define POSTERN_SEND_SERVER_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "net/conn.h"
#include "net/tls_client.h"

#define SERVERS_MAX 8

/* Around each call into what is tested. */
#ifndef WORLD_TURN
#define WORLD_TURN(run) (run)
#endif
/* A client that gives up in the middle is no news. */
#ifndef WORLD_MAY_BREAK
#define WORLD_MAY_BREAK false
#endif
#ifndef WORLD_REST_US
#define WORLD_REST_US 500
#endif

/* ---- servers ---- */

/* Lines of a script: "S text" is said, "C text" must begin what the client says next, "B" is a
 * body, "QUIET": nothing has come behind it, "TLS" shakes hands, "HANG" says nothing more, "END" hangs up.
 * One script a connection; the last one is played again. */
struct server {
	struct ip ip;
	uint16_t port;
	const char *const *script[4];
	unsigned connections;
	int fd;
	uv_poll_t poll;
	struct buf heard; /* all lines, of all connections */
};

struct session {
	struct server *server;
	struct conn *conn;
	const char *const *at;
};

static uv_loop_t loop, others;
static struct tls_server *tls;
static struct tls_client *trust;
static struct server servers[SERVERS_MAX];
static size_t n_servers;
static struct session sessions[64];
static size_t n_sessions;

static bool take_line(struct conn *c, struct slice *ret)
{
	struct slice in = conn_input(c);
	size_t end = slice_find(in, '\n');

	if (end == in.n)
		return false;
	*ret = slice_head(in, end + 1);
	return true;
}

/* Until the script waits for the client. */
static void play(struct session *s)
{
	for (;;) {
		const char *line = *s->at;
		struct slice got;

		if (!line || !strcmp(line, "HANG"))
			return;
		if (!strncmp(line, "S ", 2)) {
			conn_write(s->conn, slice_str(line + 2));
			conn_write(s->conn, SLICE_LIT("\r\n"));
		} else if (!strcmp(line, "TLS")) {
			if (!conn_in_tls(s->conn)) {
				conn_start_tls(s->conn, tls, TLS_MIN_1_2);
				return;
			}
		} else if (!strcmp(line, "QUIET")) {
			assert_int_equal(conn_input(s->conn).n, 0);
		} else if (!strcmp(line, "END")) {
			conn_close_gently(s->conn);
			s->conn = NULL;
			return;
		} else {
			if (!take_line(s->conn, &got))
				return;
			buf_put(&s->server->heard, got);
			conn_consume(s->conn, got.n);
			if (line[0] == 'B' && !slice_eq(got, SLICE_LIT(".\r\n")))
				continue;
			if (line[0] == 'C' && !slice_starts(got, slice_str(line + 2))) {
				if (!WORLD_MAY_BREAK)
					print_message("# expected '%s', got '%.*s'\n", line + 2,
						      SLICE_ARG(got));
				conn_close(s->conn);
				s->conn = NULL;
				return;
			}
		}
		s->at++;
	}
}

static void on_session(void *arg, struct conn *c, enum conn_event event)
{
	struct session *s = arg;

	if (event == CONN_EOF || event == CONN_ERROR || event == CONN_TLS_FAILED) {
		conn_close(c);
		s->conn = NULL;
	} else {
		play(s);
	}
}

static void on_listener(uv_poll_t *p, int status, int events)
{
	struct server *v = p->data;
	struct session *s = &sessions[n_sessions++ % 64];
	struct conn_setup setup = { &others, 65536, 65536, on_session, s };
	unsigned n = v->connections++;
	int fd = accept4(v->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)status, (void)events;
	assert_true(fd >= 0);
	if (!v->script[0]) { /* watches only */
		close(fd);
		return;
	}
	while (n > 0 && (n > 3 || !v->script[n]))
		n--;
	*s = (struct session){ .server = v, .at = v->script[n] };
	assert_int_equal(conn_take(&setup, fd, false, &s->conn), 0);
	play(s);
}

/* 127.x.y.z, other ones for each test program that runs at the same time. */
static const char *address(unsigned last)
{
	static char text[IP_TEXT_MAX];
	unsigned pid = (unsigned)getpid();

	snprintf(text, sizeof(text), "127.%u.%u.%u", 64 + (pid >> 8) % 64, pid & 255, last);
	return text;
}

static struct server *serve(const char *ip, uint16_t port, const char *const *script)
{
	struct server *v = &servers[n_servers++];
	struct sockaddr_storage sa;
	int one = 1;
	socklen_t n;

	assert_true(n_servers <= SERVERS_MAX);
	*v = (struct server){ .port = port, .script = { script } };
	assert_true(ip_parse(slice_str(ip), &v->ip));
	n = ip_to_sockaddr(&v->ip, port, &sa);
	v->fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	setsockopt(v->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(v->fd, (struct sockaddr *)&sa, n) < 0)
		skip(); /* not as root: the submission ports are out of reach */
	assert_int_equal(listen(v->fd, 16), 0);
	getsockname(v->fd, (struct sockaddr *)&sa, &n);
	v->port = ntohs(((struct sockaddr_in *)(void *)&sa)->sin_port);
	buf_init(&v->heard, 1 << 20);
	uv_poll_init(&others, &v->poll, v->fd);
	v->poll.data = v;
	uv_poll_start(&v->poll, UV_READABLE, on_listener);
	return v;
}

static __attribute__((unused)) bool heard(const struct server *v, const char *what)
{
	struct slice all = buf_slice(&v->heard);

	return all.n > 0 && memmem(all.p, all.n, what, strlen(what)) != NULL;
}

/* ---- their life ---- */

static struct buf server_pem; /* their certificate, and its key */

static void servers_up(void)
{
	const char *const names[] = { "smart.test" };
	struct slice s;
	char why[256];

	uv_loop_init(&loop);
	uv_loop_init(&others);
	n_servers = n_sessions = 0;
	buf_init(&server_pem, 65536);
	assert_int_equal(tls_self_signed(names, 1, &server_pem), 0);
	s = buf_slice(&server_pem);
	assert_int_equal(tls_server_new(&tls), 0);
	assert_int_equal(tls_server_load(tls, &s, 1, why, sizeof(why)), 0);
	assert_int_equal(tls_client_new(SLICE_LIT(""), &trust), 0);
}

/* What is tested was freed before. */
static int servers_down(void)
{
	for (size_t i = 0; i < n_sessions && i < 64; i++)
		conn_close(sessions[i].conn);
	for (size_t i = 0; i < n_servers; i++) {
		uv_close((uv_handle_t *)&servers[i].poll, NULL);
		buf_done(&servers[i].heard);
	}
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_run(&others, UV_RUN_DEFAULT);
	for (size_t i = 0; i < n_servers; i++)
		close(servers[i].fd);
	tls_server_free(tls);
	tls_client_free(trust);
	buf_wipe(&server_pem);
	return uv_loop_close(&loop) | uv_loop_close(&others);
}

static void turn(void)
{
	uv_run(&others, UV_RUN_NOWAIT);
	WORLD_TURN(uv_run(&loop, UV_RUN_NOWAIT));
	usleep(WORLD_REST_US);
}

/* ---- scripts ---- */

#define HELLO "S 220 smart.test", "C EHLO us.test"
#define MESSAGE                                                                                              \
	"C MAIL FROM:<a@us.test>", "S 250 ok", "C RCPT TO:<b@there.test>", "S 250 ok", "C DATA", "S 354 go", \
		"B", "S 250 2.0.0 taken"
#define QUIT	 "C QUIT", "S 221 bye", "END"
#define STARTTLS "S 250-smart.test", "S 250 STARTTLS", "C STARTTLS", "S 220 go", "TLS"
#define LOGIN                                                                                        \
	"C EHLO us.test", "S 250-smart.test", "S 250 AUTH PLAIN LOGIN", "C AUTH PLAIN AHUAc2VjcmV0", \
		"S 235 in"
#define SCRIPT(...)               \
	(const char *const[])     \
	{                         \
		__VA_ARGS__, NULL \
	}

#define GOOD_587 SCRIPT(HELLO, STARTTLS, LOGIN, MESSAGE, MESSAGE, QUIT)
#define GOOD_465 SCRIPT("TLS", "S 220 smart.test", LOGIN, MESSAGE, MESSAGE, QUIT)
#define WATCHED	 NULL

#endif
