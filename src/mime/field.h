/* field.h - header fields written from what people give: an engine.
 *
 * A value is UTF-8 of any kind but controls.  What is not ASCII is written as encoded-words
 * (RFC 2047) of at most 75 octets that never cut a character, or for file names by RFC 2231; so is
 * what would be mistaken for an encoded-word, and what could not be folded.  Lines are at most 78
 * octets long (an address or a URL that is longer stands alone on its line).  A CR or LF in a value is
 * an error, so nobody can bring in a field of his own.
 *
 * A function that fails has appended nothing.
 */
#ifndef POSTERN_MIME_FIELD_H
#define POSTERN_MIME_FIELD_H

#include "mime/problem.h"

#define MIME_FIELD_NAME_MAX 70
#define MIME_VALUE_MAX	    65536 /* octets of one value */

/* What those servers need that take the message. */
struct mime_needs {
	bool smtputf8; /* an address that has no ASCII form stands in a field */
};

/* RFC 5322 3.6.8. */
bool mime_is_field_name(struct slice name);

/* An unstructured field: Subject, Comments, X-... */
enum mime_fault mime_put_text(struct slice name, struct slice value, struct buf *to,
			      struct mime_problem *ret);
/* A list of addresses with names and groups.  A domain that is not ASCII is written as A-labels.  Where an
 * address has no domain it gets this one; "" if that is an error. */
enum mime_fault mime_put_addresses(struct slice name, struct slice value, struct slice domain, struct buf *to,
				   struct mime_needs *needs, struct mime_problem *ret);
/* One mailbox whose name and address are given apart. */
enum mime_fault mime_put_mailbox(struct slice name, struct slice display, struct slice address,
				 struct buf *to, struct mime_needs *needs, struct mime_problem *ret);
/* A field with a file name as parameter "filename": `Content-Disposition: attachment; filename=...`. */
enum mime_fault mime_put_filename(struct slice name, struct slice value, struct slice filename,
				  struct buf *to, struct mime_problem *ret);
/* "List-Unsubscribe: <https://...>, <mailto:...>" of RFC 2369 3.2, and with one_click what RFC 8058 adds. */
enum mime_fault mime_put_unsubscribe(const struct slice *url, size_t urls, bool one_click, struct buf *to,
				     struct mime_problem *ret);

#endif
