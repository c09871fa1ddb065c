/* Clients that are slow, silent, or read nothing: what they may take, and that they go. */
#include "receive/receive_world.h"

/* Octets one by one, every 50 ms, until it is closed; begin: before its time did. */
static void drip(struct client *c, const char *bytes, size_t n, uint64_t begin)
{
	for (size_t i = 0; !c->eof && now_ms() - begin < LIMIT_MS; i++) {
		(void)!send(c->fd, bytes + i % n, 1, MSG_NOSIGNAL);
		for (uint64_t next = now_ms() + 50; now_ms() < next && !c->eof; turn())
			client_read(c);
	}
	if (!c->eof)
		fail_msg("not closed after %u ms", LIMIT_MS);
	if (now_ms() - begin < 900)
		fail_msg("closed already after %u ms", (unsigned)(now_ms() - begin));
}

/* command_timeout is 3 s there: for the line, not for each of its octets. */
static void a_command_in_drips(void **state)
{
	uint64_t begin = now_ms();
	struct client c;

	(void)state;
	client_open(&c, HASTY);
	play(&c, "drips", "S: 220\n");
	drip(&c, "x", 1, begin);
	expect(&c, "drips", "421 4.4.2 timeout: no command came");
	client_close(&c);
}

#define TO_BODY                                                                                             \
	"S: 220\nC: HELO c\nS: 250\nC: MAIL FROM:<>\nS: 250\nC: RCPT TO:<u@our.test>\nS: 250\nC: DATA\nS: " \
	"354\n"

/* 20 octets a second are fewer than the 100 of min_data_rate. */
static void a_message_in_drips(void **state)
{
	uint64_t begin = now_ms();
	struct client c;

	(void)state;
	client_open(&c, DRIPPING);
	play(&c, "drips", TO_BODY);
	drip(&c, "x", 1, begin);
	expect(&c, "drips", "421 4.4.2 timeout: the message comes too slowly");
	client_close(&c);
	TURNS_UNTIL(w.drops == 1);
	assert_int_equal(w.commits, 0);
}

/* Not faster in time, but more at once: whoever keeps the rate up is not hurried. */
static void a_slow_message_that_keeps_on(void **state)
{
	struct client c;

	(void)state;
	client_open(&c, DRIPPING);
	play(&c, "slow", TO_BODY);
	for (int i = 0; i < 24; i++)
		play(&c, "slow",
		     "C: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\nW 200\n");
	play(&c, "slow", "C: .\nS: 250\n");
	client_close(&c);
	assert_int_equal(w.commits, 1);
}

/* The hello begins and never ends: tls_timeout is 1 s there, for the hello and for the handshake. */
static void tls_in_drips(void **state)
{
	static const char hello[] =
		"\x16\x03\x01\x01\x40\x01\x01\x01\x3c\x03\x03xxxxxxxxxxxxxxxxxxxxxxxxxxxx";
	uint64_t begin = now_ms();
	struct client c;

	(void)state;
	client_open(&c, HASTY465);
	drip(&c, hello, sizeof(hello) - 1, begin);
	client_close(&c);
	client_open(&c, HASTY465);
	client_send(&c, hello, 11);
	expect_end(&c, "half a hello");
	client_close(&c);
}

/* It asks and asks and never reads: what waits for it is bounded, and so is the time. */
static void a_client_that_does_not_read(void **state)
{
	static const char ask[] = "EHLO c\r\nEHLO c\r\nEHLO c\r\nEHLO c\r\n";
	struct client c;
	const int small = 2048;
	uint64_t begin = now_ms();
	size_t sent = 0;

	(void)state;
	client_open(&c, PATIENT);
	setsockopt(c.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	while (sessions() > 0 || sent == 0) {
		ssize_t r = send(c.fd, ask, sizeof(ask) - 1, MSG_NOSIGNAL);

		sent += r > 0 ? (size_t)r : 0;
		turn();
		if (now_ms() - begin > LIMIT_MS)
			fail_msg("still there after 30 s and %zu octets", sent);
	}
	client_close(&c);
}

/* It will say no more, and still hears all that it is owed. */
static void a_half_closed_connection(void **state)
{
	struct client c;

	(void)state;
	client_open(&c, RELAY);
	send_line(&c, "EHLO c|NOOP|NOOP");
	shutdown(c.fd, SHUT_WR);
	play(&c, "half closed", "S: 220\nS: 250 \nS: 250\nS: 250\nE\n");
	client_close(&c);
	TURNS_UNTIL(sessions() == 0);
}

/* Ten sessions at most, 20 s a command.  At nine of them a thirtieth is left, at least 1 s. */
static void idle_ones_go_when_it_is_nearly_full(void **state)
{
	static struct client c[11];

	(void)state;
	for (int i = 0; i < 7; i++) {
		client_open(&c[i], SMALL);
		play(&c[i], "idle", "S: 220\n");
	}
	turns_for(1500);
	assert_int_equal(sessions(), 7); /* nobody knocks, nobody goes */
	for (int i = 7; i < 10; i++) {
		client_open(&c[i], SMALL);
		play(&c[i], "late", "S: 220\n");
		turns_for(400);
	}
	for (int i = 0; i < 7; i++)
		play(&c[i], "idle", "S: 421 4.4.2\nE\n");
	client_open(&c[10], SMALL);
	play(&c[10], "new", "S: 220\nC: EHLO c\nS: 250 \n");
	for (int i = 0; i < 11; i++)
		client_close(&c[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_command_in_drips, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_message_in_drips, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_slow_message_that_keeps_on, set_up, tear_down),
		cmocka_unit_test_setup_teardown(tls_in_drips, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_client_that_does_not_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_half_closed_connection, set_up, tear_down),
		cmocka_unit_test_setup_teardown(idle_ones_go_when_it_is_nearly_full, set_up, tear_down),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
