/* body.c - bodies while they are collected: in memory, then in files. */
#include <errno.h>
#include <string.h>

#include "base/crc32c.h"
#include "spool/state.h"

#define CHUNK_FIRST 4096U
#define CHUNK_MOST  65536U
#define FILES_MAX   1024U

int spool_body_new(struct spool *sp, struct spool_body **ret)
{
	struct spool_body *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	b->sp = sp;
	b->file = -1;
	sp->count.collecting++;
	*ret = b;
	return 0;
}

struct slice body_chunk(const struct chunk *c)
{
	return slice_of(c->byte, c->n);
}

static void drop_chunks(struct spool_body *b)
{
	struct chunk *next;

	for (struct chunk *c = b->first; c; c = next) {
		next = c->next;
		free(c);
	}
	b->first = b->last = NULL;
	b->sp->count.memory_used -= b->memory;
	b->memory = 0;
}

void spool_body_drop(struct spool_body *b)
{
	struct spool *sp;

	if (!b)
		return;
	sp = b->sp;
	drop_chunks(b);
	if (b->file >= 0) {
		sp->disk->close(sp->disk, b->file);
		sp->disk->unlink(sp->disk, sp->bodies, b->name);
		sp->body_files--;
	}
	sp->count.collecting--;
	free(b->block);
	free(b);
}

uint64_t spool_body_size(const struct spool_body *b)
{
	return b->size;
}

static int add_block(struct spool_body *b)
{
	if (b->blocks == b->block_room) {
		size_t room = b->block_room ? 2 * b->block_room : 4;
		uint32_t *larger = reallocarray(b->block, room, sizeof(*larger));

		if (!larger)
			return -ENOMEM;
		b->block = larger;
		b->block_room = room;
	}
	b->block[b->blocks++] = 0;
	return 0;
}

/* Checksums of what is to be put; the counters of the body are not yet moved. */
static int sum(struct spool_body *b, struct slice chunk)
{
	uint64_t at = b->size;

	while (chunk.n > 0) {
		size_t left = RECORD_BLOCK - (size_t)(at % RECORD_BLOCK);
		struct slice part = slice_head(chunk, left);
		int r = at % RECORD_BLOCK == 0 ? add_block(b) : 0;

		if (r < 0)
			return r;
		b->block[b->blocks - 1] = crc32c(b->block[b->blocks - 1], part);
		at += part.n;
		chunk = slice_tail(chunk, part.n);
	}
	return 0;
}

/* Everything so far goes to a file under a name of its own: the id is not known
 * until the commit. */
static int spill(struct spool_body *b)
{
	struct spool *sp = b->sp;
	uint64_t at = 0;
	int r = 0;

	if (sp->body_files >= FILES_MAX)
		return -ENOBUFS;
	snprintf(b->name, sizeof(b->name), "new-%llx", (unsigned long long)sp->body_number++);
	b->file = sp->disk->open(sp->disk, sp->bodies, b->name, DISK_CREATE);
	if (b->file < 0) {
		r = b->file;
		b->file = -1;
		return r;
	}
	sp->body_files++;
	for (struct chunk *c = b->first; c && r == 0; c = c->next) {
		r = disk_write(sp->disk, b->file, c->byte, c->n, at);
		at += c->n;
	}
	if (r == 0)
		drop_chunks(b);
	return r;
}

static int keep(struct spool_body *b, struct slice chunk)
{
	struct spool *sp = b->sp;

	while (chunk.n > 0) {
		struct chunk *c = b->last;
		struct slice part;

		if (!c || c->n == c->size) {
			size_t size = c ? 2 * c->size : CHUNK_FIRST;

			if (size > CHUNK_MOST)
				size = CHUNK_MOST;
			c = malloc(sizeof(*c) + size);
			if (!c)
				return -ENOMEM;
			*c = (struct chunk){ .size = size };
			if (b->last)
				b->last->next = c;
			else
				b->first = c;
			b->last = c;
			b->memory += size;
			sp->count.memory_used += size;
		}
		part = slice_head(chunk, c->size - c->n);
		memcpy(c->byte + c->n, part.p, part.n);
		c->n += part.n;
		chunk = slice_tail(chunk, part.n);
	}
	return 0;
}

int spool_body_put(struct spool_body *b, struct slice chunk)
{
	struct spool *sp = b->sp;
	int r = b->error;

	if (r < 0 || chunk.n == 0)
		return r;
	if (b->file < 0 && (b->size + chunk.n > sp->setup.body_memory_max ||
			    sp->count.memory_used + chunk.n + CHUNK_MOST > sp->setup.memory_max))
		r = spill(b);
	if (r == 0)
		r = b->file >= 0 ? disk_write(sp->disk, b->file, chunk.p, chunk.n, b->size) : keep(b, chunk);
	if (r == 0)
		r = sum(b, chunk);
	if (r < 0) {
		b->error = r; /* part of it may be there: nothing can follow it */
		return r;
	}
	b->size += chunk.n;
	return 0;
}
