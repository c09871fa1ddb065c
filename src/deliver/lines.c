#include "deliver/lines.h"

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

static void emit(struct lines *l, unsigned char byte)
{
	if (l->n == sizeof(l->buffer))
		flush(l);
	l->buffer[l->n++] = byte;
	l->size++;
	l->virtual += byte == '\n' && l->last != '\r' ? 2 : 1;
	l->last = byte;
}

void lines_put(struct lines *l, struct slice s)
{
	for (size_t i = 0; i < s.n && l->error == 0; i++) {
		unsigned char byte = s.p[i];

		if (l->cr && byte != '\n')
			emit(l, '\r');
		l->cr = byte == '\r';
		if (!l->cr)
			emit(l, byte);
	}
}

int lines_end(struct lines *l)
{
	if (l->cr)
		emit(l, '\r');
	l->cr = false;
	flush(l);
	return l->error;
}
