/* A long queue: how much memory a deferred message takes, and how long a start and a listing do.
 *
 * Two thousand messages by default, which shows that it works; `make test-full` runs it with
 * POSTERN_MILLION=1000000 in the build `plain`, and measures.  The messages are those of
 * test_deferred.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "queue/describe.h"
#include "queue/load.h"
#include "queue/test_deferred.h"

#define MOST 300 /* octets of memory a message */

static char dir[] = "/tmp/postern-million-XXXXXX";
static unsigned messages = 2000;

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Resident octets of this process. */
static double resident(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	unsigned long all, here = 0;

	malloc_trim(0);
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%lu %lu", &all, &here), 2);
	fclose(f);
	return (double)here * (double)sysconf(_SC_PAGESIZE);
}

static struct spool *open_spool(void)
{
	struct spool *sp;

	assert_int_equal(deferred_open(dir, &sp), 0);
	return sp;
}

static void fill(void)
{
	struct spool *sp = open_spool();
	uint64_t now = deferred_now_ms();

	assert_int_equal(deferred_fill(sp, messages, "example", true, now), 0);
	for (unsigned i = 0; i < 3 + messages / 4000; i++)
		spool_tick(sp, now);
	spool_sync_now(sp);
	spool_close(sp);
}

static void report(const char *what, double value, const char *unit)
{
	print_message("# %s: %.3f %s\n", what, value, unit);
}

/* Every message is looked at, as `postern queue list --domain` does. */
static unsigned walk(struct spool *sp, struct schedule *s)
{
	struct describe_filter filter = { .domain = "d17.example" };
	struct spool_info info;
	unsigned found = 0;

	for (bool more = spool_next(sp, NULL, &info); more; more = spool_next(sp, &info.id, &info)) {
		struct describe d;

		found += describe_init(&d, sp, s, NULL, &info.id) && describe_matches(&d, &filter);
		describe_done(&d);
	}
	return found;
}

static void test_long_queue(void **state)
{
	double before, began, memory;
	struct schedule_counters c;
	struct schedule_setup setup = { .seed = 1 };
	struct schedule *s;
	struct spool *sp;
	struct load load;
	struct conf_setup from = { .file = "test.conf" };
	struct conf_finding *findings = NULL;
	struct ways ways = { 0 };
	struct conf *conf;

	(void)state;
	assert_int_equal(conf_parse(SLICE_LIT("hostname: mx.test\n"), &from, &conf, &findings), 0);
	conf_findings_free(findings);
	assert_true(ways_set(&ways, conf) >= 0);
	fill();
	before = resident();
	began = seconds();
	sp = open_spool();
	report("the spool is open after", seconds() - began, "s");
	report("memory of the spool's index", (resident() - before) / messages, "octets a message");
	assert_int_equal(schedule_new(32, &s), 0);
	schedule_configure(s, &setup);
	load_init(&load, sp, s, &ways);
	began = seconds();
	while (load_step(&load, 64, deferred_now_ms()))
		;
	report("the schedule is loaded after another", seconds() - began, "s");
	assert_int_equal(load.loaded, messages);
	assert_int_equal(load.damaged, 0);
	schedule_count(s, &c);
	assert_int_equal(c.messages, messages);
	memory = (resident() - before) / messages;
	report("memory in all", memory, "octets a message");
	began = seconds();
	assert_int_equal(walk(sp, s), messages / DEFERRED_DOMAINS);
	report("all were looked at for a listing in", seconds() - began, "s");
	assert_int_equal(c.destinations, 1 + (messages < DEFERRED_DOMAINS ? messages : DEFERRED_DOMAINS));
	if (messages >= 100000)
		assert_true(memory < MOST);
	schedule_free(s);
	spool_close(sp);
	ways_done(&ways);
	conf_free(conf);
}

static void remove_all(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		char name[512];

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
		if (unlink(name) != 0)
			remove_all(name);
	}
	if (d)
		closedir(d);
	rmdir(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_long_queue) };
	const char *n = getenv("POSTERN_MILLION");
	int r;

	cmocka_set_message_output(CM_OUTPUT_TAP);
	if (n)
		messages = (unsigned)strtoul(n, NULL, 10);
	if (!mkdtemp(dir))
		return 1;
	r = cmocka_run_group_tests(tests, NULL, NULL);
	remove_all(dir);
	return r;
}
