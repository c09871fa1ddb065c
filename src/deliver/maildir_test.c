#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "deliver/lines.h"
#include "deliver/maildir.h"

/* The real calls, of which the nth fails with the given error. */
struct bad {
	int n, at, error;
	const char *failed; /* the call that did */
};

static bool hit(void *arg, const char *call)
{
	struct bad *b = arg;

	if (b->n++ != b->at)
		return false;
	b->failed = call;
	return true;
}

#define REAL deliver_fs_real()
#define BAD(name, ret, params, args)                        \
	static ret bad_##name params                        \
	{                                                   \
		if (hit(arg, #name))                        \
			return -((struct bad *)arg)->error; \
		return REAL->name args;                     \
	}
BAD(make_dir, int, (void *arg, int at, const char *name), (NULL, at, name))
BAD(open_dir, int, (void *arg, int at, const char *name), (NULL, at, name))
BAD(create, int, (void *arg, int at, const char *name), (NULL, at, name))
BAD(sync, int, (void *arg, int fd), (NULL, fd))
BAD(rename, int, (void *arg, int from, const char *a, int to, const char *b), (NULL, from, a, to, b))
BAD(read_at, ssize_t, (void *arg, int fd, void *to, size_t n, off_t from), (NULL, fd, to, n, from))

/* A full disk takes a part of what it is given. */
static void good_start_sync(void *arg, int fd)
{
	(void)arg, (void)fd;
}

static int bad_write(void *arg, int fd, const void *p, size_t n)
{
	if (hit(arg, "write")) {
		REAL->write(NULL, fd, p, n / 2);
		return -((struct bad *)arg)->error;
	}
	return REAL->write(NULL, fd, p, n);
}

static int bad_unlink(void *arg, int at, const char *name)
{
	(void)arg; /* cleaning up is not what is tested to fail */
	return REAL->unlink(NULL, at, name);
}

static char root[] = "/tmp/maildir-test-XXXXXX";
static int root_fd;

static int make_root(void **state)
{
	(void)state;
	snprintf(root, sizeof(root), "/tmp/maildir-test-XXXXXX");
	if (!mkdtemp(root))
		return -1;
	root_fd = open(root, O_RDONLY | O_DIRECTORY);
	return root_fd < 0 ? -1 : 0;
}

static int rm(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static int drop_root(void **state)
{
	(void)state;
	close(root_fd);
	return nftw(root, rm, 16, FTW_DEPTH | FTW_PHYS);
}

/* How many entries, and the name of the last one seen. */
static int entries(const char *path, char *name, size_t size)
{
	char full[512];
	struct dirent *e;
	int n = 0;
	DIR *d;

	snprintf(full, sizeof(full), "%s/%s", root, path);
	d = opendir(full);
	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.') {
			n++;
			if (name)
				snprintf(name, size, "%s", e->d_name);
		}
	if (d)
		closedir(d);
	return n;
}

static size_t read_all(const char *folder, const char *name, char *to, size_t size)
{
	char full[1024];
	ssize_t n;
	int fd;

	snprintf(full, sizeof(full), "%s/%s/%s", root, folder, name);
	fd = open(full, O_RDONLY);
	assert_true(fd >= 0);
	n = read(fd, to, size - 1);
	assert_true(n >= 0);
	close(fd);
	to[n] = '\0';
	return (size_t)n;
}

static struct maildir_message message(void)
{
	return (struct maildir_message){
		.mailbox = SLICE_LIT("example.org/user"),
		.sender = SLICE_LIT("from@example.net"),
		.address = SLICE_LIT("user@example.org"),
		.original = SLICE_LIT("User+tag@example.org"),
		.headers = SLICE_LIT("Received: here\r\n"),
		.body = SLICE_LIT("Subject: x\r\n\r\nline\r\n"),
		.body_fd = -1,
		.now_us = 1700000000000042,
	};
}

static struct maildir_outcome deliver(const struct maildir_message *m, const struct deliver_fs *fs)
{
	struct maildir_setup setup = { .root = root_fd, .hostname = "mx.test", .fs = fs ? fs : REAL };
	struct maildir_outcome o;

	maildir_deliver(&setup, m, &o);
	return o;
}

static void test_delivered(void **state)
{
	static const char want[] =
		"Return-Path: <from@example.net>\nDelivered-To: user@example.org\n"
		"X-Original-To: User+tag@example.org\nReceived: here\nSubject: x\n\nline\n";
	struct maildir_message m = message();
	struct maildir_outcome o = deliver(&m, NULL);
	char name[256], text[1024], ends[64];
	struct stat st;

	(void)state;
	assert_int_equal(o.result, MAILDIR_DELIVERED);
	assert_int_equal(o.size, sizeof(want) - 1);
	assert_int_equal(entries("example.org/user/new", name, sizeof(name)), 1);
	assert_int_equal(entries("example.org/user/tmp", NULL, 0), 0);
	assert_int_equal(entries("example.org/user/cur", NULL, 0), 0);
	read_all("example.org/user/new", name, text, sizeof(text));
	assert_string_equal(text, want);
	assert_int_equal(strncmp(name, "1700000000.M000042P", 19), 0);
	snprintf(ends, sizeof(ends), ".mx.test,S=%zu,W=%zu", sizeof(want) - 1, sizeof(want) - 1 + 7);
	assert_non_null(strstr(name, ends));
	assert_int_equal(fstatat(root_fd, "example.org/user", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	snprintf(text, sizeof(text), "example.org/user/new/%s", name);
	assert_int_equal(fstatat(root_fd, text, &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);

	/* A second one has a name of its own, and the null sender is <>. */
	m.sender = SLICE_LIT("");
	m.original = m.address;
	assert_int_equal(deliver(&m, NULL).result, MAILDIR_DELIVERED);
	assert_int_equal(entries("example.org/user/new", NULL, 0), 2);
}

static void test_headers_cannot_be_injected(void **state)
{
	struct maildir_message m = message();
	char name[256], text[1024];

	(void)state;
	m.sender = SLICE_LIT("a\r\nX-Evil: 1\r\n\r\n@b");
	assert_int_equal(deliver(&m, NULL).result, MAILDIR_DELIVERED);
	entries("example.org/user/new", name, sizeof(name));
	read_all("example.org/user/new", name, text, sizeof(text));
	assert_int_equal(strncmp(text, "Return-Path: <a??X-Evil: 1????@b>\n", 34), 0);
}

static void test_body_from_file(void **state)
{
	enum { SIZE = 300000 };
	struct maildir_message m = message();
	char path[256], name[256], *text = malloc(SIZE * 2);
	struct maildir_outcome o;
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/body", root);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	for (int i = 0; i < SIZE / 10; i++)
		assert_int_equal(write(fd, "12345678\r\n", 10), 10);
	m.body_fd = fd;
	m.body_size = SIZE;
	m.body = SLICE_LIT("not this");
	o = deliver(&m, NULL);
	assert_int_equal(o.result, MAILDIR_DELIVERED);
	entries("example.org/user/new", name, sizeof(name));
	assert_int_equal(read_all("example.org/user/new", name, text, SIZE * 2), o.size);
	assert_int_equal(o.size, SIZE / 10 * 9 + 114);
	for (size_t i = 0; i < SIZE / 10; i++)
		assert_memory_equal(text + 114 + 9 * i, "12345678\n", 9);

	/* Shorter than promised: not delivered, whatever was read. */
	m.body_size = SIZE + 1;
	o = deliver(&m, NULL);
	assert_int_equal(o.result, MAILDIR_DEFERRED);
	assert_int_equal(o.error, -EBADMSG);
	assert_int_equal(entries("example.org/user/new", NULL, 0), 1);
	assert_int_equal(entries("example.org/user/tmp", NULL, 0), 0);
	close(fd);
	free(text);
}

static void test_paths(void **state)
{
	static const struct {
		const char *path;
		bool ok;
	} rows[] = {
		{ "example.org/user", true },
		{ "example.org/us er", true },
		{ "example.org/user/.Junk", true },
		{ "xn--bcher-kva.example/b\xc3\xbc", true },
		{ "user", true },
		{ "a/b/c/d/e/f/g/h", true },
		{ "a/b/c/d/e/f/g/h/i", false },
		{ "", false },
		{ "/", false },
		{ "/etc/passwd", false },
		{ "example.org/", false },
		{ "example.org//user", false },
		{ "..", false },
		{ "../x", false },
		{ "example.org/../../etc", false },
		{ "example.org/user/..", false },
		{ "./user", false },
		{ "example.org/.", false },
		{ ".hidden", false },
		{ ".hidden/user", false },
		{ "example.org/.hidden/user", false },
		{ "example.org/user/new", false },
		{ "example.org/cur", false },
		{ "tmp/user", false },
		{ "example.org/us\ner", false },
		{ "example.org/us\x7f", false },
	};
	char longest[600];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (maildir_path_ok(slice_str(rows[i].path)) != rows[i].ok)
			fail_msg("row %zu: %s", i, rows[i].path);
	assert_false(maildir_path_ok(slice_of("a\0b", 3)));
	memset(longest, 'x', sizeof(longest));
	assert_true(maildir_path_ok(slice_of(longest, 255)));
	assert_false(maildir_path_ok(slice_of(longest, 256)));
}

static void test_hostile_path_is_final(void **state)
{
	struct maildir_message m = message();
	struct maildir_outcome o;

	(void)state;
	m.mailbox = SLICE_LIT("../escape");
	o = deliver(&m, NULL);
	assert_int_equal(o.result, MAILDIR_FAILED);
	assert_string_equal(o.status, "5.3.5");
}

static void test_links_are_not_followed(void **state)
{
	static const char *const at[] = { "example.org", "example.org/user", "example.org/user/new",
					  "example.org/user/tmp" };
	char outside[] = "/tmp/maildir-outside-XXXXXX";
	struct maildir_message m = message();

	(void)state;
	assert_non_null(mkdtemp(outside));
	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		struct maildir_outcome o;

		mkdirat(root_fd, "example.org", 0700);
		mkdirat(root_fd, "example.org/user", 0700);
		unlinkat(root_fd, at[i], AT_REMOVEDIR);
		if (symlinkat(outside, root_fd, at[i]) < 0) { /* not empty: put it aside */
			assert_int_equal(renameat(root_fd, at[i], root_fd, "aside"), 0);
			assert_int_equal(symlinkat(outside, root_fd, at[i]), 0);
		}
		o = deliver(&m, NULL);
		assert_int_equal(o.result, MAILDIR_DEFERRED);
		assert_string_equal(o.status, "4.3.5");
		assert_non_null(o.advice);
		unlinkat(root_fd, at[i], 0);
	}
	assert_int_equal(rmdir(outside), 0); /* still empty */
}

/* Every single step fails in turn, with every error: new/ holds either nothing
 * or a whole message that was reported as delivered; tmp/ holds nothing. */
static void test_each_step_fails(void **state)
{
	static const int errors[] = { ENOSPC, EDQUOT, EIO, EACCES, EROFS, ENOMEM };
	struct maildir_message m = message();
	int steps = 0;

	(void)state;
	for (size_t e = 0; e < sizeof(errors) / sizeof(errors[0]); e++) {
		for (int at = 0;; at++) {
			struct bad bad = { .at = at, .error = errors[e] };
			struct deliver_fs fs = { &bad,	     bad_make_dir,    bad_open_dir, bad_create,
						 bad_write,  good_start_sync, bad_sync,	    bad_rename,
						 bad_unlink, bad_read_at };
			struct maildir_outcome o;

			drop_root(NULL);
			make_root(NULL);
			o = deliver(&m, &fs);
			if (!bad.failed) {
				assert_int_equal(o.result, MAILDIR_DELIVERED);
				steps = at;
				break;
			}
			assert_int_equal(o.result, MAILDIR_DEFERRED);
			assert_int_equal(o.error, -errors[e]);
			assert_true(o.status[0] == '4');
			assert_true(o.step[0] != '\0');
			assert_int_equal(entries("example.org/user/new", NULL, 0), 0);
			assert_int_equal(entries("example.org/user/tmp", NULL, 0), 0);
			/* And the next attempt, on a healthy disk, succeeds. */
			assert_int_equal(deliver(&m, NULL).result, MAILDIR_DELIVERED);
			assert_int_equal(entries("example.org/user/new", NULL, 0), 1);
		}
	}
	assert_true(steps > 15); /* 5 folders made and synced, create, write, sync, rename, sync */
}

/* A round of two mailboxes, of which each step fails in turn: those that were not hit are
 * delivered, and what is reported is what is there. */
static void test_others_go_on(void **state)
{
	static const char *const folders[] = { "a/new", "b/new" };
	int hit = 0;

	(void)state;
	for (int at = 0;; at++) {
		struct bad bad = { .at = at, .error = EIO };
		struct deliver_fs fs = { &bad,	     bad_make_dir,    bad_open_dir, bad_create,
					 bad_write,  good_start_sync, bad_sync,	    bad_rename,
					 bad_unlink, bad_read_at };
		struct maildir_setup setup = { .root = root_fd, .hostname = "mx.test", .fs = &fs };
		struct maildir_round *r = maildir_round_new();
		struct maildir_message m[6];
		struct maildir_outcome o[6];
		int delivered[2] = { 0, 0 }, n = 0;

		drop_root(NULL);
		make_root(NULL);
		setup.root = root_fd;
		for (size_t i = 0; i < 6; i++) {
			m[i] = message();
			m[i].mailbox = i < 4 ? SLICE_LIT("a") : SLICE_LIT("b");
		}
		maildir_round_write(r, &setup, m, 6);
		maildir_round_sync(r, 4, 2);
		maildir_round_sync(r, 0, 4);
		maildir_round_end(r, o);
		maildir_round_free(r);
		for (size_t i = 0; i < 6; i++)
			delivered[i >= 4] += o[i].result == MAILDIR_DELIVERED;
		for (size_t i = 0; i < 2; i++) {
			assert_int_equal(entries(folders[i], NULL, 0), delivered[i]);
			n += delivered[i];
		}
		assert_int_equal(entries("a/tmp", NULL, 0) + entries("b/tmp", NULL, 0), 0);
		if (!bad.failed) {
			assert_int_equal(n, 6);
			break;
		}
		/* One step of one message is its own; one of a folder is its mailbox's. */
		assert_true(n == 5 || n == 4 || n == 2);
		hit++;
	}
	assert_true(hit > 25);
}

static void test_given_up(void **state)
{
	struct maildir_message m = message();
	atomic_bool give_up = true;

	(void)state;
	m.give_up = &give_up;
	assert_int_equal(deliver(&m, NULL).error, -ECANCELED);
	assert_int_equal(entries("example.org/user/new", NULL, 0), 0);
	assert_int_equal(entries("example.org/user/tmp", NULL, 0), 0);
}

static void test_stale_files_go(void **state)
{
	struct maildir_message m = message();
	struct timespec old[2] = { { .tv_sec = 1700000000 - MAILDIR_STALE_S - 1 },
				   { .tv_sec = 1700000000 - MAILDIR_STALE_S - 1 } };
	struct timespec young[2] = { { .tv_sec = 1700000000 - MAILDIR_STALE_S + 1 },
				     { .tv_sec = 1700000000 - MAILDIR_STALE_S + 1 } };
	char name[256];

	(void)state;
	assert_int_equal(deliver(&m, NULL).result, MAILDIR_DELIVERED);
	close(openat(root_fd, "example.org/user/tmp/old", O_CREAT | O_WRONLY, 0600));
	close(openat(root_fd, "example.org/user/tmp/young", O_CREAT | O_WRONLY, 0600));
	assert_int_equal(utimensat(root_fd, "example.org/user/tmp/old", old, 0), 0);
	assert_int_equal(utimensat(root_fd, "example.org/user/tmp/young", young, 0), 0);
	assert_int_equal(deliver(&m, NULL).result, MAILDIR_DELIVERED);
	assert_int_equal(entries("example.org/user/tmp", name, sizeof(name)), 2); /* looked at this hour */
	m.now_us += 3600 * INT64_C(1000000);
	for (int i = 0; i < 2; i++)
		young[i].tv_sec += 3600;
	assert_int_equal(utimensat(root_fd, "example.org/user/tmp/young", young, 0), 0);
	assert_int_equal(deliver(&m, NULL).result, MAILDIR_DELIVERED);
	assert_int_equal(entries("example.org/user/tmp", name, sizeof(name)), 1);
	assert_string_equal(name, "young");
}

static void test_subfolder_is_marked(void **state)
{
	struct maildir_message m = message();
	struct stat st;

	(void)state;
	m.mailbox = SLICE_LIT("example.org/user/.Junk");
	assert_int_equal(deliver(&m, NULL).result, MAILDIR_DELIVERED);
	assert_int_equal(entries("example.org/user/.Junk/new", NULL, 0), 1);
	assert_int_equal(fstatat(root_fd, "example.org/user/.Junk/maildirfolder", &st, 0), 0);
}

/* However the input is cut, the same file and the same counts come out. */
static void test_lines(void **state)
{
	static const struct {
		const char *in, *out;
		size_t virtual;
	} rows[] = {
		{ "", "", 0 },
		{ "a\r\nb\r\n", "a\nb\n", 6 },
		{ "a\nb\n", "a\nb\n", 6 },
		{ "a\rb", "a\rb", 3 },
		{ "\r\r\n", "\r\n", 2 },
		{ "a\r", "a\r", 2 },
		{ "\r\n\r\n", "\n\n", 4 },
		{ "no end", "no end", 6 },
		{ "\n\r", "\n\r", 3 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t cut = 1; cut < 5; cut++) {
			struct slice in = slice_str(rows[i].in);
			struct lines *l = malloc(sizeof(*l));
			int fd[2];
			char out[64];
			ssize_t n;

			assert_int_equal(pipe(fd), 0);
			lines_init(l, REAL, fd[1]);
			for (size_t at = 0; at < in.n; at += cut)
				lines_put(l, slice_head(slice_tail(in, at), cut));
			assert_int_equal(lines_end(l), 0);
			close(fd[1]);
			n = read(fd[0], out, sizeof(out));
			close(fd[0]);
			assert_int_equal(n, strlen(rows[i].out));
			assert_memory_equal(out, rows[i].out, (size_t)n);
			assert_int_equal(l->size, n);
			assert_int_equal(l->virtual, rows[i].virtual);
			free(l);
		}
}

#define IN_ROOT(test) cmocka_unit_test_setup_teardown(test, make_root, drop_root)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_ROOT(test_delivered),
		IN_ROOT(test_headers_cannot_be_injected),
		IN_ROOT(test_body_from_file),
		cmocka_unit_test(test_paths),
		IN_ROOT(test_hostile_path_is_final),
		IN_ROOT(test_links_are_not_followed),
		IN_ROOT(test_each_step_fails),
		IN_ROOT(test_others_go_on),
		IN_ROOT(test_given_up),
		IN_ROOT(test_stale_files_go),
		IN_ROOT(test_subfolder_is_marked),
		cmocka_unit_test(test_lines),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
