/* outbox_test.c - the outbox on a real disk: what is put is read back, what is not ours is left alone. */
#include "submit/outbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "spool/disk_sim.h"

#define NOW UINT64_C(1790000000000)

static const struct outbox_way by_url = { .url = "smtp://us%40x.example@h.example",
					  .password_file = "/home/us/.secret",
					  .pins = 2,
					  .pin = { "aa", "bb" } };
static const struct outbox_way by_account = { .account = "work" };

struct folder {
	char path[128];
	struct outbox *o;
};

static void open_folder(struct folder *f)
{
	char why[OUTBOX_ERROR_MAX];

	snprintf(f->path, sizeof(f->path), "/tmp/outbox_test.XXXXXX");
	assert_non_null(mkdtemp(f->path));
	assert_int_equal(outbox_open(f->path, NULL, true, &f->o, why), 0);
}

static bool remove_one(void *arg, const char *name)
{
	const int *dir = arg;

	return unlinkat(*dir, name, 0) == 0;
}

static void close_folder(struct folder *f)
{
	int dir = open(f->path, O_RDONLY | O_DIRECTORY);

	outbox_close(f->o);
	disk_real()->list(disk_real(), dir, remove_one, &dir);
	close(dir);
	assert_int_equal(rmdir(f->path), 0);
}

static void draft_for(struct draft *d, const char *people, const char *text)
{
	struct slice none = SLICE_LIT("");

	assert_int_equal(draft_init(d), 0);
	assert_int_equal(draft_begin(d), 0);
	assert_int_equal(draft_append(d, slice_str(text)), 0);
	d->eightbit = true;
	d->envelope.notify = 5;
	d->envelope.ret = 1;
	memcpy(d->envelope.envid, "a+2Bb", 6);
	assert_int_equal(submit_envelope_sender(&d->envelope, none, none, NULL), MIME_FINE);
	assert_int_equal(submit_envelope_add(&d->envelope, slice_str(people), none, none, NULL), MIME_FINE);
}

static int put(struct outbox *o, const struct outbox_way *way, const char *people, const char *text,
	       struct id *ret)
{
	struct draft d;
	struct outbox_new n = { .draft = &d, .way = way, .text = "nobody there", .now_ms = NOW };
	int r;

	draft_for(&d, people, text);
	r = outbox_put(o, &n, ret);
	draft_done(&d);
	return r;
}

static struct outbox_message read_back(struct outbox *o, const struct id *id)
{
	struct outbox_message m;

	assert_int_equal(outbox_read(o, id->text, &m), 0);
	return m;
}

static void what_is_put_is_there(void **state)
{
	const char *people = "\"a b\"@x.example, \xc3\xbc@x.example, c@[192.0.2.1]",
		   *text = "Subject: \xe4\r\n\r\n.\r\n";
	struct outbox_message m;
	struct folder f;
	struct draft d;
	struct id id;
	char room[100];

	(void)state;
	open_folder(&f);
	assert_int_equal(put(f.o, &by_url, people, text, &id), 0);
	m = read_back(f.o, &id);
	assert_int_equal(outbox_message_state(&m), OUTBOX_WAITING);
	assert_true(outbox_way_same(&m.way, &by_url) && !outbox_way_same(&m.way, &by_account));
	assert_string_equal(m.text, "nobody there");
	assert_true(m.eightbit && !m.smtputf8 && m.tries == 1 && m.taken_ms == NOW && m.last_ms == NOW);
	assert_int_equal(draft_init(&d), 0);
	assert_int_equal(outbox_draft(f.o, &m, &d), 0);
	assert_int_equal(d.envelope.recipients, 3);
	assert_string_equal(d.envelope.recipient[0]->address, "\"a b\"@x.example");
	assert_string_equal(d.envelope.recipient[2]->address, "c@[192.0.2.1]");
	assert_string_equal(d.envelope.sender, "");
	assert_true(d.envelope.recipient[2]->notify == 5 && d.envelope.ret == 1);
	assert_string_equal(d.envelope.envid, "a+2Bb");
	assert_int_equal(draft_chunk(&d, 0, room, sizeof(room)), strlen(text));
	assert_memory_equal(room, text, strlen(text));
	draft_done(&d);
	outbox_message_done(&m);
	close_folder(&f);
}

static void only_those_remain_that_wait(void **state)
{
	const struct outbox_outcome first[] = { { 1, OUTBOX_TAKEN, NULL },
						{ 2, OUTBOX_REFUSED, "550 5.1.1 no" } },
				    second[] = { { 0, OUTBOX_TAKEN, NULL } };
	struct outbox_message m;
	struct folder f;
	struct draft d;
	struct id id;

	(void)state;
	open_folder(&f);
	assert_int_equal(put(f.o, &by_account, "a@x.example, b@x.example, c@x.example", "x", &id), 0);
	m = read_back(f.o, &id);
	assert_int_equal(outbox_sending(f.o, &m, NOW), 0);
	assert_int_equal(outbox_message_state(&m), OUTBOX_UNSURE);
	assert_int_equal(outbox_outcomes(f.o, &m, first, 2, false, true, "450 later", NOW), 0);
	assert_int_equal(outbox_message_state(&m), OUTBOX_WAITING);
	assert_int_equal(draft_init(&d), 0);
	assert_int_equal(outbox_draft(f.o, &m, &d), 0);
	assert_int_equal(d.envelope.recipients, 1);
	assert_string_equal(d.envelope.recipient[0]->address, "a@x.example");
	draft_done(&d);
	assert_int_equal(outbox_outcomes(f.o, &m, second, 1, false, true, "", NOW), 0);
	assert_int_equal(outbox_message_state(&m), OUTBOX_FAILED);
	assert_string_equal(m.rcpt[2].text, "550 5.1.1 no");
	assert_int_equal(outbox_again(f.o, &m, NOW + 5), 0);
	assert_true(outbox_message_state(&m) == OUTBOX_WAITING && outbox_message_waits(&m) == 1);
	assert_true(m.rcpt[2].state == OUTBOX_WAITS && m.since_ms == NOW + 5 && m.taken_ms == NOW);
	assert_int_equal(outbox_expired(f.o, &m, "too late", NOW), 0);
	assert_int_equal(outbox_message_state(&m), OUTBOX_FAILED);
	assert_int_equal(outbox_remove(f.o, &m), 0);
	assert_int_equal(outbox_read(f.o, id.text, &(struct outbox_message){ 0 }), -ENOENT);
	outbox_message_done(&m);
	close_folder(&f);
}

static void tries_do_not_add_up(void **state)
{
	struct outbox_message m;
	struct folder f;
	struct id id;
	uint64_t end = 0;

	(void)state;
	open_folder(&f);
	assert_int_equal(put(f.o, &by_account, "a@x.example", "x", &id), 0);
	m = read_back(f.o, &id);
	for (unsigned i = 0; i < 100; i++) {
		if (i % 2)
			assert_int_equal(outbox_sending(f.o, &m, NOW), 0);
		assert_int_equal(outbox_waits(f.o, &m, true, "451 not yet", NOW), 0);
		end = i == 8 ? m.end : end;
	}
	assert_true(m.tries == 101 && m.end <= end + 4);
	outbox_message_done(&m);
	close_folder(&f);
}

static void write_file(const struct folder *f, const char *name, const char *text)
{
	char path[300];
	FILE *to;

	snprintf(path, sizeof(path), "%s/%s", f->path, name);
	to = fopen(path, "w");
	fputs(text, to);
	fclose(to);
}

/* Another octet there. */
static void spoil(const struct folder *f, const struct id *id, off_t from_end)
{
	char path[300];
	int fd;
	char c;

	snprintf(path, sizeof(path), "%s/%s.msg", f->path, id->text);
	fd = open(path, O_RDWR);
	assert_int_equal(pread(fd, &c, 1, lseek(fd, 0, SEEK_END) - from_end), 1);
	c ^= 1;
	assert_int_equal(pwrite(fd, &c, 1, lseek(fd, 0, SEEK_END) - from_end), 1);
	close(fd);
}

static void what_is_not_understood_is_named_and_stays(void **state)
{
	static const enum outbox_kind want[] = { OUTBOX_TORN, OUTBOX_UNFINISHED, OUTBOX_FOREIGN };
	struct outbox_item *list;
	struct outbox_message m;
	struct folder f;
	struct id id[3];
	struct draft d;
	size_t n;
	bool more;

	(void)state;
	open_folder(&f);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(put(f.o, &by_account, "a@x.example", "some text", &id[i]), 0);
	spoil(&f, &id[0], 300); /* its head, or its body */
	write_file(&f, "00000000000A0.tmp", "half");
	write_file(&f, "00000000000A0.msg", "");
	write_file(&f, "notes.txt", "mine");
	assert_int_equal(outbox_list(f.o, &list, &n, &more), 0);
	assert_true(n >= 5 && !more);
	for (size_t i = 0; i < n; i++)
		if (list[i].name[0] == '0')
			assert_int_equal(list[i].kind, want[list[i].name[14] == 't']);
		else if (list[i].name[0] == 'n')
			assert_int_equal(list[i].kind, want[2]);
	outbox_list_free(list, n);
	/* A body that decayed is found out before anything of it is sent. */
	m = read_back(f.o, &id[1]);
	spoil(&f, &id[1], (off_t)m.end + 3);
	assert_int_equal(draft_init(&d), 0);
	assert_int_equal(outbox_draft(f.o, &m, &d), -EBADMSG);
	draft_done(&d);
	outbox_message_done(&m);
	/* The last note is cut: what was before it stands. */
	m = read_back(f.o, &id[2]);
	outbox_message_done(&m);
	spoil(&f, &id[2], 2);
	m = read_back(f.o, &id[2]);
	assert_true(m.tries == 0 && outbox_message_state(&m) == OUTBOX_WAITING);
	assert_int_equal(outbox_sending(f.o, &m, NOW), 0);
	assert_int_equal(outbox_message_state(&m), OUTBOX_UNSURE);
	outbox_message_done(&m);
	close_folder(&f);
}

static void one_at_a_time(void **state)
{
	char why[OUTBOX_ERROR_MAX];
	struct outbox *other;
	struct folder f;
	int mine, theirs;

	(void)state;
	open_folder(&f);
	assert_int_equal(outbox_open(f.path, NULL, false, &other, why), 0);
	assert_int_equal(outbox_lock(f.o, &by_url, &mine), 0);
	assert_int_equal(outbox_lock(other, &by_url, &theirs), -EBUSY);
	assert_int_equal(outbox_lock(other, &by_account, &theirs), 0);
	outbox_unlock(other, theirs);
	outbox_unlock(f.o, mine);
	assert_int_equal(outbox_lock(other, &by_url, &theirs), 0);
	outbox_unlock(other, theirs);
	outbox_close(other);
	close_folder(&f);
}

static void so_many_and_no_more(void **state)
{
	struct folder f;
	struct id id, last;
	char name[40];

	(void)state;
	open_folder(&f);
	for (unsigned i = 0; i < OUTBOX_MESSAGES_MAX - 1; i++) {
		snprintf(name, sizeof(name), "0000000000%c%c%c.msg", '0' + i / 100, '0' + i / 10 % 10,
			 '0' + i % 10);
		write_file(&f, name, "");
	}
	assert_int_equal(put(f.o, &by_account, "a@x.example", "x", &last), 0);
	assert_int_equal(put(f.o, &by_account, "a@x.example", "x", &id), -EDQUOT);
	close_folder(&f);
}

static void a_folder_that_is_not_ours_alone(void **state)
{
	char why[OUTBOX_ERROR_MAX], path[200], link[200];
	struct outbox *o;
	struct folder f;
	struct stat st;

	(void)state;
	open_folder(&f);
	snprintf(path, sizeof(path), "%s/a/b", f.path);
	assert_int_equal(outbox_open(path, NULL, false, &o, why), -ENOENT);
	assert_int_equal(outbox_open(path, NULL, true, &o, why), 0);
	outbox_close(o);
	assert_true(stat(path, &st) == 0 && (st.st_mode & 0777) == 0700);
	assert_int_equal(chmod(path, 0770), 0);
	assert_int_equal(outbox_open(path, NULL, true, &o, why), -EPERM);
	assert_non_null(strstr(why, "chmod 700"));
	assert_int_equal(chmod(path, 0750), 0); /* others may look */
	assert_int_equal(outbox_open(path, NULL, true, &o, why), 0);
	outbox_close(o);
	snprintf(link, sizeof(link), "%s/link", f.path);
	assert_int_equal(symlink(path, link), 0);
	assert_int_equal(outbox_open(link, NULL, true, &o, why), -ENOTDIR);
	if (geteuid() == 0) {
		assert_int_equal(chown(path, 65534, 65534), 0);
		assert_int_equal(outbox_open(path, NULL, true, &o, why), -EPERM);
		assert_non_null(strstr(why, "another user"));
		/* Nor does root make one in another user's home. */
		snprintf(link + strlen(link) - 4, 20, "a/b/c/d");
		assert_int_equal(outbox_open(link, NULL, true, &o, why), -EPERM);
		assert_non_null(strstr(why, "XDG_STATE_HOME"));
	}
	assert_int_equal(rmdir(path), 0);
	path[strlen(path) - 2] = '\0';
	assert_int_equal(rmdir(path), 0);
	close_folder(&f);
}

static void where_it_lies(void **state)
{
	static const struct {
		const char *state, *home, *want;
	} rows[] = {
		{ "/s", "/h", "/s/postern/outbox" },
		{ NULL, "/h", "/h/.local/state/postern/outbox" },
		{ "", "/h", "/h/.local/state/postern/outbox" },
		{ "relative", "/h", "/h/.local/state/postern/outbox" },
		{ "/s", NULL, "/s/postern/outbox" },
	};
	char path[4096], small[10];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		rows[i].state ? setenv("XDG_STATE_HOME", rows[i].state, 1) : unsetenv("XDG_STATE_HOME");
		rows[i].home ? setenv("HOME", rows[i].home, 1) : unsetenv("HOME");
		assert_int_equal(outbox_place(path, sizeof(path)), 0);
		assert_string_equal(path, rows[i].want);
		assert_int_equal(outbox_place(small, sizeof(small)), -ENAMETOOLONG);
	}
	unsetenv("XDG_STATE_HOME");
	assert_int_equal(outbox_place(path, sizeof(path)), 0); /* as the list of users has it */
	assert_non_null(strstr(path, "/.local/state/postern/outbox"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_put_is_there),
		cmocka_unit_test(only_those_remain_that_wait),
		cmocka_unit_test(tries_do_not_add_up),
		cmocka_unit_test(what_is_not_understood_is_named_and_stays),
		cmocka_unit_test(one_at_a_time),
		cmocka_unit_test(so_many_and_no_more),
		cmocka_unit_test(a_folder_that_is_not_ours_alone),
		cmocka_unit_test(where_it_lies),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
