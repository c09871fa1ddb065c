/* What the kernel is not asked for: seccomp.
 *
 * Arguments that lie in memory cannot be looked at, so a call is refused whole when
 * its dangerous half is told by a name or a struct.  An argument that the kernel
 * takes as 32 bits is compared as 32 bits: what stands above them is ignored by the
 * kernel, and so it must not hide it from us.
 */
#include "sandbox/calls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* No honest code path of a role leads to these. */
static const int deadly[] = { SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(ptrace), SCMP_SYS(bpf) };

/* Libraries may try some and do without. */
static const int forbidden[] = {
	/* administration of the machine */
	SCMP_SYS(mount), SCMP_SYS(umount2), SCMP_SYS(pivot_root), SCMP_SYS(chroot), SCMP_SYS(move_mount),
	SCMP_SYS(open_tree), SCMP_SYS(fsopen), SCMP_SYS(fsmount), SCMP_SYS(fsconfig), SCMP_SYS(fspick),
	SCMP_SYS(mount_setattr), SCMP_SYS(unshare), SCMP_SYS(setns), SCMP_SYS(kexec_load),
	SCMP_SYS(kexec_file_load), SCMP_SYS(init_module), SCMP_SYS(finit_module), SCMP_SYS(delete_module),
	SCMP_SYS(reboot), SCMP_SYS(swapon), SCMP_SYS(swapoff), SCMP_SYS(settimeofday),
	SCMP_SYS(clock_settime), SCMP_SYS(clock_adjtime), SCMP_SYS(adjtimex), SCMP_SYS(sethostname),
	SCMP_SYS(setdomainname), SCMP_SYS(acct), SCMP_SYS(quotactl), SCMP_SYS(quotactl_fd), SCMP_SYS(syslog),
	SCMP_SYS(vhangup), SCMP_SYS(iopl), SCMP_SYS(ioperm), SCMP_SYS(modify_ldt), SCMP_SYS(personality),
	SCMP_SYS(keyctl), SCMP_SYS(add_key), SCMP_SYS(request_key), SCMP_SYS(perf_event_open),
	/* what has been a way out of sandboxes, or goes past seccomp by itself */
	SCMP_SYS(userfaultfd), SCMP_SYS(io_uring_setup), SCMP_SYS(io_uring_enter),
	SCMP_SYS(io_uring_register),
	/* other processes: their memory, descriptors, limits and turns */
	SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev), SCMP_SYS(process_madvise),
	SCMP_SYS(process_mrelease), SCMP_SYS(kcmp), SCMP_SYS(pidfd_open), SCMP_SYS(pidfd_getfd),
	SCMP_SYS(pidfd_send_signal), SCMP_SYS(tkill), SCMP_SYS(rt_sigqueueinfo), SCMP_SYS(rt_tgsigqueueinfo),
	SCMP_SYS(setpriority), SCMP_SYS(ioprio_set), SCMP_SYS(sched_setaffinity), SCMP_SYS(sched_setattr),
	SCMP_SYS(sched_setparam), SCMP_SYS(sched_setscheduler), SCMP_SYS(migrate_pages), SCMP_SYS(move_pages),
	SCMP_SYS(fork), SCMP_SYS(vfork),
	/* meeting places that no folder holds */
	SCMP_SYS(socketpair), /* a pair of datagram sockets can still send to anybody by name */
	SCMP_SYS(shmget), SCMP_SYS(shmat), SCMP_SYS(semget), SCMP_SYS(msgget), SCMP_SYS(mq_open),
	SCMP_SYS(mq_unlink),
	/* other identities */
	SCMP_SYS(setuid), SCMP_SYS(setgid), SCMP_SYS(setreuid), SCMP_SYS(setregid), SCMP_SYS(setresuid),
	SCMP_SYS(setresgid), SCMP_SYS(setgroups), SCMP_SYS(setfsuid), SCMP_SYS(setfsgid), SCMP_SYS(capset),
	/* files, where Landlock does not look: by handle, and what they are like */
	SCMP_SYS(open_by_handle_at), SCMP_SYS(name_to_handle_at), SCMP_SYS(fanotify_init),
	SCMP_SYS(inotify_init), SCMP_SYS(inotify_init1), SCMP_SYS(mknod), SCMP_SYS(mknodat), SCMP_SYS(chmod),
	SCMP_SYS(fchmodat), SCMP_SYS(chown), SCMP_SYS(lchown), SCMP_SYS(fchownat), SCMP_SYS(utime),
	SCMP_SYS(utimes), SCMP_SYS(futimesat), SCMP_SYS(utimensat), SCMP_SYS(setxattr), SCMP_SYS(lsetxattr),
	SCMP_SYS(removexattr), SCMP_SYS(lremovexattr),
	/* the same by numbers that libseccomp does not know yet; no architecture has others */
	452, /* fchmodat2 */
	463, /* setxattrat */
	466, /* removexattrat */
	467, /* open_tree_attr */
	469, /* file_setattr */
};

/* Refused when one argument, cut to 32 bits and masked, has this value. */
static const struct masked {
	int call;
	unsigned argument;
	uint32_t mask, value;
	int error;
} masked[] = {
	/* No memory that is written becomes program: all libraries are loaded by now. */
	{ SCMP_SYS(mmap), 2, PROT_EXEC, PROT_EXEC, EACCES },
	{ SCMP_SYS(mprotect), 2, PROT_EXEC, PROT_EXEC, EACCES },
	{ SCMP_SYS(pkey_mprotect), 2, PROT_EXEC, PROT_EXEC, EACCES },
	/* TCP Fast Open connects without connect(), past Landlock too.  In the words of a kernel
	 * where it is switched off, for libunbound then connects as others do. */
	{ SCMP_SYS(sendto), 3, MSG_FASTOPEN, MSG_FASTOPEN, EOPNOTSUPP },
	{ SCMP_SYS(sendmsg), 2, MSG_FASTOPEN, MSG_FASTOPEN, EOPNOTSUPP },
	{ SCMP_SYS(sendmmsg), 3, MSG_FASTOPEN, MSG_FASTOPEN, EOPNOTSUPP },
	/* Typing on the operator's terminal, which is standard error in the foreground. */
	{ SCMP_SYS(ioctl), 1, UINT32_MAX, TIOCSTI, EPERM },
	{ SCMP_SYS(ioctl), 1, UINT32_MAX, TIOCLINUX, EPERM },
	/* A signal of one's choice, sent by the kernel when a descriptor is ready. */
	{ SCMP_SYS(ioctl), 1, UINT32_MAX, FIOSETOWN, EPERM },
	{ SCMP_SYS(ioctl), 1, UINT32_MAX, SIOCSPGRP, EPERM },
	{ SCMP_SYS(fcntl), 1, UINT32_MAX, F_SETOWN, EPERM },
	{ SCMP_SYS(fcntl), 1, UINT32_MAX, F_SETOWN_EX, EPERM },
	{ SCMP_SYS(fcntl), 1, UINT32_MAX, F_SETSIG, EPERM },
	/* To be looked into again, to outlive main, to prepare for another identity. */
	{ SCMP_SYS(prctl), 0, UINT32_MAX, PR_SET_DUMPABLE, EPERM },
	{ SCMP_SYS(prctl), 0, UINT32_MAX, PR_SET_PTRACER, EPERM },
	{ SCMP_SYS(prctl), 0, UINT32_MAX, PR_SET_PDEATHSIG, EPERM },
	{ SCMP_SYS(prctl), 0, UINT32_MAX, PR_SET_KEEPCAPS, EPERM },
	{ SCMP_SYS(prctl), 0, UINT32_MAX, PR_SET_SECUREBITS, EPERM },
	{ SCMP_SYS(prctl), 0, UINT32_MAX, PR_CAP_AMBIENT, EPERM },
	{ SCMP_SYS(prctl), 0, UINT32_MAX, PR_SET_MM, EPERM },
};

#define N(array) (sizeof(array) / sizeof((array)[0]))

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

static int add_masked(scmp_filter_ctx f)
{
	int r = 0;

	for (size_t i = 0; i < N(masked) && r == 0; i++) {
		const struct masked *m = &masked[i];
		const struct scmp_arg_cmp cmp = { m->argument, SCMP_CMP_MASKED_EQ, m->mask, m->value };

		r = seccomp_rule_add_array(f, SCMP_ACT_ERRNO((uint32_t)m->error), m->call, 1, &cmp);
		if (r == -EDOM || r == -EFAULT)
			r = 0;
	}
	return r;
}

/* Streams to other servers: by IPv4, IPv6 and Unix sockets.  Nothing else that a socket may be
 * but, where logs need it, the datagrams of a Unix one, and of the others for the DNS. */
static int add_client_sockets(scmp_filter_ctx f, const struct sandbox_rules *rules)
{
	static const int types[] = { SOCK_DGRAM, SOCK_RAW, SOCK_RDM, SOCK_SEQPACKET, SOCK_DCCP, SOCK_PACKET };
	const struct scmp_arg_cmp beyond = { 0, SCMP_CMP_GT, AF_INET6, 0 };
	const struct scmp_arg_cmp is_unix = { 0, SCMP_CMP_EQ, AF_UNIX, 0 };
	const struct scmp_arg_cmp not_unix = { 0, SCMP_CMP_NE, AF_UNIX, 0 };
	/* Their own protocols: MPTCP is none that Landlock knows. */
	const struct scmp_arg_cmp other = { 2, SCMP_CMP_GT, IPPROTO_UDP, 0 };
	const struct scmp_arg_cmp unix_stream[] = { is_unix, { 1, SCMP_CMP_MASKED_EQ, 0xf, SOCK_STREAM } };
	const uint32_t no = SCMP_ACT_ERRNO(EACCES);
	int r = seccomp_rule_add_array(f, no, SCMP_SYS(socket), 1, &beyond);

	if (r == 0)
		r = seccomp_rule_add_array(f, no, SCMP_SYS(socket), 1, &other);
	if (r == 0 && rules->tcp_only)
		r = seccomp_rule_add_array(f, no, SCMP_SYS(socket), 2, unix_stream);

	for (scmp_datum_t protocol = 1; protocol < IPPROTO_UDP && r == 0; protocol++) {
		const struct scmp_arg_cmp is_it = { 2, SCMP_CMP_EQ, protocol, 0 };

		if (protocol != IPPROTO_TCP)
			r = seccomp_rule_add_array(f, no, SCMP_SYS(socket), 1, &is_it);
	}
	for (scmp_datum_t family = 0; family < AF_INET6 && r == 0; family++) {
		const struct scmp_arg_cmp is_it = { 0, SCMP_CMP_EQ, family, 0 };

		if (family != AF_UNIX && family != AF_INET)
			r = seccomp_rule_add_array(f, no, SCMP_SYS(socket), 1, &is_it);
	}
	for (size_t i = 0; i < N(types) && r == 0; i++) {
		/* Without the flags that come with the type. */
		const struct scmp_arg_cmp type = { 1, SCMP_CMP_MASKED_EQ, 0xf, (scmp_datum_t)types[i] };
		const struct scmp_arg_cmp by_inet[] = { not_unix, type }, by_unix[] = { is_unix, type };

		if (types[i] != SOCK_DGRAM || !rules->datagrams)
			r = seccomp_rule_add_array(f, no, SCMP_SYS(socket), 2, by_inet);
		if (r == 0 && (types[i] != SOCK_DGRAM || !rules->log_sockets))
			r = seccomp_rule_add_array(f, no, SCMP_SYS(socket), 2, by_unix);
	}
	return r;
}

/* socket() of every family but Unix, and that one too unless logs need it.  What is
 * accepted comes without socket().  Where bind() is allowed, Landlock keeps it from TCP ports
 * and from files; a name beyond files is one where no other role comes. */
static int add_sockets(scmp_filter_ctx f, const struct sandbox_rules *rules)
{
	const struct scmp_arg_cmp not_unix = { 0, SCMP_CMP_NE, AF_UNIX, 0 };
	const uint32_t no = SCMP_ACT_ERRNO(EACCES);
	int r = rules->datagrams ? 0 : seccomp_rule_add(f, no, SCMP_SYS(bind), 0);

	if (r < 0)
		return r;
	if (rules->connects)
		return add_client_sockets(f, rules);
	if (rules->log_sockets)
		return seccomp_rule_add_array(f, no, SCMP_SYS(socket), 1, &not_unix);
	r = seccomp_rule_add(f, no, SCMP_SYS(socket), 0);
	if (r == 0)
		r = seccomp_rule_add(f, no, SCMP_SYS(connect), 0);
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

/* Signals and limits for itself alone.  Landlock does the same for signals, where it
 * is new enough; without root all roles are one user. */
static int add_others(scmp_filter_ctx f)
{
	const struct scmp_arg_cmp other = { 0, SCMP_CMP_NE, (scmp_datum_t)getpid(), 0 };
	const struct scmp_arg_cmp not_self = { 0, SCMP_CMP_NE, 0, 0 };
	const uint32_t no = SCMP_ACT_ERRNO(EPERM);
	int r = seccomp_rule_add_array(f, no, SCMP_SYS(kill), 1, &other);

	if (r == 0)
		r = seccomp_rule_add_array(f, no, SCMP_SYS(tgkill), 1, &other);
	if (r == 0)
		r = seccomp_rule_add_array(f, no, SCMP_SYS(prlimit64), 1, &not_self);
	return r;
}

int calls_enter(const struct sandbox_rules *rules)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
	int r;

	if (!f)
		return -ENOMEM;
	r = seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1);
	if (r == 0) /* found by halves, not one by one: it is run at each sendmsg() */
		r = seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (r == 0)
		r = add_list(f, SCMP_ACT_KILL_PROCESS, deadly, N(deadly));
	if (r == 0) /* also what comes by another architecture's numbers */
		r = seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (r == 0)
		r = add_list(f, SCMP_ACT_ERRNO(EPERM), forbidden, N(forbidden));
	if (r == 0)
		r = add_masked(f);
	if (r == 0)
		r = add_sockets(f, rules);
	if (r == 0)
		r = add_processes(f);
	if (r == 0)
		r = add_others(f);
	if (r == 0)
		r = seccomp_load(f);
	seccomp_release(f);
	return r;
}
