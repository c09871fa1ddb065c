/* sandbox.h - the walls around one process, for good.
 *
 * Landlock: files only below the named folders, no TCP port bound or connected to, no
 * signal and no abstract socket beyond (each as far as the kernel's Landlock
 * goes; an old kernel gives less, which the report says).  seccomp: no new program,
 * no new process, no new network socket, no signal to others, no memory that becomes
 * program, none of the calls that administer the machine.  Running programs, tracing
 * and bpf kill the process, for no honest code path leads there; the rest answers
 * EACCES or EPERM.  Its memory is closed: no core dump, no look from outside.
 *
 * What is open already stays usable: that is how a role gets its sockets and files.
 * Enter before the first thread: Landlock binds the calling thread and those it makes.
 */
#ifndef POSTERN_SANDBOX_SANDBOX_H
#define POSTERN_SANDBOX_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

/* Sanitizers need what a release does not: their options, the process's own map. */
#if defined(__SANITIZE_ADDRESS__)
#define SANDBOX_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANDBOX_SANITIZER 1
#endif
#endif

struct sandbox_rules {
	const char *const *folders; /* read and write below them, nothing elsewhere */
	size_t n_folders;
	bool moves;	  /* files are renamed from one folder below them to another */
	bool connects;	  /* to other servers: TCP, and Unix sockets by stream */
	bool tcp_only;	  /* with connects: no Unix sockets */
	bool datagrams;	  /* and UDP, which the DNS is asked by; only with connects.  It may bind then, but no
			   * TCP port of its choice: lanes choose the address that they send from */
	bool log_sockets; /* Unix sockets may be opened and connected: syslog reconnects */
};

struct sandbox_report {
	int landlock;  /* the kernel's ABI; 0: files are not walled off */
	bool unsuited; /* because its Landlock (ABI 1) would not let files be moved; otherwise it has none */
	unsigned strays; /* threads that were there already, and are outside of Landlock */
};

/* No core dump, no look from outside: for main, which has keys in memory and no walls.
 * 0 or negative errno. */
int sandbox_close_memory(void);

/* 0, or negative errno: then the process is in no defined state and should end. */
int sandbox_enter(const struct sandbox_rules *rules, struct sandbox_report *ret);

#endif
