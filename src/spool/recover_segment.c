/* recover_segment.c - reading segments back: by the index, or by a scan. */
#include <errno.h>
#include <string.h>

#include "spool/recover.h"

static int cut_file(struct spool *sp, const char *name, uint64_t size)
{
	int file = sp->disk->open(sp->disk, sp->dir, name, DISK_WRITE);
	int r;

	if (file < 0)
		return file;
	r = sp->disk->truncate(sp->disk, file, size);
	if (r == 0)
		r = sp->disk->datasync(sp->disk, file);
	sp->disk->close(sp->disk, file);
	return r;
}

/* A record of a message, from an index or a scan. Later records come later, and
 * win. */
static int found(struct spool *sp, struct segment *s, const struct record_line *l)
{
	struct entry *e = index_find(&sp->index, l->id.text);
	bool fresh = !e;
	int r;

	if (fresh) {
		e = calloc(1, sizeof(*e));
		if (!e)
			return -ENOMEM;
		memcpy(e->id, l->id.text, ID_LEN);
		index_insert(&sp->index, e);
		sp->count.messages++;
	}
	r = segment_holds(s, e);
	if (r < 0) {
		e->copies++;
		return r;
	}
	/* A damaged copy does not replace a good one. */
	if (!fresh && l->damaged && !e->damaged)
		return 0;
	if (e->where)
		e->where->live -= entry_size(e);
	sp->count.damaged += (uint64_t)l->damaged - e->damaged;
	e->damaged = l->damaged;
	e->own_file = l->own_file;
	e->time_ms = l->time_ms & INDEX_48;
	e->body_size = l->body_size & INDEX_48;
	e->recipients = e->open = l->recipients;
	e->at = l->at;
	e->length = l->length;
	e->where = s;
	s->live += entry_size(e);
	return 0;
}

static int from_index(struct spool *sp, struct segment *s, int file, uint64_t size)
{
	unsigned char trailer[RECORD_TRAILER], *p;
	uint64_t nonce, at;
	struct record r;
	struct slice cur;
	struct record_line l;
	uint32_t lines, holes;
	int error;

	if (size < RECORD_TRAILER + RECORD_HEAD + RECORD_FILE_HEAD)
		return -EBADMSG;
	error = disk_read(sp->disk, file, trailer, sizeof(trailer), size - RECORD_TRAILER);
	if (error < 0)
		return error;
	if (!record_get_trailer(slice_of(trailer, sizeof(trailer)), &nonce, &at) || at < RECORD_FILE_HEAD ||
	    at > size - RECORD_TRAILER - RECORD_HEAD)
		return -EBADMSG;
	size -= RECORD_TRAILER + at;
	if (size > record_size(RECORD_PAYLOAD_MAX))
		return -EBADMSG;
	p = malloc((size_t)size);
	if (!p)
		return -ENOMEM;
	error = disk_read(sp->disk, file, p, (size_t)size, at);
	cur = slice_of(p, (size_t)size);
	if (error == 0 && (!record_whole(cur, &r) || r.type != RECORD_INDEX))
		error = -EBADMSG;
	cur = error == 0 ? r.payload : cur;
	if (error == 0 && !record_get_index(&cur, &lines, &holes))
		error = -EBADMSG;
	for (struct slice test = cur; error == 0 && test.n > 0;)
		if (!record_get_line(&test, &l) || l.at < RECORD_FILE_HEAD ||
		    l.at + record_size(l.length) > at)
			error = -EBADMSG;
	while (error == 0 && cur.n > 0 && record_get_line(&cur, &l))
		error = found(sp, s, &l);
	if (error == 0) {
		s->holes = holes;
		sp->recovery.damaged += holes;
	}
	free(p);
	return error;
}

struct scan {
	struct spool *sp;
	struct segment *s;
	struct slice file;
	uint64_t nonce, durable; /* what some later record says was on the disk */
	uint64_t end;		 /* of the last record */
	bool torn_allowed, indexed;
};

/* Whether damage at this place is no more than a batch that never finished. */
static bool torn(const struct scan *c, uint64_t at)
{
	return c->torn_allowed && at >= c->durable;
}

static int scan_message(struct scan *c, const struct record *r, bool broken)
{
	struct record_message m;
	struct record_line l;

	if (!record_get_message(r->payload, &m))
		return -EBADMSG;
	if (broken && (record_meta_at(&m) > r->payload.n ||
		       !record_message_intact(slice_head(r->payload, (size_t)record_meta_at(&m)))))
		return -EBADMSG; /* not even the id is certain */
	l = (struct record_line){
		.id = m.id,
		.own_file = m.own_file,
		.damaged = broken,
		.recipients = m.recipients,
		.time_ms = m.time_ms,
		.body_size = m.body_size,
		.at = (uint32_t)r->at,
		.length = (uint32_t)r->payload.n,
	};
	return found(c->sp, c->s, &l);
}

static int scan_item(struct scan *c, enum record_scan what, const struct record *r)
{
	struct spool *sp = c->sp;
	int error = -EBADMSG;

	if (what != RECORD_HOLE && r->type == RECORD_INDEX) {
		c->indexed = true;
		return 0;
	}
	if (what == RECORD_GOOD && r->type == RECORD_MESSAGE) {
		error = scan_message(c, r, false);
	} else if (torn(c, r->at)) {
		sp->recovery.torn_bytes +=
			what == RECORD_HOLE ? recover_nonzero(slice_of(c->file.p + r->at, (size_t)r->n))
					    : r->n;
		return 0;
	} else if (c->indexed) {
		return 0; /* the trailer */
	} else if (what == RECORD_BROKEN && r->type == RECORD_MESSAGE) {
		error = scan_message(c, r, true);
		sp->recovery.damaged += error == 0;
	} else if (what == RECORD_HOLE && recover_nonzero(slice_of(c->file.p + r->at, (size_t)r->n)) == 0 &&
		   r->at + r->n == c->file.n) {
		return 0; /* zeros at the end are the end */
	}
	if (error == -EBADMSG) {
		c->s->holes++;
		sp->recovery.damaged++;
		error = 0;
	}
	c->end = (r->at + r->n + 7) & ~UINT64_C(7);
	return error;
}

static int scan_segment(struct spool *sp, struct segment *s, struct slice file, bool torn_allowed)
{
	struct scan c = {
		.sp = sp, .s = s, .file = file, .torn_allowed = torn_allowed, .end = RECORD_FILE_HEAD
	};
	struct record_scanner pass;
	enum record_scan what;
	struct record r;
	int error = 0;

	if (!record_file_nonce(file, RECORD_FILE_SEGMENT, s->number, &c.nonce))
		return -EBADMSG;
	pass = (struct record_scanner){ .file = file, .nonce = c.nonce, .at = RECORD_FILE_HEAD };
	while ((what = record_next(&pass, &r)) != RECORD_END)
		if (what == RECORD_GOOD && r.durable > c.durable)
			c.durable = r.durable;
	pass.at = RECORD_FILE_HEAD;
	while (error == 0 && (what = record_next(&pass, &r)) != RECORD_END)
		error = scan_item(&c, what, &r);
	s->size = torn_allowed ? c.end : (file.n + 7) & ~UINT64_C(7);
	return error;
}

/* Writes the index of a segment that was open when the power failed, so that the
 * next start does not scan it, and cuts off what was torn. */
static int seal_again(struct spool *sp, struct segment *s, uint64_t nonce)
{
	struct writer *w = &sp->writer;
	char name[SPOOL_NAME_MAX];
	int r;

	name_numbered(name, s->number, ".seg");
	r = cut_file(sp, name, s->size);
	if (r < 0)
		return r;
	w->file = sp->disk->open(sp->disk, sp->dir, name, DISK_WRITE);
	if (w->file < 0)
		return w->file;
	w->at = s->size;
	w->nonce = nonce;
	w->holes = s->holes;
	buf_reset(&w->index);
	w->lines = 0;
	for (size_t i = 0; i < s->entries; i++) {
		const struct entry *e = s->entry[i];
		struct record_line l = {
			.own_file = e->own_file,
			.damaged = e->damaged,
			.recipients = e->recipients,
			.time_ms = e->time_ms,
			.body_size = e->body_size,
			.at = e->at,
			.length = e->length,
		};

		if (e->where != s)
			continue;
		memcpy(l.id.text, e->id, ID_LEN);
		record_put_line(&w->index, &l);
		w->lines++;
	}
	r = writer_seal(sp);
	w->holes = 0;
	if (w->file >= 0)
		sp->disk->close(sp->disk, w->file);
	w->file = -1;
	return r;
}

/* Out of the way, but there for the operator. */
static int set_aside(struct spool *sp, struct segment *s)
{
	char name[SPOOL_NAME_MAX], aside[SPOOL_NAME_MAX];
	int r;

	name_numbered(name, s->number, ".seg");
	name_numbered(aside, s->number, ".damaged");
	r = sp->disk->rename(sp->disk, sp->dir, name, aside);
	sp->recovery.damaged++;
	sp->recovery.scanned++;
	sp->lost = true;
	segment_forget(sp, s);
	return r < 0 ? r : sp->disk->dirsync(sp->disk, sp->dir);
}

static int by_scan(struct spool *sp, struct segment *s, const char *name, bool last)
{
	bool torn_allowed = last && !sp->recovery.clean;
	unsigned char *p;
	uint64_t nonce;
	size_t n;
	int r = recover_read(sp, name, &p, &n);

	if (r == -EIO || r == -EFBIG || r == -ENODATA)
		return set_aside(sp, s);
	if (r < 0)
		return r;
	if (n <= RECORD_FILE_HEAD) { /* begun, and nothing written yet; or missing, as the log will say */
		free(p);
		segment_forget(sp, s);
		return sp->disk->unlink(sp->disk, sp->dir, name);
	}
	r = scan_segment(sp, s, slice_of(p, n), torn_allowed);
	if (r == -EBADMSG) {
		free(p);
		return set_aside(sp, s);
	}
	sp->recovery.scanned++;
	s->doubted = !last;
	if (r == 0 && last) {
		record_file_nonce(slice_of(p, n), RECORD_FILE_SEGMENT, s->number, &nonce);
		r = seal_again(sp, s, nonce);
		if (r == -ENOSPC || r == -EDQUOT)
			r = 0; /* then it is scanned again by the next start */
	}
	free(p);
	return r;
}

int recover_segment(struct spool *sp, uint64_t number, bool last)
{
	struct segment *s;
	char name[SPOOL_NAME_MAX];
	uint64_t size = 0;
	int file, r;

	r = segment_add(sp, number, &s);
	if (r < 0)
		return r;
	s->sealed = true;
	name_numbered(name, number, ".seg");
	file = sp->disk->open(sp->disk, sp->dir, name, DISK_READ);
	if (file < 0)
		return file;
	r = sp->disk->size(sp->disk, file, &size);
	s->size = size;
	if (r == 0)
		r = from_index(sp, s, file, size);
	sp->disk->close(sp->disk, file);
	return r == -EBADMSG || r == -EIO ? by_scan(sp, s, name, last) : r;
}
