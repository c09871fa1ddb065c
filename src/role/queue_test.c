/* From smtp into the mailbox, whoever dies on the way. */
#include "role/queue_world.h"

static void test_into_the_mailbox(void **state)
{
	char name[512], text[1024];
	ssize_t n;
	int fd;

	(void)state;
	start_local();
	submit("bob", SLICE_LIT("Subject: hello\r\n\r\nfirst\r\n"));
	assert_int_equal(wait_mailbox("bob", 1), 1);
	in_mailbox("bob", name, sizeof(name));
	fd = open(name, O_RDONLY);
	n = read(fd, text, sizeof(text) - 1);
	assert_true(n > 0);
	close(fd);
	text[n] = '\0';
	assert_string_equal(text, "Return-Path: <ann@example.org>\nDelivered-To: bob@example.org\n"
				  "Received: by the test\nSubject: hello\n\nfirst\n");
	wait_empty();
}

static void test_large_body(void **state)
{
	enum { SIZE = 5 * 1000 * 1000 };
	char *body = malloc(SIZE), *got = malloc(SIZE), name[512];
	ssize_t n, head = sizeof("Return-Path: <ann@example.org>\nDelivered-To: bob@example.org\n"
				 "Received: by the test\n") -
			  1;
	int fd;

	(void)state;
	start_local();
	for (size_t i = 0; i < SIZE; i++)
		body[i] = (char)('a' + i * 7 % 23);
	memcpy(body, "A: b\r\n\r\n", 8);
	submit("bob", slice_of(body, SIZE));
	assert_int_equal(wait_mailbox("bob", 1), 1);
	in_mailbox("bob", name, sizeof(name));
	fd = open(name, O_RDONLY);
	assert_int_equal(lseek(fd, 0, SEEK_END), head + SIZE - 2);
	n = pread(fd, got, SIZE - 8, head + 6);
	assert_int_equal(n, SIZE - 8);
	assert_memory_equal(got, body + 8, SIZE - 8);
	close(fd);
	free(body);
	free(got);
	wait_empty();
}

static void test_many_recipients(void **state)
{
	struct id id = id_next(&w.ids, 1800000000000);
	char address[64], mailbox[64];

	(void)state;
	start_local();
	w.tx++;
	put_body(w.tx, SLICE_LIT("Subject: all\r\n\r\nx\r\n"));
	for (int i = 0; i < 250; i++) {
		snprintf(address, sizeof(address), "u%d@example.org", i);
		snprintf(mailbox, sizeof(mailbox), "example.org/u%d", i);
		put_rcpt(w.tx, IPC_TARGET_MAILBOX, address, mailbox);
	}
	assert_int_equal(put_commit(w.tx, &id, 19), 0);
	wait_empty();
	for (int i = 0; i < 250; i++) {
		snprintf(address, sizeof(address), "u%d", i);
		assert_int_equal(in_mailbox(address, NULL, 0), 1);
	}
}

static void test_rules_of_a_transaction(void **state)
{
	struct id id = id_next(&w.ids, 1800000000000), other = id_next(&w.ids, 1800000000000);
	struct ipc_message drop = { .type = IPC_TYPE_drop, .drop = { .tx = 5 } };

	(void)state;
	put_rcpt(1, IPC_TARGET_MAILBOX, "bob@example.org", "example.org/bob");
	put_body(1, SLICE_LIT("x\r\n"));
	assert_int_equal(put_commit(1, &id, 4), EPROTO); /* not what came */
	put_body(2, SLICE_LIT("x\r\n"));
	assert_int_equal(put_commit(2, &id, 3), EPROTO); /* for nobody */
	assert_int_equal(put_commit(3, &id, 0), EPROTO); /* never begun */
	put_rcpt(4, IPC_TARGET_MAILBOX, "bob@example.org", "example.org/bob");
	put_body(4, SLICE_LIT("x\r\n"));
	assert_int_equal(put_commit(4, &id, 3), 0);
	put_rcpt(5, IPC_TARGET_MAILBOX, "bob@example.org", "example.org/bob");
	put_body(5, SLICE_LIT("x\r\n"));
	assert_int_equal(put_commit(5, &id, 3), EEXIST);
	put_rcpt(5, IPC_TARGET_MAILBOX, "bob@example.org", "example.org/bob");
	put_body(5, SLICE_LIT("x\r\n"));
	send_msg(w.smtp, &drop, -1);
	assert_int_equal(put_commit(5, &other, 3), EPROTO);
	assert_int_equal(listed(NULL, NULL), 1);
	assert_int_equal(listed("state", "queued"), 1); /* local is away */
	/* Nobody's transaction outlives its channel. */
	put_rcpt(6, IPC_TARGET_MAILBOX, "bob@example.org", "example.org/bob");
	put_body(6, SLICE_LIT("x\r\n"));
	close(w.smtp);
	w.smtp = pair_with(&w.queue, IPC_SMTP);
	assert_int_equal(put_commit(6, &other, 3), EPROTO);
}

static void test_local_comes_late(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++)
		submit("bob", SLICE_LIT("Subject: x\r\n\r\nx\r\n"));
	assert_int_equal(listed("state", "queued"), 20);
	start_local();
	wait_empty();
	assert_int_equal(in_mailbox("bob", NULL, 0), 20);
}

/* Nothing is lost, whoever dies; what was under way may come twice. */
static void test_killed_in_the_middle(void **state)
{
	(void)state;
	start_local();
	for (int i = 0; i < 30; i++)
		submit("bob", SLICE_LIT("Subject: x\r\n\r\nx\r\n"));
	stop(&w.local);
	for (int i = 0; i < 30; i++)
		submit("eve", SLICE_LIT("Subject: x\r\n\r\nx\r\n"));
	start_local();
	usleep(1000);
	stop_queue();
	start_queue();
	introduce();
	wait_empty();
	assert_true(in_mailbox("bob", NULL, 0) >= 30);
	assert_true(in_mailbox("eve", NULL, 0) >= 30);
}

/* Turns one octet of what the spool has stored; how often the text was found. */
static int spoil(const char *text)
{
	char cmd[256];
	struct dirent *e;
	int found = 0;
	DIR *d;

	snprintf(cmd, sizeof(cmd), "%s/state/spool", w.dir);
	d = opendir(cmd);
	assert_non_null(d);
	while ((e = readdir(d))) {
		int fd = openat(dirfd(d), e->d_name, O_RDWR);
		off_t n = fd >= 0 ? lseek(fd, 0, SEEK_END) : 0;
		char *all = n > 0 ? malloc((size_t)n) : NULL, *at;

		if (all && pread(fd, all, (size_t)n, 0) == n &&
		    (at = memmem(all, (size_t)n, text, strlen(text)))) {
			assert_int_equal(pwrite(fd, "\xff", 1, at - all), 1);
			found++;
		}
		free(all);
		if (fd >= 0)
			close(fd);
	}
	closedir(d);
	return found;
}

/* What the disk spoiled is neither delivered nor dropped, and harms nobody else. */
static void test_damaged(void **state)
{
	(void)state;
	submit("bob", SLICE_LIT("Subject: a\r\n\r\nspoil me\r\n"));
	submit("bob", SLICE_LIT("Subject: b\r\n\r\nsound\r\n"));
	stop_queue();
	assert_int_equal(spoil("spoil me"), 1);
	start_queue();
	start_local();
	assert_int_equal(wait_mailbox("bob", 1), 1);
	/* The sound one is in its mailbox a moment before queue has heard of it. */
	wait_listed(NULL, NULL, 1);
	assert_int_equal(listed("state", "damaged") + listed("state", "failed"), 1);
	assert_int_equal(in_mailbox("bob", NULL, 0), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD(test_into_the_mailbox), WORLD(test_large_body),
		WORLD(test_many_recipients),  WORLD(test_rules_of_a_transaction),
		WORLD(test_local_comes_late), WORLD(test_killed_in_the_middle),
		WORLD(test_damaged),
	};

	signal(SIGPIPE, SIG_IGN);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
