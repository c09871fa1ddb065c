/* state.h - what the parts of the spool share; included by src/spool/ only.
 *
 * Two threads.  The loop's owns the index, the segment table and the bodies,
 * and appends to the outcome log.  The sync thread owns the writer: the open
 * segment and its index to be.  Between them lie two lists of jobs under the
 * lock; a job belongs to one side at a time.
 */
#ifndef POSTERN_SPOOL_STATE_H
#define POSTERN_SPOOL_STATE_H

#include <pthread.h>

#include "base/list.h"
#include "spool/index.h"
#include "spool/record.h"
#include "spool/spool.h"

#define SPOOL_NAME_MAX	  32
#define SPOOL_SEGMENT_MAX (1U << 30)
#define SPOOL_ENVELOPE	  (4U << 20)
#define SPOOL_HEADERS	  (64U << 10)

struct segment {
	uint64_t number;
	uint64_t size, live;  /* octets: of the file; of the newest records of living messages */
	struct entry **entry; /* one for each record */
	size_t entries, room;
	size_t look_at;	      /* how far moving its messages out has got */
	uint32_t holes;	      /* unreadable places: it is set aside in the end, not deleted */
	int file;	      /* for reading, or -1 */
	uint64_t used;	      /* when it was read last, for closing the idlest */
	bool sealed, doubted; /* doubted: its index is bad, so it is rewritten soon */
	bool leaving;	      /* all is out; a job deletes it */
};

struct chunk {
	struct chunk *next;
	size_t n, size;
	unsigned char byte[];
};

struct spool_body {
	struct spool *sp;
	struct chunk *first, *last;
	size_t memory; /* octets of chunks */
	uint64_t size;
	uint32_t *block; /* their checksums */
	size_t blocks, block_room;
	int file; /* or -1 */
	char name[SPOOL_NAME_MAX];
	int error;
};

enum job_kind {
	JOB_COMMIT,
	JOB_COPY,     /* a message moves out of a mostly dead segment */
	JOB_BODY,     /* delete the body file of a finished message */
	JOB_SEGMENT,  /* delete (or set aside) a segment */
	JOB_SNAPSHOT, /* sync the log's snapshot, put it in place, delete the logs before it */
};

struct job {
	struct list link;
	enum job_kind kind;
	uint64_t token;
	int result;
	struct entry *entry; /* the loop's; the sync thread does not look into it */
	struct segment *segment;
	struct spool_body *body;
	struct buf payload; /* all of it but an inline body */
	size_t length;	    /* with the body */
	uint32_t payload_crc;
	unsigned char head[RECORD_HEAD];
	struct record_line line;
	uint64_t number; /* of the segment that it was written to; of the one to delete; of the snapshot */
	uint64_t lowest; /* the oldest log to delete */
	int file;	 /* of the snapshot */
	bool aside;
};

struct writer {
	int file; /* or -1: the next record begins a segment */
	uint64_t number, next_number, nonce;
	uint64_t at; /* all before it is durable */
	uint32_t lines, holes;
	struct buf index; /* lines of its records */
};

struct outcome_log {
	int file; /* or -1: the next event begins a log */
	uint64_t number, next_number, lowest;
	uint64_t nonce, at;
	uint64_t size;	    /* of all logs */
	struct buf backlog; /* events that a full disk did not take, without heads */
	/* the snapshot being written */
	bool snapshot, finishing;
	int snapshot_file;
	uint64_t snapshot_number, snapshot_nonce, snapshot_at;
	char snapshot_after[ID_LEN];
	bool snapshot_begun;
	uint64_t snapshot_floor; /* the size under which the logs are not worth another one */
};

struct spool {
	const struct disk *disk;
	struct spool_setup setup;
	int dir, bodies, lock_file, wake;

	struct index index;
	struct segment **segment; /* in order of number */
	size_t segments, segment_room;
	uint64_t *missing; /* numbers of segments that the log knows and the disk does not */
	size_t missings;
	struct outcome_log log;
	struct list later; /* jobs that wait for the next turn, but do not ask for one */

	struct spool_counters count;
	struct spool_recovery recovery;
	uint64_t turn, body_number;
	size_t body_files, moving;
	uint64_t written_since;
	int accepting;
	unsigned char *block; /* RECORD_BLOCK, for reading */
	bool opened;
	bool lost; /* something is missing: keep bodies that nobody names */

	pthread_t thread;
	bool threaded;

	pthread_mutex_t lock; /* all from here on */
	pthread_cond_t work;
	struct list pending, done;
	int failed; /* final */
	bool stop, log_dirty, ask;
	int log_file, log_old; /* what to sync; log_old is closed after it */
	uint64_t log_durable, log_written;
	uint64_t syncs, sync_us, largest_batch;

	struct writer writer; /* the sync thread's, as the next */
	uint64_t log_synced_ns;
};

/* segment.c: names */
void name_numbered(char to[static SPOOL_NAME_MAX], uint64_t number, const char *suffix);
bool name_number(const char *name, const char *suffix, uint64_t *ret);
int create_file(struct spool *sp, const char *name, enum record_file kind, uint64_t number,
		uint64_t *ret_nonce);

/* segment.c: the table of segments */
struct segment *segment_find(const struct spool *sp, uint64_t number);
int segment_add(struct spool *sp, uint64_t number, struct segment **ret);
void segment_forget(struct spool *sp, struct segment *s); /* drops its entries' copies */
int segment_holds(struct segment *s, struct entry *e);	  /* one more record of e */
int segment_read(struct spool *sp, struct segment *s, void *to, size_t n, uint64_t at);
void segments_done(struct spool *sp);
uint64_t entry_size(const struct entry *e); /* of its record */

/* body.c */
struct slice body_chunk(const struct chunk *c);

/* intake.c */
void spool_space(struct spool *sp); /* looks how much is free */

/* commit.c */
void commit_submit(struct spool *sp, struct job *j, bool now);
int commit_start(struct spool *sp);
void commit_stop(struct spool *sp);
void commit_done(struct spool *sp, struct job *j); /* on the loop: what a finished job changes (intake.c) */
struct job *job_new(enum job_kind kind);
void job_free(struct job *j);
int spool_failed(struct spool *sp);

/* writer.c */
void commit_fail(struct spool *sp, int r); /* final */
bool commit_passing(int r);		   /* an error after which later commits may succeed */
int commit_sync(struct spool *sp, int file);
int writer_begin(struct spool *sp);
void writer_cut(struct spool *sp, int because);
int writer_seal(struct spool *sp);

/* outcome.c */
int outcome_event(struct spool *sp, const struct record_event *e);
bool outcome_apply(struct spool *sp, const struct record_event *e); /* false: no memory */
void outcome_flush(struct spool *sp);
void entry_dead(struct spool *sp, struct entry *e);

/* snapshot.c */
void snapshot_tick(struct spool *sp);
void snapshot_settled(struct spool *sp, struct job *j);
void snapshot_abandon(struct spool *sp);

/* compact.c */
void compact_tick(struct spool *sp);

/* recover.c */
int recover(struct spool *sp);

#endif
