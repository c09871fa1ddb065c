#include "spool/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

static int real_folder(const struct disk *d, const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)d;
	return fd < 0 ? -errno : fd;
}

static int real_subfolder(const struct disk *d, int dir, const char *name)
{
	int fd;

	(void)d;
	if (mkdirat(dir, name, 0700) == 0) {
		if (fsync(dir) < 0)
			return -errno;
	} else if (errno != EEXIST) {
		return -errno;
	}
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int real_lock(const struct disk *d, int dir, const char *name)
{
	int fd = openat(dir, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	int r;

	(void)d;
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		r = errno == EWOULDBLOCK ? -EBUSY : -errno;
		close(fd);
		return r;
	}
	return fd;
}

static int real_open(const struct disk *d, int dir, const char *name, enum disk_open how)
{
	static const int flags[] = {
		[DISK_READ] = O_RDONLY,
		[DISK_WRITE] = O_RDWR,
		[DISK_CREATE] = O_RDWR | O_CREAT | O_EXCL,
	};
	int fd = openat(dir, name, flags[how] | O_NOFOLLOW | O_CLOEXEC, 0600);

	(void)d;
	return fd < 0 ? -errno : fd;
}

static void real_close(const struct disk *d, int file)
{
	(void)d;
	close(file);
}

static ssize_t real_pread(const struct disk *d, int file, void *to, size_t n, uint64_t at)
{
	ssize_t r;

	(void)d;
	do
		r = pread(file, to, n, (off_t)at);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

static ssize_t real_pwritev(const struct disk *d, int file, const struct iovec *iov, int n, uint64_t at)
{
	ssize_t r;

	(void)d;
	do
		r = pwritev(file, iov, n, (off_t)at);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

/* Not repeated on EINTR: a second call could report success for pages that the
 * first one failed to write. */
static int real_datasync(const struct disk *d, int file)
{
	(void)d;
	return fdatasync(file) < 0 ? -errno : 0;
}

static int real_dirsync(const struct disk *d, int dir)
{
	(void)d;
	return fsync(dir) < 0 ? -errno : 0;
}

static int real_truncate(const struct disk *d, int file, uint64_t size)
{
	(void)d;
	return ftruncate(file, (off_t)size) < 0 ? -errno : 0;
}

static int real_size(const struct disk *d, int file, uint64_t *ret)
{
	struct stat st;

	(void)d;
	if (fstat(file, &st) < 0)
		return -errno;
	*ret = (uint64_t)st.st_size;
	return 0;
}

static int real_rename(const struct disk *d, int dir, const char *from, const char *to)
{
	(void)d;
	return renameat(dir, from, dir, to) < 0 ? -errno : 0;
}

static int real_unlink(const struct disk *d, int dir, const char *name)
{
	(void)d;
	return unlinkat(dir, name, 0) < 0 ? -errno : 0;
}

static int real_list(const struct disk *d, int dir, disk_list_fn *each, void *arg)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	int r;

	(void)d;
	if (!stream) {
		r = -errno;
		if (fd >= 0)
			close(fd);
		return r;
	}
	do {
		errno = 0;
		e = readdir(stream);
	} while (e && (e->d_name[0] == '.' || each(arg, e->d_name)));
	r = e ? 0 : -errno;
	closedir(stream);
	return r;
}

static int real_space(const struct disk *d, int dir, uint64_t *ret_free)
{
	struct statvfs v;

	(void)d;
	if (fstatvfs(dir, &v) < 0)
		return -errno;
	*ret_free = (uint64_t)v.f_bavail * v.f_frsize;
	return 0;
}

static int real_descriptor(const struct disk *d, int dir, const char *name)
{
	return real_open(d, dir, name, DISK_READ);
}

const struct disk *disk_real(void)
{
	static const struct disk real = {
		.folder = real_folder,
		.subfolder = real_subfolder,
		.lock = real_lock,
		.open = real_open,
		.close = real_close,
		.pread = real_pread,
		.pwritev = real_pwritev,
		.datasync = real_datasync,
		.dirsync = real_dirsync,
		.truncate = real_truncate,
		.size = real_size,
		.rename = real_rename,
		.unlink = real_unlink,
		.list = real_list,
		.space = real_space,
		.descriptor = real_descriptor,
	};

	return &real;
}

int disk_read(const struct disk *d, int file, void *to, size_t n, uint64_t at)
{
	size_t got = 0;

	while (got < n) {
		ssize_t r = d->pread(d, file, (unsigned char *)to + got, n - got, at + got);

		if (r < 0)
			return (int)r;
		if (r == 0)
			return -ENODATA;
		got += (size_t)r;
	}
	return 0;
}

int disk_writev(const struct disk *d, int file, struct iovec *iov, size_t n, uint64_t at)
{
	while (n > 0) {
		ssize_t r;

		if (iov->iov_len == 0) {
			iov++;
			n--;
			continue;
		}
		r = d->pwritev(d, file, iov, n > DISK_IOV_MAX ? DISK_IOV_MAX : (int)n, at);
		if (r < 0)
			return (int)r;
		if (r == 0)
			return -EIO;
		at += (uint64_t)r;
		for (size_t done = (size_t)r; done > 0;) {
			size_t step = done < iov->iov_len ? done : iov->iov_len;

			if (step > 0)
				iov->iov_base = (unsigned char *)iov->iov_base + step;
			iov->iov_len -= step;
			done -= step;
			if (iov->iov_len == 0) {
				iov++;
				n--;
			}
		}
	}
	return 0;
}

int disk_write(const struct disk *d, int file, const void *from, size_t n, uint64_t at)
{
	struct iovec iov = { (void *)(uintptr_t)from, n };

	return disk_writev(d, file, &iov, 1, at);
}
