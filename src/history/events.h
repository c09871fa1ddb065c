/* events.h - what happened, kept for some days: batches of events in a small database.
 *
 * A row is a batch (history/batch.h), compressed; beside it stand the hashes of the names in
 * it, sorted.  Who looks for a name goes through the hashes and unpacks the few batches that
 * may hold it.  A row an event and an index of names was the other way; measured, it costs ten times as
 * much, and what is looked for seldom may take a tenth of a second (doc/events.md).
 *
 * What is too old, or too much, goes first in, first out, some rows with each write.  Not a
 * log, and no source of decisions: losing it loses no mail.
 *
 * One thread at a time; calls wait for the disk, so the ledger makes them on a thread of its own.
 */
#ifndef POSTERN_HISTORY_EVENTS_H
#define POSTERN_HISTORY_EVENTS_H

#include "history/batch.h"

struct events;

/* Opens or makes the file; a damaged one is renamed to PATH.damaged and begun anew
 * (*ret_set_aside).  0 or negative errno with a line in reterr. */
int events_open(const char *path, struct events **ret, bool *ret_set_aside, char *reterr, size_t reterr_size);
void events_free(struct events *e); /* NULL is fine */

/* So much of a batch as there was when it was said to be written. */
struct events_part {
	struct batch *batch; /* its row is read and, when it had none, set */
	uint64_t first_ms, last_ms;
	uint32_t n, n_hashes;
	size_t octets;
};
#define EVENTS_PARTS_MAX 64

struct events_keep {
	uint64_t now_ms, keep_ms;
	uint64_t octets_max; /* of the database */
};

/* Writes them in one transaction, and takes out what is too old or too much, at most some rows
 * a call.  0 or negative errno: none of it was written. */
int events_write(struct events *e, const struct events_part *parts, size_t n, const struct events_keep *keep);

struct events_scan {
	const uint32_t *hashes; /* one of them must be there; NULL: any batch */
	size_t n_hashes;
	uint64_t since_ms;
	bool forward;  /* oldest first; else newest batch first, oldest event in it first */
	int64_t after; /* forward: only rows behind this one */
	int64_t row;   /* set: the one that each() is called for */
};

/* Calls each() for all events of the batches in question, which may be others than those looked for;
 * it returns false to stop.  0 or negative errno. */
int events_scan(struct events *e, struct events_scan *s, bool (*each)(void *arg, const struct ipc_event *e),
		void *arg);

struct events_counters {
	uint64_t rows, events, octets; /* of the file, without its free pages */
	uint64_t oldest_ms;	       /* 0: there is none */
	uint64_t taken_out;	       /* events */
	uint64_t damaged;	       /* rows that could not be unpacked */
};
void events_count(const struct events *e, struct events_counters *ret);

#endif
