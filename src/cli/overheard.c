#include "cli/overheard.h"

#include <stdio.h>

static struct {
	FILE *stream;
	struct buf kept;
	bool skips;
} ear;

static void keep(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (ear.skips && s.p[i] != '\n')
			continue;
		ear.skips = false;
		if (buf_room(&ear.kept) > 0)
			buf_byte(&ear.kept, s.p[i]);
	}
}

static ssize_t on_write(void *cookie, const char *text, size_t size)
{
	struct slice s = slice_of(text, size);

	(void)cookie;
	keep(s);
	while (s.n > 0) {
		ssize_t n = write(STDERR_FILENO, s.p, s.n);

		if (n < 0)
			break; /* nobody reads it: no reason to stop */
		s = slice_tail(s, (size_t)n);
	}
	return (ssize_t)size;
}

void cli_overhear(void)
{
	static unsigned char room[OVERHEARD_MAX];
	const cookie_io_functions_t io = { .write = on_write };

	if (ear.stream)
		return;
	buf_init_in(&ear.kept, room, sizeof(room));
	ear.stream = fopencookie(NULL, "w", io);
	if (!ear.stream)
		return;
	setvbuf(ear.stream, NULL, _IONBF, 0);
	stderr = ear.stream;
}

void cli_overhear_instead(const char *words)
{
	if (!ear.stream)
		return;
	keep(slice_str(words));
	ear.skips = true;
}

static bool says_nothing(struct slice line)
{
	static const struct slice always = SLICE_INIT("the message was not sent");

	return slice_eq(line, always) || slice_starts(line, SLICE_LIT("to see which ports and settings"));
}

void cli_overheard_put(const char *program, struct buf *to)
{
	struct slice all = ear.stream ? buf_slice(&ear.kept) : SLICE_LIT("");
	char name[40];
	bool any = false;

	snprintf(name, sizeof(name), "postern %s: ", program);
	while (all.n > 0) {
		struct slice line = slice_head(all, slice_find(all, '\n'));
		bool ours;

		all = slice_tail(all, line.n + 1);
		ours = slice_starts(line, slice_str(name));
		line = slice_tail(line, ours ? strlen(name) : 0);
		if ((!ours && !memmem(line.p, line.n, ": error: ", 9)) || says_nothing(line))
			continue;
		if (any && buf_room(to) > 2)
			buf_str(to, "; ");
		buf_put(to, slice_head(line, buf_room(to)));
		any = true;
	}
}
