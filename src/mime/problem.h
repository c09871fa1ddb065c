/* problem.h - what is wrong with a message that somebody wants to send: which field, and why. */
#ifndef POSTERN_MIME_PROBLEM_H
#define POSTERN_MIME_PROBLEM_H

#include "base/buf.h"

enum mime_fault {
	MIME_FINE,
	MIME_LINE_END, /* a CR or LF in a value: it would begin another field */
	MIME_CONTROL,  /* another control character */
	MIME_NOT_UTF8,
	MIME_TOO_LONG,
	MIME_NO_ADDRESS, /* no address, or no list of them */
	MIME_NO_DOMAIN,	 /* an address without one, and none to put there */
	MIME_MISSING,
	MIME_FIELD_NAME, /* no name that a field may have */
	MIME_FIELD_OURS, /* one that is composed from something else, or that there is already */
	MIME_NO_URL,
	MIME_NO_HTTPS, /* RFC 8058 3.1: One-Click, and none of the addresses is https */
	MIME_TOO_MANY,
	MIME_NUL,
	MIME_NO_MEMORY, /* or the caller's ceiling was met */
	MIME_FAULTS,	/* one past the last */
};

#define MIME_PROBLEM_FIELD 72
#define MIME_PROBLEM_ABOUT 100

struct mime_problem {
	enum mime_fault fault;
	char field[MIME_PROBLEM_FIELD]; /* "Subject", "attachment" */
	char about[MIME_PROBLEM_ABOUT]; /* what is wrong there, made printable and cut; or "" */
};

/* Fills it in, and returns the fault; NULL: nobody wants to know. */
enum mime_fault mime_problem_set(struct mime_problem *p, enum mime_fault fault, struct slice field,
				 struct slice about);
/* Appends "To: 'bob@' is no address": one line, printable, no line end. */
void mime_problem_put(const struct mime_problem *p, struct buf *to);

#endif
