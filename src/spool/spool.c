#include "spool/spool.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#include "spool/state.h"

#define CLEAN "clean"

#define MEMORY_MAX_DEFAULT (64U << 20)
#define BODY_DEFAULT	   (256U << 10)
#define BODY_MOST	   (16U << 20)
#define SEGMENT_DEFAULT	   (64U << 20)
#define SEGMENT_LEAST	   4096U
#define INDEX_MOST	   (64U << 20)
#define BACKLOG_MOST	   (4U << 20)

static void setup_fill(struct spool_setup *s)
{
	if (s->memory_max == 0)
		s->memory_max = MEMORY_MAX_DEFAULT;
	if (s->body_memory_max == 0)
		s->body_memory_max = BODY_DEFAULT;
	if (s->body_memory_max > BODY_MOST)
		s->body_memory_max = BODY_MOST;
	if (s->segment_max == 0)
		s->segment_max = SEGMENT_DEFAULT;
	if (s->segment_max < SEGMENT_LEAST)
		s->segment_max = SEGMENT_LEAST;
	if (s->segment_max > SPOOL_SEGMENT_MAX)
		s->segment_max = SPOOL_SEGMENT_MAX;
}

static struct spool *spool_new(const struct spool_setup *setup)
{
	struct spool *sp = calloc(1, sizeof(*sp));

	if (!sp)
		return NULL;
	sp->setup = *setup;
	setup_fill(&sp->setup);
	sp->disk = setup->disk;
	sp->dir = sp->bodies = sp->lock_file = sp->wake = -1;
	sp->log_file = sp->log_old = sp->log.file = sp->writer.file = -1;
	pthread_mutex_init(&sp->lock, NULL);
	pthread_cond_init(&sp->work, NULL);
	list_init(&sp->later);
	list_init(&sp->pending);
	list_init(&sp->done);
	index_init(&sp->index);
	buf_init(&sp->writer.index, INDEX_MOST);
	buf_init(&sp->log.backlog, BACKLOG_MOST);
	sp->block = malloc(RECORD_BLOCK);
	if (!sp->block) {
		spool_close(sp);
		return NULL;
	}
	return sp;
}

/* The mark of an orderly end is taken away before anything is written. */
static int take_clean_mark(struct spool *sp)
{
	int file = sp->disk->open(sp->disk, sp->dir, CLEAN, DISK_READ);
	int r;

	if (file == -ENOENT)
		return 0;
	if (file < 0)
		return file;
	sp->disk->close(sp->disk, file);
	r = sp->disk->unlink(sp->disk, sp->dir, CLEAN);
	if (r == 0)
		r = sp->disk->dirsync(sp->disk, sp->dir);
	if (r == 0)
		sp->recovery.clean = true;
	return r;
}

static void put_clean_mark(struct spool *sp)
{
	int file = sp->disk->open(sp->disk, sp->dir, CLEAN, DISK_CREATE);

	if (file < 0)
		return;
	sp->disk->close(sp->disk, file);
	sp->disk->dirsync(sp->disk, sp->dir);
}

/* ---- which boot of the machine it was ---- */

#define BOOT	 "boot-"
#define BOOT_LEN 23 /* octets of the boot_id that stand in the name: 80 random bits */

struct boots {
	struct spool *sp;
	char now[SPOOL_NAME_MAX];
	bool here, other;
};

static void boots_init(struct boots *b, struct spool *sp)
{
	*b = (struct boots){ .sp = sp };
	snprintf(b->now, sizeof(b->now), BOOT "%.*s", BOOT_LEN, sp->setup.boot);
}

static bool look_boot(void *arg, const char *name)
{
	struct boots *b = arg;

	if (!strcmp(name, b->now))
		b->here = true;
	else if (!strncmp(name, BOOT, strlen(BOOT)))
		b->other = true;
	return true;
}

/* The name of this boot is on the disk before anything is written in it. */
static int take_boot(struct spool *sp)
{
	struct boots b;
	int r, file;

	if (!sp->setup.boot || !sp->setup.boot[0])
		return 0;
	boots_init(&b, sp);
	r = sp->disk->list(sp->disk, sp->dir, look_boot, &b);
	if (r < 0)
		return r;
	sp->recovery.power_lost = b.other && !sp->recovery.clean;
	if (b.here)
		return 0;
	file = sp->disk->open(sp->disk, sp->dir, b.now, DISK_CREATE);
	if (file < 0)
		return file;
	sp->disk->close(sp->disk, file);
	return sp->disk->dirsync(sp->disk, sp->dir);
}

static bool drop_boot(void *arg, const char *name)
{
	struct boots *b = arg;

	if (strcmp(name, b->now) != 0 && !strncmp(name, BOOT, strlen(BOOT)))
		b->sp->disk->unlink(b->sp->disk, b->sp->dir, name);
	return true;
}

void spool_settled(struct spool *sp)
{
	struct boots b;

	if (!sp->setup.boot || !sp->setup.boot[0])
		return;
	boots_init(&b, sp);
	(void)sp->disk->list(sp->disk, sp->dir, drop_boot, &b); /* else it is told once more */
}

static int open_folders(struct spool *sp)
{
	sp->dir = sp->disk->folder(sp->disk, sp->setup.dir);
	if (sp->dir < 0)
		return sp->dir;
	sp->lock_file = sp->disk->lock(sp->disk, sp->dir, "lock");
	if (sp->lock_file < 0)
		return sp->lock_file;
	sp->bodies = sp->disk->subfolder(sp->disk, sp->dir, "bodies");
	if (sp->bodies < 0)
		return sp->bodies;
	return 0;
}

int spool_open(const struct spool_setup *setup, struct spool **ret)
{
	struct spool *sp = spool_new(setup);
	int r;

	if (!sp)
		return -ENOMEM;
	sp->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = sp->wake < 0 ? -errno : open_folders(sp);
	if (r == 0)
		r = take_clean_mark(sp);
	if (r == 0)
		r = take_boot(sp);
	if (r == 0)
		r = recover(sp);
	if (r == 0)
		r = commit_start(sp);
	if (r < 0) {
		spool_close(sp);
		return r;
	}
	sp->opened = true;
	spool_space(sp);
	*ret = sp;
	return 0;
}

static void free_jobs(struct spool *sp, struct list *jobs)
{
	while (!list_empty(jobs)) {
		struct job *j = container_of(jobs->next, struct job, link);

		list_remove(&j->link);
		if (j->kind == JOB_COMMIT)
			spool_body_drop(j->body);
		job_free(j);
	}
	(void)sp;
}

/* Everything durable, the segment sealed: the next start scans nothing. */
static void end_in_order(struct spool *sp)
{
	outcome_flush(sp);
	commit_submit(sp, NULL, true);
	commit_stop(sp);
	if (spool_failed(sp) == 0 && writer_seal(sp) == 0 && spool_failed(sp) == 0 && sp->log.backlog.n == 0)
		put_clean_mark(sp);
}

void spool_close(struct spool *sp)
{
	struct outcome_log *log;

	if (!sp)
		return;
	log = &sp->log;
	if (sp->opened) {
		end_in_order(sp);
		if (log->snapshot)
			snapshot_abandon(
				sp); /* unless it was just put in place: then only the name is gone */
	}
	free_jobs(sp, &sp->later);
	free_jobs(sp, &sp->pending);
	free_jobs(sp, &sp->done);
	if (sp->writer.file >= 0)
		sp->disk->close(sp->disk, sp->writer.file);
	if (log->file >= 0)
		sp->disk->close(sp->disk, log->file);
	segments_done(sp);
	index_done(&sp->index);
	buf_done(&sp->writer.index);
	buf_done(&log->backlog);
	free(sp->missing);
	free(sp->block);
	if (sp->bodies >= 0)
		sp->disk->close(sp->disk, sp->bodies);
	if (sp->lock_file >= 0)
		sp->disk->close(sp->disk, sp->lock_file);
	if (sp->dir >= 0)
		sp->disk->close(sp->disk, sp->dir);
	if (sp->wake >= 0)
		close(sp->wake);
	pthread_cond_destroy(&sp->work);
	pthread_mutex_destroy(&sp->lock);
	free(sp);
}
