#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ipc/message.h"
#include "queue/envelope.h"

static void sample(struct buf *to)
{
	struct envelope e = { .sender = SLICE_LIT("ann@example.org"),
			      .smtputf8 = true,
			      .ret = 1,
			      .envid = SLICE_LIT("E-1"),
			      .account = 77,
			      .listener = SLICE_LIT("submission"),
			      .account_name = SLICE_LIT("ann@example.org"),
			      .message_id = SLICE_LIT("1@example.org"),
			      .class = IPC_CLASS_BULK,
			      .mt_priority = 19,
			      .hold_until_ms = 5,
			      .requiretls = true,
			      .recipients = 2 };
	struct envelope_rcpt here = { .kind = IPC_TARGET_MAILBOX,
				      .notify = 3,
				      .address = SLICE_LIT("bob@example.org"),
				      .original = SLICE_LIT("Bob+x@example.org"),
				      .orcpt = SLICE_LIT("rfc822;bob@example.org"),
				      .mailbox = SLICE_LIT("example.org/bob") };
	struct envelope_rcpt there = { .kind = IPC_TARGET_REMOTE,
				       .address = SLICE_LIT("x@example.net"),
				       .original = SLICE_LIT("x@example.net"),
				       .sender = SLICE_LIT("SRS0=a=b=c=d@example.org") };

	buf_init(to, ENVELOPE_MAX);
	envelope_put(&e, to);
	envelope_put_rcpt(&here, to);
	envelope_put_rcpt(&there, to);
	assert_true(buf_ok(to));
}

static void test_round_trip(void **state)
{
	struct envelope e;
	struct envelope_rcpt r;
	struct slice cur;
	struct buf b;

	(void)state;
	sample(&b);
	cur = buf_slice(&b);
	assert_true(envelope_get(&cur, &e));
	assert_true(slice_eq(e.sender, SLICE_LIT("ann@example.org")));
	assert_true(e.smtputf8 && !e.eightbit);
	assert_int_equal(e.ret, 1);
	assert_int_equal(e.account, 77);
	assert_true(slice_eq(e.envid, SLICE_LIT("E-1")));
	assert_true(slice_eq(e.listener, SLICE_LIT("submission")));
	assert_true(slice_eq(e.account_name, SLICE_LIT("ann@example.org")));
	assert_true(slice_eq(e.message_id, SLICE_LIT("1@example.org")));
	assert_int_equal(e.class, IPC_CLASS_BULK);
	assert_int_equal(e.mt_priority, 19);
	assert_int_equal(e.hold_until_ms, 5);
	assert_true(e.requiretls && !e.relax);
	assert_int_equal(e.recipients, 2);
	assert_true(envelope_get_rcpt(&cur, &r));
	assert_int_equal(r.kind, IPC_TARGET_MAILBOX);
	assert_int_equal(r.notify, 3);
	assert_true(slice_eq(r.original, SLICE_LIT("Bob+x@example.org")));
	assert_true(slice_eq(r.orcpt, SLICE_LIT("rfc822;bob@example.org")));
	assert_true(slice_eq(r.mailbox, SLICE_LIT("example.org/bob")));
	assert_true(envelope_get_rcpt(&cur, &r));
	assert_int_equal(r.kind, IPC_TARGET_REMOTE);
	assert_int_equal(r.mailbox.n, 0);
	assert_true(slice_eq(r.sender, SLICE_LIT("SRS0=a=b=c=d@example.org")));
	assert_int_equal(cur.n, 0);
	assert_false(envelope_get_rcpt(&cur, &r));
	buf_done(&b);
}

/* Every prefix is refused somewhere, and never read past. */
static void test_cut_anywhere(void **state)
{
	struct envelope e;
	struct envelope_rcpt r;
	struct buf b;

	(void)state;
	sample(&b);
	for (size_t n = 0; n < b.n; n++) {
		unsigned char *copy = malloc(n + 1);
		struct slice cur = slice_of(memcpy(copy, buf_slice(&b).p, n), n);
		bool whole = envelope_get(&cur, &e);

		for (unsigned i = 0; whole && i < 2; i++)
			whole = envelope_get_rcpt(&cur, &r);
		assert_false(whole);
		free(copy);
	}
	buf_done(&b);
}

static void test_refused(void **state)
{
	static const struct {
		size_t at;
		unsigned char byte;
		const char *what;
	} rows[] = {
		{ 0, 0, "version 0" },
		{ 0, 3, "a later version" },
		{ 1, 16, "an unknown flag" },
		{ 3, IPC_CLASSES, "an unknown class" },
		{ 4, ENVELOPE_PRIORITY_MAX + 1, "a priority beyond the scale" },
		{ 21, 255, "a sender longer than there is" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct envelope e;
		struct slice cur;
		struct buf b;

		sample(&b);
		b.p[b.from + rows[i].at] = rows[i].byte;
		cur = buf_slice(&b);
		if (envelope_get(&cur, &e))
			fail_msg("%s was taken", rows[i].what);
		assert_int_equal(cur.n, b.n); /* untouched */
		buf_done(&b);
	}
}

static void test_ceilings(void **state)
{
	static unsigned char big[IPC_ADDRESS_MAX + 1];
	struct envelope e = { .sender = { big, sizeof(big) } };
	struct envelope_rcpt r = { .kind = 9, .address = SLICE_LIT("a@b") };
	struct buf b;

	(void)state;
	buf_init(&b, ENVELOPE_MAX);
	envelope_put(&e, &b);
	assert_false(buf_ok(&b));
	buf_reset(&b);
	e = (struct envelope){ .recipients = ENVELOPE_RECIPIENTS_MAX + 1 };
	envelope_put(&e, &b);
	assert_false(buf_ok(&b));
	buf_reset(&b);
	envelope_put_rcpt(&r, &b);
	assert_false(buf_ok(&b));
	buf_done(&b);
}

static void test_reason(void **state)
{
	static char text[2000];
	struct envelope_reason why = { .failed = true,
				       .attempts = 3,
				       .next_ms = 42,
				       .status = SLICE_LIT("4.2.2"),
				       .code = 450,
				       .step = 4,
				       .blocked = true,
				       .text = { (unsigned char *)text, 2000 },
				       .remote = { (unsigned char *)text, 2000 } };
	struct envelope_reason got;
	struct buf b;

	(void)state;
	memset(text, 'x', sizeof(text));
	buf_init(&b, 1024);
	envelope_put_reason(&why, &b);
	assert_true(buf_ok(&b)); /* the longest fits into a mark */
	assert_true(envelope_get_reason(buf_slice(&b), &got));
	assert_true(got.failed);
	assert_int_equal(got.attempts, 3);
	assert_int_equal(got.next_ms, 42);
	assert_true(slice_eq(got.status, SLICE_LIT("4.2.2")));
	assert_int_equal(got.text.n, ENVELOPE_REASON_MAX);
	assert_int_equal(got.remote.n, ENVELOPE_REMOTE_MAX);
	assert_int_equal(got.code, 450);
	assert_int_equal(got.step, 4);
	assert_true(got.blocked);
	assert_false(got.delivered || got.relayed || got.expired || got.by_administrator);
	assert_false(envelope_get_reason(slice_head(buf_slice(&b), b.n - 1), &got));
	assert_false(envelope_get_reason(SLICE_LIT(""), &got));
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_cut_anywhere),
		cmocka_unit_test(test_refused),	   cmocka_unit_test(test_ceilings),
		cmocka_unit_test(test_reason),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
