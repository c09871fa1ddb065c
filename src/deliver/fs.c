#include "deliver/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static int real_make_dir(void *arg, int at, const char *name)
{
	(void)arg;
	return mkdirat(at, name, 0700) < 0 ? -errno : 0;
}

static int real_open_dir(void *arg, int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	(void)arg;
	return fd < 0 ? -errno : fd;
}

static int real_create(void *arg, int at, const char *name)
{
	int fd = openat(at, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	(void)arg;
	return fd < 0 ? -errno : fd;
}

static int real_write(void *arg, int fd, const void *p, size_t n)
{
	const char *at = p;

	(void)arg;
	while (n > 0) {
		ssize_t got = write(fd, at, n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			return -ENOSPC;
		at += got;
		n -= (size_t)got;
	}
	return 0;
}

static void real_start_sync(void *arg, int fd)
{
	(void)arg;
	(void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

static int real_sync(void *arg, int fd)
{
	(void)arg;
	return fsync(fd) < 0 ? -errno : 0;
}

/* Where the file system has no rename that refuses to replace (some network and
 * fuse ones), the names are still unique by construction. */
static int real_rename(void *arg, int from, const char *name, int to, const char *new_name)
{
	(void)arg;
	if (renameat2(from, name, to, new_name, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	return renameat(from, name, to, new_name) < 0 ? -errno : 0;
}

static int real_unlink(void *arg, int at, const char *name)
{
	(void)arg;
	return unlinkat(at, name, 0) < 0 ? -errno : 0;
}

static ssize_t real_read_at(void *arg, int fd, void *to, size_t n, off_t from)
{
	ssize_t got;

	(void)arg;
	do
		got = pread(fd, to, n, from);
	while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

const struct deliver_fs *deliver_fs_real(void)
{
	static const struct deliver_fs fs = {
		.make_dir = real_make_dir,
		.open_dir = real_open_dir,
		.create = real_create,
		.write = real_write,
		.start_sync = real_start_sync,
		.sync = real_sync,
		.rename = real_rename,
		.unlink = real_unlink,
		.read_at = real_read_at,
	};

	return &fs;
}
