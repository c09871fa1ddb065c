/* merge_torture_test.c - memory is refused at each request in turn: a row is made whole or not at all,
 * whoever asked is told that memory was lacking, not that his list or template is wrong; and the journal
 * never forgets that a message went. */
#include "submit/csv.h"
#include "submit/merge.h"
#include "submit/merge_journal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>

#include "base/test_torture.h"

#define LIST "name,email,id\n\"J\xc3\xb6rg, Dr.\",j@x.test,\"4 \"\"2\"\"\"\nBob,b@x.test,5\n"
#define TEMPLATE                                                                                          \
	"From: a@x.test\nTo: {{name}} <{{email}}>\nCc: c@x.test\nSubject: {{name}} {{id}}\nX-A: {{id}}\n" \
	"List-Unsubscribe: <https://x.test/{{id}}>\nAttach: {{name}}\n\n{{name}}, {{id|x}}, {{email:url}}\n"

static int rows(const struct merge_setup *setup, struct csv *c, size_t *ret_octets, struct buf *words)
{
	struct merge_setup with = *setup;
	struct submit_envelope e;
	struct draft_parts parts;
	struct merge *m = NULL;
	enum csv_result got;
	int r;

	with.columns = c->name;
	with.n = c->columns;
	r = merge_new(&m, &with, words);
	while (r == 0 && (got = csv_next(c)) != CSV_END) {
		struct buf key;

		if (got != CSV_ROW) {
			r = got == CSV_NO_MEMORY ? -ENOMEM : -EINVAL;
			break;
		}
		r = merge_make(m, c->cell, &parts, words);
		if (r < 0)
			break;
		parts.message.id = SLICE_LIT("1");
		parts.message.hostname = SLICE_LIT("x.test");
		r = submit_envelope_init(&e);
		if (r == 0)
			r = merge_check(m, &parts, &e, words);
		submit_envelope_done(&e);
		buf_init(&key, 1000);
		if (r == 0)
			r = merge_key(m, &parts, &key);
		*ret_octets += parts.message.text.n + parts.message.to.n + parts.message.subject.n + key.n +
			       parts.message.headers + parts.message.unsubscribes + parts.files;
		buf_done(&key);
	}
	merge_free(m);
	return r;
}

static int all(size_t *ret_octets)
{
	struct merge_setup setup = { .text = SLICE_LIT(TEMPLATE), .from = "", .folder = "dir" };
	char room[2000];
	struct buf words;
	struct csv c;
	enum csv_result got;
	int r;

	buf_init_in(&words, room, sizeof(room));
	*ret_octets = 0;
	torture_in();
	got = csv_init(&c, SLICE_LIT(LIST));
	r = got == CSV_ROW ? rows(&setup, &c, ret_octets, &words) : got == CSV_NO_MEMORY ? -ENOMEM : -EINVAL;
	csv_done(&c);
	torture_out();
	return r;
}

static void lists(void **state)
{
	size_t octets, got;

	(void)state;
	if (!torture_works())
		skip();
	assert_int_equal(all(&octets), 0);
	for (struct torture t = torture(7); torture_goes_on(&t);) {
		int r = all(&got);

		if (r == 0 ? got != octets : r != -ENOMEM || !torture_hit())
			fail_msg("TORTURE_AT=%u%s: %d, %zu octets", t.nth, t.rest ? "+" : "", r, got);
	}
}

#define HASHES "\"list\":\"L\",\"template\":\"T\",\"rows\":3}\n"
#define SENT                                                                                                \
	"{\"postern_merge\":1," HASHES                                                                      \
	"{\"row\":1,\"line\":2,\"to\":[],\"state\":\"sending\",\"id\":\"1\"}\n"                             \
	"{\"row\":1,\"line\":2,\"to\":[],\"state\":\"sent\",\"id\":\"1\"}\n"                                \
	"{\"row\":2,\"line\":3,\"to\":[],\"state\":\"deferred\",\"id\":\"2\",\"recipients\":[{\"address\":" \
	"\"a\"}]}\n"                                                                                        \
	"{\"row\":2,\"line\":3,\"to\":[],\"state\":\"sending\",\"id\":\"2\"}\n"

static char path[] = "/tmp/merge_torture.XXXXXX";

/* It opens, and knows what went; or it does not open. */
static int journal(void)
{
	struct merge_journal_setup setup = { .path = path, .list = "L", .template = "T", .rows = 3 };
	struct merge_line l = { .row = 3, .line = 4, .state = MERGE_SENDING, .id = "3" };
	struct merge_journal *j = NULL;
	char room[2000];
	struct buf words;
	int r;

	buf_init_in(&words, room, sizeof(room));
	torture_in();
	r = merge_journal_open(&j, &setup, &words);
	if (r == 0) {
		assert_int_equal(merge_journal_state(j, 1), MERGE_SENT);
		assert_int_equal(merge_journal_state(j, 2), MERGE_SENDING);
		assert_int_equal(merge_journal_state(j, 3), MERGE_NEW);
		r = merge_journal_put(j, &l, 0);
	}
	merge_journal_close(j);
	torture_out();
	return r;
}

static void journals(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	if (!torture_works())
		skip();
	assert_true(fd >= 0);
	for (struct torture t = torture(7); torture_goes_on(&t);) {
		char first[sizeof(SENT)] = "";
		int r;

		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(pwrite(fd, SENT, sizeof(SENT) - 1, 0), sizeof(SENT) - 1);
		r = journal();
		/* Without memory jansson takes a good line for a bad one at times: then nothing is sent,
		 * either. */
		if (r < 0 && ((r != -ENOMEM && r != -EBADMSG) || !torture_hit()))
			fail_msg("TORTURE_AT=%u%s: %d", t.nth, t.rest ? "+" : "", r);
		assert_int_equal(pread(fd, first, sizeof(SENT) - 1, 0), sizeof(SENT) - 1);
		assert_string_equal(first, SENT);
	}
	close(fd);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(lists), cmocka_unit_test(journals) };

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
