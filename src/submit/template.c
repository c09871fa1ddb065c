#include "submit/template.h"

#include <stdlib.h>

enum write {
	AS_IT_IS,
	AS_HTML,
	AS_FIELD,
	AS_URL,
	AS_WHOLE_URL,
	AS_NAME,   /* in quotation marks */
	AS_QUOTED, /* within those of the template */
	AS_ADDRESS,
	AS_PATH,
};

/* Text, and the place behind it. */
struct piece {
	struct slice before;
	bool place; /* else it is the last one */
	enum write write;
	size_t cell;
	bool has_default;
	struct slice otherwise, name;
	uint32_t line, column;
};

struct template
{
	struct piece *piece;
	size_t n, room, places;
};

static const char *const said[TEMPLATE_FAULTS] = {
	[TEMPLATE_FINE] = "nothing is wrong",
	[TEMPLATE_OPEN] = "{{ without }} on the same line; two braces that are meant are written {{{{",
	[TEMPLATE_NO_NAME] = "{{}} names no column",
	[TEMPLATE_UNKNOWN] = "there is no such column",
	[TEMPLATE_FILTER] = "behind a column's name may stand :url, or | and what stands for an empty cell",
	[TEMPLATE_PLACE] = "no {{...}} can stand there: it is neither a name nor an address",
	[TEMPLATE_EMPTY] = "the cell is empty: {{name|words}} says what stands there then, {{name|}} nothing",
	[TEMPLATE_LINE_END] = "a line end in the cell: that would begin another field",
	[TEMPLATE_CONTROL] = "a control character in the cell",
	[TEMPLATE_NO_ADDRESS] = "the cell is no address, or more than one",
	[TEMPLATE_NO_URL] = "the cell is no URL",
	[TEMPLATE_NO_FILE] = "the cell is no name of a file: it has a slash, or begins with a dot",
	[TEMPLATE_NO_MEMORY] = "out of memory",
};

const char *template_fault_text(enum template_fault f)
{
	return said[f < TEMPLATE_FAULTS ? f : TEMPLATE_FINE];
}

/* ---- making it ---- */

/* Where in a list of addresses: as mime/address.c reads it, or a cell would stand in what it takes for
 * something else. */
struct where {
	size_t comments; /* one within another */
	bool in_quotes, in_angle, in_literal;
	bool escaped; /* behind a backslash */
};

struct maker {
	struct template *t;
	enum template_kind kind;
	const struct slice *columns;
	size_t n;
	struct slice rest;
	uint32_t line, column;
	struct template_problem *problem;
	struct where where; /* ADDRESSES */
};

static enum template_fault fault(const struct maker *m, enum template_fault f, struct slice name)
{
	if (m->problem)
		*m->problem = (struct template_problem){
			.fault = f, .line = m->line, .column = m->column, .name = name
		};
	return f;
}

static void walk(struct maker *m, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = m->rest.p[i];

		if (c == '\n') {
			m->line++;
			m->column = 1;
		} else {
			m->column += (c & 0xc0) != 0x80;
		}
	}
	m->rest = slice_tail(m->rest, n);
}

static unsigned char lower(unsigned char c)
{
	return c >= 'A' && c <= 'Z' ? (unsigned char)(c | 0x20) : c;
}

#define NEAR_MAX 40

/* How many letters are too many, lacking, or another. */
static size_t distance(struct slice a, struct slice b)
{
	size_t row[NEAR_MAX + 1], before;

	for (size_t k = 0; k <= b.n; k++)
		row[k] = k;
	for (size_t i = 0; i < a.n; i++) {
		before = row[0]++;
		for (size_t k = 0; k < b.n; k++) {
			size_t same = before + (lower(a.p[i]) != lower(b.p[k]));
			size_t least = row[k] < row[k + 1] ? row[k] + 1 : row[k + 1] + 1;

			before = row[k + 1];
			row[k + 1] = same < least ? same : least;
		}
	}
	return row[b.n];
}

static struct slice nearest(const struct maker *m, struct slice name)
{
	struct slice best = { 0 };
	size_t least = name.n / 2 + 2;

	for (size_t i = 0; i < m->n && name.n <= NEAR_MAX; i++) {
		size_t d = m->columns[i].n <= NEAR_MAX ? distance(name, m->columns[i]) : least;

		if (d < least && d < name.n) {
			least = d;
			best = m->columns[i];
		}
	}
	return best;
}

static enum template_fault find(const struct maker *m, struct slice name, size_t *ret)
{
	enum template_fault f;

	for (size_t i = 0; i < m->n; i++)
		if (slice_eq_nocase(m->columns[i], name)) {
			*ret = i;
			return TEMPLATE_FINE;
		}
	f = fault(m, TEMPLATE_UNKNOWN, name);
	if (m->problem)
		m->problem->near = nearest(m, name);
	return f;
}

static void step(struct where *w, unsigned char c)
{
	if (w->escaped) {
		w->escaped = false;
	} else if (c == '\\') {
		w->escaped = w->in_quotes || w->comments > 0;
	} else if (w->in_quotes) {
		w->in_quotes = c != '"';
	} else if (w->in_literal) {
		w->in_literal = c != ']';
	} else if (w->comments > 0) {
		w->comments += c == '(';
		w->comments -= c == ')';
	} else {
		w->in_quotes = c == '"';
		w->in_literal = c == '[';
		w->comments = c == '(';
		w->in_angle = c == '<' || (w->in_angle && c != '>');
	}
}

/* Of a list of addresses: whether an angle bracket follows before the next comma, so that what stands here is
 * a name. */
static bool is_name(struct slice rest)
{
	struct where w = { 0 };

	while (rest.n > 0) {
		unsigned char c;

		if (cur_word(&rest, SLICE_LIT("{{{{")))
			continue;
		if (cur_word(&rest, SLICE_LIT("{{"))) {
			while (rest.n > 0 && !slice_starts(rest, SLICE_LIT("}}")))
				rest = slice_tail(rest, 1);
			continue;
		}
		c = rest.p[0];
		rest = slice_tail(rest, 1);
		step(&w, c);
		if (w.in_angle)
			return true;
		if (!w.in_quotes && !w.in_literal && w.comments == 0 && strchr(",;>", c))
			return false;
	}
	return false;
}

static void look_at_addresses(struct maker *m, struct slice text)
{
	for (size_t i = 0; i < text.n; i++)
		step(&m->where, text.p[i]);
}

/* A name of several words, some of them places, would be half in quotation marks: each is a quoted string of
 * its own, which RFC 5322 allows where blanks are between. */
static bool is_apart(struct slice before, struct slice behind)
{
	unsigned char last = before.n > 0 ? before.p[before.n - 1] : ' ';

	return strchr(" \t\n\r,:;}", last) && (behind.n == 0 || strchr(" \t\n\r<{", behind.p[0]));
}

static enum template_fault address_write(const struct maker *m, struct slice before, struct slice behind,
					 enum write *ret)
{
	if (m->where.comments > 0 || m->where.escaped)
		return TEMPLATE_PLACE;
	if (m->where.in_quotes) {
		*ret = AS_QUOTED;
	} else if (m->where.in_angle || m->where.in_literal || !is_name(behind)) {
		*ret = AS_ADDRESS;
	} else {
		if (!is_apart(before, behind))
			return TEMPLATE_PLACE;
		*ret = AS_NAME;
	}
	return TEMPLATE_FINE;
}

static enum template_fault write_of(const struct maker *m, struct slice before, struct slice behind, bool url,
				    enum write *ret)
{
	static const enum write rows[] = {
		[TEMPLATE_TEXT] = AS_IT_IS, [TEMPLATE_HTML] = AS_HTML, [TEMPLATE_FIELD] = AS_FIELD,
		[TEMPLATE_URLS] = AS_URL,   [TEMPLATE_PATH] = AS_PATH,
	};

	if (url) {
		*ret = AS_URL;
		return m->kind == TEMPLATE_ADDRESSES || m->kind == TEMPLATE_PATH ? TEMPLATE_FILTER
										 : TEMPLATE_FINE;
	}
	if (m->kind == TEMPLATE_ADDRESSES)
		return address_write(m, before, behind, ret);
	*ret = rows[m->kind];
	if (m->kind == TEMPLATE_URLS && before.n > 0 && before.p[before.n - 1] == '<')
		*ret = AS_WHOLE_URL;
	return TEMPLATE_FINE;
}

static struct piece *add(struct maker *m)
{
	struct template *t = m->t;

	if (t->n == t->room) {
		size_t room = t->room ? t->room * 2 : 8;
		struct piece *more = reallocarray(t->piece, room, sizeof(*more));

		if (!more)
			return NULL;
		t->piece = more;
		t->room = room;
	}
	t->piece[t->n] = (struct piece){ 0 };
	return &t->piece[t->n++];
}

/* What stands between the braces. */
static enum template_fault take_place(struct maker *m, struct slice inside, struct slice behind,
				      struct slice before)
{
	size_t bar = slice_find(inside, '|');
	struct piece p = { .before = before,
			   .place = true,
			   .has_default = bar < inside.n,
			   .otherwise = slice_tail(inside, bar < inside.n ? bar + 1 : bar),
			   .line = m->line,
			   .column = m->column };
	struct slice name = slice_trim(slice_head(inside, bar));
	size_t colon = slice_rfind(name, ':');
	bool url = colon < name.n && slice_eq(slice_trim(slice_tail(name, colon + 1)), SLICE_LIT("url"));
	enum template_fault f;
	struct piece *to;

	p.name = url ? slice_trim(slice_head(name, colon)) : name;
	if (p.name.n == 0)
		return fault(m, TEMPLATE_NO_NAME, p.name);
	f = find(m, p.name, &p.cell);
	if (f != TEMPLATE_FINE)
		return colon < name.n && !url ? fault(m, TEMPLATE_FILTER, p.name) : f;
	f = write_of(m, before, behind, url, &p.write);
	if (f != TEMPLATE_FINE)
		return fault(m, f, p.name);
	to = add(m);
	if (!to)
		return fault(m, TEMPLATE_NO_MEMORY, p.name);
	*to = p;
	m->t->places++;
	return TEMPLATE_FINE;
}

static size_t find_two(struct slice s, char c)
{
	for (size_t i = 0; i + 1 < s.n; i++)
		if (s.p[i] == (unsigned char)c && s.p[i + 1] == (unsigned char)c)
			return i;
	return s.n;
}

/* Text up to the braces, and what is in them. */
static enum template_fault take_piece(struct maker *m)
{
	size_t at = find_two(m->rest, '{'), end;
	bool literal = at < m->rest.n && slice_starts(slice_tail(m->rest, at), SLICE_LIT("{{{{"));
	struct slice before = slice_head(m->rest, literal ? at + 2 : at), inside;
	enum template_fault f = TEMPLATE_FINE;
	struct piece *p;

	if (m->kind == TEMPLATE_ADDRESSES)
		look_at_addresses(m, before);
	walk(m, at);
	if (m->rest.n == 0 || literal) {
		p = add(m);
		if (!p)
			return fault(m, TEMPLATE_NO_MEMORY, SLICE_LIT(""));
		p->before = before;
		walk(m, literal ? 4 : 0);
		return TEMPLATE_FINE;
	}
	inside = slice_tail(m->rest, 2);
	end = find_two(inside, '}');
	if (end == inside.n || slice_find(slice_head(inside, end), '\n') < end)
		return fault(m, TEMPLATE_OPEN, SLICE_LIT(""));
	inside = slice_head(inside, end);
	f = take_place(m, inside, slice_tail(m->rest, end + 4), before);
	walk(m, end + 4);
	return f;
}

enum template_fault template_new(struct template **ret, enum template_kind kind, struct slice text,
				 const struct slice *columns, size_t n, uint32_t line, uint32_t column,
				 struct template_problem *problem)
{
	struct maker m = { .t = calloc(1, sizeof(struct template)),
			   .kind = kind,
			   .columns = columns,
			   .n = n,
			   .rest = text,
			   .line = line,
			   .column = column,
			   .problem = problem };
	enum template_fault f = TEMPLATE_FINE;

	if (!m.t)
		return fault(&m, TEMPLATE_NO_MEMORY, SLICE_LIT(""));
	while (m.rest.n > 0 && f == TEMPLATE_FINE)
		f = take_piece(&m);
	if (f == TEMPLATE_FINE)
		*ret = m.t;
	else
		template_free(m.t);
	return f;
}

void template_free(struct template *t)
{
	if (!t)
		return;
	free(t->piece);
	free(t);
}

size_t template_places(const struct template *t)
{
	return t->places;
}

/* ---- what a row makes of it ---- */

static enum template_fault check_line(struct slice cell)
{
	for (size_t i = 0; i < cell.n; i++) {
		if (cell.p[i] == '\r' || cell.p[i] == '\n')
			return TEMPLATE_LINE_END;
		if ((cell.p[i] < 32 && cell.p[i] != '\t') || cell.p[i] == 127)
			return TEMPLATE_CONTROL;
	}
	return TEMPLATE_FINE;
}

static void put_html(struct slice s, struct buf *to)
{
	static const struct {
		unsigned char c;
		const char *text;
	} rows[] = {
		{ '&', "&amp;" }, { '<', "&lt;" }, { '>', "&gt;" }, { '"', "&quot;" }, { '\'', "&#39;" }
	};

	for (size_t i = 0, from = 0; i <= s.n; i++) {
		const char *text = NULL;

		for (size_t k = 0; i < s.n && k < sizeof(rows) / sizeof(rows[0]); k++)
			if (rows[k].c == s.p[i])
				text = rows[k].text;
		if (!text && i < s.n)
			continue;
		buf_put(to, slice_head(slice_tail(s, from), i - from));
		if (text)
			buf_str(to, text);
		from = i + 1;
	}
}

static bool is_unreserved(unsigned char c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '-' || c == '.' ||
	       c == '_' || c == '~';
}

static void put_url(struct slice s, struct buf *to)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < s.n; i++) {
		if (is_unreserved(s.p[i])) {
			buf_byte(to, s.p[i]);
			continue;
		}
		buf_byte(to, '%');
		buf_byte(to, (unsigned char)hex[s.p[i] >> 4]);
		buf_byte(to, (unsigned char)hex[s.p[i] & 15]);
	}
}

static void put_quoted(struct slice s, struct buf *to)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			buf_byte(to, '\\');
		buf_byte(to, s.p[i]);
	}
}

/* A "[" that nothing closes would take what stands behind the place for its own. */
static enum template_fault put_address(struct slice s, struct buf *to)
{
	bool in_literal = false;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] <= ' ' || strchr(",;:<>()\"\\", s.p[i]) || s.p[i] == (in_literal ? '[' : ']'))
			return TEMPLATE_NO_ADDRESS;
		in_literal = s.p[i] == '[' || (in_literal && s.p[i] != ']');
	}
	if (in_literal)
		return TEMPLATE_NO_ADDRESS;
	buf_put(to, s);
	return TEMPLATE_FINE;
}

/* What ends a URL, or begins another. */
static enum template_fault put_whole_url(struct slice s, struct buf *to)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] >= 127 || strchr("<>,", s.p[i]))
			return TEMPLATE_NO_URL;
	buf_put(to, s);
	return TEMPLATE_FINE;
}

static enum template_fault put_path(struct slice s, struct buf *to)
{
	if (slice_find(s, '/') < s.n || (s.n > 0 && s.p[0] == '.'))
		return TEMPLATE_NO_FILE;
	buf_put(to, s);
	return TEMPLATE_FINE;
}

static enum template_fault put_cell(enum write write, struct slice s, struct buf *to)
{
	enum template_fault f =
		write == AS_IT_IS || write == AS_HTML || write == AS_URL ? TEMPLATE_FINE : check_line(s);

	if (f != TEMPLATE_FINE)
		return f;
	switch (write) {
	case AS_HTML:
		put_html(s, to);
		break;
	case AS_URL:
		put_url(s, to);
		break;
	case AS_NAME:
		buf_byte(to, '"');
		put_quoted(slice_trim(s), to);
		buf_byte(to, '"');
		break;
	case AS_QUOTED:
		put_quoted(slice_trim(s), to);
		break;
	case AS_ADDRESS:
		return put_address(slice_trim(s), to);
	case AS_WHOLE_URL:
		return put_whole_url(slice_trim(s), to);
	case AS_PATH:
		return put_path(s, to);
	case AS_IT_IS:
	case AS_FIELD:
		buf_put(to, s);
		break;
	}
	return TEMPLATE_FINE;
}

static enum template_fault put_place(const struct piece *p, const struct slice *cells, struct buf *to)
{
	struct slice cell = cells[p->cell];

	if (slice_trim(cell).n == 0 && p->has_default)
		cell = p->otherwise;
	else if (slice_trim(cell).n == 0)
		return TEMPLATE_EMPTY;
	if (p->write == AS_NAME && slice_trim(cell).n == 0)
		return TEMPLATE_FINE; /* an address without a name */
	return put_cell(p->write, cell, to);
}

size_t template_most(const struct template *t, const struct slice *cells)
{
	size_t most = 0;

	for (size_t i = 0; i < t->n; i++) {
		const struct piece *p = &t->piece[i];
		size_t n = p->place ? cells[p->cell].n : 0;

		n = n > p->otherwise.n ? n : p->otherwise.n;
		most += p->before.n + 6 * n + 2; /* "&quot;", and two quotation marks */
	}
	return most;
}

enum template_fault template_put(const struct template *t, const struct slice *cells, struct buf *to,
				 struct template_problem *problem)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct piece *p = &t->piece[i];
		enum template_fault f = TEMPLATE_FINE;

		buf_put(to, p->before);
		if (p->place)
			f = put_place(p, cells, to);
		if (f == TEMPLATE_FINE && !buf_ok(to))
			f = TEMPLATE_NO_MEMORY;
		if (f == TEMPLATE_FINE)
			continue;
		if (problem)
			*problem = (struct template_problem){ .fault = f,
							      .line = p->line,
							      .column = p->column,
							      .name = p->name,
							      .cell = p->cell };
		return f;
	}
	return TEMPLATE_FINE;
}
