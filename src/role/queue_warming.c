#include "role/queue_warming.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"

static void path_of(const char *state_dir, const char *name, char *to, size_t size)
{
	snprintf(to, size, "%s/spool/%s", state_dir, name);
}

/* Lines of "day messages source": there is one before or behind a crash, never half of one. */
static int write_file(const char *state_dir, struct slice text)
{
	char path[4096], fresh[4096];
	ssize_t n = -1;
	int fd, r = 0;

	path_of(state_dir, "sources-today", path, sizeof(path));
	path_of(state_dir, "sources-today.new", fresh, sizeof(fresh));
	fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	n = write(fd, text.p, text.n);
	if (n != (ssize_t)text.n)
		r = n < 0 ? -errno : -ENOSPC;
	if (close(fd) < 0 && r == 0)
		r = -errno;
	if (r == 0 && rename(fresh, path) < 0)
		r = -errno;
	return r;
}

void queue_warming_keep(const char *state_dir, const struct schedule *s, struct buf *last)
{
	struct schedule_warming v;
	size_t cursor = 0;
	struct buf text;
	int r;

	buf_init(&text, QUEUE_WARMING_MAX);
	while (schedule_next_warming(s, &cursor, &v))
		buf_fmt(&text, "%" PRIu64 " %" PRIu64 " %.*s\n", v.day, v.sent, SLICE_ARG(v.source));
	if (!buf_ok(&text) || slice_eq(buf_slice(&text), buf_slice(last))) {
		buf_done(&text);
		return;
	}
	r = write_file(state_dir, buf_slice(&text));
	if (r < 0)
		LOG(LOG_WARNING, "warm-up-not-kept", LOG_ERRNO(r));
	buf_done(last); /* also when it could not be written: the next message tries again */
	*last = text;
}

static void remember_line(struct schedule *s, struct slice line, uint64_t now_ms)
{
	struct schedule_warming v;

	if (cur_u64(&line, UINT64_MAX, &v.day) && cur_byte(&line, ' ') &&
	    cur_u64(&line, UINT64_MAX, &v.sent) && cur_byte(&line, ' ')) {
		v.source = line;
		schedule_warmed(s, &v, now_ms);
	}
}

void queue_warming_remember(const char *state_dir, struct schedule *s, uint64_t now_ms)
{
	char path[4096], *text = malloc(QUEUE_WARMING_MAX);
	struct slice cur, line;
	ssize_t n = -1;
	int fd;

	path_of(state_dir, "sources-today", path, sizeof(path));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && text)
		n = read(fd, text, QUEUE_WARMING_MAX);
	if (fd >= 0)
		close(fd);
	cur = slice_of(text, n > 0 ? (size_t)n : 0);
	while (cur_until(&cur, '\n', &line))
		remember_line(s, line, now_ms);
	free(text);
}
