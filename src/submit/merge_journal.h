/* merge_journal.h - what became of each row of a merge, durably: a service.
 *
 * A file of JSON lines, which is the result for people and programs, and the journal by which a run that was
 * interrupted goes on (doc/merge.md has every member):
 *
 *	{"postern_merge":1, "list":HASH, "template":HASH, ...}	first; again where the template changed
 *	{"row":7, "line":9, "to":[...], "state":"sending", "id":...}	synced before its message goes
 *	{"row":7, "line":9, "to":[...], "state":"sent", ...}	once the server has answered
 *
 * The last line of a row counts.  One that says "sending" is a row whose answer nobody knows: it became
 * doubtful, and is said to be.  A line that a crash cut off at the end is taken back: what it announced was
 * not begun.  Lines are written as they come; merge_journal_sync() makes all of them durable.
 *
 * Who has it open holds a lock on it.  An error of the disk is final: every later call answers it, too.
 */
#ifndef POSTERN_SUBMIT_MERGE_JOURNAL_H
#define POSTERN_SUBMIT_MERGE_JOURNAL_H

#include <jansson.h>

#include "base/buf.h"
#include "submit/envelope.h"

#define MERGE_ROWS_MAX 1000000
#define MERGE_HASH     65 /* SHA-256 in hexadecimal */

enum merge_state {
	MERGE_NEW,
	MERGE_SENDING,
	MERGE_SENT,
	MERGE_REFUSED,
	MERGE_DEFERRED, /* not now; or it was not tried */
	MERGE_DOUBTFUL, /* the server has it, or not */
	MERGE_SKIPPED,	/* wrong in itself */
	MERGE_STATES,	/* one past the last */
};

const char *merge_state_name(enum merge_state s); /* "sent" */

/* What is told of a row. */
struct merge_line {
	uint32_t row, line; /* from 1; line of the list */
	enum merge_state state;
	const struct submit_envelope *to; /* NULL: it has none */
	const char *id;			  /* Message-ID without brackets; or NULL */
	unsigned code;			  /* of the server's answer; 0: none */
	const char *status, *text, *step, *host;
	const json_t *recipients; /* of several, what became of each; else NULL */
};

struct merge_journal_setup {
	const char *path;
	char list[MERGE_HASH], template[MERGE_HASH];
	uint32_t rows;
	bool template_may_differ;
	uint64_t time_ms;
};

struct merge_journal;

/* Opens it, or begins a new one.  0; -EBUSY: somebody else has it; -EBADMSG: it is of another list or
 * template, or none at all, and words say so; or another negative errno. */
int merge_journal_open(struct merge_journal **ret, const struct merge_journal_setup *setup,
		       struct buf *words);
void merge_journal_close(struct merge_journal *j); /* NULL is fine */

bool merge_journal_is_new(const struct merge_journal *j);
enum merge_state merge_journal_state(const struct merge_journal *j, uint32_t row);
const char *merge_journal_id(const struct merge_journal *j, uint32_t row); /* of its last message; or NULL */
/* Of a row with several recipients that is not through; or NULL. */
const json_t *merge_journal_recipients(const struct merge_journal *j, uint32_t row);
uint32_t merge_journal_count(const struct merge_journal *j, enum merge_state s);

int merge_journal_put(struct merge_journal *j, const struct merge_line *l, uint64_t time_ms);
int merge_journal_sync(struct merge_journal *j);

#endif
