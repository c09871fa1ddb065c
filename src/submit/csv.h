/* csv.h - a table as spreadsheets write it, row by row: an engine.
 *
 * RFC 4180, and what is met beside it: a byte order mark, LF alone as line end, ";" or a tab between cells
 * (whichever the first row has more of than commas), rows without anything in them (left out).  The first row
 * names the columns, and every other has as many cells.  All of it is UTF-8 without NUL.
 *
 * It is strict where leniency would put words into another column: a quotation mark within a cell that has
 * none around it, something behind the closing one, a row with more or fewer cells.  Each fault is told
 * with its line and column.
 *
 * The text is the caller's, and outlives it; cells are valid until the next row is read.
 */
#ifndef POSTERN_SUBMIT_CSV_H
#define POSTERN_SUBMIT_CSV_H

#include "base/buf.h"

#define CSV_COLUMNS_MAX 256
#define CSV_ROW_MAX	(1U << 20) /* octets of its cells */

enum csv_result { CSV_ROW, CSV_END, CSV_BAD, CSV_NO_MEMORY };

enum csv_fault {
	CSV_FINE,
	CSV_NOT_UTF8,
	CSV_UTF16,	/* that is what it is instead */
	CSV_CONTROL,	/* NUL */
	CSV_BARE_CR,	/* outside quotation marks, and no LF behind it */
	CSV_QUOTE,	/* a quotation mark within a cell that does not begin with one */
	CSV_AFTER,	/* something behind the closing one */
	CSV_OPEN,	/* no closing one */
	CSV_FEW,	/* cells */
	CSV_MANY,	/* cells */
	CSV_WIDE,	/* more columns than CSV_COLUMNS_MAX */
	CSV_LONG,	/* the row */
	CSV_NO_HEADER,	/* nothing is in it */
	CSV_NO_NAME,	/* a column has none */
	CSV_NAME_TWICE, /* in whatever case */
	CSV_FAULTS,	/* one past the last */
};

struct csv {
	struct slice *name; /* of the columns, without blanks around */
	size_t columns;
	struct slice *cell; /* of the row, as many */
	uint32_t row;	    /* its number: 1 for the first behind the names; or how many there were */
	uint32_t line;	    /* where it begins, from 1 */
	/* CSV_BAD: */
	enum csv_fault fault;
	uint32_t fault_line, fault_column; /* from 1; the column in characters, 0: the row as a whole */
	size_t cells;			   /* CSV_FEW, CSV_MANY: how many there are */

	/* its own */
	struct slice text;
	size_t at, line_at; /* line_at: where the line begins that at is in */
	uint32_t at_line;
	unsigned char delimiter;
	struct buf names, octets; /* of the names, of the row */
	size_t end[CSV_COLUMNS_MAX];
};

/* Reads the names.  CSV_ROW: it can go on with csv_next().  done() is right in any case. */
enum csv_result csv_init(struct csv *c, struct slice text);
void csv_done(struct csv *c);
/* After a row with CSV_FEW or CSV_MANY it goes on with the next; any other fault is the end. */
enum csv_result csv_next(struct csv *c);

/* Where the next row is read, to come back to it later. */
struct csv_mark {
	size_t at;
	uint32_t line, row;
};
struct csv_mark csv_mark(const struct csv *c);
void csv_seek(struct csv *c, struct csv_mark m);

/* The column with this name, ASCII letters in either case; c->columns if there is none. */
size_t csv_column(const struct csv *c, struct slice name);
/* "a quotation mark within a cell that does not begin with one" */
const char *csv_fault_text(enum csv_fault f);

#endif
