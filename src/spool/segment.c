/* segment.c - the table of segments, and reading from them. */
#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "spool/state.h"

#define READERS_MAX 128

void name_numbered(char to[static SPOOL_NAME_MAX], uint64_t number, const char *suffix)
{
	snprintf(to, SPOOL_NAME_MAX, "%016llx%s", (unsigned long long)number, suffix);
}

bool name_number(const char *name, const char *suffix, uint64_t *ret)
{
	uint64_t v = 0;
	size_t i;

	for (i = 0; i < 16; i++) {
		static const char digits[] = "0123456789abcdef";
		const char *d = name[i] ? strchr(digits, name[i]) : NULL;

		if (!d)
			return false;
		v = v << 4 | (uint64_t)(d - digits);
	}
	if (strcmp(name + i, suffix) != 0)
		return false;
	*ret = v;
	return true;
}

/* With its head and its name durable: a head that is bad later was damaged, not torn. */
int create_file(struct spool *sp, const char *name, enum record_file kind, uint64_t number,
		uint64_t *ret_nonce)
{
	unsigned char head[RECORD_FILE_HEAD];
	uint64_t nonce;
	int file, r;

	file = sp->disk->open(sp->disk, sp->dir, name, DISK_CREATE);
	if (file < 0)
		return file;
	randombytes_buf(&nonce, sizeof(nonce));
	record_file_head(head, kind, number, nonce);
	r = disk_write(sp->disk, file, head, sizeof(head), 0);
	if (r == 0)
		r = sp->disk->datasync(sp->disk, file);
	if (r == 0)
		r = sp->disk->dirsync(sp->disk, sp->dir);
	if (r < 0) {
		sp->disk->close(sp->disk, file);
		sp->disk->unlink(sp->disk, sp->dir, name);
		return r;
	}
	*ret_nonce = nonce;
	return file;
}

/* Where the number is, or would be. */
static size_t place(const struct spool *sp, uint64_t number)
{
	size_t low = 0, high = sp->segments;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (sp->segment[mid]->number < number)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct segment *segment_find(const struct spool *sp, uint64_t number)
{
	size_t i = place(sp, number);

	return i < sp->segments && sp->segment[i]->number == number ? sp->segment[i] : NULL;
}

int segment_add(struct spool *sp, uint64_t number, struct segment **ret)
{
	size_t i = place(sp, number);
	struct segment *s;

	if (sp->segments == sp->segment_room) {
		size_t room = sp->segment_room ? 2 * sp->segment_room : 16;
		struct segment **larger = reallocarray(sp->segment, room, sizeof(struct segment *));

		if (!larger)
			return -ENOMEM;
		sp->segment = larger;
		sp->segment_room = room;
	}
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->number = number;
	s->file = -1;
	memmove(sp->segment + i + 1, sp->segment + i, (sp->segments - i) * sizeof(struct segment *));
	sp->segment[i] = s;
	sp->segments++;
	*ret = s;
	return 0;
}

int segment_holds(struct segment *s, struct entry *e)
{
	if (s->entries == s->room) {
		size_t room = s->room ? 2 * s->room : 16;
		struct entry **larger = reallocarray(s->entry, room, sizeof(struct entry *));

		if (!larger)
			return -ENOMEM;
		s->entry = larger;
		s->room = room;
	}
	s->entry[s->entries++] = e;
	e->copies++;
	return 0;
}

static void segment_free(struct spool *sp, struct segment *s)
{
	if (s->file >= 0)
		sp->disk->close(sp->disk, s->file);
	free(s->entry);
	free(s);
}

void segment_forget(struct spool *sp, struct segment *s)
{
	size_t i = place(sp, s->number);

	for (size_t k = 0; k < s->entries; k++) {
		struct entry *e = s->entry[k];

		if (--e->copies > 0)
			continue;
		assert(e->dead);
		index_remove(&sp->index, e);
		entry_free(&sp->index, e);
	}
	sp->segments--;
	memmove(sp->segment + i, sp->segment + i + 1, (sp->segments - i) * sizeof(struct segment *));
	segment_free(sp, s);
}

void segments_done(struct spool *sp)
{
	for (size_t i = 0; i < sp->segments; i++)
		segment_free(sp, sp->segment[i]);
	free(sp->segment);
	sp->segment = NULL;
	sp->segments = 0;
}

static void close_idlest(struct spool *sp)
{
	struct segment *idlest = NULL;
	size_t opened = 0;

	for (size_t i = 0; i < sp->segments; i++) {
		struct segment *s = sp->segment[i];

		if (s->file < 0)
			continue;
		opened++;
		if (!idlest || s->used < idlest->used)
			idlest = s;
	}
	if (opened < READERS_MAX)
		return;
	sp->disk->close(sp->disk, idlest->file);
	idlest->file = -1;
}

int segment_read(struct spool *sp, struct segment *s, void *to, size_t n, uint64_t at)
{
	if (s->file < 0) {
		char name[SPOOL_NAME_MAX];
		int file;

		close_idlest(sp);
		name_numbered(name, s->number, ".seg");
		file = sp->disk->open(sp->disk, sp->dir, name, DISK_READ);
		if (file < 0)
			return file;
		s->file = file;
	}
	s->used = ++sp->turn;
	return disk_read(sp->disk, s->file, to, n, at);
}

uint64_t entry_size(const struct entry *e)
{
	return record_size(e->length);
}
