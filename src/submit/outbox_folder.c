/* outbox_folder.c - where a user's outbox lies, and whether it is his. */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "submit/outbox_private.h"

#define PATH_MAX_OURS 4000
#define PASSWD_MAX    16384

/* A relative one is no place: XDG's Base Directory Specification has it ignored. */
static bool is_place(const char *path)
{
	return path && path[0] == '/';
}

int outbox_place(char *ret, size_t size)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	char room[PASSWD_MAX];
	struct passwd user, *found = NULL;
	int n;

	if (!is_place(state) && !is_place(home)) {
		if (getpwuid_r(geteuid(), &user, room, sizeof(room), &found) != 0 || !found)
			return -ENOENT;
		home = user.pw_dir;
	}
	if (!is_place(state) && !is_place(home))
		return -ENOENT;
	n = is_place(state) ? snprintf(ret, size, "%s/postern/outbox", state)
			    : snprintf(ret, size, "%s/.local/state/postern/outbox", home);
	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

/* Root with another user's HOME (sudo) would leave folders there that he himself cannot use. */
static int may_make_in(const char *above, char reterr[static OUTBOX_ERROR_MAX])
{
	struct stat st;

	if (geteuid() != 0 || stat(above, &st) < 0 || st.st_uid == 0)
		return 0;
	snprintf(reterr, OUTBOX_ERROR_MAX,
		 "%.300s belongs to another user: run it as that user, or set XDG_STATE_HOME", above);
	return -EPERM;
}

/* Made readable by us alone, and synced into the one above, so that a message in it outlives a power cut. */
static int make_one(const char *above, const char *path, char reterr[static OUTBOX_ERROR_MAX])
{
	int fd, r;

	if (mkdir(path, 0700) < 0)
		return errno == EEXIST ? 0 : -errno;
	fd = open(above, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = fd < 0 || fsync(fd) < 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	/* Where the one above may not be read it is passed through only; mkdir worked. */
	(void)reterr;
	return r == -EACCES ? 0 : r;
}

static int make_all(const char *path, char reterr[static OUTBOX_ERROR_MAX])
{
	char above[PATH_MAX_OURS + 1] = "/", next[PATH_MAX_OURS + 1];
	bool made = false;
	int r = 0;

	for (size_t i = 1; r == 0 && i <= strlen(path); i++) {
		struct stat st;

		if ((path[i] != '/' && path[i] != '\0') || path[i - 1] == '/')
			continue;
		(void)slice_copy(slice_of(path, i), next, sizeof(next));
		if (stat(next, &st) < 0 && errno == ENOENT) {
			r = made ? 0 : may_make_in(above, reterr);
			made = true;
			if (r == 0)
				r = make_one(above, next, reterr);
		}
		memcpy(above, next, i + 1);
	}
	if (r < 0 && !reterr[0])
		snprintf(reterr, OUTBOX_ERROR_MAX, "%.300s: %s", next, strerror(-r));
	return r;
}

int outbox_folder(const char *path, bool make, char reterr[static OUTBOX_ERROR_MAX])
{
	struct stat st;
	int r;

	if (path[0] != '/' || strlen(path) > PATH_MAX_OURS)
		return -EINVAL;
	r = make ? make_all(path, reterr) : 0;
	if (r < 0)
		return r;
	if (lstat(path, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode)) {
		snprintf(reterr, OUTBOX_ERROR_MAX, "%.300s is no folder", path);
		return -ENOTDIR;
	}
	if (st.st_uid != geteuid()) {
		snprintf(reterr, OUTBOX_ERROR_MAX, "%.300s belongs to another user", path);
		return -EPERM;
	}
	if (st.st_mode & 022) {
		snprintf(reterr, OUTBOX_ERROR_MAX, "others may write to %.300s: chmod 700 it", path);
		return -EPERM;
	}
	return 0;
}
