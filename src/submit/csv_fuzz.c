/* csv_fuzz.c - what is read from a table, written as RFC 4180 wants it and read again, is the same; every row
 * has as many cells as there are columns; a fault lies within the text; and a row is found again at its mark.
 */
#include "submit/csv.h"

#include <stdlib.h>

#define CHECK(what)              \
	do {                     \
		if (!(what))     \
			abort(); \
	} while (0)

#define MARKS 16

static void put_cell(struct buf *to, struct slice cell)
{
	buf_byte(to, '"');
	for (size_t i = 0; i < cell.n; i++) {
		if (cell.p[i] == '"')
			buf_byte(to, '"');
		buf_byte(to, cell.p[i]);
	}
	buf_byte(to, '"');
}

static void put_row(struct buf *to, const struct slice *cells, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			buf_byte(to, ',');
		put_cell(to, cells[i]);
	}
	buf_str(to, "\r\n");
}

static uint32_t lines_of(struct slice text)
{
	uint32_t n = 1;

	for (size_t i = 0; i < text.n; i++)
		n += text.p[i] == '\n';
	return n;
}

static void check_fault(const struct csv *c, struct slice text)
{
	CHECK(c->fault != CSV_FINE && c->fault < CSV_FAULTS);
	CHECK(c->fault_line >= 1 && c->fault_line <= lines_of(text));
	CHECK(c->fault_column <= text.n + 1);
}

static bool goes_on(const struct csv *c, enum csv_result r)
{
	return r == CSV_ROW || (r == CSV_BAD && (c->fault == CSV_FEW || c->fault == CSV_MANY));
}

/* Rows that are good, as a text; and where some of them are. */
struct reading {
	struct buf out;
	struct csv_mark mark[MARKS];
	size_t begin[MARKS], end[MARKS]; /* of the row in out */
	size_t marks;
};

static void check_row(const struct csv *c, struct slice text, uint32_t *line)
{
	CHECK(c->line > *line || c->row == 1);
	CHECK(c->line <= lines_of(text));
	*line = c->line;
	for (size_t i = 0; i < c->columns; i++)
		CHECK(c->cell[i].n <= text.n && slice_find(c->cell[i], 0) == c->cell[i].n);
}

static void read_all(struct csv *c, struct slice text, struct reading *r)
{
	enum csv_result got = CSV_ROW;
	uint32_t line = 0, row = 0;

	put_row(&r->out, c->name, c->columns);
	while (goes_on(c, got)) {
		struct csv_mark at = csv_mark(c);

		got = csv_next(c);
		if (got == CSV_BAD)
			check_fault(c, text);
		if (goes_on(c, got))
			CHECK(c->row == ++row);
		if (got != CSV_ROW)
			continue;
		check_row(c, text, &line);
		if (r->marks < MARKS) {
			r->mark[r->marks] = at;
			r->begin[r->marks] = r->out.n;
		}
		put_row(&r->out, c->cell, c->columns);
		if (r->marks < MARKS)
			r->end[r->marks++] = r->out.n;
	}
}

static void check_marks(struct csv *c, const struct reading *r)
{
	for (size_t i = r->marks; i-- > 0;) {
		struct buf one;

		csv_seek(c, r->mark[i]);
		if (c->fault != CSV_FINE && c->fault != CSV_FEW && c->fault != CSV_MANY)
			return; /* nothing is read behind such a fault */
		CHECK(csv_next(c) == CSV_ROW);
		buf_init(&one, 16U << 20);
		put_row(&one, c->cell, c->columns);
		CHECK(slice_eq(buf_slice(&one), slice_head(slice_tail(buf_slice(&r->out), r->begin[i]),
							   r->end[i] - r->begin[i])));
		buf_done(&one);
	}
}

/* Written by us, it is read to its end, as the same. */
static void check_again(const struct reading *first)
{
	struct reading second = { 0 };
	struct csv c;

	buf_init(&second.out, 64U << 20);
	CHECK(csv_init(&c, buf_slice(&first->out)) == CSV_ROW);
	read_all(&c, buf_slice(&first->out), &second);
	CHECK(c.fault == CSV_FINE);
	CHECK(slice_eq(buf_slice(&first->out), buf_slice(&second.out)));
	csv_done(&c);
	buf_done(&second.out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice text = slice_of(data, n);
	struct reading r = { 0 };
	struct csv c;
	enum csv_result got = csv_init(&c, text);

	buf_init(&r.out, 64U << 20);
	CHECK(got == CSV_ROW || got == CSV_BAD);
	if (got == CSV_BAD) {
		check_fault(&c, text);
	} else {
		CHECK(c.columns > 0 && c.columns <= CSV_COLUMNS_MAX);
		for (size_t i = 0; i < c.columns; i++)
			CHECK(csv_column(&c, c.name[i]) == i);
		read_all(&c, text, &r);
		CHECK(buf_ok(&r.out));
		check_again(&r);
		check_marks(&c, &r);
	}
	csv_done(&c);
	buf_done(&r.out);
	return 0;
}
