/* commit.c - taking messages in, and the sync thread: the order that is the promise.
 *
 * A turn writes and syncs everything that waits, then releases the waiters.
 * What arrives meanwhile joins the next turn, so nobody waits on purpose, and a
 * slow disk makes larger batches by itself.
 *
 * The order within a turn: bodies in files of their own and their names; the
 * segment; the outcome log; and only then what destroys something (the bodies
 * of finished messages, emptied segments, logs before a snapshot).
 */
#include <assert.h>
#include <errno.h>
#include <sys/eventfd.h>

#include "base/crc32c.h"
#include "spool/state.h"

#define LOG_WAITS_NS (100 * UINT64_C(1000000))

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

struct job *job_new(enum job_kind kind)
{
	struct job *j = calloc(1, sizeof(*j));

	if (!j)
		return NULL;
	list_init(&j->link);
	j->kind = kind;
	buf_init(&j->payload, RECORD_PAYLOAD_MAX);
	return j;
}

void job_free(struct job *j)
{
	if (!j)
		return;
	buf_done(&j->payload);
	free(j);
}

int spool_failed(struct spool *sp)
{
	int r;

	pthread_mutex_lock(&sp->lock);
	r = sp->failed;
	pthread_mutex_unlock(&sp->lock);
	return r;
}

/* --- one batch --- */

struct group {
	struct list jobs;
	uint64_t size;
	size_t n, parts;
};

static size_t job_parts(const struct job *j)
{
	size_t n = 3;

	if (j->body)
		for (const struct chunk *c = j->body->first; c; c = c->next)
			n++;
	return n;
}

static size_t job_iov(struct job *j, struct iovec *iov)
{
	static unsigned char zeros[8];
	struct slice payload = buf_slice(&j->payload);
	size_t n = 0;

	iov[n++] = (struct iovec){ j->head, sizeof(j->head) };
	iov[n++] = (struct iovec){ (void *)(uintptr_t)payload.p, payload.n };
	if (j->body)
		for (struct chunk *c = j->body->first; c; c = c->next)
			iov[n++] = (struct iovec){ c->byte, c->n };
	iov[n++] = (struct iovec){ zeros, record_size(j->length) - RECORD_HEAD - j->length };
	return n;
}

static int group_write(struct spool *sp, struct group *g)
{
	struct writer *w = &sp->writer;
	struct iovec *iov = calloc(g->parts, sizeof(*iov));
	struct list *at, *after;
	uint64_t place = w->at;
	size_t n = 0;
	int r;

	if (!iov)
		return -ENOMEM;
	LIST_EACH (&g->jobs, at, after) {
		struct job *j = container_of(at, struct job, link);

		record_head(j->head, w->nonce, RECORD_MESSAGE, j->length, w->at, j->payload_crc);
		n += job_iov(j, iov + n);
		j->number = w->number;
		j->line.at = (uint32_t)place;
		place += record_size(j->length);
	}
	r = disk_writev(sp->disk, w->file, iov, n, w->at);
	free(iov);
	if (r == 0)
		r = commit_sync(sp, w->file);
	if (r < 0) {
		writer_cut(sp, r);
		return r;
	}
	w->at = place;
	return 0;
}

/* Writes the group and moves its jobs to out, each with its result. */
static void group_flush(struct spool *sp, struct group *g, struct list *out)
{
	struct list *at, *after;
	int r;

	if (g->n == 0)
		return;
	r = group_write(sp, g);
	LIST_EACH (&g->jobs, at, after) {
		struct job *j = container_of(at, struct job, link);

		j->result = r;
		if (r == 0) {
			record_put_line(&sp->writer.index, &j->line);
			sp->writer.lines++;
		} else if (j->kind == JOB_COMMIT && j->line.own_file) {
			sp->disk->unlink(sp->disk, sp->bodies, j->line.id.text);
		}
		list_remove(&j->link);
		list_push_back(out, &j->link);
	}
	pthread_mutex_lock(&sp->lock);
	if (g->n > sp->largest_batch)
		sp->largest_batch = g->n;
	pthread_mutex_unlock(&sp->lock);
	g->n = g->parts = 0;
	g->size = 0;
}

/* A segment with room for this much behind what is waiting. */
static int make_room(struct spool *sp, struct group *g, uint64_t size, struct list *out)
{
	struct writer *w = &sp->writer;
	int r = 0;

	if (w->file >= 0 && w->at + g->size + size > sp->setup.segment_max &&
	    w->at + g->size > RECORD_FILE_HEAD) {
		group_flush(sp, g, out);
		r = spool_failed(sp);
		if (r == 0)
			r = writer_seal(sp);
	}
	if (r == 0 && w->file < 0)
		r = writer_begin(sp);
	return r;
}

static void refuse(struct spool *sp, struct job *j, int r, struct list *out)
{
	if (j->kind == JOB_COMMIT && j->line.own_file)
		sp->disk->unlink(sp->disk, sp->bodies, j->line.id.text);
	j->result = r;
	list_remove(&j->link);
	list_push_back(out, &j->link);
}

/* Makes the bodies in files of their own durable, under the message's id. */
static void sync_bodies(struct spool *sp, struct list *jobs, struct list *out)
{
	struct list *at, *after;
	bool any = false;
	int r = spool_failed(sp);

	LIST_EACH (jobs, at, after) {
		struct job *j = container_of(at, struct job, link);
		int done = r;

		if (j->kind != JOB_COMMIT || !j->line.own_file)
			continue;
		if (done == 0)
			done = commit_sync(sp, j->body->file);
		sp->disk->close(sp->disk, j->body->file);
		j->body->file = -1;
		if (done == 0)
			done = sp->disk->rename(sp->disk, sp->bodies, j->body->name, j->line.id.text);
		if (done < 0) {
			sp->disk->unlink(sp->disk, sp->bodies, j->body->name);
			j->result = done;
			list_remove(&j->link);
			list_push_back(out, &j->link);
		} else {
			any = true;
		}
	}
	if (!any)
		return;
	r = sp->disk->dirsync(sp->disk, sp->bodies);
	if (r < 0)
		commit_fail(sp, r);
}

static void write_messages(struct spool *sp, struct list *jobs, struct list *out)
{
	struct group g = { .n = 0 };
	struct list *at, *after;

	list_init(&g.jobs);
	LIST_EACH (jobs, at, after) {
		struct job *j = container_of(at, struct job, link);
		uint64_t size = record_size(j->length);
		int r;

		if (j->kind != JOB_COMMIT && j->kind != JOB_COPY)
			continue;
		r = spool_failed(sp);
		if (r == 0)
			r = make_room(sp, &g, size, out);
		if (r < 0) {
			refuse(sp, j, r, out);
			continue;
		}
		list_remove(&j->link);
		list_push_back(&g.jobs, &j->link);
		g.n++;
		g.size += size;
		g.parts += job_parts(j);
	}
	group_flush(sp, &g, out);
}

/* --- the outcome log --- */

/* While commits keep coming the log is not synced behind each of them: on a disk that
 * takes long they would wait for outcomes of others, which may be a second late. */
static bool log_can_wait(struct spool *sp, const struct list *chores)
{
	bool busy;

	if (!sp->threaded || !list_empty(chores) || now_ns() - sp->log_synced_ns > LOG_WAITS_NS)
		return false;
	pthread_mutex_lock(&sp->lock);
	busy = !list_empty(&sp->pending) && sp->log_old < 0 && !sp->stop;
	pthread_mutex_unlock(&sp->lock);
	return busy;
}

static int sync_log(struct spool *sp)
{
	int file, old, r = 0;
	uint64_t written;
	bool dirty;

	pthread_mutex_lock(&sp->lock);
	file = sp->log_file;
	old = sp->log_old;
	written = sp->log_written;
	dirty = sp->log_dirty;
	sp->log_dirty = false;
	pthread_mutex_unlock(&sp->lock);
	sp->log_synced_ns = now_ns();
	if (old >= 0)
		r = commit_sync(sp, old);
	if (r == 0 && dirty && file >= 0)
		r = commit_sync(sp, file);
	if (old >= 0)
		sp->disk->close(sp->disk, old);
	pthread_mutex_lock(&sp->lock);
	if (old >= 0)
		sp->log_old = -1;
	if (r == 0 && dirty && file == sp->log_file)
		sp->log_durable = written;
	pthread_mutex_unlock(&sp->lock);
	return r;
}

/* --- what destroys something: only when all before it is durable --- */

static int drop_segment(struct spool *sp, const struct job *j)
{
	char name[SPOOL_NAME_MAX], aside[SPOOL_NAME_MAX];
	int r;

	name_numbered(name, j->number, ".seg");
	name_numbered(aside, j->number, ".damaged");
	r = j->aside ? sp->disk->rename(sp->disk, sp->dir, name, aside)
		     : sp->disk->unlink(sp->disk, sp->dir, name);
	if (r < 0 && r != -ENOENT)
		return r;
	return sp->disk->dirsync(sp->disk, sp->dir);
}

static int place_snapshot(struct spool *sp, const struct job *j)
{
	char from[SPOOL_NAME_MAX], name[SPOOL_NAME_MAX];
	int r = commit_sync(sp, j->file);

	name_numbered(from, j->number, ".tmp");
	name_numbered(name, j->number, ".log");
	if (r == 0)
		r = sp->disk->rename(sp->disk, sp->dir, from, name);
	if (r == 0)
		r = sp->disk->dirsync(sp->disk, sp->dir);
	for (uint64_t n = j->lowest; r == 0 && n < j->number; n++) {
		name_numbered(name, n, ".log");
		sp->disk->unlink(sp->disk, sp->dir, name);
	}
	return r;
}

static void chores(struct spool *sp, struct list *jobs, int r, struct list *out)
{
	struct list *at, *after;

	LIST_EACH (jobs, at, after) {
		struct job *j = container_of(at, struct job, link);

		j->result = r;
		if (r == 0 && j->kind == JOB_BODY)
			sp->disk->unlink(sp->disk, sp->bodies, j->line.id.text);
		if (r == 0 && j->kind == JOB_SEGMENT)
			j->result = drop_segment(sp, j);
		if (r == 0 && j->kind == JOB_SNAPSHOT)
			j->result = place_snapshot(sp, j);
		list_remove(&j->link);
		list_push_back(out, &j->link);
	}
}

static void move_all(struct list *from, struct list *to)
{
	while (!list_empty(from)) {
		struct list *first = from->next;

		list_remove(first);
		list_push_back(to, first);
	}
}

static void post(struct spool *sp, struct list *jobs)
{
	uint64_t one = 1;

	if (list_empty(jobs))
		return;
	pthread_mutex_lock(&sp->lock);
	move_all(jobs, &sp->done);
	(void)!write(sp->wake, &one, sizeof(one));
	pthread_mutex_unlock(&sp->lock);
}

static int turn(struct spool *sp)
{
	struct list jobs, out;
	int r;

	list_init(&jobs);
	list_init(&out);
	pthread_mutex_lock(&sp->lock);
	move_all(&sp->pending, &jobs);
	sp->ask = false;
	pthread_mutex_unlock(&sp->lock);
	sync_bodies(sp, &jobs, &out);
	write_messages(sp, &jobs, &out);
	post(sp, &out);
	r = spool_failed(sp);
	if (r == 0 && !log_can_wait(sp, &jobs))
		r = sync_log(sp);
	chores(sp, &jobs, r, &out);
	post(sp, &out);
	return spool_failed(sp);
}

static void *sync_thread(void *arg)
{
	struct spool *sp = arg;

	pthread_mutex_lock(&sp->lock);
	for (;;) {
		while (!sp->stop && !sp->ask && list_empty(&sp->pending))
			pthread_cond_wait(&sp->work, &sp->lock);
		if (sp->stop && list_empty(&sp->pending))
			break;
		pthread_mutex_unlock(&sp->lock);
		turn(sp);
		pthread_mutex_lock(&sp->lock);
	}
	pthread_mutex_unlock(&sp->lock);
	return NULL;
}

int commit_start(struct spool *sp)
{
	if (sp->setup.manual_sync)
		return 0;
	if (pthread_create(&sp->thread, NULL, sync_thread, sp) != 0)
		return -EAGAIN;
	sp->threaded = true;
	return 0;
}

void commit_stop(struct spool *sp)
{
	if (sp->threaded) {
		pthread_mutex_lock(&sp->lock);
		sp->stop = true;
		pthread_cond_signal(&sp->work);
		pthread_mutex_unlock(&sp->lock);
		pthread_join(sp->thread, NULL);
		sp->threaded = false;
	}
	/* What came last: outcomes, and deletions that waited for company. */
	if (sp->opened)
		turn(sp);
}

int spool_sync_now(struct spool *sp)
{
	return sp->threaded ? spool_failed(sp) : turn(sp);
}

/* Hands a job to the sync thread: now, or with whatever comes next. */
void commit_submit(struct spool *sp, struct job *j, bool now)
{
	if (j)
		list_push_back(&sp->later, &j->link);
	/* An event that the disk did not take yet must be there before what
	 * follows from it is done. */
	if (!now || sp->log.backlog.n > 0)
		return;
	pthread_mutex_lock(&sp->lock);
	move_all(&sp->later, &sp->pending);
	pthread_cond_signal(&sp->work);
	pthread_mutex_unlock(&sp->lock);
}
