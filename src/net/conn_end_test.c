/* How connections end: well, badly, or not at all. */
#include "net/conn_harness.h"

/* Plain: a reply in pieces, more than the client reads at once, then a gentle close. */
static void plain_reader(struct client *c)
{
	static const char more[60000];

	/* More than the server takes: what lies unread in its kernel makes a hasty close a reset. */
	if (send_str(c, "EHLO x\r\n") && send(c->fd, more, sizeof(more), MSG_NOSIGNAL) == sizeof(more))
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
	wait_for(c, CONN_INPUT);
	reset(c);
}

static void reset_in_session(struct client *c)
{
	if (tls_connect(c) && SSL_write(c->ssl, "half a li", 9) == 9) {
		SSL_read(c->ssl, c->got, sizeof(c->got));
		wait_for(c, CONN_DRAINED);
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

/* The peer reads nothing: the ceiling holds, and a gentle close gives up by itself. It stays until then. */
static void deaf_client(struct client *c)
{
	send_str(c, "x");
	for (int i = 0; i < LIMIT_S * 100 && !atomic_load(&c->server->over); i++)
		poll(NULL, 0, 10);
	c->ok = atomic_load(&c->server->over);
}

static void play_flood(struct server *s, enum conn_event e)
{
	static const unsigned char block[OUTPUT_MAX];

	if (e == CONN_INPUT || e == CONN_DRAINED) {
		s->want++;
		conn_write(s->conn, slice_of(block, conn_write_room(s->conn)));
	}
}

static void on_look(uv_timer_t *t)
{
	static const unsigned char block[OUTPUT_MAX];
	struct server *s = t->data;

	if (s->want == 0 || s->counted != s->want) { /* something went out since the last look */
		s->counted = s->want;
		return;
	}
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
	uv_timer_t t;

	(void)state;
	server_init(&s, play_flood);
	uv_timer_init(&s.loop, &t);
	t.data = &s;
	uv_timer_start(&t, on_look, 500, 500);
	run(&s, &c);
	assert_true(c.ok);
	assert_true(s.want > 1);
}

/* TLS 1.2 lets a client begin anew within the session: work for the server at no cost, refused. */
static void renegotiating_client(struct client *c)
{
	int n;

	if (!tls_connect(c) || SSL_write(c->ssl, "one\r\n", 5) != 5)
		return;
	n = SSL_read(c->ssl, c->got, sizeof(c->got) - 1);
	c->ok = n == 5 && SSL_renegotiate(c->ssl) == 1 && SSL_do_handshake(c->ssl) != 1;
}

static void test_no_renegotiation(void **state)
{
	struct server s;
	struct client c = { .run = renegotiating_client, .max_version = TLS1_2_VERSION };

	(void)state;
	server_init(&s, play_tls_echo);
	s.tls = one_certificate();
	run(&s, &c);
	SSL_SESSION_free(c.session);
	assert_true(c.ok);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gentle_close_delivers_all),
		cmocka_unit_test(test_odd_ends),
		cmocka_unit_test(test_ceiling_and_patience),
		cmocka_unit_test(test_no_renegotiation),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
