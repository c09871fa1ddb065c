#include "policy/policy.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#define ADVICE "port 587 with STARTTLS or port 465 with SSL/TLS"

/* One row: the facts of a stage, what keeper says, what comes out.  code 0: passed. */
struct rule {
	const char *what;
	enum policy_stage stage;
	enum smtp_role role;
	bool authenticated, trusted;
	const char *address; /* "" is the null sender */
	enum policy_question asked;
	enum policy_verdict verdict;
	int code;
	const char *enhanced;
	const char *has; /* in the text */
};

#define SENDER	  POLICY_ASKS_SENDER
#define RECIPIENT POLICY_ASKS_RECIPIENT
#define NOTHING	  POLICY_ASKS_NOTHING
#define V(name)	  POLICY_VERDICT_##name

/* clang-format off */
static const struct rule rules[] = {
	/* Senders. */
	{ "relay: any sender", POLICY_MAIL, SMTP_RELAY, false, false, "a@b.test", NOTHING, 0, 0, NULL, NULL },
	{ "relay: null sender", POLICY_MAIL, SMTP_RELAY, false, false, "", NOTHING, 0, 0, NULL, NULL },
	{ "local: any sender", POLICY_MAIL, SMTP_LOCAL, false, false, "cron@h.test", NOTHING, 0, 0, NULL, NULL },
	{ "submission: no account", POLICY_MAIL, SMTP_SUBMISSION, false, false, "a@b.test", NOTHING, 0, 530, "5.7.0", NULL },
	{ "submission: open by override", POLICY_MAIL, SMTP_SUBMISSION, false, true, "a@b.test", NOTHING, 0, 0, NULL, NULL },
	{ "submission: own address", POLICY_MAIL, SMTP_SUBMISSION, true, false, "a@b.test", SENDER, V(OK), 0, NULL, NULL },
	{ "submission: null sender", POLICY_MAIL, SMTP_SUBMISSION, true, false, "", NOTHING, 0, 0, NULL, NULL },
	{ "submission: not yours", POLICY_MAIL, SMTP_SUBMISSION, true, false, "x@b.test", SENDER, V(NOT_YOURS), 553, "5.7.1", "account ann@b.test" },
	{ "submission: not yours names it", POLICY_MAIL, SMTP_SUBMISSION, true, false, "x@b.test", SENDER, V(NOT_YOURS), 553, "5.7.1", "<x@b.test> is not a sender" },
	{ "submission: a foreign domain is not yours", POLICY_MAIL, SMTP_SUBMISSION, true, false, "x@else.test", SENDER, V(NOT_LOCAL), 553, "5.7.1", NULL },
	{ "submission: account disabled since", POLICY_MAIL, SMTP_SUBMISSION, true, false, "a@b.test", SENDER, V(DISABLED), 550, "5.2.1", NULL },
	{ "submission: keeper away", POLICY_MAIL, SMTP_SUBMISSION, true, false, "a@b.test", SENDER, V(TRY_LATER), 451, "4.3.0", NULL },

	/* Recipients: ours. */
	{ "relay: ours", POLICY_RCPT, SMTP_RELAY, false, false, "u@our.test", RECIPIENT, V(OK), 0, NULL, NULL },
	{ "relay: unknown user", POLICY_RCPT, SMTP_RELAY, false, false, "no@our.test", RECIPIENT, V(NO_SUCH_USER), 550, "5.1.1", "<no@our.test>" },
	{ "relay: disabled", POLICY_RCPT, SMTP_RELAY, false, false, "off@our.test", RECIPIENT, V(DISABLED), 550, "5.2.1", NULL },
	{ "relay: alias loop", POLICY_RCPT, SMTP_RELAY, false, false, "l@our.test", RECIPIENT, V(LOOP), 550, "5.4.6", "circle" },
	{ "relay: keeper away", POLICY_RCPT, SMTP_RELAY, false, false, "u@our.test", RECIPIENT, V(TRY_LATER), 451, "4.3.0", NULL },
	{ "a sender's verdict is no recipient's", POLICY_RCPT, SMTP_RELAY, false, false, "u@our.test", RECIPIENT, V(NOT_YOURS), 550, "5.1.1", NULL },
	{ "submission: unknown user", POLICY_RCPT, SMTP_SUBMISSION, true, false, "no@our.test", RECIPIENT, V(NO_SUCH_USER), 550, "5.1.1", NULL },
	{ "local: unknown user", POLICY_RCPT, SMTP_LOCAL, false, false, "no@our.test", RECIPIENT, V(NO_SUCH_USER), 550, "5.1.1", NULL },
	{ "trusted: unknown user", POLICY_RCPT, SMTP_RELAY, false, true, "no@our.test", RECIPIENT, V(NO_SUCH_USER), 550, "5.1.1", NULL },

	/* Recipients: elsewhere. */
	{ "relay: denied", POLICY_RCPT, SMTP_RELAY, false, false, "u@else.test", RECIPIENT, V(NOT_LOCAL), 554, "5.7.1", "587" },
	{ "relay: trusted network", POLICY_RCPT, SMTP_RELAY, false, true, "u@else.test", RECIPIENT, V(NOT_LOCAL), 0, NULL, NULL },
	{ "submission: account", POLICY_RCPT, SMTP_SUBMISSION, true, false, "u@else.test", RECIPIENT, V(NOT_LOCAL), 0, NULL, NULL },
	{ "submission: stranger", POLICY_RCPT, SMTP_SUBMISSION, false, false, "u@else.test", RECIPIENT, V(NOT_LOCAL), 554, "5.7.1", NULL },
	{ "local", POLICY_RCPT, SMTP_LOCAL, false, false, "u@else.test", RECIPIENT, V(NOT_LOCAL), 0, NULL, NULL },
};
/* clang-format on */

static struct smtp_path path_of(const char *address)
{
	struct slice s = slice_str(address);
	size_t at = slice_rfind(s, '@');

	if (s.n == 0)
		return (struct smtp_path){ .null = true };
	return (struct smtp_path){ .local = slice_head(s, at), .domain = slice_tail(s, at + 1) };
}

static void test_rules(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		const struct rule *r = &rules[i];
		struct smtp_path path = path_of(r->address);
		struct policy_facts facts = { .role = r->role,
					      .authenticated = r->authenticated,
					      .trusted = r->trusted,
					      .login = SLICE_LIT("ann@b.test"),
					      .advice = SLICE_LIT(ADVICE),
					      .path = &path };
		struct policy_check check;
		struct policy_reply reply = { 0 };
		enum policy_step step = policy_start(&check, r->stage, &facts);

		if (step == POLICY_ASK) {
			if (policy_question(&check) != r->asked)
				fail_msg("%s: asked %d", r->what, policy_question(&check));
			step = policy_answer(&check, r->verdict);
		} else if (r->asked != NOTHING) {
			fail_msg("%s: did not ask", r->what);
		}
		if (step == POLICY_REFUSE)
			policy_reply(&check, &reply);
		if (reply.code != r->code)
			fail_msg("%s: %d %s", r->what, reply.code, reply.text);
		if (r->enhanced)
			assert_string_equal(reply.enhanced, r->enhanced);
		if (r->has && !strstr(reply.text, r->has))
			fail_msg("%s: '%s' lacks '%s'", r->what, reply.text, r->has);
	}
}

static void test_limits(void **state)
{
	static const struct {
		struct policy_facts facts;
		enum policy_stage stage;
		int code;
		const char *name;
	} cases[] = {
		{ { .draining = false }, POLICY_CONNECT, 0, "none" },
		{ { .limited = LIMIT_SESSIONS }, POLICY_CONNECT, 421, "sessions" },
		{ { .limited = LIMIT_SESSIONS_IP }, POLICY_CONNECT, 421, "sessions-ip" },
		{ { .limited = LIMIT_SESSIONS_NETWORK }, POLICY_CONNECT, 421, "sessions-network" },
		{ { .limited = LIMIT_RATE_IP, .limit_max = 30, .retry_s = 1 },
		  POLICY_CONNECT,
		  421,
		  "rate-ip" },
		{ { .limited = LIMIT_RATE_NETWORK }, POLICY_CONNECT, 421, "rate-network" },
		{ { .limited = LIMIT_ACCOUNT_MESSAGES }, POLICY_MAIL, 450, "account-messages" },
		{ { .limited = LIMIT_UID_MESSAGES }, POLICY_MAIL, 450, "uid-messages" },
		{ { .limited = LIMIT_OWNER_RECIPIENTS }, POLICY_RCPT, 452, "owner-recipients" },
		{ { .limited = LIMIT_SESSIONS, .draining = true }, POLICY_CONNECT, 421, "draining" },
		{ { .queue_result = ENOSPC }, POLICY_MAIL, 452, "queue-full" },
		{ { .queue_result = EIO }, POLICY_MAIL, 452, "queue" },
		{ { .queue_away = true }, POLICY_MAIL, 451, "queue-away" },
		{ { .queue_result = ENOSPC }, POLICY_DATA, 452, "queue-full" },
		{ { .queue_result = EIO }, POLICY_DATA, 452, "queue" },
		{ { .queue_away = true }, POLICY_DATA, 451, "queue-away" },
		{ { .queue_result = 0 }, POLICY_DATA, 0, "none" },
	};
	struct smtp_path path = path_of("a@b.test");

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct policy_facts facts = cases[i].facts;
		struct policy_check check;
		struct policy_reply reply = { 0 };

		facts.path = &path;
		if (policy_start(&check, cases[i].stage, &facts) == POLICY_REFUSE)
			policy_reply(&check, &reply);
		assert_int_equal(reply.code, cases[i].code);
		assert_string_equal(policy_name(&check), cases[i].name);
	}
}

/* Which limit, and when to come again. */
static void test_limit_texts(void **state)
{
	static const struct {
		enum limit_kind kind;
		unsigned retry_s;
		const char *text;
	} cases[] = {
		{ LIMIT_RATE_IP, 1,
		  "more than 1000 new connections a minute from your address; try again in 1 second" },
		{ LIMIT_RATE_NETWORK, 7,
		  "more than 1000 new connections a minute from your network; try again in 7 seconds" },
		{ LIMIT_ACCOUNT_MESSAGES, 121,
		  "account ann@b.test has reached the limit of 1000 messages in 60 minutes; try again in 3 "
		  "minutes" },
		{ LIMIT_ACCOUNT_RECIPIENTS, 7201,
		  "account ann@b.test has reached the limit of 1000 recipients in 60 minutes; try again in 3 "
		  "hours" },
		{ LIMIT_UID_MESSAGES, 60,
		  "this user has reached the limit of 1000 messages in 60 minutes; try again in 60 seconds" },
		{ LIMIT_OWNER_RECIPIENTS, 60,
		  "the owner of this account's domain has reached the limit of 1000 recipients in 60 "
		  "minutes; try again in 60 seconds" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct policy_facts facts = { .limited = cases[i].kind,
					      .limit_max = 1000,
					      .limit_period_s = 3600,
					      .retry_s = cases[i].retry_s,
					      .login = SLICE_LIT("ann@b.test") };
		struct policy_check check;
		struct policy_reply reply;

		assert_int_equal(policy_start(&check, POLICY_CONNECT, &facts), POLICY_REFUSE);
		policy_reply(&check, &reply);
		assert_string_equal(reply.text, cases[i].text);
	}
}

/* What the client wrote comes back in replies: it must stay one line of bounded length. */
static void test_reply_is_one_line(void **state)
{
	char local[600];
	struct smtp_path path = { .local = { (unsigned char *)local, sizeof(local) },
				  .domain = SLICE_LIT("b.test") };
	struct policy_facts facts = { .role = SMTP_RELAY, .path = &path };
	struct policy_check check;
	struct policy_reply reply;

	(void)state;
	memset(local, 'a', sizeof(local));
	local[3] = '\r';
	local[4] = '\n';
	assert_int_equal(policy_start(&check, POLICY_RCPT, &facts), POLICY_ASK);
	assert_int_equal(policy_answer(&check, POLICY_VERDICT_NO_SUCH_USER), POLICY_REFUSE);
	policy_reply(&check, &reply);
	assert_null(strpbrk(reply.text, "\r\n"));
	assert_true(strlen(reply.text) < sizeof(reply.text));
	/* A multi-byte character is not cut in two. */
	for (size_t i = 0; i + 1 < sizeof(local); i += 2)
		memcpy(local + i, "\xc3\xa4", 2);
	policy_reply(&check, &reply);
	assert_int_equal((unsigned char)reply.text[strlen(reply.text) - 1], 0xa4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_limit_texts),
		cmocka_unit_test(test_reply_is_one_line),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
