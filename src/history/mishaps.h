/* mishaps.h - who is misconfigured, and how: the clients that came to the wrong
 * port or in the wrong way, kept in a small database.
 *
 * One row per kind, listener, address and account, with a count.  Losing them
 * loses no mail, so they are gathered in memory and written in batches; what the
 * disk does not take is dropped and counted.  Both the batch and the table have a
 * ceiling: when the table is full, the oldest rows of the kind that has most are
 * taken out, so that noise of one kind does not wash out the others.
 *
 * Not a log (each mishap is logged where it happens), and no source of decisions.
 */
#ifndef POSTERN_HISTORY_MISHAPS_H
#define POSTERN_HISTORY_MISHAPS_H

#include "base/ip.h"

#define MISHAPS_BATCH 500 /* then mishaps_flush() is due */

struct mishaps;

struct mishap {
	unsigned kind;	       /* enum ipc_mishap_kind */
	uint16_t port;	       /* where it came to */
	bool served;	       /* it got what it wanted all the same */
	struct ip ip;	       /* family 0: the Unix socket */
	struct slice listener; /* its name */
	struct slice account;  /* empty if none is known */
	struct slice helo;     /* empty if it did not come so far */
};

/* Opens or makes the file; a damaged one is set aside (history/file.h).  0 or negative errno with a line in
 * reterr. */
int mishaps_open(const char *path, size_t rows_max, struct mishaps **ret, bool *ret_aside, char *reterr,
		 size_t reterr_size);
void mishaps_free(struct mishaps *m); /* what is not flushed is lost; NULL is fine */

/* Copies it into the batch.  True when the batch is full and wants to be flushed. */
bool mishaps_add(struct mishaps *m, const struct mishap *what, int64_t now);
/* Writes the batch in one transaction.  On an error, negative errno, it is dropped and counted. */
int mishaps_flush(struct mishaps *m);

struct mishap_row {
	struct mishap what; /* slices are valid for the call */
	uint64_t count;
	int64_t first, last; /* seconds since 1970 */
};

/* Calls each() for the rows seen since then, last seen first, of one kind or (0) of
 * all, at most limit; it returns false to stop.  Includes only what was flushed. */
int mishaps_list(struct mishaps *m, int64_t since, unsigned kind, size_t limit,
		 bool (*each)(void *arg, const struct mishap_row *row), void *arg);

struct mishaps_counters {
	uint64_t rows, waiting, written, dropped, taken_out;
};
void mishaps_count(const struct mishaps *m, struct mishaps_counters *ret);

#endif
