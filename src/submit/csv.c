#include "submit/csv.h"

#include "base/utf8.h"

static const char *const said[CSV_FAULTS] = {
	[CSV_FINE] = "nothing is wrong",
	[CSV_NOT_UTF8] = "not in UTF-8: save the list as \"CSV UTF-8\"",
	[CSV_UTF16] = "UTF-16: save the list as \"CSV UTF-8\"",
	[CSV_CONTROL] = "a NUL octet",
	[CSV_BARE_CR] = "a CR without an LF, outside quotation marks",
	[CSV_QUOTE] = "a quotation mark within a cell that has none around it: there it is doubled",
	[CSV_AFTER] = "something behind the closing quotation mark; one that is meant is doubled",
	[CSV_OPEN] = "this quotation mark is never closed",
	[CSV_FEW] = "fewer cells than there are columns",
	[CSV_MANY] = "more cells than there are columns",
	[CSV_WIDE] = "too many columns",
	[CSV_LONG] = "the row is too long",
	[CSV_NO_HEADER] = "it is empty: the first row names the columns",
	[CSV_NO_NAME] = "a column without a name",
	[CSV_NAME_TWICE] = "a column's name that there is already (in whatever case)",
};

const char *csv_fault_text(enum csv_fault f)
{
	return said[f < CSV_FAULTS ? f : CSV_FINE];
}

static enum csv_result bad_at(struct csv *c, enum csv_fault f, uint32_t line, size_t line_at, size_t at)
{
	struct slice before = slice_head(slice_tail(c->text, line_at), at - line_at);
	uint32_t column = 1;

	for (size_t i = 0; i < before.n; i++)
		column += (before.p[i] & 0xc0) != 0x80;
	c->fault = f;
	c->fault_line = line;
	c->fault_column = column;
	return CSV_BAD;
}

static enum csv_result bad(struct csv *c, enum csv_fault f)
{
	return bad_at(c, f, c->at_line, c->line_at, c->at);
}

static enum csv_result bad_row(struct csv *c, enum csv_fault f)
{
	c->fault = f;
	c->fault_line = c->line;
	c->fault_column = 0;
	return CSV_BAD;
}

static int peek(const struct csv *c)
{
	return c->at < c->text.n ? c->text.p[c->at] : -1;
}

static bool is_crlf(const struct csv *c)
{
	return peek(c) == '\r' && c->at + 1 < c->text.n && c->text.p[c->at + 1] == '\n';
}

static bool at_row_end(const struct csv *c)
{
	return peek(c) < 0 || peek(c) == '\n' || is_crlf(c);
}

static void new_line(struct csv *c)
{
	c->line_at = c->at;
	c->at_line++;
}

static void skip_row_end(struct csv *c)
{
	if (peek(c) < 0)
		return;
	c->at += is_crlf(c) ? 2 : 1;
	new_line(c);
}

/* Behind its quotation mark, up to the one that closes it. */
static enum csv_result quoted(struct csv *c, struct buf *to)
{
	uint32_t line = c->at_line;
	size_t line_at = c->line_at, begin = c->at++;

	for (int x; (x = peek(c)) >= 0;) {
		c->at++;
		if (x == '"') {
			if (peek(c) != '"')
				return CSV_ROW;
			c->at++;
		} else if (x == '\n') {
			new_line(c);
		}
		buf_byte(to, (unsigned char)x);
	}
	return bad_at(c, CSV_OPEN, line, line_at, begin);
}

static enum csv_result take_cell(struct csv *c, struct buf *to)
{
	enum csv_result r;

	if (peek(c) == '"') {
		r = quoted(c, to);
		return r != CSV_ROW || at_row_end(c) || peek(c) == c->delimiter ? r : bad(c, CSV_AFTER);
	}
	while (!at_row_end(c) && peek(c) != c->delimiter) {
		if (peek(c) == '"')
			return bad(c, CSV_QUOTE);
		if (peek(c) == '\r')
			return bad(c, CSV_BARE_CR);
		buf_byte(to, (unsigned char)peek(c));
		c->at++;
	}
	return CSV_ROW;
}

/* Cells into end[], their octets into the buffer; how many. */
static enum csv_result take_row(struct csv *c, struct buf *to, size_t *ret)
{
	enum csv_result r;
	size_t n = 0;

	buf_reset(to);
	c->line = c->at_line;
	for (;;) {
		r = take_cell(c, to);
		if (r != CSV_ROW)
			return r;
		if (!buf_ok(to))
			return buf_slice(to).n == CSV_ROW_MAX ? bad_row(c, CSV_LONG) : CSV_NO_MEMORY;
		if (n < CSV_COLUMNS_MAX)
			c->end[n] = buf_slice(to).n;
		n++;
		if (at_row_end(c))
			break;
		c->at++;
	}
	skip_row_end(c);
	*ret = n;
	return CSV_ROW;
}

static void cut(const struct csv *c, const struct buf *octets, struct slice *to)
{
	struct slice all = buf_slice(octets);
	size_t from = 0;

	for (size_t i = 0; i < c->columns; i++) {
		to[i] = slice_head(slice_tail(all, from), c->end[i] - from);
		from = c->end[i];
	}
}

static void skip_empty(struct csv *c)
{
	while (peek(c) >= 0 && at_row_end(c))
		skip_row_end(c);
}

/* The one of which the first row has most; a comma before the others. */
static unsigned char delimiter_of(struct slice text)
{
	static const char can[] = ",;\t";
	size_t count[3] = { 0 }, best = 0;
	bool in_quotes = false;

	for (size_t i = 0; i < text.n && (in_quotes || text.p[i] != '\n'); i++) {
		in_quotes ^= text.p[i] == '"';
		for (size_t k = 0; k < 3 && !in_quotes; k++)
			count[k] += text.p[i] == (unsigned char)can[k];
	}
	for (size_t k = 1; k < 3; k++)
		if (count[k] > count[best])
			best = k;
	return (unsigned char)can[best];
}

/* All of the text, once, so that nothing that comes out of it need be looked at again. */
static enum csv_result check_text(struct csv *c)
{
	enum csv_fault f = CSV_FINE;

	if (slice_starts(c->text, SLICE_LIT("\xff\xfe")) || slice_starts(c->text, SLICE_LIT("\xfe\xff")))
		return bad(c, CSV_UTF16);
	if (slice_starts(c->text, SLICE_LIT("\xef\xbb\xbf")))
		c->text = slice_tail(c->text, 3);
	while (c->at < c->text.n && f == CSV_FINE) {
		size_t n = c->text.p[c->at] < 0x80 ? 1 : utf8_length(slice_tail(c->text, c->at));

		f = n == 0 ? CSV_NOT_UTF8 : c->text.p[c->at] == 0 ? CSV_CONTROL : CSV_FINE;
		if (f != CSV_FINE)
			return bad(c, f);
		c->at += n;
		if (c->text.p[c->at - 1] == '\n')
			new_line(c);
	}
	c->at = c->line_at = 0;
	c->at_line = 1;
	return CSV_ROW;
}

static enum csv_result take_names(struct csv *c)
{
	enum csv_result r = take_row(c, &c->names, &c->columns);

	if (r != CSV_ROW)
		return r;
	if (c->columns > CSV_COLUMNS_MAX)
		return bad_row(c, CSV_WIDE);
	c->name = calloc(c->columns, sizeof(*c->name));
	c->cell = calloc(c->columns, sizeof(*c->cell));
	if (!c->name || !c->cell)
		return CSV_NO_MEMORY;
	cut(c, &c->names, c->name);
	for (size_t i = 0; i < c->columns; i++) {
		c->name[i] = slice_trim(c->name[i]);
		if (c->name[i].n == 0)
			return bad_row(c, CSV_NO_NAME);
		for (size_t k = 0; k < i; k++)
			if (slice_eq_nocase(c->name[k], c->name[i]))
				return bad_row(c, CSV_NAME_TWICE);
	}
	return CSV_ROW;
}

enum csv_result csv_init(struct csv *c, struct slice text)
{
	enum csv_result r;

	*c = (struct csv){ .text = text, .at_line = 1, .line = 1 };
	buf_init(&c->names, CSV_ROW_MAX);
	buf_init(&c->octets, CSV_ROW_MAX);
	r = check_text(c);
	if (r != CSV_ROW)
		return r;
	skip_empty(c);
	if (c->at == c->text.n)
		return bad_row(c, CSV_NO_HEADER);
	c->delimiter = delimiter_of(slice_tail(c->text, c->at));
	return take_names(c);
}

void csv_done(struct csv *c)
{
	free(c->name);
	free(c->cell);
	buf_done(&c->names);
	buf_done(&c->octets);
}

enum csv_result csv_next(struct csv *c)
{
	enum csv_result r;
	size_t n;

	if (c->fault == CSV_FEW || c->fault == CSV_MANY)
		c->fault = CSV_FINE;
	if (c->fault != CSV_FINE)
		return CSV_BAD;
	do {
		skip_empty(c);
		if (c->at == c->text.n)
			return CSV_END;
		r = take_row(c, &c->octets, &n);
		if (r != CSV_ROW)
			return r;
	} while (c->octets.n == 0); /* ";;;;": spreadsheets write such rows below a table */
	c->row++;
	if (n != c->columns) {
		c->cells = n;
		return bad_row(c, n < c->columns ? CSV_FEW : CSV_MANY);
	}
	cut(c, &c->octets, c->cell);
	return CSV_ROW;
}

struct csv_mark csv_mark(const struct csv *c)
{
	return (struct csv_mark){ c->at, c->at_line, c->row };
}

void csv_seek(struct csv *c, struct csv_mark m)
{
	c->at = c->line_at = m.at;
	c->at_line = m.line;
	c->row = m.row;
}

size_t csv_column(const struct csv *c, struct slice name)
{
	size_t i = 0;

	while (i < c->columns && !slice_eq_nocase(c->name[i], name))
		i++;
	return i;
}
