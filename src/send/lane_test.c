/* Lanes against servers that play a script, on addresses of loopback; the test is queue.  What
 * must never happen is looked for on the servers' side: which ports were come to, and what was
 * said there. */
#include "send/lane_world.h"

/* ---- tests ---- */

static void test_plain(void **state)
{
	char route[256];
	struct server *v = serve(address(1), 0, SCRIPT(HELLO, "S 250 smart.test", MESSAGE, MESSAGE, "HANG"));

	(void)state;
	snprintf(route, sizeof(route), "    via: host\n    hosts: [%s]\n    port: %u\n", address(1), v->port);
	configure(route);
	open_lane(1);
	is_ready(v->port, IPC_SECURITY_CLEAR);
	assert_int_equal(m.lane_ready.fell_back, 0);
	job(1, 1, false);
	job(2, 1, false); /* behind it, in the window */
	delivers(1);
	delivers(2);
	assert_int_equal(v->connections, 1);
}

#define COMMANDS  "C MAIL FROM:<a@us.test>", "C RCPT TO:<b@there.test>", "C DATA"
#define LEAVE	  "S 250 ok", "S 250 ok", "S 354 go"
#define PIPELINED HELLO, "S 250-smart.test", "S 250 PIPELINING"

static void lane_to(const struct server *v)
{
	char route[256];

	snprintf(route, sizeof(route), "    via: host\n    hosts: [%s]\n    port: %u\n", address(1), v->port);
	configure(route);
	open_lane(1);
	is_ready(v->port, IPC_SECURITY_CLEAR);
}

/* The commands of the second message have come before the first is answered. */
static void test_ahead(void **state)
{
	const struct server *v = serve(address(1), 0,
				       SCRIPT(PIPELINED, COMMANDS, LEAVE, "B", COMMANDS, "S 250 2.0.0 taken",
					      LEAVE, "B", "QUIET", "S 250 2.0.0 taken", QUIT));

	(void)state;
	lane_to(v);
	job(1, 1, false);
	job(2, 1, false);
	delivers(1);
	delivers(2);
	tell((struct ipc_message){ .type = IPC_TYPE_lane_close, .lane_close = { .lane = 1 } });
	ends(IPC_LANE_IN_ORDER, "", "");
	assert_int_equal(v->connections, 1);
}

/* A server that hangs up behind each message: the one whose commands are lost goes back as it was, and
 * from then on each waits for its turn there. */
static void test_ahead_lost(void **state)
{
	struct server *v =
		serve(address(1), 0, SCRIPT(PIPELINED, COMMANDS, LEAVE, "B", "S 250 2.0.0 taken", "END"));

	(void)state;
	v->script[1] = SCRIPT(PIPELINED, COMMANDS, LEAVE, "B", "QUIET", "S 250 2.0.0 taken", COMMANDS, LEAVE,
			      "B", "S 250 2.0.0 taken", "HANG");
	lane_to(v);
	job(1, 1, false);
	job(2, 1, false);
	delivers(1);
	ends(IPC_LANE_IN_ORDER, "4.4.2", "closed");
	assert_int_equal(hear(), IPC_TYPE_job_back);
	assert_int_equal(m.job_back.job, 2);
	open_lane(2);
	is_ready(v->port, IPC_SECURITY_CLEAR);
	job(3, 2, false);
	job(4, 2, false);
	delivers(3);
	delivers(4);
}

/* Its only recipient is refused, and queue has room for another job at once: the server's answer to the
 * end of the message may take long. */
static void test_refused_is_over_for_queue(void **state)
{
	char route[256];
	struct server *v = serve(address(1), 0,
				 SCRIPT(HELLO, "S 250 smart.test", "C MAIL", "S 250 ok", "C RCPT",
					"S 550 5.1.1 no", "C RSET", "HANG"));

	(void)state;
	snprintf(route, sizeof(route), "    via: host\n    hosts: [%s]\n    port: %u\n", address(1), v->port);
	configure(route);
	open_lane(1);
	is_ready(v->port, IPC_SECURITY_CLEAR);
	for (uint64_t i = 1; i <= 4; i++)
		job(i, 1, false);
	assert_int_equal(hear(), IPC_TYPE_job_result);
	assert_int_equal(m.job_result.result, IPC_JOB_FAILED);
	job(5, 1, false);
}

static void test_resolved(void **state)
{
	unsigned char key[2][IPC_SITE_KEY];

	(void)state;
	configure("    via: host\n    hosts: [127.0.0.1, \"::1\"]\n    port: 2599\n");
	for (int i = 0; i < 2; i++) {
		tell((struct ipc_message){
			.type = IPC_TYPE_resolve,
			.resolve = { .req = 7, .route = SLICE_LIT("r"), .relax = (uint8_t)i } });
		assert_int_equal(hear(), IPC_TYPE_resolved);
		assert_int_equal(m.resolved.req, 7);
		assert_int_equal(m.resolved.what, IPC_RESOLVED_OK);
		assert_true(slice_eq(m.resolved.site, SLICE_LIT("127.0.0.1:2599")));
		assert_int_equal(m.resolved.key.n, IPC_SITE_KEY);
		memcpy(key[i], m.resolved.key.p, IPC_SITE_KEY);
	}
	/* Another policy is another site. */
	assert_memory_not_equal(key[0], key[1], IPC_SITE_KEY);
	tell((struct ipc_message){ .type = IPC_TYPE_resolve,
				   .resolve = { .req = 8, .route = SLICE_LIT("gone") } });
	assert_int_equal(hear(), IPC_TYPE_resolved);
	assert_int_equal(m.resolved.what, IPC_RESOLVED_TEMPORARY);
	/* A lane to what is another site by now. */
	tell((struct ipc_message){ .type = IPC_TYPE_lane_open,
				   .lane_open = { .lane = 1,
						  .protocol = IPC_LANE_SMTP,
						  .route = SLICE_LIT("r"),
						  .key = slice_of(key[1], IPC_SITE_KEY) } });
	assert_int_equal(hear(), IPC_TYPE_lane_closed);
	assert_int_equal(m.lane_closed.end, IPC_LANE_MOVED);
}

static void test_opportunistic(void **state)
{
	char route[256];
	struct server *v =
		serve(address(1), 0,
		      SCRIPT(HELLO, STARTTLS, "C EHLO us.test", "S 250 smart.test", MESSAGE, "HANG"));

	(void)state;
	snprintf(route, sizeof(route), "    via: host\n    hosts: [%s]\n    port: %u\n", address(1), v->port);
	configure(route);
	open_lane(1);
	is_ready(v->port, IPC_SECURITY_ENCRYPTED);
	job(1, 1, false);
	delivers(1);
}

/* The handshake fails: in clear, on another connection, and that is told. */
static void test_falls_back(void **state)
{
	char route[256];
	struct server *v = serve(address(1), 0,
				 SCRIPT(HELLO, "S 250-smart.test", "S 250 STARTTLS", "C STARTTLS", "S 220 go",
					"S this is no TLS", "HANG"));

	(void)state;
	v->script[1] = SCRIPT(HELLO, "S 250-smart.test", "S 250 STARTTLS", MESSAGE, "HANG");
	snprintf(route, sizeof(route), "    via: host\n    hosts: [%s]\n    port: %u\n", address(1), v->port);
	configure(route);
	open_lane(1);
	is_ready(v->port, IPC_SECURITY_CLEAR);
	assert_int_equal(m.lane_ready.fell_back, 1);
	job(1, 1, false);
	delivers(1);
	assert_int_equal(v->connections, 2);
}

/* Where TLS is required it does not. */
static void test_required_does_not_fall_back(void **state)
{
	static const char *const rules[] = { "require", "verify" };
	char route[256];
	struct server *v = serve(address(1), 0,
				 SCRIPT(HELLO, "S 250-smart.test", "S 250 STARTTLS", "C STARTTLS", "S 220 go",
					"S this is no TLS", "HANG"));

	(void)state;
	v->script[1] = SCRIPT(HELLO, "S 250 smart.test", MESSAGE, "HANG");
	for (int i = 0; i < 2; i++) {
		v->connections = 0;
		snprintf(route, sizeof(route), "    via: host\n    hosts: [%s]\n    port: %u\n    tls: %s\n",
			 address(1), v->port, rules[i]);
		conf_free(conf);
		configure(route);
		open_lane(1 + (uint64_t)i);
		ends(IPC_LANE_TLS, "4.7.5", "TLS");
		assert_int_equal(v->connections, 1);
		assert_false(heard(v, "MAIL"));
	}
}

static void test_smart_host(void **state)
{
	struct server *v = serve(address(1), 587, GOOD_587);

	(void)state;
	smart("");
	open_lane(1);
	is_ready(587, IPC_SECURITY_ENCRYPTED);
	job(1, 1, false);
	delivers(1);
	assert_true(heard(v, "AUTH PLAIN"));
}

/* Main is still reading it: the lane waits. */
static void test_password_comes_late(void **state)
{
	struct server *v = serve(address(1), 587, GOOD_587);
	char route[256];

	(void)state;
	snprintf(
		route, sizeof(route),
		"    via: smarthost\n    hosts: [%s]\n    user: u\n    password_file: /x\n    tls: require\n",
		address(1));
	configure(route);
	open_lane(1);
	for (int i = 0; i < 60000 && !heard(v, "EHLO us.test\r\nSTARTTLS\r\nEHLO us.test"); i++)
		turn();
	for (int i = 0; i < 100; i++) /* it hears what may be used, and has nothing to use it with */
		turn();
	assert_int_equal(v->connections, 1);
	credential("secret", 1);
	is_ready(587, IPC_SECURITY_ENCRYPTED);
}

/* 587 refused: 465, its equal; and the next lane goes there at once. */
static void test_port_that_worked(void **state)
{
	struct server *a, *b = serve(address(1), 465, GOOD_465);

	(void)state;
	smart("");
	open_lane(1);
	is_ready(465, IPC_SECURITY_ENCRYPTED);
	a = serve(address(1), 587, WATCHED);
	open_lane(2);
	is_ready(465, IPC_SECURITY_ENCRYPTED);
	assert_int_equal(a->connections, 0);
	assert_int_equal(b->connections, 2);
}

/* STARTTLS is not offered on 587: no password, no mail, the next port. */
static void test_stripped(void **state)
{
	struct server *a = serve(address(1), 587,
				 SCRIPT(HELLO, "S 250-smart.test", "S 250 AUTH PLAIN", "HANG")),
		      *b = serve(address(1), 465, GOOD_465), *never = serve(address(1), 25, WATCHED);

	(void)state;
	smart("");
	open_lane(1);
	is_ready(465, IPC_SECURITY_ENCRYPTED);
	assert_int_equal(a->connections, 1);
	assert_int_equal(b->connections, 1);
	assert_int_equal(never->connections, 0);
	assert_false(heard(a, "AUTH"));
	assert_false(heard(a, "MAIL"));
}

static void test_stripped_everywhere(void **state)
{
	const char *const *bare = SCRIPT(HELLO, "S 250-smart.test", "S 250 AUTH PLAIN", "HANG");
	struct server *a = serve(address(1), 587, bare), *b = serve(address(1), 2525, bare),
		      *never = serve(address(1), 25, WATCHED);

	(void)state;
	smart("");
	open_lane(1);
	ends(IPC_LANE_TLS, "4.7.4", "STARTTLS");
	assert_int_equal(a->connections, 1);
	assert_int_equal(b->connections, 1);
	assert_int_equal(never->connections, 0);
	assert_false(heard(a, "AUTH") || heard(b, "AUTH"));
}

/* What ends it: no other port is tried, nor 25. */
static void test_the_end(void **state)
{
	const struct {
		const char *const *script;
		const char *more; /* of the route */
		enum ipc_lane_end end;
		const char *enhanced, *words;
	} rows[] = {
		{ SCRIPT(HELLO, STARTTLS, "C EHLO", "S 250-x", "S 250 AUTH PLAIN", "C AUTH PLAIN",
			 "S 535 5.7.8 no", "HANG"),
		  "", IPC_LANE_AUTH, "5.7.8", "535 5.7.8 no" },
		{ SCRIPT(HELLO, STARTTLS, "C EHLO", "S 250-x", "S 250 AUTH PLAIN", "C AUTH PLAIN", "END"), "",
		  IPC_LANE_AUTH, "4.4.2", "closed" },
		{ SCRIPT(HELLO, STARTTLS, "C EHLO", "S 250-x", "S 250 AUTH CRAM-MD5", "HANG"), "",
		  IPC_LANE_AUTH, "4.7.0", "no way to log in" },
		{ SCRIPT(HELLO, STARTTLS, "HANG"), "    tls: verify\n", IPC_LANE_TLS, "4.7.5", "TLS failed" },
		{ SCRIPT(HELLO, STARTTLS, "HANG"), "    tls: auto\n", IPC_LANE_TLS, "4.7.5", "TLS failed" },
		{ SCRIPT(HELLO, STARTTLS, "HANG"),
		  "    fingerprints: [00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff]\n",
		  IPC_LANE_TLS, "4.7.5", "TLS failed" },
		{ SCRIPT(HELLO, "S 250-smart.test", "S 250 STARTTLS", "C STARTTLS", "S 454 4.7.0 not now",
			 "HANG"),
		  "", IPC_LANE_TLS, "4.7.0", "454 4.7.0 not now" },
		{ SCRIPT(HELLO, "S 250-smart.test", "S 250 STARTTLS", "C STARTTLS", "S 220 go", "S no TLS",
			 "HANG"),
		  "", IPC_LANE_TLS, "4.7.5", "TLS" },
		{ SCRIPT("S 554 5.7.1 not you", "HANG"), "", IPC_LANE_ANSWERED, "5.7.1",
		  "554 5.7.1 not you" },
		{ SCRIPT("END"), "", IPC_LANE_BROKE, "4.4.2", "closed" },
	};
	struct server *a = serve(address(1), 587, rows[0].script),
		      *never[3] = { serve(address(1), 465, WATCHED), serve(address(1), 2525, WATCHED),
				    serve(address(1), 25, WATCHED) };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		a->script[0] = rows[i].script;
		a->connections = 0;
		conf_free(conf);
		conf = NULL;
		smart(rows[i].more);
		open_lane(1 + i);
		ends(rows[i].end, rows[i].enhanced, rows[i].words);
		assert_int_equal(a->connections, 1);
		for (int k = 0; k < 3; k++)
			assert_int_equal(never[k]->connections, 0);
		assert_false(heard(a, "MAIL"));
	}
}

/* A server that takes the message and is silent behind the dot: nobody else gets it. */
static void test_never_after_the_dot(void **state)
{
	struct server *a = serve(address(1), 587,
				 SCRIPT(HELLO, STARTTLS, LOGIN, "C MAIL", "S 250 ok", "C RCPT", "S 250 ok",
					"C DATA", "S 354 go", "B", "HANG")),
		      *never = serve(address(1), 465, WATCHED);

	(void)state;
	final_s = 1;
	smart("");
	open_lane(1);
	is_ready(587, IPC_SECURITY_ENCRYPTED);
	job(1, 1, false);
	assert_int_equal(hear(), IPC_TYPE_job_result);
	assert_int_equal(m.job_result.result, IPC_JOB_DEFERRED);
	assert_true(m.job_result.in_doubt);
	ends(IPC_LANE_BROKE, "4.4.2", "did not answer in time");
	assert_int_equal(a->connections, 1);
	assert_int_equal(never->connections, 0);
}

/* From the first MAIL on nothing moves, whatever the answer. */
static void test_never_after_mail(void **state)
{
	struct server *a = serve(address(1), 587,
				 SCRIPT(HELLO, STARTTLS, LOGIN, "C MAIL", "S 421 4.3.2 going", "END")),
		      *never = serve(address(1), 465, WATCHED);

	(void)state;
	smart("");
	open_lane(1);
	is_ready(587, IPC_SECURITY_ENCRYPTED);
	job(1, 1, false);
	assert_int_equal(hear(), IPC_TYPE_job_result);
	assert_int_equal(m.job_result.code, 421);
	ends(IPC_LANE_ANSWERED, "4.3.2", "421");
	assert_int_equal(a->connections, 1);
	assert_int_equal(never->connections, 0);
}

/* A token that was refused is asked for anew, once. */
static void test_token(void **state)
{
#define TOKEN_AUTH \
	"C EHLO", "S 250-x", "S 250 AUTH XOAUTH2", "C AUTH XOAUTH2 dXNlcj11AWF1dGg9QmVhcmVyIHNlY3JldAEB"
#define REFUSED "S 334 e30=", "C \r\n", "S 535 5.7.8 expired"
	struct server *a =
		serve(address(1), 587,
		      SCRIPT(HELLO, STARTTLS, TOKEN_AUTH, REFUSED,
			     "C AUTH XOAUTH2 dXNlcj11AWF1dGg9QmVhcmVyIG5ldy10b2tlbgEB", "S 235 in", "HANG"));

	(void)state;
	smart("");
	open_lane(1);
	is_ready(587, IPC_SECURITY_ENCRYPTED);
	assert_int_equal(stales, 1);
	/* And when the new one is refused, too, that is all. */
	a->script[0] = SCRIPT(HELLO, STARTTLS, TOKEN_AUTH, REFUSED, "C AUTH XOAUTH2", REFUSED, "HANG");
	a->script[1] = NULL;
	stales = 0;
	credential("secret", 5);
	open_lane(2);
	ends(IPC_LANE_AUTH, "5.7.8", "expired");
	assert_int_equal(stales, 1);
}

static void test_no_password(void **state)
{
	struct server *a = serve(address(1), 587,
				 SCRIPT(HELLO, STARTTLS, "C EHLO", "S 250-x", "S 250 AUTH PLAIN", "HANG"));

	(void)state;
	smart("");
	credential(NULL, 2);
	open_lane(1);
	ends(IPC_LANE_AUTH, "4.7.8", "nobody knows");
	assert_int_equal(a->connections, 1);
}

/* SCRAM's server must prove that it knows the password, too: one that says 235 to anything does not. */
static void test_scram_unproved(void **state)
{
	(void)state;
	serve(address(1), 587,
	      SCRIPT(HELLO, STARTTLS, "C EHLO", "S 250-x", "S 250 AUTH SCRAM-SHA-256 PLAIN",
		     "C AUTH SCRAM-SHA-256", "S 235 welcome", "HANG"));
	smart("");
	open_lane(1);
	ends(IPC_LANE_AUTH, "4.7.8", "did not prove");
}

/* Addresses: the first host refuses, the second takes it. The source is ours to choose. */
static void test_hosts_and_source(void **state)
{
	struct server *v = serve(address(2), 0, SCRIPT(HELLO, "S 250 smart.test", MESSAGE, "HANG"));
	char route[512], text[64], one[64];

	(void)state;
	snprintf(one, sizeof(one), "%s", address(1));
	snprintf(text, sizeof(text), "%s", address(9));
	snprintf(route, sizeof(route),
		 "    via: host\n    hosts: [%s, %s]\n    port: %u\nsources:\n  six: {addresses: [\"::1\"]}\n"
		 "  both: {addresses: [\"2001:db8::1\", %s]}\n  strange: {addresses: [192.0.2.77]}\n",
		 one, address(2), v->port, text);
	configure(route);
	tell((struct ipc_message){ .type = IPC_TYPE_lane_open,
				   .lane_open = { .lane = 1,
						  .protocol = IPC_LANE_SMTP,
						  .route = SLICE_LIT("r"),
						  .connect_s = time_s,
						  .command_s = time_s,
						  .final_s = final_s,
						  .source = SLICE_LIT("both") } });
	is_ready(v->port, IPC_SECURITY_CLEAR);
	assert_true(slice_eq(m.lane_ready.host, slice_str(address(2))));
	/* IPv6 goes to no IPv4 server. */
	tell((struct ipc_message){ .type = IPC_TYPE_lane_open,
				   .lane_open = { .lane = 2,
						  .protocol = IPC_LANE_SMTP,
						  .route = SLICE_LIT("r"),
						  .connect_s = time_s,
						  .source = SLICE_LIT("six") } });
	ends(IPC_LANE_UNREACHABLE, "4.4.4", "IPv6");
	/* An address that is none of ours. */
	tell((struct ipc_message){ .type = IPC_TYPE_lane_open,
				   .lane_open = { .lane = 3,
						  .protocol = IPC_LANE_SMTP,
						  .route = SLICE_LIT("r"),
						  .connect_s = time_s,
						  .source = SLICE_LIT("strange") } });
	ends(IPC_LANE_SOURCE, "4.3.0", "source address 192.0.2.77");
	/* One that is not in the configuration: after a reload queue may be ahead of us. */
	tell((struct ipc_message){ .type = IPC_TYPE_lane_open,
				   .lane_open = { .lane = 4,
						  .protocol = IPC_LANE_SMTP,
						  .route = SLICE_LIT("r"),
						  .connect_s = time_s,
						  .source = SLICE_LIT("gone") } });
	ends(IPC_LANE_LOCAL, "4.3.0", "not in the configuration");
}

static void test_leaves(void **state)
{
	char route[256];
	struct server *v = serve(address(1), 0, SCRIPT(HELLO, "S 250 smart.test", MESSAGE, QUIT));

	(void)state;
	snprintf(route, sizeof(route), "    via: host\n    hosts: [%s]\n    port: %u\n", address(1), v->port);
	configure(route);
	open_lane(1);
	is_ready(v->port, IPC_SECURITY_CLEAR);
	job(1, 1, false);
	delivers(1);
	tell((struct ipc_message){ .type = IPC_TYPE_lane_close, .lane_close = { .lane = 1 } });
	assert_int_equal(hear(), IPC_TYPE_lane_closed);
	assert_int_equal(m.lane_closed.failed, 0);
	assert_true(heard(v, "QUIT"));
}

/* A message that asks for REQUIRETLS goes to nobody who is not known, nor offers it. */
static void test_requiretls(void **state)
{
	char route[256];
	struct server *v = serve(address(1), 0, SCRIPT(HELLO, "S 250 smart.test", MESSAGE, "HANG"));

	(void)state;
	snprintf(route, sizeof(route), "    via: host\n    hosts: [%s]\n    port: %u\n", address(1), v->port);
	configure(route);
	open_lane(1);
	is_ready(v->port, IPC_SECURITY_CLEAR);
	job(1, 1, true);
	assert_int_equal(hear(), IPC_TYPE_job_result);
	assert_int_not_equal(m.job_result.result, IPC_JOB_DELIVERED);
	assert_false(heard(v, "MAIL"));
	job(2, 1, false);
	delivers(2);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_plain),
		TEST(test_ahead),
		TEST(test_ahead_lost),
		TEST(test_refused_is_over_for_queue),
		TEST(test_resolved),
		TEST(test_opportunistic),
		TEST(test_falls_back),
		TEST(test_required_does_not_fall_back),
		TEST(test_smart_host),
		TEST(test_password_comes_late),
		TEST(test_port_that_worked),
		TEST(test_stripped),
		TEST(test_stripped_everywhere),
		TEST(test_the_end),
		TEST(test_never_after_the_dot),
		TEST(test_never_after_mail),
		TEST(test_token),
		TEST(test_no_password),
		TEST(test_scram_unproved),
		TEST(test_hosts_and_source),
		TEST(test_leaves),
		TEST(test_requiretls),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
