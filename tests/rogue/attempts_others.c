/* What a taken-over role would try with other processes, and with its own memory; and what must go on
 * working. */
#include <linux/capability.h>
#include <linux/prctl.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/uio.h>

#include "attempts.h"

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

const struct attempt attempts_on_others[] = {
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
	{ .name = NULL },
};
