/* Whole sessions, in one loop: real sockets and TLS, real channels, and behind them a
 * keeper and a queue that are played here.  To add a case: a row of test_dialogs(). */
#include "receive/receive.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <setjmp.h>
#include <stdarg.h>
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

static const char settings[] =
	"hostname: mx.our.test\n"
	"local_submission: {max_size: 100K}\n"
	"listeners:\n"
	"  relay: {addresses: [127.0.0.1], max_size: 3M, command_timeout: 1s, data_timeout: 1s, max_errors: "
	"5}\n"
	"  submissions: {addresses: [127.0.0.1], tls_timeout: 1s}\n"
	"  submission: {addresses: [127.0.0.1], greeting_hold: 60ms}\n"
	"  fallback: {addresses: [127.0.0.1], greeting_hold: 60ms, wrong_port: explain}\n"
	"  trusting: {role: relay, port: 26, addresses: [127.0.0.1], relay_from: [127.0.0.0/8], "
	"max_sessions_per_ip: 2, greeting_hold: 60ms}\n";

enum { RELAY, SUBMISSIONS, SUBMISSION, FALLBACK, TRUSTING, LOCAL, N_LISTENERS };
static const char *const names[] = { "relay", "submissions", "submission", "fallback", "trusting", "@local" };

/* The world around the sessions. */
static struct world {
	uv_loop_t loop;
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
	unsigned commits, drops;
	uint32_t result; /* what it answers */
	bool queue_mute, no_credit;
	/* what keeper saw */
	unsigned aborts, exposed;
	bool keeper_mute;
	uint64_t mute_req;
	/* what ledger saw */
	unsigned mishaps[IPC_MISHAP_KINDS];
	char mishap_account[256];
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
	assert_int_equal(channel_new(&w.loop, fd[0], 4U << 20, h, NULL, ours), 0);
	assert_int_equal(channel_new(&w.loop, fd[1], 4U << 20, &smtp_handlers, (void *)(uintptr_t)who,
				     theirs),
			 0);
	receive_peer(w.rx, who, *theirs);
}

static void lose_peer(enum ipc_role who, struct channel **ours, struct channel **theirs)
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
	if (conf_parse(slice_str(settings), &setup, &w.conf, &findings) != 0)
		fail_msg("%s", findings->text);
	conf_findings_free(findings);
	rx_setup.loop = &w.loop;
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
	uv_run(&w.loop, UV_RUN_NOWAIT);
	usleep(200);
}

static void turns_for(unsigned ms)
{
	for (uint64_t end = now_ms() + ms; now_ms() < end;)
		turn();
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
	for (uint64_t end = now_ms() + 3000; now_ms() < end; turn()) {
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
	for (uint64_t end = now_ms() + 10000; n > 0 && now_ms() < end; turn()) {
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

	for (uint64_t until = now_ms() + 4000;; turn()) {
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
	for (uint64_t until = now_ms() + 4000; !c->eof && now_ms() < until; turn())
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

static void run(unsigned listener, const char *what, const char *script)
{
	struct client c;

	client_open(&c, listener);
	play(&c, what, script);
	client_close(&c);
}

#define PLAIN_OK  "AGFubgBwdw==" /* NUL ann NUL pw */
#define PLAIN_BAD "AGFubgBubw=="
#define LOGIN	  "C: EHLO c\nS: 250 \nC: AUTH PLAIN " PLAIN_OK "\nS: 235 2.7.0 welcome\n"
#define BODY	  "C: DATA\nS: 354\nC: Subject: x\nC: \nC: hello\nC: .\n"
#define TO_U	  "C: MAIL FROM:<a@else.test>\nS: 250\nC: RCPT TO:<u@our.test>\nS: 250\n"

/* clang-format off */
static const struct {
	const char *what;
	unsigned listener;
	const char *script;
	unsigned commits;
	const char *rcpts;
	unsigned mishap; /* that ledger must have heard of, once; 0: of none */
} dialogs[] = {
	/* The contract of port 25. */
	{ "25: to us", RELAY, "S: 220 mx.our.test\nC: EHLO c\nS: 250 \n" TO_U BODY "S: 250 2.0.0 queued as \nC: QUIT\nS: 221\nE\n", 1, "mailbox(our.test/u) ", 0 },
	{ "25: HELO and null sender", RELAY, "S: 220\nC: HELO c\nS: 250\nC: MAIL FROM:<>\nS: 250\nC: RCPT TO:<u@our.test>\nS: 250\n" BODY "S: 250\n", 1, "mailbox(our.test/u) ", 0 },
	{ "25: one mailbox by two addresses is one", RELAY, "S: 220\nC: EHLO c\nS: 250 \n" TO_U "C: RCPT TO:<alias@our.test>\nS: 250\nC: RCPT TO:<team@our.test>\nS: 250\n" BODY "S: 250\n", 1, "mailbox(our.test/u) remote(x@else.test) ", 0 },
	{ "25: unknown user, then a known one", RELAY, "S: 220\nC: EHLO c\nS: 250 \nC: MAIL FROM:<a@else.test>\nS: 250\nC: RCPT TO:<no@our.test>\nS: 550 5.1.1\nC: RCPT TO:<u@our.test>\nS: 250\n" BODY "S: 250\n", 1, "mailbox(our.test/u) ", 0 },
	{ "25: only unknown users", RELAY, "S: 220\nC: EHLO c\nS: 250 \nC: MAIL FROM:<a@else.test>\nS: 250\nC: RCPT TO:<no@our.test>\nS: 550\nC: DATA\nS: 554 5.5.1\n", 0, "", 0 },
	{ "25: an alias that leads in a circle", RELAY, "S: 220\nC: EHLO c\nS: 250 \nC: MAIL FROM:<>\nS: 250\nC: RCPT TO:<loop@our.test>\nS: 550 5.4.6\n", 0, "", 0 },
	{ "25: relay denied", RELAY, "S: 220\nC: EHLO c\nS: 250 \nC: MAIL FROM:<a@else.test>\nS: 250\nC: RCPT TO:<x@else.test>\nS: 554 5.7.1 relay denied\n", 0, "", IPC_MISHAP_RELAY_DENIED },
	{ "25: no AUTH", RELAY, "S: 220\nC: EHLO c\nS: 250 \nC: AUTH LOGIN\nS: 503 5.5.1\n", 0, "", IPC_MISHAP_AUTH_ON_RELAY },
	{ "25: STARTTLS", RELAY, "S: 220\nC: EHLO c\nS: 250 \nC: STARTTLS\nS: 220\nT\nC: EHLO c\nS: 250 \n" TO_U BODY "S: 250 2.0.0\nC: QUIT\nS: 221\nE\n", 1, "mailbox(our.test/u) ", 0 },
	{ "25: HTTP", RELAY, "S: 220\nC: GET / HTTP/1.1\nS: 421\nE\n", 0, "", IPC_MISHAP_NOT_SMTP },
	{ "25: bytes behind STARTTLS", RELAY, "S: 220\nC: EHLO c\nS: 250 \nC: STARTTLS|MAIL FROM:<evil@else.test>\nS: 554 5.5.0\nE\n", 0, "", 0 },
	{ "25: trusted network", TRUSTING, "W 80\nS: 220\nC: EHLO c\nS: 250 \nC: MAIL FROM:<a@else.test>\nS: 250\nC: RCPT TO:<x@else.test>\nS: 250\n" BODY "S: 250\n", 1, "remote(x@else.test) ", 0 },
	{ "25: TLS first, where a hold is set", TRUSTING, "T\nS: 554 5.7.0 port 26\nE\n", 0, "", IPC_MISHAP_TLS_ON_RELAY },
	{ "25: command time-out", RELAY, "S: 220\nC: EHLO c\nS: 250 \nW 1100\nS: 421 4.4.2\nE\n", 0, "", 0 },
	{ "25: data time-out", RELAY, "S: 220\nC: EHLO c\nS: 250 \n" TO_U "C: DATA\nS: 354\nC: Subject: half\nW 1100\nS: 421 4.4.2\nE\n", 0, "", 0 },
	{ "25: too many errors", RELAY, "S: 220\nC: NOOP\nS: 250\nC: X\nS: 500\nC: X\nS: 500\nC: X\nS: 500\nC: X\nS: 500\nC: X\nS: 500\nS: 421\nE\n", 0, "", 0 },
	{ "25: what is not SMTP counts once", RELAY, "S: 220\nC: X\nS: 500\nC: X\nS: 500\n", 0, "", IPC_MISHAP_NOT_SMTP },
	{ "25: bare LF in a body", RELAY, "S: 220\nC: EHLO c\nS: 250 \n" TO_U "C: DATA\nS: 354\nC: a\rb\nC: .\nS: 550 5.6.0\nC: RSET\nS: 250\n", 0, "", 0 },

	/* 587 and 2525. */
	{ "587: the whole way", SUBMISSION, "W 80\nS: 220\nC: EHLO c\nS: 250 \nC: STARTTLS\nS: 220\nT\n" LOGIN "C: MAIL FROM:<ann@our.test>\nS: 250\nC: RCPT TO:<x@else.test>\nS: 250\n" BODY "S: 250 2.0.0\nC: QUIT\nS: 221\nE\n", 1, "remote(x@else.test) ", 0 },
	{ "587: two steps of AUTH", SUBMISSION, "W 80\nS: 220\nC: EHLO c\nS: 250 \nC: STARTTLS\nS: 220\nT\nC: EHLO c\nS: 250 \nC: AUTH PLAIN\nS: 334 Z28gb24=\nC: " PLAIN_OK "\nS: 235\n", 0, "", 0 },
	{ "587: AUTH given up", SUBMISSION, "W 80\nS: 220\nC: EHLO c\nS: 250 \nC: STARTTLS\nS: 220\nT\nC: EHLO c\nS: 250 \nC: AUTH PLAIN\nS: 334\nC: *\nS: 501\nC: AUTH PLAIN " PLAIN_OK "\nS: 235\n", 0, "", 0 },
	{ "587: a wrong password, then the right one", SUBMISSION, "W 80\nS: 220\nC: EHLO c\nS: 250 \nC: STARTTLS\nS: 220\nT\nC: EHLO c\nS: 250 \nC: AUTH PLAIN " PLAIN_BAD "\nS: 535\nC: AUTH PLAIN " PLAIN_OK "\nS: 235\n", 0, "", 0 },
	{ "587: somebody else's address", SUBMISSION, "W 80\nS: 220\nC: EHLO c\nS: 250 \nC: STARTTLS\nS: 220\nT\n" LOGIN "C: MAIL FROM:<bob@our.test>\nS: 553 5.7.1 <bob@our.test> is not a sender address of account ann@our.test\n", 0, "", 0 },
	{ "587: MAIL before STARTTLS", SUBMISSION, "W 80\nS: 220\nC: EHLO c\nS: 250 \nC: MAIL FROM:<ann@our.test>\nS: 530 5.7.0\n", 0, "", IPC_MISHAP_NO_STARTTLS },
	{ "587: MAIL before AUTH", SUBMISSION, "W 80\nS: 220\nC: EHLO c\nS: 250 \nC: STARTTLS\nS: 220\nT\nC: EHLO c\nS: 250 \nC: MAIL FROM:<ann@our.test>\nS: 530 5.7.0\n", 0, "", IPC_MISHAP_NO_AUTH },
	{ "587: password in clear", SUBMISSION, "W 80\nS: 220\nC: EHLO c\nS: 250 \nC: AUTH PLAIN " PLAIN_OK "\nS: 538 5.7.11\n", 0, "", IPC_MISHAP_PASSWORD_IN_CLEAR },
	{ "587: talks before the greeting", SUBMISSION, "C: EHLO c\nS: 220\nS: 250 \n", 0, "", 0 },
	{ "587: TLS first is served", SUBMISSION, "T\nS: 220 mx.our.test\n" LOGIN "C: MAIL FROM:<ann@our.test>\nS: 250\nC: RCPT TO:<u@our.test>\nS: 250\n" BODY "S: 250 2.0.0\nC: QUIT\nS: 221\nE\n", 1, "mailbox(our.test/u) ", IPC_MISHAP_TLS_ON_STARTTLS },
	{ "587: TLS first, no STARTTLS inside", SUBMISSION, "T\nS: 220\nC: EHLO c\nS: 250 \nC: STARTTLS\nS: 503\n", 0, "", IPC_MISHAP_TLS_ON_STARTTLS },
	{ "2525: TLS first is explained", FALLBACK, "T\nS: 554 5.7.0 port 2525\nE\n", 0, "", IPC_MISHAP_TLS_ON_STARTTLS },

	/* 465. */
	{ "465: the whole way", SUBMISSIONS, "T\nS: 220\n" LOGIN "C: MAIL FROM:<ann@our.test>\nS: 250\nC: RCPT TO:<team@our.test>\nS: 250\n" BODY "S: 250 2.0.0\nC: QUIT\nS: 221\nE\n", 1, "mailbox(our.test/u) remote(x@else.test) ", 0 },
	{ "465: plain SMTP", SUBMISSIONS, "C: EHLO c\nS: 554 5.7.0 port 465\nE\n", 0, "", IPC_MISHAP_PLAIN_ON_IMPLICIT },
	{ "465: half a hello", SUBMISSIONS, "C: \x16\x03\x01\nW 10\nE\n", 0, "", IPC_MISHAP_TLS_FAILED },

	/* The Unix socket. */
	{ "local: anywhere", LOCAL, "S: 220\nC: EHLO localhost\nS: 250 \nC: MAIL FROM:<cron@mx.our.test>\nS: 250\nC: RCPT TO:<x@else.test>\nS: 250\n" BODY "S: 250\n", 1, "remote(x@else.test) ", 0 },
	{ "local: neither TLS nor AUTH", LOCAL, "S: 220\nC: EHLO c\nS: 250 \nC: STARTTLS\nS: 50\nC: AUTH PLAIN\nS: 50\n", 0, "", 0 },
};
/* clang-format on */

static unsigned count_mishaps(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < IPC_MISHAP_KINDS; i++)
		n += w.mishaps[i];
	return n;
}

static void forget(void)
{
	buf_reset(&w.body);
	w.rcpts[0] = w.headers[0] = w.sender[0] = 0;
	w.commits = w.drops = 0;
	memset(w.mishaps, 0, sizeof(w.mishaps));
}

static void test_dialogs(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(dialogs) / sizeof(dialogs[0]); i++) {
		/* Each from an address that nobody knows. */
		set_up(NULL);
		run(dialogs[i].listener, dialogs[i].what, dialogs[i].script);
		turns_for(20);
		if (w.commits != dialogs[i].commits || strcmp(w.rcpts, dialogs[i].rcpts) != 0)
			fail_msg("%s: %u commits to '%s'", dialogs[i].what, w.commits, w.rcpts);
		if (count_mishaps() != (dialogs[i].mishap ? 1 : 0) ||
		    (dialogs[i].mishap && w.mishaps[dialogs[i].mishap] != 1))
			fail_msg("%s: %u mishaps, %u of the kind", dialogs[i].what, count_mishaps(),
				 w.mishaps[dialogs[i].mishap]);
		if (w.commits > 0 && !slice_eq(buf_slice(&w.body), SLICE_LIT("Subject: x\r\n\r\nhello\r\n")))
			fail_msg("%s: body '%.*s'", dialogs[i].what, SLICE_ARG(buf_slice(&w.body)));
		if (w.commits > 0 && !strstr(w.headers, w.id))
			fail_msg("%s: headers '%s'", dialogs[i].what, w.headers);
		tear_down(NULL);
	}
}

/* An address that once began in clear is greeted at once, until it speaks TLS too late. */
static void test_hold(void **state)
{
	uint64_t begin;

	(void)state;
	begin = now_ms();
	run(SUBMISSION, "held", "S: 220\nC: EHLO c\nS: 250 \nC: QUIT\nS: 221\nE\n");
	assert_true(now_ms() - begin >= 60);
	begin = now_ms();
	run(SUBMISSION, "known", "S: 220\n");
	assert_true(now_ms() - begin < 55);
	run(SUBMISSION, "too late", "S: 220\nC: \x16\x03\x01\x01\x01\x01\x01\nS: 554 5.7.0\nE\n");
	assert_int_equal(w.mishaps[IPC_MISHAP_TLS_TOO_LATE], 1);
	run(SUBMISSION, "held again", "T\nS: 220\n");
	/* ... and for all who come from there. */
	begin = now_ms();
	run(SUBMISSION, "mixed", "S: 220\nC: EHLO c\nS: 250 \nC: QUIT\nS: 221\nE\n");
	assert_true(now_ms() - begin >= 60);
	run(SUBMISSION, "held still", "T\nS: 220\n");
}

/* The mishap of a served client waits for the account's name. */
static void test_served_account(void **state)
{
	(void)state;
	run(SUBMISSION, "served", "T\nS: 220\n" LOGIN);
	turns_for(20);
	assert_int_equal(w.mishaps[IPC_MISHAP_TLS_ON_STARTTLS], 1);
	assert_string_equal(w.mishap_account, "ann@our.test");
}

static void test_exposed(void **state)
{
	(void)state;
	run(SUBMISSION, "exposed", "C: EHLO c\nS: 220\nS: 250 \nC: AUTH PLAIN " PLAIN_OK "\nS: 538 5.7.11\n");
	turns_for(10);
	assert_int_equal(w.exposed, 1);
}

static void test_silence_on_465(void **state)
{
	struct client c;
	uint64_t begin = now_ms();

	(void)state;
	client_open(&c, SUBMISSIONS);
	turns_for(7000);
	expect(&c, "silent", "554 5.7.0 port 465");
	assert_true(now_ms() - begin >= 7900);
	expect_end(&c, "silent");
	assert_int_equal(w.mishaps[IPC_MISHAP_SILENT_ON_IMPLICIT], 1);
	client_close(&c);
}

/* A body of several windows, with credit that is withheld for a while. */
static void test_large_body(void **state)
{
	static char line[1000];
	ssize_t r = sizeof(line);
	unsigned lines = 0;
	struct client c;

	(void)state;
	memset(line, 'x', sizeof(line));
	memcpy(line + 70, "\r\n", 2);
	memcpy(line + 998, "\r\n", 2);
	w.no_credit = true;
	client_open(&c, RELAY);
	play(&c, "large", "S: 220\nC: EHLO c\nS: 250 \n" TO_U "C: DATA\nS: 354\n");
	for (int i = 0; i < 160; i++)
		client_send(&c, line, sizeof(line));
	turns_for(50);
	assert_int_equal(w.body.n, IPC_BODY_WINDOW);
	/* What comes while queue takes nothing waits in the sockets, not here. */
	while (lines < 1600 && r == sizeof(line)) {
		r = send(c.fd, line, sizeof(line), MSG_NOSIGNAL);
		lines += r > 0;
		turn();
	}
	turns_for(50);
	assert_int_equal(w.body.n, IPC_BODY_WINDOW);
	w.no_credit = false;
	{
		struct ipc_message m = { .type = IPC_TYPE_credit, .credit = { 1, 0 } };

		/* The number of its transaction is not ours to know: the first are few. */
		for (m.credit.tx = 1; m.credit.tx < 10; m.credit.tx++) {
			m.credit.octets = IPC_BODY_WINDOW;
			channel_send(w.queue, &m, -1);
		}
	}
	if (r > 0)
		client_send(&c, line + r, sizeof(line) - (size_t)r);
	for (; lines < 2000; lines++)
		client_send(&c, line, sizeof(line));
	play(&c, "large", "C: .\nS: 250 2.0.0\n");
	assert_int_equal(w.body.n, 2160 * sizeof(line));
	client_close(&c);
}

static void test_too_large(void **state)
{
	static char line[1000];
	struct client c;

	(void)state;
	memset(line, 'x', sizeof(line));
	memcpy(line + 998, "\r\n", 2);
	client_open(&c, RELAY);
	play(&c, "too large",
	     "S: 220\nC: EHLO c\nS: 250 \nC: MAIL FROM:<a@else.test> SIZE=4000000\nS: 552\n" TO_U
	     "C: DATA\nS: 354\n");
	for (int i = 0; i < 3500; i++)
		client_send(&c, line, sizeof(line));
	play(&c, "too large", "C: .\nS: 552 5.3.4\nC: NOOP\nS: 250\n");
	turns_for(10);
	assert_int_equal(w.commits, 0);
	assert_int_equal(w.drops, 1);
	client_close(&c);
}

static void test_store_errors(void **state)
{
	static const struct {
		uint32_t result;
		const char *reply;
	} cases[] = {
		{ ENOSPC, "S: 452 4.3.1\n" }, { ENOMEM, "S: 452 4.3.1\n" },	 { EIO, "S: 451 4.3.0\n" },
		{ EEXIST, "S: 451 4.3.0\n" }, { 0, "S: 250 2.0.0 queued as\n" },
	};
	struct client c;

	(void)state;
	client_open(&c, RELAY);
	play(&c, "store", "S: 220\nC: EHLO c\nS: 250 \n");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		forget();
		w.result = cases[i].result;
		play(&c, "store", TO_U BODY);
		play(&c, cases[i].reply, cases[i].reply);
		assert_int_equal(w.drops, 0);
	}
	client_close(&c);
}

static void test_not_accepting(void **state)
{
	struct ipc_message m = { .type = IPC_TYPE_accepting, .accepting = { .result = ENOSPC } };
	struct client c;

	(void)state;
	client_open(&c, RELAY);
	play(&c, "accepting", "S: 220\nC: EHLO c\nS: 250 \n");
	channel_send(w.queue, &m, -1);
	turns_for(10);
	play(&c, "accepting", "C: MAIL FROM:<>\nS: 452 4.3.1\n");
	m.accepting.result = 0;
	channel_send(w.queue, &m, -1);
	turns_for(10);
	play(&c, "accepting", TO_U BODY "S: 250\n");
	client_close(&c);
}

static void test_queue_goes_away(void **state)
{
	struct client c;

	(void)state;
	client_open(&c, RELAY);
	/* while it has to answer a commit */
	w.queue_mute = true;
	play(&c, "queue lost", "S: 220\nC: EHLO c\nS: 250 \n" TO_U BODY "W 20\n");
	lose_peer(IPC_QUEUE, &w.queue, &w.to_queue);
	play(&c, "queue lost", "S: 451 4.3.0\nC: MAIL FROM:<>\nS: 451 4.3.0\n");
	w.queue_mute = false;
	connect_peer(IPC_QUEUE, &queue_handlers, &w.queue, &w.to_queue);
	/* in the middle of a body */
	forget();
	play(&c, "queue lost", TO_U "C: DATA\nS: 354\nC: some\nW 10\n");
	lose_peer(IPC_QUEUE, &w.queue, &w.to_queue);
	connect_peer(IPC_QUEUE, &queue_handlers, &w.queue, &w.to_queue);
	play(&c, "queue lost", "C: more\nC: .\n");
	play(&c, "queue lost", "S: 451 4.3.0\n");
	forget();
	play(&c, "queue back", TO_U BODY "S: 250\n");
	client_close(&c);
}

static void test_keeper_goes_away(void **state)
{
	struct client c;

	(void)state;
	client_open(&c, RELAY);
	play(&c, "keeper lost",
	     "S: 220\nC: EHLO c\nS: 250 \nC: MAIL FROM:<>\nS: 250\nC: RCPT TO:<slow@our.test>\nW 20\n");
	lose_peer(IPC_KEEPER, &w.keeper, &w.to_keeper);
	play(&c, "keeper lost", "S: 451 4.3.0\nC: RCPT TO:<u@our.test>\nS: 451 4.3.0\n");
	connect_peer(IPC_KEEPER, &keeper_handlers, &w.keeper, &w.to_keeper);
	/* A late answer to a question that is over changes nothing. */
	tell_verdict(w.keeper, w.mute_req, IPC_VERDICT_OK);
	play(&c, "keeper back", "C: RCPT TO:<no@our.test>\nS: 550\nC: RCPT TO:<u@our.test>\nS: 250\n");
	client_close(&c);

	lose_peer(IPC_KEEPER, &w.keeper, &w.to_keeper);
	run(SUBMISSIONS, "no keeper",
	    "T\nS: 220\nC: EHLO c\nS: 250 \nC: AUTH PLAIN " PLAIN_OK "\nS: 454 4.7.0\n");
	connect_peer(IPC_KEEPER, &keeper_handlers, &w.keeper, &w.to_keeper);
}

/* The client leaves while keeper thinks: the answer finds nobody. */
static void test_client_leaves(void **state)
{
	struct client c;

	(void)state;
	client_open(&c, RELAY);
	play(&c, "leaves",
	     "S: 220\nC: EHLO c\nS: 250 \nC: MAIL FROM:<>\nS: 250\nC: RCPT TO:<slow@our.test>\nW 20\n");
	SSL_free(c.ssl);
	{
		struct linger hard = { 1, 0 };

		setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	}
	client_close(&(struct client){ .fd = c.fd });
	turns_for(20);
	tell_verdict(w.keeper, w.mute_req, IPC_VERDICT_OK);
	turns_for(20);

	client_open(&c, SUBMISSIONS);
	play(&c, "leaves", "T\nS: 220\nC: EHLO c\nS: 250 \nC: AUTH PLAIN\nS: 334\n");
	client_close(&c);
	turns_for(20);
	assert_int_equal(w.aborts, 1);
}

static void test_limit_by_ip(void **state)
{
	struct client a, b;

	(void)state;
	client_open(&a, TRUSTING);
	client_open(&b, TRUSTING);
	play(&a, "first", "S: 220\n");
	play(&b, "second", "S: 220\n");
	run(TRUSTING, "third", "S: 421 4.7.0\nE\n");
	client_close(&a);
	turns_for(20);
	run(TRUSTING, "after one left", "S: 220\n");
	client_close(&b);
}

/* Idle sessions end at once, one with a message may finish it. */
static void test_drain(void **state)
{
	struct client idle, busy;

	(void)state;
	client_open(&idle, RELAY);
	client_open(&busy, RELAY);
	play(&idle, "idle", "S: 220\nC: EHLO c\nS: 250 \n");
	play(&busy, "busy", "S: 220\nC: EHLO c\nS: 250 \n" TO_U "C: DATA\nS: 354\n");
	receive_drain(w.rx, 5);
	play(&idle, "idle", "S: 421 4.3.2\nE\n");
	turns_for(50);
	assert_false(w.drained);
	play(&busy, "busy", "C: \nC: text\nC: .\nS: 250 2.0.0\nS: 421 4.3.2\nE\n");
	turns_for(300);
	assert_true(w.drained);
	assert_int_equal(w.commits, 1);
	client_close(&idle);
	client_close(&busy);
}

/* Those that do not finish in time are told so. */
static void test_drain_over(void **state)
{
	struct client busy;

	(void)state;
	client_open(&busy, RELAY);
	play(&busy, "busy", "S: 220\nC: EHLO c\nS: 250 \n" TO_U);
	receive_drain(w.rx, 0);
	play(&busy, "busy", "S: 421 4.3.2\nE\n");
	turns_for(700);
	assert_true(w.drained);
	client_close(&busy);
}

/* Sessions keep the rules they began with; new ones get the new. */
static void test_reload(void **state)
{
	static const char text[] = "hostname: other.our.test\n"
				   "listeners: {relay: {addresses: [127.0.0.1]}, fallback: {enabled: no}}\n";
	struct conf_setup setup = { .file = "test" };
	struct ipc_unlisten gone = { .listener = SLICE_LIT("fallback"), .address = SLICE_LIT("127.0.0.1") };
	struct conf_finding *findings;
	struct conf *next;
	struct client c;
	json_t *status = json_object();

	(void)state;
	client_open(&c, RELAY);
	play(&c, "before", "S: 220 mx.our.test\n");
	assert_int_equal(conf_parse(slice_str(text), &setup, &next, &findings), 0);
	conf_findings_free(findings);
	assert_int_equal(receive_configure(w.rx, next), 0);
	conf_free(w.conf);
	w.conf = next;
	receive_unlisten(w.rx, &gone);
	gone.listener = SLICE_LIT("trusting");
	receive_unlisten(w.rx, &gone);
	play(&c, "before", "C: HELO c\nS: 250 mx.our.test\n" TO_U BODY "S: 250\n");
	run(RELAY, "after", "S: 220 other.our.test\n");
	client_close(&c);
	receive_status(w.rx, status);
	assert_int_equal(json_array_size(json_object_get(status, "listeners")), N_LISTENERS - 2);
	json_decref(status);
}

#define ONE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dialogs),
		ONE(test_hold),
		ONE(test_served_account),
		ONE(test_exposed),
		ONE(test_silence_on_465),
		ONE(test_large_body),
		ONE(test_too_large),
		ONE(test_store_errors),
		ONE(test_not_accepting),
		ONE(test_queue_goes_away),
		ONE(test_keeper_goes_away),
		ONE(test_client_leaves),
		ONE(test_limit_by_ip),
		ONE(test_drain),
		ONE(test_drain_over),
		ONE(test_reload),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
