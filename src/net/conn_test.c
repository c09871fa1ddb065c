#include "net/conn_harness.h"

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

/* The ClientHello one byte at a time: sniffed when there is enough of it, and whole afterwards. */
static void hello_in_pieces(struct client *c)
{
	BIO *out = BIO_new(BIO_s_mem());
	struct pollfd p = { c->fd, POLLIN, 0 };
	char *hello;
	long n;

	tls_prepare(c);
	SSL_set_bio(c->ssl, BIO_new(BIO_s_mem()), out);
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

static void silent_client(struct client *c)
{
	send_str(c, "x");
	read_all(c);
}

static void play_addresses(struct server *s, enum conn_event e)
{
	struct ip peer;
	uint16_t peer_port;
	uid_t uid;
	gid_t gid;

	assert_int_equal(e, CONN_INPUT);
	conn_peer(s->conn, &peer, &peer_port);
	assert_true(ip_is_loopback(&peer));
	assert_true(peer_port != s->port && peer_port != 0);
	assert_int_equal(conn_peer_uid(s->conn, &uid, &gid), -ENOTSOCK);
	take_input(s);
	end(s);
}

static void test_addresses(void **state)
{
	struct server s;
	struct client c = { .run = silent_client };

	(void)state;
	server_init(&s, play_addresses);
	run(&s, &c);
}

/* A Unix socket: known by uid. */
struct local {
	uv_loop_t loop;
	int listening;
	uv_poll_t listener;
	struct conn *conn;
	bool seen;
};

static void on_local_event(void *arg, struct conn *c, enum conn_event e)
{
	struct local *l = arg;
	struct ip peer;
	uint16_t port;
	uid_t uid;
	gid_t gid;

	if (e != CONN_INPUT)
		return;
	assert_int_equal(conn_peer_uid(c, &uid, &gid), 0);
	assert_true(uid == getuid() && gid == getgid());
	conn_peer(c, &peer, &port);
	assert_int_equal(peer.family, 0);
	assert_true(slice_eq(conn_input(c), SLICE_LIT("HELO x\r\n")));
	l->seen = true;
	conn_close(c);
	uv_close((uv_handle_t *)&l->listener, NULL);
}

static void on_local_connection(uv_poll_t *poll, int status, int events)
{
	struct local *l = poll->data;
	int fd = accept4(l->listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct conn_setup setup = { &l->loop, INPUT_MAX, OUTPUT_MAX, on_local_event, l };

	assert_true(status == 0 && events == UV_READABLE && fd >= 0);
	assert_int_equal(conn_take(&setup, fd, true, &l->conn), 0);
}

static void test_unix_socket(void **state)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	char dir[] = "/tmp/postern-conn-XXXXXX";
	struct local l = { 0 };
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/s", dir);
	assert_int_equal(listen_unix(sa.sun_path, SOCK_STREAM, 0600, &l.listening), 0);
	uv_loop_init(&l.loop);
	assert_int_equal(uv_poll_init(&l.loop, &l.listener, l.listening), 0);
	l.listener.data = &l;
	assert_int_equal(uv_poll_start(&l.listener, UV_READABLE, on_local_connection), 0);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(send(fd, "HELO x\r\n", 8, MSG_NOSIGNAL), 8);
	uv_run(&l.loop, UV_RUN_DEFAULT);
	assert_true(l.seen);
	assert_int_equal(uv_loop_close(&l.loop), 0);
	close(fd);
	unlink(sa.sun_path);
	rmdir(dir);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_handshakes),	  cmocka_unit_test(test_hello_in_pieces),
		cmocka_unit_test(test_starttls),	  cmocka_unit_test(test_large_both_ways),
		cmocka_unit_test(test_addresses),	  cmocka_unit_test(test_unix_socket),
		cmocka_unit_test(test_consumed_is_wiped),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
