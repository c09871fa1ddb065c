/* load.c - a plain SMTP loader: how many messages a second does a server accept?
 *
 *	load -p PORT [-s sessions] [-n messages] [-c messages a connection]
 *	     [-b body bytes] [-f sender] [-t recipient]
 *
 * One thread, one epoll; each session waits for every reply, as simple clients
 * do (no pipelining).  A reply that is not the expected class ends the run.
 * Prints one line: rate, and the median and 99th percentile of the time from
 * the final dot to its answer.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/buf.h"

enum step { GREETING, EHLO, MAIL, RCPT, DATA, BODY, QUIT, CLOSED };

struct session {
	int fd;
	enum step step; /* whose answer is awaited */
	unsigned sent;	/* messages on this connection */
	struct buf in, out;
	uint64_t dot_us;
};

static struct {
	uint16_t port;
	unsigned sessions, messages, per_connection, size;
	const char *from, *to;
	unsigned begun, done;
	uint32_t *latency_us;
	struct buf body;
	int epoll;
} run = { .sessions = 50,
	  .messages = 10000,
	  .per_connection = 1,
	  .size = 4096,
	  .from = "load@example.net",
	  .to = "bob@example.org" };

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void die(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void flush(struct session *s)
{
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = s };

	while (buf_slice(&s->out).n > 0) {
		ssize_t n = send(s->fd, buf_slice(&s->out).p, buf_slice(&s->out).n, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0)
			die("send");
		buf_consume(&s->out, (size_t)n);
	}
	if (buf_slice(&s->out).n > 0)
		e.events |= EPOLLOUT;
	if (epoll_ctl(run.epoll, EPOLL_CTL_MOD, s->fd, &e) < 0)
		die("epoll_ctl");
}

static void connect_session(struct session *s)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_port = htons(run.port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = s };
	int one = 1;

	s->fd = socket(AF_INET, SOCK_STREAM, 0);
	if (s->fd < 0 || connect(s->fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		die("connect");
	fcntl(s->fd, F_SETFL, O_NONBLOCK);
	setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	s->step = GREETING;
	s->sent = 0;
	buf_reset(&s->in);
	buf_reset(&s->out);
	if (epoll_ctl(run.epoll, EPOLL_CTL_ADD, s->fd, &e) < 0)
		die("epoll_ctl");
}

static void next_message(struct session *s)
{
	if (run.begun == run.messages || s->sent == run.per_connection) {
		buf_str(&s->out, "QUIT\r\n");
		s->step = QUIT;
		return;
	}
	run.begun++;
	s->sent++;
	buf_fmt(&s->out, "MAIL FROM:<%s>\r\n", run.from);
	s->step = MAIL;
}

/* The last line of a reply arrived: say the next thing. */
static void step(struct session *s, char class)
{
	if (class != (s->step == DATA ? '3' : '2')) {
		fprintf(stderr, "load: at step %d the server answered: %.*s\n", (int)s->step,
			SLICE_ARG(buf_slice(&s->in)));
		exit(1);
	}
	switch (s->step) {
	case GREETING:
		buf_str(&s->out, "EHLO load.example.net\r\n");
		s->step = EHLO;
		break;
	case EHLO:
		next_message(s);
		break;
	case MAIL:
		buf_fmt(&s->out, "RCPT TO:<%s>\r\n", run.to);
		s->step = RCPT;
		break;
	case RCPT:
		buf_str(&s->out, "DATA\r\n");
		s->step = DATA;
		break;
	case DATA:
		buf_put(&s->out, buf_slice(&run.body));
		s->dot_us = now_us();
		s->step = BODY;
		break;
	case BODY:
		run.latency_us[run.done++] = (uint32_t)(now_us() - s->dot_us);
		next_message(s);
		break;
	case QUIT:
	case CLOSED:
		close(s->fd);
		s->step = CLOSED;
		if (run.begun < run.messages)
			connect_session(s);
		return;
	}
}

static void readable(struct session *s)
{
	unsigned char *to;
	size_t room = buf_reserve(&s->in, 4096, &to);
	ssize_t n = recv(s->fd, to, room, 0);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0)
		die("the server closed a connection");
	buf_filled(&s->in, (size_t)n);
	for (;;) {
		struct slice in = buf_slice(&s->in), line;

		if (!cur_until(&in, '\n', &line))
			break;
		if (line.n >= 4 && line.p[3] != '-')
			step(s, (char)line.p[0]);
		if (s->step == CLOSED || s->step == GREETING)
			break;
		buf_consume(&s->in, line.n + 1);
	}
	if (s->step != CLOSED)
		flush(s);
}

static void make_body(void)
{
	buf_init(&run.body, (size_t)run.size + 1024);
	buf_fmt(&run.body,
		"From: <%s>\r\nTo: <%s>\r\nSubject: load\r\nDate: Mon, 05 Oct 2026 12:00:00 +0000\r\n"
		"Message-ID: <load@example.net>\r\n\r\n",
		run.from, run.to);
	while (buf_slice(&run.body).n < run.size)
		buf_str(&run.body, "The quick brown fox jumps over the lazy dog, again and again.\r\n");
	buf_str(&run.body, ".\r\n");
}

static int by_value(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static unsigned number(const char *text)
{
	struct slice s = slice_str(text);
	uint64_t v;

	if (!cur_u64(&s, 100000000, &v) || s.n > 0) {
		fprintf(stderr, "load: not a number: %s\n", text);
		exit(2);
	}
	return (unsigned)v;
}

int main(int argc, char **argv)
{
	struct epoll_event events[64];
	struct session *all;
	uint64_t begin;
	double seconds;
	int opt;

	while ((opt = getopt(argc, argv, "p:s:n:c:b:f:t:")) != -1) {
		switch (opt) {
		case 'p':
			run.port = (uint16_t)number(optarg);
			break;
		case 's':
			run.sessions = number(optarg);
			break;
		case 'n':
			run.messages = number(optarg);
			break;
		case 'c':
			run.per_connection = number(optarg);
			break;
		case 'b':
			run.size = number(optarg);
			break;
		case 'f':
			run.from = optarg;
			break;
		case 't':
			run.to = optarg;
			break;
		default:
			return 2;
		}
	}
	make_body();
	run.latency_us = calloc(run.messages + 1, sizeof(*run.latency_us));
	all = calloc(run.sessions, sizeof(*all));
	run.epoll = epoll_create1(0);
	if (!run.latency_us || !all || run.epoll < 0)
		die("start");
	begin = now_us();
	for (unsigned i = 0; i < run.sessions; i++) {
		buf_init(&all[i].in, 16384);
		buf_init(&all[i].out, (size_t)run.size + 4096);
		connect_session(&all[i]);
	}
	while (run.done < run.messages) {
		int n = epoll_wait(run.epoll, events, 64, 30000);

		if (n <= 0)
			die("the server is silent");
		for (int i = 0; i < n; i++) {
			struct session *s = events[i].data.ptr;

			if (events[i].events & EPOLLOUT)
				flush(s);
			if (events[i].events & (EPOLLIN | EPOLLHUP))
				readable(s);
		}
	}
	seconds = (double)(now_us() - begin) / 1e6;
	qsort(run.latency_us, run.done, sizeof(*run.latency_us), by_value);
	printf("{\"messages\": %u, \"seconds\": %.3f, \"rate\": %.1f, \"p50_ms\": %.3f, \"p99_ms\": %.3f}\n",
	       run.done, seconds, run.done / seconds, run.latency_us[run.done / 2] / 1e3,
	       run.latency_us[run.done * 99 / 100] / 1e3);
	return 0;
}
