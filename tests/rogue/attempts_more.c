/* What a taken-over role would try to be more: programs, processes, sockets, rights. */
#include <linux/capability.h>
#include <grp.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "attempts.h"

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
static long ping(void)
{
	return a_socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
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
static long bind_any(void)
{
	const struct sockaddr_in any = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	return bind(at.tcp, (const struct sockaddr *)&any, sizeof(any));
}
static long bind_unix(void)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(to.sun_path, sizeof(to.sun_path), "%.90s.rogue", at.own);
	return fd < 0 ? fd : bind(fd, (const struct sockaddr *)&to, sizeof(to));
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

const struct attempt attempts_at_more[] = {
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

	{ "TCP socket, IPv4", tcp4, NO, ~OUT, 0 },
	{ "TCP socket, IPv4", tcp4, YES, OUT, 0 }, /* lanes, HTTPS */
	{ "UDP socket, IPv4", udp4, NO, BUT(IPC_SMTP), 0 },
	{ "UDP socket, IPv4", udp4, YES, BIT(IPC_SMTP), 0 }, /* the DNS */
	{ "raw socket, IPv4", raw4, NO, ALL, 0 },
	{ "ping socket, IPv4", ping, NO, ALL, 0 },
	{ "MPTCP socket", mptcp, NO, ALL, 0 },
	{ "TCP socket, IPv6", tcp6, NO, ~OUT, 0 },
	{ "TCP socket, IPv6", tcp6, YES, OUT, 0 }, /* lanes, HTTPS */
	{ "UDP socket, IPv6", udp6, NO, BUT(IPC_SMTP), 0 },
	{ "UDP socket, IPv6", udp6, YES, BIT(IPC_SMTP), 0 },
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
	{ "connect a socket that it has", connect_held, NO, ~OUT, 0 },
	{ "bind a socket that it has", bind_held, NO, ALL, 0 },
	{ "bind it to any port", bind_any, NO, BUT(IPC_SMTP), 0 },
	{ "bind it to any port", bind_any, YES, BIT(IPC_SMTP), 0 }, /* lanes, by the address they send from */
	{ "a Unix socket that others find", bind_unix, NO, ALL, 0 },
	{ "connect by Fast Open", fastopen, OFF, ALL, 0 },
	{ "connect by Fast Open, sendmsg()", fastopen_message, OFF, ALL, 0 },
	{ "connect to the control socket", connect_unix, NO, ~OUT, 0 },

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
	{ .name = NULL },
};
