/* bench-tls-sink - smtp-sink with STARTTLS: answers as a server does, keeps nothing.
 *
 * Listens on a port of loopback that is free and says which; then, when they grew, how many messages
 * have ended: lines of "port=N" and "mesg=N".  One process, as smtp-sink is one, with a certificate of
 * its own.  Ends with its standard input.  Not a part of what is measured. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/conn.h"

#define TELL_MS 10

struct session {
	struct conn *conn;
	bool in_body;
};

static uv_loop_t loop;
static struct tls_server *tls;
static unsigned long messages, told;

static void must(int r, const char *what)
{
	if (r >= 0)
		return;
	fprintf(stderr, "bench-tls-sink: %s: %s\n", what, strerror(-r));
	exit(1);
}

static void say(struct session *s, const char *text)
{
	conn_write(s->conn, slice_str(text));
}

/* False: it is over, or TLS comes first. */
static bool command(struct session *s, struct slice line)
{
	const char *c = (const char *)line.p;

	if (line.n < 6) {
		say(s, "500 5.5.2 what?\r\n");
	} else if (!strncasecmp(c, "EHLO", 4)) {
		say(s, conn_in_tls(s->conn)
			       ? "250-sink.test\r\n250-PIPELINING\r\n250 8BITMIME\r\n"
			       : "250-sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 STARTTLS\r\n");
	} else if (!strncasecmp(c, "STARTTLS", 8)) {
		say(s, "220 2.0.0 go ahead\r\n");
		must(conn_start_tls(s->conn, tls, TLS_MIN_1_2), "TLS");
		return false;
	} else if (!strncasecmp(c, "DATA", 4)) {
		say(s, "354 go ahead\r\n");
		s->in_body = true;
	} else if (!strncasecmp(c, "QUIT", 4)) {
		say(s, "221 2.0.0 bye\r\n");
		conn_close_gently(s->conn);
		free(s);
		return false;
	} else {
		say(s, "250 2.0.0 ok\r\n");
	}
	return true;
}

static void play(struct session *s)
{
	for (;;) {
		struct slice in = conn_input(s->conn), line;
		size_t end = slice_find(in, '\n');

		if (end == in.n)
			return;
		line = slice_head(in, end + 1);
		if (!s->in_body) {
			char copy[512] = "";

			(void)slice_copy(line, copy, sizeof(copy));
			conn_consume(s->conn, line.n);
			if (!command(s, slice_str(copy)))
				return;
			continue;
		}
		if (slice_eq(line, SLICE_LIT(".\r\n"))) {
			s->in_body = false;
			messages++;
			say(s, "250 2.0.0 taken\r\n");
		}
		conn_consume(s->conn, line.n);
	}
}

static void on_conn(void *arg, struct conn *c, enum conn_event event)
{
	struct session *s = arg;

	if (event == CONN_EOF || event == CONN_ERROR || event == CONN_TLS_FAILED) {
		conn_close(c);
		free(s);
	} else if (event == CONN_INPUT || event == CONN_TLS_DONE) {
		play(s);
	}
}

static void on_listener(uv_poll_t *p, int status, int events)
{
	int listener = (int)(intptr_t)p->data, fd;

	(void)status, (void)events;
	while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
		struct session *s = calloc(1, sizeof(*s));
		struct conn_setup setup = { &loop, 65536, 65536, on_conn, s };

		must(s ? conn_take(&setup, fd, false, &s->conn) : -ENOMEM, "connection");
		say(s, "220 sink.test ESMTP\r\n");
	}
}

static void on_tell(uv_timer_t *t)
{
	(void)t;
	if (messages == told)
		return;
	told = messages;
	printf("mesg=%lu\n", told);
	fflush(stdout);
}

static void on_input(uv_poll_t *p, int status, int events)
{
	char c;

	(void)status, (void)events;
	if (read(0, &c, 1) <= 0)
		uv_stop(p->loop);
}

static int listen_somewhere(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	must(fd < 0 || bind(fd, (struct sockaddr *)&at, n) < 0 || listen(fd, 1000) < 0 ||
			     getsockname(fd, (struct sockaddr *)&at, &n) < 0
		     ? -errno
		     : 0,
	     "listening");
	printf("port=%u\n", ntohs(at.sin_port));
	fflush(stdout);
	return fd;
}

int main(void)
{
	const char *const names[] = { "sink.test" };
	uv_poll_t listener, input;
	struct slice pem;
	struct buf text;
	uv_timer_t tell;
	char why[256];

	must(uv_loop_init(&loop), "loop");
	buf_init(&text, 65536);
	must(tls_self_signed(names, 1, &text), "certificate");
	pem = buf_slice(&text);
	must(tls_server_new(&tls), "TLS");
	must(tls_server_load(tls, &pem, 1, why, sizeof(why)), "certificate");
	listener.data = (void *)(intptr_t)listen_somewhere();
	must(uv_poll_init(&loop, &listener, (int)(intptr_t)listener.data), "listening");
	must(uv_poll_start(&listener, UV_READABLE, on_listener), "listening");
	must(uv_poll_init(&loop, &input, 0), "standard input");
	must(uv_poll_start(&input, UV_READABLE, on_input), "standard input");
	must(uv_timer_init(&loop, &tell), "timer");
	must(uv_timer_start(&tell, on_tell, TELL_MS, TELL_MS), "timer");
	uv_run(&loop, UV_RUN_DEFAULT);
	return 0;
}
