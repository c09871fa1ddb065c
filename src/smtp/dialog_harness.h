/* dialog_harness.h - for the dialog tests only: files of a folder, played whole, in threes, and
 * byte by byte; their escapes; and the comparison of what was said with what should be.
 *
 * A player has a struct dialog as its member and says what its lines mean.  Included once by
 * a test program, everything is static. */
#ifndef POSTERN_SMTP_DIALOG_HARNESS_H
#define POSTERN_SMTP_DIALOG_HARNESS_H

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

#define DIALOG_MANY (8U << 20)

struct dialog {
	size_t cut;  /* octets that the engine is fed at once */
	size_t line; /* of the file */
	struct buf error;
};

/* Plays the file's text; true when it went as written, else ret_error says where it did not. */
typedef bool dialog_play(struct slice text, size_t cut, struct buf *ret_error);

static void dialog_fail(struct dialog *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The first one counts. */
static void dialog_fail(struct dialog *d, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	if (d->error.n > 0)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	buf_fmt(&d->error, "#   line %zu: %s\n", d->line, text);
}

/* \r \n \t \0 \\ \xHH and \(N*text) */
static void dialog_unescape(struct slice s, struct buf *to)
{
	while (s.n > 0) {
		struct slice c = slice_tail(s, 1), part;
		uint64_t times;
		unsigned hex;
		char digits[3];

		if (s.p[0] != '\\' || c.n == 0) {
			buf_byte(to, s.p[0]);
			s = c;
			continue;
		}
		s = slice_tail(c, 1);
		if (c.p[0] == 'x' && cur_take(&s, 2, &part) && slice_copy(part, digits, 3) &&
		    sscanf(digits, "%x", &hex) == 1) {
			buf_byte(to, (unsigned char)hex);
		} else if (c.p[0] == '(' && cur_u64(&s, DIALOG_MANY, &times) && cur_byte(&s, '*') &&
			   cur_until(&s, ')', &part)) {
			while (times-- > 0)
				dialog_unescape(part, to);
		} else {
			buf_byte(to, c.p[0] == 'r'   ? '\r'
				     : c.p[0] == 'n' ? '\n'
				     : c.p[0] == 't' ? '\t'
				     : c.p[0] == '0' ? '\0'
						     : c.p[0]);
		}
	}
}

static bool dialog_is(struct slice word, const char *name)
{
	return slice_eq(word, slice_str(name));
}

/* "name=NUMBER" */
static bool dialog_number(struct slice word, const char *name, uint64_t *ret)
{
	return cur_word(&word, slice_str(name)) && cur_byte(&word, '=') && cur_u64(&word, UINT64_MAX, ret);
}

/* The next line of what was gathered, without its end; with "..." at the end
 * of want only the beginning counts. */
static void dialog_expect(struct dialog *d, struct buf *from, const char *end, struct slice want,
			  const char *what)
{
	struct slice have = buf_slice(from), line, dots = SLICE_LIT("...");
	struct slice tail = want.n > 3 ? slice_tail(want, want.n - 3) : want;
	const void *at = have.n ? memmem(have.p, have.n, end, strlen(end)) : NULL;
	bool same;

	line = slice_head(have, at ? (size_t)((const unsigned char *)at - have.p) : have.n);
	same = slice_eq(tail, dots) ? slice_starts(line, slice_head(want, want.n - 3))
				    : slice_eq(line, want) && at;
	if (!same)
		dialog_fail(d, "%s differs\n#     expected: %.*s\n#     was:      %.*s%s", what,
			    (int)(want.n < 300 ? want.n : 300), (const char *)want.p,
			    (int)(line.n < 300 ? line.n : 300), (const char *)line.p, at ? "" : " (no line)");
	else
		buf_consume(from, at ? line.n + strlen(end) : line.n);
}

/* "Kind: text".  False, and said, when it is no such line; a comment has an empty kind. */
static bool dialog_line(struct dialog *d, struct slice line, struct slice *ret_kind, struct slice *ret_text)
{
	struct slice text = line;

	*ret_kind = slice_head(line, 0);
	if (line.n == 0 || line.p[0] == '#')
		return true;
	if (!cur_until(&text, ':', ret_kind)) {
		dialog_fail(d, "not a line of a dialog");
		return false;
	}
	cur_byte(&text, ' ');
	*ret_text = text;
	return true;
}

static int dialog_is_file(const struct dirent *e)
{
	struct slice name = slice_str(e->d_name);

	return name.n > 5 && slice_eq(slice_tail(name, name.n - 5), SLICE_LIT(".smtp"));
}

static bool dialog_read(const char *dir, const char *name, struct buf *to)
{
	unsigned char *room;
	char path[1024];
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "rb");
	if (!f)
		return false;
	while ((n = buf_reserve(to, 4096, &room)) > 0 && (n = fread(room, 1, n, f)) > 0)
		buf_filled(to, n);
	fclose(f);
	return true;
}

/* All of the folder, or the one that is named on the command line, as TAP. */
static int dialog_main(int argc, char **argv, const char *dir, dialog_play *play)
{
	static const struct {
		const char *name;
		size_t n;
	} cuts[] = { { "whole", DIALOG_MANY }, { "in threes", 3 }, { "byte by byte", 1 } };
	const char *only = argc > 1 ? argv[1] : NULL;
	struct dirent **list;
	int n = scandir(dir, &list, dialog_is_file, alphasort), failed = 0, test = 0;

	if (n <= 0) {
		printf("Bail out! no dialogs in %s\n", dir);
		return 1;
	}
	printf("1..%d\n", only ? 3 : n * 3);
	for (int i = 0; i < n; i++) {
		bool wanted = !only || strcmp(only, list[i]->d_name) == 0;
		struct buf text, error;

		buf_init(&text, DIALOG_MANY);
		if (wanted && !dialog_read(dir, list[i]->d_name, &text))
			printf("# cannot read %s\n", list[i]->d_name);
		for (size_t k = 0; wanted && k < sizeof(cuts) / sizeof(cuts[0]); k++) {
			bool ok;

			buf_init(&error, 1);
			ok = text.n > 0 && play(buf_slice(&text), cuts[k].n, &error);
			printf("%s %d - %s, %s\n%.*s", ok ? "ok" : "not ok", ++test, list[i]->d_name,
			       cuts[k].name, SLICE_ARG(buf_slice(&error)));
			failed += !ok;
			buf_done(&error);
		}
		buf_done(&text);
		free(list[i]);
	}
	free(list);
	return failed > 0;
}

#endif
