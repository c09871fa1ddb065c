/* pipe_lines.h - the line ends of SMTP that a program says by a pipe (sendmail -bs): an engine.
 *
 * Programs of this machine end their lines as Unix does, and the servers behind want CRLF.  How the first
 * line ends says which kind of program it is:
 *
 *	CRLF	everything goes on as it came.  An LF alone is the server's to judge, and ends no message.
 *	LF	every line goes on with CRLF.  The dot that ends a message stands on a line that ends with LF
 *		alone: a program of this kind has looked for its dots between LFs, so ".\r\n" is text
 *		that it was given, and goes on as such ("..").
 *
 * So the end of a message is never another one than that which the program means, whatever somebody wrote
 * into the message: to take both kinds as line ends is what makes smuggling.
 *
 * BDAT counts octets, and cannot go with lines that grow: a program of the second kind that says it is
 * refused, at once, for what comes behind it would be taken for commands.
 */
#ifndef POSTERN_SUBMIT_PIPE_LINES_H
#define POSTERN_SUBMIT_PIPE_LINES_H

#include "base/buf.h"

enum pipe_lines_kind { PIPE_LINES_UNKNOWN, PIPE_LINES_CRLF, PIPE_LINES_LF };

struct pipe_lines {
	enum pipe_lines_kind kind;

	/* its own */
	bool cr;	 /* a CR is held back */
	char line[5];	 /* how the line begins */
	size_t n;	 /* octets of the line so far */
	bool in_data;	 /* the lines are a message's */
	bool asked;	 /* DATA was the last line */
	char answer[4];	 /* how the server's line begins */
	size_t answer_n; /* octets of it so far */
};

void pipe_lines_init(struct pipe_lines *p);
/* Appends what goes on: at most twice as much and two octets.  False: BDAT by LFs; nothing more is to be fed.
 */
bool pipe_lines_feed(struct pipe_lines *p, struct slice in, struct buf *to);
/* What the server said, in passing: whether a message follows a DATA. */
void pipe_lines_answer(struct pipe_lines *p, struct slice said);

#endif
