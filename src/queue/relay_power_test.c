/* The power fails while mail goes on to other servers: before each thing that is done to the disk, most of
 * all between another server's 250 and our record of it.  After the start nothing is lost, nobody is told
 * what is not so, and it comes twice only if we cannot have known.
 *
 * One scripted day runs on the simulated disk, cut off at each of its operations in turn.  By default what
 * the disk kept is tried in three ways; POSTERN_FULL=1 tries many more. */
#include "queue/relay_world.h"
#include "spool/disk_sim.h"

static struct disk_sim *sim;
static uint64_t came_twice;

static void fresh(void)
{
	memset(&w, 0, sizeof(w));
	w.now = PARTS_NOW;
	w.boot = "11111111-1111-1111-1111-111111111111";
	w.off = disk_sim_is_cut;
	w.off_arg = sim;
	id_source_init(&w.q.ids, 1);
}

static void pass(uint64_t ms)
{
	w.now += ms;
	if (!world_is_off())
		world_tick();
	world_turns();
}

static void day(void)
{
	world_submit();
	world_sync();
	world_turns();
	world_submit();
	world_sync();
	world_submit();
	world_sync();
	pass(1000);
	pass(1500); /* reports */
	w.again = true;
	pass(600000);
	world_submit();
	world_sync();
	pass(0);
	for (unsigned i = 0; i < 6; i++)
		pass(3000);
	pass(600000);
}

/* Nothing that we knew of before the cut was done again. */
static void known_is_known(const char *what, const struct world_message *before)
{
	for (unsigned i = 0; i < w.messages; i++)
		for (unsigned k = 0; k < WORLD_RCPTS; k++) {
			if (before[i].known_taken[k] && w.message[i].taken[k] != before[i].taken[k])
				fail_msg("%s: message %u came again to %s, though that it was taken was on "
					 "the disk",
					 what, i, world_address((enum world_rcpt)k));
			if (before[i].known_told[k] && w.message[i].told[k] != before[i].told[k])
				fail_msg("%s: message %u was reported again", what, i);
		}
}

/* What was taken before and came again is said to be possibly there twice: also where the mark of the
 * attempt went with the power. */
static void twice_is_told(const char *what, const struct world_message *before)
{
	uint64_t twice = 0;

	for (unsigned i = 0; i < w.messages; i++)
		for (unsigned k = 0; k < WORLD_RCPTS; k++)
			twice += before[i].taken[k] > 0 && w.message[i].taken[k] > before[i].taken[k];
	if (w.load.possibly_twice < twice)
		fail_msg("%s: %u recipients got it twice, %u were marked", what, (unsigned)twice,
			 (unsigned)w.load.possibly_twice);
	came_twice += twice;
}

static bool cut_off(uint64_t after, enum disk_sim_cut how, uint32_t seed)
{
	struct world_message before[WORLD_MESSAGES];
	char what[80];
	bool cut;

	snprintf(what, sizeof(what), "cut after %u, kept %u, seed %u", (unsigned)after, (unsigned)how,
		 (unsigned)seed);
	sim = disk_sim_new();
	assert_non_null(sim);
	fresh();
	world_begin(disk_sim_disk(sim), "sim");
	disk_sim_cut_after(sim, after);
	day();
	cut = disk_sim_is_cut(sim);
	memcpy(before, w.message, sizeof(before));
	world_end();
	disk_sim_reboot(sim, how, seed);
	w.off = NULL;
	w.boot = "22222222-2222-2222-2222-222222222222";
	world_begin(disk_sim_disk(sim), "sim");
	world_finish(what);
	world_books(what, true);
	if (cut) {
		known_is_known(what, before);
		twice_is_told(what, before);
	}
	world_end();
	disk_sim_free(sim);
	return cut;
}

static void test_cut_off(void **state)
{
	unsigned seeds = getenv("POSTERN_FULL") ? 40 : 1;
	uint64_t n = 0;
	bool more = true;

	(void)state;
	log_level(getenv("TEST_LOG") ? LOG_DEBUG : LOG_CRIT);
	for (; more; n++) {
		more = cut_off(n, DISK_SIM_LOSE, 0);
		cut_off(n, DISK_SIM_KEEP, 0);
		for (unsigned seed = 1; seed <= seeds; seed++)
			cut_off(n, DISK_SIM_SOME, (uint32_t)n * 1000 + seed);
	}
	print_message("# %u operations\n", (unsigned)n);
	assert_true(n > 50 && came_twice > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_cut_off) };

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
