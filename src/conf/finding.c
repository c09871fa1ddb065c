#include "conf/directives.h"

#include <stdarg.h>

void conf_findings_init(struct conf_findings *f)
{
	*f = (struct conf_findings){ .last = &f->first };
}

enum kind { ERROR, WARNING, NOTE };

static void keep(struct conf_findings *f, enum kind kind, unsigned line, char *text)
{
	struct conf_finding *one = text ? calloc(1, sizeof(*one)) : NULL;

	if (!one) {
		free(text);
		f->no_memory = true;
		return;
	}
	one->error = kind == ERROR;
	one->note = kind == NOTE;
	one->line = line;
	one->text = text;
	*f->last = one;
	f->last = &one->next;
}

static void add(struct conf_findings *f, enum kind kind, unsigned line, const char *fmt, va_list ap)
	__attribute__((format(printf, 4, 0)));

static void add(struct conf_findings *f, enum kind kind, unsigned line, const char *fmt, va_list ap)
{
	char *text = NULL;

	if (kind == ERROR)
		f->errors++;
	else
		f->warnings++;
	if (f->errors + f->warnings > CONF_FINDINGS_MAX)
		return;
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	keep(f, kind, line, text);
}

/* By line; what has none goes last.  Few enough for the simplest of sorts. */
static struct conf_finding *sorted(struct conf_finding *from)
{
	struct conf_finding *first = NULL;

	while (from) {
		struct conf_finding *one = from, **at = &first;

		from = from->next;
		while (*at && (*at)->line - 1 <= one->line - 1)
			at = &(*at)->next;
		one->next = *at;
		*at = one;
	}
	return first;
}

void conf_findings_end(struct conf_findings *f)
{
	unsigned n = f->errors + f->warnings;
	char *text = NULL;

	f->first = sorted(f->first);
	for (f->last = &f->first; *f->last;)
		f->last = &(*f->last)->next;
	if (n <= CONF_FINDINGS_MAX)
		return;
	if (asprintf(&text, "%u more errors and warnings are not shown", n - CONF_FINDINGS_MAX) < 0)
		text = NULL;
	keep(f, f->errors > 0 ? ERROR : WARNING, 0, text);
}

void conf_error(struct conf_findings *f, unsigned line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(f, ERROR, line, fmt, ap);
	va_end(ap);
}

void conf_warning(struct conf_findings *f, unsigned line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(f, WARNING, line, fmt, ap);
	va_end(ap);
}

void conf_note(struct conf_findings *f, unsigned line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(f, NOTE, line, fmt, ap);
	va_end(ap);
}

void conf_findings_free(struct conf_finding *f)
{
	while (f) {
		struct conf_finding *next = f->next;

		free(f->text);
		free(f);
		f = next;
	}
}

void conf_findings_show(const struct conf_finding *f, const char *file, struct buf *to)
{
	for (; f; f = f->next) {
		buf_str(to, file);
		if (f->line)
			buf_fmt(to, ":%u", f->line);
		buf_fmt(to, ": %s: %s\n", f->error ? "error" : f->note ? "note" : "warning", f->text);
	}
}

#define WORD_MAX 48

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Three rows of the usual table are enough: this one, the one before it, and the
 * one before that for two letters that changed places. */
unsigned conf_distance(struct slice a, struct slice b, unsigned max)
{
	unsigned row[3][WORD_MAX + 1];

	if (a.n > WORD_MAX || b.n > WORD_MAX)
		return max + 1;
	for (size_t j = 0; j <= b.n; j++)
		row[0][j] = (unsigned)j;
	for (size_t i = 1; i <= a.n; i++) {
		unsigned *now = row[i % 3], *up = row[(i + 2) % 3], *upper = row[(i + 1) % 3];

		now[0] = (unsigned)i;
		for (size_t j = 1; j <= b.n; j++) {
			unsigned same = a.p[i - 1] == b.p[j - 1] ? 0 : 1;

			now[j] = least(up[j - 1] + same, least(up[j], now[j - 1]) + 1);
			if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1])
				now[j] = least(now[j], upper[j - 2] + 1);
		}
	}
	return least(row[a.n % 3][b.n], max + 1);
}

/* One less than this many letters may differ, for a name of its length. */
void conf_near_begin(struct conf_near *n, struct slice wanted)
{
	*n = (struct conf_near){ wanted, wanted.n < 4 ? 2 : wanted.n < 8 ? 3 : 4, NULL };
}

void conf_near_look(struct conf_near *n, const char *name)
{
	unsigned d = conf_distance(n->wanted, slice_str(name), n->distance);

	if (d < n->distance) {
		n->distance = d;
		n->best = name;
	}
}
