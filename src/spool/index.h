/* index.h - what is in the spool, in memory, in order of id.
 *
 * A treap of entries, about 90 octets a message; what became of each recipient
 * is allocated with the first mark.  An entry stays, dead, as long as a segment
 * still holds a record of its message: until then the outcome log must be able
 * to say that it is gone.
 */
#ifndef POSTERN_SPOOL_INDEX_H
#define POSTERN_SPOOL_INDEX_H

#include "base/id.h"

struct segment;

struct index_recipient {
	uint64_t marked_ms;
	char *detail; /* of the newest mark that had one */
	uint16_t detail_n;
	uint8_t outcome; /* 0: none yet */
	bool attempted : 1, deferred : 1;
};

struct entry {
	struct entry *left, *right;
	struct segment *where;		   /* of its newest record; NULL while not yet durable */
	struct index_recipient *recipient; /* NULL: nothing happened yet */
	uint64_t time_ms, body_size;
	uint32_t at, length; /* of the record's head; of its payload */
	uint32_t recipients, open;
	uint32_t weight; /* of the treap */
	uint16_t copies; /* records of it in segments */
	char id[ID_LEN];
	bool own_file : 1, held : 1, damaged : 1, dead : 1, moving : 1, pending : 1, body_there : 1,
		warned : 1;
};

struct index {
	struct entry *root;
	uint32_t seed;
};

void index_init(struct index *x);
void index_done(struct index *x); /* frees all entries */

struct entry *index_find(const struct index *x, const char id[static ID_LEN]);
/* The first one after id; from the start with NULL. */
struct entry *index_after(const struct index *x, const char *id);
void index_insert(struct index *x, struct entry *e); /* its id must be new */
void index_remove(struct index *x, struct entry *e);

void entry_free(struct entry *e);
/* The array of recipients, made when it is not there; NULL: out of memory. */
struct index_recipient *entry_recipients(struct entry *e);
/* Forgets what only a living message needs. */
void entry_forget(struct entry *e);

#endif
