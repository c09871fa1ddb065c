#include "deliver/lines.h"

#include <string.h>

void lines_init(struct lines *l, const struct deliver_fs *fs, int fd)
{
	l->fs = fs;
	l->fd = fd;
	l->error = 0;
	l->cr = false;
	l->last = 0;
	l->n = 0;
	l->size = 0;
	l->virtual = 0;
}

static void flush(struct lines *l)
{
	if (l->error == 0 && l->n > 0)
		l->error = l->fs->write(l->fs->arg, l->fd, l->buffer, l->n);
	l->n = 0;
}

static size_t line_ends(struct slice s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += s.p[i] == '\n';
	return n;
}

/* As it is; a CR in it stands alone. */
static void emit(struct lines *l, struct slice s)
{
	if (s.n == 0)
		return;
	l->size += s.n;
	l->virtual += s.n + line_ends(s);
	if (s.p[0] == '\n' && l->last == '\r') /* that one has its CR already */
		l->virtual --;
	l->last = s.p[s.n - 1];
	while (s.n > 0) {
		struct slice part = slice_head(s, sizeof(l->buffer) - l->n);

		memcpy(l->buffer + l->n, part.p, part.n);
		l->n += part.n;
		s = slice_tail(s, part.n);
		if (l->n == sizeof(l->buffer))
			flush(l);
	}
}

void lines_put(struct lines *l, struct slice s)
{
	while (s.n > 0 && l->error == 0) {
		size_t n;

		if (l->cr && s.p[0] != '\n')
			emit(l, SLICE_LIT("\r"));
		n = slice_find(s, '\r');
		emit(l, slice_head(s, n));
		l->cr = n < s.n;
		s = slice_tail(s, n + l->cr);
	}
}

int lines_end(struct lines *l)
{
	if (l->cr)
		emit(l, SLICE_LIT("\r"));
	l->cr = false;
	flush(l);
	return l->error;
}
