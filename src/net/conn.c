#include "net/conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/turn.h"
#include "net/conn_private.h"

#define GENTLE_MS     5000
#define LINGERING_MAX 4096

/* What libuv reads into, shared by all connections of the thread: libuv asks for
 * memory and gives it back filled within one call. */
static _Thread_local unsigned char read_into[65536];
/* Connections that nobody owns any more and that wait for their peer. */
static _Thread_local size_t lingering;

static void on_wake(uv_timer_t *t);

static void on_closed(uv_handle_t *h)
{
	struct conn *c = h->data;

	if (--c->open_handles > 0)
		return;
	tls_session_free(c->tls);
	buf_wipe(&c->input);
	buf_wipe(&c->cipher);
	buf_wipe(&c->output);
	buf_wipe(&c->wire);
	buf_wipe(&c->flight);
	explicit_bzero(c, sizeof(*c));
	free(c);
}

void conn_close(struct conn *c)
{
	if (!c || c->closed)
		return;
	c->closed = true;
	if (c->gently)
		lingering--;
	uv_close(&c->handle, on_closed);
	uv_close((uv_handle_t *)&c->wake, on_closed);
}

/* The socket itself is of no use any more. */
static void fail_socket(struct conn *c, int uv_error)
{
	c->broken = true;
	conn_fail(c, uv_strerror(uv_error));
}

void conn_fail(struct conn *c, const char *why)
{
	if (c->failed)
		return;
	c->failed = true;
	c->tell_error = true;
	if (why)
		snprintf(c->error, sizeof(c->error), "%s", why);
}

void conn_fail_memory(struct conn *c)
{
	c->no_memory = true;
	conn_fail(c, "out of memory");
}

void conn_wake(struct conn *c)
{
	if (c->woken || c->gently || c->closed)
		return;
	c->woken = true;
	uv_timer_start(&c->wake, on_wake, 0, 0);
}

/* ---- reading ---- */

static size_t read_room(const struct conn *c)
{
	if (c->gently)
		return sizeof(read_into); /* thrown away */
	return c->tls ? buf_room(&c->cipher) : buf_room(&c->input);
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *ret)
{
	size_t room = read_room(h->data);

	(void)suggested;
	*ret = uv_buf_init((char *)read_into,
			   (unsigned int)(room < sizeof(read_into) ? room : sizeof(read_into)));
}

static void take(struct conn *c, struct slice s)
{
	struct buf *to = c->tls ? &c->cipher : &c->input;

	buf_put(to, s);
	if (!buf_ok(to))
		conn_fail_memory(c);
	else if (!c->tls)
		c->tell_input = true;
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct conn *c = stream->data;

	if (c->closed || n == 0)
		return;
	if (n < 0) {
		uv_read_stop(stream);
		c->reading = false;
		c->ended = true;
		if (n != UV_EOF)
			fail_socket(c, (int)n);
		else if (!c->tls)
			c->read_over = true;
	} else if (c->gently) {
		/* Waiting for the peer's end: what it still sends is for nobody, but
		 * read it must be, or the kernel answers with a reset that destroys
		 * our last words on their way. */
		return;
	} else {
		take(c, slice_of(buf->base, (size_t)n));
		if (!c->tls)
			explicit_bzero(buf->base, (size_t)n); /* passwords do come in clear */
	}
	conn_run(c);
}

/* Read while there is room, and only then. */
static void read_more(struct conn *c)
{
	bool want = !c->ended && !c->failed && !c->closed && read_room(c) > 0;
	int r;

	if (want == c->reading)
		return;
	if (!want) {
		uv_read_stop(&c->stream);
		c->reading = false;
		return;
	}
	r = uv_read_start(&c->stream, on_alloc, on_read);
	if (r == 0)
		c->reading = true;
	else
		conn_fail(c, uv_strerror(r));
}

/* ---- writing ---- */

static void on_written(uv_write_t *req, int status)
{
	struct conn *c = req->data;

	buf_wipe(&c->flight);
	if (c->closed)
		return;
	if (status < 0)
		fail_socket(c, status);
	conn_run(c);
}

static void on_shutdown(uv_shutdown_t *req, int status)
{
	struct conn *c = req->data;

	if (status < 0 && !c->closed)
		conn_close(c);
}

/* The socket takes what it can at once; libuv keeps the rest. */
static void send_wire(struct conn *c)
{
	uv_buf_t b = uv_buf_init((char *)c->wire.p + c->wire.from, (unsigned int)c->wire.n);
	int r = uv_try_write(&c->stream, &b, 1);

	if (r == UV_EAGAIN)
		r = 0;
	if (r < 0) {
		fail_socket(c, r);
		return;
	}
	c->handed += (size_t)r;
	buf_consume(&c->wire, (size_t)r);
	if (c->wire.n == 0) {
		buf_done(&c->wire);
		return;
	}
	c->flight = c->wire;
	c->handed += c->flight.n;
	buf_init(&c->wire, c->wire.max);
	b = uv_buf_init((char *)c->flight.p + c->flight.from, (unsigned int)c->flight.n);
	r = uv_write(&c->write_req, &c->stream, &b, 1, on_written);
	if (r < 0) {
		buf_done(&c->flight);
		fail_socket(c, r);
	}
}

static void flush(struct conn *c)
{
	if (c->flight.n > 0)
		return;
	if (c->tls) {
		conn_tls_encrypt(c);
	} else {
		buf_put(&c->wire, buf_slice(&c->output));
		buf_consume(&c->output, c->output.n);
	}
	if (c->output.n == 0 && c->output.p)
		buf_wipe(&c->output);
	if (!buf_ok(&c->wire))
		conn_fail_memory(c);
	/* After a failed handshake the alert still goes out. */
	if (c->wire.n > 0 && !c->broken)
		send_wire(c);
}

static size_t unsent(const struct conn *c)
{
	return c->output.n + c->wire.n + c->flight.n;
}

/* ---- the turn ---- */

/* False when the handler must not be called again. */
static bool tell(struct conn *c, bool *flag, enum conn_event event)
{
	if (*flag) {
		*flag = false;
		c->handler(c->arg, c, event);
	}
	return !c->closed && !c->gently;
}

static bool tell_drained(struct conn *c)
{
	bool drained = c->unwritten && !c->failed && unsent(c) == 0;

	if (drained)
		c->unwritten = false;
	return tell(c, &drained, CONN_DRAINED);
}

static bool tell_end(struct conn *c)
{
	bool end = c->read_over && !c->told_end && !c->failed;

	if (end)
		c->told_end = true;
	return tell(c, &end, CONN_EOF);
}

/* Bytes before the end behind them, and what was still good before what is not. */
static void tell_all(struct conn *c)
{
	(void)(tell(c, &c->tell_connected, CONN_CONNECTED) && tell(c, &c->tell_tls_done, CONN_TLS_DONE) &&
	       tell(c, &c->tell_input, CONN_INPUT) && tell_drained(c) && tell_end(c) &&
	       tell(c, &c->tell_tls_failed, CONN_TLS_FAILED) && tell(c, &c->tell_error, CONN_ERROR));
}

/* Nobody owns it any more: write all, say goodbye, wait for the peer's end. */
static void run_gently(struct conn *c)
{
	if (!c->ended && !c->reading && uv_read_start(&c->stream, on_alloc, on_read) == 0)
		c->reading = true;
	flush(c);
	if (c->failed && c->tls)
		buf_wipe(&c->output); /* what is not encrypted by now never will be */
	if (!c->broken && unsent(c) == 0 && !c->goodbye) {
		c->goodbye = true;
		conn_tls_goodbye(c);
		flush(c);
	}
	if (!c->broken && unsent(c) > 0)
		return;
	if (c->broken || c->ended) {
		conn_close(c);
		return;
	}
	if (c->shut)
		return;
	c->shut = true;
	c->shutdown_req.data = c;
	if (uv_shutdown(&c->shutdown_req, &c->stream, on_shutdown) < 0)
		conn_close(c);
}

static void run(struct conn *c)
{
	if (c->closed || c->connecting)
		return;
	if (!c->gently) {
		if (c->tls)
			conn_tls_pump(c);
		flush(c);
		tell_all(c);
	}
	if (c->closed)
		return;
	if (c->gently) {
		run_gently(c);
		return;
	}
	if (c->input.n == 0 && c->input.p)
		buf_wipe(&c->input);
	if (c->cipher.n == 0 && c->cipher.p)
		buf_done(&c->cipher);
	read_more(c);
	if (c->tell_error)
		conn_wake(c);
}

void conn_run(struct conn *c)
{
	const char *before = turn_doing(c->tls && !c->handshaken ? "TLS handshakes" : "sessions");

	run(c);
	turn_doing(before);
}

static void on_wake(uv_timer_t *t)
{
	struct conn *c = t->data;

	c->woken = false;
	conn_run(c);
}

static void on_patience_over(uv_timer_t *t)
{
	conn_close(t->data);
}

static void on_gentle_start(uv_timer_t *t)
{
	struct conn *c = t->data;

	uv_timer_start(&c->wake, on_patience_over, GENTLE_MS, 0);
	run_gently(c);
}

void conn_close_gently(struct conn *c)
{
	if (!c || c->closed || c->gently)
		return;
	if (c->broken || lingering >= LINGERING_MAX) {
		conn_close(c);
		return;
	}
	c->gently = true;
	c->woken = false;
	lingering++;
	uv_timer_start(&c->wake, on_gentle_start, 0, 0);
}

/* ---- birth ---- */

static void learn(const struct sockaddr_storage *sa, struct ip *ret, uint16_t *ret_port)
{
	if (!ip_from_sockaddr((const struct sockaddr *)sa, ret))
		return;
	*ret_port = ntohs(sa->ss_family == AF_INET ? ((const struct sockaddr_in *)sa)->sin_port
						   : ((const struct sockaddr_in6 *)sa)->sin6_port);
}

void conn_learn_addresses(struct conn *c)
{
	struct sockaddr_storage sa;
	int n = sizeof(sa);

	if (c->handle.type != UV_TCP)
		return;
	if (uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&sa, &n) == 0)
		learn(&sa, &c->peer, &c->peer_port);
	(void)uv_tcp_nodelay(&c->tcp, 1); /* output is gathered here already */
}

int conn_new(const struct conn_setup *setup, bool is_unix, struct conn **ret)
{
	struct conn *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	r = is_unix ? uv_pipe_init(setup->loop, &c->pipe, 0) : uv_tcp_init(setup->loop, &c->tcp);
	if (r < 0) {
		free(c);
		return r;
	}
	uv_timer_init(setup->loop, &c->wake);
	c->open_handles = 2;
	c->handle.data = c->wake.data = c->write_req.data = c;
	c->handler = setup->handler;
	c->arg = setup->arg;
	c->output_max = setup->output_max;
	buf_init(&c->input, setup->input_max);
	buf_init(&c->cipher, setup->input_max + CONN_CIPHER_MIN);
	buf_init(&c->output, setup->output_max);
	buf_init(&c->wire, 2 * setup->output_max + CONN_WIRE_EXTRA);
	*ret = c;
	return 0;
}

int conn_take(const struct conn_setup *setup, int fd, bool is_unix, struct conn **ret)
{
	struct conn *c;
	int r = conn_new(setup, is_unix, &c);

	if (r < 0)
		return r;
	r = is_unix ? uv_pipe_open(&c->pipe, fd) : uv_tcp_open(&c->tcp, fd);
	if (r < 0) {
		conn_close(c);
		return r;
	}
	conn_learn_addresses(c);
	conn_wake(c);
	*ret = c;
	return 0;
}

/* ---- what the owner asks ---- */

void conn_peer(const struct conn *c, struct ip *ret, uint16_t *ret_port)
{
	*ret = c->peer;
	*ret_port = c->peer_port;
}

int conn_peer_uid(const struct conn *c, uid_t *ret, gid_t *ret_gid)
{
	struct ucred cred;
	socklen_t n = sizeof(cred);
	uv_os_fd_t fd;

	if (c->handle.type != UV_NAMED_PIPE)
		return -ENOTSOCK;
	if (uv_fileno(&c->handle, &fd) < 0)
		return -EBADF;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) < 0)
		return -errno;
	*ret = cred.uid;
	*ret_gid = cred.gid;
	return 0;
}

struct slice conn_input(const struct conn *c)
{
	return buf_slice(&c->input);
}

void conn_consume(struct conn *c, size_t n)
{
	buf_consume(&c->input, n);
	/* There is room now: for what waits decrypted or in the socket. */
	if (n > 0 && (!c->reading || c->cipher.n > 0 || (c->tls && SSL_pending(c->tls->ssl) > 0)))
		conn_wake(c);
}

bool conn_has_unread(const struct conn *c)
{
	return c->input.n > 0 || c->cipher.n > 0 || (c->tls && SSL_pending(c->tls->ssl) > 0);
}

void conn_wipe_consumed(struct conn *c)
{
	size_t end = c->input.from + c->input.n;

	if (!c->input.p)
		return;
	explicit_bzero(c->input.p, c->input.n ? c->input.from : 0);
	explicit_bzero(c->input.p + end, c->input.cap - end);
}

int conn_write(struct conn *c, struct slice s)
{
	if (c->failed || c->closed || c->gently)
		return -EPIPE;
	if (s.n > conn_write_room(c))
		return -ENOBUFS;
	if (s.n == 0)
		return 0;
	buf_put(&c->output, s);
	if (!buf_ok(&c->output)) {
		conn_fail_memory(c);
		conn_wake(c);
		return -ENOBUFS;
	}
	c->unwritten = true;
	conn_wake(c);
	return 0;
}

size_t conn_write_room(const struct conn *c)
{
	size_t n = unsent(c);

	return n < c->output_max ? c->output_max - n : 0;
}

uint64_t conn_taken(const struct conn *c)
{
	return c->handed - uv_stream_get_write_queue_size(&c->stream);
}

bool conn_lacks_memory(const struct conn *c)
{
	return c->no_memory;
}

void conn_last_words(struct conn *c, struct slice s)
{
	uv_buf_t b = uv_buf_init((char *)(uintptr_t)s.p, (unsigned int)s.n);

	if (!c->closed && !c->gently && !c->broken && !c->tls && unsent(c) == 0)
		(void)uv_try_write(&c->stream, &b, 1);
}

const char *conn_error(const struct conn *c)
{
	return c->error;
}
