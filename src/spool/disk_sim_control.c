/* disk_sim_control.c - the simulated disk as the test sees it: power, faults, decay. */
#include <errno.h>
#include <string.h>

#include "spool/disk_sim_store.h"

/* --- the test's side --- */

struct disk_sim *disk_sim_new(void)
{
	struct disk_sim *sim = calloc(1, sizeof(*sim));

	if (sim)
		sim->disk = sim_table;
	return sim;
}

static void close_all(struct disk_sim *sim)
{
	for (int h = 0; h < HANDLES; h++)
		if (sim->handle[h].open)
			sim_close(&sim->disk, h);
}

void disk_sim_free(struct disk_sim *sim)
{
	if (!sim)
		return;
	close_all(sim);
	sim_folder_done(&sim->root);
	sim_folder_done(&sim->bodies);
	free(sim);
}

const struct disk *disk_sim_disk(struct disk_sim *sim)
{
	return &sim->disk;
}

static struct inode *inode_twin(struct inode *i)
{
	struct inode *t;

	if (!i || i->twin)
		return i ? i->twin : NULL;
	t = sim_need(calloc(1, sizeof(*t)));
	sim_bytes_set(&t->now, &i->now);
	sim_bytes_set(&t->disk, &i->disk);
	for (size_t k = 0; k < i->changes; k++) {
		struct change *c = sim_change_add(t);

		c->truncate = i->change[k].truncate;
		c->at = i->change[k].at;
		sim_bytes_set(&c->data, &i->change[k].data);
	}
	i->twin = t;
	return t;
}

static void folder_clone(struct folder *to, const struct folder *from)
{
	for (size_t k = 0; k < NAMES; k++) {
		to->now[k] = from->now[k];
		to->disk[k] = from->disk[k];
		to->now[k].inode = sim_inode_get(inode_twin(from->now[k].inode));
		to->disk[k].inode = sim_inode_get(inode_twin(from->disk[k].inode));
	}
	to->room = to->changes = from->changes;
	to->change = to->room ? sim_need(calloc(to->room, sizeof(*to->change))) : NULL;
	for (size_t k = 0; k < to->changes; k++) {
		to->change[k] = from->change[k];
		to->change[k].inode = sim_inode_get(inode_twin(from->change[k].inode));
	}
}

static void folder_untwin(const struct folder *f)
{
	for (size_t k = 0; k < NAMES; k++) {
		if (f->now[k].inode)
			f->now[k].inode->twin = NULL;
		if (f->disk[k].inode)
			f->disk[k].inode->twin = NULL;
	}
	for (size_t k = 0; k < f->changes; k++)
		if (f->change[k].inode)
			f->change[k].inode->twin = NULL;
}

struct disk_sim *disk_sim_clone_torn(const struct disk_sim *sim, size_t first)
{
	struct disk_sim *copy = sim_need(disk_sim_new());

	folder_clone(&copy->root, &sim->root);
	folder_clone(&copy->bodies, &sim->bodies);
	/* A file without a name, but open, is lost anyway. */
	if (sim->writing && sim->writing->twin)
		sim_write_first(sim->writing->twin, sim->iov, sim->iovs, sim->writing_at, first);
	folder_untwin(&sim->root);
	folder_untwin(&sim->bodies);
	return copy;
}

struct disk_sim *disk_sim_clone(const struct disk_sim *sim)
{
	return disk_sim_clone_torn(sim, 0);
}

void disk_sim_set_hook(struct disk_sim *sim, disk_sim_hook *hook, void *arg)
{
	sim->hook = hook;
	sim->arg = arg;
}

void disk_sim_cut_after(struct disk_sim *sim, uint64_t ops)
{
	sim->cutting = true;
	sim->cut_in = ops;
}

bool disk_sim_is_cut(const struct disk_sim *sim)
{
	return sim->cut;
}

uint64_t disk_sim_ops(const struct disk_sim *sim)
{
	return sim->ops;
}

static bool chance(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 31;
}

/* Of a write each sector, of the other changes each one, reached the disk or not. */
static void settle_some(struct inode *i, uint32_t *seed)
{
	for (size_t k = 0; k < i->changes; k++) {
		const struct change *c = &i->change[k];

		if (c->truncate && chance(seed))
			sim_bytes_size(&i->disk, (size_t)c->at);
		for (uint64_t at = c->at; !c->truncate && at < c->at + c->data.n;) {
			uint64_t end = (at / SECTOR + 1) * SECTOR;

			if (end > c->at + c->data.n)
				end = c->at + c->data.n;
			if (chance(seed))
				sim_bytes_write(&i->disk, c->data.p + (at - c->at), (size_t)(end - at), at);
			at = end;
		}
	}
}

static void settle_inode(struct inode *i, enum disk_sim_cut how, uint32_t *seed)
{
	if (how == DISK_SIM_KEEP)
		sim_bytes_set(&i->disk, &i->now);
	else if (how == DISK_SIM_SOME)
		settle_some(i, seed);
	sim_bytes_set(&i->now, &i->disk);
	sim_forget_changes(i);
}

static void settle_folder(struct folder *f, enum disk_sim_cut how, uint32_t *seed)
{
	bool ordered = chance(seed), lost = false; /* as a journal would, or in any order */

	for (size_t k = 0; k < f->changes && how == DISK_SIM_SOME; k++) {
		bool kept = chance(seed);

		if (kept && !(ordered && lost))
			sim_name_apply(f->disk, &f->change[k]);
		lost |= !kept;
	}
	if (how != DISK_SIM_KEEP)
		sim_names_set(f->now, f->disk);
	sim_folder_sync(f);
	for (size_t k = 0; k < NAMES; k++)
		if (f->now[k].inode)
			settle_inode(f->now[k].inode, how, seed);
}

void disk_sim_reboot(struct disk_sim *sim, enum disk_sim_cut how, uint32_t seed)
{
	close_all(sim);
	sim->cut = sim->cutting = false;
	settle_folder(&sim->root, how, &seed);
	settle_folder(&sim->bodies, how, &seed);
}

void disk_sim_fail(struct disk_sim *sim, enum disk_sim_op op, unsigned after, unsigned times, int error)
{
	sim->fault[op] = (struct fault){ after, times, error };
}

void disk_sim_capacity(struct disk_sim *sim, uint64_t octets)
{
	sim->capacity = octets;
}

void disk_sim_short_writes(struct disk_sim *sim, size_t most)
{
	sim->short_most = most;
}

/* The file of a path "name" or "bodies/name". */
static struct name *file_at(const struct disk_sim *sim, const char *path, struct folder **ret)
{
	struct disk_sim *own = sim_of(&sim->disk);
	bool body = strncmp(path, "bodies/", 7) == 0;

	*ret = body ? &own->bodies : &own->root;
	return sim_name_find((*ret)->now, body ? path + 7 : path);
}

bool disk_sim_flip(struct disk_sim *sim, const char *file, uint64_t at, unsigned bit)
{
	struct folder *f;
	struct name *n = file_at(sim, file, &f);

	if (!n || at >= n->inode->now.n)
		return false;
	n->inode->now.p[at] ^= (unsigned char)(1U << bit);
	sim_inode_sync(n->inode);
	return true;
}

bool disk_sim_remove(struct disk_sim *sim, const char *file)
{
	struct folder *f;
	struct name *n = file_at(sim, file, &f);

	if (!n)
		return false;
	sim_name_change(f, n->name, "", NULL);
	sim_folder_sync(f);
	return true;
}

bool disk_sim_put(struct disk_sim *sim, const char *file, const void *bytes, size_t n)
{
	struct folder *f;
	struct inode *i = calloc(1, sizeof(*i));

	if (!i || file_at(sim, file, &f)) {
		free(i);
		return false;
	}
	i->refs = 1;
	sim_bytes_write(&i->now, bytes, n, 0);
	sim_inode_sync(i);
	sim_name_change(f, "", f == &sim->bodies ? file + 7 : file, i);
	sim_folder_sync(f);
	sim_inode_put(i);
	return true;
}

const unsigned char *disk_sim_content(const struct disk_sim *sim, const char *file, size_t *ret_n)
{
	struct folder *f;
	struct name *n = file_at(sim, file, &f);

	if (!n)
		return NULL;
	*ret_n = n->inode->now.n;
	return n->inode->now.p ? n->inode->now.p : (const unsigned char *)"";
}

const char *disk_sim_name(const struct disk_sim *sim, const char *suffix, size_t nth)
{
	const char *last = "";

	for (;;) {
		const char *best = NULL;

		for (size_t k = 0; k < NAMES; k++) {
			const char *name = sim->root.now[k].name;
			size_t n = strlen(name), tail = strlen(suffix);

			if (sim->root.now[k].inode && n >= tail && strcmp(name + n - tail, suffix) == 0 &&
			    strcmp(name, last) > 0 && (!best || strcmp(name, best) < 0))
				best = name;
		}
		if (!best || nth-- == 0)
			return best;
		last = best;
	}
}

size_t disk_sim_open_files(const struct disk_sim *sim)
{
	size_t n = 0;

	for (int h = 0; h < HANDLES; h++)
		n += sim->handle[h].open;
	return n;
}
