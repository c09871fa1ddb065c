/* server_test.c - what a dialog cannot see: memory, and the contract of feed.
 * All else about the engine is tested in tests/dialogs/. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "smtp/server_private.h"

static const struct smtp_server_setup relay = { .role = SMTP_RELAY,
						.hostname = SLICE_INIT("mx.test"),
						.advice = SLICE_INIT("port 587 with STARTTLS"),
						.max_size = 1 << 20 };
static const struct smtp_server_setup submission = { .role = SMTP_SUBMISSION,
						     .hostname = SLICE_INIT("mx.test"),
						     .starttls = true,
						     .tls_required = true,
						     .auth = true,
						     .mechs = SLICE_INIT("PLAIN LOGIN"),
						     .max_size = 1 << 20 };

static void feed(struct smtp_server *s, const char *text)
{
	assert_int_equal(smtp_server_feed(s, slice_str(text)), strlen(text));
}

static void drain(struct smtp_server *s)
{
	smtp_server_sent(s, smtp_server_output(s).n);
}

static struct smtp_server *start(const struct smtp_server_setup *setup, bool tls)
{
	struct smtp_server *s = smtp_server_new(setup);

	assert_non_null(s);
	smtp_server_greet(s, tls);
	feed(s, "EHLO client.example.org\r\n");
	smtp_server_answer(s, 250, NULL, NULL);
	drain(s);
	return s;
}

static void to_data(struct smtp_server *s)
{
	feed(s, "MAIL FROM:<a@example.org>\r\n");
	smtp_server_answer(s, 250, NULL, NULL);
	feed(s, "RCPT TO:<b@mx.test>\r\n");
	smtp_server_answer(s, 250, NULL, NULL);
	feed(s, "DATA\r\n");
	smtp_server_answer(s, 354, NULL, NULL);
	drain(s);
}

static void idle_session_is_small(void **state)
{
	struct smtp_server *s = start(&relay, false);

	(void)state;
	assert_true(sizeof(*s) + s->out.cap + s->line.cap + s->response.cap + s->helo.cap + s->later.cap +
			    s->bye.cap + s->scan.copy.cap <
		    1536);
	assert_int_equal(s->out.cap, 0);
	smtp_server_free(s);
}

/* Nothing is taken while a question is open: a client that pipelines is held back by TCP. */
static void open_question_stops_feed(void **state)
{
	struct smtp_server *s = start(&relay, false);
	struct slice in = SLICE_LIT("MAIL FROM:<a@example.org>\r\nRCPT TO:<b@mx.test>\r\n");

	(void)state;
	assert_int_equal(smtp_server_feed(s, in), 27);
	assert_int_equal(smtp_server_want(s)->want, SMTP_SERVER_MAIL);
	assert_int_equal(smtp_server_feed(s, slice_tail(in, 27)), 0);
	smtp_server_answer(s, 250, NULL, NULL);
	assert_int_equal(smtp_server_feed(s, slice_tail(in, 27)), in.n - 27);
	smtp_server_free(s);
}

/* A client that asks much and reads nothing costs no more than was said. */
static void waiting_output_stops_feed(void **state)
{
	struct smtp_server *s = start(&relay, false);
	struct slice help = SLICE_LIT("HELP\r\n");
	unsigned taken = 0;

	(void)state;
	while (smtp_server_feed(s, help) == help.n)
		taken++;
	assert_in_range(taken, 100, 1000);
	assert_int_equal(smtp_server_want(s)->want, SMTP_SERVER_INPUT);
	assert_in_range(smtp_server_output(s).n, SMTP_OUT_PAUSE, SMTP_OUT_PAUSE + 1024);
	drain(s);
	assert_int_equal(smtp_server_feed(s, help), help.n);
	smtp_server_free(s);
}

static void body_stays_where_it_is(void **state)
{
	struct smtp_server *s = start(&relay, false);
	struct slice in = SLICE_LIT("Subject: x\r\n\r\nText\r\n");

	(void)state;
	to_data(s);
	assert_int_equal(smtp_server_feed(s, in), in.n);
	assert_int_equal(smtp_server_want(s)->want, SMTP_SERVER_BODY);
	assert_ptr_equal(smtp_server_want(s)->data.p, in.p);
	assert_int_equal(smtp_server_want(s)->data.n, in.n);
	assert_true(smtp_server_in_body(s));
	smtp_server_free(s);
}

static bool holds(const struct buf *b, struct slice secret)
{
	return b->cap > 0 && memmem(b->p, b->cap, secret.p, secret.n);
}

static void check_wiped(struct smtp_server *s)
{
	assert_false(holds(&s->line, SLICE_LIT("c2VjcmV0")));
	assert_false(holds(&s->response, SLICE_LIT("secret")));
	assert_false(holds(&s->out, SLICE_LIT("c2VjcmV0")));
}

/* Wherever a password may come to lie, it is gone once it was answered. */
static void secrets_are_wiped(void **state)
{
	struct smtp_server *s = start(&submission, true);

	(void)state;
	feed(s, "AUTH PLAIN AGEAc2VjcmV0\r\n");
	assert_int_equal(smtp_server_want(s)->want, SMTP_SERVER_AUTH);
	smtp_server_auth_done(s, 535, NULL, NULL);
	check_wiped(s);
	feed(s, "AUTH LOGIN\r\n");
	smtp_server_challenge(s, SLICE_LIT("Password:"));
	feed(s, "c2VjcmV0\r\n");
	assert_true(slice_eq(smtp_server_want(s)->data, SLICE_LIT("secret")));
	smtp_server_challenge(s, SLICE_LIT("x"));
	check_wiped(s);
	feed(s, "c2VjcmV0*\r\n");
	assert_int_equal(smtp_server_want(s)->want, SMTP_SERVER_AUTH_ABORT);
	smtp_server_go_on(s);
	check_wiped(s);
	feed(s, "AUTH CRAM-MD5 c2VjcmV0\r\n"); /* not offered */
	check_wiped(s);
	feed(s, "c2VjcmV0\r\n"); /* where a command belongs */
	check_wiped(s);
	smtp_server_free(s);

	s = start(&submission, false);
	feed(s, "AUTH PLAIN AGEAc2VjcmV0\r\n");
	assert_int_equal(smtp_server_want(s)->want, SMTP_SERVER_EXPOSED);
	smtp_server_go_on(s);
	check_wiped(s);
	smtp_server_free(s);
}

/* RFC 5321 4.5.3.1.5: a text of any length makes a line of 512 octets at most. */
static void long_reply_is_cut(void **state)
{
	struct smtp_server *s = start(&relay, false);
	char text[2000];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	feed(s, "MAIL FROM:<>\r\n");
	smtp_server_answer(s, 550, "5.7.1", text);
	assert_int_equal(smtp_server_output(s).n, 512);
	assert_memory_equal(smtp_server_output(s).p, "550 5.7.1 xx", 12);
	assert_memory_equal(smtp_server_output(s).p + 510, "\r\n", 2);
	smtp_server_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(idle_session_is_small),     cmocka_unit_test(open_question_stops_feed),
		cmocka_unit_test(waiting_output_stops_feed), cmocka_unit_test(body_stays_where_it_is),
		cmocka_unit_test(secrets_are_wiped),	     cmocka_unit_test(long_reply_is_cut),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
