/* Messages to one server, by servers that play a script: what is said to them and what is not, and what is
 * told of it. */
#include "submit/carry_world.h"

#define TOKEN	"C EHLO us.test", "S 250-smart.test", "S 250 AUTH PLAIN XOAUTH2"
#define XOAUTH2 "C AUTH XOAUTH2 "
#define DENIED	"S 334 eyJzdGF0dXMiOiI0MDEifQ==", "C \r\n", "S 535 5.7.8 token expired"

static void good(const char *what, size_t delivered)
{
	struct carry_setup s = setup_of();
	size_t n = 0;

	assert_int_equal(submit(what, &s), 0);
	for (size_t i = 0; i < result->n; i++)
		n += result->rcpt[i].tried && result->rcpt[i].result == IPC_JOB_DELIVERED;
	if (n != delivered)
		fail_msg("%s: %zu delivered, end %u: %s", what, n, result->end, result->text);
}

static void one(void **state)
{
	(void)state;
	fill_draft(1);
	serve(address(1), 587, SCRIPT(IN_587, FROM, TO("0"), BODY, QUIT));
	good("one", 1);
	assert_true(result->reached);
	assert_int_equal(result->end, IPC_LANE_IN_ORDER);
	assert_int_equal(result->port, 587);
	assert_string_equal(result->ip, address(1));
	assert_int_equal(result->security, IPC_SECURITY_VERIFIED);
	assert_int_equal(result->n_tries, 1);
	assert_non_null(strstr(result->tries[0].transcript, "C: AUTH"));
	assert_string_equal(result->rcpt[0].text, "250 2.0.0 taken");
	end();
}

/* A port of the user's own, and TLS from the first octet at one that is not 465. */
static void a_port_of_its_own(void **state)
{
	struct server *v;

	(void)state;
	fill_draft(1);
	v = serve(address(1), 0, SCRIPT("TLS", "S 220 smart.test", LOGIN, FROM, TO("0"), BODY, QUIT));
	provider.port = v->port;
	provider.implicit_tls = true;
	good("a port", 1);
	end();
}

/* More than one transaction takes, over as many connections as the server wants. */
static void in_parts(void **state)
{
	static const char *script[330], *second[140];
	static char line[102][40];
	size_t n = 0, k = 0;

	(void)state;
	fill_draft(101);
	for (unsigned i = 0; i < 101; i++)
		snprintf(line[i], sizeof(line[i]), "C RCPT TO:<b%u@there.test>", i);
	for (const char *const *p = SCRIPT(IN_587, FROM); *p; p++)
		script[n++] = second[k++] = *p;
	for (unsigned i = 0; i < 100; i++) {
		script[n++] = line[i];
		script[n++] = i == 50 ? "S 550 5.1.1 nobody" : "S 250 ok";
	}
	second[k++] = line[100];
	second[k++] = "S 250 ok";
	for (const char *const *p = SCRIPT(BODY, "END"); *p; p++)
		script[n++] = second[k++] = *p;
	serve(address(1), 587, script)->script[1] = second;
	good("in parts", 100);
	assert_int_equal(servers[0].connections, 2);
	assert_int_equal(result->rcpt[50].result, IPC_JOB_FAILED);
	assert_int_equal(result->rcpt[50].code, 550);
	assert_string_equal(result->rcpt[50].enhanced, "5.1.1");
	end();
}

/* Another one, over what there is; true: the server has it. */
static bool next(const char *what)
{
	dones = 0;
	result = NULL;
	assert_int_equal(carry_next(carry, &draft), 0);
	for (unsigned i = 0; dones == 0; i++) {
		if (i > HUNG_TURNS)
			fail_msg("%s: nothing comes any more", what);
		turn();
	}
	check_result(what);
	return result->rcpt[0].tried && result->rcpt[0].result == IPC_JOB_DELIVERED;
}

static void leave(void)
{
	dones = 0;
	if (carry_end(carry))
		for (unsigned i = 0; dones == 0; i++) {
			assert_true(i < HUNG_TURNS);
			turn();
		}
}

/* Over one connection; another where the server hangs up, or says 421 to one behind others. */
static void many(void **state)
{
	const char *const *const ways[] = {
		SCRIPT(IN_587, FROM, TO("0"), BODY, FROM, TO("0"), BODY, FROM, TO("0"), BODY, FROM, TO("0"),
		       BODY, QUIT),
		SCRIPT(IN_587, FROM, TO("0"), BODY, FROM, TO("0"), BODY, "END"),
		SCRIPT(IN_587, FROM, TO("0"), BODY, FROM, TO("0"), BODY, "C MAIL FROM:<a@us.test>",
		       "S 421 4.3.2 enough", "END"),
	};

	(void)state;
	fill_draft(1);
	serve(address(1), 587, ways[0]);
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		struct carry_setup s = setup_of();

		s.keep = true;
		servers[0].script[0] = servers[0].script[1] = ways[i];
		servers[0].connections = 0;
		assert_int_equal(submit("the first", &s), 0);
		for (unsigned k = 0; k < 20; k++)
			turn(); /* time to hang up */
		for (unsigned k = 1; k < 4; k++)
			if (!next("another"))
				fail_msg("way %zu, message %u: %s", i, k, result->text);
		assert_int_equal(servers[0].connections, i == 0 ? 1 : 2);
		leave();
		end();
	}
}

static void to_nobody(void **state)
{
	struct carry_setup s = setup_of();

	(void)state;
	fill_draft(1);
	assert_int_equal(submit("nobody", &s), 0);
	assert_int_equal(result->end, IPC_LANE_REFUSED);
	assert_false(result->reached);
	assert_false(result->rcpt[0].tried);
	assert_int_equal(result->n_tries, 3); /* 587, 465, 2525 */
	end();
}

/* By its name in route/providers.h. There is no resolver here. */
static void to_a_provider(void **state)
{
	struct carry_setup s = setup_of();

	(void)state;
	fill_draft(1);
	provider = (struct provider){ .host = "smtp.gmail.com", .user = "u", .known = "gmail" };
	assert_int_equal(submit("provider", &s), 0);
	assert_int_equal(result->end, IPC_LANE_DNS);
	assert_false(result->reached);
	end();
	provider.known = "nobody-knows";
	assert_int_equal(submit("unknown", &s), -EINVAL);
}

/* Script, how it ends, and what is told of the recipient. */
static void ends_badly(void **state)
{
	const struct {
		const char *what;
		const char *const *script;
		enum ipc_lane_end end;
		bool tried, in_doubt;
		unsigned code;
		const char *never; /* was heard */
	} rows[] = {
		{ "no STARTTLS",
		  SCRIPT(HELLO, "S 250-smart.test", "S 250 AUTH PLAIN", "C QUIT", "S 221 bye", "END"),
		  IPC_LANE_TLS, false, false, 0, "AUTH" },
		{ "no AUTH",
		  SCRIPT(HELLO, STARTTLS, "C EHLO us.test", "S 250 smart.test", "C QUIT", "S 221 bye", "END"),
		  IPC_LANE_AUTH, false, false, 0, "MAIL" },
		{ "login refused",
		  SCRIPT(HELLO, STARTTLS, "C EHLO us.test", "S 250-smart.test", "S 250 AUTH PLAIN",
			 "C AUTH PLAIN", "S 535 5.7.8 no", "C QUIT", "S 221 bye", "END"),
		  IPC_LANE_AUTH, false, false, 0, "MAIL" },
		{ "greeting refused", SCRIPT("S 554 5.7.1 go away", "END"), IPC_LANE_ANSWERED, false, false,
		  0, "AUTH" },
		{ "sender refused",
		  SCRIPT(IN_587, "C MAIL", "S 550 5.7.1 not you", "C QUIT", "S 221 bye", "END"),
		  IPC_LANE_IN_ORDER, true, false, 550, "DATA" },
		{ "recipient later",
		  SCRIPT(IN_587, FROM, "C RCPT", "S 450 4.2.1 later", "C QUIT", "S 221 bye", "END"),
		  IPC_LANE_IN_ORDER, true, false, 450, "DATA" },
		/* What the recipient is told says it all. */
		{ "hangs up at MAIL", SCRIPT(IN_587, "C MAIL", "END"), IPC_LANE_IN_ORDER, true, false, 0,
		  "DATA" },
		{ "hangs up behind the dot", SCRIPT(IN_587, FROM, TO("0"), "C DATA", "S 354 go", "B", "END"),
		  IPC_LANE_IN_ORDER, true, true, 0, "QUIT" },
	};
	struct server *v;

	(void)state;
	fill_draft(1);
	v = serve(address(1), 587, rows[0].script);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct carry_setup s = setup_of();

		v->script[0] = rows[i].script;
		v->connections = 0;
		buf_reset(&v->heard);
		assert_int_equal(submit(rows[i].what, &s), 0);
		if (result->end != rows[i].end || result->rcpt[0].tried != rows[i].tried ||
		    result->rcpt[0].in_doubt != rows[i].in_doubt || result->rcpt[0].code != rows[i].code ||
		    heard(v, rows[i].never))
			fail_msg("%s: end %u %s, tried %d in doubt %d code %u; heard\n%.*s", rows[i].what,
				 result->end, result->text, result->rcpt[0].tried, result->rcpt[0].in_doubt,
				 result->rcpt[0].code, SLICE_ARG(buf_slice(&v->heard)));
		end();
	}
}

/* ---- tokens ---- */

static void renewed(void **state)
{
	(void)state;
	fill_draft(1);
	next_token = "other";
	/* "user=u\1auth=Bearer secret\1\1", and with "other" */
	serve(address(1), 587,
	      SCRIPT(HELLO, STARTTLS, TOKEN, XOAUTH2 "dXNlcj11AWF1dGg9QmVhcmVyIHNlY3JldAEB", DENIED,
		     XOAUTH2 "dXNlcj11AWF1dGg9QmVhcmVyIG90aGVyAQE=", "S 235 in", FROM, TO("0"), BODY, QUIT));
	{
		struct carry_setup s = setup_of();

		s.mechanism = "xoauth2";
		assert_int_equal(submit("renewed", &s), 0);
	}
	if (result->rcpt[0].result != IPC_JOB_DELIVERED)
		fail_msg("%u %s\n%.*s", result->end, result->text, SLICE_ARG(buf_slice(&servers[0].heard)));
	assert_int_equal(stales, 1);
	end();
}

/* Another one is refused, too; or there is no other one; or it does not come; or nobody is asked. */
static void never_in_a_loop(void **state)
{
	static const struct {
		const char *token;
		bool asks;
		unsigned auths;
	} rows[] = { { "other", true, 2 }, { NULL, true, 1 }, { "", true, 1 }, { NULL, false, 1 } };
	struct server *v;

	(void)state;
	fill_draft(1);
	v = serve(address(1), 587,
		  SCRIPT(HELLO, STARTTLS, TOKEN, XOAUTH2, DENIED, XOAUTH2, DENIED, XOAUTH2, DENIED));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct carry_setup s;
		struct slice all;
		unsigned auths = 0;

		next_token = rows[i].token;
		time_s = next_token && !*next_token ? 3 : 20; /* its handshake, too, has no longer */
		s = setup_of();
		s.mechanism = "oauth";
		s.stale = rows[i].asks ? on_stale : NULL;
		buf_reset(&v->heard);
		assert_int_equal(submit("loop", &s), 0);
		assert_int_equal(result->end, IPC_LANE_AUTH);
		assert_int_equal(stales, rows[i].asks ? 1 : 0);
		all = buf_slice(&v->heard);
		for (const unsigned char *at; all.n > 0 && (at = memmem(all.p, all.n, "AUTH ", 5)); auths++)
			all = slice_tail(all, (size_t)(at - all.p) + 5);
		assert_int_equal(auths, rows[i].auths);
		end();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_port_of_its_own, set_up, tear_down),
		cmocka_unit_test_setup_teardown(in_parts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(many, set_up, tear_down),
		cmocka_unit_test_setup_teardown(to_nobody, set_up, tear_down),
		cmocka_unit_test_setup_teardown(to_a_provider, set_up, tear_down),
		cmocka_unit_test_setup_teardown(ends_badly, set_up, tear_down),
		cmocka_unit_test_setup_teardown(renewed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(never_in_a_loop, set_up, tear_down),
	};

	signal(SIGPIPE, SIG_IGN); /* as cli/main.c */
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
