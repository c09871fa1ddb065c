/* outcome.c - the log of outcomes and marks, and what they do to the index.
 *
 * Events are written at once by the loop and synced by the sync thread.  When
 * the disk is full they wait in memory, in order, and nothing that destroys
 * data happens before they are written.
 */
#include <errno.h>
#include <string.h>

#include "base/wire.h"
#include "base/crc32c.h"
#include "spool/state.h"

#define DETAIL_MAX 1024

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static int log_begin(struct spool *sp)
{
	struct outcome_log *log = &sp->log;
	char name[SPOOL_NAME_MAX];
	int file;

	log->number = log->next_number++;
	name_numbered(name, log->number, ".log");
	file = create_file(sp, name, RECORD_FILE_LOG, log->number, &log->nonce);
	if (file < 0)
		return file;
	log->file = file;
	log->at = RECORD_FILE_HEAD;
	pthread_mutex_lock(&sp->lock);
	sp->log_file = file;
	sp->log_durable = sp->log_written = log->at;
	sp->log_dirty = false;
	pthread_mutex_unlock(&sp->lock);
	return 0;
}

static int log_write(struct spool *sp, enum record_type type, struct slice payload)
{
	struct outcome_log *log = &sp->log;
	static unsigned char zeros[8];
	unsigned char head[RECORD_HEAD];
	size_t size = record_size(payload.n);
	struct iovec iov[3] = {
		{ head, sizeof(head) },
		{ (void *)(uintptr_t)payload.p, payload.n },
		{ zeros, size - RECORD_HEAD - payload.n },
	};
	uint64_t durable;
	int r = spool_failed(sp);

	if (r == 0 && log->file < 0)
		r = log_begin(sp);
	if (r < 0)
		return r;
	pthread_mutex_lock(&sp->lock);
	durable = sp->log_durable;
	pthread_mutex_unlock(&sp->lock);
	record_head(head, log->nonce, type, payload.n, durable, crc32c(0, payload));
	r = disk_writev(sp->disk, log->file, iov, 3, log->at);
	if (r < 0) {
		int cut = sp->disk->truncate(sp->disk, log->file, log->at);

		return cut < 0 ? cut : r;
	}
	log->at += size;
	log->size += size;
	pthread_mutex_lock(&sp->lock);
	sp->log_dirty = true;
	sp->log_written = log->at;
	pthread_mutex_unlock(&sp->lock);
	return 0;
}

static int backlog_put(struct spool *sp, enum record_type type, struct slice payload)
{
	struct buf *b = &sp->log.backlog;

	if (buf_room(b) < payload.n + 8)
		return -ENOSPC;
	wire_put_u32(b, type);
	wire_put_bytes(b, payload);
	return buf_ok(b) ? 0 : -ENOMEM;
}

/* What a full disk did not take, as far as it takes it now. */
void outcome_flush(struct spool *sp)
{
	struct buf *b = &sp->log.backlog;

	while (b->n > 0) {
		struct slice cur = buf_slice(b), payload;
		uint32_t type;

		if (!wire_u32(&cur, &type) || !wire_bytes(&cur, b->n, &payload))
			return;
		if (log_write(sp, (enum record_type)type, payload) < 0)
			return;
		buf_consume(b, b->n - cur.n);
	}
}

static bool no_room(int r)
{
	return r == -ENOSPC || r == -EDQUOT || r == -EMFILE || r == -ENFILE;
}

static bool is_attempt(const struct record_event *e)
{
	return e->type == RECORD_MARK && e->what == SPOOL_MARK_ATTEMPT;
}

int outcome_event(struct spool *sp, const struct record_event *e)
{
	unsigned char room[4096];
	struct buf b;
	int r;

	/* What became of a message is written down without memory, too: else it would be
	 * delivered again after a restart. */
	buf_init_in(&b, room, sizeof(room));
	record_put_event(&b, e);
	outcome_flush(sp);
	if (!buf_ok(&b))
		r = -EMSGSIZE;
	else if (sp->log.backlog.n > 0)
		r = -ENOSPC;
	else
		r = log_write(sp, e->type, buf_slice(&b));
	if (no_room(r)) {
		/* An attempt can wait: begun now, nobody would know of it after a restart. */
		if (!is_attempt(e))
			r = backlog_put(sp, e->type, buf_slice(&b));
	} else if (r < 0 && r != -ENOMEM && r != -EMSGSIZE) {
		pthread_mutex_lock(&sp->lock);
		if (sp->failed == 0)
			sp->failed = r;
		pthread_mutex_unlock(&sp->lock);
	}
	return r;
}

void entry_dead(struct spool *sp, struct entry *e)
{
	e->dead = true;
	e->open = 0;
	if (e->where)
		e->where->live -= entry_size(e);
	e->where = NULL;
	sp->count.messages--;
	sp->count.held -= e->held;
	sp->count.damaged -= e->damaged;
	entry_forget(&sp->index, e);
	if (e->own_file && sp->opened) {
		struct job *j = job_new(JOB_BODY);

		if (j) { /* without memory it is an orphan, deleted by the next start */
			memcpy(j->line.id.text, e->id, ID_LEN);
			commit_submit(sp, j, false);
		}
	}
}

static void finish(struct spool *sp, struct entry *e, uint32_t i, const struct record_event *ev)
{
	struct index_recipient *r = &entry_recipients(e)[i]; /* there since apply_outcome() */

	if (r->outcome == 0)
		e->open--;
	r->outcome = ev->what >= SPOOL_DELIVERED && ev->what <= SPOOL_REMOVED ? ev->what & 3U : SPOOL_REMOVED;
	r->attempted = r->deferred = false;
	r->marked_ms = ev->number & INDEX_48;
	recipient_detail_drop(&sp->index, r);
}

static bool apply_outcome(struct spool *sp, struct entry *e, const struct record_event *ev)
{
	if (ev->recipient == SPOOL_ALL_RECIPIENTS || e->recipients == 1) {
		entry_dead(sp, e);
		return true;
	}
	if (ev->recipient >= e->recipients)
		return true; /* of a log that does not fit: no reason to stop */
	if (!entry_recipients(e))
		return false;
	finish(sp, e, ev->recipient, ev);
	if (e->open == 0)
		entry_dead(sp, e);
	return true;
}

static bool mark_recipient(struct spool *sp, struct index_recipient *r, const struct record_event *ev)
{
	if (r->outcome != 0)
		return true;
	if (ev->detail.n > 0 && !recipient_detail_set(&sp->index, r, ev->detail))
		return false;
	r->attempted = ev->what == SPOOL_MARK_ATTEMPT;
	if (ev->what == SPOOL_MARK_DEFERRED)
		r->deferred = true;
	r->marked_ms = ev->number & INDEX_48;
	return true;
}

static bool apply_mark(struct spool *sp, struct entry *e, const struct record_event *ev)
{
	uint32_t first = ev->recipient, last = ev->recipient;

	if (ev->what == SPOOL_MARK_HOLD || ev->what == SPOOL_MARK_RELEASE) {
		bool held = ev->what == SPOOL_MARK_HOLD;

		sp->count.held += (uint64_t)held - e->held;
		e->held = held;
		return true;
	}
	if (ev->what == SPOOL_MARK_WARNED) {
		e->warned = true;
		return true;
	}
	if (ev->recipient == SPOOL_ALL_RECIPIENTS) {
		first = 0;
		last = e->recipients - 1;
	}
	if (last >= e->recipients)
		return true;
	if (!entry_recipients(e))
		return false;
	for (uint32_t i = first; i <= last; i++)
		if (!mark_recipient(sp, &entry_recipients(e)[i], ev))
			return false;
	return true;
}

bool outcome_apply(struct spool *sp, const struct record_event *ev)
{
	struct entry *e = index_find(&sp->index, ev->id.text);

	if (!e || e->dead || e->pending)
		return true;
	switch (ev->type) {
	case RECORD_GONE:
		entry_dead(sp, e);
		return true;
	case RECORD_OUTCOME:
		return apply_outcome(sp, e, ev);
	case RECORD_MARK:
		return apply_mark(sp, e, ev);
	default:
		return true;
	}
}

static int record_it(struct spool *sp, const struct id *id, struct record_event *ev)
{
	struct entry *e = index_find(&sp->index, id->text);
	int r;

	if (!e || e->dead || e->pending)
		return -ENOENT;
	if (ev->recipient != SPOOL_ALL_RECIPIENTS && ev->recipient >= e->recipients)
		return -EINVAL;
	/* Memory first: what is in the log must be true in the index as well. */
	if (ev->what != SPOOL_MARK_HOLD && ev->what != SPOOL_MARK_RELEASE && ev->what != SPOOL_MARK_WARNED &&
	    !entry_recipients(e))
		return -ENOMEM;
	ev->id = *id;
	ev->number = now_ms();
	/* Applied even if it could not be written: this process must not deliver twice. */
	r = outcome_event(sp, ev);
	if (no_room(r) && is_attempt(ev))
		return r;
	return outcome_apply(sp, ev) ? r : -ENOMEM;
}

int spool_outcome(struct spool *sp, const struct id *id, uint32_t recipient, enum spool_outcome what)
{
	struct record_event ev = { .type = RECORD_OUTCOME, .what = (uint8_t)what, .recipient = recipient };

	if (what < SPOOL_DELIVERED || what > SPOOL_REMOVED)
		return -EINVAL;
	return record_it(sp, id, &ev);
}

int spool_mark(struct spool *sp, const struct id *id, uint32_t recipient, enum spool_mark what,
	       struct slice detail)
{
	struct record_event ev = {
		.type = RECORD_MARK,
		.what = (uint8_t)what,
		.recipient = recipient,
		.detail = slice_head(detail, DETAIL_MAX),
	};

	if (what < SPOOL_MARK_ATTEMPT || what > SPOOL_MARK_WARNED)
		return -EINVAL;
	return record_it(sp, id, &ev);
}
