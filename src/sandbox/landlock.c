#include "sandbox/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/* Numbers of the kernel's interface, here because headers are often older than the
 * kernel: linux/landlock.h.  They are the same on every architecture. */
#define SYS_CREATE 444
#define SYS_ADD	   445
#define SYS_ENTER  446

#define CREATE_VERSION 1U
#define RULE_PATH      1
#define RULE_PORT      2

struct ruleset {
	uint64_t fs;	 /* what is forbidden unless a rule allows it */
	uint64_t net;	 /* since ABI 4 */
	uint64_t scoped; /* since ABI 6 */
};

struct path_rule {
	uint64_t allowed;
	int32_t fd;
} __attribute__((packed));

struct port_rule {
	uint64_t allowed, port;
};

#define FS_EXECUTE   (1U << 0)
#define FS_READ_FILE (1U << 2)
#define FS_READ_DIR  (1U << 3)
#define FS_CHAR	     (1U << 6)
#define FS_SOCK	     (1U << 9)
#define FS_FIFO	     (1U << 10)
#define FS_BLOCK     (1U << 11)
#define FS_SYM	     (1U << 12)
#define FS_ABI1	     ((1U << 13) - 1)
#define FS_REFER     (1U << 13) /* rename between folders; ABI 2 */
#define FS_TRUNCATE  (1U << 14) /* ABI 3 */
#define FS_IOCTL_DEV (1U << 15) /* ABI 5 */
#define NET_BIND     1U
#define NET_ALL	     3U /* bind and connect TCP */
#define SCOPE_ALL    3U /* abstract sockets and signals */

static uint64_t known_fs(int abi)
{
	return FS_ABI1 | (abi >= 2 ? FS_REFER : 0) | (abi >= 3 ? FS_TRUNCATE : 0) |
	       (abi >= 5 ? FS_IOCTL_DEV : 0);
}

static int allow(int set, const char *path, uint64_t what)
{
	struct path_rule rule = { .allowed = what };
	int r;

	rule.fd = open(path, O_PATH | O_CLOEXEC);
	if (rule.fd < 0)
		return -errno;
	r = syscall(SYS_ADD, set, RULE_PATH, &rule, 0) < 0 ? -errno : 0;
	close(rule.fd);
	return r;
}

/* Bind TCP to an address without choosing a port: what port 0 means. */
static int allow_any_port(int set)
{
	struct port_rule rule = { .allowed = NET_BIND, .port = 0 };

	return syscall(SYS_ADD, set, RULE_PORT, &rule, 0) < 0 ? -errno : 0;
}

int landlock_abi(void)
{
	long abi = syscall(SYS_CREATE, NULL, 0, CREATE_VERSION);

	if (abi >= 0)
		return (int)abi;
	/* Not built in, or switched off at boot. */
	return errno == ENOSYS || errno == EOPNOTSUPP ? 0 : -errno;
}

bool landlock_suits(const struct sandbox_rules *rules, int abi)
{
	return abi >= 2 || !rules->moves;
}

int landlock_enter(const struct sandbox_rules *rules, int abi)
{
	struct ruleset all = { 0 };
	uint64_t usual;
	size_t size;
	int set, r = 0;

	all.fs = known_fs(abi);
	all.net = abi < 4 ? 0 : rules->connects ? NET_BIND : NET_ALL;
	all.scoped = abi >= 6 ? SCOPE_ALL : 0;
	size = abi >= 6 ? sizeof(all) : abi >= 4 ? 2 * sizeof(uint64_t) : sizeof(uint64_t);
	set = (int)syscall(SYS_CREATE, &all, size, 0);
	if (set < 0)
		return -errno;
	/* Plain files and folders; no programs, devices, pipes, sockets or links. */
	usual = all.fs &
		~(uint64_t)(FS_EXECUTE | FS_CHAR | FS_SOCK | FS_FIFO | FS_BLOCK | FS_SYM | FS_IOCTL_DEV);
	for (size_t i = 0; i < rules->n_folders && r == 0; i++)
		r = allow(set, rules->folders[i], usual);
	if (r == 0 && rules->datagrams && all.net)
		r = allow_any_port(set);
#ifdef SANDBOX_SANITIZER
	/* To print where it happened, a sanitizer reads the process's own map. */
	if (r == 0)
		r = allow(set, "/proc/self", FS_READ_FILE | FS_READ_DIR);
#endif
	if (r == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		r = -errno;
	if (r == 0 && syscall(SYS_ENTER, set, 0) < 0)
		r = -errno;
	close(set);
	return r;
}
