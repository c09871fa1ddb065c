/* A message to other servers through queue - taken in, its ways asked for, lanes opened, handed out, refused,
 * put off, its sender told - in which each request for memory is refused in turn: what was promised is
 * delivered once or told of once, nothing stays behind, and the next message works in full. */
#include "base/test_torture.h"

#include "queue/relay_world.h"

static char dir[64];

static int set_up(void **state)
{
	(void)state;
	parts_folder("queue-relay", true, dir);
	w.now = PARTS_NOW;
	id_source_init(&w.q.ids, 1);
	world_begin(disk_real(), dir);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	world_end();
	return parts_remove(dir);
}

static void one_message(const char *what)
{
	w.messages = 0;
	w.again = false;
	world_submit();
	world_sync();
	world_turns();
	w.now += 2000;
	world_turns();
	w.now += 3600 * 1000;
	w.again = true;
	world_turns();
	if (!torture_hit())
		assert_true(w.message[0].promised);
	torture_enough();
	world_finish(what);
	world_books(what, false);
}

static void test_relayed(void **state)
{
	(void)state;
	if (!torture_works())
		skip();
	torture_enough();
	one_message("at first");
	for (struct torture t = torture(7); torture_goes_on(&t);) {
		char what[60];

		snprintf(what, sizeof(what), "TORTURE_AT=%u%s", t.nth, t.rest ? "+" : "");
		one_message(what);
		one_message(what); /* the next one */
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test_setup_teardown(test_relayed, set_up,
									    tear_down) };

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
