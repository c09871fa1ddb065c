/* merge_private.h - what the parts of merge share; included by src/submit/merge*.c only. */
#ifndef POSTERN_SUBMIT_MERGE_PRIVATE_H
#define POSTERN_SUBMIT_MERGE_PRIVATE_H

#include "submit/merge.h"

#define MERGE_URLS_MAX	8
#define MERGE_VALUE_MAX (4 * MIME_VALUE_MAX)

enum merge_part {
	MERGE_PART_FROM,
	MERGE_PART_SENDER,
	MERGE_PART_REPLY_TO,
	MERGE_PART_TO,
	MERGE_PART_CC,
	MERGE_PART_BCC,
	MERGE_PART_SUBJECT,
	MERGE_PART_UNSUBSCRIBE,
	MERGE_PARTS, /* that are there once at most */
};

/* A template, and what the row made of it. */
struct merge_filled {
	struct slice name;  /* of the field */
	struct template *t; /* NULL: it is not there */
	struct buf value;
};

struct merge {
	struct merge_setup setup;
	struct merge_filled part[MERGE_PARTS], text, html;
	struct merge_filled extra[MERGE_FIELDS_MAX], attach[MERGE_FIELDS_MAX];
	size_t extras, attaches;
	bool one_click, https;
	/* of the row */
	struct mime_extra header[MERGE_FIELDS_MAX];
	struct draft_file file[MERGE_FIELDS_MAX];
	struct slice url[MERGE_URLS_MAX];
	struct buf scratch;
};

/* merge.c: appends words of what is wrong; -EBADMSG, or -ENOMEM. */
int merge_say_template(const struct template_problem *p, const char *file, struct buf *words);
/* What of a file, or a table, is said to people: no control, and not too much of it. */
void merge_put_said(struct buf *to, struct slice s);

#endif
