#include "cli/send_merge.h"
#include "cli/send_merge_judge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define FAILED	 IPC_JOB_FAILED
#define DEFERRED IPC_JOB_DEFERRED
#define DOUBT	 9 /* deferred, and perhaps there */

enum { NEXT, SLOW, US, NO_SERVER, ENDED };

/* What a server said to one message: what becomes of the row, and what it says about the others.  Of one
 * sender for all, where it worked before; but for those that say else. */
static const struct {
	const char *text, *step;
	uint8_t result;
	enum merge_state state;
	int verdict;
} answers[] = {
	{ "250 2.0.0 Ok", "final", IPC_JOB_DELIVERED, MERGE_SENT, NEXT },
	{ "550 5.1.1 no such user", "rcpt", FAILED, MERGE_REFUSED, NEXT },
	{ "554 5.7.1 looks like spam", "final", FAILED, MERGE_REFUSED, NEXT },
	{ "450 4.2.0 greylisted", "rcpt", DEFERRED, MERGE_DEFERRED, NEXT },
	{ "451 4.7.1 Greylisting in action, please come back later", "rcpt", DEFERRED, MERGE_DEFERRED, NEXT },
	{ "452 4.2.2 mailbox full", "rcpt", DEFERRED, MERGE_DEFERRED, NEXT },
	{ "450 4.2.2 over quota", "rcpt", DEFERRED, MERGE_DEFERRED, NEXT },
	/* the server wants fewer */
	{ "421 4.7.0 try again later", "final", DEFERRED, MERGE_DEFERRED, SLOW },
	{ "421 too many errors", "rcpt", DEFERRED, MERGE_DEFERRED, SLOW },
	{ "451 4.3.0 temporary failure", "final", DEFERRED, MERGE_DEFERRED, SLOW },
	{ "450 4.7.1 too many messages", "rcpt", DEFERRED, MERGE_DEFERRED, SLOW },
	{ "450 whatever", "mail", DEFERRED, MERGE_DEFERRED, SLOW },
	{ "450 4.2.2 quota exceeded", "mail", DEFERRED, MERGE_DEFERRED, SLOW },
	{ "454 4.7.0 too many logins", "mail", DEFERRED, MERGE_DEFERRED, SLOW },
	{ "550 5.4.5 Daily user sending limit exceeded", "final", FAILED, MERGE_DEFERRED, SLOW },
	/* it is we who are not wanted */
	{ "550 5.7.1 you may not send as that", "mail", FAILED, MERGE_REFUSED, US },
	{ "530 5.7.0 Authentication required", "mail", FAILED, MERGE_REFUSED, US },
	{ "552 5.3.4 message size exceeds fixed limit", "mail", FAILED, MERGE_REFUSED, NEXT },
	/* without a word */
	{ "the server closed the connection", "final", DOUBT, MERGE_DOUBTFUL, NEXT },
	{ "the server closed the connection", "mail", DEFERRED, MERGE_DEFERRED, SLOW },
};

static struct carry_rcpt rcpt_of(size_t i)
{
	struct carry_rcpt t = { .tried = true,
				.result = answers[i].result == DOUBT ? DEFERRED : answers[i].result,
				.in_doubt = answers[i].result == DOUBT,
				.step = answers[i].step };
	struct slice s = slice_str(answers[i].text);
	uint64_t code;

	assert_true(slice_copy(s, t.text, sizeof(t.text)));
	if (!cur_u64(&s, 999, &code))
		return t;
	t.code = (uint16_t)code;
	cur_blanks(&s);
	if (s.n > 3 && s.p[1] == '.')
		assert_true(slice_copy(slice_head(s, slice_find(s, ' ')), t.enhanced, sizeof(t.enhanced)));
	return t;
}

static void judged(void **state)
{
	static const int verdicts[] = { [CLI_MERGE_NEXT] = NEXT,
					[CLI_MERGE_SLOW] = SLOW,
					[CLI_MERGE_US] = US,
					[CLI_MERGE_NO_SERVER] = NO_SERVER,
					[CLI_MERGE_ENDED] = ENDED };

	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		struct carry_rcpt t = rcpt_of(i);
		struct carry_result r = { .rcpt = &t, .n = 1, .reached = true };
		struct route_meaning m = cli_merge_meaning(&t);
		int v = verdicts[cli_merge_judge(&r, &t, &m, true, true)];

		if (cli_merge_state(&t, &m) != answers[i].state || v != answers[i].verdict)
			fail_msg("%s at %s: %s, verdict %d", answers[i].text, answers[i].step,
				 merge_state_name(cli_merge_state(&t, &m)), v);
	}
}

/* Where the sender is another one in each row, one that is refused says nothing about the next. */
static void senders_of_their_own(void **state)
{
	struct carry_rcpt t = {
		.tried = true, .result = FAILED, .code = 550, .step = "mail", .text = "550 not you"
	};
	struct carry_result r = { .rcpt = &t, .n = 1, .reached = true };
	struct route_meaning m = cli_merge_meaning(&t);

	(void)state;
	assert_int_equal(cli_merge_judge(&r, &t, &m, false, true), CLI_MERGE_NEXT);
	assert_int_equal(cli_merge_judge(&r, &t, &m, true, true), CLI_MERGE_US);
}

/* Nobody was reached, or not in the right way. */
static void not_reached(void **state)
{
	static const struct {
		uint8_t end;
		bool worked;
		enum cli_merge_verdict verdict;
	} ends[] = {
		{ IPC_LANE_REFUSED, false, CLI_MERGE_NO_SERVER },
		{ IPC_LANE_REFUSED, true, CLI_MERGE_SLOW },
		{ IPC_LANE_ANSWERED, true, CLI_MERGE_SLOW },
		{ IPC_LANE_BROKE, false, CLI_MERGE_NO_SERVER },
		{ IPC_LANE_TLS, true, CLI_MERGE_ENDED },
		{ IPC_LANE_AUTH, false, CLI_MERGE_ENDED },
		{ IPC_LANE_AUTH, true, CLI_MERGE_ENDED },
		{ IPC_LANE_NOWHERE, true, CLI_MERGE_ENDED },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		struct carry_rcpt t = { 0 };
		struct carry_result r = { .rcpt = &t, .n = 1, .end = ends[i].end };
		struct route_meaning m = cli_merge_meaning(&t);

		assert_int_equal(cli_merge_state(&t, &m), MERGE_DEFERRED);
		if (cli_merge_judge(&r, &t, &m, true, ends[i].worked) != ends[i].verdict)
			fail_msg("end %u", ends[i].end);
	}
}

static void rates(void **state)
{
	static const struct {
		const char *text;
		double minute; /* 0: it is none */
	} rows[] = {
		{ "30", 30 },	     { "30/min", 30 }, { "30/m", 30 },	 { "2/s", 120 }, { "120/h", 2 },
		{ "1/h", 1.0 / 60 }, { "0", 0 },       { "", 0 },	 { "x", 0 },	 { "5/", 0 },
		{ "5/day", 0 },	     { "-1", 0 },      { "1000001", 0 }, { "5 /s", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		double got = 0;
		bool ok = cli_merge_rate(rows[i].text, &got);

		if (ok != (rows[i].minute > 0) || got < rows[i].minute * 0.999 ||
		    got > rows[i].minute * 1.001)
			fail_msg("'%s': %d, %f", rows[i].text, ok, got);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(judged),
		cmocka_unit_test(senders_of_their_own),
		cmocka_unit_test(not_reached),
		cmocka_unit_test(rates),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
