/* What the command line asks of the queue, and what it can do to a message. */
#include "role/queue_world.h"

/* Of the one message to that domain: the recipients that it still has. */
static size_t recipients_left(const char *domain)
{
	json_t *list = rows("domain", domain);
	size_t n = json_array_size(list) == 1
			   ? json_array_size(json_object_get(json_array_get(list, 0), "to"))
			   : 0;

	json_decref(list);
	return n;
}

static void test_remote_waits(void **state)
{
	struct id id = id_next(&w.ids, 1800000000000);
	json_t *all, *rcpt;

	(void)state;
	start_local();
	put_rcpt(1, IPC_TARGET_REMOTE, "x@example.net", "");
	put_rcpt(1, IPC_TARGET_MAILBOX, "bob@example.org", "example.org/bob");
	put_body(1, SLICE_LIT("Subject: x\r\n\r\nx\r\n"));
	assert_int_equal(put_commit(1, &id, 17), 0);
	assert_int_equal(wait_mailbox("bob", 1), 1);
	for (int again = 0; again < 2; again++) {
		json_t *list, *row;

		wait_state("queued", 1);
		/* Bob's is in its mailbox a moment before queue has heard of it. */
		assert_true(WAIT_FOR(recipients_left("example.net") == 1));
		list = rows("domain", "example.net");
		row = json_array_get(list, 0);
		assert_string_equal(json_string_value(json_object_get(row, "state")), "queued");
		json_decref(list);
		stop_queue(); /* and so it stays */
		start_queue();
		introduce();
	}
	assert_int_equal(in_mailbox("bob", NULL, 0), 1);
	wait_state("queued", 1);
	all = ask("{s:s, s:s}", "ask", "queue.show", "id", id.text);
	rcpt = json_array_get(json_object_get(json_array_get(all, 2), "recipients"), 0);
	assert_string_equal(json_string_value(json_object_get(rcpt, "destination")), "mx example.net");
	json_decref(all);
}

static void test_hold_and_remove(void **state)
{
	struct id a = submit("bob", SLICE_LIT("Subject: a\r\n\r\nx\r\n"));
	struct id b = submit("eve", SLICE_LIT("Subject: b\r\n\r\nx\r\n"));
	char no_such[64];

	(void)state;
	json_decref(ask("{s:s, s:s}", "ask", "queue.hold", "id", a.text));
	json_decref(ask("{s:s, s:s}", "ask", "queue.hold", "id", b.text));
	stop_queue();
	start_queue();
	start_local();
	wait_state("held", 2);
	submit("zoe", SLICE_LIT("Subject: c\r\n\r\nx\r\n"));
	assert_int_equal(wait_mailbox("zoe", 1), 1); /* for the others, too, there was time */
	wait_listed(NULL, NULL, 2);
	assert_int_equal(listed("state", "held"), 2);
	assert_int_equal(in_mailbox("bob", NULL, 0), 0);
	assert_int_equal(listed("recipient", "BOB@example.org"), 1);
	assert_int_equal(listed("recipient", "nobody@example.org"), 0);
	json_decref(ask("{s:s, s:b, s:s}", "ask", "queue.remove", "all", 1, "recipient", "eve@example.org"));
	snprintf(no_such, sizeof(no_such), "no such message: %s", b.text);
	assert_answer(ask("{s:s, s:s}", "ask", "queue.show", "id", b.text), 0, "error", no_such);
	assert_answer(ask("{s:s, s:s}", "ask", "queue.hold", "id", "nonsense"), 0, "error",
		      "not a message id: nonsense");
	assert_answer(ask("{s:s, s:s}", "ask", "queue.hold", "id", b.text), 0, "error", no_such);
	json_decref(ask("{s:s, s:s}", "ask", "queue.release", "id", a.text));
	assert_int_equal(wait_mailbox("bob", 1), 1);
	wait_empty();
	assert_int_equal(in_mailbox("eve", NULL, 0), 0);
}

static void test_show_and_cat(void **state)
{
	struct id id = submit("bob", SLICE_LIT("Subject: a\r\n\r\nb\xff\r\n"));
	json_t *all, *part;
	size_t i;

	(void)state;
	all = ask("{s:s, s:s}", "ask", "queue.show", "id", id.text);
	part = json_object_get(json_array_get(all, 0), "message");
	assert_string_equal(json_string_value(json_object_get(part, "sender")), "ann@example.org");
	part = json_object_get(json_array_get(all, 1), "headers");
	assert_string_equal(json_string_value(part), "Received: by the test\r\nSubject: a\r\n");
	part = json_array_get(json_object_get(json_array_get(all, 2), "recipients"), 0);
	assert_string_equal(json_string_value(json_object_get(part, "state")), "queued");
	assert_string_equal(json_string_value(json_object_get(part, "mailbox")), "example.org/bob");
	json_decref(all);
	all = ask("{s:s, s:s}", "ask", "queue.cat", "id", id.text);
	assert_string_equal(json_string_value(json_object_get(json_array_get(all, 0), "text")),
			    "Received: by the test\r\n");
	json_array_foreach(all, i, part) if (json_object_get(part, "base64"))
		assert_string_equal(json_string_value(json_object_get(part, "base64")),
				    "U3ViamVjdDogYQ0KDQpi/w0K");
	json_decref(all);
}

/* A header full of what JSON must escape is shown in part, not refused. */
static void test_show_hostile_header(void **state)
{
	enum { SIZE = 60000 };
	char *body = malloc(SIZE);
	struct id id;
	json_t *all;

	(void)state;
	memset(body, 1, SIZE);
	memcpy(body, "Subject: a", 10);
	id = submit("bob", slice_of(body, SIZE));
	all = ask("{s:s, s:s}", "ask", "queue.show", "id", id.text);
	assert_non_null(
		strstr(json_string_value(json_object_get(json_array_get(all, 1), "headers")), "Subject: a"));
	json_decref(all);
	free(body);
}

/* A mailbox that cannot be written to is tried again, and an operator may hurry it. */
static void test_deferred_and_failed(void **state)
{
	char path[128];
	struct id id, other;
	json_t *list;
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/mail/example.org", w.dir);
	fd = open(path, O_CREAT | O_WRONLY, 0600); /* a file where a folder belongs */
	close(fd);
	start_local();
	id = submit("bob", SLICE_LIT("Subject: a\r\n\r\nx\r\n"));
	for (int again = 0; again < 2; again++) {
		wait_state("deferred", 1);
		list = rows("state", "deferred");
		assert_int_equal(json_array_size(list), 1);
		assert_non_null(strstr(json_string_value(json_object_get(json_array_get(list, 0), "reason")),
				       "folder"));
		json_decref(list);
		stop_queue(); /* what was said is remembered, and it is not tried at once */
		start_queue();
		introduce();
		put_rcpt(++w.tx, IPC_TARGET_MAILBOX, "zoe@example.net", "example.net/zoe");
		put_body(w.tx, SLICE_LIT("x\r\n"));
		other = id_next(&w.ids, 1800000000000);
		assert_int_equal(put_commit(w.tx, &other, 3), 0);
		wait_listed("domain", "example.net", 0); /* there was time to try the other, too */
	}
	wait_state("deferred", 1);
	unlink(path);
	json_decref(ask("{s:s, s:s}", "ask", "queue.retry", "id", id.text));
	assert_int_equal(wait_mailbox("bob", 1), 1);

	put_rcpt(++w.tx, IPC_TARGET_MAILBOX, "eve@example.org", "example.org/../../eve");
	put_body(w.tx, SLICE_LIT("x\r\n"));
	id = id_next(&w.ids, 1800000000000);
	assert_int_equal(put_commit(w.tx, &id, 3), 0);
	wait_state("failed", 1);
	stop_queue();
	start_queue();
	wait_state("failed", 1); /* never lost */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD(test_remote_waits),	 WORLD(test_hold_and_remove),	  WORLD(test_show_and_cat),
		WORLD(test_show_hostile_header), WORLD(test_deferred_and_failed),
	};

	signal(SIGPIPE, SIG_IGN);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
