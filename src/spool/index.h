/* index.h - what is in the spool, in memory, in order of id.
 *
 * A treap of entries, 104 octets a message with one recipient; what became of several is
 * allocated with the first mark.  What is the same in many marks, the words of a server, is
 * kept once.  An entry stays, dead, as long as a segment still holds a record of its message: until
 * then the outcome log must be able to say that it is gone.
 */
#ifndef POSTERN_SPOOL_INDEX_H
#define POSTERN_SPOOL_INDEX_H

#include "base/buf.h"
#include "base/id.h"
#include "spool/spool.h"

struct segment;

#define INDEX_48 ((UINT64_C(1) << 48) - 1) /* times and sizes have that many bits */

/* The words of marks, kept once for all that have them. */
struct note {
	struct note *next; /* with the same hash */
	uint32_t refs;
	uint16_t n;
	char byte[];
};

/* 32 octets.  The detail of the newest mark that had one is own, and then the note. */
struct index_recipient {
	uint64_t marked_ms : 48;
	uint64_t own_n : 5;
	uint64_t outcome : 2; /* 0: none yet */
	bool attempted : 1, deferred : 1;
	struct note *note; /* NULL: none */
	unsigned char own[SPOOL_MARK_OWN];
};

struct entry {
	struct entry *left, *right;
	struct segment *where; /* of its newest record; NULL while not yet durable */
	union {
		struct index_recipient one;   /* of the only recipient */
		struct index_recipient *many; /* NULL: nothing happened yet */
	};
	uint64_t time_ms : 48;
	uint64_t copies : 16; /* records of it in segments */
	uint64_t body_size : 48;
	bool own_file : 1, held : 1, damaged : 1, dead : 1, moving : 1, pending : 1, body_there : 1,
		warned : 1;
	uint32_t at, length; /* of the record's head; of its payload */
	uint32_t recipients, open;
	char id[ID_LEN];
};

struct index {
	struct entry *root;
	unsigned char seed[16]; /* of the weights of the treap, and of the notes' hashes */
	struct note **note;
	size_t buckets, notes;
};

void index_init(struct index *x);
void index_done(struct index *x); /* frees all entries */

struct entry *index_find(const struct index *x, const char id[static ID_LEN]);
/* The first one after id; from the start with NULL. */
struct entry *index_after(const struct index *x, const char *id);
void index_insert(struct index *x, struct entry *e); /* its id must be new */
void index_remove(struct index *x, struct entry *e);

void entry_free(struct index *x, struct entry *e);
/* The recipients, made when they are not there; NULL: out of memory. */
struct index_recipient *entry_recipients(struct entry *e);
/* As they are; NULL: nothing happened yet. */
const struct index_recipient *entry_marks(const struct entry *e);
/* Forgets what only a living message needs. */
void entry_forget(struct index *x, struct entry *e);

/* Splits and keeps it; false: out of memory, and the old one stays. */
bool recipient_detail_set(struct index *x, struct index_recipient *r, struct slice detail);
void recipient_detail_get(const struct index_recipient *r, struct buf *to); /* appends */
void recipient_detail_drop(struct index *x, struct index_recipient *r);

#endif
