/* sandbox.h - the walls around one process, for good.
 *
 * Landlock: files only below the named folders, no TCP port bound or connected to, no
 * signal and no abstract socket beyond (each as far as the kernel's Landlock
 * goes; an old kernel gives less, which the report says).  seccomp: no
 * new program, no new process, no new network socket, none of the calls that
 * administer the machine.  Running programs, tracing and bpf kill the process, for
 * no honest code path leads there; the rest answers EACCES or EPERM.
 *
 * What is open already stays usable: that is how a role gets its sockets and files.
 * Enter before the first thread: Landlock binds the calling thread and those it makes.
 */
#ifndef POSTERN_SANDBOX_SANDBOX_H
#define POSTERN_SANDBOX_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

struct sandbox_rules {
	const char *const *folders; /* read and write below them, nothing elsewhere */
	size_t n_folders;
	bool moves;	  /* files are renamed from one folder below them to another */
	bool log_sockets; /* Unix sockets may be opened and connected: syslog reconnects */
	bool secrets;	  /* keys in memory: no core dump, no look from outside */
};

struct sandbox_report {
	int landlock;  /* the kernel's ABI; 0: files are not walled off */
	bool unsuited; /* because its Landlock (ABI 1) would not let files be moved; otherwise it has none */
	unsigned strays; /* threads that were there already, and are outside of Landlock */
};

/* 0, or negative errno: then the process is in no defined state and should end. */
int sandbox_enter(const struct sandbox_rules *rules, struct sandbox_report *ret);

#endif
