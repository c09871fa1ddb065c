#include "deliver/quota.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCKS	    64
#define COUNT_TRIES 3 /* when somebody changes the file while the mailbox is counted */
#define NAME_SIZE   300

/* ---- the text ---- */

/* "1073741824S,1000C": the part with S, and nothing else that is unknown. */
static bool parse_limit(struct slice line, uint64_t *ret)
{
	uint64_t limit = 0, v;

	while (line.n > 0) {
		if (!cur_u64(&line, INT64_MAX, &v))
			return false;
		if (cur_byte(&line, 'S'))
			limit = v;
		else if (!cur_byte(&line, 'C'))
			return false;
		if (line.n > 0 && !cur_byte(&line, ','))
			return false;
	}
	*ret = limit;
	return true;
}

static bool take_signed(struct slice *cur, int64_t *ret)
{
	bool minus;
	uint64_t v;

	cur_blanks(cur);
	minus = cur_byte(cur, '-');
	if (!cur_u64(cur, INT64_MAX, &v))
		return false;
	*ret = minus ? -(int64_t)v : (int64_t)v;
	return true;
}

bool quota_parse(struct slice text, uint64_t limit, struct quota_usage *ret, unsigned *ret_lines)
{
	int64_t octets = 0, messages = 0, o, m;
	struct slice line;
	unsigned lines = 0;
	uint64_t said;

	if (text.n >= QUOTA_FILE_MAX || !cur_until(&text, '\n', &line) || !parse_limit(line, &said) ||
	    (limit > 0 && said != limit))
		return false;
	for (; text.n > 0; lines++) {
		if (!cur_until(&text, '\n', &line) || !take_signed(&line, &o) || !cur_blanks(&line) ||
		    !take_signed(&line, &m))
			return false;
		cur_blanks(&line);
		if (line.n > 0 || __builtin_add_overflow(octets, o, &octets) ||
		    __builtin_add_overflow(messages, m, &messages))
			return false;
	}
	/* Nobody has counted yet; or lines got lost. */
	if (lines == 0 || octets < 0 || messages < 0)
		return false;
	*ret = (struct quota_usage){ (uint64_t)octets, (uint64_t)messages };
	*ret_lines = lines;
	return true;
}

bool quota_size_of_name(struct slice name, uint64_t *ret)
{
	struct slice part;
	uint64_t size;

	name = slice_head(name, slice_find(name, ':'));
	if (!cur_until(&name, ',', &part))
		return false;
	while (name.n > 0) {
		size_t n = slice_find(name, ',');

		part = slice_head(name, n);
		name = slice_tail(name, n + 1);
		if (!cur_word(&part, SLICE_LIT("S=")))
			continue;
		if (!cur_u64(&part, INT64_MAX, &size) || part.n > 0)
			return false;
		*ret = size;
		return true;
	}
	return false;
}

/* ---- counting ---- */

static DIR *open_folder(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d && fd >= 0)
		close(fd);
	return d;
}

static void count_files(int at, const char *name, struct quota_usage *sum)
{
	DIR *d = open_folder(at, name);
	struct dirent *e;
	struct stat st;
	uint64_t size;

	while (d && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		if (!quota_size_of_name(slice_str(e->d_name), &size)) {
			if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
			    !S_ISREG(st.st_mode))
				continue;
			size = (uint64_t)st.st_size;
		}
		sum->octets += size;
		sum->messages++;
	}
	if (d)
		closedir(d);
}

/* The inbox and every folder: those that begin with a dot. */
static int count_all(int box, struct quota_usage *ret)
{
	struct quota_usage sum = { 0 };
	DIR *d = open_folder(box, ".");
	struct dirent *e;

	if (!d)
		return -errno;
	count_files(box, "cur", &sum);
	count_files(box, "new", &sum);
	while ((e = readdir(d))) {
		int folder;

		if (e->d_name[0] != '.' || !strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		folder = openat(box, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (folder < 0)
			continue;
		count_files(folder, "cur", &sum);
		count_files(folder, "new", &sum);
		close(folder);
	}
	closedir(d);
	*ret = sum;
	return 0;
}

/* ---- the file ---- */

struct file {
	struct quota_usage usage;
	unsigned lines;
	bool good; /* it tells the usage */
	bool there;
	bool fresh; /* counted by this very call */
	struct stat st;
};

static void read_file(int box, uint64_t limit, struct file *f)
{
	char text[QUOTA_FILE_MAX];
	int fd = openat(box, QUOTA_FILE, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	ssize_t n = -1;

	*f = (struct file){ 0 };
	if (fd < 0)
		return;
	if (fstat(fd, &f->st) == 0 && S_ISREG(f->st.st_mode)) {
		f->there = true;
		n = pread(fd, text, sizeof(text), 0);
	}
	close(fd);
	f->good = n > 0 && quota_parse(slice_of(text, (size_t)n), limit, &f->usage, &f->lines);
}

static bool same_file(int box, const struct file *was)
{
	struct stat st;
	bool there = fstatat(box, QUOTA_FILE, &st, AT_SYMLINK_NOFOLLOW) == 0;

	return there == was->there &&
	       (!there || (st.st_ino == was->st.st_ino && st.st_size == was->st.st_size));
}

/* Written aside and renamed, so nobody reads half of it. */
static int write_file(int box, uint64_t limit, const struct quota_usage *usage)
{
	static atomic_ulong count;
	char name[NAME_SIZE], text[100];
	int fd, n, r = 0;

	snprintf(name, sizeof(name), "tmp/" QUOTA_FILE ".%ld.%lu", (long)getpid(),
		 atomic_fetch_add(&count, 1));
	n = snprintf(text, sizeof(text), "%lluS\n%llu %llu\n", (unsigned long long)limit,
		     (unsigned long long)usage->octets, (unsigned long long)usage->messages);
	fd = openat(box, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	if (write(fd, text, (size_t)n) != n)
		r = -EIO;
	if (close(fd) < 0 && r == 0)
		r = -errno;
	if (r == 0 && renameat(box, name, box, QUOTA_FILE) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(box, name, 0);
	return r;
}

/* A line that somebody appends while we count may or may not be in our count: then it
 * is counted once more. */
static int recount(int box, uint64_t limit, struct file *f)
{
	int r = 0;

	for (int i = 0; i < COUNT_TRIES; i++) {
		read_file(box, limit, f);
		r = count_all(box, &f->usage);
		if (r < 0)
			return r;
		if (same_file(box, f))
			break;
	}
	f->good = f->fresh = true;
	write_file(box, limit, &f->usage); /* else it is counted again next time */
	return 0;
}

bool quota_note(int box, int64_t octets, int messages)
{
	char text[64];
	int fd = openat(box, QUOTA_FILE, O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	int n = snprintf(text, sizeof(text), "%lld %d\n", (long long)octets, messages);
	struct stat st;

	if (fd < 0)
		return errno != ENOENT;
	/* Half a line is found by whoever reads it. */
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		(void)!write(fd, text, (size_t)n);
	close(fd);
	return true;
}

/* ---- one more ---- */

static bool fits(const struct quota_usage *u, uint64_t limit, uint64_t size)
{
	return u->octets <= limit && size <= limit - u->octets;
}

/* A program that knows nothing of quotas may have made room: by deleting a file in the
 * inbox, which its folder tells.  What happened in the same tick of the clock counts as
 * after it: a count too many is better than mail that is refused for nothing. */
static bool changed_since(int box, const struct file *f)
{
	static const char *const folders[] = { "cur", "new" };
	const struct timespec *was = &f->st.st_mtim;
	struct stat st;

	for (size_t i = 0; i < 2; i++)
		if (fstatat(box, folders[i], &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    (st.st_mtim.tv_sec > was->tv_sec ||
		     (st.st_mtim.tv_sec == was->tv_sec && st.st_mtim.tv_nsec >= was->tv_nsec)))
			return true;
	return false;
}

static enum quota_verdict take(int box, uint64_t limit, uint64_t size, int64_t now_s)
{
	struct file f;

	read_file(box, limit, &f);
	if (!f.good && recount(box, limit, &f) < 0)
		return QUOTA_FITS;
	if (!fits(&f.usage, limit, size) && !f.fresh &&
	    (f.lines > 1 || now_s - f.st.st_mtim.tv_sec > QUOTA_STALE_S || changed_since(box, &f)) &&
	    recount(box, limit, &f) < 0)
		return QUOTA_FITS;
	if (!fits(&f.usage, limit, size))
		return QUOTA_FULL;
	quota_note(box, (int64_t)size, 1);
	return QUOTA_FITS;
}

/* Deliveries side by side must not all find the same room: looking and counting
 * is one step, by mailbox. */
static pthread_mutex_t *lock_of(int box)
{
	static pthread_mutex_t locks[LOCKS] = { [0 ... LOCKS - 1] = PTHREAD_MUTEX_INITIALIZER };
	struct stat st;

	return &locks[fstat(box, &st) == 0 ? (st.st_ino ^ st.st_dev) % LOCKS : 0];
}

enum quota_verdict quota_take(int box, uint64_t limit, uint64_t size, int64_t now_s)
{
	pthread_mutex_t *lock = lock_of(box);
	enum quota_verdict v;

	if (size > limit)
		return QUOTA_TOO_LARGE;
	pthread_mutex_lock(lock);
	v = take(box, limit, size, now_s);
	pthread_mutex_unlock(lock);
	return v;
}

int quota_usage(int box, struct quota_usage *ret)
{
	struct file f;

	read_file(box, 0, &f);
	if (!f.good)
		return count_all(box, ret);
	*ret = f.usage;
	return 0;
}
