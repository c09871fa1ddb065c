#include "role/queue_port25.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"

static void path_of(const char *state_dir, char *to, size_t size)
{
	snprintf(to, size, "%s/spool/port25-blocked", state_dir);
}

static bool write_file(const char *path, uint64_t since_ms)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%" PRIu64 "\n", since_ms);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	bool ok = fd >= 0 && write(fd, text, (size_t)n) == n;

	if (fd >= 0)
		close(fd);
	return ok;
}

void queue_port25_keep(const char *state_dir, const struct port25 *p)
{
	char path[4096];
	bool ok;

	path_of(state_dir, path, sizeof(path));
	ok = p->blocked ? write_file(path, p->since_ms) : unlink(path) == 0 || errno == ENOENT;
	if (!ok)
		LOG(LOG_WARNING, "port-25-not-kept", LOG_STR("file", path), LOG_ERRNO(-errno));
}

bool queue_port25_remember(const char *state_dir, uint64_t now_ms, uint64_t *ret_since_ms)
{
	char path[4096], text[32];
	uint64_t since = now_ms;
	struct slice cur;
	ssize_t n;
	int fd;

	path_of(state_dir, path, sizeof(path));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text));
	close(fd);
	cur = slice_of(text, n > 0 ? (size_t)n : 0);
	if (!cur_u64(&cur, now_ms, &since))
		since = now_ms;
	LOG(LOG_CRIT, "port-25-blocked", LOG_STR("reason", PORT25_TEXT),
	    LOG_U("since_s", (now_ms - since) / 1000), LOG_STR("seen", "before the start"));
	*ret_since_ms = since;
	return true;
}
