/* conn_harness.h - one server and one client, for the tests of connections only.
 *
 * The server side runs on a loop; the client is a thread with a blocking socket
 * and OpenSSL, so it is as independent as a real one.  Each test gives the server
 * a play (what it does at each event) and the client a function.
 */
#ifndef POSTERN_NET_CONN_HARNESS_H
#define POSTERN_NET_CONN_HARNESS_H

#include "net/conn_private.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/listen.h"

#define OUTPUT_MAX 65536
#define INPUT_MAX  4096
#define LIMIT_S	   60 /* for what must come: nobody waits for long where all is well */

struct server;
typedef void server_play(struct server *s, enum conn_event event);

/* One accepted connection, what it saw, and how the test lets it behave. */
struct server {
	uv_loop_t loop;
	int listening;
	uv_poll_t listener;
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
	atomic_uint
		happened; /* events, by bit; the client's thread looks at it, and at whether it has ended */
	atomic_bool over;
};

struct client {
	struct server *server;
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

static inline void on_event(void *arg, struct conn *c, enum conn_event e)
{
	static const char letters[] = "IDHFZXC";
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
	atomic_fetch_or(&s->happened, 1U << e);
}

static inline void stop(struct server *s)
{
	uv_stop(&s->loop);
}

static inline void end(struct server *s)
{
	conn_close(s->conn);
	s->conn = NULL;
	stop(s);
}

static inline void on_connection(uv_poll_t *l, int status, int events)
{
	struct server *s = l->data;
	struct conn_setup setup = { &s->loop, INPUT_MAX, OUTPUT_MAX, on_event, s };
	int fd = accept4(s->listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	assert_true(status == 0 && events == UV_READABLE && fd >= 0);
	s->inside = true;
	assert_int_equal(conn_take(&setup, fd, false, &s->conn), 0);
	s->inside = false;
}

static inline void on_watchdog(uv_timer_t *t)
{
	struct server *s = t->data;

	s->timed_out = true;
	uv_stop(&s->loop);
}

static inline void server_init(struct server *s, server_play *play)
{
	struct ip lo = { 4, { 127, 0, 0, 1 } };
	struct sockaddr_in sa;
	socklen_t n = sizeof(sa);

	memset(s, 0, sizeof(*s));
	s->play = play;
	s->min = TLS_MIN_1_2;
	assert_int_equal(uv_loop_init(&s->loop), 0);
	assert_int_equal(listen_tcp(&lo, 0, &s->listening), 0);
	assert_int_equal(uv_poll_init(&s->loop, &s->listener, s->listening), 0);
	s->listener.data = s;
	assert_int_equal(uv_poll_start(&s->listener, UV_READABLE, on_connection), 0);
	assert_int_equal(getsockname(s->listening, (struct sockaddr *)&sa, &n), 0);
	s->port = ntohs(sa.sin_port);
	uv_timer_init(&s->loop, &s->watchdog);
	s->watchdog.data = s;
	uv_timer_start(&s->watchdog, on_watchdog, LIMIT_S * 1000, 0);
}

static inline void server_done(struct server *s)
{
	uv_close((uv_handle_t *)&s->listener, NULL);
	close(s->listening);
	uv_close((uv_handle_t *)&s->watchdog, NULL);
	conn_close(s->conn);
	uv_run(&s->loop, UV_RUN_DEFAULT); /* also waits for gentle closes */
	assert_int_equal(uv_loop_close(&s->loop), 0);
	atomic_store(&s->over, true);
	tls_server_free(s->tls);
	assert_false(s->timed_out);
}

static inline void *client_main(void *arg)
{
	struct client *c = arg;
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(c->port) };
	struct timeval limit = { .tv_sec = LIMIT_S };

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
static inline void run(struct server *s, struct client *c)
{
	c->port = s->port;
	c->server = s;
	assert_int_equal(pthread_create(&c->thread, NULL, client_main, c), 0);
	uv_run(&s->loop, UV_RUN_DEFAULT);
	server_done(s);
	pthread_join(c->thread, NULL);
}

/* ---- clients ---- */

/* Until the server had that event; what is done then is done after it, however slow the machine. */
static inline void wait_for(const struct client *c, enum conn_event e)
{
	for (int i = 0; i < LIMIT_S * 1000 && !(atomic_load(&c->server->happened) & (1U << e)); i++)
		poll(NULL, 0, 1);
}

static inline bool send_str(struct client *c, const char *s)
{
	return send(c->fd, s, strlen(s), MSG_NOSIGNAL) == (ssize_t)strlen(s);
}

/* Reads until the server closes. */
static inline void read_all(struct client *c)
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

static inline int keep_session(SSL *ssl, SSL_SESSION *session)
{
	struct client *c = SSL_get_app_data(ssl);

	SSL_SESSION_free(c->session);
	c->session = session;
	return 1;
}

static inline void tls_prepare(struct client *c)
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

static inline bool tls_connect(struct client *c)
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
static inline void tls_echo(struct client *c)
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

static inline void take_input(struct server *s)
{
	struct slice in = conn_input(s->conn);

	s->counted += in.n;
	if (s->n_got + in.n < sizeof(s->got)) {
		memcpy(s->got + s->n_got, in.p, in.n);
		s->n_got += in.n;
	}
	conn_consume(s->conn, in.n);
}

static inline void play_tls_echo(struct server *s, enum conn_event e)
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
	case CONN_CONNECTED:
	case CONN_ERROR:
	case CONN_TLS_FAILED:
		end(s);
		return;
	case CONN_DRAINED:
		return;
	}
}

static inline struct tls_server *one_certificate(void)
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

#endif
