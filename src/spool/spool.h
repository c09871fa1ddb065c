/* spool.h - where accepted mail is kept until every recipient has an outcome.
 *
 * The promise: a commit that completed with 0 survives power loss.  One record
 * holds a message (envelope, computed headers, body or the name of its file);
 * one fdatasync on the sync thread serves every commit that waits at that
 * moment, and nobody waits on purpose.  A failed sync is final: all later
 * commits fail until a restart has read back what is really on the disk.
 *
 * The interface offers "open body, read chunk" and no descriptor but the
 * read-only one of a large body, so that a database can serve it too.  The
 * envelope is opaque bytes here; recipients are numbers from 0.
 *
 * One thread calls these functions.  Finished commits are fetched with
 * spool_next_done() when spool_wake_fd() becomes readable.
 */
#ifndef POSTERN_SPOOL_SPOOL_H
#define POSTERN_SPOOL_SPOOL_H

#include "base/buf.h"
#include "base/id.h"
#include "spool/disk.h"

struct spool;
struct spool_body;

struct spool_setup {
	const char *dir;	 /* exists, writable; the only user is this process (locked) */
	const struct disk *disk; /* the seam: disk_real() or a test's */
	size_t memory_max;	 /* of all bodies being collected; 64 MiB by default */
	size_t body_memory_max;	 /* a body over this goes to a file of its own; 256 KiB */
	size_t segment_max;	 /* then the next segment is begun; 64 MiB */
	uint64_t free_min;	 /* octets the disk keeps free; under it spool_accepting() says -ENOSPC */
	const char *boot; /* the running kernel's boot_id; NULL: not known, and no power loss is noticed */
	bool manual_sync; /* no thread: spool_sync_now() does its work, for tests that must repeat exactly */
};

/* Opens and recovers: reads sealed segments' indexes, scans the open one, cuts a
 * torn tail, sets damaged records aside.  0 or negative errno (-EBUSY: another
 * process has it). */
int spool_open(const struct spool_setup *setup, struct spool **ret);
/* Waits for the commit under way, then frees.  NULL is fine. */
void spool_close(struct spool *sp);

/* What recovery found and did; for the log. */
struct spool_recovery {
	uint64_t messages, segments;
	uint64_t scanned;    /* segments without a good index */
	uint64_t torn_bytes; /* cut off: never acknowledged */
	uint64_t damaged;    /* records set aside, and whole segments */
	uint64_t missing;    /* segments and bodies that should be there and are not */
	uint64_t orphans;    /* bodies of no message, deleted */
	bool clean;	     /* closed in order: no attempt is in doubt that has its outcome */
	/* The machine went down before it was closed: marks of attempts may be gone with it, so whatever
	 * was due by now may have been delivered. */
	bool power_lost;
};
void spool_recovered(const struct spool *sp, struct spool_recovery *ret);
/* All that follows from power_lost was done: it is not told again at the next start. */
void spool_settled(struct spool *sp);

/* --- taking a message in --- */

/* 0, or why nothing can be accepted now: -ENOSPC (disk), -EIO (a sync failed). */
int spool_accepting(struct spool *sp);
/* -ENOMEM or -ENOBUFS (the ceiling of all collected bodies; falls back to a file first). */
int spool_body_new(struct spool *sp, struct spool_body **ret);
int spool_body_put(struct spool_body *body, struct slice chunk);
uint64_t spool_body_size(const struct spool_body *body);
void spool_body_drop(struct spool_body *body); /* NULL is fine */

struct spool_message {
	struct id id;
	uint64_t time_ms; /* accepted; since 1970 */
	uint32_t recipients;
	struct slice envelope; /* up to 4 MiB */
	struct slice headers;  /* computed ones, go before the body; up to 64 KiB */
};

/* Takes the body over in any case.  0: queued for the next sync, spool_next_done()
 * will name the token; negative errno: nothing was kept. */
int spool_commit(struct spool *sp, struct spool_body *body, const struct spool_message *m, uint64_t token);

struct spool_done {
	uint64_t token;
	int result; /* 0: durable; negative errno: not kept */
};
int spool_wake_fd(const struct spool *sp);
/* With manual_sync: one turn of what the sync thread does.  0 or the final error. */
int spool_sync_now(struct spool *sp);
bool spool_next_done(struct spool *sp, struct spool_done *ret);

/* --- what becomes of it --- */

enum spool_outcome {
	SPOOL_DELIVERED = 1,
	SPOOL_BOUNCED = 2, /* failed for good and reported (or never to be reported) */
	SPOOL_REMOVED = 3, /* by an operator */
};

enum spool_mark {
	SPOOL_MARK_ATTEMPT = 1, /* handed to a lane; without an outcome after a crash: possibly twice */
	SPOOL_MARK_HOLD = 2,
	SPOOL_MARK_RELEASE = 3,
	SPOOL_MARK_DEFERRED = 4, /* tried, will be tried again; detail: the last reply */
	SPOOL_MARK_WARNED = 5,	 /* of the message: its sender was told that it is late */
};

/* A detail's first octets are kept with each mark, the rest once for all that have the same. */
#define SPOOL_MARK_OWN	     16
#define SPOOL_ALL_RECIPIENTS UINT32_MAX

/* Written at once; synced with the next commit, but while commits keep coming only
 * every tenth of a second; without any within a second.  When the last recipient has an outcome the message
 * is gone.  On a full disk it waits in memory.  0, -ENOENT, or negative errno. */
int spool_outcome(struct spool *sp, const struct id *id, uint32_t recipient, enum spool_outcome what);
/* detail: up to 1 KiB, kept with the mark; the newest of a kind counts.  An attempt that a full disk does not
 * take is not to be made: -ENOSPC. */
int spool_mark(struct spool *sp, const struct id *id, uint32_t recipient, enum spool_mark what,
	       struct slice detail);

/* --- reading --- */

struct spool_info {
	struct id id;
	uint64_t time_ms;
	uint64_t body_size;	   /* octets, headers not counted */
	uint32_t recipients, open; /* open: without an outcome */
	bool held, warned;
	bool damaged; /* its record or body failed its checksum; set aside, kept for the operator */
};

/* -ENOENT when it is not (or no longer) there. */
int spool_info(const struct spool *sp, const struct id *id, struct spool_info *ret);
/* In order of id: the first one after *after (NULL: from the start); false at the end. */
bool spool_next(const struct spool *sp, const struct id *after, struct spool_info *ret);
/* Appends; the checksum is tested (-EBADMSG). */
int spool_read_meta(struct spool *sp, const struct id *id, struct buf *envelope, struct buf *headers);
/* All of a message at once, which is quicker than in parts: for one of at most max octets in the
 * spool, with a body that has no file of its own; -ENODATA otherwise. */
int spool_read_whole(struct spool *sp, const struct id *id, size_t max, struct buf *envelope,
		     struct buf *headers, struct buf *body);
/* Up to size bytes of the body from offset; 0 at its end. The checksum of what is read is tested. */
ssize_t spool_read_body(struct spool *sp, const struct id *id, uint64_t offset, void *to, size_t size);
/* A read-only descriptor of a body in a file of its own, for the caller to close; -ENODATA when it is not in
 * one. */
int spool_body_fd(struct spool *sp, const struct id *id);

struct spool_recipient {
	bool done;
	enum spool_outcome outcome; /* when done */
	bool attempted;		    /* an attempt without an outcome stands */
	bool deferred;
	uint64_t marked_ms; /* when the newest mark was made */
};
int spool_recipient(struct spool *sp, const struct id *id, uint32_t recipient, struct spool_recipient *ret,
		    struct buf *detail /* may be NULL */);

/* --- upkeep: call once a second; does a bounded piece of work --- */
int spool_tick(struct spool *sp, uint64_t now_ms);

struct spool_counters {
	uint64_t messages, held, damaged;
	uint64_t segments, disk_bytes, live_bytes;
	uint64_t commits, syncs, sync_us, largest_batch, failed_commits;
	uint64_t collecting, memory_used, memory_max;
};
void spool_count(const struct spool *sp, struct spool_counters *ret);

#endif
