/* merge.h - a message for each row of a table: an engine.
 *
 * The template is a message as people write one: fields, an empty line, and the body, with
 * {{column}} wherever a row's words belong (submit/template.h).  The fields:
 *
 *	From, Sender, Reply-To, To, Cc, Bcc	addresses; of To, Cc and Bcc one must be there
 *	Subject
 *	List-Unsubscribe	<https://...>, <mailto:...>
 *	List-Unsubscribe-Post	List-Unsubscribe=One-Click: RFC 8058, whose https address must name the
 *				recipient, so has a {{...}} in it
 *	Content-Type		text/html where the body is HTML; else it is text
 *	Attach			a file that goes with the message; may be there several times
 *	any other		as it is, but for those that are made for each message (Date, Message-ID)
 *
 * A field whose value comes out empty is left out.  A HTML part beside the text is a template of its own.
 *
 * Nothing is sent or opened here, and no file is read: that Attach names one that is there, the caller sees.
 */
#ifndef POSTERN_SUBMIT_MERGE_H
#define POSTERN_SUBMIT_MERGE_H

#include "submit/draft.h"
#include "submit/template.h"

#define MERGE_FIELDS_MAX 64 /* others, and attachments */

struct merge_setup {
	struct slice text; /* the template; UTF-8 without NUL */
	bool has_html;
	struct slice html;	     /* of a part beside the text */
	const struct slice *columns; /* of the table */
	size_t n;
	const char *from;   /* where the template has no From; "" */
	const char *folder; /* that paths of Attach begin in; "": the working directory */
};

struct merge;

/* What the setup points at outlives it.  0, -ENOMEM, or -EBADMSG with a line of words, printable. */
int merge_new(struct merge **ret, const struct merge_setup *setup, struct buf *words);
void merge_free(struct merge *m);

/* The message of this row, but for its date and id: valid until the next call.  As merge_new(). */
int merge_make(struct merge *m, const struct slice *cells, struct draft_parts *ret, struct buf *words);

/* That a server may be given it, without making all of it: its envelope, which is new, and its header.  id,
 * hostname: as the message's. */
int merge_check(struct merge *m, const struct draft_parts *parts, struct submit_envelope *ret,
		struct buf *words);
/* Recipients by which two rows are the same: those of the first of To, Cc and Bcc that holds a {{...}}. In
 * lower case, one behind the other.  After merge_make(). */
int merge_key(struct merge *m, const struct draft_parts *parts, struct buf *to);

bool merge_has_one_click(const struct merge *m);   /* List-Unsubscribe-Post is there */
bool merge_could_one_click(const struct merge *m); /* it is not, but could be: an https address is */
bool merge_has_one_sender(const struct merge *m);  /* From and Sender are the same for all rows */

#endif
