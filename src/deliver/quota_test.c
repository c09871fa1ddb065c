#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "deliver/maildir.h"
#include "deliver/quota.h"

#define NOW 1800000000

/* ---- the text ---- */

static const struct text {
	const char *text;
	uint64_t limit;
	bool ok;
	uint64_t octets, messages;
	unsigned lines;
} texts[] = {
	{ "1000S\n10 1\n", 1000, true, 10, 1, 1 },
	{ "1000S\n10 1\n20 1\n-5 -1\n", 1000, true, 25, 1, 3 },
	{ "1000S,50C\n0 0\n", 1000, true, 0, 0, 1 },
	{ "50C,1000S\n7 7\n", 1000, true, 7, 7, 1 },
	{ "1000S\n         10            1\n        -10           -1\n", 1000, true, 0, 0,
	  2 }, /* Courier's */
	{ "1000S\n10\t1 \n", 1000, true, 10, 1, 1 },
	{ "2000S\n10 1\n", 1000, false, 0, 0, 0 }, /* another limit */
	{ "2000S\n10 1\n", 0, true, 10, 1, 1 },
	{ "\n10 1\n", 0, true, 10, 1, 1 }, /* no limit at all */
	{ "\n10 1\n", 1000, false, 0, 0, 0 },
	{ "", 0, false, 0, 0, 0 },
	{ "1000S", 1000, false, 0, 0, 0 },
	{ "1000S\n", 1000, false, 0, 0, 0 },	     /* not counted yet */
	{ "1000S\n10 1\n20", 1000, false, 0, 0, 0 }, /* torn */
	{ "1000S\n10 1\n20 1", 1000, false, 0, 0, 0 },
	{ "1000S\n10 1\n\n", 1000, false, 0, 0, 0 },
	{ "1000S\n10 1 1\n", 1000, false, 0, 0, 0 },
	{ "1000S\n10 x\n", 1000, false, 0, 0, 0 },
	{ "1000S\n10\n", 1000, false, 0, 0, 0 },
	{ "1000S\n5 1\n-10 -1\n", 1000, false, 0, 0, 0 }, /* less than nothing: lines got lost */
	{ "1000S\n5 1\n0 -2\n", 1000, false, 0, 0, 0 },
	{ "1000Q\n5 1\n", 0, false, 0, 0, 0 },
	{ "1000S\n9223372036854775807 1\n9223372036854775807 1\n", 1000, false, 0, 0, 0 },
	{ "1000S\n99999999999999999999 1\n", 1000, false, 0, 0, 0 },
};

static void the_text(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		const struct text *t = &texts[i];
		struct quota_usage u = { 77, 78 };
		unsigned lines = 79;
		bool ok = quota_parse(slice_str(t->text), t->limit, &u, &lines);

		if (ok != t->ok ||
		    (ok && (u.octets != t->octets || u.messages != t->messages || lines != t->lines)) ||
		    (!ok && (u.octets != 77 || lines != 79)))
			fail_msg("text %zu: %d, %llu in %llu", i, ok, (unsigned long long)u.octets,
				 (unsigned long long)u.messages);
	}
}

static void too_long_a_text(void **state)
{
	struct quota_usage u;
	unsigned lines;
	struct buf b;

	(void)state;
	buf_init(&b, QUOTA_FILE_MAX + 100);
	buf_str(&b, "1000S\n");
	while (b.n + 4 < QUOTA_FILE_MAX)
		buf_str(&b, "1 1\n");
	assert_true(quota_parse(buf_slice(&b), 1000, &u, &lines));
	buf_str(&b, "1 1\n1 1\n");
	assert_false(quota_parse(buf_slice(&b), 1000, &u, &lines));
	buf_done(&b);
}

static void sizes_in_names(void **state)
{
	static const struct {
		const char *name;
		bool ok;
		uint64_t size;
	} names[] = {
		{ "1.M2P3.host,S=678,W=690:2,S", true, 678 },
		{ "1.M2P3.host,W=690,S=678", true, 678 },
		{ "1.M2P3.host,S=0", true, 0 },
		{ "1.M2P3.host", false, 0 },
		{ "1.M2P3.host:2,S=5", false, 0 }, /* a flag is no size */
		{ "1.M2P3.host,S=", false, 0 },
		{ "1.M2P3.host,S=5x", false, 0 },
		{ "S=5", false, 0 },
		{ "1,S=99999999999999999999", false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		uint64_t size = 0;

		if (quota_size_of_name(slice_str(names[i].name), &size) != names[i].ok ||
		    size != names[i].size)
			fail_msg("%s", names[i].name);
	}
}

/* ---- a mailbox ---- */

static char root[64];
static int root_fd, box;

static int make_box(void **state)
{
	static const char *const folders[] = { "box", "box/cur", "box/new", "box/tmp" };

	(void)state;
	snprintf(root, sizeof(root), "/tmp/quota-test-XXXXXX");
	if (!mkdtemp(root))
		return -1;
	root_fd = open(root, O_RDONLY | O_DIRECTORY);
	for (size_t i = 0; i < 4; i++)
		mkdirat(root_fd, folders[i], 0700);
	box = openat(root_fd, "box", O_RDONLY | O_DIRECTORY);
	return box < 0 ? -1 : 0;
}

static int rm(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static int drop_box(void **state)
{
	(void)state;
	close(box);
	close(root_fd);
	return nftw(root, rm, 16, FTW_DEPTH | FTW_PHYS);
}

static void put(const char *path, const char *text)
{
	int fd = openat(box, path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void file_is(const char *want)
{
	char text[QUOTA_FILE_MAX + 1] = "";
	int fd = openat(box, QUOTA_FILE, O_RDONLY);

	assert_true(fd >= 0);
	assert_true(read(fd, text, QUOTA_FILE_MAX) >= 0);
	close(fd);
	assert_string_equal(text, want);
}

static void an_empty_mailbox_fills(void **state)
{
	struct quota_usage u;

	(void)state;
	assert_int_equal(quota_take(box, 100, 101, NOW), QUOTA_TOO_LARGE);
	assert_int_equal(faccessat(box, QUOTA_FILE, F_OK, 0), -1);
	assert_int_equal(quota_take(box, 100, 60, NOW), QUOTA_FITS);
	file_is("100S\n0 0\n60 1\n");
	/* They are counted, but not there: before it refuses, it looks. */
	assert_int_equal(quota_take(box, 100, 60, NOW), QUOTA_FITS);
	file_is("100S\n0 0\n60 1\n");
	put("new/1.a,S=60", "");
	assert_int_equal(quota_take(box, 100, 60, NOW), QUOTA_FULL);
	file_is("100S\n60 1\n");
	assert_int_equal(quota_take(box, 100, 40, NOW), QUOTA_FITS);
	put("cur/2.b,S=40:2,S", "");
	assert_int_equal(quota_take(box, 100, 1, NOW), QUOTA_FULL);
	assert_int_equal(quota_usage(box, &u), 0);
	assert_true(u.octets == 100 && u.messages == 2);
}

static void every_folder_counts(void **state)
{
	struct quota_usage u;

	(void)state;
	mkdirat(box, ".Sent", 0700);
	mkdirat(box, ".Sent/cur", 0700);
	mkdirat(box, "other", 0700);
	mkdirat(box, "other/cur", 0700);
	put("cur/1,S=5", "");
	put("new/2", "seven.."); /* no size in its name */
	put("tmp/3,S=100", "");	 /* not there yet */
	put(".Sent/cur/4,S=3", "");
	put("other/cur/5,S=1000", ""); /* no folder of the mailbox */
	put("cur/.hidden,S=1000", "");
	assert_int_equal(symlinkat("2", box, "new/6"), 0);
	assert_int_equal(quota_usage(box, &u), 0);
	assert_int_equal(u.octets, 15);
	assert_int_equal(u.messages, 3);
	assert_int_equal(faccessat(box, QUOTA_FILE, F_OK, 0), -1); /* looking changes nothing */
}

static void a_damaged_file_is_counted_anew(void **state)
{
	static const char *const texts_[] = { "", "garbage", "100S\n5", "999S\n100 1\n", "100S\n-1 -1\n" };

	(void)state;
	put("cur/1,S=30", "");
	for (size_t i = 0; i < sizeof(texts_) / sizeof(texts_[0]); i++) {
		put(QUOTA_FILE, texts_[i]);
		assert_int_equal(quota_take(box, 100, 10, NOW), QUOTA_FITS);
		file_is("100S\n30 1\n10 1\n");
	}
}

/* One line, written just now: it is believed, and a full mailbox costs no count each time. */
static void a_fresh_count_is_enough_to_refuse(void **state)
{
	struct timespec old[2] = { { .tv_sec = NOW - QUOTA_STALE_S - 5 },
				   { .tv_sec = NOW - QUOTA_STALE_S - 5 } };
	static const struct timespec long_ago[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };

	(void)state;
	assert_int_equal(utimensat(box, "cur", long_ago, 0), 0);
	assert_int_equal(utimensat(box, "new", long_ago, 0), 0);
	put(QUOTA_FILE, "100S\n95 1\n"); /* nothing is there in truth */
	assert_int_equal(quota_take(box, 100, 10, time(NULL)), QUOTA_FULL);
	file_is("100S\n95 1\n");
	put("cur/1,S=91", ""); /* something came or went since */
	assert_int_equal(quota_take(box, 100, 10, time(NULL)), QUOTA_FULL);
	file_is("100S\n91 1\n");
	assert_int_equal(unlinkat(box, "cur/1,S=91", 0), 0);
	assert_int_equal(utimensat(box, QUOTA_FILE, old, 0), 0);
	assert_int_equal(quota_take(box, 100, 10, NOW), QUOTA_FITS);
	file_is("100S\n0 0\n10 1\n");
}

static void notes(void **state)
{
	(void)state;
	assert_false(quota_note(box, 5, 1));
	assert_int_equal(faccessat(box, QUOTA_FILE, F_OK, 0), -1);
	put(QUOTA_FILE, "100S\n0 0\n");
	assert_true(quota_note(box, 5, 1));
	assert_true(quota_note(box, -5, -1));
	file_is("100S\n0 0\n5 1\n-5 -1\n");
	unlinkat(box, QUOTA_FILE, 0);
	assert_int_equal(symlinkat("cur", box, QUOTA_FILE), 0); /* no link is followed */
	quota_note(box, 5, 1);
	assert_int_equal(unlinkat(box, QUOTA_FILE, 0), 0);
}

#define THREADS 8
#define ROUNDS	100

static pthread_barrier_t start, over;
static unsigned took[THREADS];

/* All want the room that one may have.  A message is there before it is counted, so that
 * whoever counts anew finds it. */
static void *taker(void *arg)
{
	unsigned i = (unsigned)(uintptr_t)arg;
	char name[64];

	snprintf(name, sizeof(name), "new/%u,S=10", i);
	for (int k = 0; k < ROUNDS; k++) {
		pthread_barrier_wait(&start);
		close(openat(box, name, O_WRONLY | O_CREAT, 0600));
		took[i] += quota_take(box, 1000, 10, NOW) == QUOTA_FITS;
		pthread_barrier_wait(&over);
		unlinkat(box, name, 0);
	}
	return NULL;
}

static void side_by_side_no_room_is_given_twice(void **state)
{
	pthread_t t[THREADS];
	unsigned sum = 0;

	(void)state;
	memset(took, 0, sizeof(took));
	put("cur/0,S=990", "");
	pthread_barrier_init(&start, NULL, THREADS + 1);
	pthread_barrier_init(&over, NULL, THREADS + 1);
	for (uintptr_t i = 0; i < THREADS; i++)
		pthread_create(&t[i], NULL, taker, (void *)i);
	for (int k = 0; k < ROUNDS; k++) {
		put(QUOTA_FILE, "1000S\n990 99\n");
		pthread_barrier_wait(&start);
		pthread_barrier_wait(&over);
	}
	for (size_t i = 0; i < THREADS; i++) {
		pthread_join(t[i], NULL);
		sum += took[i];
	}
	pthread_barrier_destroy(&start);
	pthread_barrier_destroy(&over);
	assert_int_equal(sum, ROUNDS);
}

/* ---- delivery ---- */

static struct maildir_outcome deliver(uint64_t quota, bool final, const char *mailbox, struct slice body)
{
	struct maildir_setup setup = { .root = root_fd, .hostname = "mx", .fs = deliver_fs_real() };
	struct maildir_message m = { .mailbox = slice_str(mailbox),
				     .address = SLICE_LIT("a@b"),
				     .body = body,
				     .body_fd = -1,
				     .now_us = NOW * INT64_C(1000000),
				     .quota = quota,
				     .full_is_final = final };
	struct maildir_outcome o;

	maildir_deliver(&setup, &m, &o);
	return o;
}

static void a_full_mailbox(void **state)
{
	struct maildir_outcome o = deliver(0, false, "box", SLICE_LIT("Subject: x\r\n\r\n1\r\n"));
	uint64_t size = o.size;
	struct quota_usage u;

	(void)state;
	assert_int_equal(o.result, MAILDIR_DELIVERED);
	assert_int_equal(faccessat(box, QUOTA_FILE, F_OK, 0), -1); /* without a quota nobody counts */
	o = deliver(2 * size, false, "box", SLICE_LIT("Subject: x\r\n\r\n2\r\n"));
	assert_int_equal(o.result, MAILDIR_DELIVERED);
	o = deliver(2 * size, false, "box", SLICE_LIT("Subject: x\r\n\r\n3\r\n"));
	assert_int_equal(o.result, MAILDIR_DEFERRED);
	assert_string_equal(o.status, "4.2.2");
	assert_string_equal(o.step, "quota");
	o = deliver(2 * size, true, "box", SLICE_LIT("Subject: x\r\n\r\n3\r\n"));
	assert_int_equal(o.result, MAILDIR_FAILED);
	assert_string_equal(o.status, "5.2.2");
	o = deliver(size - 1, false, "box", SLICE_LIT("Subject: x\r\n\r\n3\r\n"));
	assert_int_equal(o.result, MAILDIR_FAILED);
	assert_string_equal(o.status, "5.2.3");
	assert_int_equal(quota_usage(box, &u), 0);
	assert_true(u.octets == 2 * size && u.messages == 2);
	/* A folder's mail counts in the mailbox, and what comes without a quota is noted. */
	o = deliver(2 * size, false, "box/.Sub", SLICE_LIT("Subject: x\r\n\r\n4\r\n"));
	assert_int_equal(o.result, MAILDIR_DEFERRED);
	o = deliver(0, false, "box/.Sub", SLICE_LIT("Subject: x\r\n\r\n4\r\n"));
	assert_int_equal(o.result, MAILDIR_DELIVERED);
	assert_int_equal(quota_usage(box, &u), 0);
	assert_true(u.octets == 3 * size && u.messages == 3);
}

int main(void)
{
#define IN_BOX(test) cmocka_unit_test_setup_teardown(test, make_box, drop_box)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_text),
		cmocka_unit_test(too_long_a_text),
		cmocka_unit_test(sizes_in_names),
		IN_BOX(an_empty_mailbox_fills),
		IN_BOX(every_folder_counts),
		IN_BOX(a_damaged_file_is_counted_anew),
		IN_BOX(a_fresh_count_is_enough_to_refuse),
		IN_BOX(notes),
		IN_BOX(side_by_side_no_room_is_given_twice),
		IN_BOX(a_full_mailbox),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
