/* attempts.h - the tables of what a role tries; for the files attempts*.c.
 *
 * Where the machine's owners and modes would refuse it anyway, the wall is not proved: so files
 * are made open to the role's user, and the process that is attacked is one of the same user.
 * A new attempt is a function and a row.
 */
#ifndef POSTERN_TESTS_ATTEMPTS_H
#define POSTERN_TESTS_ATTEMPTS_H

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "rogue.h"

enum want {
	NO,	/* EACCES or EPERM */
	NO_DEV, /* or EXDEV: the older Landlock's word for "not from folder to folder" */
	ABSENT, /* ENOSYS */
	OFF,	/* EOPNOTSUPP */
	DEAD,	/* the process is killed by SIGSYS */
	YES,
};

/* Made before the walls. */
extern struct attempt_at {
	const struct role *role;
	char bait[512], file[600], folder[600], own[600];
	int tcp, datagram;
	pid_t victim;
	bool walls;
} at;

#define BIT(role) (1U << (role))
#define OWNERS	  (BIT(IPC_QUEUE) | BIT(IPC_KEEPER) | BIT(IPC_LEDGER) | BIT(IPC_LOCAL))
#define BUT(role) (~BIT(role))
#define OUT	  (BIT(IPC_SMTP) | BIT(IPC_FETCH)) /* they connect to other servers */
#define ALL	  (~0U)
/* Only where main is root: else it is no matter of ours. */
#define WITH_ROOT 1U
/* Not to be done where no walls stand. */
#define HURTS 2U

struct attempt {
	const char *name;
	long (*run)(void);
	enum want want;
	unsigned roles;
	unsigned when;
};

/* Each ends with a row without a name. */
extern const struct attempt attempts_on_files[], attempts_at_more[], attempts_on_others[];

#endif
