/* The server side runs on a loop here; the client is a thread with a blocking
 * socket and OpenSSL, so it is as independent as a real one. */
#include "net/conn.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_handshakes),
		cmocka_unit_test(test_gentle_close_delivers_all),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
