#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "secret/private.h"

struct slice secret_line(struct slice text)
{
	struct slice line = slice_head(text, slice_find(text, '\n'));

	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	return slice_trim(line);
}

const char *secret_mode_fault(mode_t mode, uid_t owner, uid_t me)
{
	bool chosen = owner == 0 || owner != me;

	if (mode & (chosen ? 0027 : 0077))
		return chosen && (mode & 0040) ? "640" : "600";
	return NULL;
}

/* At most one octet more than fits: whether the line ends, one must see. */
static ssize_t read_all(int fd, unsigned char *room, size_t size)
{
	size_t n = 0;
	ssize_t r;

	do {
		r = read(fd, room + n, size - n);
		if (r > 0)
			n += (size_t)r;
	} while ((r > 0 && n < size && !memchr(room, '\n', n)) || (r < 0 && errno == EINTR));
	return r < 0 ? r : (ssize_t)n;
}

static int take(struct slice text, struct buf *to, char why[static SECRET_WHY_MAX])
{
	struct slice line = secret_line(text);

	if (line.n == 0) {
		snprintf(why, SECRET_WHY_MAX, "has nothing in its first line");
		return -ENODATA;
	}
	if (line.n > buf_room(to)) {
		snprintf(why, SECRET_WHY_MAX, "has a first line that is too long for a password");
		return -EFBIG;
	}
	buf_put(to, line);
	if (buf_ok(to))
		return 0;
	snprintf(why, SECRET_WHY_MAX, "cannot be read: out of memory");
	return -ENOMEM;
}

int secret_file(const char *path, struct buf *to, const char **ret_chmod, char why[static SECRET_WHY_MAX])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), r;
	unsigned char room[8192];
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0 || (n = read_all(fd, room, sizeof(room))) < 0) {
		r = -errno;
		snprintf(why, SECRET_WHY_MAX, "cannot be read: %s", strerrordesc_np(errno));
	} else {
		*ret_chmod = S_ISREG(st.st_mode) ? secret_mode_fault(st.st_mode, st.st_uid, geteuid()) : NULL;
		r = take(slice_of(room, (size_t)n), to, why);
	}
	explicit_bzero(room, sizeof(room));
	if (fd >= 0)
		close(fd);
	return r;
}
