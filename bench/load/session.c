#include <errno.h>
#include <netinet/in.h>
#include <sys/epoll.h>

#include "load.h"

#define READ_SIZE 4096
#define DRIP_LINE 480

static const char *const names[] = {
	[CONNECT] = "connect", [HANDSHAKE] = "TLS",	[GREETING] = "the greeting",
	[EHLO] = "EHLO",       [STARTTLS] = "STARTTLS", [AUTH] = "AUTH",
	[MAIL] = "MAIL",       [RCPT] = "RCPT",		[DATA] = "DATA",
	[BODY] = "the body",   [QUIT] = "QUIT",		[HELD] = "holding",
	[CLOSED] = "closed",
};

static _Noreturn void fail(const struct session *s, int err)
{
	char what[64];

	snprintf(what, sizeof(what), "at %s", names[s->step]);
	die(what, err);
}

static void watch(struct session *s, unsigned events)
{
	struct epoll_event e = { .events = events, .data.ptr = s };

	if (events == s->watched)
		return;
	if (epoll_ctl(run.epoll, s->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, s->link.fd, &e) < 0)
		die("epoll_ctl", errno);
	s->watched = events;
}

static void shut(struct session *s)
{
	link_close(&s->link);
	s->watched = 0;
	s->step = CLOSED;
	run.open--;
}

/* Puts a text in which %u stands for a number. */
static void put_numbered(struct buf *to, const char *text, unsigned number)
{
	const char *at = strstr(text, "%u");

	if (!at) {
		buf_str(to, text);
		return;
	}
	buf_put(to, slice_of(text, (size_t)(at - text)));
	buf_fmt(to, "%u%s", number, at + 2);
}

static void put_base64(struct buf *to, struct slice from)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < from.n; i += 3) {
		size_t n = from.n - i < 3 ? from.n - i : 3;
		uint32_t v = (uint32_t)from.p[i] << 16 | (n > 1 ? (uint32_t)from.p[i + 1] << 8 : 0) |
			     (n > 2 ? (uint32_t)from.p[i + 2] : 0);

		for (size_t k = 0; k < 4; k++)
			buf_byte(to, k <= n ? (unsigned char)digits[v >> (18 - 6 * k) & 63] : '=');
	}
}

/* AUTH PLAIN of the next account; run.auth is "name:password". */
static void say_auth(struct session *s)
{
	const char *colon = strchr(run.auth, ':');
	struct buf name, plain;

	buf_init(&name, 512);
	buf_init(&plain, 1024);
	buf_put(&name, slice_of(run.auth, (size_t)(colon - run.auth)));
	buf_byte(&name, 0);
	buf_byte(&plain, 0);
	put_numbered(&plain, (const char *)buf_slice(&name).p, run.next_auth++ % run.auth_count);
	buf_byte(&plain, 0);
	buf_str(&plain, colon + 1);
	buf_str(&s->out, "AUTH PLAIN ");
	put_base64(&s->out, buf_slice(&plain));
	buf_str(&s->out, "\r\n");
	buf_done(&name);
	buf_done(&plain);
	s->step = AUTH;
	s->asked_us = now_us();
}

static void say_quit(struct session *s)
{
	buf_str(&s->out, "QUIT\r\n");
	s->step = QUIT;
}

static void say_mail(struct session *s)
{
	if (s->sent == run.per_connection || run_enough()) {
		say_quit(s);
		return;
	}
	run.begun++;
	s->sent++;
	s->recipients = 0;
	s->first_to = run.next_to; /* no message names the same one twice */
	run.next_to += run.recipients;
	buf_fmt(&s->out, "MAIL FROM:<%s>\r\n", run.from);
	s->step = MAIL;
}

static void say_rcpt(struct session *s)
{
	if (s->recipients == run.recipients) {
		buf_str(&s->out, "DATA\r\n");
		s->step = DATA;
		return;
	}
	buf_str(&s->out, "RCPT TO:<");
	put_numbered(&s->out, run.to, (s->first_to + s->recipients++) % run.to_count);
	buf_str(&s->out, ">\r\n");
	s->step = RCPT;
}

/* The session is as it shall be; what next? */
static void ready(struct session *s)
{
	if (run.starttls && !s->link.tls) {
		buf_str(&s->out, "STARTTLS\r\n");
		s->step = STARTTLS;
	} else if (run.auth && !s->authenticated) {
		say_auth(s);
	} else if (run.idle) {
		s->step = HELD;
		run.held++;
	} else {
		say_mail(s);
	}
}

static void greeted(struct session *s)
{
	buf_str(&s->out, "EHLO load.example.net\r\n");
	s->step = EHLO;
}

/* The last line of a reply arrived: say the next thing. */
static void answered(struct session *s, struct slice line)
{
	if (s->step == HELD) /* drip: a command ended; or the server says goodbye */
		return;
	if (line.p[0] != (s->step == DATA ? '3' : '2')) {
		fprintf(stderr, "load: at %s the server answered: %.*s\n", names[s->step], SLICE_ARG(line));
		exit(1);
	}
	switch (s->step) {
	case GREETING:
		greeted(s);
		break;
	case EHLO:
		ready(s);
		break;
	case STARTTLS:
		link_start_tls(&s->link);
		s->step = HANDSHAKE;
		break;
	case AUTH:
		s->authenticated = true;
		if (run.per_connection == 0) {
			run_done(s);
			say_quit(s);
		} else {
			ready(s);
		}
		break;
	case MAIL:
	case RCPT:
		say_rcpt(s);
		break;
	case DATA:
		s->body_left = run.body.n;
		s->step = BODY;
		break;
	case BODY:
		run_done(s);
		say_mail(s);
		break;
	case QUIT:
		shut(s);
		if (!run_enough())
			session_connect(s);
		break;
	case CONNECT:
	case HANDSHAKE:
	case HELD:
	case CLOSED:
		die("an answer to nothing", EPROTO);
	}
}

/* Sends what there is to send; true if all of it went. */
static bool flush(struct session *s)
{
	while (s->out.n > 0) {
		ssize_t n = link_send(&s->link, buf_slice(&s->out).p, s->out.n);

		if (n == -EAGAIN)
			return false;
		if (n < 0)
			fail(s, (int)-n);
		buf_consume(&s->out, (size_t)n);
	}
	while (s->body_left > 0) {
		struct slice left = slice_tail(buf_slice(&run.body), run.body.n - s->body_left);
		ssize_t n = link_send(&s->link, left.p, left.n);

		if (n == -EAGAIN)
			return false;
		if (n < 0)
			fail(s, (int)-n);
		s->body_left -= (size_t)n;
		if (s->body_left == 0)
			s->asked_us = now_us();
	}
	return true;
}

/* The server closed, or the connection broke; only who is held may live with that. */
static void lost(struct session *s, int err)
{
	if (s->step != HELD)
		fail(s, err < 0 ? -err : ECONNRESET);
	run.lost++;
	shut(s);
}

/* Reads once; false if there is nothing (yet, or any more). */
static bool read_some(struct session *s)
{
	unsigned char *to;
	size_t room = buf_reserve(&s->in, READ_SIZE, &to);
	struct slice line;
	ssize_t n;

	if (room == 0)
		die("a reply without end", EMSGSIZE);
	n = link_recv(&s->link, to, room);
	if (n == -EAGAIN)
		return false;
	if (n <= 0) {
		lost(s, (int)n);
		return false;
	}
	buf_filled(&s->in, (size_t)n);
	for (;;) {
		struct slice in = buf_slice(&s->in);

		if (!cur_until(&in, '\n', &line))
			break;
		if (line.n >= 4 && line.p[3] != '-')
			answered(s, line);
		if (s->step == CLOSED || s->step == CONNECT)
			return false;
		buf_consume(&s->in, line.n + 1);
	}
	return link_more(&s->link) || (size_t)n == room; /* a short read says that there is no more */
}

/* Before the first octet of SMTP, or between two: false while it is still under way. */
static bool prepare(struct session *s)
{
	int r;

	if (s->step == CONNECT) {
		r = link_connected(&s->link);
		if (r < 0)
			fail(s, -r);
		s->step = GREETING;
		if (run.tls) {
			link_start_tls(&s->link);
			s->step = HANDSHAKE;
		}
	}
	if (s->step == HANDSHAKE) {
		r = link_handshake(&s->link);
		if (r == -EAGAIN) {
			watch(s, s->link.wants);
			return false;
		}
		if (r < 0)
			fail(s, -r);
		if (run.tls)
			s->step = GREETING;
		else
			greeted(s);
	}
	return true;
}

void session_event(struct session *s, unsigned events)
{
	bool more = true;

	if (s->step == CLOSED || (s->step == CONNECT && !(events & (EPOLLOUT | EPOLLERR | EPOLLHUP))))
		return;
	for (;;) {
		if (!prepare(s))
			return;
		if (!flush(s)) {
			watch(s, s->link.wants | EPOLLIN);
			return;
		}
		if (!more)
			break;
		more = read_some(s);
		if (s->step == CLOSED || s->step == CONNECT)
			return;
	}
	watch(s, EPOLLIN);
}

void session_connect(struct session *s)
{
	uint32_t source = run.sources > 0 ? (INADDR_LOOPBACK & 0xff000000) + (1U << 16) + 1 +
						    run.next_source++ % run.sources
					  : 0;
	int r;

	s->connected_us = now_us();
	r = link_connect(&s->link, &run.servers[run.next_server++ % run.n_servers], source);
	s->step = CONNECT;
	s->sent = 0;
	s->authenticated = false;
	s->watched = 0;
	s->body_left = 0;
	s->drip = 0;
	buf_reset(&s->in);
	buf_reset(&s->out);
	run.connections++;
	run.open++;
	if (r < 0 && r != -EAGAIN)
		fail(s, -r);
	watch(s, EPOLLOUT);
}

/* One octet of a command that takes minutes. */
void session_drip(struct session *s)
{
	const char *octet = "x";
	ssize_t n;

	if (s->step != HELD)
		return;
	if (s->drip < 5)
		octet = &"NOOP "[s->drip];
	else if (s->drip >= DRIP_LINE)
		octet = &"\r\n"[s->drip - DRIP_LINE];
	n = link_send(&s->link, octet, 1);
	if (n == -EAGAIN)
		return;
	if (n < 0)
		lost(s, (int)n);
	else
		s->drip = s->drip == DRIP_LINE + 1 ? 0 : s->drip + 1;
}

void session_done(struct session *s)
{
	if (s->step != CLOSED)
		link_close(&s->link);
	buf_done(&s->in);
	buf_done(&s->out);
}
