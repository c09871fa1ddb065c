/* recover.c - what a start reads back: segments, the outcome log, bodies. */
#include <errno.h>
#include <string.h>

#include "spool/recover.h"

#define FILE_MAX (2ULL * SPOOL_SEGMENT_MAX)

struct listing {
	struct spool *sp;
	struct numbers segments, logs, temporary;
};
void recover_number(struct numbers *v, uint64_t n)
{
	if (v->count == v->room) {
		size_t room = v->room ? 2 * v->room : 64;
		uint64_t *larger = reallocarray(v->n, room, sizeof(*larger));

		if (!larger) {
			v->failed = true;
			return;
		}
		v->n = larger;
		v->room = room;
	}
	v->n[v->count++] = n;
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void number_sort(struct numbers *v)
{
	if (v->count > 1)
		qsort(v->n, v->count, sizeof(*v->n), by_number);
}

static bool list_file(void *arg, const char *name)
{
	struct listing *l = arg;
	struct spool *sp = l->sp;
	uint64_t n;

	if (name_number(name, ".seg", &n))
		recover_number(&l->segments, n);
	else if (name_number(name, ".log", &n))
		recover_number(&l->logs, n);
	else if (name_number(name, ".tmp", &n))
		recover_number(&l->temporary, n);
	else if (!name_number(name, ".damaged", &n))
		return true;
	/* No number is ever used twice. */
	if (n < UINT64_MAX && n >= sp->writer.next_number && !name_number(name, ".log", &n) &&
	    !name_number(name, ".tmp", &n))
		sp->writer.next_number = n + 1;
	if (n < UINT64_MAX && n >= sp->log.next_number &&
	    (name_number(name, ".log", &n) || name_number(name, ".tmp", &n)))
		sp->log.next_number = n + 1;
	return true;
}

int recover_read(struct spool *sp, const char *name, unsigned char **ret, size_t *ret_n)
{
	int file = sp->disk->open(sp->disk, sp->dir, name, DISK_READ);
	unsigned char *p;
	uint64_t size;
	int r;

	if (file < 0)
		return file;
	r = sp->disk->size(sp->disk, file, &size);
	if (r == 0 && size > FILE_MAX)
		r = -EFBIG;
	p = r == 0 ? malloc((size_t)size + 1) : NULL;
	if (r == 0 && !p)
		r = -ENOMEM;
	if (r == 0)
		r = disk_read(sp->disk, file, p, (size_t)size, 0);
	sp->disk->close(sp->disk, file);
	if (r < 0) {
		free(p);
		return r;
	}
	*ret = p;
	*ret_n = (size_t)size;
	return 0;
}

uint64_t recover_nonzero(struct slice s)
{
	while (s.n > 0 && s.p[s.n - 1] == 0)
		s.n--;
	return s.n;
}
static int find_missing(struct spool *sp, struct numbers *known)
{
	size_t n = 0;

	for (size_t i = 0; i < known->count; i++)
		if (!segment_find(sp, known->n[i]))
			known->n[n++] = known->n[i];
	sp->missing = known->n;
	sp->missings = n;
	sp->recovery.missing += n;
	sp->lost |= n > 0;
	*known = (struct numbers){ 0 };
	return 0;
}

/* --- bodies --- */

static bool list_body(void *arg, const char *name)
{
	struct spool *sp = arg;
	struct entry *e;
	struct id id;

	if (id_parse(slice_str(name), &id)) {
		e = index_find(&sp->index, id.text);
		if (e && !e->dead && e->own_file) {
			e->body_there = true;
			return true;
		}
		/* While something is missing, a body without a message may be all
		 * that is left of one. */
		if (sp->lost && !e)
			return true;
	}
	if (sp->disk->unlink(sp->disk, sp->bodies, name) == 0)
		sp->recovery.orphans++;
	return true;
}

static int check_bodies(struct spool *sp)
{
	int r;

	for (size_t i = 0; i < sp->segments; i++)
		sp->lost |= sp->segment[i]->holes > 0;
	r = sp->disk->list(sp->disk, sp->bodies, list_body, sp);
	if (r < 0)
		return r;
	for (struct entry *e = index_after(&sp->index, NULL); e; e = index_after(&sp->index, e->id)) {
		if (e->dead || !e->own_file || e->body_there)
			continue;
		sp->recovery.missing++;
		sp->count.damaged += !e->damaged;
		e->damaged = true;
	}
	return 0;
}

static int load(struct spool *sp, struct listing *l)
{
	struct numbers known = { 0 };
	char name[SPOOL_NAME_MAX];
	int r = 0;

	for (size_t i = 0; i < l->temporary.count; i++) {
		name_numbered(name, l->temporary.n[i], ".tmp");
		sp->disk->unlink(sp->disk, sp->dir, name);
	}
	for (size_t i = 0; r == 0 && i < l->segments.count; i++)
		r = recover_segment(sp, l->segments.n[i], i + 1 == l->segments.count);
	if (r == 0)
		r = recover_logs(sp, &l->logs, &known);
	if (r == 0)
		r = find_missing(sp, &known);
	free(known.n);
	return r == 0 ? check_bodies(sp) : r;
}

int recover(struct spool *sp)
{
	struct listing l = { .sp = sp };
	int r;

	sp->writer.next_number = sp->log.next_number = 1;
	r = sp->disk->list(sp->disk, sp->dir, list_file, &l);
	if (r == 0 && (l.segments.failed || l.logs.failed || l.temporary.failed))
		r = -ENOMEM;
	number_sort(&l.segments);
	number_sort(&l.logs);
	if (r == 0)
		r = load(sp, &l);
	free(l.segments.n);
	free(l.logs.n);
	free(l.temporary.n);
	sp->recovery.messages = sp->count.messages;
	sp->recovery.segments = sp->segments;
	return r;
}
