/* disk.h - the seam between the spool and the machine's disk.
 *
 * A table of operations.  disk_real() calls the kernel; the simulated disk of
 * disk_sim.h knows what is durable, and tears, fills, fails and counts.  Not a
 * file system abstraction: only what an append-only store needs, and nothing
 * is buffered here.
 *
 * Files and folders are small non-negative handles (descriptors on the real
 * disk).  All functions return 0, a handle or a count, or negative errno;
 * interrupted calls are repeated inside.  Any thread may call them.
 *
 * What a power cut leaves: bytes for which datasync() returned 0, in files
 * whose name a dirsync() of the folder covered.  Nothing else is promised.
 */
#ifndef POSTERN_SPOOL_DISK_H
#define POSTERN_SPOOL_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

enum disk_open {
	DISK_READ,   /* must exist */
	DISK_WRITE,  /* read and write, must exist */
	DISK_CREATE, /* read and write, must not exist (-EEXIST) */
};

#define DISK_IOV_MAX 512

/* false ends the listing early. */
typedef bool disk_list_fn(void *arg, const char *name);

struct disk {
	int (*folder)(const struct disk *d, const char *path);		   /* a handle */
	int (*subfolder)(const struct disk *d, int dir, const char *name); /* made when missing */
	int (*lock)(const struct disk *d, int dir, const char *name);	   /* a handle, or -EBUSY */
	int (*open)(const struct disk *d, int dir, const char *name, enum disk_open how);
	void (*close)(const struct disk *d, int file);
	/* Both may do less than asked; 0 from pread is the end of the file. */
	ssize_t (*pread)(const struct disk *d, int file, void *to, size_t n, uint64_t at);
	ssize_t (*pwritev)(const struct disk *d, int file, const struct iovec *iov, int n, uint64_t at);
	int (*datasync)(const struct disk *d, int file);
	int (*dirsync)(const struct disk *d, int dir);
	int (*truncate)(const struct disk *d, int file, uint64_t size);
	int (*size)(const struct disk *d, int file, uint64_t *ret);
	int (*rename)(const struct disk *d, int dir, const char *from, const char *to);
	int (*unlink)(const struct disk *d, int dir, const char *name);
	int (*list)(const struct disk *d, int dir, disk_list_fn *each, void *arg);
	int (*space)(const struct disk *d, int dir, uint64_t *ret_free);
	int (*descriptor)(const struct disk *d, int dir,
			  const char *name); /* read-only, the caller closes it */
};

const struct disk *disk_real(void);

/* Whole transfers on top of the table: all of it, or an error.  A read that
 * meets the end of the file is -ENODATA.  disk_write changes iov. */
int disk_read(const struct disk *d, int file, void *to, size_t n, uint64_t at);
int disk_writev(const struct disk *d, int file, struct iovec *iov, size_t n, uint64_t at);
int disk_write(const struct disk *d, int file, const void *from, size_t n, uint64_t at);

#endif
