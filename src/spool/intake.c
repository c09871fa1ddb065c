/* intake.c - the loop's side of a commit: from the body to a job, and back. */
#include <errno.h>

#include <string.h>

#include "base/crc32c.h"
#include "spool/state.h"

#define SPACE_EVERY (8U << 20) /* octets written between two looks at the free space */

void spool_space(struct spool *sp)
{
	uint64_t space;

	sp->written_since = 0;
	if (sp->disk->space(sp->disk, sp->dir, &space) == 0)
		sp->accepting = space < sp->setup.free_min ? -ENOSPC : 0;
}

int spool_accepting(struct spool *sp)
{
	int r = spool_failed(sp);

	return r < 0 ? r : sp->accepting;
}

static struct entry *entry_new(const struct spool_message *m, const struct spool_body *b)
{
	struct entry *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	memcpy(e->id, m->id.text, ID_LEN);
	e->time_ms = m->time_ms & INDEX_48;
	e->body_size = b->size & INDEX_48;
	e->recipients = e->open = m->recipients;
	e->own_file = e->body_there = b->file >= 0;
	e->pending = true;
	return e;
}

static uint32_t payload_crc(const struct job *j)
{
	uint32_t crc = crc32c(0, buf_slice(&j->payload));

	for (const struct chunk *c = j->body->first; c; c = c->next)
		crc = crc32c(crc, body_chunk(c));
	return crc;
}

static int job_fill(struct job *j, struct spool_body *b, const struct spool_message *m)
{
	struct record_message head = {
		.id = m->id,
		.own_file = b->file >= 0,
		.recipients = m->recipients,
		.time_ms = m->time_ms,
		.body_size = b->size,
		.envelope = (uint32_t)m->envelope.n,
		.headers = (uint32_t)m->headers.n,
		.blocks = (uint32_t)b->blocks,
		.meta_crc = crc32c(crc32c(0, m->envelope), m->headers),
	};

	record_put_message(&j->payload, &head, b->block, m->envelope, m->headers);
	if (!buf_ok(&j->payload))
		return -ENOMEM;
	j->body = b;
	j->length = j->payload.n + (b->file >= 0 ? 0 : (size_t)b->size);
	j->payload_crc = payload_crc(j);
	j->line = (struct record_line){
		.id = m->id,
		.own_file = b->file >= 0,
		.recipients = m->recipients,
		.time_ms = m->time_ms,
		.body_size = b->size,
		.length = (uint32_t)j->length,
	};
	return 0;
}

static int commit_check(struct spool *sp, const struct spool_body *b, const struct spool_message *m)
{
	int r = spool_failed(sp);

	if (r == 0)
		r = b->error;
	if (r < 0)
		return r;
	if (m->recipients == 0 || m->recipients > RECORD_RECIPIENTS || m->envelope.n > SPOOL_ENVELOPE ||
	    m->headers.n > SPOOL_HEADERS)
		return -EINVAL;
	return index_find(&sp->index, m->id.text) ? -EEXIST : 0;
}

int spool_commit(struct spool *sp, struct spool_body *b, const struct spool_message *m, uint64_t token)
{
	struct job *j = job_new(JOB_COMMIT);
	int r = j ? commit_check(sp, b, m) : -ENOMEM;

	if (r == 0)
		r = job_fill(j, b, m);
	if (r == 0) {
		j->entry = entry_new(m, b);
		if (!j->entry)
			r = -ENOMEM;
	}
	if (r < 0) {
		spool_body_drop(b);
		job_free(j);
		sp->count.failed_commits++;
		return r;
	}
	j->token = token;
	j->entry->length = (uint32_t)j->length;
	index_insert(&sp->index, j->entry);
	sp->written_since += j->length;
	if (sp->written_since > SPACE_EVERY)
		spool_space(sp);
	/* Not behind commit_submit()'s wait for the log: a commit depends on no event. */
	pthread_mutex_lock(&sp->lock);
	list_push_back(&sp->pending, &j->link);
	pthread_cond_signal(&sp->work);
	pthread_mutex_unlock(&sp->lock);
	commit_submit(sp, NULL, true);
	return 0;
}

/* The segment that a record was written to; the first one in it makes it known. */
static struct segment *written_to(struct spool *sp, uint64_t number)
{
	struct segment *s = segment_find(sp, number);
	struct record_event born = { .type = RECORD_SEGMENT, .what = 1, .number = number };

	if (s)
		return s;
	if (segment_add(sp, number, &s) < 0)
		return NULL;
	s->size = RECORD_FILE_HEAD;
	for (size_t i = 0; i < sp->segments; i++)
		if (sp->segment[i]->number < number)
			sp->segment[i]->sealed = true;
	outcome_event(sp, &born);
	return s;
}

/* Puts the entry where its record was written.  Without memory for that the
 * record exists and nobody would know when it is gone: the entry stays for ever. */
static int settle(struct spool *sp, struct job *j)
{
	struct segment *s = written_to(sp, j->number);
	struct entry *e = j->entry;

	if (!s || segment_holds(s, e) < 0) {
		e->copies++;
		return -ENOMEM;
	}
	s->size += record_size(j->length);
	if (e->dead)
		return 0;
	if (e->where)
		e->where->live -= entry_size(e);
	e->where = s;
	e->at = j->line.at;
	s->live += entry_size(e);
	return 0;
}

static void commit_settled(struct spool *sp, struct job *j)
{
	struct record_event gone = { .type = RECORD_GONE, .id = j->line.id };
	struct entry *e = j->entry;

	if (j->line.own_file)
		sp->body_files--;
	spool_body_drop(j->body);
	e->pending = false;
	if (j->result < 0) {
		index_remove(&sp->index, e);
		entry_free(&sp->index, e);
		sp->count.failed_commits++;
		if (j->result == -ENOSPC)
			sp->accepting = -ENOSPC; /* until a look at the space says otherwise */
		return;
	}
	j->result = settle(sp, j);
	if (j->result < 0) {
		e->dead = true;
		outcome_event(sp, &gone);
		sp->count.failed_commits++;
		return;
	}
	sp->count.commits++;
	sp->count.messages++;
}

static void segment_settled(struct spool *sp, struct job *j)
{
	if (j->result < 0) {
		j->segment->leaving = false; /* tried again by the next tick */
		return;
	}
	segment_forget(sp, j->segment);
}

void commit_done(struct spool *sp, struct job *j)
{
	switch (j->kind) {
	case JOB_COMMIT:
		commit_settled(sp, j);
		break;
	case JOB_COPY:
		j->entry->moving = false;
		sp->moving--;
		if (j->result == 0)
			settle(sp, j);
		break;
	case JOB_SEGMENT:
		segment_settled(sp, j);
		break;
	case JOB_SNAPSHOT:
		snapshot_settled(sp, j);
		break;
	case JOB_BODY:
		break;
	}
}

bool spool_next_done(struct spool *sp, struct spool_done *ret)
{
	for (;;) {
		struct job *j = NULL;
		struct spool_done done;
		bool commit;
		uint64_t n;

		pthread_mutex_lock(&sp->lock);
		if (!list_empty(&sp->done)) {
			j = container_of(sp->done.next, struct job, link);
			list_remove(&j->link);
		} else {
			(void)!read(sp->wake, &n, sizeof(n));
		}
		pthread_mutex_unlock(&sp->lock);
		if (!j)
			return false;
		commit_done(sp, j);
		commit = j->kind == JOB_COMMIT;
		done = (struct spool_done){ .token = j->token, .result = j->result };
		job_free(j);
		if (commit) {
			*ret = done;
			return true;
		}
	}
}

int spool_wake_fd(const struct spool *sp)
{
	return sp->wake;
}

int spool_tick(struct spool *sp, uint64_t now_ms)
{
	int r = spool_failed(sp);

	(void)now_ms;
	spool_space(sp);
	if (r < 0)
		return r;
	outcome_flush(sp);
	snapshot_tick(sp);
	compact_tick(sp);
	commit_submit(sp, NULL, true);
	pthread_mutex_lock(&sp->lock);
	sp->ask = sp->log_dirty || sp->log_old >= 0 || sp->ask;
	if (sp->ask)
		pthread_cond_signal(&sp->work);
	pthread_mutex_unlock(&sp->lock);
	return spool_failed(sp);
}
