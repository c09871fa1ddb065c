/* Each attempt is made in a process that has entered the role's walls; what came of it is said
 * on standard error. */
#include "attempts.h"

#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

struct attempt_at at;

static const struct attempt *const tables[] = { attempts_on_files, attempts_at_more, attempts_on_others };
#define TABLES (sizeof(tables) / sizeof(tables[0]))

static bool as_wanted(const struct attempt *a, bool dead, int error)
{
	switch (a->want) {
	case NO:
		return !dead && (error == EACCES || error == EPERM);
	case NO_DEV:
		return !dead && (error == EACCES || error == EPERM || error == EXDEV);
	case ABSENT:
		return !dead && error == ENOSYS;
	case OFF:
		return !dead && error == EOPNOTSUPP;
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
		if (deadly)
			run(deadly);
		for (size_t i = 0; i < TABLES && !deadly; i++)
			for (const struct attempt *a = tables[i]; a->name; a++)
				if (a->want != DEAD && is_for(a))
					run(a);
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
	for (size_t i = 0; i < TABLES; i++)
		for (const struct attempt *a = tables[i]; a->name; a++)
			if (a->want == DEAD && is_for(a))
				run_in_child(r, a);
	close(at.tcp);
	close(at.datagram);
}
