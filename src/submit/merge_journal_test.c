#include "submit/merge_journal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <signal.h>

#define ROWS 3
#define HEAD "{\"postern_merge\":1,\"list\":\"LIST\",\"template\":\"TEMPLATE\",\"rows\":3}\n"
#define ROW(n, state) \
	"{\"row\":" #n ",\"line\":2,\"to\":[\"a@x.test\"],\"state\":\"" state "\",\"id\":\"i" #n "\"}\n"

static char path[] = "/tmp/merge_journal_test.XXXXXX";

static int set_up(void **state)
{
	int fd;

	(void)state;
	memset(path + sizeof(path) - 7, 'X', 6);
	fd = mkstemp(path);
	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(path);
	return 0;
}

static struct merge_journal_setup setup_of(void)
{
	return (struct merge_journal_setup){
		.path = path, .list = "LIST", .template = "TEMPLATE", .rows = ROWS, .time_ms = 1795304383007
	};
}

static void write_file(struct slice text)
{
	int fd = open(path, O_WRONLY | O_TRUNC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text.p, text.n), text.n);
	close(fd);
}

static struct slice read_file(char room[static 65536])
{
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, room, 65536);

	assert_true(n >= 0);
	close(fd);
	return slice_of(room, (size_t)n);
}

/* What stands in a file, and what is known then: states of the rows in their order, "N new", "s sending" and
 * so on by the first letter ("S" for skipped), or words of what is said; and what the file has then. */
static const struct {
	const char *name, *in, *states, *left; /* left: NULL, as it was */
} rows[] = {
	{ "as it should be", HEAD ROW(1, "sending") ROW(1, "sent") ROW(2, "sending"), "tsn", NULL },
	{ "each state", HEAD ROW(1, "refused") ROW(2, "doubtful") ROW(3, "deferred"), "rd?", NULL },
	{ "skipped, and the last line counts", HEAD ROW(1, "skipped") ROW(2, "refused") ROW(2, "sent"), "ktn",
	  NULL },
	{ "a line cut off", HEAD ROW(1, "sent") "{\"row\":2,\"line\":3,\"to", "tnn", HEAD ROW(1, "sent") },
	{ "a last line of zeros", HEAD ROW(1, "sent") "@@@\n", "tnn", HEAD ROW(1, "sent") },
	{ "half of the first line", "{\"postern_me", "nnn", "" },
	{ "a line in the middle", HEAD "@@\n" ROW(1, "sent"), "line 2: damaged", NULL },
	{ "a row that the list has not", HEAD ROW(4, "sent") ROW(1, "sent"), "line 2: damaged", NULL },
	{ "a state that is none", HEAD ROW(1, "gone") ROW(2, "sent"), "line 2: damaged", NULL },
	{ "a CSV", "id,email\n1,a@x.test\n", "is no result of this command", NULL },
	{ "a CSV without a line end", "id,email", "is no result of this command", NULL },
	{ "another list", "{\"postern_merge\":1,\"list\":\"OTHER\",\"template\":\"TEMPLATE\",\"rows\":3}\n",
	  "the list was changed", NULL },
	{ "more rows", "{\"postern_merge\":1,\"list\":\"LIST\",\"template\":\"TEMPLATE\",\"rows\":4}\n",
	  "the list was changed", NULL },
	{ "another template", "{\"postern_merge\":1,\"list\":\"LIST\",\"template\":\"OTHER\",\"rows\":3}\n",
	  "--changed-template", NULL },
	{ "the one that came last counts",
	  "{\"postern_merge\":1,\"list\":\"LIST\",\"template\":\"OTHER\",\"rows\":3}\n" HEAD ROW(1, "sent"),
	  "tnn", NULL },
	{ "of the future", "{\"postern_merge\":2,\"list\":\"LIST\",\"template\":\"TEMPLATE\",\"rows\":3}\n",
	  "a newer version", NULL },
};

static void put_states(const struct merge_journal *j, struct buf *to)
{
	static const char letters[] = "nstr?dk";

	for (uint32_t row = 1; row <= ROWS; row++)
		buf_byte(to, (unsigned char)letters[merge_journal_state(j, row)]);
}

static void read_back(void **state)
{
	char room[65536];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct merge_journal_setup setup = setup_of();
		struct merge_journal *j = NULL;
		struct buf words;
		struct slice left;
		int r;

		buf_init(&words, 2048);
		write_file(slice_str(rows[i].in));
		r = merge_journal_open(&j, &setup, &words);
		if (r == 0)
			put_states(j, &words);
		if ((r != 0 && r != -EBADMSG) ||
		    !memmem(buf_slice(&words).p, buf_slice(&words).n, rows[i].states, strlen(rows[i].states)))
			fail_msg("%s: %d, '%.*s'", rows[i].name, r, SLICE_ARG(buf_slice(&words)));
		merge_journal_close(j);
		left = read_file(room);
		if (rows[i].left ? !slice_starts(left, slice_str(rows[i].left))
				 : !slice_eq(left, slice_str(rows[i].in)))
			fail_msg("%s: the file is '%.*s'", rows[i].name, SLICE_ARG(left));
		buf_done(&words);
	}
}

static struct merge_journal *must_open(void)
{
	struct merge_journal_setup setup = setup_of();
	struct merge_journal *j = NULL;
	struct buf words;

	buf_init(&words, 2048);
	assert_int_equal(merge_journal_open(&j, &setup, &words), 0);
	buf_done(&words);
	return j;
}

static void put_row(struct merge_journal *j, uint32_t row, enum merge_state s, const char *text,
		    json_t *recipients)
{
	struct merge_line l = { .row = row,
				.line = row + 1,
				.state = s,
				.id = "id@x.test",
				.code = 250,
				.status = "2.0.0",
				.text = text,
				.step = "final",
				.host = "h",
				.recipients = recipients };

	assert_int_equal(merge_journal_put(j, &l, 1795304383007), 0);
}

/* What is written is known at once, and by who opens it next. */
static void written(void **state)
{
	struct merge_journal *j = must_open();
	json_t *two = json_pack("[{s:s, s:s}]", "address", "a@x.test", "result", "sent"), *line;
	char room[65536];
	struct slice cur, text = { 0 };

	(void)state;
	assert_true(merge_journal_is_new(j));
	put_row(j, 2, MERGE_SENDING, NULL, NULL);
	put_row(j, 2, MERGE_DEFERRED, "450 \"later\" \xff\n\x01", two);
	put_row(j, 1, MERGE_SENT, "250 ok", NULL);
	assert_int_equal(merge_journal_sync(j), 0);
	for (int again = 0; again < 2; again++) {
		assert_int_equal(merge_journal_state(j, 1), MERGE_SENT);
		assert_int_equal(merge_journal_state(j, 2), MERGE_DEFERRED);
		assert_int_equal(merge_journal_state(j, 3), MERGE_NEW);
		assert_int_equal(merge_journal_state(j, 4), MERGE_NEW);
		assert_int_equal(merge_journal_count(j, MERGE_SENT), 1);
		assert_int_equal(merge_journal_count(j, MERGE_NEW), 1);
		assert_null(merge_journal_id(j, 1));
		assert_string_equal(merge_journal_id(j, 2), "id@x.test");
		assert_true(json_equal(two, merge_journal_recipients(j, 2)));
		merge_journal_close(j);
		j = must_open();
		assert_false(merge_journal_is_new(j));
	}
	merge_journal_close(j);
	json_decref(two);
	cur = read_file(room);
	for (int i = 0; i < 3; i++)
		assert_true(cur_until(&cur, '\n', &text));
	line = json_loadb((const char *)text.p, text.n, 0, NULL);
	assert_non_null(line);
	assert_string_equal(json_string_value(json_object_get(line, "text")),
			    "450 \"later\" \xef\xbf\xbd\n\x01");
	assert_string_equal(json_string_value(json_object_get(line, "time")), "2026-11-21T23:39:43.007Z");
	json_decref(line);
}

static void one_at_a_time(void **state)
{
	struct merge_journal *j = must_open(), *second = NULL;
	struct merge_journal_setup setup = setup_of();
	struct buf words;

	(void)state;
	buf_init(&words, 2048);
	assert_int_equal(merge_journal_open(&second, &setup, &words), -EBUSY);
	merge_journal_close(j);
	assert_int_equal(merge_journal_open(&second, &setup, &words), 0);
	merge_journal_close(second);
	buf_done(&words);
}

/* A disk that is full in the middle of a line: half a line is taken back, and nothing more is written. */
static void full(void **state)
{
	struct rlimit before, small;
	struct merge_journal *j = must_open();
	struct merge_line l = { .row = 1, .line = 2, .state = MERGE_SENDING, .id = "id@x.test" };
	char room[65536];
	struct slice first = read_file(room);

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = before;
	small.rlim_cur = first.n + 20;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(merge_journal_put(j, &l, 0), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(read_file(room).n, first.n);
	assert_int_equal(merge_journal_put(j, &l, 0), -EFBIG); /* it is final */
	assert_int_equal(merge_journal_sync(j), -EFBIG);
	assert_int_equal(merge_journal_state(j, 1), MERGE_NEW);
	merge_journal_close(j);
	j = must_open();
	assert_int_equal(merge_journal_state(j, 1), MERGE_NEW);
	merge_journal_close(j);
}

static void changed(void **state)
{
	struct merge_journal_setup setup = setup_of();
	struct merge_journal *j = must_open();
	struct buf words;

	(void)state;
	put_row(j, 1, MERGE_SENT, "", NULL);
	merge_journal_close(j);
	buf_init(&words, 2048);
	memcpy(setup.template, "NEW", 4);
	assert_int_equal(merge_journal_open(&j, &setup, &words), -EBADMSG);
	setup.template_may_differ = true;
	assert_int_equal(merge_journal_open(&j, &setup, &words), 0);
	assert_int_equal(merge_journal_state(j, 1), MERGE_SENT);
	merge_journal_close(j);
	setup.template_may_differ = false;
	assert_int_equal(merge_journal_open(&j, &setup, &words), 0);
	merge_journal_close(j);
	buf_done(&words);
}

static void no_file(void **state)
{
	struct merge_journal_setup setup = setup_of();
	struct merge_journal *j = NULL;
	struct buf words;

	(void)state;
	buf_init(&words, 2048);
	setup.path = "/dev/null";
	assert_int_equal(merge_journal_open(&j, &setup, &words), -EBADMSG);
	setup.path = "/nonexistent/x";
	assert_int_equal(merge_journal_open(&j, &setup, &words), -ENOENT);
	buf_done(&words);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(read_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(written, set_up, tear_down),
		cmocka_unit_test_setup_teardown(one_at_a_time, set_up, tear_down),
		cmocka_unit_test_setup_teardown(full, set_up, tear_down),
		cmocka_unit_test_setup_teardown(changed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(no_file, set_up, tear_down),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
