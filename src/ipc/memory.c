#include "ipc/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

int ipc_memory_file(const char *name, struct slice content)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -errno;
	while (content.n > 0) {
		ssize_t n = write(fd, content.p, content.n);

		if (n < 0) {
			int r = -errno;

			close(fd);
			return r;
		}
		content = slice_tail(content, (size_t)n);
	}
	fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
	return fd;
}

int ipc_memory_read(int fd, struct buf *to)
{
	unsigned char *p;
	off_t at = 0;

	for (;;) {
		size_t room = buf_reserve(to, 16384, &p);
		ssize_t n;

		if (room == 0)
			return -EFBIG;
		n = pread(fd, p, room, at);
		if (n <= 0)
			return n < 0 ? -errno : 0;
		buf_filled(to, (size_t)n);
		at += n;
	}
}
