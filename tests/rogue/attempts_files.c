/* What a taken-over role would try with files. */
#include <linux/openat2.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <utime.h>

#include "attempts.h"

/* ---- files ---- */

static long try_open(const char *path, int flags)
{
	return open(path, flags | O_CLOEXEC, 0600);
}

static long in(const char *folder, const char *name, int flags)
{
	char path[1200];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return try_open(path, flags);
}

static long in_state(const char *name)
{
	return in(at.role->conf->state_dir, name, O_RDONLY | O_DIRECTORY);
}

static long passwd(void)
{
	return try_open("/etc/passwd", O_RDONLY);
}
static long root_folder(void)
{
	return try_open("/", O_RDONLY | O_DIRECTORY);
}
static long tmp_create(void)
{
	return try_open("/tmp", O_TMPFILE | O_RDWR);
}
static long shm_create(void)
{
	return in("/dev/shm", "rogue", O_CREAT | O_RDWR);
}
static long dev_null(void)
{
	return try_open("/dev/null", O_RDWR);
}
static long tty(void)
{
	return try_open("/dev/tty", O_RDWR);
}
static long own_memory(void)
{
	return try_open("/proc/self/mem", O_RDWR);
}
static long own_program(void)
{
	return try_open("/proc/self/exe", O_RDONLY);
}
static long own_descriptors(void)
{
	return try_open("/proc/self/fd", O_RDONLY | O_DIRECTORY);
}
static long cgroup(void)
{
	return try_open("/sys/fs/cgroup", O_RDONLY | O_DIRECTORY);
}
static long configuration(void)
{
	return in(at.role->conf->runtime_dir, "rogue", O_RDONLY);
}
static long control_socket(void)
{
	return in(at.role->conf->runtime_dir, "control.sock", O_RDWR);
}
static long state_lock(void)
{
	return in(at.role->conf->state_dir, "lock", O_RDWR);
}
static long tls_keys(void)
{
	return in_state("tls");
}
static long spool(void)
{
	return in_state("spool");
}
static long accounts(void)
{
	return in_state("accounts");
}
static long ledger(void)
{
	return in_state("ledger");
}
static long mail(void)
{
	return try_open(at.role->conf->mail_dir, O_RDONLY | O_DIRECTORY);
}

static long victim_memory(void)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/mem", at.victim);
	return try_open(path, O_RDWR);
}

static long victim_environment(void)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/environ", at.victim);
	return try_open(path, O_RDONLY);
}

static long bait_read(void)
{
	return try_open(at.file, O_RDONLY);
}
static long bait_write(void)
{
	return try_open(at.file, O_WRONLY);
}
static long bait_append(void)
{
	return try_open(at.file, O_WRONLY | O_APPEND);
}
static long bait_list(void)
{
	return try_open(at.bait, O_RDONLY | O_DIRECTORY);
}
static long bait_create(void)
{
	return in(at.bait, "new", O_CREAT | O_EXCL | O_WRONLY);
}
static long bait_creat(void)
{
	char path[1200];

	snprintf(path, sizeof(path), "%s/new", at.bait);
	return syscall(SYS_creat, path, 0600);
}
static long bait_openat(void)
{
	return openat(AT_FDCWD, at.file, O_RDONLY);
}
static long bait_openat2(void)
{
	struct open_how how = { .flags = O_RDWR };

	return syscall(SYS_openat2, AT_FDCWD, at.file, &how, sizeof(how));
}
/* O_PATH is given to everybody; it must lead no further. */
static long bait_by_path_fd(void)
{
	char path[64];
	int fd = open(at.file, O_PATH | O_CLOEXEC);

	if (fd < 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return try_open(path, O_RDONLY);
}
static long bait_below_path_fd(void)
{
	int fd = open(at.bait, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -1 : openat(fd, "file", O_RDONLY);
}
static long bait_truncate(void)
{
	return truncate(at.file, 0);
}
static long bait_unlink(void)
{
	return unlink(at.file);
}
static long bait_rmdir(void)
{
	return rmdir(at.folder);
}
static long bait_named(const char *name, char *room, size_t size)
{
	return snprintf(room, size, "%s/%s", at.bait, name);
}
static long bait_mkdir(void)
{
	char path[1200];

	bait_named("newdir", path, sizeof(path));
	return mkdir(path, 0700);
}
static long bait_rename(void)
{
	char path[1200];

	bait_named("renamed", path, sizeof(path));
	return rename(at.file, path);
}
static long bait_link(void)
{
	char path[1200];

	bait_named("linked", path, sizeof(path));
	return link(at.file, path);
}
static long bait_symlink(void)
{
	char path[1200];

	bait_named("symlinked", path, sizeof(path));
	return symlink(at.file, path);
}
static long bait_fifo(void)
{
	char path[1200];

	bait_named("fifo", path, sizeof(path));
	return mkfifo(path, 0600);
}
static long bait_chmod(void)
{
	return chmod(at.file, 0666);
}
static long bait_fchmodat2(void)
{
	return syscall(452, AT_FDCWD, at.file, 0666, 0);
}
static long bait_chown(void)
{
	return chown(at.file, getuid(), getgid());
}
static long bait_lchown(void)
{
	return lchown(at.file, getuid(), getgid());
}
static long bait_utime(void)
{
	return utime(at.file, NULL);
}
static long bait_utimensat(void)
{
	return utimensat(AT_FDCWD, at.file, NULL, 0);
}
static long bait_setxattr(void)
{
	return setxattr(at.file, "user.rogue", "1", 1, 0);
}
static long bait_removexattr(void)
{
	return removexattr(at.file, "user.rogue");
}
static long bait_watch(void)
{
	int fd = inotify_init1(IN_CLOEXEC);

	return fd < 0 ? -1 : inotify_add_watch(fd, at.bait, IN_ALL_EVENTS);
}
static long by_handle(void)
{
	struct {
		struct file_handle h;
		unsigned char room[MAX_HANDLE_SZ];
	} h = { .h.handle_bytes = MAX_HANDLE_SZ };
	int mount_id;

	return name_to_handle_at(AT_FDCWD, at.file, &h.h, &mount_id, 0);
}
static long open_handle(void)
{
	struct {
		struct file_handle h;
		unsigned char room[MAX_HANDLE_SZ];
	} h = { .h.handle_bytes = 8, .h.handle_type = 1 };

	return open_by_handle_at(AT_FDCWD, &h.h, O_RDONLY);
}

/* Its own folder, for roles that have one. */
static long own_create(void)
{
	return in(at.own, "rogue-file", O_CREAT | O_RDWR);
}
static long own_unlink(void)
{
	char path[1200];

	snprintf(path, sizeof(path), "%s/rogue-file", at.own);
	return unlink(path);
}
static long own_symlink(void)
{
	char path[1200];

	snprintf(path, sizeof(path), "%s/rogue-link", at.own);
	return symlink("/etc/passwd", path);
}
static long own_socket_file(void)
{
	char path[1200];

	snprintf(path, sizeof(path), "%s/rogue-node", at.own);
	return mknod(path, S_IFSOCK | 0600, 0);
}
static long own_out(void)
{
	char path[1200], to[1200];

	snprintf(path, sizeof(path), "%s/rogue-out", at.own);
	bait_named("moved-out", to, sizeof(to));
	close(open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600));
	return rename(path, to);
}

const struct attempt attempts_on_files[] = {
	{ "read /etc/passwd", passwd, NO, ALL, 0 },
	{ "list /", root_folder, NO, ALL, 0 },
	{ "create below /tmp", tmp_create, NO, ALL, 0 },
	{ "create below /dev/shm", shm_create, NO, ALL, 0 },
	{ "open /dev/null", dev_null, NO, ALL, 0 },
	{ "open /dev/tty", tty, NO, ALL, 0 },
	{ "open its memory as a file", own_memory, NO, ALL, 0 },
	{ "open its program", own_program, NO, ALL, 0 },
	{ "list its descriptors", own_descriptors, NO, ALL, 0 },
	{ "list control groups", cgroup, NO, ALL, 0 },
	{ "read the runtime folder", configuration, NO, ALL, 0 },
	{ "open the control socket", control_socket, NO, ALL, 0 },
	{ "open the state's lock", state_lock, NO, ALL, 0 },
	{ "list TLS keys", tls_keys, NO, ALL, 0 },
	{ "list the spool", spool, NO, BUT(IPC_QUEUE), 0 },
	{ "list accounts", accounts, NO, BUT(IPC_KEEPER), 0 },
	{ "list the ledger", ledger, NO, BUT(IPC_LEDGER), 0 },
	{ "list mailboxes", mail, NO, BUT(IPC_LOCAL), 0 },
	{ "another's memory as a file", victim_memory, NO, ALL, 0 },
	{ "another's environment", victim_environment, NO, ALL, 0 },
	{ "read a file of its user's", bait_read, NO, ALL, 0 },
	{ "write it", bait_write, NO, ALL, 0 },
	{ "append to it", bait_append, NO, ALL, 0 },
	{ "list a folder of its user's", bait_list, NO, ALL, 0 },
	{ "create in it", bait_create, NO, ALL, 0 },
	{ "creat()", bait_creat, NO, ALL, 0 },
	{ "openat()", bait_openat, NO, ALL, 0 },
	{ "openat2()", bait_openat2, NO, ALL, 0 },
	{ "open again by O_PATH", bait_by_path_fd, NO, ALL, 0 },
	{ "open below O_PATH", bait_below_path_fd, NO, ALL, 0 },
	{ "truncate()", bait_truncate, NO, ALL, 0 },
	{ "mkdir()", bait_mkdir, NO, ALL, 0 },
	{ "link()", bait_link, NO, ALL, 0 },
	{ "symlink()", bait_symlink, NO, ALL, 0 },
	{ "mkfifo()", bait_fifo, NO, ALL, 0 },
	{ "chmod()", bait_chmod, NO, ALL, 0 },
	{ "fchmodat2()", bait_fchmodat2, NO, ALL, 0 },
	{ "chown()", bait_chown, NO, ALL, 0 },
	{ "lchown()", bait_lchown, NO, ALL, 0 },
	{ "utime()", bait_utime, NO, ALL, 0 },
	{ "utimensat()", bait_utimensat, NO, ALL, 0 },
	{ "setxattr()", bait_setxattr, NO, ALL, 0 },
	{ "removexattr()", bait_removexattr, NO, ALL, 0 },
	{ "watch a folder", bait_watch, NO, ALL, 0 },
	{ "name_to_handle_at()", by_handle, NO, ALL, 0 },
	{ "open_by_handle_at()", open_handle, NO, ALL, 0 },
	{ "unlink()", bait_unlink, NO, ALL, 0 },
	{ "rmdir()", bait_rmdir, NO, ALL, 0 },
	{ "rename()", bait_rename, NO, ALL, 0 },
	{ "create in its own folder", own_create, YES, OWNERS, 0 },
	{ "unlink in its own folder", own_unlink, YES, OWNERS, 0 },
	{ "a link out of its own folder", own_symlink, NO, OWNERS, 0 },
	{ "a socket in its own folder", own_socket_file, NO, OWNERS, 0 },
	{ "carry a file out of its own folder", own_out, NO_DEV, OWNERS, 0 },
	{ .name = NULL },
};
