/* Whole sessions against a keeper and a queue that are played.  To add a case: a row
 * of test_dialogs(). */
#include "receive/receive_world.h"

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
	{ "25: TLS first, where a hold is set", TLSFIRST25, "T\nS: 554 5.7.0 port 37\nE\n", 0, "", IPC_MISHAP_TLS_ON_RELAY },
	{ "25: command time-out", HASTY, "S: 220\nC: EHLO c\nS: 250 \nS: 421 4.4.2\nE\n", 0, "", 0 },
	{ "25: data time-out", DRIPPING, "S: 220\nC: EHLO c\nS: 250 \n" TO_U "C: DATA\nS: 354\nC: Subject: half\nS: 421 4.4.2\nE\n", 0, "", 0 },
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
	{ "587: TLS first is served", TLSFIRST, "T\nS: 220 mx.our.test\n" LOGIN "C: MAIL FROM:<ann@our.test>\nS: 250\nC: RCPT TO:<u@our.test>\nS: 250\n" BODY "S: 250 2.0.0\nC: QUIT\nS: 221\nE\n", 1, "mailbox(our.test/u) ", IPC_MISHAP_TLS_ON_STARTTLS },
	{ "587: TLS first, no STARTTLS inside", TLSFIRST, "T\nS: 220\nC: EHLO c\nS: 250 \nC: STARTTLS\nS: 503\n", 0, "", IPC_MISHAP_TLS_ON_STARTTLS },
	{ "2525: TLS first is explained", TLSFIRST2525, "T\nS: 554 5.7.0 port 36\nE\n", 0, "", IPC_MISHAP_TLS_ON_STARTTLS },

	/* 465. */
	{ "465: the whole way", SUBMISSIONS, "T\nS: 220\n" LOGIN "C: MAIL FROM:<ann@our.test>\nS: 250\nC: RCPT TO:<team@our.test>\nS: 250\n" BODY "S: 250 2.0.0\nC: QUIT\nS: 221\nE\n", 1, "mailbox(our.test/u) remote(x@else.test) ", 0 },
	{ "465: plain SMTP", SUBMISSIONS, "C: EHLO c\nS: 554 5.7.0 port 465\nE\n", 0, "", IPC_MISHAP_PLAIN_ON_IMPLICIT },
	{ "465: half a hello", HASTY465, "C: \x16\x03\x01\nW 10\nE\n", 0, "", IPC_MISHAP_TLS_FAILED },

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
		TURNS_WHILE(w.commits < dialogs[i].commits || (dialogs[i].mishap && count_mishaps() == 0));
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
	unsigned turns;

	(void)state;
	begin = now_ms();
	run(TLSFIRST, "held", "S: 220\nC: EHLO c\nS: 250 \nC: QUIT\nS: 221\nE\n");
	assert_true(now_ms() - begin >= 1990);
	/* By turns, for a machine may be slow: 10 ms are fifty of them, two seconds ten thousand. */
	turns = w.turns;
	run(TLSFIRST, "known", "S: 220\n");
	assert_true(w.turns - turns < 400);
	run(TLSFIRST, "too late", "S: 220\nC: \x16\x03\x01\x01\x01\x01\x01\nS: 554 5.7.0\nE\n");
	TURNS_UNTIL(w.mishaps[IPC_MISHAP_TLS_TOO_LATE] == 1);
	run(TLSFIRST, "held again", "T\nS: 220\n");
	/* ... and for all who come from there. */
	begin = now_ms();
	run(TLSFIRST, "mixed", "S: 220\nC: EHLO c\nS: 250 \nC: QUIT\nS: 221\nE\n");
	assert_true(now_ms() - begin >= 1990);
	run(TLSFIRST, "held still", "T\nS: 220\n");
}

/* The mishap of a served client waits for the account's name. */
static void test_served_account(void **state)
{
	(void)state;
	run(TLSFIRST, "served", "T\nS: 220\n" LOGIN);
	TURNS_UNTIL(w.mishaps[IPC_MISHAP_TLS_ON_STARTTLS] == 1);
	assert_string_equal(w.mishap_account, "ann@our.test");
}

static void test_exposed(void **state)
{
	(void)state;
	run(SUBMISSION, "exposed", "C: EHLO c\nS: 220\nS: 250 \nC: AUTH PLAIN " PLAIN_OK "\nS: 538 5.7.11\n");
	TURNS_UNTIL(w.exposed == 1);
}

static void test_silence_on_465(void **state)
{
	struct client c;
	uint64_t begin = now_ms();

	(void)state;
	client_open(&c, SUBMISSIONS);
	expect(&c, "silent", "554 5.7.0 port 465");
	assert_true(now_ms() - begin >= 7900);
	expect_end(&c, "silent");
	TURNS_UNTIL(w.mishaps[IPC_MISHAP_SILENT_ON_IMPLICIT] == 1);
	client_close(&c);
}

/* As much of the body came to queue, and no more comes. */
static void body_stands_at(size_t n)
{
	TURNS_UNTIL(w.body.n >= n);
	turns_for(50);
	assert_int_equal(w.body.n, n);
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
	body_stands_at(IPC_BODY_WINDOW);
	/* What comes while queue takes nothing waits in the sockets, not here. */
	while (lines < 1600 && r == sizeof(line)) {
		r = send(c.fd, line, sizeof(line), MSG_NOSIGNAL);
		lines += r > 0;
		turn();
	}
	body_stands_at(IPC_BODY_WINDOW);
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
	TURNS_UNTIL(w.drops == 1);
	assert_int_equal(w.commits, 0);
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
	play(&c, "queue lost", "S: 220\nC: EHLO c\nS: 250 \n" TO_U BODY);
	TURNS_UNTIL(w.commits == 1);
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
	     "S: 220\nC: EHLO c\nS: 250 \nC: MAIL FROM:<>\nS: 250\nC: RCPT TO:<slow@our.test>\n");
	TURNS_UNTIL(w.mute_req != 0);
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

/* Where a command may take five minutes, too, a role that is away is waited for a second. */
static void test_keeper_stays_away(void **state)
{
	struct client c;

	(void)state;
	client_open(&c, TRUSTING);
	play(&c, "keeper lost",
	     "S: 220\nC: EHLO c\nS: 250 \nC: MAIL FROM:<>\nS: 250\nC: RCPT TO:<slow@our.test>\n");
	TURNS_UNTIL(w.mute_req != 0);
	lose_peer(IPC_KEEPER, &w.keeper, &w.to_keeper);
	play(&c, "keeper lost", "S: 451 4.3.0\n");
	client_close(&c);
}

/* An answer that is held back from a guesser is there, whatever becomes of keeper meanwhile: it is told
 * at its time, and the next login is asked of the next keeper. */
static void test_keeper_dies_while_an_answer_is_held(void **state)
{
	struct client c;

	(void)state;
	w.auth_delay_ms = 800;
	client_open(&c, SUBMISSIONS);
	play(&c, "held", "T\nS: 220\nC: EHLO c\nS: 250 \nC: AUTH PLAIN " PLAIN_BAD "\nW 100\n");
	lose_peer(IPC_KEEPER, &w.keeper, &w.to_keeper);
	play(&c, "held", "W 50\n");
	connect_peer(IPC_KEEPER, &keeper_handlers, &w.keeper, &w.to_keeper);
	play(&c, "held, then told",
	     "S: 535\nC: AUTH PLAIN " PLAIN_BAD "\nS: 535\nC: AUTH PLAIN " PLAIN_OK "\nS: 235\n");
	client_close(&c);
}

/* A restart of keeper or queue takes a tenth of a second: the client need not hear of it. */
static void test_roles_come_back(void **state)
{
	struct client c;

	(void)state;
	client_open(&c, RELAY);
	play(&c, "in flight",
	     "S: 220\nC: EHLO c\nS: 250 \nC: MAIL FROM:<>\nS: 250\nC: RCPT TO:<slow@our.test>\n");
	TURNS_UNTIL(w.mute_req != 0);
	w.mute_req = 0;
	lose_peer(IPC_KEEPER, &w.keeper, &w.to_keeper);
	play(&c, "in flight", "W 100\n");
	connect_peer(IPC_KEEPER, &keeper_handlers, &w.keeper, &w.to_keeper);
	TURNS_UNTIL(w.mute_req != 0);
	tell_verdict(w.keeper, w.mute_req, IPC_VERDICT_NO_SUCH_USER);
	play(&c, "asked again", "S: 550\n");
	lose_peer(IPC_KEEPER, &w.keeper, &w.to_keeper);
	play(&c, "asked late", "C: RCPT TO:<u@our.test>\nW 20\n");
	connect_peer(IPC_KEEPER, &keeper_handlers, &w.keeper, &w.to_keeper);
	play(&c, "asked late", "S: 250\n");
	lose_peer(IPC_QUEUE, &w.queue, &w.to_queue);
	play(&c, "queue at DATA", "C: DATA\nW 20\n");
	connect_peer(IPC_QUEUE, &queue_handlers, &w.queue, &w.to_queue);
	play(&c, "queue at DATA", "S: 354\nC: x\nC: .\nS: 250\n");
	lose_peer(IPC_QUEUE, &w.queue, &w.to_queue);
	play(&c, "queue at MAIL", "C: MAIL FROM:<>\nW 20\n");
	connect_peer(IPC_QUEUE, &queue_handlers, &w.queue, &w.to_queue);
	play(&c, "queue at MAIL", "S: 250\nC: QUIT\nS: 221\nE\n");
	client_close(&c);

	lose_peer(IPC_KEEPER, &w.keeper, &w.to_keeper);
	client_open(&c, SUBMISSIONS);
	play(&c, "login", "T\nS: 220\nC: EHLO c\nS: 250 \nC: AUTH PLAIN " PLAIN_OK "\nW 20\n");
	connect_peer(IPC_KEEPER, &keeper_handlers, &w.keeper, &w.to_keeper);
	play(&c, "login", "S: 235\nC: AUTH PLAIN " PLAIN_OK "\nS: 503\n");
	client_close(&c);
	/* The first half of an exchange is lost with keeper. */
	client_open(&c, SUBMISSIONS);
	play(&c, "two steps", "T\nS: 220\nC: EHLO c\nS: 250 \nC: AUTH PLAIN\nS: 334\n");
	lose_peer(IPC_KEEPER, &w.keeper, &w.to_keeper);
	connect_peer(IPC_KEEPER, &keeper_handlers, &w.keeper, &w.to_keeper);
	play(&c, "two steps", "C: " PLAIN_OK "\nS: 454\nC: AUTH PLAIN " PLAIN_OK "\nS: 235\n");
	client_close(&c);
}

/* The client leaves while keeper thinks: the answer finds nobody. */
static void test_client_leaves(void **state)
{
	struct client c;

	(void)state;
	client_open(&c, RELAY);
	play(&c, "leaves",
	     "S: 220\nC: EHLO c\nS: 250 \nC: MAIL FROM:<>\nS: 250\nC: RCPT TO:<slow@our.test>\n");
	TURNS_UNTIL(w.mute_req != 0);
	SSL_free(c.ssl);
	{
		struct linger hard = { 1, 0 };

		setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	}
	client_close(&(struct client){ .fd = c.fd });
	TURNS_UNTIL(sessions() == 0);
	tell_verdict(w.keeper, w.mute_req, IPC_VERDICT_OK);
	turns_for(20);

	client_open(&c, SUBMISSIONS);
	play(&c, "leaves", "T\nS: 220\nC: EHLO c\nS: 250 \nC: AUTH PLAIN\nS: 334\n");
	client_close(&c);
	TURNS_UNTIL(w.aborts == 1);
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
	TURNS_UNTIL(sessions() == 1);
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
	receive_drain(w.rx, 30);
	play(&idle, "idle", "S: 421 4.3.2\nE\n");
	turns_for(50);
	assert_false(w.drained);
	play(&busy, "busy", "C: \nC: text\nC: .\nS: 250 2.0.0\nS: 421 4.3.2\nE\n");
	TURNS_UNTIL(w.drained);
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
	TURNS_UNTIL(w.drained);
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
	assert_int_equal(json_array_size(json_object_get(status, "listeners")), 4);
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
		ONE(test_keeper_stays_away),
		ONE(test_keeper_dies_while_an_answer_is_held),
		ONE(test_roles_come_back),
		ONE(test_client_leaves),
		ONE(test_limit_by_ip),
		ONE(test_drain),
		ONE(test_drain_over),
		ONE(test_reload),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
