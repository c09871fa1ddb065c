/* Sessions behind a proxy: whose they are, and what happens when a header is missing or
 * nobody asked for it.  The proxy is 127.0.0.1, which relay_from of "proxied" names too. */
#include "receive/receive_world.h"

#define V1(client) "PROXY TCP4 " client " 192.0.2.99 40000 25\r\n"
/* 10.1.2.3, as V1("10.1.2.3") but in binary. */
#define V2	 "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x0a\1\2\3\xc0\0\2\x63\x9c\x40\0\x19"
#define V2_LOCAL "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"
#define MAIL	 "S: 220\nC: EHLO c\nS: 250 \nC: MAIL FROM:<a@else.test>\nS: 250\n"
#define OWN	 "C: RCPT TO:<u@our.test>\nS: 250\n"
#define RELAYED	 "C: RCPT TO:<x@else.test>\nS: 250\n"
#define DENIED	 "C: RCPT TO:<x@else.test>\nS: 554 5.7.1\n"
#define BODY	 "C: DATA\nS: 354\nC: Subject: x||hello|.\nS: 250\n"

/* What the proxy sends first, how the client goes on, and from where it came in Received. */
static const struct {
	const char *what;
	struct slice header;
	const char *script, *from;
} clients[] = {
	{ "version 1", SLICE_INIT(V1("192.0.2.1")), MAIL OWN DENIED BODY, "[192.0.2.1]" },
	{ "version 1, IPv6", SLICE_INIT("PROXY TCP6 2001:db8::1 2001:db8::2 1 25\r\n"), MAIL OWN DENIED BODY,
	  "[IPv6:2001:db8::1]" },
	{ "version 2", SLICE_INIT(V2), MAIL OWN RELAYED BODY, "[10.1.2.3]" },
	{ "a client in relay_from", SLICE_INIT(V1("10.1.2.3")), MAIL RELAYED BODY, "[10.1.2.3]" },
	{ "a client on the proxy's machine", SLICE_INIT(V1("127.0.0.9")), MAIL RELAYED BODY, "[127.0.0.9]" },
	/* The proxy's own address is in relay_from, and gives no right. */
	{ "UNKNOWN", SLICE_INIT("PROXY UNKNOWN\r\n"), MAIL OWN DENIED BODY, "[127.0.0.1]" },
	{ "LOCAL", SLICE_INIT(V2_LOCAL), MAIL OWN DENIED BODY, "[127.0.0.1]" },
};

static void once(size_t i, size_t step)
{
	struct client c;
	struct slice h = clients[i].header;

	client_open(&c, PROXIED);
	for (size_t n = 0; n < h.n; n += step) {
		client_send(&c, (const char *)h.p + n, h.n - n < step ? h.n - n : step);
		for (int k = 0; k < 3 && step < h.n; k++)
			turn();
	}
	play(&c, clients[i].what, clients[i].script);
	client_close(&c);
	if (!strstr(w.headers, clients[i].from))
		fail_msg("%s: not from %s: '%s'", clients[i].what, clients[i].from, w.headers);
	w.headers[0] = 0;
	buf_reset(&w.body);
}

static void clients_are_who_the_header_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(clients) / sizeof(clients[0]); i++) {
		once(i, clients[i].header.n);
		once(i, 7);
		once(i, 1);
	}
	assert_int_equal(w.mishaps[IPC_MISHAP_PROXY_MISSING] + w.mishaps[IPC_MISHAP_PROXY_UNEXPECTED], 0);
}

/* TLS and plain words right behind the header, and the hold, which begins there. */
static void what_follows_the_header(void **state)
{
	struct client c;
	uint64_t begin;

	(void)state;
	client_open(&c, PROXIED);
	client_send(&c, V1("192.0.2.1") "EHLO c\r\nNOOP\r\n",
		    sizeof(V1("192.0.2.1") "EHLO c\r\nNOOP\r\n") - 1);
	play(&c, "pipelined", "S: 220\nS: 250 \nS: 250\n");
	client_close(&c);

	client_open(&c, PROXIED465);
	client_send(&c, V2, sizeof(V2) - 1);
	play(&c, "465", "T\nS: 220\nC: EHLO c\nS: 250 \n");
	client_close(&c);

	client_open(&c, PROXIED465);
	client_send(&c, V2 "EHLO c\r\n", sizeof(V2 "EHLO c\r\n") - 1);
	play(&c, "465, plain; told of the port that it came to", "S: 554 5.7.0 port 25 needs TLS\nE\n");
	client_close(&c);

	client_open(&c, PROXIED587);
	client_send(&c, V2, sizeof(V2) - 1);
	play(&c, "587, TLS first", "T\nS: 220\n");
	client_close(&c);

	client_open(&c, PROXIED587);
	turns_for(100);
	client_send(&c, V1("192.0.2.7"), sizeof(V1("192.0.2.7")) - 1);
	begin = uv_now(&w.loop); /* by the clock of its timers, which may be behind */
	play(&c, "587, held", "S: 220\nC: EHLO c\nS: 250 \nC: QUIT\nS: 221\nE\n");
	assert_true(uv_now(&w.loop) - begin >= 1990);
	client_close(&c);
}

static const struct {
	const char *what;
	unsigned listener;
	struct slice bytes;
	const char *script;
	enum ipc_mishap_kind mishap;
} wrongs[] = {
	{ "no header", PROXIED, SLICE_INIT("EHLO c\r\n"), "S: 421 4.3.5 the proxy must begin\nE\n",
	  IPC_MISHAP_PROXY_MISSING },
	{ "silence", HASTYPROXIED, SLICE_INIT(""), "S: 421 4.3.5\nE\n", IPC_MISHAP_PROXY_MISSING },
	{ "half a header", HASTYPROXIED, SLICE_INIT("PROXY TCP4 1"), "S: 421 4.3.5\nE\n",
	  IPC_MISHAP_PROXY_MISSING },
	{ "a bad header", PROXIED, SLICE_INIT("PROXY TCP4 1.2.3.4\r\n"), "S: 421 4.3.5\nE\n",
	  IPC_MISHAP_PROXY_MISSING },
	{ "no header on 465", PROXIED465, SLICE_INIT("EHLO c\r\n"), "S: 421 4.3.5\nE\n",
	  IPC_MISHAP_PROXY_MISSING },
	{ "TLS and no header", PROXIED465, SLICE_INIT("\x16\x03\x01\x01\x01\x01\x01"), "E\n",
	  IPC_MISHAP_PROXY_MISSING },
	{ "on 25", RELAY, SLICE_INIT(V1("192.0.2.1")),
	  "S: 220\nS: 421 4.3.5 a PROXY header is not expected from 127.0.0.1: add that address to "
	  "listeners.relay.proxy_from\nE\n",
	  IPC_MISHAP_PROXY_UNEXPECTED },
	{ "version 2 on 25", RELAY, SLICE_INIT(V2), "S: 220\nS: 421 4.3.5\nE\n",
	  IPC_MISHAP_PROXY_UNEXPECTED },
	{ "on 587", SUBMISSION, SLICE_INIT(V1("192.0.2.1")), "S: 421 4.3.5\nE\n",
	  IPC_MISHAP_PROXY_UNEXPECTED },
	{ "version 2 on 587", SUBMISSION, SLICE_INIT(V2 "\x16\x03\x01"), "S: 421 4.3.5\nE\n",
	  IPC_MISHAP_PROXY_UNEXPECTED },
	{ "on 465", SUBMISSIONS, SLICE_INIT(V2 "\x16\x03\x01"), "S: 421 4.3.5\nE\n",
	  IPC_MISHAP_PROXY_UNEXPECTED },
};

static void both_mistakes_are_explained(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
		struct client c;

		memset(w.mishaps, 0, sizeof(w.mishaps));
		client_open(&c, wrongs[i].listener);
		client_send(&c, (const char *)wrongs[i].bytes.p, wrongs[i].bytes.n);
		play(&c, wrongs[i].what, wrongs[i].script);
		client_close(&c);
		TURNS_WHILE(w.mishaps[wrongs[i].mishap] == 0);
		if (w.mishaps[wrongs[i].mishap] != 1)
			fail_msg("%s: not counted", wrongs[i].what);
	}
}

/* A proxy that looks whether the port is open is no mistake. */
static void a_check_without_a_word_is_none(void **state)
{
	const struct linger reset = { 1, 0 };
	struct client c;

	(void)state;
	memset(w.mishaps, 0, sizeof(w.mishaps));
	client_open(&c, PROXIED);
	turns_for(5);
	client_close(&c);
	/* HAProxy sends a header even so, and resets: whose it was the kernel does not know any more. */
	client_open(&c, PROXIED);
	assert_int_equal(send(c.fd, V2_LOCAL, sizeof(V2_LOCAL) - 1, MSG_NOSIGNAL), sizeof(V2_LOCAL) - 1);
	setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	client_close(&c);
	turns_for(20);
	assert_int_equal(w.mishaps[IPC_MISHAP_PROXY_MISSING], 0);
	assert_int_equal(w.mishaps[IPC_MISHAP_PROXY_UNEXPECTED], 0);
}

static void header_and(struct client *c, const char *header, const char *what, const char *script)
{
	client_open(c, PROXIED);
	client_send(c, header, strlen(header));
	play(c, what, script);
}

/* Two sessions an address: of the client, not of the proxy. */
static void limits_are_the_clients(void **state)
{
	struct client a, b, c, d;

	(void)state;
	header_and(&a, V1("192.0.2.1"), "first", "S: 220\n");
	header_and(&b, V1("192.0.2.1"), "second", "S: 220\n");
	header_and(&c, V1("192.0.2.1"), "third", "S: 421\nE\n");
	header_and(&d, V1("192.0.2.2"), "another", "S: 220\n");
	client_close(&a);
	client_close(&c);
	header_and(&a, V1("192.0.2.1"), "second again", "S: 220\n");
	client_close(&a);
	client_close(&b);
	client_close(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(clients_are_who_the_header_says, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_follows_the_header, set_up, tear_down),
		cmocka_unit_test_setup_teardown(both_mistakes_are_explained, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_check_without_a_word_is_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(limits_are_the_clients, set_up, tear_down),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
