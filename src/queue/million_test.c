/* A long queue: how much memory a deferred message takes, and how long a start and a listing do.
 *
 * Two thousand messages by default, which shows that it works; `make test-full` runs it with
 * POSTERN_MILLION=1000000 in the build `plain`, and measures.  The messages have one recipient each, of a
 * thousand domains, and were answered with one of some hundred texts, as happens when large sites say "not
 * now". */
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

#include "ipc/message.h"
#include "queue/describe.h"
#include "queue/load.h"

#define DOMAINS 1000
#define TEXTS	100
#define BATCH	500
#define MOST	300 /* octets of memory a message */

static char dir[] = "/tmp/postern-million-XXXXXX";
static unsigned messages = 2000;

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
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
	struct spool_setup setup = { .dir = dir,
				     .disk = disk_real(),
				     .memory_max = 64U << 20,
				     .body_memory_max = 256U << 10,
				     .segment_max = 64U << 20,
				     .manual_sync = true };
	struct spool *sp;

	assert_int_equal(spool_open(&setup, &sp), 0);
	return sp;
}

static void put_message(struct spool *sp, struct id_source *ids, unsigned n, uint64_t now)
{
	char address[64];
	struct envelope e = { .sender = SLICE_LIT("news@example.org"),
			      .account = 1 + n % 7,
			      .listener = SLICE_LIT("submission"),
			      .account_name = SLICE_LIT("news@example.org"),
			      .message_id = SLICE_LIT("2026.1234@example.org"),
			      .recipients = 1 };
	struct envelope_rcpt r = { .kind = IPC_TARGET_REMOTE };
	struct spool_message m = { .id = id_next(ids, now), .time_ms = now, .recipients = 1 };
	struct spool_body *body;
	struct buf envelope;

	snprintf(address, sizeof(address), "user%u@d%u.example", n, n % DOMAINS);
	r.address = r.original = slice_str(address);
	buf_init(&envelope, ENVELOPE_MAX);
	envelope_put(&e, &envelope);
	envelope_put_rcpt(&r, &envelope);
	m.envelope = buf_slice(&envelope);
	m.headers = SLICE_LIT("Received: from somewhere\r\n");
	assert_int_equal(spool_body_new(sp, &body), 0);
	assert_int_equal(spool_body_put(body, SLICE_LIT("Subject: news\r\n\r\nNews.\r\n")), 0);
	assert_int_equal(spool_commit(sp, body, &m, n), 0);
	buf_done(&envelope);
}

static void defer(struct spool *sp, const struct id *id, unsigned n, uint64_t now)
{
	char text[128];
	struct envelope_reason why = { .attempts = 3,
				       .next_ms = now + 3600000 + n,
				       .code = 450,
				       .status = SLICE_LIT("4.7.1"),
				       .remote = SLICE_LIT("mx1.example.net") };
	struct buf detail;

	snprintf(text, sizeof(text), "<mx1.example.net>: 4.7.1 try again later, please (rule %u)", n % TEXTS);
	why.text = slice_str(text);
	buf_init(&detail, 1024);
	envelope_put_reason(&why, &detail);
	assert_int_equal(spool_mark(sp, id, 0, SPOOL_MARK_ATTEMPT, SLICE_LIT("")), 0);
	assert_int_equal(spool_mark(sp, id, 0, SPOOL_MARK_DEFERRED, buf_slice(&detail)), 0);
	buf_done(&detail);
}

static void fill(void)
{
	struct spool *sp = open_spool();
	struct id_source ids;
	struct spool_done done;
	struct spool_info info;
	uint64_t now = now_ms();
	unsigned n = 0;

	id_source_init(&ids, 1);
	while (n < messages) {
		for (unsigned i = 0; i < BATCH && n < messages; i++, n++)
			put_message(sp, &ids, n, now - messages + n);
		assert_int_equal(spool_sync_now(sp), 0);
		while (spool_next_done(sp, &done))
			assert_int_equal(done.result, 0);
	}
	n = 0;
	for (bool more = spool_next(sp, NULL, &info); more; more = spool_next(sp, &info.id, &info))
		defer(sp, &info.id, n++, now);
	assert_int_equal(n, messages);
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
	while (load_step(&load, 64, now_ms()))
		;
	report("the schedule is loaded after another", seconds() - began, "s");
	assert_int_equal(load.loaded, messages);
	assert_int_equal(load.damaged, 0);
	schedule_count(s, &c);
	assert_int_equal(c.messages, messages);
	memory = (resident() - before) / messages;
	report("memory in all", memory, "octets a message");
	began = seconds();
	assert_int_equal(walk(sp, s), messages / DOMAINS);
	report("all were looked at for a listing in", seconds() - began, "s");
	assert_int_equal(c.destinations, 1 + (messages < DOMAINS ? messages : DOMAINS));
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
