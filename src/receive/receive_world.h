/* receive_world.h - for tests only: all of receive/ in one loop, with real sockets, TLS
 * and channels, and a keeper, a queue and a ledger that are played here, in another.
 *
 * A client is a script of lines, see play().  Everything is static: each test program
 * has its own world.
 */
#ifndef POSTERN_RECEIVE_RECEIVE_WORLD_H
#define POSTERN_RECEIVE_RECEIVE_WORLD_H

#include "receive/receive.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

#include "base/ip.h"
#include "base/log.h"
#include "net/listen.h"
#include "net/tls.h"

#define BODY_MAX (8U << 20)
#define LIMIT_MS 30000 /* for what must come: a machine may be slow, and nobody waits where all is well */
/* What is done around each turn of what is tested, and of nothing else. */
#ifndef WORLD_TURN
#define WORLD_TURN(run) (run)
#endif
#ifndef WORLD_REST_US /* between turns */
#define WORLD_REST_US 200
#endif

static const char settings[] =
	"hostname: mx.our.test\n"
	"local_submission: {max_size: 100K}\n"
	"listeners:\n"
	"  relay: {addresses: [127.0.0.1], max_size: 3M, command_timeout: 60s, data_timeout: 60s, "
	"max_errors: "
	"5}\n"
	"  submissions: {addresses: [127.0.0.1], tls_timeout: 60s}\n"
	"  submission: {addresses: [127.0.0.1], greeting_hold: 250ms}\n"
	"  fallback: {addresses: [127.0.0.1], greeting_hold: 60ms, wrong_port: explain, class: bulk, "
	"max_hold: 1h}\n"
	"  trusting: {role: relay, port: 26, addresses: [127.0.0.1], relay_from: [127.0.0.0/8], "
	"max_sessions_per_ip: 2, greeting_hold: 60ms}\n"
	"  proxied: {role: relay, port: 27, addresses: [127.0.0.1], proxy_from: [127.0.0.0/8], "
	"proxy_timeout: 60s, "
	"relay_from: [127.0.0.0/8, 10.0.0.0/8], max_sessions_per_ip: 2}\n"
	"  proxied465: {role: submission, port: 28, tls: implicit, addresses: [127.0.0.1], proxy_from: "
	"[127.0.0.1], proxy_timeout: 60s}\n"
	"  proxied587: {role: submission, port: 29, addresses: [127.0.0.1], proxy_from: [127.0.0.1], "
	"proxy_timeout: 60s, greeting_hold: 2s}\n"
	"  small: {role: relay, port: 30, addresses: [127.0.0.1], max_sessions: 10, max_sessions_per_ip: "
	"100, "
	"command_timeout: 20s}\n"
	"  patient: {role: relay, port: 31, addresses: [127.0.0.1], max_commands: 100000, command_timeout: "
	"1s}\n"
	/* A greeting is held for as long as a slow machine's client needs to say hello; and those where a
	 * test is about time that is up: nobody else should feel it. */
	"  tlsfirst: {role: submission, port: 35, addresses: [127.0.0.1], greeting_hold: 2s}\n"
	"  tlsfirst2525: {role: submission, port: 36, addresses: [127.0.0.1], greeting_hold: 2s, wrong_port: "
	"explain}\n"
	"  tlsfirst25: {role: relay, port: 37, addresses: [127.0.0.1], greeting_hold: 2s}\n"
	"  hasty: {role: relay, port: 32, addresses: [127.0.0.1], command_timeout: 3s}\n"
	"  dripping: {role: relay, port: 38, addresses: [127.0.0.1], command_timeout: 60s, data_timeout: "
	"4s}\n"
	"  hasty465: {role: submission, port: 33, tls: implicit, addresses: [127.0.0.1], tls_timeout: 1s}\n"
	"  hastyproxied: {role: relay, port: 34, addresses: [127.0.0.1], proxy_from: [127.0.0.1], "
	"proxy_timeout: 1s}\n";

enum {
	RELAY,
	SUBMISSIONS,
	SUBMISSION,
	FALLBACK,
	TRUSTING,
	PROXIED,
	PROXIED465,
	PROXIED587,
	SMALL,
	PATIENT,
	TLSFIRST,
	TLSFIRST2525,
	TLSFIRST25,
	HASTY,
	DRIPPING,
	HASTY465,
	HASTYPROXIED,
	LOCAL,
	N_LISTENERS
};
static const char *const names[] = { "relay",	 "submissions",	 "submission", "fallback", "trusting",
				     "proxied",	 "proxied465",	 "proxied587", "small",	   "patient",
				     "tlsfirst", "tlsfirst2525", "tlsfirst25", "hasty",	   "dripping",
				     "hasty465", "hastyproxied", "@local" };

/* That share the limits, as this one believes; 0: it alone. */
static unsigned world_processes;
/* What may wait in a channel. */
static size_t world_channel_max = 4U << 20;

/* The world around the sessions. */
static struct world {
	uv_loop_t loop;
	uv_loop_t others; /* the played ones' */
	struct conf *conf;
	struct receive *rx;
	uint16_t port[N_LISTENERS];
	char socket_path[64];
	struct channel *keeper, *queue, *ledger; /* our ends */
	struct channel *to_keeper, *to_queue, *to_ledger;
	bool drained;

	/* what queue saw */
	struct buf body;
	char headers[4096], sender[256], id[16];
	char rcpts[1024]; /* "mailbox(our.test/u) remote(x@else.test) " */
	char wishes[128]; /* "class 0 priority 14 hold 60 requiretls relax" */
	unsigned commits, drops;
	uint32_t result; /* what it answers */
	bool queue_mute, no_credit;
	/* what keeper saw */
	unsigned aborts, exposed;
	bool keeper_mute;
	uint64_t mute_req;
	uint8_t account_class;	/* of whoever logs in */
	uint32_t auth_delay_ms; /* of answers to wrong passwords */
	/* what ledger saw */
	unsigned mishaps[IPC_MISHAP_KINDS];
	char mishap_account[256];
	unsigned closed; /* channels, by their own */
	unsigned turns;
} w;

/* ---- keeper ---- */

static void tell_verdict(struct channel *ch, uint64_t req, enum ipc_verdict_kind what)
{
	struct ipc_message m = { .type = IPC_TYPE_verdict, .verdict = { .req = req, .what = (uint8_t)what } };

	assert_int_equal(channel_send(ch, &m, -1), 0);
}

static void tell_target(struct channel *ch, uint64_t req, enum ipc_target_kind kind, const char *address,
			const char *mailbox)
{
	struct ipc_message m = { .type = IPC_TYPE_target,
				 .target = { .req = req,
					     .kind = (uint8_t)kind,
					     .address = slice_str(address),
					     .mailbox = slice_str(mailbox) } };

	assert_int_equal(channel_send(ch, &m, -1), 0);
}

static bool is(struct slice s, const char *text)
{
	return slice_eq(s, slice_str(text));
}

static void keep_recipient(struct channel *ch, const struct ipc_recipient *m)
{
	if (is(m->address, "u@our.test") || is(m->address, "alias@our.test") ||
	    is(m->address, "team@our.test"))
		tell_target(ch, m->req, IPC_TARGET_MAILBOX, "u@our.test", "our.test/u");
	if (is(m->address, "team@our.test"))
		tell_target(ch, m->req, IPC_TARGET_REMOTE, "x@else.test", "");
	if (is(m->address, "slow@our.test"))
		w.mute_req = m->req;
	else if (is(m->address, "no@our.test"))
		tell_verdict(ch, m->req, IPC_VERDICT_NO_SUCH_USER);
	else if (is(m->address, "loop@our.test"))
		tell_verdict(ch, m->req, IPC_VERDICT_LOOP);
	else if (slice_find(m->address, '@') < m->address.n &&
		 is(slice_tail(m->address, slice_find(m->address, '@') + 1), "our.test"))
		tell_verdict(ch, m->req, IPC_VERDICT_OK);
	else
		tell_verdict(ch, m->req, IPC_VERDICT_NOT_LOCAL);
}

static void tell_auth(struct channel *ch, uint64_t req, bool ok)
{
	struct ipc_message m = { .type = IPC_TYPE_auth_result, .auth_result = { .req = req } };

	m.auth_result.code = ok ? 235 : 535;
	m.auth_result.enhanced = ok ? SLICE_LIT("2.7.0") : SLICE_LIT("5.7.8");
	m.auth_result.text = ok ? SLICE_LIT("welcome") : SLICE_LIT("no");
	m.auth_result.account = ok ? 7 : 0;
	m.auth_result.class = ok ? w.account_class : 0;
	m.auth_result.delay_ms = ok ? 0 : w.auth_delay_ms;
	m.auth_result.name = SLICE_LIT("ann@our.test");
	assert_int_equal(channel_send(ch, &m, -1), 0);
}

static void on_keeper(void *arg, struct channel *ch, const struct ipc_message *m, int *fd)
{
	struct ipc_message c = { .type = IPC_TYPE_auth_challenge };

	(void)arg;
	(void)fd;
	if (w.keeper_mute)
		return;
	switch (m->type) {
	case IPC_TYPE_recipient:
		keep_recipient(ch, &m->recipient);
		break;
	case IPC_TYPE_sender:
		assert_int_equal(m->sender.account, 7);
		tell_verdict(ch, m->sender.req,
			     is(m->sender.address, "ann@our.test") ? IPC_VERDICT_OK : IPC_VERDICT_NOT_YOURS);
		break;
	case IPC_TYPE_auth_start:
		if (m->auth_start.has_initial) {
			tell_auth(ch, m->auth_start.req,
				  slice_eq(m->auth_start.initial, SLICE_LIT("\0ann\0pw")));
			break;
		}
		c.auth_challenge = (struct ipc_auth_challenge){ m->auth_start.req, SLICE_LIT("go on") };
		channel_send(ch, &c, -1);
		break;
	case IPC_TYPE_auth_step:
		tell_auth(ch, m->auth_step.req, slice_eq(m->auth_step.data, SLICE_LIT("\0ann\0pw")));
		break;
	case IPC_TYPE_auth_abort:
		w.aborts++;
		break;
	case IPC_TYPE_exposed:
		w.exposed++;
		break;
	default:
		fail_msg("keeper got %s", ipc_type_name(m->type));
	}
}

/* ---- queue ---- */

static void add_text(char *to, size_t size, const char *kind, struct slice s)
{
	size_t n = strlen(to);

	snprintf(to + n, size - n, "%s(%.*s) ", kind, SLICE_ARG(s));
}

static void on_queue(void *arg, struct channel *ch, const struct ipc_message *m, int *fd)
{
	struct ipc_message a = { .type = IPC_TYPE_credit };

	(void)arg;
	(void)fd;
	switch (m->type) {
	case IPC_TYPE_body:
		buf_put(&w.body, m->body.data);
		assert_true(buf_ok(&w.body));
		a.credit = (struct ipc_credit){ m->body.tx, (uint32_t)m->body.data.n };
		if (!w.no_credit && m->body.data.n > 0)
			channel_send(ch, &a, -1);
		break;
	case IPC_TYPE_rcpt:
		if (m->rcpt.kind == IPC_TARGET_MAILBOX)
			add_text(w.rcpts, sizeof(w.rcpts), "mailbox", m->rcpt.mailbox);
		else
			add_text(w.rcpts, sizeof(w.rcpts), "remote", m->rcpt.address);
		break;
	case IPC_TYPE_commit:
		w.commits++;
		assert_int_equal(m->commit.body_size, w.body.n);
		assert_true(slice_copy(m->commit.headers, w.headers, sizeof(w.headers)));
		assert_true(slice_copy(m->commit.sender, w.sender, sizeof(w.sender)));
		assert_true(slice_copy(m->commit.id, w.id, sizeof(w.id)));
		snprintf(w.wishes, sizeof(w.wishes), "class %u priority %u hold %lu%s%s", m->commit.class,
			 m->commit.mt_priority,
			 (unsigned long)(m->commit.hold_until_ms > 0
						 ? (m->commit.hold_until_ms - m->commit.time_ms) / 1000
						 : 0),
			 m->commit.requiretls ? " requiretls" : "", m->commit.relax ? " relax" : "");
		a.type = IPC_TYPE_stored;
		a.stored = (struct ipc_stored){ m->commit.tx, w.result };
		if (!w.queue_mute)
			channel_send(ch, &a, -1);
		break;
	case IPC_TYPE_drop:
		w.drops++;
		buf_reset(&w.body);
		w.rcpts[0] = 0;
		break;
	default:
		fail_msg("queue got %s", ipc_type_name(m->type));
	}
}

static void on_ledger(void *arg, struct channel *ch, const struct ipc_message *m, int *fd)
{
	(void)arg;
	(void)ch;
	(void)fd;
	if (m->type == IPC_TYPE_claim) /* that somebody was refused */
		return;
	assert_int_equal(m->type, IPC_TYPE_mishap);
	w.mishaps[m->mishap.kind]++;
	assert_true(slice_copy(m->mishap.account, w.mishap_account, sizeof(w.mishap_account)));
}

/* smtp's own ends: what the role does with them. */
static void on_smtp(void *arg, struct channel *ch, const struct ipc_message *m, int *fd)
{
	(void)ch;
	(void)fd;
	receive_message(w.rx, w.conf, (enum ipc_role)(uintptr_t)arg, m);
}

static void on_closed(void *arg, struct channel *ch, const char *why)
{
	(void)arg;
	(void)ch;
	(void)why;
	w.closed++;
}

static const struct channel_handlers keeper_handlers = { on_keeper, on_closed },
				     queue_handlers = { on_queue, on_closed },
				     ledger_handlers = { on_ledger, on_closed },
				     smtp_handlers = { on_smtp, on_closed };

static void connect_peer(enum ipc_role who, const struct channel_handlers *h, struct channel **ours,
			 struct channel **theirs)
{
	int fd[2];

	assert_int_equal(channel_pair(fd), 0);
	assert_int_equal(channel_new(&w.others, fd[0], world_channel_max, h, NULL, ours), 0);
	assert_int_equal(channel_new(&w.loop, fd[1], world_channel_max, &smtp_handlers,
				     (void *)(uintptr_t)who, theirs),
			 0);
	receive_peer(w.rx, who, *theirs);
}

__attribute__((unused)) static void lose_peer(enum ipc_role who, struct channel **ours,
					      struct channel **theirs)
{
	channel_free(*ours);
	channel_free(*theirs);
	*ours = *theirs = NULL;
	receive_peer(w.rx, who, NULL);
}

/* ---- the world ---- */

static void on_drained(void *arg)
{
	(void)arg;
	w.drained = true;
}

static void load_certificate(void)
{
	static const char *const host[] = { "mx.our.test" };
	struct ipc_certificate m = { .generation = 1, .index = 0, .count = 1 };
	int fd = memfd_create("pem", MFD_CLOEXEC);
	struct buf pem;

	buf_init(&pem, 65536);
	assert_int_equal(tls_self_signed(host, 1, &pem), 0);
	assert_int_equal(write(fd, buf_slice(&pem).p, pem.n), pem.n);
	assert_int_equal(receive_certificate(w.rx, &m, fd), 0);
	close(fd);
	buf_wipe(&pem);
}

static void listen_on(unsigned i)
{
	struct ip lo = { 4, { 127, 0, 0, 1 } };
	struct ipc_listen m = { .listener = slice_str(names[i]), .address = SLICE_LIT("127.0.0.1") };
	struct sockaddr_in sa;
	socklen_t n = sizeof(sa);
	int fd;

	if (i == LOCAL) {
		snprintf(w.socket_path, sizeof(w.socket_path), "/tmp/receive_test.%d", (int)getpid());
		assert_int_equal(listen_unix(w.socket_path, SOCK_STREAM, 0600, &fd), 0);
	} else {
		assert_int_equal(listen_tcp(&lo, 0, &fd), 0);
		assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &n), 0);
		w.port[i] = ntohs(sa.sin_port);
	}
	assert_int_equal(receive_listen(w.rx, w.conf, &m, &fd), 0);
	assert_int_equal(fd, -1);
}

static int set_up(void **state)
{
	struct conf_setup setup = { .file = "test" };
	struct receive_setup rx_setup = { .loop = &w.loop, .drained = on_drained };
	struct conf_finding *findings;

	(void)state;
	memset(&w, 0, sizeof(w));
	log_level(getenv("TEST_LOG") ? LOG_DEBUG : LOG_CRIT);
	buf_init(&w.body, BODY_MAX);
	assert_int_equal(uv_loop_init(&w.loop), 0);
	assert_int_equal(uv_loop_init(&w.others), 0);
	if (conf_parse(slice_str(settings), &setup, &w.conf, &findings) != 0)
		fail_msg("%s", findings->text);
	conf_findings_free(findings);
	rx_setup.loop = &w.loop;
	rx_setup.processes = world_processes;
	assert_int_equal(receive_new(&rx_setup, &w.rx), 0);
	load_certificate();
	for (unsigned i = 0; i < N_LISTENERS; i++)
		listen_on(i);
	connect_peer(IPC_KEEPER, &keeper_handlers, &w.keeper, &w.to_keeper);
	connect_peer(IPC_QUEUE, &queue_handlers, &w.queue, &w.to_queue);
	connect_peer(IPC_LEDGER, &ledger_handlers, &w.ledger, &w.to_ledger);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	receive_free(w.rx);
	channel_free(w.keeper);
	channel_free(w.queue);
	channel_free(w.ledger);
	channel_free(w.to_keeper);
	channel_free(w.to_queue);
	channel_free(w.to_ledger);
	uv_run(&w.loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&w.loop), 0);
	uv_run(&w.others, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&w.others), 0);
	unlink(w.socket_path);
	conf_free(w.conf);
	buf_done(&w.body);
	return 0;
}

static uint64_t now_ms(void)
{
	return uv_hrtime() / 1000000;
}

static void turn(void)
{
	WORLD_TURN(uv_run(&w.loop, UV_RUN_NOWAIT));
	uv_run(&w.others, UV_RUN_NOWAIT);
	usleep(WORLD_REST_US);
	w.turns++;
}

/* So long, and at least so often that what was sent before has gone its way, if all that time was somebody
 * else's. */
static void turns_for(unsigned ms)
{
	uint64_t end = now_ms() + ms;

	for (unsigned n = 0; n < 20 || now_ms() < end; n++)
		turn();
}

/* As long as it is so; at most until the limit. */
#define TURNS_WHILE(fact)                                                         \
	for (uint64_t limit_ = now_ms() + LIMIT_MS; (fact) && now_ms() < limit_;) \
	turn()

/* Turns until it is so. */
#define TURNS_UNTIL(fact)             \
	do {                          \
		TURNS_WHILE(!(fact)); \
		assert_true(fact);    \
	} while (0)

__attribute__((unused)) static unsigned sessions(void)
{
	json_t *status = json_object();
	unsigned n;

	receive_status(w.rx, status);
	n = (unsigned)json_integer_value(json_object_get(status, "sessions"));
	json_decref(status);
	return n;
}

/* ---- the client ---- */

struct client {
	int fd;
	SSL_CTX *ctx;
	SSL *ssl;
	char in[65536]; /* lines that came */
	size_t n;
	bool eof;
};

static void client_open(struct client *c, unsigned listener)
{
	*c = (struct client){ 0 };
	if (listener == LOCAL) {
		struct sockaddr_un sa = { .sun_family = AF_UNIX };

		snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", w.socket_path);
		c->fd = socket(AF_UNIX, SOCK_STREAM, 0);
		assert_int_equal(connect(c->fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	} else {
		struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(w.port[listener]) };

		sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		c->fd = socket(AF_INET, SOCK_STREAM, 0);
		assert_int_equal(connect(c->fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
		setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
	}
	fcntl(c->fd, F_SETFL, O_NONBLOCK);
}

static void client_close(struct client *c)
{
	SSL_free(c->ssl);
	SSL_CTX_free(c->ctx);
	close(c->fd);
	turns_for(5);
}

/* False when the handshake failed. */
static bool client_tls(struct client *c)
{
	c->ctx = SSL_CTX_new(TLS_client_method());
	c->ssl = SSL_new(c->ctx);
	SSL_set_fd(c->ssl, c->fd);
	for (uint64_t end = now_ms() + LIMIT_MS; now_ms() < end; turn()) {
		int r = SSL_connect(c->ssl);

		if (r == 1)
			return true;
		if (SSL_get_error(c->ssl, r) != SSL_ERROR_WANT_READ)
			return false;
	}
	return false;
}

static void client_read(struct client *c)
{
	ssize_t r;

	if (c->ssl) {
		int k = SSL_read(c->ssl, c->in + c->n, (int)(sizeof(c->in) - c->n));

		r = k > 0 ? k : SSL_get_error(c->ssl, k) == SSL_ERROR_WANT_READ ? -1 : 0;
	} else {
		r = read(c->fd, c->in + c->n, sizeof(c->in) - c->n);
	}
	if (r == 0)
		c->eof = true;
	if (r > 0)
		c->n += (size_t)r;
}

static void client_send(struct client *c, const char *p, size_t n)
{
	for (uint64_t end = now_ms() + LIMIT_MS; n > 0 && now_ms() < end; turn()) {
		ssize_t r = c->ssl ? SSL_write(c->ssl, p, (int)n) : send(c->fd, p, n, MSG_NOSIGNAL);

		if (r > 0) {
			p += r;
			n -= (size_t)r;
		}
	}
	assert_int_equal(n, 0);
}

/* Takes one reply (all its lines) and compares how its last line begins. */
static void expect(struct client *c, const char *what, const char *begins)
{
	char *line = c->in, *end;

	for (uint64_t until = now_ms() + LIMIT_MS;; turn()) {
		client_read(c);
		line = c->in;
		while ((end = memchr(line, '\n', c->n - (size_t)(line - c->in))) && end - line > 3 &&
		       line[3] == '-')
			line = end + 1;
		if (end)
			break;
		if (c->eof || now_ms() > until)
			fail_msg("%s: expected '%s', got '%.*s'%s", what, begins, (int)c->n, c->in,
				 c->eof ? " and the end" : "");
	}
	if (strncmp(line, begins, strlen(begins)) != 0)
		fail_msg("%s: expected '%s', got '%.*s'", what, begins, (int)(end - line), line);
	end++;
	c->n -= (size_t)(end - c->in);
	memmove(c->in, end, c->n);
}

static void expect_end(struct client *c, const char *what)
{
	for (uint64_t until = now_ms() + LIMIT_MS; !c->eof && now_ms() < until; turn())
		client_read(c);
	if (!c->eof || c->n > 0)
		fail_msg("%s: not closed, or more came: '%.*s'", what, (int)c->n, c->in);
}

/* With CRLF at the end, and where a | is, in one write. */
static void send_line(struct client *c, const char *line)
{
	struct buf b;

	buf_init(&b, 2048);
	for (; *line; line++)
		if (*line == '|')
			buf_str(&b, "\r\n");
		else
			buf_byte(&b, (unsigned char)*line);
	buf_str(&b, "\r\n");
	client_send(c, (const char *)buf_slice(&b).p, b.n);
	buf_done(&b);
}

/* Lines: "S: " a reply begins so; "C: " is sent (with CRLF); "T" TLS begins; "W 100"
 * waits so many milliseconds; "E" the server closes. */
static void play(struct client *c, const char *what, const char *script)
{
	while (*script) {
		size_t n = strcspn(script, "\n");
		char line[512];

		snprintf(line, sizeof(line), "%.*s", (int)n, script);
		script += n + (script[n] == '\n');
		switch (line[0]) {
		case 'S':
			expect(c, what, line + 3);
			break;
		case 'C':
			send_line(c, line + 3);
			break;
		case 'T':
			if (!client_tls(c))
				fail_msg("%s: no TLS", what);
			break;
		case 'W':
			turns_for((unsigned)strtoul(line + 2, NULL, 10));
			break;
		case 'E':
			expect_end(c, what);
			break;
		default:
			fail_msg("%s: line '%s'", what, line);
		}
	}
}

__attribute__((unused)) static void run(unsigned listener, const char *what, const char *script)
{
	struct client c;

	client_open(&c, listener);
	play(&c, what, script);
	client_close(&c);
}

#endif
