/* Each wall: a child enters the sandbox, runs against it, and tells what it met. */
#include "sandbox/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

static char inside[] = "/tmp/postern-sandbox-XXXXXX", outside[] = "/tmp/postern-sandbox-XXXXXX";
static int landlock;  /* the ABI that the first child met */
static int listening; /* opened before any sandbox */

static int result(long r)
{
	return r < 0 ? errno : 0;
}

static int open_below(const char *folder, const char *name, int flags)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, flags, 0600);
	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static int t_write_inside(void)
{
	return open_below(inside, "new", O_CREAT | O_WRONLY);
}

static int t_folder_inside(void)
{
	char from[64], to[64];

	snprintf(from, sizeof(from), "%s/a", inside);
	snprintf(to, sizeof(to), "%s/b", inside);
	mkdir(from, 0700);
	mkdir(to, 0700);
	snprintf(from, sizeof(from), "%s/a/f", inside);
	snprintf(to, sizeof(to), "%s/b/f", inside);
	if (open_below(inside, "a/f", O_CREAT | O_WRONLY) || rename(from, to) < 0)
		return errno;
	return result(truncate(to, 0)) || result(unlink(to));
}

static int t_read_outside(void)
{
	return open_below(outside, "old", O_RDONLY);
}

static int t_write_outside(void)
{
	return open_below(outside, "new", O_CREAT | O_WRONLY);
}

static int t_passwd(void)
{
	return open_below("/etc", "passwd", O_RDONLY);
}

static int t_device(void)
{
	return open_below("/dev", "null", O_RDWR);
}

static int t_inet(void)
{
	return result(socket(AF_INET, SOCK_STREAM, 0));
}

static int t_mptcp(void)
{
	return result(socket(AF_INET, SOCK_STREAM, 262));
}

static int t_inet6_udp(void)
{
	return result(socket(AF_INET6, SOCK_DGRAM, 0));
}

static int t_raw(void)
{
	return result(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
}

static int t_ping(void)
{
	return result(socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP));
}

static int t_named_protocols(void)
{
	return socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) < 0 || socket(AF_INET6, SOCK_DGRAM, IPPROTO_UDP) < 0
		       ? errno
		       : 0;
}

static int t_unix_datagram(void)
{
	return result(socket(AF_UNIX, SOCK_DGRAM, 0));
}

static int bind_to(int type, uint16_t port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, type, 0);

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	/* Somebody else's port is allowed, too. */
	return fd < 0 || (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 && errno != EADDRINUSE) ? errno
												   : 0;
}

static int t_bind_any(void)
{
	return bind_to(SOCK_STREAM, 0);
}

static int t_bind_port(void)
{
	return bind_to(SOCK_STREAM, 20025);
}

static int t_bind_udp(void)
{
	return bind_to(SOCK_DGRAM, 20053);
}

static int t_netlink(void)
{
	return result(socket(AF_NETLINK, SOCK_RAW, 0));
}

static int t_unix(void)
{
	return result(socket(AF_UNIX, SOCK_STREAM, 0));
}

static int t_socketpair(void)
{
	int fd[2];

	return result(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd));
}

/* What was opened before goes on: smtp accepts. */
static int t_accept(void)
{
	int fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK);

	return fd < 0 && errno != EAGAIN ? errno : 0;
}

static int t_exec(void)
{
	char *argv[] = { (char *)"true", NULL };

	return result(execv("/bin/true", argv));
}

static int t_ptrace(void)
{
	return result(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

static int t_bpf(void)
{
	return result(syscall(SYS_bpf, 0, NULL, 0));
}

static int t_mount(void)
{
	return result(mount("none", inside, "tmpfs", 0, NULL));
}

static int t_unshare(void)
{
	return result(syscall(SYS_unshare, 0x10000000 /* CLONE_NEWUSER */));
}

static int t_io_uring(void)
{
	return result(syscall(SYS_io_uring_setup, 1, NULL));
}

static int t_setuid(void)
{
	return result(setuid(getuid()));
}

static int t_fork(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return result(pid);
}

static void *nothing(void *arg)
{
	return arg;
}

static int t_thread(void)
{
	pthread_t t;
	int r = pthread_create(&t, NULL, nothing, NULL);

	return r ? r : pthread_join(t, NULL);
}

static int t_signal_outside(void)
{
	return result(kill(getppid(), 0));
}

static int t_signal_self(void)
{
	return result(kill(getpid(), 0));
}

static int t_undumpable(void)
{
	return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 ? 0 : EINVAL;
}

static int t_privileges(void)
{
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : EINVAL;
}

static const struct wall {
	const char *name;
	int (*run)(void);
	int want;   /* errno; 0: it must work */
	int signal; /* it must end by this */
	int since;  /* Landlock ABI that makes it */
	bool log_sockets, connects, datagrams;
} walls[] = {
	{ "files below its folder", t_write_inside, 0, 0, 0, false, false, false },
	{ "folders, rename, truncate, unlink below it", t_folder_inside, 0, 0, 2, false, false, false },
	{ "no reading elsewhere", t_read_outside, EACCES, 0, 1, false, false, false },
	{ "no writing elsewhere", t_write_outside, EACCES, 0, 1, false, false, false },
	{ "no /etc", t_passwd, EACCES, 0, 1, false, false, false },
	{ "no devices", t_device, EACCES, 0, 1, false, false, false },
	{ "no IPv4 socket", t_inet, EACCES, 0, 0, false, false, false },
	{ "no IPv6 socket", t_inet6_udp, EACCES, 0, 0, true, false, false },
	{ "no netlink socket", t_netlink, EACCES, 0, 0, true, false, false },
	{ "no Unix socket", t_unix, EACCES, 0, 0, false, false, false },
	{ "a Unix socket for the log", t_unix, 0, 0, 0, true, false, false },
	{ "TCP for lanes", t_inet, 0, 0, 0, false, true, false },
	{ "no UDP for lanes", t_inet6_udp, EACCES, 0, 0, false, true, false },
	{ "UDP for the DNS", t_inet6_udp, 0, 0, 0, false, true, true },
	{ "no raw socket beside it", t_raw, EACCES, 0, 0, false, true, true },
	{ "no ping beside it", t_ping, EACCES, 0, 0, false, true, true },
	{ "protocols by their number", t_named_protocols, 0, 0, 0, false, true, true },
	{ "no Unix datagrams beside it", t_unix_datagram, EACCES, 0, 0, false, true, true },
	{ "no bind for lanes alone", t_bind_any, EACCES, 0, 0, false, true, false },
	{ "an address to send from", t_bind_any, 0, 0, 0, false, true, true },
	{ "a UDP port of its choice", t_bind_udp, 0, 0, 0, false, true, true },
	{ "no TCP port of its choice", t_bind_port, EACCES, 0, 4, false, true, true },
	{ "no MPTCP for lanes", t_mptcp, EACCES, 0, 0, true, true, false },
	{ "no netlink for lanes", t_netlink, EACCES, 0, 0, false, true, false },
	{ "no socketpair", t_socketpair, EPERM, 0, 0, false, false, false },
	{ "accepting", t_accept, 0, 0, 0, false, false, false },
	{ "no program", t_exec, 0, SIGSYS, 0, false, false, false },
	{ "no tracing", t_ptrace, 0, SIGSYS, 0, false, false, false },
	{ "no bpf", t_bpf, 0, SIGSYS, 0, false, false, false },
	{ "no mount", t_mount, EPERM, 0, 0, false, false, false },
	{ "no namespace", t_unshare, EPERM, 0, 0, false, false, false },
	{ "no io_uring", t_io_uring, EPERM, 0, 0, false, false, false },
	{ "no other user", t_setuid, EPERM, 0, 0, false, false, false },
	{ "no process", t_fork, EPERM, 0, 0, false, false, false },
	{ "threads", t_thread, 0, 0, 0, false, false, false },
	{ "no signal to others", t_signal_outside, EPERM, 0, 0, false, false, false },
	{ "signals to itself", t_signal_self, 0, 0, 0, false, false, false },
	{ "no core, no look from outside", t_undumpable, 0, 0, 0, false, false, false },
	{ "no new privileges", t_privileges, 0, 0, 0, false, false, false },
};

#define NO_SANDBOX 255

/* The wait status of a child that entered and ran. */
static int in_child(const struct wall *w, int *ret_landlock)
{
	const char *folders[] = { inside };
	const struct sandbox_rules rules = { .folders = folders,
					     .n_folders = 1,
					     .log_sockets = w->log_sockets,
					     .connects = w->connects,
					     .datagrams = w->datagrams };
	struct sandbox_report report = { 0 };
	int status, tell[2];
	pid_t pid;

	assert_int_equal(pipe(tell), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (sandbox_enter(&rules, &report) < 0 || report.strays > 0 ||
		    write(tell[1], &report.landlock, sizeof(int)) != sizeof(int))
			_exit(NO_SANDBOX);
		_exit(w->run());
	}
	close(tell[1]);
	if (read(tell[0], ret_landlock, sizeof(int)) != sizeof(int))
		*ret_landlock = 0;
	close(tell[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* valgrind opens files and makes calls of its own, in this very process. */
static bool under_valgrind(void)
{
	const char *preload = getenv("LD_PRELOAD");

	return preload && strstr(preload, "vgpreload");
}

static void all_walls_hold(void **state)
{
	(void)state;
	if (under_valgrind())
		return;
	for (size_t i = 0; i < sizeof(walls) / sizeof(walls[0]); i++) {
		const struct wall *w = &walls[i];
		int status = in_child(w, &landlock);

		if (landlock < w->since) {
			print_message("# skipped, the kernel's Landlock is %d: %s\n", landlock, w->name);
			continue;
		}
		if (w->signal ? !WIFSIGNALED(status) || WTERMSIG(status) != w->signal
			      : !WIFEXITED(status) || WEXITSTATUS(status) != w->want)
			fail_msg("%s: wanted %s %d, got %s %d", w->name, w->signal ? "signal" : "errno",
				 w->signal ? w->signal : w->want, WIFSIGNALED(status) ? "signal" : "errno",
				 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	}
}

static void a_missing_folder_is_an_error(void **state)
{
	const char *folders[] = { "/nonexistent/folder" };
	const struct sandbox_rules rules = { .folders = folders, .n_folders = 1 };
	struct sandbox_report report;
	int status;
	pid_t pid;

	(void)state;
	if (landlock == 0 || under_valgrind())
		return;
	pid = fork();
	if (pid == 0)
		_exit(-sandbox_enter(&rules, &report));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), ENOENT);
}

/* Kernels 5.13 to 5.18: with Landlock on, no file moves from folder to folder. */
static void the_first_landlock_is_left_off_where_files_move(void **state)
{
	static const struct {
		int abi;
		bool moves, suits;
	} rows[] = { { 1, false, true }, { 1, true, false }, { 2, true, true }, { 7, true, true } };
	const char *folders[] = { inside };
	struct sandbox_rules rules = { .folders = folders, .n_folders = 1 };
	int status;
	pid_t pid;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		rules.moves = rows[i].moves;
		assert_int_equal(landlock_suits(&rules, rows[i].abi), rows[i].suits);
	}
	if (landlock == 0 || under_valgrind())
		return;
	/* It is so: the walls of the first one, on this kernel. */
	pid = fork();
	if (pid == 0)
		_exit(landlock_enter(&rules, 1) < 0 ? NO_SANDBOX : t_folder_inside());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EXDEV);
}

static int set_up(void **state)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	(void)state;
	listening = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (listening < 0 || bind(listening, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    listen(listening, 1) < 0)
		return -1;
	if (!mkdtemp(inside) || !mkdtemp(outside))
		return -1;
	return open_below(outside, "old", O_CREAT | O_WRONLY);
}

static int tear_down(void **state)
{
	char path[64];

	(void)state;
	static const char *const left[] = { "new", "a/f", "a", "b", "" };
	for (size_t i = 0; i < sizeof(left) / sizeof(left[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", inside, left[i]);
		remove(path);
	}
	snprintf(path, sizeof(path), "%s/old", outside);
	unlink(path);
	rmdir(outside);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_walls_hold),
		cmocka_unit_test(a_missing_folder_is_an_error),
		cmocka_unit_test(the_first_landlock_is_left_off_where_files_move),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
