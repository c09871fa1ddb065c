#include "role/walls.h"

#include <errno.h>
#include <fcntl.h>

#include "base/log.h"
#include "sandbox/sandbox.h"

static char walls[80];
static int memory_fd = -1;

/* Those that start threads while they open; all they need lies in their folder.  The
 * others read files of the system first: users and groups, OpenSSL's configuration, libcurl. */
bool walls_before_open(const struct role *r)
{
	return r->ops->id != IPC_SMTP && r->ops->id != IPC_ADMIN && r->ops->id != IPC_FETCH;
}

const char *walls_text(void)
{
	return walls;
}

/* The one folder that a role needs, if any. */
static int folder_of(const struct role *r, char *room, size_t size)
{
	static const char *const names[IPC_ROLES] = {
		[IPC_QUEUE] = "spool",
		[IPC_KEEPER] = "accounts",
		[IPC_LEDGER] = "ledger",
	};
	const char *name = names[r->ops->id];
	int n = 0;

	room[0] = '\0';
	if (r->ops->id == IPC_LOCAL)
		n = snprintf(room, size, "%s", r->conf->mail_dir);
	else if (name)
		n = snprintf(room, size, "%s/%s", r->conf->state_dir, name);
	return n >= (int)size ? -ENAMETOOLONG : 0;
}

int walls_enter(struct role *r, bool sandboxed)
{
	char folder[1024];
	const char *folders[] = { folder };
	struct sandbox_rules rules = { .folders = folders,
				       .moves = r->ops->id == IPC_LOCAL, /* tmp/ to new/ */
				       /* lanes; HTTPS */
				       .connects = r->ops->id == IPC_SMTP || r->ops->id == IPC_FETCH,
				       .tcp_only = r->ops->id == IPC_FETCH,
				       .datagrams = r->ops->id == IPC_SMTP, /* the DNS */
				       .log_sockets = r->conf->log_to == LOG_TO_SYSLOG };
	struct sandbox_report report;
	int err;

	/* Status wants the memory in use, and /proc will be out of reach. */
	memory_fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	if (!sandboxed) {
		snprintf(walls, sizeof(walls), "no sandbox");
		LOG(LOG_WARNING, "no-sandbox");
		return 0;
	}
	err = folder_of(r, folder, sizeof(folder));
	rules.n_folders = folder[0] ? 1 : 0;
	if (err == 0)
		err = sandbox_enter(&rules, &report);
	if (err < 0) {
		LOG(LOG_ERR, "sandbox-failed", LOG_ERRNO(err), LOG_STR("folder", folder));
		return err;
	}
	if (report.landlock)
		snprintf(walls, sizeof(walls), "landlock %d, seccomp", report.landlock);
	else
		snprintf(walls, sizeof(walls), "seccomp, no landlock: %s",
			 report.unsuited ? "this kernel's (ABI 1) cannot move files" : "not in this kernel");
	if (report.strays)
		LOG(LOG_ERR, "sandbox-late", LOG_U("threads", report.strays));
	return 0;
}

size_t walls_memory(void)
{
	char text[128];
	ssize_t n = pread(memory_fd, text, sizeof(text), 0);
	struct slice s = slice_of(text, n > 0 ? (size_t)n : 0);
	uint64_t pages;

	if (!cur_u64(&s, UINT64_MAX, &pages) || !cur_blanks(&s) || !cur_u64(&s, UINT64_MAX, &pages))
		return 0;
	return (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
}
