/* read.c - looking into the spool: messages, bodies, recipients, counters. */
#include <errno.h>
#include <string.h>

#include "base/crc32c.h"
#include "spool/state.h"

static struct entry *living(const struct spool *sp, const struct id *id)
{
	struct entry *e = index_find(&sp->index, id->text);

	return e && !e->dead && !e->pending ? e : NULL;
}

static void fill(const struct entry *e, struct spool_info *ret)
{
	*ret = (struct spool_info){
		.time_ms = e->time_ms,
		.body_size = e->body_size,
		.recipients = e->recipients,
		.open = e->open,
		.held = e->held,
		.warned = e->warned,
		.damaged = e->damaged,
	};
	memcpy(ret->id.text, e->id, ID_LEN);
}

int spool_info(const struct spool *sp, const struct id *id, struct spool_info *ret)
{
	struct entry *e = living(sp, id);

	if (!e)
		return -ENOENT;
	fill(e, ret);
	return 0;
}

bool spool_next(const struct spool *sp, const struct id *after, struct spool_info *ret)
{
	struct entry *e = index_after(&sp->index, after ? after->text : NULL);

	while (e && (e->dead || e->pending))
		e = index_after(&sp->index, e->id);
	if (!e)
		return false;
	fill(e, ret);
	return true;
}

static void damaged(struct spool *sp, struct entry *e)
{
	if (!e->damaged)
		sp->count.damaged++;
	e->damaged = true;
}

/* Reads a part of the record's payload. */
static int read_part(struct spool *sp, struct entry *e, void *to, size_t n, uint64_t at)
{
	int r;

	if (at + n > e->length)
		return -EBADMSG;
	r = segment_read(sp, e->where, to, n, e->at + RECORD_HEAD + at);
	return r == -ENODATA || r == -ENOENT ? -EBADMSG : r;
}

/* The message's head and block checksums, tested; what is returned is the
 * caller's to free. */
static int read_head(struct spool *sp, struct entry *e, struct record_message *ret, unsigned char **ret_bytes)
{
	unsigned char *all;
	struct record_message m;
	uint64_t blocks = e->body_size / RECORD_BLOCK + (e->body_size % RECORD_BLOCK > 0);
	size_t n;
	int r;

	if (e->length < RECORD_MESSAGE_HEAD || blocks > (e->length - RECORD_MESSAGE_HEAD) / 4)
		return -EBADMSG;
	n = (size_t)(RECORD_MESSAGE_HEAD + 4 * blocks);
	all = malloc(n);
	if (!all)
		return -ENOMEM;
	r = read_part(sp, e, all, n, 0);
	if (r == 0 && (!record_get_message(slice_of(all, n), &m) || memcmp(m.id.text, e->id, ID_LEN) != 0 ||
		       m.body_size != e->body_size ||
		       record_body_at(&m) + (m.own_file ? 0 : m.body_size) != e->length ||
		       !record_message_intact(slice_of(all, n))))
		r = -EBADMSG;
	if (r < 0) {
		free(all);
		return r;
	}
	*ret = m;
	*ret_bytes = all;
	return 0;
}

static uint32_t block_crc(const unsigned char *head, uint64_t block)
{
	const unsigned char *p = head + RECORD_MESSAGE_HEAD + 4 * block;

	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* The record's payload: all checksums are tested, then it is taken apart. */
static int take_whole(const struct entry *e, struct slice all, struct buf *envelope, struct buf *headers,
		      struct buf *body)
{
	uint64_t blocks = e->body_size / RECORD_BLOCK + (e->body_size % RECORD_BLOCK > 0);
	struct slice head = slice_head(all, (size_t)(RECORD_MESSAGE_HEAD + 4 * blocks)), meta, text;
	struct record_message m;

	if (head.n < RECORD_MESSAGE_HEAD + 4 * blocks || !record_get_message(head, &m) ||
	    memcmp(m.id.text, e->id, ID_LEN) != 0 || m.own_file || m.body_size != e->body_size ||
	    record_body_at(&m) + m.body_size != all.n || !record_message_intact(head))
		return -EBADMSG;
	meta = slice_head(slice_tail(all, record_meta_at(&m)), (size_t)m.envelope + m.headers);
	text = slice_tail(all, record_body_at(&m));
	if (crc32c(0, meta) != m.meta_crc)
		return -EBADMSG;
	for (uint64_t block = 0; block * RECORD_BLOCK < text.n; block++)
		if (crc32c(0, slice_head(slice_tail(text, block * RECORD_BLOCK), RECORD_BLOCK)) !=
		    block_crc(all.p, block))
			return -EBADMSG;
	buf_put(envelope, slice_head(meta, m.envelope));
	buf_put(headers, slice_tail(meta, m.envelope));
	buf_put(body, text);
	return buf_ok(envelope) && buf_ok(headers) && buf_ok(body) ? 0 : -ENOMEM;
}

int spool_read_whole(struct spool *sp, const struct id *id, size_t max, struct buf *envelope,
		     struct buf *headers, struct buf *body)
{
	struct entry *e = living(sp, id);
	unsigned char *all;
	int r;

	if (!e)
		return -ENOENT;
	if (e->own_file || e->length > max)
		return -ENODATA;
	all = malloc(e->length + 1);
	if (!all)
		return -ENOMEM;
	r = read_part(sp, e, all, e->length, 0);
	if (r == 0)
		r = take_whole(e, slice_of(all, e->length), envelope, headers, body);
	free(all);
	if (r == -EBADMSG)
		damaged(sp, e);
	return r;
}

static int read_meta(struct spool *sp, struct entry *e, struct buf *envelope, struct buf *headers)
{
	struct record_message m;
	unsigned char *head, *meta;
	struct slice all;
	int r = read_head(sp, e, &m, &head);

	if (r < 0)
		return r;
	free(head);
	all.n = (size_t)m.envelope + m.headers;
	meta = malloc(all.n + 1);
	if (!meta)
		return -ENOMEM;
	all.p = meta;
	r = read_part(sp, e, meta, all.n, record_meta_at(&m));
	if (r == 0 && crc32c(0, all) != m.meta_crc)
		r = -EBADMSG;
	if (r == 0 && envelope)
		buf_put(envelope, slice_head(all, m.envelope));
	if (r == 0 && headers)
		buf_put(headers, slice_tail(all, m.envelope));
	if (r == 0 && ((envelope && !buf_ok(envelope)) || (headers && !buf_ok(headers))))
		r = -ENOMEM;
	free(meta);
	return r;
}

int spool_read_meta(struct spool *sp, const struct id *id, struct buf *envelope, struct buf *headers)
{
	struct entry *e = living(sp, id);
	int r;

	if (!e)
		return -ENOENT;
	r = read_meta(sp, e, envelope, headers);
	if (r == -EBADMSG)
		damaged(sp, e);
	return r;
}

/* Block by block, each tested whole, as only a whole block has a checksum. */
static ssize_t read_blocks(struct spool *sp, struct entry *e, const struct record_message *m,
			   const unsigned char *head, int file, uint64_t offset, struct iovec to)
{
	size_t got = 0;

	while (got < to.iov_len && offset < m->body_size) {
		uint64_t block = offset / RECORD_BLOCK, start = block * RECORD_BLOCK;
		size_t size =
			(size_t)(m->body_size - start < RECORD_BLOCK ? m->body_size - start : RECORD_BLOCK);
		struct slice part;
		int r = file >= 0 ? disk_read(sp->disk, file, sp->block, size, start)
				  : read_part(sp, e, sp->block, size, record_body_at(m) + start);

		if (r == -ENODATA ||
		    (r == 0 && crc32c(0, slice_of(sp->block, size)) != block_crc(head, block)))
			r = -EBADMSG;
		if (r < 0)
			return got > 0 ? (ssize_t)got : r;
		part = slice_tail(slice_of(sp->block, size), (size_t)(offset - start));
		part = slice_head(part, to.iov_len - got);
		memcpy((unsigned char *)to.iov_base + got, part.p, part.n);
		got += part.n;
		offset += part.n;
	}
	return (ssize_t)got;
}

ssize_t spool_read_body(struct spool *sp, const struct id *id, uint64_t offset, void *to, size_t size)
{
	struct entry *e = living(sp, id);
	struct record_message m;
	unsigned char *head;
	int file = -1;
	ssize_t r;

	if (!e)
		return -ENOENT;
	r = read_head(sp, e, &m, &head);
	if (r == 0) {
		if (e->own_file)
			file = sp->disk->open(sp->disk, sp->bodies, m.id.text, DISK_READ);
		if (e->own_file && file < 0)
			r = file == -ENOENT ? -EBADMSG : file;
		else
			r = read_blocks(sp, e, &m, head, file, offset, (struct iovec){ to, size });
		if (file >= 0)
			sp->disk->close(sp->disk, file);
		free(head);
	}
	if (r == -EBADMSG)
		damaged(sp, e);
	return r;
}

int spool_body_fd(struct spool *sp, const struct id *id)
{
	struct entry *e = living(sp, id);
	int fd;

	if (!e)
		return -ENOENT;
	if (!e->own_file)
		return -ENODATA;
	fd = sp->disk->descriptor(sp->disk, sp->bodies, id->text);
	if (fd != -ENOENT)
		return fd;
	damaged(sp, e);
	return -EBADMSG;
}

int spool_recipient(struct spool *sp, const struct id *id, uint32_t recipient, struct spool_recipient *ret,
		    struct buf *detail)
{
	struct entry *e = living(sp, id);
	const struct index_recipient *r;

	if (!e)
		return -ENOENT;
	if (recipient >= e->recipients)
		return -EINVAL;
	*ret = (struct spool_recipient){ 0 };
	r = entry_marks(e);
	if (!r)
		return 0;
	r += recipient;
	*ret = (struct spool_recipient){
		.done = r->outcome != 0,
		.outcome = (enum spool_outcome)r->outcome,
		.attempted = r->attempted,
		.deferred = r->deferred,
		.marked_ms = r->marked_ms,
	};
	if (detail)
		recipient_detail_get(r, detail);
	return 0;
}

void spool_recovered(const struct spool *sp, struct spool_recovery *ret)
{
	*ret = sp->recovery;
}

void spool_count(const struct spool *sp, struct spool_counters *ret)
{
	struct spool *own = (struct spool *)(uintptr_t)sp; /* for the lock only */

	*ret = sp->count;
	ret->segments = sp->segments;
	ret->disk_bytes = sp->log.size;
	for (size_t i = 0; i < sp->segments; i++) {
		ret->disk_bytes += sp->segment[i]->size;
		ret->live_bytes += sp->segment[i]->live;
	}
	ret->memory_max = sp->setup.memory_max;
	pthread_mutex_lock(&own->lock);
	ret->syncs = sp->syncs;
	ret->sync_us = sp->sync_us;
	ret->largest_batch = sp->largest_batch;
	pthread_mutex_unlock(&own->lock);
}
