#include "deliver/maildir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "deliver/lines.h"

#define NAME_SIZE    256
#define STALE_LOOK   64 /* entries of tmp/ looked at in one delivery */
#define HOST_OCTETS  128
#define READ_SIZE    65536
#define CREATE_TRIES 3

/* One delivery under way: what is open, and what must not stay behind. */
struct delivery {
	const struct maildir_setup *setup;
	const struct maildir_message *m;
	int tmp, new;	      /* folders, or -1 */
	int fd;		      /* the file, or -1 */
	char name[NAME_SIZE]; /* in tmp/, "" when none is there */
	uint64_t size, virtual;
	const char *step;
};

static const struct verdict {
	int error;
	enum maildir_result result;
	const char *status, *text, *advice;
} verdicts[] = {
	{ ENOSPC, MAILDIR_DEFERRED, "4.3.1", "the mail system's disk is full",
	  "make room where mailboxes.dir lies" },
	{ EDQUOT, MAILDIR_DEFERRED, "4.2.2", "the mailbox is over its disk quota", NULL },
	{ EFBIG, MAILDIR_DEFERRED, "4.3.1", "the message is larger than a file may be",
	  "raise the limit of file sizes (ulimit -f) of the server" },
	{ EACCES, MAILDIR_DEFERRED, "4.3.0", "the mailbox cannot be written to",
	  "mailboxes.dir and all below it must belong to mailboxes.user and mailboxes.group" },
	{ EPERM, MAILDIR_DEFERRED, "4.3.0", "the mailbox cannot be written to",
	  "mailboxes.dir and all below it must belong to mailboxes.user and mailboxes.group" },
	{ EROFS, MAILDIR_DEFERRED, "4.3.0", "the mailboxes are read-only",
	  "mount mailboxes.dir for writing" },
	{ ENOTDIR, MAILDIR_DEFERRED, "4.3.5", "the mailbox's path holds something that is no folder",
	  "below mailboxes.dir links are not followed; mount or move the folder there instead" },
	{ ELOOP, MAILDIR_DEFERRED, "4.3.5", "the mailbox's path holds a link",
	  "below mailboxes.dir links are not followed; mount or move the folder there instead" },
	{ EIO, MAILDIR_DEFERRED, "4.3.0", "the mailbox's disk has an error", "look into the kernel's log" },
	{ EINVAL, MAILDIR_FAILED, "5.3.5", "the mailbox's path is not allowed",
	  "the account's mailbox must be a plain path below mailboxes.dir" },
	{ EBADMSG, MAILDIR_DEFERRED, "4.3.0", "the message's body could not be read back in full", NULL },
	{ ECANCELED, MAILDIR_DEFERRED, "4.3.0", "the delivery was given up", NULL },
	{ 0, MAILDIR_DEFERRED, "4.3.0", "the mailbox could not be written", NULL }, /* any other */
};

static bool component_ok(struct slice c)
{
	static const char *const taken[] = { ".", "..", "cur", "new", "tmp" };

	if (c.n == 0 || c.n > 255)
		return false;
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
		if (slice_eq(c, slice_str(taken[i])))
			return false;
	for (size_t i = 0; i < c.n; i++)
		if (c.p[i] < 0x20 || c.p[i] == 0x7f)
			return false;
	return true;
}

bool maildir_path_ok(struct slice mailbox)
{
	size_t depth = 0;

	for (;;) {
		size_t n = slice_find(mailbox, '/');
		struct slice c = slice_head(mailbox, n);
		bool last = n == mailbox.n;

		if (!component_ok(c) || ++depth > MAILDIR_DEPTH_MAX)
			return false;
		if (c.p[0] == '.' && (!last || depth == 1))
			return false;
		if (last)
			return true;
		mailbox = slice_tail(mailbox, n + 1);
	}
}

/* Opens a folder, making it first if it is not there.  What was made is synced
 * into its parent: a message in a folder that a power loss takes away is lost. */
static int enter(const struct deliver_fs *fs, int at, const char *name, const char **step)
{
	int fd = fs->open_dir(fs->arg, at, name), r;

	*step = "open";
	if (fd != -ENOENT)
		return fd;
	*step = "mkdir";
	r = fs->make_dir(fs->arg, at, name);
	if (r < 0 && r != -EEXIST)
		return r;
	*step = "sync-parent";
	r = fs->sync(fs->arg, at);
	if (r < 0)
		return r;
	*step = "open";
	return fs->open_dir(fs->arg, at, name);
}

/* A Maildir++ folder is told from a mailbox by this empty file. */
static void mark_folder(const struct deliver_fs *fs, int box)
{
	int fd = fs->create(fs->arg, box, "maildirfolder");

	if (fd >= 0)
		close(fd);
}

static int open_box(struct delivery *d)
{
	const struct deliver_fs *fs = d->setup->fs;
	struct slice rest = d->m->mailbox, c;
	char name[NAME_SIZE];
	int at = d->setup->root, r = 0, cur;

	d->step = "path";
	if (!maildir_path_ok(rest))
		return -EINVAL;
	do {
		int next;

		c = slice_head(rest, slice_find(rest, '/'));
		rest = slice_tail(rest, c.n + 1);
		if (!slice_copy(c, name, sizeof(name)))
			r = -EINVAL;
		next = r < 0 ? r : enter(fs, at, name, &d->step);
		if (at != d->setup->root)
			close(at);
		if (next < 0)
			return next;
		at = next;
	} while (rest.n > 0);
	if (name[0] == '.')
		mark_folder(fs, at);
	cur = enter(fs, at, "cur", &d->step);
	if (cur >= 0)
		close(cur);
	r = cur < 0 ? cur : 0;
	if (r == 0 && (d->new = enter(fs, at, "new", &d->step)) < 0)
		r = d->new;
	if (r == 0 && (d->tmp = enter(fs, at, "tmp", &d->step)) < 0)
		r = d->tmp;
	close(at);
	return r;
}

/* Abandoned files are removed by whoever delivers next: a mailbox without mail
 * gathers none.  Errors do not matter, it will be tried again. */
static void remove_stale(const struct delivery *d)
{
	int fd = openat(d->tmp, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	int64_t now_s = d->m->now_us / 1000000;
	struct dirent *e;
	struct stat st;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	for (unsigned i = 0; i < STALE_LOOK && (e = readdir(dir)); i++)
		if (e->d_name[0] != '.' && fstatat(d->tmp, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode) && now_s - st.st_mtim.tv_sec > MAILDIR_STALE_S)
			unlinkat(d->tmp, e->d_name, 0);
	closedir(dir);
}

static void make_name(struct delivery *d)
{
	static atomic_ulong count;
	const char *host = d->setup->hostname;
	int64_t us = d->m->now_us;
	int n = snprintf(d->name, sizeof(d->name), "%lld.M%06lldP%ldQ%lu.", (long long)(us / 1000000),
			 (long long)(us % 1000000), (long)getpid(), atomic_fetch_add(&count, 1) + 1);

	for (size_t at = (size_t)n; *host && at < HOST_OCTETS; host++) {
		bool octal = *host == '/' || *host == ':' || *host == ',';

		at += (size_t)snprintf(d->name + at, sizeof(d->name) - at, octal ? "\\%03o" : "%c",
				       (unsigned char)*host);
	}
}

static int create_file(struct delivery *d)
{
	int r = -EEXIST;

	d->step = "create";
	for (int i = 0; i < CREATE_TRIES && r == -EEXIST; i++) {
		make_name(d);
		r = d->setup->fs->create(d->setup->fs->arg, d->tmp, d->name);
	}
	if (r < 0) {
		d->name[0] = '\0';
		return r;
	}
	d->fd = r;
	return 0;
}

/* An address in a header of ours: what could end the header becomes harmless. */
static void put_address(struct lines *l, const char *header, struct slice a, bool angle)
{
	lines_put(l, slice_str(header));
	lines_put(l, slice_str(angle ? ": <" : ": "));
	for (size_t i = 0; i < a.n; i++)
		lines_put(l, a.p[i] < 0x20 || a.p[i] == 0x7f ? SLICE_LIT("?") : slice_of(a.p + i, 1));
	lines_put(l, slice_str(angle ? ">\r\n" : "\r\n"));
}

static int put_body_file(struct delivery *d, struct lines *l)
{
	const struct deliver_fs *fs = d->setup->fs;
	unsigned char *chunk = malloc(READ_SIZE);
	uint64_t at = 0;
	int r = chunk ? 0 : -ENOMEM;

	while (r == 0 && at < d->m->body_size && l->error == 0) {
		uint64_t left = d->m->body_size - at;
		size_t want = left < READ_SIZE ? (size_t)left : READ_SIZE;
		ssize_t got = fs->read_at(fs->arg, d->m->body_fd, chunk, want, (off_t)at);

		if (got <= 0) {
			d->step = "read";
			r = got < 0 ? (int)got : -EBADMSG;
			break;
		}
		lines_put(l, slice_of(chunk, (size_t)got));
		at += (uint64_t)got;
	}
	free(chunk);
	return r;
}

static int write_file(struct delivery *d)
{
	const struct maildir_message *m = d->m;
	struct lines *l = malloc(sizeof(*l));
	int r, end;

	if (!l)
		return -ENOMEM;
	d->step = "write";
	lines_init(l, d->setup->fs, d->fd);
	put_address(l, "Return-Path", m->sender, true);
	put_address(l, "Delivered-To", m->address, false);
	if (m->original.n > 0 && !slice_eq(m->original, m->address))
		put_address(l, "X-Original-To", m->original, false);
	lines_put(l, m->headers);
	r = 0;
	if (m->body_fd >= 0)
		r = put_body_file(d, l);
	else
		lines_put(l, m->body);
	end = lines_end(l);
	d->size = l->size;
	d->virtual = l->virtual;
	free(l);
	return r < 0 ? r : end;
}

/* From here on the message is seen.  When the folder cannot be synced it is
 * taken back, because it will be tried again: better late than twice. */
static int publish(struct delivery *d)
{
	const struct deliver_fs *fs = d->setup->fs;
	char name[NAME_SIZE + 64];
	int r;

	d->step = "rename";
	if (d->m->give_up && atomic_load(d->m->give_up))
		return -ECANCELED;
	snprintf(name, sizeof(name), "%s,S=%llu,W=%llu", d->name, (unsigned long long)d->size,
		 (unsigned long long)d->virtual);
	r = fs->rename(fs->arg, d->tmp, d->name, d->new, name);
	if (r < 0)
		return r;
	d->name[0] = '\0';
	d->step = "sync-folder";
	r = fs->sync(fs->arg, d->new);
	if (r < 0)
		fs->unlink(fs->arg, d->new, name);
	return r;
}

static int deliver(struct delivery *d)
{
	const struct deliver_fs *fs = d->setup->fs;
	int r = open_box(d);

	if (r < 0)
		return r;
	remove_stale(d);
	r = create_file(d);
	if (r == 0)
		r = write_file(d);
	if (r == 0) {
		d->step = "sync";
		r = fs->sync(fs->arg, d->fd);
	}
	if (d->fd >= 0 && close(d->fd) < 0 && r == 0)
		r = -errno;
	if (r == 0)
		r = publish(d);
	if (d->name[0])
		fs->unlink(fs->arg, d->tmp, d->name);
	return r;
}

void maildir_deliver(const struct maildir_setup *setup, const struct maildir_message *m,
		     struct maildir_outcome *ret)
{
	struct delivery d = { .setup = setup, .m = m, .tmp = -1, .new = -1, .fd = -1, .step = "" };
	const struct verdict *v = verdicts;
	int r = deliver(&d);

	if (d.tmp >= 0)
		close(d.tmp);
	if (d.new >= 0)
		close(d.new);
	*ret = (struct maildir_outcome){ .error = r, .step = d.step, .size = d.size };
	if (r == 0) {
		ret->result = MAILDIR_DELIVERED;
		ret->step = "";
		ret->status = "2.0.0";
		ret->text = "delivered";
		return;
	}
	while (v->error && v->error != -r)
		v++;
	ret->result = v->result;
	ret->status = v->status;
	ret->text = v->text;
	ret->advice = v->advice;
}
