/* The folders of state and run time: made, owned, and held by one server alone. */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "role/server.h"

#define OLD_ROLES_MS	  5000 /* they end in two seconds, whatever they do */
#define OLD_ROLES_LOOK_MS 10

/* All folders on the way, as mkdir -p; the last with that mode. */
static int make_path(const char *path, mode_t mode)
{
	char part[1024];

	if (!slice_copy(slice_str(path), part, sizeof(part)))
		return -ENAMETOOLONG;
	for (char *p = part + 1; *p; p++)
		if (*p == '/') {
			*p = '\0';
			if (mkdir(part, 0755) < 0 && errno != EEXIST)
				return -errno;
			*p = '/';
		}
	return mkdir(part, mode) < 0 && errno != EEXIST ? -errno : 0;
}

/* Made when missing; an existing one gets the owner it needs.  Symbolic links are
 * followed above, never for the folder itself. */
static int make_owned(struct server *s, const char *path, mode_t mode, const struct account *as,
		      bool set_mode)
{
	int r = make_path(path, mode), fd;
	struct stat st;

	if (r < 0) {
		fprintf(stderr, "postern: cannot make the folder %s: %s\n", path, strerror(-r));
		return r;
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		r = -errno;
	else if (s->root && as && (st.st_uid != as->uid || st.st_gid != as->gid) &&
		 fchown(fd, as->uid, as->gid) < 0)
		r = -errno;
	else if (set_mode && (st.st_mode & 07777) != mode && fchmod(fd, mode) < 0)
		r = -errno;
	if (r < 0)
		fprintf(stderr, "postern: cannot use the folder %s: %s\n", path, strerror(-r));
	if (fd >= 0)
		close(fd);
	return r;
}

/* A role that runs as somebody else must be able to walk there: a state_dir below a
 * closed home is told by name, not by "permission denied" of some process. */
static int check_reachable(const char *path, const struct child *c)
{
	char part[1024];
	struct stat st;

	if (c->as.uid == 0 || !slice_copy(slice_str(path), part, sizeof(part)))
		return 0;
	for (char *p = part + 1; *p; p++) {
		bool may;

		if (*p != '/')
			continue;
		*p = '\0';
		if (stat(part, &st) < 0)
			return 0;
		may = st.st_mode & (st.st_uid == c->as.uid   ? S_IXUSR
				    : st.st_gid == c->as.gid ? S_IXGRP
							     : S_IXOTH);
		if (!may) {
			fprintf(stderr,
				"postern: role %s (user id %u) cannot reach %s: the folder %s is closed to "
				"it (mode %03o)\n"
				"Open it (chmod o+x %s), or choose another place in the configuration\n",
				ipc_role_name(c->role), (unsigned)c->as.uid, path, part, st.st_mode & 0777U,
				part);
			return -EACCES;
		}
		*p = '/';
	}
	return 0;
}

int folders_make(struct server *s)
{
	static const struct {
		const char *name;
		enum ipc_role role; /* whose it is */
	} parts[] = {
		{ "spool", IPC_QUEUE },
		{ "accounts", IPC_KEEPER },
		{ "ledger", IPC_LEDGER },
		{ "tls", IPC_MAIN },
	};
	const struct account mine = { getuid(), getgid() };
	const struct child *local = children_first(s, IPC_LOCAL);
	char path[1024];
	/* Roles that run as somebody else must be able to pass. */
	int r = make_owned(s, s->conf->state_dir, s->root ? 0711 : 0700, &mine, false);

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && r == 0; i++) {
		const struct child *owner = children_first(s, parts[i].role);

		if (snprintf(path, sizeof(path), "%s/%s", s->conf->state_dir, parts[i].name) >=
		    (int)sizeof(path))
			return -ENAMETOOLONG;
		r = make_owned(s, path, 0700, owner ? &owner->as : &mine, true);
		if (r == 0 && owner && s->root)
			r = check_reachable(path, owner);
	}
	if (r == 0)
		r = make_owned(s, s->conf->runtime_dir, 0755, NULL, false);
	if (r == 0 && local) {
		struct stat st;

		/* One that exists belongs to who made it: Dovecot may share it. */
		if (stat(s->conf->mail_dir, &st) < 0)
			r = make_owned(s, s->conf->mail_dir, 0770, &local->as, true);
		if (r == 0 && s->root)
			r = check_reachable(s->conf->mail_dir, local);
	}
	return r;
}

/* Held by main and, by the same open file, by all its roles: when main was killed it is
 * free only after the last of them has ended.  Then their sockets are free, and no two
 * queues ever have one spool. */
static int lock_roles(struct server *s)
{
	char path[1024];
	int fd, r = -EBUSY;

	if (snprintf(path, sizeof(path), "%s/lock.roles", s->conf->state_dir) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		fprintf(stderr, "postern: cannot open %s: %s\n", path, strerror(errno));
		return -errno;
	}
	for (int ms = 0; r < 0 && ms < OLD_ROLES_MS; ms += OLD_ROLES_LOOK_MS) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			r = 0;
		else
			usleep(OLD_ROLES_LOOK_MS * 1000);
	}
	if (r < 0) {
		fprintf(stderr,
			"postern: the server before was killed, and some of its processes still run\n"
			"End them first: pgrep -af 'postern role'; they hold %s\n",
			path);
		close(fd);
		return r;
	}
	s->roles_fd = fd;
	return 0;
}

int folders_lock(struct server *s)
{
	char path[1024], text[32] = "";
	int fd, n;

	if (snprintf(path, sizeof(path), "%s/lock", s->conf->state_dir) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		fprintf(stderr, "postern: cannot open %s: %s\n", path, strerror(errno));
		return -errno;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		ssize_t got = pread(fd, text, sizeof(text) - 1, 0);

		text[got > 0 ? strcspn(text, "\n") : 0] = '\0';
		fprintf(stderr,
			"postern: another server (process %s) already uses %s\n"
			"Stop that one first (SIGTERM), or give this one a state_dir and a runtime_dir of "
			"its own\n",
			text, s->conf->state_dir);
		close(fd);
		return -EBUSY;
	}
	n = snprintf(text, sizeof(text), "%d\n", getpid());
	if (ftruncate(fd, 0) == 0)
		(void)!pwrite(fd, text, (size_t)n, 0);
	s->lock_fd = fd;
	return lock_roles(s);
}
