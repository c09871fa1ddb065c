#include "net/listen.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <sys/un.h>

#define BACKLOG SOMAXCONN
/* A peer that is gone without a word.  Well within the times that a session has, so that
 * these only matter where nobody waits with a clock: octets that the kernel still holds. */
#define KEEP_IDLE_S  120
#define KEEP_EVERY_S 30
#define KEEP_PROBES  4
#define UNACKED_MS   120000

/* What is accepted from it has the same, and no connection pays for setting it.  None of
 * them is worth refusing to start. */
static void set_patience(int fd)
{
	const int on = 1, idle = KEEP_IDLE_S, every = KEEP_EVERY_S, probes = KEEP_PROBES,
		  unacked = UNACKED_MS;

	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof(every));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacked, sizeof(unacked));
}

static int open_bound(const struct ip *ip, uint16_t port, bool shared, int *ret_fd)
{
	struct sockaddr_storage at;
	socklen_t n = ip_to_sockaddr(ip, port, &at);
	const int on = 1;
	int fd, r;

	fd = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    (shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0) ||
	    (ip->family == 6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0) ||
	    bind(fd, (struct sockaddr *)&at, n) < 0 || listen(fd, BACKLOG) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	set_patience(fd);
	*ret_fd = fd;
	return 0;
}

int listen_probe(const struct ip *ip, uint16_t port)
{
	int fd, r = open_bound(ip, port, false, &fd);

	if (r == 0)
		close(fd);
	return r;
}

int listen_tcp(const struct ip *ip, uint16_t port, int *ret_fd)
{
	return open_bound(ip, port, true, ret_fd);
}

/* Somebody answers at that path. */
static bool is_alive(const struct sockaddr_un *at, int type)
{
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool alive;

	if (fd < 0)
		return false;
	alive = connect(fd, (const struct sockaddr *)at, sizeof(*at)) == 0 || errno == EAGAIN;
	close(fd);
	return alive;
}

int listen_unix(const char *path, int type, mode_t mode, int *ret_fd)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct stat st;
	int fd, r;

	if (!slice_copy(slice_str(path), at.sun_path, sizeof(at.sun_path)))
		return -ENAMETOOLONG;
	if (lstat(path, &st) == 0) {
		if (!S_ISSOCK(st.st_mode))
			return -EEXIST;
		if (is_alive(&at, type))
			return -EADDRINUSE;
		unlink(path);
	}
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* Nobody can connect before listen(), so the mode is right in time. */
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || chmod(path, mode) < 0 ||
	    listen(fd, BACKLOG) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

/* The inode of a listening socket on that port, from the kernel's table; 0 if none. */
static unsigned long listening_inode(const char *table, uint16_t port)
{
	FILE *f = fopen(table, "re");
	char line[512];
	unsigned long found = 0;

	while (f && !found && fgets(line, sizeof(line), f)) {
		unsigned local_port, state;
		unsigned long inode;

		if (sscanf(line, " %*u: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s %*u %*u %lu",
			   &local_port, &state, &inode) == 3 &&
		    local_port == port && state == 10 /* TCP_LISTEN */)
			found = inode;
	}
	if (f)
		fclose(f);
	return found;
}

static bool holds(const char *pid, const char *link)
{
	char path[300], to[64];
	struct dirent *e;
	bool found = false;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	d = opendir(path);
	while (d && !found && (e = readdir(d))) {
		ssize_t n = readlinkat(dirfd(d), e->d_name, to, sizeof(to) - 1);

		if (n > 0) {
			to[n] = '\0';
			found = !strcmp(to, link);
		}
	}
	if (d)
		closedir(d);
	return found;
}

bool listen_holder(uint16_t port, char *ret, size_t size)
{
	unsigned long inode = listening_inode("/proc/net/tcp", port);
	char link[64], path[300], name[64] = "";
	struct dirent *e;
	bool found = false;
	DIR *d;

	if (!inode)
		inode = listening_inode("/proc/net/tcp6", port);
	if (!inode)
		return false;
	snprintf(link, sizeof(link), "socket:[%lu]", inode);
	d = opendir("/proc");
	while (d && !found && (e = readdir(d))) {
		FILE *f;

		if (!isdigit((unsigned char)e->d_name[0]) || !holds(e->d_name, link))
			continue;
		found = true;
		snprintf(path, sizeof(path), "/proc/%s/comm", e->d_name);
		f = fopen(path, "re");
		if (f && fgets(name, sizeof(name), f))
			name[strcspn(name, "\n")] = '\0';
		if (f)
			fclose(f);
		snprintf(ret, size, "%.20s (%s)", e->d_name, name);
	}
	if (d)
		closedir(d);
	return found;
}
