/* local_include_fuzz.c - whatever a file holds: what it takes in stands in it, in order, and looking for it
 * ends; a configuration that is read piece by piece, cut where something would be taken in and nothing is,
 * says the same as read whole, with the same lines; and of a password in Exim's passwd.client nothing comes
 * out. */
#include <stdlib.h>
#include <string.h>

#include "advise/local_include.h"

#define CHECK(what)              \
	do {                     \
		if (!(what))     \
			abort(); \
	} while (0)

#define SECRET	  "zq9x7vkw8j"
#define PARTS_MAX 600

static unsigned lines_of(struct slice s)
{
	unsigned n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += s.p[i] == '\n';
	return n;
}

static size_t cut(enum advise_local_kind kind, struct slice text, struct advise_part part[static PARTS_MAX])
{
	struct advise_include inc;
	size_t n = 0, from = 0, at = 0, found = 0;
	unsigned line = 1, last = 0;

	while (advise_include_next(kind, text, &at, &inc)) {
		CHECK(found++ < 3000 && memchr(inc.path, 0, sizeof(inc.path)) && inc.path[0]);
		CHECK(inc.line >= last && inc.line <= lines_of(text) + 1);
		last = inc.line;
		if (inc.apart)
			continue;
		CHECK(inc.end > from && inc.end <= text.n && at == inc.end);
		CHECK(inc.end == text.n || text.p[inc.end - 1] == '\n');
		if (n < PARTS_MAX - 1) {
			part[n].text = slice_head(slice_tail(text, from), inc.end - from);
			part[n].line = line;
			line += lines_of(part[n++].text);
			from = inc.end;
		}
	}
	part[n].text = slice_tail(text, from);
	part[n++].line = line;
	return n;
}

static void same(const struct advise_local *a, const struct advise_local *b)
{
	CHECK(a->n == b->n && a->cut == b->cut);
	for (size_t i = 0; i < a->n; i++) {
		const struct advise_local_server *s = &a->server[i], *t = &b->server[i];

		CHECK(!strcmp(s->name, t->name) && !strcmp(s->host, t->host) &&
		      !strcmp(s->program, t->program));
		CHECK(s->port == t->port && s->security == t->security && s->login == t->login &&
		      s->password == t->password && s->wrong == t->wrong && s->line == t->line);
		CHECK(s->n_sets == t->n_sets);
		for (size_t k = 0; k < s->n_sets; k++)
			CHECK(s->set[k].key == t->set[k].key && s->set[k].line == t->set[k].line &&
			      s->set[k].last == t->set[k].last && s->set[k].file == t->set[k].file &&
			      !strcmp(s->set[k].value, t->set[k].value));
	}
}

/* Debian's: settings, files that are Exim's, and the passwords. */
static void hidden(struct slice in, struct advise_local *l)
{
	const struct advise_part part[] = {
		{ .text = SLICE_LIT("dc_smarthost='smtp.example.org::587'\n"), .line = 1 },
		{ .text = in, .file = 1, .line = 1 },
	};
	struct advise_whole w = { .part = part,
				  .n = 2,
				  .beside = SLICE_LIT("x:u:p\nsmtp.example.org:" SECRET ":" SECRET "\n") };

	if (in.n > 0 && memmem(in.p, in.n, SECRET, strlen(SECRET)))
		return;
	advise_local_read_whole(ADVISE_LOCAL_EXIM_DEBIAN, &w, l);
	CHECK(l->n > 0 && l->server[0].password && !memmem(l, sizeof(*l), SECRET, strlen(SECRET)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum advise_local_kind kinds[] = { ADVISE_LOCAL_EXIM, ADVISE_LOCAL_GIT,
							ADVISE_LOCAL_POSTFIX };
	static struct advise_part part[PARTS_MAX];
	static struct advise_local whole, pieces;
	struct advise_whole w = { .part = part };
	enum advise_local_kind kind;
	struct slice in;

	if (size < 1 || size > 3000)
		return 0;
	kind = kinds[data[0] % 3];
	in = slice_of(data + 1, size - 1);
	memset(part, 0, sizeof(part));
	w.n = cut(kind, in, part);
	advise_local_read(kind, in, (struct slice){ 0 }, &whole);
	advise_local_read_whole(kind, &w, &pieces);
	same(&whole, &pieces);
	hidden(in, &pieces);
	return 0;
}
