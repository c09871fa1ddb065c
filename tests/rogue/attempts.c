/* What a taken-over role would try, in the very place where it would: a row each.
 *
 * Where the machine's owners and modes would refuse it anyway, the wall is not
 * proved: so files are made open to the role's user, and the process that is
 * attacked is one of the same user.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/openat2.h>
#include <linux/prctl.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <utime.h>

#include "rogue.h"

enum want {
	NO,	/* EACCES or EPERM */
	NO_DEV, /* or EXDEV: the older Landlock's word for "not from folder to folder" */
	ABSENT, /* ENOSYS */
	DEAD,	/* the process is killed by SIGSYS */
	YES,
};

/* Made before the walls. */
static struct {
	const struct role *role;
	char bait[512], file[600], folder[600], own[600];
	int tcp, datagram;
	pid_t victim;
	bool walls;
} at;

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

/* ---- programs and processes ---- */

static char *no_words[] = { NULL };

static long run_program(void)
{
	return execve("/bin/true", no_words, no_words);
}
static long run_bait(void)
{
	return execve(at.file, no_words, no_words);
}
static long run_memory(void)
{
	int fd = memfd_create("rogue", MFD_CLOEXEC);

	return syscall(SYS_execveat, fd, "", no_words, no_words, AT_EMPTY_PATH);
}
static long new_process(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid;
}
static long raw_fork(void)
{
	return syscall(SYS_fork);
}
static long raw_vfork(void)
{
	return syscall(SYS_vfork);
}
static long raw_clone(void)
{
	return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}
static long clone_user(void)
{
	return syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
}
static long clone_3(void)
{
	return syscall(SYS_clone3, NULL, 0);
}
static long trace_me(void)
{
	return ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}
static long trace_victim(void)
{
	return ptrace(PTRACE_ATTACH, at.victim, NULL, NULL);
}
static long use_bpf(void)
{
	return syscall(SYS_bpf, 0, NULL, 0);
}
#ifdef __x86_64__
static long numbers_of_x32(void)
{
	return syscall(0x40000000 | SYS_getpid);
}
static long numbers_of_i386(void)
{
	long r = 20; /* getpid there */

	__asm__ volatile("int $0x80" : "+a"(r) : : "memory");
	return r;
}
#endif

/* ---- network ---- */

static long a_socket(int family, int type, int protocol)
{
	return socket(family, type, protocol);
}
static long tcp4(void)
{
	return a_socket(AF_INET, SOCK_STREAM, 0);
}
static long udp4(void)
{
	return a_socket(AF_INET, SOCK_DGRAM, 0);
}
static long raw4(void)
{
	return a_socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
}
static long mptcp(void)
{
	return a_socket(AF_INET, SOCK_STREAM, 262);
}
static long tcp6(void)
{
	return a_socket(AF_INET6, SOCK_STREAM, 0);
}
static long udp6(void)
{
	return a_socket(AF_INET6, SOCK_DGRAM, 0);
}
static long unix_stream(void)
{
	return a_socket(AF_UNIX, SOCK_STREAM, 0);
}
static long unix_datagram(void)
{
	return a_socket(AF_UNIX, SOCK_DGRAM, 0);
}
static long netlink(void)
{
	return a_socket(AF_NETLINK, SOCK_RAW, 0);
}
static long packets(void)
{
	return a_socket(AF_PACKET, SOCK_RAW, 0);
}
static long vsock(void)
{
	return a_socket(AF_VSOCK, SOCK_STREAM, 0);
}
static long kernel_crypto(void)
{
	return a_socket(AF_ALG, SOCK_SEQPACKET, 0);
}
static long xdp(void)
{
	return a_socket(AF_XDP, SOCK_RAW, 0);
}
static long odd_family(void)
{
	return syscall(SYS_socket, 0x100000000L | AF_INET, SOCK_STREAM, 0);
}
static long pair(void)
{
	int fd[2];

	return socketpair(AF_UNIX, SOCK_DGRAM, 0, fd);
}

static const struct sockaddr_in loopback = { .sin_family = AF_INET, .sin_port = 0x0900 };
#define LOOPBACK (const struct sockaddr *)&loopback, sizeof(loopback)

static long connect_held(void)
{
	return connect(at.tcp, LOOPBACK);
}
static long bind_held(void)
{
	return bind(at.tcp, LOOPBACK);
}
static long fastopen(void)
{
	return sendto(at.tcp, "x", 1, MSG_FASTOPEN, LOOPBACK);
}
static long fastopen_message(void)
{
	struct sockaddr_in to = loopback;
	struct msghdr m = { .msg_name = &to, .msg_namelen = sizeof(to) };

	return sendmsg(at.tcp, &m, MSG_FASTOPEN);
}
static long connect_unix(void)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };

	snprintf(to.sun_path, sizeof(to.sun_path), "%s/control.sock", at.role->conf->runtime_dir);
	return connect(at.datagram, (const struct sockaddr *)&to, sizeof(to));
}

/* ---- other processes, of the same user ---- */

static long signal_victim(void)
{
	return kill(at.victim, 0);
}
static long signal_all(void)
{
	return kill(-1, 0);
}
static long signal_group(void)
{
	return kill(0, 0);
}
static long signal_thread(void)
{
	return syscall(SYS_tgkill, at.victim, at.victim, 0);
}
static long signal_tkill(void)
{
	return syscall(SYS_tkill, at.victim, 0);
}
static long signal_queue(void)
{
	siginfo_t i = { .si_code = SI_QUEUE };

	return syscall(SYS_rt_sigqueueinfo, at.victim, SIGTERM, &i);
}
static long signal_by_owner(void)
{
	return fcntl(2, F_SETOWN, at.victim);
}
static long signal_by_ioctl(void)
{
	int pid = at.victim;

	return ioctl(3, FIOSETOWN, &pid);
}
static long signal_of_choice(void)
{
	return fcntl(3, F_SETSIG, SIGKILL);
}
static long victim_handle(void)
{
	return syscall(SYS_pidfd_open, at.victim, 0);
}
static long victim_read(void)
{
	char c;
	struct iovec mine = { &c, 1 }, its = { &at, 1 };

	return process_vm_readv(at.victim, &mine, 1, &its, 1, 0);
}
static long victim_write(void)
{
	char c = 0;
	struct iovec mine = { &c, 1 }, its = { &at, 1 };

	return process_vm_writev(at.victim, &mine, 1, &its, 1, 0);
}
static long victim_limit(void)
{
	struct rlimit l = { 16, 1024 };

	return prlimit(at.victim, RLIMIT_NOFILE, &l, NULL);
}
static long victim_limit_read(void)
{
	struct rlimit l;

	return prlimit(at.victim, RLIMIT_NOFILE, NULL, &l);
}
static long victim_priority(void)
{
	return setpriority(PRIO_PROCESS, (id_t)at.victim, 19);
}
static long victim_cores(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	return sched_setaffinity(at.victim, sizeof(set), &set);
}
static long victim_compare(void)
{
	return syscall(SYS_kcmp, getpid(), at.victim, 0, 0, 0);
}

/* ---- more rights ---- */

static long set_uid(void)
{
	return setuid(getuid());
}
static long set_gid(void)
{
	return setgid(getgid());
}
static long set_resuid(void)
{
	return setresuid(getuid(), getuid(), getuid());
}
static long set_groups(void)
{
	return setgroups(0, NULL);
}
static long set_fsuid(void)
{
	return syscall(SYS_setfsuid, getuid());
}
static long set_capabilities(void)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2] = { 0 };

	return syscall(SYS_capset, &h, d);
}
static long user_namespace(void)
{
	return syscall(SYS_unshare, CLONE_NEWUSER);
}
static long other_namespace(void)
{
	return syscall(SYS_setns, 0, 0);
}
static long change_root(void)
{
	return chroot(at.bait);
}
static long pivot(void)
{
	return syscall(SYS_pivot_root, at.bait, at.bait);
}
static long mount_here(void)
{
	return mount("none", at.bait, "tmpfs", 0, NULL);
}
static long mount_new(void)
{
	return syscall(SYS_fsopen, "tmpfs", 0);
}
static long mount_tree(void)
{
	return syscall(SYS_open_tree, AT_FDCWD, at.bait, 1);
}
static long new_key(void)
{
	return syscall(SYS_add_key, "user", "rogue", "x", 1, -2);
}
static long use_keys(void)
{
	return syscall(SYS_keyctl, 0, -3, 1);
}
static long request_a_key(void)
{
	return syscall(SYS_request_key, "user", "rogue", NULL, 0);
}
static long uring(void)
{
	return syscall(SYS_io_uring_setup, 1, NULL);
}
static long uring_enter(void)
{
	return syscall(SYS_io_uring_enter, 0, 0, 0, 0, NULL, 0);
}
static long uring_register(void)
{
	return syscall(SYS_io_uring_register, -1, 0, NULL, 0);
}
static long fault_handler(void)
{
	return syscall(SYS_userfaultfd, 1 /* UFFD_USER_MODE_ONLY */);
}
static long performance(void)
{
	return syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0);
}
static long kernel_log(void)
{
	return syscall(SYS_syslog, 10, NULL, 0);
}
static long set_clock(void)
{
	return syscall(SYS_settimeofday, NULL, NULL);
}
static long restart_machine(void)
{
	return syscall(SYS_reboot, 0, 0, 0, NULL);
}
static long type_on_terminal(void)
{
	return ioctl(2, TIOCSTI, "x");
}
static long type_in_disguise(void)
{
	return syscall(SYS_ioctl, 2, 0x100000000L | TIOCSTI, "x");
}

/* ---- memory ---- */

static long as_mapped(void *p)
{
	return p == MAP_FAILED ? -1 : 0;
}
static long memory_to_run(void)
{
	return as_mapped(
		mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}
static long memory_made_to_run(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return mprotect(p, 4096, PROT_READ | PROT_EXEC);
}
static long memory_by_key(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return syscall(SYS_pkey_mprotect, p, 4096, PROT_READ | PROT_EXEC, -1);
}
static long memory_file_to_run(void)
{
	int fd = memfd_create("rogue", MFD_CLOEXEC);

	return ftruncate(fd, 4096) < 0
		       ? -1
		       : as_mapped(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0));
}
static long reading_is_running(void)
{
	return syscall(SYS_personality, 0x0400000 /* READ_IMPLIES_EXEC */);
}
static long shared_memory(void)
{
	return shmget(IPC_PRIVATE, 4096, 0600);
}
static long message_queue(void)
{
	return msgget(IPC_PRIVATE, 0600);
}
static long posix_queue(void)
{
	return syscall(SYS_mq_open, "rogue", O_RDONLY, 0, NULL);
}
static long be_dumpable(void)
{
	return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}
static long be_traced(void)
{
	return prctl(PR_SET_PTRACER, -1, 0, 0, 0);
}
static long outlive_main(void)
{
	return prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
}
static long raise_core(void)
{
	struct rlimit l = { 1, 1 };

	return setrlimit(RLIMIT_CORE, &l);
}
static long is_dumpable(void)
{
	errno = EACCES;
	return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 ? -1 : 0;
}
static long has_capability(void)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2] = { 0 };

	syscall(SYS_capget, &h, d);
	errno = EACCES;
	return d[0].permitted | d[1].permitted | d[0].inheritable | d[1].inheritable ? 0 : -1;
}
static long may_gain(void)
{
	errno = EACCES;
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? -1 : 0;
}
static long has_groups(void)
{
	int n = getgroups(0, NULL);

	errno = EACCES;
	return n == 0 ? -1 : 0;
}

/* ---- what must go on working ---- */

static long still_says(void)
{
	return write(2, "", 0);
}
static long signal_self(void)
{
	return kill(getpid(), 0);
}
static long own_limit(void)
{
	struct rlimit l;

	return getrlimit(RLIMIT_NOFILE, &l);
}
static long plain_memory(void)
{
	return as_mapped(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}
static long wakes_itself(void)
{
	int fd[2];

	return pipe2(fd, O_CLOEXEC);
}

#define BIT(role) (1U << (role))
#define OWNERS	  (BIT(IPC_QUEUE) | BIT(IPC_KEEPER) | BIT(IPC_LEDGER) | BIT(IPC_LOCAL))
#define BUT(role) (~BIT(role))
#define ALL	  (~0U)
/* Only where main is root: else it is no matter of ours. */
#define WITH_ROOT 1U
/* Not to be done where no walls stand. */
#define HURTS 2U

/* A new attempt is a function above and a row here. */
static const struct attempt {
	const char *name;
	long (*run)(void);
	enum want want;
	unsigned roles;
	unsigned when;
} attempts[] = {
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

	{ "run a program", run_program, DEAD, ALL, 0 },
	{ "run a file of its user's", run_bait, DEAD, ALL, 0 },
	{ "run a file in memory", run_memory, DEAD, ALL, 0 },
	{ "trace itself", trace_me, DEAD, ALL, 0 },
	{ "trace another", trace_victim, DEAD, ALL, 0 },
	{ "bpf()", use_bpf, DEAD, ALL, 0 },
#ifdef __x86_64__
	{ "calls by numbers of x32", numbers_of_x32, DEAD, ALL, 0 },
	{ "calls by numbers of i386", numbers_of_i386, DEAD, ALL, 0 },
#endif
	{ "a new process", new_process, NO, ALL, 0 },
	{ "fork()", raw_fork, NO, ALL, HURTS },
	{ "vfork()", raw_vfork, NO, ALL, HURTS },
	{ "clone()", raw_clone, NO, ALL, HURTS },
	{ "clone() into a user namespace", clone_user, NO, ALL, HURTS },
	{ "clone3()", clone_3, ABSENT, ALL, 0 },

	{ "TCP socket, IPv4", tcp4, NO, BUT(IPC_SMTP), 0 },
	{ "TCP socket, IPv4", tcp4, YES, BIT(IPC_SMTP), 0 }, /* lanes */
	{ "UDP socket, IPv4", udp4, NO, ALL, 0 },
	{ "raw socket, IPv4", raw4, NO, ALL, 0 },
	{ "MPTCP socket", mptcp, NO, ALL, 0 },
	{ "TCP socket, IPv6", tcp6, NO, BUT(IPC_SMTP), 0 },
	{ "TCP socket, IPv6", tcp6, YES, BIT(IPC_SMTP), 0 }, /* lanes */
	{ "UDP socket, IPv6", udp6, NO, ALL, 0 },
	{ "Unix socket", unix_stream, NO, BUT(IPC_SMTP), 0 },
	{ "Unix socket", unix_stream, YES, BIT(IPC_SMTP), 0 }, /* lanes */
	{ "Unix socket for datagrams", unix_datagram, NO, ALL, 0 },
	{ "netlink socket", netlink, NO, ALL, 0 },
	{ "packet socket", packets, NO, ALL, 0 },
	{ "vsock socket", vsock, NO, ALL, 0 },
	{ "kernel crypto socket", kernel_crypto, NO, ALL, 0 },
	{ "XDP socket", xdp, NO, ALL, 0 },
	{ "a family with bits above", odd_family, NO, ALL, 0 },
	{ "socketpair()", pair, NO, ALL, 0 },
	{ "connect a socket that it has", connect_held, NO, BUT(IPC_SMTP), 0 },
	{ "bind a socket that it has", bind_held, NO, ALL, 0 },
	{ "connect by Fast Open", fastopen, NO, ALL, 0 },
	{ "connect by Fast Open, sendmsg()", fastopen_message, NO, ALL, 0 },
	{ "connect to the control socket", connect_unix, NO, BUT(IPC_SMTP), 0 },

	{ "signal another", signal_victim, NO, ALL, 0 },
	{ "signal all", signal_all, NO, ALL, 0 },
	{ "signal its group", signal_group, NO, ALL, 0 },
	{ "signal a thread of another", signal_thread, NO, ALL, 0 },
	{ "tkill()", signal_tkill, NO, ALL, 0 },
	{ "rt_sigqueueinfo()", signal_queue, NO, ALL, 0 },
	{ "signal by a descriptor's owner", signal_by_owner, NO, ALL, HURTS },
	{ "the same by ioctl()", signal_by_ioctl, NO, ALL, HURTS },
	{ "a signal of its choice", signal_of_choice, NO, ALL, HURTS },
	{ "pidfd_open()", victim_handle, NO, ALL, 0 },
	{ "read another's memory", victim_read, NO, ALL, 0 },
	{ "write another's memory", victim_write, NO, ALL, HURTS },
	{ "set another's limits", victim_limit, NO, ALL, HURTS },
	{ "read another's limits", victim_limit_read, NO, ALL, 0 },
	{ "set another's priority", victim_priority, NO, ALL, HURTS },
	{ "set another's cores", victim_cores, NO, ALL, HURTS },
	{ "compare with another", victim_compare, NO, ALL, 0 },

	{ "setuid()", set_uid, NO, ALL, 0 },
	{ "setgid()", set_gid, NO, ALL, 0 },
	{ "setresuid()", set_resuid, NO, ALL, 0 },
	{ "setgroups()", set_groups, NO, ALL, 0 },
	{ "setfsuid()", set_fsuid, NO, ALL, 0 },
	{ "capset()", set_capabilities, NO, ALL, 0 },
	{ "a user namespace", user_namespace, NO, ALL, 0 },
	{ "another namespace", other_namespace, NO, ALL, 0 },
	{ "chroot()", change_root, NO, ALL, 0 },
	{ "pivot_root()", pivot, NO, ALL, 0 },
	{ "mount()", mount_here, NO, ALL, 0 },
	{ "fsopen()", mount_new, NO, ALL, 0 },
	{ "open_tree()", mount_tree, NO, ALL, 0 },
	{ "add_key()", new_key, NO, ALL, 0 },
	{ "keyctl()", use_keys, NO, ALL, 0 },
	{ "request_key()", request_a_key, NO, ALL, 0 },
	{ "io_uring_setup()", uring, NO, ALL, 0 },
	{ "io_uring_enter()", uring_enter, NO, ALL, 0 },
	{ "io_uring_register()", uring_register, NO, ALL, 0 },
	{ "userfaultfd()", fault_handler, NO, ALL, 0 },
	{ "perf_event_open()", performance, NO, ALL, 0 },
	{ "the kernel's log", kernel_log, NO, ALL, 0 },
	{ "set the clock", set_clock, NO, ALL, 0 },
	{ "reboot()", restart_machine, NO, ALL, HURTS },
	{ "type on the terminal", type_on_terminal, NO, ALL, HURTS },
	{ "type, with bits above", type_in_disguise, NO, ALL, HURTS },

	{ "memory to write and run", memory_to_run, NO, ALL, 0 },
	{ "memory written, then run", memory_made_to_run, NO, ALL, 0 },
	{ "the same by pkey_mprotect()", memory_by_key, NO, ALL, 0 },
	{ "a file in memory, mapped to run", memory_file_to_run, NO, ALL, 0 },
	{ "what is read can be run", reading_is_running, NO, ALL, 0 },
	{ "shared memory", shared_memory, NO, ALL, 0 },
	{ "a message queue", message_queue, NO, ALL, 0 },
	{ "a POSIX message queue", posix_queue, NO, ALL, 0 },
	{ "be looked into", be_dumpable, NO, ALL, 0 },
	{ "be traced", be_traced, NO, ALL, 0 },
	{ "outlive main", outlive_main, NO, ALL, HURTS },
	{ "dump core", raise_core, NO, ALL, 0 },

	{ "is open to a look", is_dumpable, NO, ALL, 0 },
	{ "has a capability", has_capability, NO, ALL, 0 },
	{ "may gain privileges", may_gain, NO, ALL, 0 },
	{ "is in more groups", has_groups, NO, ALL, WITH_ROOT },

	{ "say what is wrong", still_says, YES, ALL, 0 },
	{ "signal itself", signal_self, YES, ALL, 0 },
	{ "read its limits", own_limit, YES, ALL, 0 },
	{ "memory", plain_memory, YES, ALL, 0 },
	{ "a pipe", wakes_itself, YES, ALL, 0 },
};

#define N (sizeof(attempts) / sizeof(attempts[0]))

static bool as_wanted(const struct attempt *a, bool dead, int error)
{
	switch (a->want) {
	case NO:
		return !dead && (error == EACCES || error == EPERM);
	case NO_DEV:
		return !dead && (error == EACCES || error == EPERM || error == EXDEV);
	case ABSENT:
		return !dead && error == ENOSYS;
	case DEAD:
		return dead;
	case YES:
		return !dead && error == 0;
	}
	return false;
}

static void tell(const struct attempt *a, bool dead, int error)
{
	dprintf(2, "rogue role=%s attempt=\"%s\" got=%s %s\n", ipc_role_name(at.role->ops->id), a->name,
		dead	? "killed"
		: error ? strerrorname_np(error)
			: "allowed",
		as_wanted(a, dead, error) ? "as-wanted" : "WRONG");
}

static bool is_for(const struct attempt *a)
{
	return (a->roles & BIT(at.role->ops->id)) && (!(a->when & WITH_ROOT) || at.role->conf->root) &&
	       (at.walls || (!(a->when & HURTS) && a->want != DEAD));
}

static void run(const struct attempt *a)
{
	pid_t me = getpid();
	long r;

	errno = 0;
	r = a->run();
	if (getpid() != me)
		_exit(0); /* a process that should not be */
	tell(a, false, r < 0 ? errno : 0);
}

/* In a process of its own, within the walls: those that it survives, or this one. */
static void run_in_child(struct role *r, const struct attempt *deadly)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		if (real_walls(r) < 0)
			_exit(1);
		for (size_t i = 0; i < N && !deadly; i++)
			if (attempts[i].want != DEAD && is_for(&attempts[i]))
				run(&attempts[i]);
		if (deadly)
			run(deadly);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || (!deadly && status != 0))
		dprintf(2, "rogue role=%s attempt=\"all of them\" got=status-%d WRONG\n",
			ipc_role_name(r->ops->id), status);
	else if (deadly && WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		tell(deadly, true, 0);
}

static void make_bait(const char *below)
{
	snprintf(at.bait, sizeof(at.bait), "%.400s/%s", below, ipc_role_name(at.role->ops->id));
	mkdir(at.bait, 0777);
	snprintf(at.file, sizeof(at.file), "%s/file", at.bait);
	snprintf(at.folder, sizeof(at.folder), "%s/folder", at.bait);
	close(open(at.file, O_CREAT | O_RDWR | O_CLOEXEC, 0777));
	mkdir(at.folder, 0777);
}

void attempts_run(struct role *r, const char *bait, bool walls)
{
	static const char *const folders[IPC_ROLES] = {
		[IPC_QUEUE] = "/spool", [IPC_KEEPER] = "/accounts", [IPC_LEDGER] = "/ledger"
	};
	const char *folder = folders[r->ops->id];

	at.role = r;
	at.victim = getpid();
	at.walls = walls;
	make_bait(bait);
	snprintf(at.own, sizeof(at.own), "%s%s",
		 r->ops->id == IPC_LOCAL ? r->conf->mail_dir : r->conf->state_dir, folder ? folder : "");
	at.tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	at.datagram = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	run_in_child(r, NULL);
	for (size_t i = 0; i < N; i++)
		if (attempts[i].want == DEAD && is_for(&attempts[i]))
			run_in_child(r, &attempts[i]);
	close(at.tcp);
	close(at.datagram);
	dprintf(2, "rogue role=%s tried=%zu\n", ipc_role_name(r->ops->id), N);
}
