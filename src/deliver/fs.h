/* fs.h - the system calls that put a message into a mailbox, as a seam.
 *
 * Delivery calls the disk only through this table, so that a test can make any
 * single step fail the way a full, slow or broken disk does.  Not a general
 * file system: only what a Maildir needs, all of it relative to a folder's
 * descriptor.  Each call answers like the system call, but with a negative errno
 * instead of -1.  Called from several threads at once.
 */
#ifndef POSTERN_DELIVER_FS_H
#define POSTERN_DELIVER_FS_H

#include <sys/types.h>

#include "base/slice.h"

struct deliver_fs {
	void *arg;
	int (*make_dir)(void *arg, int at, const char *name);
	int (*open_dir)(void *arg, int at, const char *name);	  /* never follows a link */
	int (*create)(void *arg, int at, const char *name);	  /* for writing; must not exist */
	int (*write)(void *arg, int fd, const void *p, size_t n); /* all of it */
	/* A hint: the data of a file that is synced soon may go on its way. */
	void (*start_sync)(void *arg, int fd);
	int (*sync)(void *arg, int fd); /* of a file or of a folder */
	int (*rename)(void *arg, int from, const char *name, int to, const char *new_name); /* -EEXIST */
	int (*unlink)(void *arg, int at, const char *name);
	ssize_t (*read_at)(void *arg, int fd, void *to, size_t n, off_t from);
};

const struct deliver_fs *deliver_fs_real(void);

#endif
