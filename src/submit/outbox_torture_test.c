/* outbox_torture_test.c - memory is refused at each request in turn: a message is kept or it is not, and
 * nobody is told that a file has decayed because memory was lacking. */
#include "submit/outbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sys/stat.h>

#include "base/test_torture.h"

static const struct outbox_way way = { .url = "smtp://us@x.example", .pins = 1, .pin = { "aa" } };

struct world {
	char path[64];
	struct outbox *o;
	struct draft draft;
};

static void begin(struct world *w)
{
	char why[OUTBOX_ERROR_MAX];
	struct slice none = SLICE_LIT("");

	snprintf(w->path, sizeof(w->path), "%s/outbox_torture.XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(w->path));
	assert_int_equal(outbox_open(w->path, NULL, true, &w->o, why), 0);
	assert_int_equal(draft_init(&w->draft), 0);
	assert_int_equal(draft_begin(&w->draft), 0);
	assert_int_equal(draft_append(&w->draft, SLICE_LIT("Subject: x\r\n\r\nhello\r\n")), 0);
	w->draft.envelope.notify = 1;
	assert_int_equal(submit_envelope_sender(&w->draft.envelope, SLICE_LIT("us@x.example"), none, NULL),
			 0);
	assert_int_equal(submit_envelope_add(&w->draft.envelope, SLICE_LIT("a@x.example, b@x.example"), none,
					     none, NULL),
			 0);
}

static bool remove_one(void *arg, const char *name)
{
	const int *dir = arg;

	return unlinkat(*dir, name, 0) == 0;
}

static void end(struct world *w)
{
	int dir = open(w->path, O_RDONLY | O_DIRECTORY);

	outbox_close(w->o);
	draft_done(&w->draft);
	disk_real()->list(disk_real(), dir, remove_one, &dir);
	close(dir);
	assert_int_equal(rmdir(w->path), 0);
}

static int put(struct world *w, struct id *ret)
{
	struct outbox_new n = {
		.draft = &w->draft, .way = &way, .text = "not \xff now", .now_ms = 1790000000000
	};

	return outbox_put(w->o, &n, ret);
}

static int hand_over(struct world *w, const char *id)
{
	const struct outbox_outcome o[] = { { 0, OUTBOX_TAKEN, NULL }, { 1, OUTBOX_REFUSED, "550 \xff no" } };
	struct outbox_message m;
	struct outbox_item *list;
	struct draft d;
	size_t n;
	bool more;
	int r = outbox_read(w->o, id, &m);

	if (r < 0)
		return r;
	r = draft_init(&d);
	if (r == 0)
		r = outbox_draft(w->o, &m, &d);
	draft_done(&d);
	if (r == 0)
		r = outbox_sending(w->o, &m, 1);
	if (r == 0)
		r = outbox_outcomes(w->o, &m, o, 2, false, true, "x", 2);
	outbox_message_done(&m);
	if (r == 0)
		r = outbox_list(w->o, &list, &n, &more);
	if (r == 0) {
		for (size_t i = 0; i < n; i++)
			r = list[i].error < 0 ? list[i].error : r;
		outbox_list_free(list, n);
	}
	return r;
}

static void kept_or_not(void **state)
{
	(void)state;
	if (!torture_works())
		skip();
	for (struct torture t = torture(7); torture_goes_on(&t);) {
		struct outbox_item *list;
		struct world w;
		struct id id;
		size_t n;
		bool more;
		int r;

		begin(&w);
		torture_in();
		r = put(&w, &id);
		torture_out();
		assert_true(r == 0 || (r == -ENOMEM && torture_hit()));
		assert_int_equal(outbox_list(w.o, &list, &n, &more), 0);
		assert_int_equal(n, r == 0);
		outbox_list_free(list, n);
		end(&w);
	}
}

static void handed_over_or_not(void **state)
{
	(void)state;
	if (!torture_works())
		skip();
	for (struct torture t = torture(7); torture_goes_on(&t);) {
		struct world w;
		struct id id;
		int r;

		begin(&w);
		assert_int_equal(put(&w, &id), 0);
		torture_in();
		r = hand_over(&w, id.text);
		torture_out();
		if (r != 0 && (r != -ENOMEM || !torture_hit()))
			fail_msg("TORTURE_AT=%u%s: %d", t.nth, t.rest ? "+" : "", r);
		end(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(kept_or_not),
					    cmocka_unit_test(handed_over_or_not) };

	/* jansson 2.14 does not look whether a string that it reads could grow: it reads another one, or
	 * beyond it. */
	json_set_alloc_funcs(torture_spared_malloc, free);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
