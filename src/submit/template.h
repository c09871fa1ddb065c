/* template.h - text with {{column}} in it, and what a row of a table makes of it: an engine.
 *
 *	{{name}}	the cell of that column; letters of the name in either case
 *	{{name|friend}}	"friend" where the cell is empty; without it an empty cell is a fault
 *	{{name:url}}	as part of a URL (RFC 3986 2.1: all but letters, digits and -._~ as %XX)
 *	{{{{		two braces
 *
 * What is written for a cell depends on where it stands, so that no cell can mean more than the words that
 * it is:
 *
 *	TEXT		as it is
 *	HTML		& < > " ' as references
 *	FIELD		a header's text: no line end, no other control character
 *	ADDRESSES	a name is put in quotation marks; an address has none of ,;:<>()"\ and no blank, and
 *			of [ and ] both or none
 *	URLS		of "<https://x/{{id}}>, <...>": as :url says, but for one that is a whole URL
 *	PATH		of a file: no slash, and no name that begins with a dot
 *
 * It allocates when it is made; text and columns are the caller's, and outlive it.
 */
#ifndef POSTERN_SUBMIT_TEMPLATE_H
#define POSTERN_SUBMIT_TEMPLATE_H

#include "base/buf.h"

enum template_kind {
	TEMPLATE_TEXT,
	TEMPLATE_HTML,
	TEMPLATE_FIELD,
	TEMPLATE_ADDRESSES,
	TEMPLATE_URLS,
	TEMPLATE_PATH,
};

enum template_fault {
	TEMPLATE_FINE,
	TEMPLATE_OPEN,	   /* "{{" without "}}" on its line */
	TEMPLATE_NO_NAME,  /* "{{}}" */
	TEMPLATE_UNKNOWN,  /* no such column */
	TEMPLATE_FILTER,   /* ":something" */
	TEMPLATE_PLACE,	   /* of addresses: in a comment, behind "\\", right before "<" without a blank */
	TEMPLATE_EMPTY,	   /* the cell; and there is no "|..." */
	TEMPLATE_LINE_END, /* in the cell: it would begin another field */
	TEMPLATE_CONTROL,
	TEMPLATE_NO_ADDRESS,
	TEMPLATE_NO_URL,
	TEMPLATE_NO_FILE, /* a slash, or a dot at its beginning */
	TEMPLATE_NO_MEMORY,
	TEMPLATE_FAULTS, /* one past the last */
};

struct template_problem {
	enum template_fault fault;
	uint32_t line, column; /* in the template, from 1; the column in characters */
	struct slice name;     /* of the column, as the template has it */
	struct slice near;     /* UNKNOWN: the column that is nearest, or "" */
	size_t cell;	       /* of template_put(): the column's number */
};

struct template;

/* line: where the text's first line stands in its file, for what is told of it; column likewise.  A line end
 * in a header's text is a fold, and comes out as it is: no cell brings in another, so all may be taken out.
 */
enum template_fault template_new(struct template **ret, enum template_kind kind, struct slice text,
				 const struct slice *columns, size_t n, uint32_t line, uint32_t column,
				 struct template_problem *problem);
void template_free(struct template *t); /* NULL is fine */

/* Appends it with these cells, which are UTF-8 without NUL.  Past a fault what was appended is of no use. */
enum template_fault template_put(const struct template *t, const struct slice *cells, struct buf *to,
				 struct template_problem *problem);
/* Octets that it may come to at most. */
size_t template_most(const struct template *t, const struct slice *cells);
/* How many {{...}} are in it. */
size_t template_places(const struct template *t);

/* "there is no such column" */
const char *template_fault_text(enum template_fault f);

#endif
