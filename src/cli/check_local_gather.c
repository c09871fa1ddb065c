/* check --local: the files of which one configuration consists, read in the order in which they count. */
#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "advise/local_include.h"
#include "cli/check_local.h"

#define DEPTH_MAX 10 /* git's, too */
#define PARTS_MAX 1024
#define TEXT_MAX  (8 << 20) /* of all of it */

struct gathering {
	struct local_file *f;
	const char *home;
	struct advise_part *part;
	size_t n_parts;
	size_t octets;
	bool failed; /* out of memory */
	void (*on_apart)(void *arg, const char *path);
	void *arg;
};

static void add_part(struct gathering *g, const struct advise_part *part)
{
	if (g->n_parts < PARTS_MAX)
		g->part[g->n_parts++] = *part;
	else
		g->f->sources_cut = true;
}

const char *local_source_path(const struct local_file *f, uint16_t file)
{
	if (file == ADVISE_LOCAL_BESIDE)
		return f->beside ? f->beside : "";
	return file > 0 && file < f->n_sources ? f->source[file].path : f->path;
}

/* The folder that a file is in, with its slash; "" is this one. */
static struct slice folder_of(const char *path)
{
	struct slice s = slice_str(path);
	size_t at = slice_rfind(s, '/');

	return at < s.n ? slice_head(s, at + 1) : (struct slice){ 0 };
}

bool local_change_path(const struct local_file *f, const struct advise_change *c, char to[static PATH_MAX])
{
	struct slice folder = folder_of(f->path);
	int n;

	if (c->beside || c->file == 0)
		return false;
	if (c->place[0])
		n = snprintf(to, PATH_MAX, "%.*s%s", SLICE_ARG(folder), c->place);
	else
		n = snprintf(to, PATH_MAX, "%s", local_source_path(f, c->file));
	return n < PATH_MAX;
}

/* A number for it; 0: there is no room. */
static uint16_t add_source(struct gathering *g, const char *path, uint16_t by, unsigned line,
			   const char *when)
{
	struct local_file *f = g->f;
	struct local_source *s;

	if (f->n_sources == ADVISE_LOCAL_FILES) {
		f->sources_cut = true;
		return 0;
	}
	s = realloc(f->source, (f->n_sources + 1) * sizeof(*s));
	if (!s) {
		g->failed = true;
		return 0;
	}
	f->source = s;
	s = &f->source[f->n_sources];
	*s = (struct local_source){ .path = strdup(path), .by = by, .line = line };
	snprintf(s->when, sizeof(s->when), "%s", when);
	buf_init(&s->text, ADVISE_LOCAL_MAX + 1);
	if (!s->path) {
		g->failed = true;
		return 0;
	}
	return (uint16_t)f->n_sources++;
}

/* A circle: it is one of those that take it in. */
static bool takes_itself(const struct local_file *f, uint16_t file)
{
	const struct stat *st = &f->source[file].st;

	while (file > 0) {
		const struct stat *above;

		file = f->source[file].by;
		above = &f->source[file].st;
		if (above->st_dev == st->st_dev && above->st_ino == st->st_ino)
			return true;
	}
	return false;
}

static void read_source(struct gathering *g, uint16_t file, unsigned depth, const char *when);

/* ~/x, /x, or below the folder of the file that names it; false: its name is too long, or whose ~ it is is
 * not known. */
static bool full_path(const struct gathering *g, const char *name, uint16_t by, char to[static PATH_MAX])
{
	struct slice folder = folder_of(local_source_path(g->f, by));
	int n;

	if (name[0] == '~' && name[1] == '/') {
		if (!g->home[0])
			return false;
		n = snprintf(to, PATH_MAX, "%s%s", g->home, name + 1);
	} else if (name[0] == '/') {
		n = snprintf(to, PATH_MAX, "%s", name);
	} else {
		n = snprintf(to, PATH_MAX, "%.*s%s", SLICE_ARG(folder), name);
	}
	return n < PATH_MAX;
}

/* Opens and reads one, and what it takes in itself. */
static void take_in(struct gathering *g, const char *path, uint16_t by, unsigned line, bool optional,
		    const char *when, unsigned depth)
{
	uint16_t file = add_source(g, path, by, line, when);
	struct local_source *s;
	int r;

	if (file == 0)
		return;
	s = &g->f->source[file];
	if (depth > DEPTH_MAX) {
		s->why = "more than 10 files take in one another";
		return;
	}
	r = local_read_file(path, true, &s->text, &s->st);
	if (r == -ENOENT && optional) {
		free(s->path);
		g->f->n_sources--;
	} else if (r < 0) {
		s->why = local_error_words(r);
	} else if (takes_itself(g->f, file)) {
		s->why = "it takes in itself";
	} else if ((g->octets += buf_slice(&s->text).n) > TEXT_MAX) {
		s->why = "there is too much of it all";
	} else {
		read_source(g, file, depth, when);
	}
}

static void follow(struct gathering *g, const struct advise_include *inc, uint16_t by, unsigned depth,
		   const char *when)
{
	char path[PATH_MAX];
	uint16_t file;

	if (!full_path(g, inc->path, by, path)) {
		file = add_source(g, inc->path, by, inc->line, inc->when);
		if (file > 0)
			g->f->source[file].why = "where it lies is not known";
		return;
	}
	if (inc->apart)
		g->on_apart(g->arg, path);
	else
		take_in(g, path, by, inc->line, inc->optional, when[0] ? when : inc->when, depth + 1);
}

static unsigned lines_of(struct slice s)
{
	unsigned n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += s.p[i] == '\n';
	return n;
}

/* The text of one, with what it takes in at its place. */
static void read_source(struct gathering *g, uint16_t file, unsigned depth, const char *when)
{
	struct slice text = buf_slice(&g->f->source[file].text);
	struct advise_part part = { .file = file, .line = 1, .when = slice_str(when) };
	struct advise_include inc;
	size_t from = 0, at = 0;

	/* The memory of a source's text stays where it is, while the table of sources may move; so may
	 * `when`, which is of the table: part.when is set at the end. */
	while (advise_include_next(g->f->kind, text, &at, &inc)) {
		if (!inc.apart) {
			part.text = slice_head(slice_tail(text, from), inc.end - from);
			add_part(g, &part);
			part.line += lines_of(part.text);
			from = inc.end;
		}
		follow(g, &inc, file, depth, when);
	}
	part.text = slice_tail(text, from);
	add_part(g, &part);
}

/* ---- what belongs to it by where it lies ---- */

static int find(const char *path, struct slice pattern, glob_t *found)
{
	struct slice folder = folder_of(path);
	char whole[PATH_MAX];

	if (snprintf(whole, sizeof(whole), "%.*s%.*s", SLICE_ARG(folder), SLICE_ARG(pattern)) >=
	    (int)sizeof(whole))
		return GLOB_NOMATCH;
	return glob(whole, 0, NULL, found);
}

static void take_with(struct gathering *g, struct slice patterns)
{
	while (patterns.n > 0) {
		struct slice pattern = slice_head(patterns, slice_find(patterns, ' '));
		glob_t found;

		patterns = slice_tail(patterns, pattern.n + 1);
		if (find(g->f->path, pattern, &found) != 0)
			continue;
		for (size_t i = 0; i < found.gl_pathc; i++) {
			const char *path = found.gl_pathv[i], *slash = strrchr(path, '/');

			if (advise_local_with_takes(g->f->kind, slice_str(slash ? slash + 1 : path)))
				take_in(g, path, 0, 0, false, "", 1);
		}
		globfree(&found);
	}
}

bool local_has_parts(enum advise_local_kind kind, const char *path)
{
	struct slice patterns =
		slice_str(kind == ADVISE_LOCAL_PHP_INI ? advise_local_with(kind, (struct slice){ 0 }) : "");
	bool some = false;

	while (patterns.n > 0 && !some) {
		struct slice pattern = slice_head(patterns, slice_find(patterns, ' '));
		glob_t found;

		patterns = slice_tail(patterns, pattern.n + 1);
		some = find(path, pattern, &found) == 0;
		if (some)
			globfree(&found);
	}
	return some;
}

static void take_before(struct gathering *g)
{
	const char *slash = strrchr(g->f->path, '/');
	struct slice folder = folder_of(g->f->path);
	char name[ADVISE_LOCAL_NAME], path[PATH_MAX];

	for (size_t i = 0;
	     advise_local_before(g->f->kind, slice_str(slash ? slash + 1 : g->f->path), i, name)[0]; i++)
		if (snprintf(path, sizeof(path), "%.*s%s", SLICE_ARG(folder), name) < (int)sizeof(path))
			take_in(g, path, 0, 0, true, "", 1);
}

/* The file beside it, as Postfix's master.cf; it may be missing. */
static void read_beside(struct local_file *f, struct buf *text)
{
	const char *name = advise_local_kind_beside(f->kind);
	struct slice folder = folder_of(f->path);
	char path[PATH_MAX];
	struct stat st;

	if (!name[0] ||
	    snprintf(path, sizeof(path), "%.*s%s", SLICE_ARG(folder), name) >= (int)sizeof(path) ||
	    local_read_file(path, true, text, &st) < 0)
		return;
	f->beside = strdup(path);
}

void local_sources_done(struct local_file *f)
{
	for (size_t i = 0; i < f->n_sources; i++) {
		free(f->source[i].path);
		buf_wipe(&f->source[i].text); /* passwords stand in it */
	}
	free(f->source);
	free(f->beside);
	f->source = NULL;
	f->beside = NULL;
	f->n_sources = 0;
}

int local_gather(struct local_file *f, const char *home, struct buf *text, const struct stat *st,
		 void (*on_apart)(void *arg, const char *path), void *arg)
{
	struct gathering g = { .f = f, .home = home, .on_apart = on_apart, .arg = arg };
	struct slice folder = folder_of(f->path);
	struct advise_whole whole = { .n = 0 };
	struct buf beside;
	char real[PATH_MAX], *absolute;

	buf_init(&beside, ADVISE_LOCAL_MAX + 1);
	g.part = calloc(PARTS_MAX, sizeof(*g.part));
	f->source = calloc(1, sizeof(*f->source));
	if (!g.part || !f->source) {
		free(g.part);
		return -ENOMEM;
	}
	f->n_sources = 1;
	f->source[0].st = *st;
	f->source[0].text = *text; /* it is the caller's again below */
	take_before(&g);
	read_source(&g, 0, 0, "");
	take_with(&g, slice_str(advise_local_with(f->kind, buf_slice(text))));
	read_beside(f, &beside);
	for (size_t i = 0; i < g.n_parts; i++)
		if (g.part[i].file > 0)
			g.part[i].when = slice_str(f->source[g.part[i].file].when);
	snprintf(real, sizeof(real), "%.*s.", SLICE_ARG(folder));
	absolute = realpath(real, NULL);
	whole.folder = slice_str(absolute);
	whole.part = g.part;
	whole.n = g.n_parts;
	whole.beside = buf_slice(&beside);
	if (!g.failed)
		advise_local_read_whole(f->kind, &whole, &f->local);
	f->local.cut = f->local.cut || f->sources_cut;
	f->source[0].text = (struct buf){ 0 };
	for (size_t i = 1; i < f->n_sources; i++)
		buf_wipe(&f->source[i].text);
	buf_wipe(&beside);
	free(absolute);
	free(g.part);
	return g.failed ? -ENOMEM : 0;
}
