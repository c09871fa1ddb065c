/* snapshot.c - compacting the outcome log.
 *
 * New events go to a new log; meanwhile the state of every message is written,
 * a piece a tick, to a snapshot numbered between the old logs and the new one.
 * It says "forget what came before", so the old logs can go when it is durable
 * under its name, and do no harm until then.  What changes while it is written
 * is in the new log as well, which is read after it.
 */
#include <errno.h>
#include <string.h>

#include "base/crc32c.h"
#include "spool/state.h"

#define PIECE_BYTES   (256U << 10)
#define PIECE_ENTRIES 4096
#define SMALL_LOG     (1U << 20)

static int put_event(struct buf *to, uint64_t nonce, uint64_t at, const struct record_event *e)
{
	unsigned char head[RECORD_HEAD];
	static const unsigned char zeros[8];
	struct buf payload;

	buf_init(&payload, 4096);
	record_put_event(&payload, e);
	record_head(head, nonce, e->type, payload.n, at, crc32c(0, buf_slice(&payload)));
	buf_put(to, slice_of(head, sizeof(head)));
	buf_put(to, buf_slice(&payload));
	buf_put(to, slice_of(zeros, record_size(payload.n) - RECORD_HEAD - payload.n));
	if (payload.failed)
		to->failed = true;
	buf_done(&payload);
	return buf_ok(to) ? 0 : -ENOMEM;
}

struct piece {
	struct spool *sp;
	struct buf b;
};

static void put(struct piece *p, const struct record_event *e)
{
	put_event(&p->b, p->sp->log.snapshot_nonce, RECORD_FILE_HEAD, e);
}

static void put_segment(struct piece *p, uint64_t number)
{
	put(p, &(struct record_event){ .type = RECORD_SEGMENT, .what = 1, .number = number });
}

static void put_recipient(struct piece *p, struct record_event *ev, const struct index_recipient *r)
{
	unsigned char room[2048];
	struct buf detail;

	ev->number = r->marked_ms;
	if (r->outcome) {
		ev->type = RECORD_OUTCOME;
		ev->what = r->outcome;
		put(p, ev);
		return;
	}
	ev->type = RECORD_MARK;
	buf_init_in(&detail, room, sizeof(room));
	recipient_detail_get(r, &detail);
	ev->detail = buf_slice(&detail);
	if (r->deferred) {
		ev->what = SPOOL_MARK_DEFERRED;
		put(p, ev);
	}
	if (r->attempted) {
		ev->what = SPOOL_MARK_ATTEMPT;
		put(p, ev);
	}
}

static void put_entry(struct piece *p, const struct entry *e)
{
	struct record_event ev = { .recipient = SPOOL_ALL_RECIPIENTS };
	const struct index_recipient *r = entry_marks(e);

	memcpy(ev.id.text, e->id, ID_LEN);
	if (e->dead) {
		ev.type = RECORD_GONE;
		put(p, &ev);
		return;
	}
	if (e->held) {
		ev.type = RECORD_MARK;
		ev.what = SPOOL_MARK_HOLD;
		put(p, &ev);
	}
	if (e->warned) {
		ev.type = RECORD_MARK;
		ev.what = SPOOL_MARK_WARNED;
		put(p, &ev);
	}
	for (uint32_t i = 0; r && i < e->recipients; i++) {
		ev.recipient = i;
		ev.detail = slice_of(NULL, 0);
		put_recipient(p, &ev, &r[i]);
	}
}

void snapshot_abandon(struct spool *sp)
{
	struct outcome_log *log = &sp->log;
	char name[SPOOL_NAME_MAX];

	if (!log->snapshot)
		return;
	sp->disk->close(sp->disk, log->snapshot_file);
	name_numbered(name, log->snapshot_number, ".tmp");
	sp->disk->unlink(sp->disk, sp->dir, name);
	log->snapshot = false;
	log->snapshot_floor = 2 * log->size; /* not at once again: the disk may be full */
}

static int snapshot_begin(struct spool *sp)
{
	struct outcome_log *log = &sp->log;
	char name[SPOOL_NAME_MAX];
	int file;

	pthread_mutex_lock(&sp->lock);
	file = sp->log_old >= 0 ? -EAGAIN : 0;
	pthread_mutex_unlock(&sp->lock);
	if (file < 0)
		return file;
	log->snapshot_number = log->next_number++;
	name_numbered(name, log->snapshot_number, ".tmp");
	file = create_file(sp, name, RECORD_FILE_LOG, log->snapshot_number, &log->snapshot_nonce);
	if (file < 0) {
		log->snapshot_floor = 2 * log->size;
		return file;
	}
	log->snapshot = true;
	log->snapshot_begun = false;
	log->snapshot_file = file;
	log->snapshot_at = RECORD_FILE_HEAD;
	/* The next event begins a log behind the snapshot; the one before is synced and closed. */
	pthread_mutex_lock(&sp->lock);
	sp->log_old = log->file;
	sp->log_file = -1;
	sp->log_dirty = false;
	pthread_mutex_unlock(&sp->lock);
	log->file = -1;
	return 0;
}

static bool more(struct piece *p)
{
	struct outcome_log *log = &p->sp->log;
	struct entry *e;

	if (!log->snapshot_begun) {
		put(p, &(struct record_event){ .type = RECORD_SNAPSHOT });
		for (size_t i = 0; i < p->sp->segments; i++)
			put_segment(p, p->sp->segment[i]->number);
		for (size_t i = 0; i < p->sp->missings; i++)
			put_segment(p, p->sp->missing[i]);
	}
	for (int n = 0; n < PIECE_ENTRIES && p->b.n < PIECE_BYTES; n++) {
		e = index_after(&p->sp->index, log->snapshot_begun ? log->snapshot_after : NULL);
		log->snapshot_begun = true;
		if (!e)
			return false;
		memcpy(log->snapshot_after, e->id, ID_LEN);
		if (!e->pending)
			put_entry(p, e);
	}
	return true;
}

static int snapshot_piece(struct spool *sp, bool *ret_more)
{
	struct outcome_log *log = &sp->log;
	struct piece p = { .sp = sp };
	int r;

	buf_init(&p.b, SIZE_MAX / 2);
	*ret_more = more(&p);
	r = buf_ok(&p.b) ? disk_write(sp->disk, log->snapshot_file, p.b.p, p.b.n, log->snapshot_at) : -ENOMEM;
	log->snapshot_at += p.b.n;
	buf_done(&p.b);
	return r;
}

static int snapshot_finish(struct spool *sp)
{
	struct outcome_log *log = &sp->log;
	struct job *j = job_new(JOB_SNAPSHOT);

	if (!j)
		return -ENOMEM;
	j->file = log->snapshot_file;
	j->number = log->snapshot_number;
	j->lowest = log->lowest;
	log->finishing = true;
	commit_submit(sp, j, false);
	return 0;
}

void snapshot_settled(struct spool *sp, struct job *j)
{
	struct outcome_log *log = &sp->log;

	log->finishing = false;
	if (j->result < 0) {
		snapshot_abandon(sp);
		return;
	}
	sp->disk->close(sp->disk, log->snapshot_file);
	log->snapshot = false;
	log->lowest = log->snapshot_number;
	log->size = log->snapshot_at + (log->file >= 0 ? log->at : 0);
	log->snapshot_floor = 2 * log->size;
}

static bool due(const struct spool *sp)
{
	const struct outcome_log *log = &sp->log;
	uint64_t small = sp->setup.segment_max < SMALL_LOG ? sp->setup.segment_max : SMALL_LOG;

	return log->size > small + log->snapshot_floor || log->next_number - log->lowest > 32;
}

void snapshot_tick(struct spool *sp)
{
	struct outcome_log *log = &sp->log;
	bool goes_on = true;
	int r = 0;

	if (log->finishing || log->backlog.n > 0)
		return;
	if (!log->snapshot && (!due(sp) || snapshot_begin(sp) < 0))
		return;
	r = snapshot_piece(sp, &goes_on);
	if (r == 0 && !goes_on)
		r = snapshot_finish(sp);
	if (r < 0)
		snapshot_abandon(sp);
}
