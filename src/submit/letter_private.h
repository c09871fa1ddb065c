/* letter_private.h - what the parts of letter share; included by src/submit/letter*.c only. */
#ifndef POSTERN_SUBMIT_LETTER_PRIVATE_H
#define POSTERN_SUBMIT_LETTER_PRIVATE_H

#include "mime/header.h"
#include "submit/letter.h"

struct letter {
	const struct letter_setup *setup;
	struct submit_envelope *envelope;
	struct letter_facts facts;
	struct mime_header scan;
	struct mime_problem problem; /* its fault: why nothing more comes */

	/* lines */
	uint64_t crs;  /* CRs, and it is not known yet whether an LF ends them */
	uint64_t line; /* octets of the line so far */
	bool dot;      /* of which is a dot all that there is, and it is held back */
	bool over;

	/* the header */
	bool in_body;
	struct buf header; /* while it lasts: whole lines, and the one that is not */
	size_t line_at;	   /* where that one begins */
};

/* letter_header.c: the section is complete, but not the empty line behind it: what becomes of it. */
enum mime_fault letter_header(struct letter *l, struct slice section, struct buf *to);

/* ---- letter_from.c: senders and recipients that are rewritten ---- */

struct letter_from {
	const struct letter_setup *s;
	bool rewritten; /* From is */
	bool put;	/* the new one was */
	bool has_reply_to;
};

/* Every field of the header, first. */
enum mime_fault letter_from_look(struct letter_from *f, struct slice name, struct slice value);
/* Then again, before it is put there: what stands in its place, and the beginning of another name for it. */
enum mime_fault letter_from_put(struct letter_from *f, struct slice name, struct slice value, struct buf *to);
/* The envelope is complete: its sender, and its recipients. */
enum mime_fault letter_from_envelope(const struct letter_setup *s, struct submit_envelope *e,
				     struct mime_problem *ret);

#endif
