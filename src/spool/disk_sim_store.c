#include "spool/disk_sim_store.h"

#include <string.h>

/* A test that runs out of memory has nothing to say. */
void *sim_need(void *p)
{
	if (!p)
		abort();
	return p;
}

void sim_bytes_size(struct bytes *b, size_t n)
{
	if (n > b->room) {
		b->room = n * 2;
		b->p = sim_need(realloc(b->p, b->room));
	}
	if (n > b->n)
		memset(b->p + b->n, 0, n - b->n);
	b->n = n;
}

void sim_bytes_write(struct bytes *b, const void *p, size_t n, uint64_t at)
{
	if (n == 0)
		return;
	if (at + n > b->n)
		sim_bytes_size(b, (size_t)at + n);
	memcpy(b->p + at, p, n);
}

void sim_bytes_set(struct bytes *b, const struct bytes *from)
{
	sim_bytes_size(b, 0);
	sim_bytes_size(b, from->n);
	if (from->n)
		memcpy(b->p, from->p, from->n);
}

/* --- inodes --- */

void sim_forget_changes(struct inode *i)
{
	for (size_t k = 0; k < i->changes; k++)
		free(i->change[k].data.p);
	i->changes = 0;
}

void sim_inode_put(struct inode *i)
{
	if (!i || --i->refs > 0)
		return;
	sim_forget_changes(i);
	free(i->change);
	free(i->now.p);
	free(i->disk.p);
	free(i);
}

struct inode *sim_inode_get(struct inode *i)
{
	if (i)
		i->refs++;
	return i;
}

struct change *sim_change_add(struct inode *i)
{
	if (i->changes == i->room) {
		i->room = i->room ? 2 * i->room : 8;
		i->change = sim_need(reallocarray(i->change, i->room, sizeof(*i->change)));
	}
	i->change[i->changes] = (struct change){ 0 };
	return &i->change[i->changes++];
}

void sim_inode_write(struct inode *i, const void *p, size_t n, uint64_t at)
{
	struct change *c = sim_change_add(i);

	c->at = at;
	sim_bytes_write(&c->data, p, n, 0);
	sim_bytes_write(&i->now, p, n, at);
}

void sim_inode_truncate(struct inode *i, uint64_t size)
{
	struct change *c = sim_change_add(i);

	c->truncate = true;
	c->at = size;
	sim_bytes_size(&i->now, (size_t)size);
}

void sim_inode_sync(struct inode *i)
{
	sim_bytes_set(&i->disk, &i->now);
	sim_forget_changes(i);
}

/* --- names --- */

struct name *sim_name_find(struct name *names, const char *name)
{
	for (size_t k = 0; k < NAMES; k++)
		if (names[k].inode && strcmp(names[k].name, name) == 0)
			return &names[k];
	return NULL;
}

static void name_drop(struct name *names, const char *name)
{
	struct name *at = sim_name_find(names, name);

	if (!at)
		return;
	sim_inode_put(at->inode);
	*at = (struct name){ 0 };
}

static void name_put(struct name *names, const char *name, struct inode *inode)
{
	name_drop(names, name);
	for (size_t k = 0; k < NAMES; k++) {
		if (names[k].inode)
			continue;
		snprintf(names[k].name, NAME, "%s", name);
		names[k].inode = sim_inode_get(inode);
		return;
	}
	abort(); /* a test with too many files */
}

void sim_name_apply(struct name *names, const struct name_change *c)
{
	if (c->from[0])
		name_drop(names, c->from);
	if (c->to[0])
		name_put(names, c->to, c->inode);
}

void sim_name_change(struct folder *f, const char *from, const char *to, struct inode *inode)
{
	struct name_change *c;

	if (f->changes == f->room) {
		f->room = f->room ? 2 * f->room : 8;
		f->change = sim_need(reallocarray(f->change, f->room, sizeof(*f->change)));
	}
	c = &f->change[f->changes++];
	*c = (struct name_change){ .inode = sim_inode_get(inode) };
	snprintf(c->from, NAME, "%s", from);
	snprintf(c->to, NAME, "%s", to);
	sim_name_apply(f->now, c);
}

void sim_forget_name_changes(struct folder *f)
{
	for (size_t k = 0; k < f->changes; k++)
		sim_inode_put(f->change[k].inode);
	f->changes = 0;
}

void sim_names_set(struct name *to, const struct name *from)
{
	for (size_t k = 0; k < NAMES; k++) {
		struct inode *old = to[k].inode;

		to[k] = from[k];
		sim_inode_get(to[k].inode);
		sim_inode_put(old);
	}
}

void sim_folder_sync(struct folder *f)
{
	sim_names_set(f->disk, f->now);
	sim_forget_name_changes(f);
}

void sim_folder_done(struct folder *f)
{
	static const struct name none[NAMES];

	sim_names_set(f->now, none);
	sim_names_set(f->disk, none);
	sim_forget_name_changes(f);
	free(f->change);
}
