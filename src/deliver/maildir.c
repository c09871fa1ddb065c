#include "deliver/maildir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/crc32c.h"
#include "deliver/lines.h"
#include "deliver/quota.h"

#define NAME_SIZE    256
#define STALE_LOOK   64 /* entries of tmp/ looked at in one delivery */
#define LOOK_S	     3600
#define LOOKS	     8192 /* a power of two */
#define HOST_OCTETS  128
#define READ_SIZE    65536
#define CREATE_TRIES 3

struct verdict {
	int error;
	enum maildir_result result;
	const char *status, *text, *advice;
};

/* A mailbox, open for one or more deliveries. */
struct box {
	struct slice mailbox;
	int tmp, new; /* folders, or -1 */
	int counted;  /* where its usage is counted: the mailbox that a folder is in; or -1 */
	int error;    /* it could not be opened; and what could not be done */
	const char *step;
	bool touched;	/* new/ has to be synced */
	bool uncounted; /* nobody counts there */
	bool look;	/* for what is seldom there to be found */
};

/* One delivery under way: what is open, and what must not stay behind. */
struct delivery {
	const struct maildir_setup *setup;
	const struct maildir_message *m;
	struct box *box;
	int error;
	int fd;			       /* the file, or -1 */
	char name[NAME_SIZE];	       /* in tmp/, "" when none is there */
	char new_name[NAME_SIZE + 64]; /* in new/, "" when it is not there yet */
	uint64_t size, virtual;
	const char *step;
	bool in_company;	 /* the others are written before this one is synced */
	bool counted;		 /* by quota_take() */
	const struct verdict *v; /* what the quota said; NULL: by the error */
};

static const struct verdict verdicts[] = {
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

static const struct verdict full_now = { EDQUOT, MAILDIR_DEFERRED, "4.2.2", "the mailbox is full", NULL };
static const struct verdict full_for_good = { EDQUOT, MAILDIR_FAILED, "5.2.2", "the mailbox is full", NULL };
static const struct verdict too_large = { EDQUOT, MAILDIR_FAILED, "5.2.3",
					  "the message is larger than the whole mailbox may be", NULL };

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

/* Once an hour, and each time for the first, a mailbox is looked over: most have nothing to be found.
 * Two that share a place are looked over more often. */
static bool is_look_due(struct slice mailbox, int64_t now_us)
{
	static _Atomic uint32_t looked[LOOKS];
	uint32_t sum = crc32c(0, mailbox), now = sum ^ (uint32_t)(now_us / 1000000 / LOOK_S);

	return atomic_exchange(&looked[sum % LOOKS], now) != now;
}

/* cur/, new/ and tmp/.  cur/ is made first: who finds new/ need not look for it. */
static int open_folders(const struct deliver_fs *fs, int at, struct box *b)
{
	int cur;

	b->step = "open";
	b->new = fs->open_dir(fs->arg, at, "new");
	if (b->new == -ENOENT || b->look) {
		cur = enter(fs, at, "cur", &b->step);
		if (cur < 0)
			return cur;
		close(cur);
	}
	if (b->new == -ENOENT)
		b->new = enter(fs, at, "new", &b->step);
	if (b->new < 0)
		return b->new;
	b->tmp = enter(fs, at, "tmp", &b->step);
	return b->tmp < 0 ? b->tmp : 0;
}

static int open_box(const struct maildir_setup *setup, struct box *b)
{
	const struct deliver_fs *fs = setup->fs;
	struct slice rest = b->mailbox, c;
	char name[NAME_SIZE];
	int at = setup->root, r = 0, parent = -1;

	b->step = "path";
	if (!maildir_path_ok(rest))
		return -EINVAL;
	do {
		int next;

		c = slice_head(rest, slice_find(rest, '/'));
		rest = slice_tail(rest, c.n + 1);
		if (!slice_copy(c, name, sizeof(name)))
			r = -EINVAL;
		next = r < 0 ? r : enter(fs, at, name, &b->step);
		if (parent >= 0)
			close(parent);
		parent = at != setup->root ? at : -1;
		if (next < 0 && parent >= 0)
			close(parent);
		if (next < 0)
			return next;
		at = next;
	} while (rest.n > 0);
	if (name[0] == '.') {
		mark_folder(fs, at);
		b->counted = parent;
	} else {
		if (parent >= 0)
			close(parent);
		b->counted = fcntl(at, F_DUPFD_CLOEXEC, 0);
	}
	r = open_folders(fs, at, b);
	close(at);
	return r;
}

/* Abandoned files are removed by whoever delivers: a mailbox without mail
 * gathers none.  Errors do not matter, it will be tried again. */
static void remove_stale(const struct box *b, int64_t now_us)
{
	int fd = openat(b->tmp, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	int64_t now_s = now_us / 1000000;
	struct dirent *e;
	struct stat st;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	for (unsigned i = 0; i < STALE_LOOK && (e = readdir(dir)); i++)
		if (e->d_name[0] != '.' && fstatat(b->tmp, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode) && now_s - st.st_mtim.tv_sec > MAILDIR_STALE_S)
			unlinkat(b->tmp, e->d_name, 0);
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
		r = d->setup->fs->create(d->setup->fs->arg, d->box->tmp, d->name);
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

/* Counted before it is seen: deliveries side by side must not all find the same room. */
static int take_room(struct delivery *d)
{
	enum quota_verdict v;

	d->step = "quota";
	if (d->m->quota == 0 || d->box->counted < 0)
		return 0;
	v = quota_take(d->box->counted, d->m->quota, d->size, d->m->now_us / 1000000);
	if (v == QUOTA_FITS) {
		d->counted = true;
		return 0;
	}
	d->v = v == QUOTA_TOO_LARGE ? &too_large : d->m->full_is_final ? &full_for_good : &full_now;
	return -EDQUOT;
}

/* What was counted and does not come is taken back; what comes without a quota is noted
 * for others that keep one. */
static void settle(const struct delivery *d)
{
	struct box *b = d->box;

	if (b->counted < 0 || b->uncounted || d->counted == (d->error == 0))
		return;
	b->uncounted = !quota_note(b->counted, d->counted ? -(int64_t)d->size : (int64_t)d->size,
				   d->counted ? -1 : 1);
}

static int sync_file(struct delivery *d)
{
	const struct deliver_fs *fs = d->setup->fs;
	int r;

	d->step = "sync";
	r = fs->sync(fs->arg, d->fd);
	if (close(d->fd) < 0 && r == 0)
		r = -errno;
	d->fd = -1;
	return r;
}

static bool given_up(const struct delivery *d)
{
	return d->m->give_up && atomic_load(d->m->give_up);
}

/* From here on the message is seen. */
static int publish(struct delivery *d)
{
	const struct deliver_fs *fs = d->setup->fs;
	int r;

	d->step = "rename";
	if (given_up(d))
		return -ECANCELED;
	snprintf(d->new_name, sizeof(d->new_name), "%s,S=%llu,W=%llu", d->name, (unsigned long long)d->size,
		 (unsigned long long)d->virtual);
	r = fs->rename(fs->arg, d->box->tmp, d->name, d->box->new, d->new_name);
	if (r < 0) {
		d->new_name[0] = '\0';
		return r;
	}
	d->name[0] = '\0';
	d->box->touched = true;
	return 0;
}

/* When its folder cannot be synced a message is taken back, because it will be
 * tried again: better late than twice. */
static int keep(struct delivery *d)
{
	const struct deliver_fs *fs = d->setup->fs;

	d->step = "sync-folder";
	if (d->box->touched) {
		d->box->error = fs->sync(fs->arg, d->box->new);
		d->box->touched = false;
	}
	if (d->box->error < 0)
		fs->unlink(fs->arg, d->box->new, d->new_name);
	return d->box->error;
}

/* The folders of its mailbox, which others of this call may have opened. */
static int enter_box(struct delivery *d, struct box *boxes, size_t *n)
{
	struct box *b;

	for (b = boxes; b < boxes + *n; b++)
		if (slice_eq(b->mailbox, d->m->mailbox))
			break;
	d->box = b;
	if (b == boxes + *n) {
		*b = (struct box){ .mailbox = d->m->mailbox, .tmp = -1, .new = -1, .counted = -1 };
		(*n)++;
		b->look = is_look_due(d->m->mailbox, d->m->now_us);
		b->error = open_box(d->setup, b);
		if (b->error == 0 && b->look)
			remove_stale(b, d->m->now_us);
	}
	d->step = b->step;
	return b->error;
}

static int put_file(struct delivery *d)
{
	int r = given_up(d) ? -ECANCELED : create_file(d);

	if (r == 0)
		r = write_file(d);
	if (r == 0 && d->in_company)
		d->setup->fs->start_sync(d->setup->fs->arg, d->fd);
	return r < 0 ? r : take_room(d);
}

static void clean_up(struct delivery *d)
{
	if (d->fd >= 0)
		close(d->fd);
	if (d->name[0])
		d->setup->fs->unlink(d->setup->fs->arg, d->box->tmp, d->name);
}

static void say(const struct delivery *d, struct maildir_outcome *ret)
{
	const struct verdict *v = verdicts;

	*ret = (struct maildir_outcome){ .error = d->error, .step = d->step, .size = d->size };
	if (d->error == 0) {
		ret->result = MAILDIR_DELIVERED;
		ret->step = "";
		ret->status = "2.0.0";
		ret->text = "delivered";
		return;
	}
	while (v->error && v->error != -d->error)
		v++;
	if (d->v)
		v = d->v;
	ret->result = v->result;
	ret->status = v->status;
	ret->text = v->text;
	ret->advice = v->advice;
}

struct maildir_round {
	struct delivery d[MAILDIR_TOGETHER];
	struct box box[MAILDIR_TOGETHER];
	size_t n, n_boxes;
};

struct maildir_round *maildir_round_new(void)
{
	return calloc(1, sizeof(struct maildir_round));
}

void maildir_round_free(struct maildir_round *r)
{
	free(r);
}

static void each(struct maildir_round *r, size_t first, size_t n, int (*step)(struct delivery *d))
{
	for (size_t i = first; i < first + n && i < r->n; i++)
		if (r->d[i].error == 0)
			r->d[i].error = step(&r->d[i]);
}

void maildir_round_write(struct maildir_round *r, const struct maildir_setup *setup,
			 const struct maildir_message *m, size_t n)
{
	r->n = n;
	r->n_boxes = 0;
	for (size_t i = 0; i < n; i++) {
		r->d[i] = (struct delivery){
			.setup = setup, .m = &m[i], .fd = -1, .step = "", .in_company = n > 1
		};
		r->d[i].error = enter_box(&r->d[i], r->box, &r->n_boxes);
	}
	each(r, 0, n, put_file);
}

void maildir_round_sync(struct maildir_round *r, size_t first, size_t n)
{
	each(r, first, n, sync_file);
}

void maildir_round_end(struct maildir_round *r, struct maildir_outcome *ret)
{
	each(r, 0, r->n, publish);
	each(r, 0, r->n, keep);
	for (size_t i = 0; i < r->n; i++) {
		clean_up(&r->d[i]);
		settle(&r->d[i]);
		say(&r->d[i], &ret[i]);
	}
	for (size_t i = 0; i < r->n_boxes; i++) {
		if (r->box[i].tmp >= 0)
			close(r->box[i].tmp);
		if (r->box[i].new >= 0)
			close(r->box[i].new);
		if (r->box[i].counted >= 0)
			close(r->box[i].counted);
	}
}

void maildir_deliver(const struct maildir_setup *setup, const struct maildir_message *m,
		     struct maildir_outcome *ret)
{
	struct maildir_round *r = maildir_round_new();

	if (!r) {
		struct delivery d = { .error = -ENOMEM, .step = "begin" };

		say(&d, ret);
		return;
	}
	maildir_round_write(r, setup, m, 1);
	maildir_round_sync(r, 0, 1);
	maildir_round_end(r, ret);
	maildir_round_free(r);
}
