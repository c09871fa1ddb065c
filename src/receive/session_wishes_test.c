/* What a client may ask for with a message, and what queue is told of it. */
#include "receive/receive_world.h"

#define LOGIN	 "C: EHLO c\nS: 250 \nC: AUTH PLAIN " PLAIN_OK "\nS: 235\n"
#define MAIL	 "C: MAIL FROM:<ann@our.test>"
#define TO_X	 "C: RCPT TO:<x@else.test>\nS: 250\n"
#define BODY	 "C: DATA\nS: 354\nC: Subject: x\nC: \nC: hello\nC: .\nS: 250\n"
#define RELAXED	 "C: DATA\nS: 354\nC: Subject: x\nC: TLS-Required: No\nC: \nC: hello\nC: .\nS: 250\n"
#define STARTTLS "W 80\nS: 220\nC: EHLO c\nS: 250 \nC: STARTTLS\nS: 220\nT\n"
#define PLAIN_OK "AGFubgBwdw=="
#define NORMAL	 "class 0 priority 0 hold 0"

struct dialog {
	const char *what;
	unsigned port;
	const char *script, *wishes;
};

static const struct dialog dialogs[] = {
	{ "nothing asked for", SUBMISSIONS, "T\nS: 220\n" LOGIN MAIL "\nS: 250 2.1.0\n" TO_X BODY, NORMAL },
	{ "urgent", SUBMISSIONS, "T\nS: 220\n" LOGIN MAIL " MT-PRIORITY=3\nS: 250 2.1.0\n" TO_X BODY,
	  "class 2 priority 13 hold 0" },
	{ "less than that is normal", SUBMISSIONS,
	  "T\nS: 220\n" LOGIN MAIL " MT-PRIORITY=2\nS: 250 2.1.0\n" TO_X BODY, "class 0 priority 12 hold 0" },
	{ "bulk", SUBMISSIONS, "T\nS: 220\n" LOGIN MAIL " MT-PRIORITY=-3\nS: 250 2.1.0\n" TO_X BODY,
	  "class 1 priority 7 hold 0" },
	{ "a listener for bulk", FALLBACK, STARTTLS LOGIN MAIL "\nS: 250 2.1.0\n" TO_X BODY,
	  "class 1 priority 0 hold 0" },
	{ "urgent on a listener for bulk", FALLBACK,
	  STARTTLS LOGIN MAIL " MT-PRIORITY=9\nS: 250 2.3.6 0 is its priority\n" TO_X BODY,
	  "class 1 priority 0 hold 0" },
	{ "held", FALLBACK, STARTTLS LOGIN MAIL " HOLDFOR=3600\nS: 250 2.1.0\n" TO_X BODY,
	  "class 1 priority 0 hold 3600" },
	{ "held for too long", FALLBACK,
	  STARTTLS LOGIN MAIL " HOLDFOR=3601\nS: 501 5.5.4\n" MAIL "\nS: 250\n" TO_X BODY,
	  "class 1 priority 0 hold 0" },
	{ "held until a time that has passed", SUBMISSIONS,
	  "T\nS: 220\n" LOGIN MAIL " HOLDUNTIL=2020-01-01T00:00:00Z\nS: 250 2.1.0\n" TO_X BODY, NORMAL },
	{ "only over TLS", SUBMISSIONS, "T\nS: 220\n" LOGIN MAIL " REQUIRETLS\nS: 250 2.1.0\n" TO_X BODY,
	  NORMAL " requiretls" },
	{ "TLS or not", SUBMISSIONS, "T\nS: 220\n" LOGIN MAIL "\nS: 250 2.1.0\n" TO_X RELAXED,
	  NORMAL " relax" },
	{ "the parameter counts more than the field", SUBMISSIONS,
	  "T\nS: 220\n" LOGIN MAIL " REQUIRETLS\nS: 250 2.1.0\n" TO_X RELAXED, NORMAL " requiretls" },
	{ "of one message, not of the next", SUBMISSIONS,
	  "T\nS: 220\n" LOGIN MAIL " REQUIRETLS MT-PRIORITY=9 HOLDFOR=60\nS: 250\n" TO_X
	  "C: RSET\nS: 250\n" MAIL "\nS: 250\n" TO_X BODY,
	  NORMAL },
	{ "another server may require TLS, and no more", RELAY,
	  "S: 220\nC: EHLO c\nS: 250 \nC: STARTTLS\nS: 220\nT\nC: EHLO c\nS: 250 \n"
	  "C: MAIL FROM:<a@else.test> HOLDFOR=60\nS: 555\nC: MAIL FROM:<a@else.test> MT-PRIORITY=9\nS: 555\n"
	  "C: MAIL FROM:<a@else.test> REQUIRETLS\nS: 250\nC: RCPT TO:<u@our.test>\nS: 250\n" BODY,
	  NORMAL " requiretls" },
};

/* The same, by accounts that have a class. */
static const struct {
	uint8_t class;
	struct dialog dialog;
} accounts[] = {
	{ IPC_CLASS_BULK,
	  { "an account for bulk", SUBMISSIONS,
	    "T\nS: 220\n" LOGIN MAIL
	    " MT-PRIORITY=9\nS: 250 2.3.6 0 is its priority now: this account\n" TO_X BODY,
	    "class 1 priority 0 hold 0" } },
	{ IPC_CLASS_URGENT,
	  { "an urgent account", SUBMISSIONS, "T\nS: 220\n" LOGIN MAIL "\nS: 250 2.1.0\n" TO_X BODY,
	    "class 2 priority 0 hold 0" } },
	{ IPC_CLASS_URGENT,
	  { "an urgent account that asks for less", SUBMISSIONS,
	    "T\nS: 220\n" LOGIN MAIL " MT-PRIORITY=-3\nS: 250 2.1.0\n" TO_X BODY,
	    "class 1 priority 7 hold 0" } },
	{ IPC_CLASS_URGENT,
	  { "an urgent account on a listener for bulk", FALLBACK,
	    STARTTLS LOGIN MAIL
	    " MT-PRIORITY=9\nS: 250 2.3.6 0 is its priority now: this listener\n" TO_X BODY,
	    "class 1 priority 0 hold 0" } },
	{ IPC_CLASS_NORMAL,
	  { "a normal account that asks for more", SUBMISSIONS,
	    "T\nS: 220\n" LOGIN MAIL " MT-PRIORITY=3\nS: 250 2.1.0\n" TO_X BODY,
	    "class 2 priority 13 hold 0" } },
};

/* account_class: as auth_result has it. */
static void play_one(void **state, const struct dialog *d, uint8_t account_class)
{
	struct client c;

	assert_int_equal(set_up(state), 0);
	w.account_class = account_class;
	client_open(&c, d->port);
	play(&c, d->what, d->script);
	if (strcmp(w.wishes, d->wishes) != 0)
		fail_msg("%s: %s", d->what, w.wishes);
	client_close(&c);
	assert_int_equal(tear_down(state), 0);
}

static void test_wishes(void **state)
{
	for (size_t i = 0; i < sizeof(dialogs) / sizeof(dialogs[0]); i++)
		play_one(state, &dialogs[i], 0);
}

static void test_class_of_the_account(void **state)
{
	for (size_t i = 0; i < sizeof(accounts) / sizeof(accounts[0]); i++)
		play_one(state, &accounts[i].dialog, (uint8_t)(accounts[i].class + 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_wishes),
					    cmocka_unit_test(test_class_of_the_account) };

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
