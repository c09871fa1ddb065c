#include "sandbox/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <linux/sched.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "sandbox/landlock.h"

/* No honest code path of a role leads to these. */
static const int deadly[] = { SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(ptrace), SCMP_SYS(bpf) };

/* Administration of the machine, other processes' memory, other identities, and what has
 * been a way out of sandboxes.  Libraries may try some and do without. */
static const int forbidden[] = {
	SCMP_SYS(mount),
	SCMP_SYS(umount2),
	SCMP_SYS(pivot_root),
	SCMP_SYS(chroot),
	SCMP_SYS(move_mount),
	SCMP_SYS(open_tree),
	SCMP_SYS(fsopen),
	SCMP_SYS(fsmount),
	SCMP_SYS(fsconfig),
	SCMP_SYS(fspick),
	SCMP_SYS(mount_setattr),
	SCMP_SYS(unshare),
	SCMP_SYS(setns),
	SCMP_SYS(kexec_load),
	SCMP_SYS(kexec_file_load),
	SCMP_SYS(init_module),
	SCMP_SYS(finit_module),
	SCMP_SYS(delete_module),
	SCMP_SYS(reboot),
	SCMP_SYS(swapon),
	SCMP_SYS(swapoff),
	SCMP_SYS(settimeofday),
	SCMP_SYS(clock_settime),
	SCMP_SYS(clock_adjtime),
	SCMP_SYS(adjtimex),
	SCMP_SYS(sethostname),
	SCMP_SYS(setdomainname),
	SCMP_SYS(acct),
	SCMP_SYS(quotactl),
	SCMP_SYS(syslog),
	SCMP_SYS(vhangup),
	SCMP_SYS(iopl),
	SCMP_SYS(ioperm),
	SCMP_SYS(modify_ldt),
	SCMP_SYS(keyctl),
	SCMP_SYS(add_key),
	SCMP_SYS(request_key),
	SCMP_SYS(perf_event_open),
	SCMP_SYS(userfaultfd),
	SCMP_SYS(process_vm_readv),
	SCMP_SYS(process_vm_writev),
	SCMP_SYS(process_madvise),
	SCMP_SYS(kcmp),
	SCMP_SYS(pidfd_open),
	SCMP_SYS(pidfd_getfd),
	SCMP_SYS(pidfd_send_signal),
	SCMP_SYS(open_by_handle_at),
	SCMP_SYS(name_to_handle_at),
	SCMP_SYS(fanotify_init),
	SCMP_SYS(io_uring_setup),
	SCMP_SYS(io_uring_enter),
	SCMP_SYS(io_uring_register),
	SCMP_SYS(setuid),
	SCMP_SYS(setgid),
	SCMP_SYS(setreuid),
	SCMP_SYS(setregid),
	SCMP_SYS(setresuid),
	SCMP_SYS(setresgid),
	SCMP_SYS(setgroups),
	SCMP_SYS(setfsuid),
	SCMP_SYS(setfsgid),
	SCMP_SYS(capset),
	SCMP_SYS(fork),
	SCMP_SYS(vfork),
	SCMP_SYS(mknod),
	SCMP_SYS(mknodat),
};

static int add_list(scmp_filter_ctx f, uint32_t action, const int *calls, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		r = seccomp_rule_add(f, action, calls[i], 0);
		if (r == -EDOM || r == -EFAULT)
			r = 0; /* no such call on this architecture */
	}
	return r;
}

/* socket() of every family but Unix, and that one too unless logs need it.  What is
 * accepted comes without socket(). */
static int add_sockets(scmp_filter_ctx f, bool unix_too)
{
	const struct scmp_arg_cmp not_unix = { 0, SCMP_CMP_NE, AF_UNIX, 0 };
	const uint32_t no = SCMP_ACT_ERRNO(EACCES);
	int r;

	if (unix_too)
		return seccomp_rule_add_array(f, no, SCMP_SYS(socket), 1, &not_unix);
	r = seccomp_rule_add(f, no, SCMP_SYS(socket), 0);
	if (r == 0)
		r = seccomp_rule_add(f, no, SCMP_SYS(connect), 0);
	if (r == 0)
		r = seccomp_rule_add(f, no, SCMP_SYS(bind), 0);
	return r;
}

/* Threads yes, processes no.  clone3() has its flags in memory, where a filter cannot
 * look: it "does not exist", so the C library takes clone(). */
static int add_processes(scmp_filter_ctx f)
{
	const struct scmp_arg_cmp no_thread = { 0, SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0 };
	int r = seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);

	if (r < 0)
		return r;
	return seccomp_rule_add_array(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1, &no_thread);
}

static int enter_seccomp(const struct sandbox_rules *rules)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
	int r;

	if (!f)
		return -ENOMEM;
	r = seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1);
	if (r == 0)
		r = add_list(f, SCMP_ACT_KILL_PROCESS, deadly, sizeof(deadly) / sizeof(deadly[0]));
	if (r == 0)
		r = add_list(f, SCMP_ACT_ERRNO(EPERM), forbidden, sizeof(forbidden) / sizeof(forbidden[0]));
	if (r == 0)
		r = add_sockets(f, rules->log_sockets);
	if (r == 0)
		r = add_processes(f);
	if (r == 0)
		r = seccomp_load(f);
	seccomp_release(f);
	return r;
}

static unsigned count_threads(void)
{
	DIR *d = opendir("/proc/self/task");
	unsigned n = 0;
	struct dirent *e;

	while (d && (e = readdir(d)))
		n += e->d_name[0] != '.';
	if (d)
		closedir(d);
	return n;
}

int sandbox_enter(const struct sandbox_rules *rules, struct sandbox_report *ret)
{
	struct sandbox_report report = { 0 };
	unsigned threads = count_threads();
	int r;

	report.strays = threads > 1 ? threads - 1 : 0;
	if (rules->secrets) {
		const struct rlimit none = { 0, 0 };

		setrlimit(RLIMIT_CORE, &none);
		if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
			return -errno;
	}
	r = landlock_abi();
	if (r > 0 && !landlock_suits(rules, r)) {
		report.unsuited = true;
		r = 0;
	}
	report.landlock = r;
	if (r > 0)
		r = landlock_enter(rules, r);
	if (r == 0)
		r = enter_seccomp(rules);
	if (r == 0)
		*ret = report;
	return r;
}
