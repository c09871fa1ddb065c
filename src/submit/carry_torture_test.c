/* The life of a submission: begun wrongly, given up at any moment, and with each request for memory refused
 * in turn. */
#include "submit/carry_world.h"

/* ---- its life ---- */

static void wrong_setups(void **state)
{
	struct carry_setup s = setup_of();

	(void)state;
	fill_draft(1);
	s.pin[0] = "abc";
	assert_int_equal(submit("pin", &s), -EINVAL);
	s = setup_of();
	s.mechanism = "magic";
	assert_int_equal(submit("mechanism", &s), -EINVAL);
	assert_int_equal(dones, 0);
	carry_free(NULL);
}

static void free_it(void)
{
	carry_free(carry);
	carry = NULL;
}

static void freed_by_done(void **state)
{
	struct carry_setup s;

	(void)state;
	fill_draft(1);
	serve(address(1), 587, SCRIPT(IN_587, FROM, TO("0"), BODY, QUIT));
	after_done = free_it;
	s = setup_of();
	dones = 0;
	assert_int_equal(carry_begin(&s, on_done, &dones, &carry), 0);
	for (unsigned i = 0; dones == 0; i++) {
		assert_true(i < HUNG_TURNS);
		turn();
	}
	end();
}

/* Given up at any moment: nobody hears of it, nothing is left. */
static void freed_in_the_middle(void **state)
{
	(void)state;
	fill_draft(1);
	serve(address(1), 587, SCRIPT(IN_587, FROM, TO("0"), BODY, QUIT));
	for (unsigned turns = 0; turns < 60; turns++) {
		struct carry_setup s = setup_of();

		dones = 0;
		assert_int_equal(carry_begin(&s, on_done, &dones, &carry), 0);
		for (unsigned i = 0; i < turns && dones == 0; i++)
			turn();
		end();
	}
}

/* ---- without memory ---- */

/* Messages that the server has in full. */
static unsigned has(const struct server *v)
{
	struct slice all = buf_slice(&v->heard), dot = SLICE_LIT("\r\n.\r\n");
	unsigned n = 0;

	for (const unsigned char *at; all.n > 0 && (at = memmem(all.p, all.n, dot.p, dot.n)); n++)
		all = slice_tail(all, (size_t)(at - all.p) + dot.n);
	return n;
}

/* Whatever is lacking: the end is told, once, and what is told is true. */
static void without(const char *what, struct server *v)
{
	struct carry_setup s = setup_of();
	int r;

	buf_reset(&v->heard);
	v->connections = 0;
	r = submit(what, &s);
	if (r < 0) {
		if (r != -ENOMEM || !torture_hit())
			fail_msg("%s: %d", what, r);
		assert_int_equal(has(v), 0);
		return;
	}
	if (!torture_hit() && result->rcpt[0].result != IPC_JOB_DELIVERED)
		fail_msg("%s: it does not work any more: %s", what, result->text);
	if (result->rcpt[0].result == IPC_JOB_DELIVERED ? has(v) != 1
							: has(v) > 0 && !result->rcpt[0].in_doubt)
		fail_msg("%s: tried %d, result %u, in doubt %d, and the server has it %u times", what,
			 result->rcpt[0].tried, result->rcpt[0].result, result->rcpt[0].in_doubt, has(v));
	if (result->rcpt[0].tried && result->rcpt[0].result == IPC_JOB_FAILED)
		fail_msg("%s: our lack of memory is told as the server's refusal", what);
	end();
}

static void torment(const char *name, struct server *v)
{
	struct torture t = torture(97);

	without(name, v);
	t.each = 40;
	while (torture_goes_on(&t)) {
		char what[100];

		time_s = 5; /* where memory lacks, some wait in vain */
		snprintf(what, sizeof(what), "%s, TORTURE_AT=%u%s", name, t.nth, t.rest ? "+" : "");
		without(what, v);
	}
	time_s = 20;
	without(name, v);
}

static void torture_of_one(void **state)
{
	(void)state;
	if (!torture_works())
		skip();
	fill_draft(1);
	torment("one", serve(address(1), 587, SCRIPT(IN_587, FROM, TO("0"), BODY, QUIT)));
}

/* Before anything is said: as often as there is anything to lack. */
static void torture_of_the_beginning(void **state)
{
	struct carry_setup s = setup_of();

	(void)state;
	if (!torture_works())
		skip();
	fill_draft(3);
	for (struct torture t = torture(1); torture_goes_on(&t);) {
		int r;

		dones = 0;
		torture_in();
		r = carry_begin(&s, on_done, &dones, &carry);
		torture_out();
		if (r < 0 && (r != -ENOMEM || !torture_hit()))
			fail_msg("TORTURE_AT=%u%s: %d", t.nth, t.rest ? "+" : "", r);
		if (r == 0)
			end();
		else
			uv_run(&loop, UV_RUN_NOWAIT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(wrong_setups, set_up, tear_down),
		cmocka_unit_test_setup_teardown(freed_by_done, set_up, tear_down),
		cmocka_unit_test_setup_teardown(freed_in_the_middle, set_up, tear_down),
		cmocka_unit_test_setup_teardown(torture_of_the_beginning, set_up, tear_down),
		cmocka_unit_test_setup_teardown(torture_of_one, set_up, tear_down),
	};

	signal(SIGPIPE, SIG_IGN); /* as cli/main.c */
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
