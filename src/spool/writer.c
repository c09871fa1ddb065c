/* writer.c - the open segment, on the sync thread: begun, cut back, sealed. */
#include <errno.h>

#include "base/crc32c.h"
#include "spool/state.h"

void commit_fail(struct spool *sp, int r)
{
	pthread_mutex_lock(&sp->lock);
	if (sp->failed == 0)
		sp->failed = r;
	pthread_mutex_unlock(&sp->lock);
}

/* Errors after which it is known what is on the disk: later commits may succeed. */
bool commit_passing(int r)
{
	return r == -ENOSPC || r == -EDQUOT || r == -ENOMEM || r == -EMFILE || r == -ENFILE;
}

int commit_sync(struct spool *sp, int file)
{
	struct timespec from, to;
	int r;

	clock_gettime(CLOCK_MONOTONIC, &from);
	r = sp->disk->datasync(sp->disk, file);
	clock_gettime(CLOCK_MONOTONIC, &to);
	pthread_mutex_lock(&sp->lock);
	sp->syncs++;
	sp->sync_us += (uint64_t)((to.tv_sec - from.tv_sec) * 1000000 + (to.tv_nsec - from.tv_nsec) / 1000);
	pthread_mutex_unlock(&sp->lock);
	if (r < 0)
		commit_fail(sp, r);
	return r;
}

/* What was written behind the last durable record was never promised. */
void writer_cut(struct spool *sp, int because)
{
	struct writer *w = &sp->writer;
	int r = sp->disk->truncate(sp->disk, w->file, w->at);

	if (!commit_passing(because))
		commit_fail(sp, because);
	else if (r < 0)
		commit_fail(sp, r);
}

int writer_begin(struct spool *sp)
{
	struct writer *w = &sp->writer;
	char name[SPOOL_NAME_MAX];
	int file;

	w->number = w->next_number++;
	name_numbered(name, w->number, ".seg");
	file = create_file(sp, name, RECORD_FILE_SEGMENT, w->number, &w->nonce);
	if (file < 0) {
		if (!commit_passing(file))
			commit_fail(sp, file);
		return file;
	}
	w->file = file;
	w->at = RECORD_FILE_HEAD;
	w->lines = 0;
	buf_reset(&w->index);
	return 0;
}

/* Ends the open segment with its index.  On failure it stays open. */
int writer_seal(struct spool *sp)
{
	struct writer *w = &sp->writer;
	unsigned char head[RECORD_HEAD], trailer[RECORD_TRAILER];
	static unsigned char zeros[8];
	struct buf top;
	struct iovec iov[5];
	struct slice first, lines = buf_slice(&w->index);
	size_t length;
	int r;

	if (w->file < 0)
		return 0;
	if (w->index.failed) { /* without an index, then: it is scanned by the next start */
		sp->disk->close(sp->disk, w->file);
		w->file = -1;
		return 0;
	}
	buf_init(&top, 64);
	record_put_index(&top, w->lines, w->holes);
	first = buf_slice(&top);
	length = first.n + lines.n;
	record_head(head, w->nonce, RECORD_INDEX, length, w->at, crc32c(crc32c(0, first), lines));
	record_trailer(trailer, w->nonce, w->at);
	iov[0] = (struct iovec){ head, sizeof(head) };
	iov[1] = (struct iovec){ (void *)(uintptr_t)first.p, first.n };
	iov[2] = (struct iovec){ (void *)(uintptr_t)lines.p, lines.n };
	iov[3] = (struct iovec){ zeros, record_size(length) - RECORD_HEAD - length };
	iov[4] = (struct iovec){ trailer, sizeof(trailer) };
	r = buf_ok(&top) ? disk_writev(sp->disk, w->file, iov, 5, w->at) : -ENOMEM;
	buf_done(&top);
	if (r < 0) {
		writer_cut(sp, r);
		return r;
	}
	r = commit_sync(sp, w->file);
	if (r < 0) {
		writer_cut(sp, r);
		return r;
	}
	sp->disk->close(sp->disk, w->file);
	w->file = -1;
	buf_reset(&w->index);
	return 0;
}
