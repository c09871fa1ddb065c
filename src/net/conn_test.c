/* The server side runs on a loop here; the client is a thread with a blocking
 * socket and OpenSSL, so it is as independent as a real one. */
#include "net/conn_private.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "net/listen.h"

#define OUTPUT_MAX 65536
#define INPUT_MAX  4096

struct server;
typedef void server_play(struct server *s, enum conn_event event);

/* One accepted connection, what it saw, and how the test lets it behave. */
struct server {
	uv_loop_t loop;
	uv_tcp_t listener;
	uv_timer_t watchdog;
	uint16_t port;
	struct conn *conn;
	struct tls_server *tls;
	enum tls_min min;
	server_play *play;
	bool inside; /* the test is inside a conn_ call: no event may come */
	char got[512];
	size_t n_got;
	size_t counted, want;
	char events[64]; /* one letter each */
	char error[128];
	struct tls_facts facts;
	unsigned char exporter[32];
	int exporter_result;
	bool timed_out;
};

struct client {
	pthread_t thread;
	uint16_t port;
	void (*run)(struct client *);
	int fd;
	SSL_CTX *ctx;
	SSL *ssl;
	const char *sni;
	SSL_SESSION *session; /* in: to resume; out: the last one given */
	int max_version;
	const char *ciphers, *sigalgs;
	bool ok;
	char got[512];
	size_t counted;
	char subject[128];
	unsigned char exporter[32];
	bool ems;
};

static void on_event(void *arg, struct conn *c, enum conn_event e)
{
	static const char letters[] = "IDHFZX";
	struct server *s = arg;
	size_t n = strlen(s->events);

	assert_false(s->inside);
	assert_ptr_equal(c, s->conn);
	if (n < sizeof(s->events) - 1 && (n == 0 || s->events[n - 1] != letters[e]))
		s->events[n] = letters[e];
	if (e == CONN_ERROR || e == CONN_TLS_FAILED)
		snprintf(s->error, sizeof(s->error), "%s", conn_error(c));
	s->inside = true;
	s->play(s, e);
	s->inside = false;
}

static void stop(struct server *s)
{
	uv_stop(&s->loop);
}

static void end(struct server *s)
{
	conn_close(s->conn);
	s->conn = NULL;
	stop(s);
}

static void on_connection(uv_stream_t *l, int status)
{
	struct server *s = l->data;
	struct conn_setup setup = { &s->loop, INPUT_MAX, OUTPUT_MAX, on_event, s };

	assert_int_equal(status, 0);
	s->inside = true;
	assert_int_equal(conn_accept(&setup, l, &s->conn), 0);
	s->inside = false;
}

static void on_watchdog(uv_timer_t *t)
{
	struct server *s = t->data;

	s->timed_out = true;
	uv_stop(&s->loop);
}

static void server_init(struct server *s, server_play *play)
{
	struct ip lo = { 4, { 127, 0, 0, 1 } };
	struct sockaddr_in sa;
	int fd, n = sizeof(sa);

	memset(s, 0, sizeof(*s));
	s->play = play;
	s->min = TLS_MIN_1_2;
	assert_int_equal(uv_loop_init(&s->loop), 0);
	assert_int_equal(listen_tcp(&lo, 0, &fd), 0);
	uv_tcp_init(&s->loop, &s->listener);
	s->listener.data = s;
	assert_int_equal(uv_tcp_open(&s->listener, fd), 0);
	assert_int_equal(uv_listen((uv_stream_t *)&s->listener, 16, on_connection), 0);
	assert_int_equal(uv_tcp_getsockname(&s->listener, (struct sockaddr *)&sa, &n), 0);
	s->port = ntohs(sa.sin_port);
	uv_timer_init(&s->loop, &s->watchdog);
	s->watchdog.data = s;
	uv_timer_start(&s->watchdog, on_watchdog, 15000, 0);
}

static void server_done(struct server *s)
{
	uv_close((uv_handle_t *)&s->listener, NULL);
	uv_close((uv_handle_t *)&s->watchdog, NULL);
	conn_close(s->conn);
	uv_run(&s->loop, UV_RUN_DEFAULT); /* also waits for gentle closes */
	assert_int_equal(uv_loop_close(&s->loop), 0);
	tls_server_free(s->tls);
	assert_false(s->timed_out);
}

static void *client_main(void *arg)
{
	struct client *c = arg;
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(c->port) };
	struct timeval limit = { .tv_sec = 10 };

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(c->fd, (struct sockaddr *)&sa, sizeof(sa)) == 0)
		c->run(c);
	if (c->ssl)
		SSL_free(c->ssl);
	if (c->ctx)
		SSL_CTX_free(c->ctx);
	if (c->fd >= 0)
		close(c->fd);
	return NULL;
}

/* Plays both until the server's play stops the loop and the client has returned. */
static void run(struct server *s, struct client *c)
{
	c->port = s->port;
	assert_int_equal(pthread_create(&c->thread, NULL, client_main, c), 0);
	uv_run(&s->loop, UV_RUN_DEFAULT);
	server_done(s);
	pthread_join(c->thread, NULL);
}

/* ---- clients ---- */

static bool send_str(struct client *c, const char *s)
{
	return send(c->fd, s, strlen(s), MSG_NOSIGNAL) == (ssize_t)strlen(s);
}

/* Reads until the server closes. */
static void read_all(struct client *c)
{
	char b[4096];
	ssize_t n;

	while ((n = recv(c->fd, b, sizeof(b), 0)) > 0) {
		if (c->counted + (size_t)n < sizeof(c->got))
			memcpy(c->got + c->counted, b, (size_t)n);
		c->counted += (size_t)n;
	}
	c->ok = n == 0;
}

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
	struct client *c = SSL_get_app_data(ssl);

	SSL_SESSION_free(c->session);
	c->session = session;
	return 1;
}

static void tls_prepare(struct client *c)
{
	c->ctx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_session_cache_mode(c->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(c->ctx, keep_session);
	SSL_CTX_set_security_level(c->ctx, 0);
	SSL_CTX_set_min_proto_version(c->ctx, TLS1_VERSION);
	if (c->max_version)
		SSL_CTX_set_max_proto_version(c->ctx, c->max_version);
	if (c->ciphers)
		SSL_CTX_set_cipher_list(c->ctx, c->ciphers);
	if (c->sigalgs)
		SSL_CTX_set1_sigalgs_list(c->ctx, c->sigalgs);
	c->ssl = SSL_new(c->ctx);
	SSL_set_app_data(c->ssl, c);
	SSL_set_fd(c->ssl, c->fd);
	if (c->sni)
		SSL_set_tlsext_host_name(c->ssl, c->sni);
	if (c->session)
		SSL_set_session(c->ssl, c->session);
}

static bool tls_connect(struct client *c)
{
	X509 *x;

	tls_prepare(c);
	if (SSL_connect(c->ssl) != 1)
		return false;
	x = SSL_get1_peer_certificate(c->ssl);
	if (x)
		X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, c->subject,
					  sizeof(c->subject));
	X509_free(x);
	c->ems = SSL_get_extms_support(c->ssl) == 1;
	SSL_export_keying_material(c->ssl, c->exporter, 32, "EXPORTER-Channel-Binding", 24,
				   (const unsigned char *)"", 0, 1);
	return true;
}

/* The client of most tests: hello, one line each way, goodbye. */
static void tls_echo(struct client *c)
{
	int n;

	if (!tls_connect(c) || SSL_write(c->ssl, "hello\r\n", 7) != 7)
		return;
	n = SSL_read(c->ssl, c->got, sizeof(c->got) - 1);
	if (n > 0)
		c->got[n] = '\0';
	SSL_shutdown(c->ssl);
	c->ok = n > 0 && SSL_shutdown(c->ssl) == 1; /* the second waits for theirs */
}

/* ---- servers ---- */

static void take_input(struct server *s)
{
	struct slice in = conn_input(s->conn);

	s->counted += in.n;
	if (s->n_got + in.n < sizeof(s->got)) {
		memcpy(s->got + s->n_got, in.p, in.n);
		s->n_got += in.n;
	}
	conn_consume(s->conn, in.n);
}

static void play_tls_echo(struct server *s, enum conn_event e)
{
	struct slice in;

	switch (e) {
	case CONN_INPUT:
		in = conn_input(s->conn);
		if (!conn_in_tls(s->conn)) {
			if (conn_sniff(in) == CONN_SNIFF_TLS)
				assert_int_equal(conn_start_tls(s->conn, s->tls, s->min), 0);
			return;
		}
		assert_int_equal(conn_write(s->conn, in), 0);
		take_input(s);
		return;
	case CONN_TLS_DONE:
		conn_tls_facts(s->conn, &s->facts);
		s->exporter_result = conn_tls_exporter(s->conn, s->exporter);
		return;
	case CONN_EOF:
		conn_close_gently(s->conn);
		s->conn = NULL;
		stop(s);
		return;
	case CONN_ERROR:
	case CONN_TLS_FAILED:
		end(s);
		return;
	case CONN_DRAINED:
		return;
	}
}

static struct tls_server *one_certificate(void)
{
	static const char *const names[] = { "mx.example.org" };
	struct tls_server *t;
	char err[200];
	struct buf pem;
	struct slice s;

	buf_init(&pem, 65536);
	assert_int_equal(tls_self_signed(names, 1, &pem), 0);
	assert_int_equal(tls_server_new(&t), 0);
	s = buf_slice(&pem);
	assert_int_equal(tls_server_load(t, &s, 1, err, sizeof(err)), 0);
	assert_string_equal(err, "");
	buf_wipe(&pem);
	return t;
}

/* ---- tests ---- */

static void test_handshakes(void **state)
{
	static const struct {
		int max_version;
		enum tls_min min;
		const char *version; /* NULL: it must fail */
	} cases[] = {
		{ TLS1_3_VERSION, TLS_MIN_1_2, "TLSv1.3" }, { TLS1_2_VERSION, TLS_MIN_1_2, "TLSv1.2" },
		{ TLS1_1_VERSION, TLS_MIN_1_2, NULL },	    { TLS1_2_VERSION, TLS_MIN_1_3, NULL },
		{ TLS1_1_VERSION, TLS_MIN_1_0, "TLSv1.1" }, { TLS1_VERSION, TLS_MIN_1_0, "TLSv1" },
		{ TLS1_VERSION, TLS_MIN_1_1, NULL },	    { TLS1_3_VERSION, TLS_MIN_1_0, "TLSv1.3" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct server s;
		struct client c = { .run = tls_echo,
				    .max_version = cases[i].max_version,
				    .sni = "MX.example.org" };

		server_init(&s, play_tls_echo);
		s.tls = one_certificate();
		s.min = cases[i].min;
		run(&s, &c);
		SSL_SESSION_free(c.session);
		if (!cases[i].version) {
			assert_string_equal(s.events, "IF");
			assert_string_equal(s.error, "the client has no TLS version that is allowed here");
			assert_false(c.ok);
			continue;
		}
		assert_true(c.ok);
		assert_string_equal(c.got, "hello\r\n");
		assert_string_equal(s.events, "IHIDZ");
		assert_string_equal(s.facts.version, cases[i].version);
		assert_string_equal(s.facts.sni, "MX.example.org");
		assert_false(s.facts.resumed);
		if (c.ems) {
			assert_int_equal(s.exporter_result, 0);
			assert_memory_equal(s.exporter, c.exporter, 32);
		}
	}
}

/* Plain: a reply in pieces, more than the client reads at once, then a gentle close. */
static void plain_reader(struct client *c)
{
	if (send_str(c, "EHLO x\r\n"))
		read_all(c);
}

static void play_gentle(struct server *s, enum conn_event e)
{
	static const unsigned char block[8192] = { 'x' };

	if (e != CONN_INPUT)
		return;
	/* Some input stays unread: a close that does not drain would reset. */
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(conn_write(s->conn, slice_of(block, sizeof(block))), 0);
	assert_int_equal(conn_write_room(s->conn), 0);
	assert_int_equal(conn_write(s->conn, SLICE_LIT("y")), -ENOBUFS);
	conn_close_gently(s->conn);
	s->conn = NULL;
	stop(s);
}

static void test_gentle_close_delivers_all(void **state)
{
	struct server s;
	struct client c = { .run = plain_reader };

	(void)state;
	server_init(&s, play_gentle);
	run(&s, &c);
	assert_true(c.ok);
	assert_int_equal(c.counted, OUTPUT_MAX);
	assert_string_equal(s.events, "I");
}

/* The ClientHello one byte at a time: sniffed when there is enough of it, and whole afterwards. */
static void hello_in_pieces(struct client *c)
{
	BIO *out = BIO_new(BIO_s_mem());
	struct pollfd p = { c->fd, POLLIN, 0 };
	char *hello;
	long n;

	tls_prepare(c);
	SSL_set0_wbio(c->ssl, out);
	SSL_connect(c->ssl); /* writes the hello into memory and wants to read */
	n = BIO_get_mem_data(out, &hello);
	for (long i = 0; i < n; i++) {
		if (send(c->fd, hello + i, 1, MSG_NOSIGNAL) != 1)
			return;
		if (i < 12 && poll(&p, 1, 2) != 0)
			return; /* nothing may come yet */
	}
	SSL_set_fd(c->ssl, c->fd);
	if (SSL_connect(c->ssl) != 1 || SSL_write(c->ssl, "hello\r\n", 7) != 7)
		return;
	SSL_read(c->ssl, c->got, sizeof(c->got) - 1);
	SSL_shutdown(c->ssl);
	c->ok = SSL_shutdown(c->ssl) == 1;
}

static void test_hello_in_pieces(void **state)
{
	struct server s;
	struct client c = { .run = hello_in_pieces };

	(void)state;
	server_init(&s, play_tls_echo);
	s.tls = one_certificate();
	run(&s, &c);
	SSL_SESSION_free(c.session);
	assert_true(c.ok);
	assert_string_equal(c.got, "hello\r\n");
}

/* STARTTLS: the reply goes out in clear although TLS is started in the same breath. */
static void starttls_client(struct client *c)
{
	char line[64] = "";

	if (!send_str(c, "STARTTLS\r\n"))
		return;
	for (size_t n = 0; n < sizeof(line) - 1 && !strchr(line, '\n'); n++)
		if (recv(c->fd, line + n, 1, 0) != 1)
			return;
	if (strcmp(line, "220 go\r\n") == 0)
		tls_echo(c);
}

static void play_starttls(struct server *s, enum conn_event e)
{
	struct slice in = conn_input(s->conn);

	if (e == CONN_INPUT && !conn_in_tls(s->conn) && slice_eq(in, SLICE_LIT("STARTTLS\r\n"))) {
		assert_true(conn_has_unread(s->conn));
		conn_consume(s->conn, in.n);
		assert_false(conn_has_unread(s->conn));
		assert_int_equal(conn_write(s->conn, SLICE_LIT("220 go\r\n")), 0);
		assert_int_equal(conn_start_tls(s->conn, s->tls, s->min), 0);
		assert_int_equal(conn_start_tls(s->conn, s->tls, s->min), -EALREADY);
		return;
	}
	play_tls_echo(s, e);
}

static void test_starttls(void **state)
{
	struct server s;
	struct client c = { .run = starttls_client };

	(void)state;
	server_init(&s, play_starttls);
	s.tls = one_certificate();
	run(&s, &c);
	SSL_SESSION_free(c.session);
	assert_true(c.ok);
	assert_string_equal(s.facts.version, "TLSv1.3");
}

/* Much more than every ceiling, both ways, the server slower than the client. */
#define LARGE (3 * 1024 * 1024)

static void large_client(struct client *c)
{
	static char block[10000];
	size_t sent = 0;

	if (c->sni && !tls_connect(c))
		return;
	while (sent < LARGE) {
		int n = (int)(LARGE - sent < sizeof(block) ? LARGE - sent : sizeof(block));
		int r = c->sni ? SSL_write(c->ssl, block, n)
			       : (int)send(c->fd, block, (size_t)n, MSG_NOSIGNAL);

		if (r <= 0)
			return;
		sent += (size_t)r;
	}
	while (c->counted < LARGE) {
		int r = c->sni ? SSL_read(c->ssl, block, sizeof(block))
			       : (int)recv(c->fd, block, sizeof(block), 0);

		if (r <= 0)
			return;
		c->counted += (size_t)r;
	}
	c->ok = true;
}

/* Takes a little at a time; when all is there, sends as much, a room full after the other. */
static void play_large(struct server *s, enum conn_event e)
{
	static const unsigned char block[OUTPUT_MAX];
	struct slice in = conn_input(s->conn);
	size_t n;

	if (s->tls && !conn_in_tls(s->conn)) {
		if (e == CONN_INPUT && conn_sniff(in) == CONN_SNIFF_TLS)
			assert_int_equal(conn_start_tls(s->conn, s->tls, s->min), 0);
		return;
	}
	assert_true(in.n <= INPUT_MAX);
	while (s->counted < LARGE && (in = conn_input(s->conn)).n > 0) {
		n = in.n < 1000 ? in.n : 1000;
		conn_consume(s->conn, n);
		s->counted += n;
	}
	while (s->counted == LARGE && s->want < LARGE && (n = conn_write_room(s->conn)) > 0) {
		n = n < LARGE - s->want ? n : LARGE - s->want;
		assert_int_equal(conn_write(s->conn, slice_of(block, n)), 0);
		s->want += n;
	}
	if (e == CONN_EOF || e == CONN_ERROR)
		end(s);
}

static void test_large_both_ways(void **state)
{
	(void)state;
	for (int tls = 0; tls < 2; tls++) {
		struct server s;
		struct client c = { .run = large_client, .sni = tls ? "mx.example.org" : NULL };

		server_init(&s, play_large);
		if (tls)
			s.tls = one_certificate();
		run(&s, &c);
		SSL_SESSION_free(c.session);
		assert_true(c.ok);
		assert_int_equal(s.counted, LARGE);
	}
}

/* A reset, at each of these moments, ends in one event and no more. */
static void reset(struct client *c)
{
	struct linger hard = { .l_onoff = 1 };

	setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(c->fd);
	c->fd = -1;
}

static void reset_in_hello(struct client *c)
{
	/* The beginning of a ClientHello, enough to be known as one. */
	send(c->fd, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11, MSG_NOSIGNAL);
	poll(NULL, 0, 50);
	reset(c);
}

static void reset_in_session(struct client *c)
{
	if (tls_connect(c) && SSL_write(c->ssl, "half a li", 9) == 9) {
		SSL_read(c->ssl, c->got, sizeof(c->got));
		poll(NULL, 0, 50);
		reset(c);
	}
}

static void no_close_notify(struct client *c)
{
	if (tls_connect(c) && SSL_write(c->ssl, "half a li", 9) == 9)
		shutdown(c->fd, SHUT_WR);
	read_all(c);
}

static void half_a_record(struct client *c)
{
	if (tls_connect(c) && SSL_write(c->ssl, "half a li", 9) == 9)
		send(c->fd, "\x17\x03\x03\x01\x00garbage", 12, MSG_NOSIGNAL);
	shutdown(c->fd, SHUT_WR);
	read_all(c);
}

static void forged_record(struct client *c)
{
	if (tls_connect(c))
		send(c->fd,
		     "\x17\x03\x03\x00\x20"
		     "0123456789abcdef0123456789abcdef",
		     37, MSG_NOSIGNAL);
	read_all(c);
}

static void eof_in_hello(struct client *c)
{
	send(c->fd, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11, MSG_NOSIGNAL);
	shutdown(c->fd, SHUT_WR);
	read_all(c);
}

static void plain_after_hello(struct client *c)
{
	send(c->fd,
	     "\x16\x03\x01\x00\x04\x01"
	     "EHLO example.org\r\nQUIT\r\n",
	     30, MSG_NOSIGNAL);
	read_all(c);
}

static void test_odd_ends(void **state)
{
	static const struct {
		void (*run)(struct client *);
		const char *events, *error;
	} cases[] = {
		{ reset_in_hello, "IF", "connection reset by peer" },
		{ reset_in_session, "IHIDX", "connection reset by peer" },
		{ no_close_notify, "IHIDZ", "" },
		{ half_a_record, "IHIDZ", "" },
		{ forged_record, "IHX", "decryption failed or bad record mac" },
		{ eof_in_hello, "IF", "the client closed the connection during the handshake" },
		{ plain_after_hello, "IF", "excessive message size" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct server s;
		struct client c = { .run = cases[i].run };

		server_init(&s, play_tls_echo);
		s.tls = one_certificate();
		run(&s, &c);
		SSL_SESSION_free(c.session);
		assert_string_equal(s.events, cases[i].events);
		assert_string_equal(s.error, cases[i].error);
	}
}

/* The peer reads nothing: the ceiling holds, and a gentle close gives up by itself. */
static void deaf_client(struct client *c)
{
	send_str(c, "x");
	poll(NULL, 0, 7000);
	c->ok = true;
}

static void play_flood(struct server *s, enum conn_event e)
{
	static const unsigned char block[OUTPUT_MAX];

	if (e == CONN_INPUT || e == CONN_DRAINED) {
		s->want++;
		conn_write(s->conn, slice_of(block, conn_write_room(s->conn)));
	}
}

static void on_flooded(uv_timer_t *t)
{
	static const unsigned char block[OUTPUT_MAX];
	struct server *s = t->data;

	/* The kernel's buffers are full, then ours: nothing more fits. */
	conn_write(s->conn, slice_of(block, conn_write_room(s->conn)));
	assert_int_equal(conn_write_room(s->conn), 0);
	assert_int_equal(conn_write(s->conn, SLICE_LIT("z")), -ENOBUFS);
	conn_close_gently(s->conn);
	s->conn = NULL;
	uv_close((uv_handle_t *)t, NULL);
	stop(s);
}

static void test_ceiling_and_patience(void **state)
{
	struct server s;
	struct client c = { .run = deaf_client };
	uint64_t from;
	uv_timer_t t;

	(void)state;
	server_init(&s, play_flood);
	uv_timer_init(&s.loop, &t);
	t.data = &s;
	uv_timer_start(&t, on_flooded, 500, 0);
	from = uv_hrtime();
	run(&s, &c);
	assert_true(uv_hrtime() - from < 8 * UINT64_C(1000000000));
	assert_true(s.want > 1);
}

static void test_consumed_is_wiped(void **state)
{
	struct conn c = { 0 };

	(void)state;
	buf_init(&c.input, 100);
	buf_str(&c.input, "AUTH PLAIN secretsecret\r\nNOOP\r\n");
	buf_consume(&c.input, 25);
	conn_wipe_consumed(&c);
	assert_true(slice_eq(conn_input(&c), SLICE_LIT("NOOP\r\n")));
	assert_null(memmem(c.input.p, c.input.cap, "secret", 6));
	buf_done(&c.input);
}

static void test_sniff(void **state)
{
	static const struct {
		struct slice in;
		enum conn_sniff verdict;
	} cases[] = {
		{ SLICE_INIT(""), CONN_SNIFF_MORE },
		{ SLICE_INIT("E"), CONN_SNIFF_PLAIN },
		{ SLICE_INIT("EHLO x\r\n"), CONN_SNIFF_PLAIN },
		{ SLICE_INIT("GET / HTTP/1.1\r\n"), CONN_SNIFF_PLAIN },
		{ SLICE_INIT("\r\n"), CONN_SNIFF_PLAIN },
		{ SLICE_INIT("\x16"), CONN_SNIFF_MORE },
		{ SLICE_INIT("\x16\x03"), CONN_SNIFF_MORE },
		{ SLICE_INIT("\x16\x03\x01\x02\x00"), CONN_SNIFF_MORE },
		{ SLICE_INIT("\x16\x03\x01\x02\x00\x01"), CONN_SNIFF_TLS },
		{ SLICE_INIT("\x16\x03\x00\x00\x41\x01"), CONN_SNIFF_TLS },
		{ SLICE_INIT("\x16\x03\x03\x40\x00\x01"), CONN_SNIFF_TLS },
		{ SLICE_INIT("\x16\x03\x03\x40\x01"), CONN_SNIFF_PLAIN }, /* longer than a record may be */
		{ SLICE_INIT("\x16\x03\x01\x00\x00"), CONN_SNIFF_PLAIN }, /* empty */
		{ SLICE_INIT("\x16\x02"), CONN_SNIFF_PLAIN },		  /* no such version */
		{ SLICE_INIT("\x16\x03\x05"), CONN_SNIFF_PLAIN },	  /* nor this */
		{ SLICE_INIT("\x16\x03\x01\x02\x00\x02"), CONN_SNIFF_PLAIN }, /* a ServerHello */
		{ SLICE_INIT("\x15\x03\x01\x00\x02"), CONN_SNIFF_PLAIN },     /* an alert */
		{ SLICE_INIT("\x80"), CONN_SNIFF_MORE },
		{ SLICE_INIT("\x80\x2e\x01\x03\x01"), CONN_SNIFF_TLS }, /* SSLv2 hello for TLS 1.0 */
		{ SLICE_INIT("\x80\x2e\x01\x00\x02"), CONN_SNIFF_TLS }, /* SSLv2 itself */
		{ SLICE_INIT("\x80\x2e\x04"), CONN_SNIFF_PLAIN },
		{ SLICE_INIT("\xc3\xa4h"), CONN_SNIFF_PLAIN }, /* UTF-8 */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(conn_sniff(cases[i].in), cases[i].verdict);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sniff),
		cmocka_unit_test(test_handshakes),
		cmocka_unit_test(test_hello_in_pieces),
		cmocka_unit_test(test_starttls),
		cmocka_unit_test(test_large_both_ways),
		cmocka_unit_test(test_odd_ends),
		cmocka_unit_test(test_gentle_close_delivers_all),
		cmocka_unit_test(test_ceiling_and_patience),
		cmocka_unit_test(test_consumed_is_wiped),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
