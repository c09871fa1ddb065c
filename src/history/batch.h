/* batch.h - events one behind the other in memory, as they are written and looked for.
 *
 * Append only and never moved: another thread may read what was there when it was told how
 * far, while more is added.  Beside the events it holds a hash of each name that they can be
 * found by, so that nobody unpacks what cannot hold what he looks for.
 */
#ifndef POSTERN_HISTORY_BATCH_H
#define POSTERN_HISTORY_BATCH_H

#include "base/list.h"
#include "ipc/event.h"

#define BATCH_OCTETS 65536
#define BATCH_HASHES 8192

struct batch {
	struct list link; /* the owner's */
	uint64_t first;	  /* number of its first event: the owner's */
	int64_t row;	  /* where it is stored, 0: nowhere yet: the owner's */
	uint64_t first_ms, last_ms;
	uint32_t n;	 /* events */
	uint32_t stored; /* of them, in the file: the owner's */
	uint32_t n_hashes;
	size_t octets;
	uint32_t hash[BATCH_HASHES];
	unsigned char bytes[BATCH_OCTETS];
};

struct batch *batch_new(void); /* NULL: out of memory */
/* False: it is full. A sound event always fits into an empty batch. */
bool batch_add(struct batch *b, const struct ipc_event *e);

/* One event as bytes, as it stands in a batch; and from the front of such bytes.  False at the end
 * or where there is no sound event (cur->n is then not 0). */
void batch_put(const struct ipc_event *e, struct buf *to);
bool batch_take(struct slice *cur, struct ipc_event *ret);

/* What names are found by: 24 bits, by kind of name. */
enum batch_name {
	BATCH_ID = 'i',
	BATCH_MESSAGE_ID = 'm',
	BATCH_ADDRESS = 'a',
	BATCH_ACCOUNT = 'c',
	BATCH_SITE = 's', /* of events that are of no message: those of messages are found by theirs */
};
uint32_t batch_hash(enum batch_name kind, struct slice name);

/* ---- which events ---- */

/* Empty and 0: any.  All that is set must hold. */
struct batch_match {
	uint32_t kinds;	   /* bits: 1 << enum event_kind */
	struct slice id;   /* the event's own, or named in it */
	struct slice name; /* an address (sender or recipient, in any case of letters) or a Message-ID */
	struct slice account, domain, site;
	bool no_message; /* only events that are of none */
	uint64_t since_ms, until_ms;
};

bool batch_matches(const struct batch_match *m, const struct ipc_event *e);

#endif
