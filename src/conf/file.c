#include "conf/file.h"

#include <errno.h>
#include <fcntl.h>

bool conf_file_default(bool root, char *ret, size_t size)
{
	const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME"),
		   *named = getenv("POSTERN_CONFIG");
	int n = -1;

	if (named && *named)
		n = snprintf(ret, size, "%s", named);
	else if (root)
		n = snprintf(ret, size, "/etc/postern/postern.conf");
	else if (xdg && xdg[0] == '/')
		n = snprintf(ret, size, "%s/postern/postern.conf", xdg);
	else if (home && home[0] == '/')
		n = snprintf(ret, size, "%s/.config/postern/postern.conf", home);
	return n > 0 && (size_t)n < size;
}

int conf_file_read(const char *path, struct buf *to)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), r = 0;
	unsigned char *p;

	if (fd < 0)
		return -errno;
	/* To open must not wait for somebody to write (a FIFO); to read from a pipe that
	 * the shell made must. */
	fcntl(fd, F_SETFL, O_RDONLY);
	for (;;) {
		size_t room = buf_reserve(to, 65536, &p);
		ssize_t n;

		if (room == 0) {
			r = -EFBIG;
			break;
		}
		n = read(fd, p, room);
		if (n <= 0) {
			r = n < 0 ? -errno : 0;
			break;
		}
		buf_filled(to, (size_t)n);
	}
	close(fd);
	return r;
}
