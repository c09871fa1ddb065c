/* Secrets from files and commands: the line, who else may read it, and commands that do not do what they
 * should. */
#include "secret/secret.h"

#include "base/test_torture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define US   1000U
#define THEM 1001U

/* ---- files ---- */

static void modes(void **state)
{
	static const struct {
		mode_t mode;
		uid_t owner;
		const char *chmod; /* NULL: it is fine */
	} rows[] = {
		{ 0600, US, NULL },   { 0400, US, NULL },    { 0700, US, NULL },    { 0640, US, "600" },
		{ 0644, US, "600" },  { 0604, US, "600" },   { 0620, US, "600" },   { 0660, US, "600" },
		{ 0602, US, "600" },  { 0640, 0, NULL },     { 0600, 0, NULL },	    { 0440, 0, NULL },
		{ 0644, 0, "640" },   { 0604, 0, "600" },    { 0660, 0, "640" },    { 0642, 0, "640" },
		{ 0640, THEM, NULL }, { 0644, THEM, "640" }, { 0100600, US, NULL }, { 0100644, US, "600" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *got = secret_mode_fault(rows[i].mode, rows[i].owner, US);

		if (!got != !rows[i].chmod || (got && strcmp(got, rows[i].chmod) != 0))
			fail_msg("%o of %u: %s", rows[i].mode, rows[i].owner, got ? got : "fine");
	}
	assert_null(secret_mode_fault(0640, 0, 0)); /* root reads what root gave a group */
}

static char path[] = "/tmp/secret_test.XXXXXX";

static void write_file(const char *text, size_t n)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0600), 0);
}

static void files(void **state)
{
	static const struct {
		const char *text, *line; /* NULL: refused */
		int r;
		const char *why;
	} rows[] = {
		{ "pw", "pw", 0, "" },
		{ "pw\n", "pw", 0, "" },
		{ "pw\r\n", "pw", 0, "" },
		{ "two words\nnot this\n", "two words", 0, "" },
		{ " pw\t\n", "pw", 0, "" },
		{ "", NULL, -ENODATA, "has nothing in its first line" },
		{ "\npw\n", NULL, -ENODATA, "has nothing in its first line" },
		{ "  \r\n", NULL, -ENODATA, "has nothing in its first line" },
		{ "123456789", NULL, -EFBIG, "has a first line that is too long" },
		{ "12345678\n9", "12345678", 0, "" },
	};
	const char *mode;
	struct buf b;
	char why[SECRET_WHY_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		write_file(rows[i].text, strlen(rows[i].text));
		buf_init(&b, strchr(rows[i].text, '1') ? 8 : 100);
		why[0] = '\0';
		mode = "unset";
		assert_int_equal(secret_file(path, &b, &mode, why), rows[i].r);
		assert_null(mode);
		assert_true(slice_eq(buf_slice(&b), slice_str(rows[i].line)));
		assert_true(slice_starts(slice_str(why), slice_str(rows[i].why)));
		buf_wipe(&b);
	}
}

static void files_of_others(void **state)
{
	char why[SECRET_WHY_MAX];
	const char *mode = NULL;
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	write_file("pw\n", 3);
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(secret_file(path, &b, &mode, why), 0);
	assert_non_null(mode);
	assert_int_equal(secret_file("/nonexistent/x", &b, &mode, why), -ENOENT);
	assert_string_equal(why, "cannot be read: No such file or directory");
	assert_int_equal(secret_file("/tmp", &b, &mode, why), -EISDIR);
	buf_wipe(&b);
}

/* ---- commands ---- */

static uv_loop_t loop;
static unsigned answers;
static char got[5000], got_why[SECRET_WHY_MAX];

static void on_answer(void *arg, struct slice line, const char *why)
{
	assert_ptr_equal(arg, &loop);
	answers++;
	assert_true(slice_copy(line, got, sizeof(got)));
	assert_true(slice_copy(slice_str(why), got_why, sizeof(got_why)));
}

static struct secret_command *run(const char *script, unsigned limit_ms)
{
	char *argv[] = { (char *)"/bin/sh", (char *)"-c", (char *)(uintptr_t)script, NULL };
	char *env[] = { (char *)"PATH=/usr/bin:/bin", (char *)"LANG=C", (char *)"OURS=yes", NULL };
	struct secret_command_setup s = {
		.loop = &loop, .argv = argv, .env = env, .limit_ms = limit_ms, .max = 4096, .keep_said = true
	};
	struct secret_command *c = NULL;
	char why[SECRET_WHY_MAX];

	answers = 0;
	got[0] = got_why[0] = '\0';
	assert_int_equal(secret_command(&s, on_answer, &loop, &c, why), 0);
	return c;
}

static void commands(void **state)
{
	static const struct {
		const char *script, *line, *why;
		unsigned limit_ms;
	} rows[] = {
		{ "echo token", "token", "", 0 },
		{ "printf token", "token", "", 0 },
		{ "printf ' token \\r\\nmore\\n'", "token", "", 0 },
		{ "echo token; echo a warning >&2", "token", "", 0 },
		{ "cat; echo token", "token", "", 0 }, /* nothing to read */
		{ "echo $OURS$HOME", "yes", "", 0 },
		/* What is left behind holds the output no longer than this. */
		{ "echo token; exec >/dev/null; sleep 5 2>&1 &", "token", "", 0 },
		{ "true", "", "wrote nothing", 0 },
		{ "echo; echo token", "", "wrote nothing in its first line", 0 },
		{ "echo token; exit 3", "", "failed with status 3", 0 },
		{ "echo token; echo gpg: no secret key >&2; exit 2", "",
		  "failed with status 2: gpg: no secret key", 0 },
		{ "printf 'a\\n\\033[1mb\\n\\n' >&2; exit 1", "", "failed with status 1: a;  [1mb", 0 },
		{ "kill -9 $$", "", "was ended by signal 9", 0 },
		{ "echo why >&2; sleep 100", "", "took longer than 3 s: why", 3000 },
		{ "sleep 100 & sleep 100", "", "took longer than 1 s", 1000 },
		{ "head -c 5000 /dev/zero | tr '\\0' x", "", "wrote more than 4096 octets", 0 },
		{ "yes", "", "wrote more than 4096 octets", 0 },
		{ "head -c 4096 /dev/zero | tr '\\0' x | fold -w 100 | head -1 | cut -c 1-5", "xxxxx", "",
		  0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		run(rows[i].script, rows[i].limit_ms ? rows[i].limit_ms : 60000);
		uv_run(&loop, UV_RUN_DEFAULT);
		if (answers != 1 || strcmp(got, rows[i].line) != 0 || strcmp(got_why, rows[i].why) != 0)
			fail_msg("%s: %u, '%s', '%s'", rows[i].script, answers, got, got_why);
	}
}

/* Of much that is said the end counts. */
static void much_is_said(void **state)
{
	(void)state;
	run("i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done >&2; exit 1", 60000);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_non_null(strstr(got_why, "failed with status 1: ..."));
	assert_non_null(strstr(got_why, "line 2999"));
	assert_true(strlen(got_why) < 400);
}

static void no_such_program(void **state)
{
	char *argv[] = { (char *)"/nonexistent/program", NULL };
	struct secret_command_setup s = { .loop = &loop, .argv = argv, .limit_ms = 1000, .max = 100 };
	struct secret_command *c = NULL;
	char why[SECRET_WHY_MAX];

	(void)state;
	answers = 0;
	assert_int_equal(secret_command(&s, on_answer, &loop, &c, why), -ENOENT);
	assert_string_equal(why, "cannot be run: No such file or directory");
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(answers, 0);
}

/* Nobody waits for it any more: it ends at once, whatever it left behind, and nobody hears of it. */
static void dropped(void **state)
{
	uint64_t begun;

	(void)state;
	uv_update_time(&loop);
	begun = uv_now(&loop);
	secret_command_drop(run("sleep 100 & setsid sleep 3; sleep 100", 90000));
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_update_time(&loop);
	assert_true(uv_now(&loop) - begun < 60000);
	assert_int_equal(answers, 0);
	secret_command_drop(NULL);
}

/* Whatever is lacking: it could not be begun, or its end is told, once; and a line that is told is whole. */
static void without_memory(void **state)
{
	char *argv[] = { (char *)"/bin/sh", (char *)"-c", (char *)"echo token; echo why >&2", NULL };
	struct secret_command_setup s = {
		.loop = &loop, .argv = argv, .limit_ms = 60000, .max = 4096, .keep_said = true
	};

	(void)state;
	if (!torture_works())
		skip();
	for (struct torture t = torture(7); torture_goes_on(&t);) {
		struct secret_command *c = NULL;
		char why[SECRET_WHY_MAX] = "";
		int r;

		answers = 0;
		torture_in();
		r = secret_command(&s, on_answer, &loop, &c, why);
		if (r == 0)
			uv_run(&loop, UV_RUN_DEFAULT);
		torture_out();
		if (r < 0)
			uv_run(&loop, UV_RUN_DEFAULT);
		if (r < 0 ? !why[0] || answers > 0 : answers != 1)
			fail_msg("TORTURE_AT=%u%s: %d, %u answers", t.nth, t.rest ? "+" : "", r, answers);
		if (r == 0 && strcmp(got, "token") != 0 && !(torture_hit() && got_why[0]))
			fail_msg("TORTURE_AT=%u%s: '%s', '%s'", t.nth, t.rest ? "+" : "", got, got_why);
	}
}

static int set_up(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	close(fd);
	return fd < 0 ? -1 : uv_loop_init(&loop);
}

static int tear_down(void **state)
{
	(void)state;
	unlink(path);
	return uv_loop_close(&loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(modes),	   cmocka_unit_test(files),
		cmocka_unit_test(files_of_others), cmocka_unit_test(commands),
		cmocka_unit_test(much_is_said),	   cmocka_unit_test(no_such_program),
		cmocka_unit_test(dropped),	   cmocka_unit_test(without_memory),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
