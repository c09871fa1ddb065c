#include "spool/disk_sim.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define SECTOR	512U
#define NAME	32
#define NAMES	192
#define HANDLES 128

struct bytes {
	unsigned char *p;
	size_t n, room;
};

/* A change that is not yet durable. */
struct change {
	bool truncate;
	uint64_t at; /* or the new size */
	struct bytes data;
};

struct inode {
	unsigned refs; /* names, durable names, handles */
	struct bytes now, disk;
	struct change *change;
	size_t changes, room;
	struct inode *twin; /* while cloning */
};

struct name {
	char name[NAME]; /* empty: free */
	struct inode *inode;
};

struct name_change {
	char from[NAME], to[NAME]; /* from empty: made; to empty: deleted */
	struct inode *inode;
};

struct folder {
	struct name now[NAMES], disk[NAMES];
	struct name_change *change;
	size_t changes, room;
};

struct handle {
	bool open;
	struct folder *folder;
	struct inode *inode;
};

struct fault {
	unsigned after, times;
	int error;
};

struct disk_sim {
	struct disk disk; /* first: what the operations are given */
	struct folder root, bodies;
	struct handle handle[HANDLES];
	struct fault fault[DISK_SIM_OPS];
	uint64_t capacity, ops, cut_in, syncs;
	size_t short_most;
	bool cut, cutting;
	disk_sim_hook *hook;
	void *arg;
	/* the write that is about to happen, while the hook runs */
	struct inode *writing;
	const struct iovec *iov;
	int iovs;
	uint64_t writing_at;
};

static struct disk_sim *sim_of(const struct disk *d)
{
	return (struct disk_sim *)(uintptr_t)d;
}

/* A test that runs out of memory has nothing to say. */
static void *need(void *p)
{
	if (!p)
		abort();
	return p;
}

static void bytes_size(struct bytes *b, size_t n)
{
	if (n > b->room) {
		b->room = n * 2;
		b->p = need(realloc(b->p, b->room));
	}
	if (n > b->n)
		memset(b->p + b->n, 0, n - b->n);
	b->n = n;
}

static void bytes_write(struct bytes *b, const void *p, size_t n, uint64_t at)
{
	if (n == 0)
		return;
	if (at + n > b->n)
		bytes_size(b, (size_t)at + n);
	memcpy(b->p + at, p, n);
}

static void bytes_set(struct bytes *b, const struct bytes *from)
{
	bytes_size(b, 0);
	bytes_size(b, from->n);
	if (from->n)
		memcpy(b->p, from->p, from->n);
}

/* --- inodes --- */

static void forget_changes(struct inode *i)
{
	for (size_t k = 0; k < i->changes; k++)
		free(i->change[k].data.p);
	i->changes = 0;
}

static void inode_put(struct inode *i)
{
	if (!i || --i->refs > 0)
		return;
	forget_changes(i);
	free(i->change);
	free(i->now.p);
	free(i->disk.p);
	free(i);
}

static struct inode *inode_get(struct inode *i)
{
	if (i)
		i->refs++;
	return i;
}

static struct change *change_add(struct inode *i)
{
	if (i->changes == i->room) {
		i->room = i->room ? 2 * i->room : 8;
		i->change = need(reallocarray(i->change, i->room, sizeof(*i->change)));
	}
	i->change[i->changes] = (struct change){ 0 };
	return &i->change[i->changes++];
}

static void inode_write(struct inode *i, const void *p, size_t n, uint64_t at)
{
	struct change *c = change_add(i);

	c->at = at;
	bytes_write(&c->data, p, n, 0);
	bytes_write(&i->now, p, n, at);
}

static void inode_truncate(struct inode *i, uint64_t size)
{
	struct change *c = change_add(i);

	c->truncate = true;
	c->at = size;
	bytes_size(&i->now, (size_t)size);
}

static void inode_sync(struct inode *i)
{
	bytes_set(&i->disk, &i->now);
	forget_changes(i);
}

/* --- names --- */

static struct name *name_find(struct name *names, const char *name)
{
	for (size_t k = 0; k < NAMES; k++)
		if (names[k].inode && strcmp(names[k].name, name) == 0)
			return &names[k];
	return NULL;
}

static void name_drop(struct name *names, const char *name)
{
	struct name *at = name_find(names, name);

	if (!at)
		return;
	inode_put(at->inode);
	*at = (struct name){ 0 };
}

static void name_put(struct name *names, const char *name, struct inode *inode)
{
	name_drop(names, name);
	for (size_t k = 0; k < NAMES; k++) {
		if (names[k].inode)
			continue;
		snprintf(names[k].name, NAME, "%s", name);
		names[k].inode = inode_get(inode);
		return;
	}
	abort(); /* a test with too many files */
}

static void name_apply(struct name *names, const struct name_change *c)
{
	if (c->from[0])
		name_drop(names, c->from);
	if (c->to[0])
		name_put(names, c->to, c->inode);
}

static void name_change(struct folder *f, const char *from, const char *to, struct inode *inode)
{
	struct name_change *c;

	if (f->changes == f->room) {
		f->room = f->room ? 2 * f->room : 8;
		f->change = need(reallocarray(f->change, f->room, sizeof(*f->change)));
	}
	c = &f->change[f->changes++];
	*c = (struct name_change){ .inode = inode_get(inode) };
	snprintf(c->from, NAME, "%s", from);
	snprintf(c->to, NAME, "%s", to);
	name_apply(f->now, c);
}

static void forget_name_changes(struct folder *f)
{
	for (size_t k = 0; k < f->changes; k++)
		inode_put(f->change[k].inode);
	f->changes = 0;
}

static void names_set(struct name *to, const struct name *from)
{
	for (size_t k = 0; k < NAMES; k++) {
		struct inode *old = to[k].inode;

		to[k] = from[k];
		inode_get(to[k].inode);
		inode_put(old);
	}
}

static void folder_sync(struct folder *f)
{
	names_set(f->disk, f->now);
	forget_name_changes(f);
}

static void folder_done(struct folder *f)
{
	static const struct name none[NAMES];

	names_set(f->now, none);
	names_set(f->disk, none);
	forget_name_changes(f);
	free(f->change);
}

/* --- before each operation --- */

static int fault(struct disk_sim *sim, enum disk_sim_op op)
{
	struct fault *f = &sim->fault[op];

	if (sim->cut)
		return -EIO;
	if (f->times == 0)
		return 0;
	if (f->after > 0) {
		f->after--;
		return 0;
	}
	f->times--;
	return f->error;
}

static int change_begins(struct disk_sim *sim, enum disk_sim_op op, size_t n)
{
	int r;

	if (sim->cutting && sim->cut_in-- == 0) {
		sim->cutting = false;
		sim->cut = true;
	}
	r = fault(sim, op);
	if (r < 0)
		return r;
	sim->ops++;
	if (sim->hook)
		sim->hook(sim->arg, sim, n);
	return 0;
}

/* --- the table --- */

static int handle_new(struct disk_sim *sim, struct folder *f, struct inode *i)
{
	for (int h = 0; h < HANDLES; h++) {
		if (sim->handle[h].open)
			continue;
		sim->handle[h] = (struct handle){ true, f, inode_get(i) };
		return h;
	}
	return -EMFILE;
}

static int sim_folder(const struct disk *d, const char *path)
{
	(void)path;
	return handle_new(sim_of(d), &sim_of(d)->root, NULL);
}

static int sim_subfolder(const struct disk *d, int dir, const char *name)
{
	(void)dir, (void)name;
	return handle_new(sim_of(d), &sim_of(d)->bodies, NULL);
}

static int sim_lock(const struct disk *d, int dir, const char *name)
{
	(void)dir, (void)name;
	return handle_new(sim_of(d), NULL, NULL);
}

static int sim_open(const struct disk *d, int dir, const char *name, enum disk_open how)
{
	struct disk_sim *sim = sim_of(d);
	struct folder *f = sim->handle[dir].folder;
	struct name *at = name_find(f->now, name);
	struct inode *i;
	int r;

	if (how != DISK_CREATE) {
		r = fault(sim, DISK_SIM_OPEN);
		if (r < 0)
			return r;
		return at ? handle_new(sim, NULL, at->inode) : -ENOENT;
	}
	if (at)
		return -EEXIST;
	r = change_begins(sim, DISK_SIM_OPEN, 0);
	if (r < 0)
		return r;
	i = need(calloc(1, sizeof(*i)));
	i->refs = 1;
	name_change(f, "", name, i);
	r = handle_new(sim, NULL, i);
	inode_put(i);
	return r;
}

static void sim_close(const struct disk *d, int file)
{
	struct handle *h = &sim_of(d)->handle[file];

	inode_put(h->inode);
	*h = (struct handle){ 0 };
}

static struct inode *file_of(const struct disk *d, int file)
{
	return need(sim_of(d)->handle[file].inode);
}

static ssize_t sim_pread(const struct disk *d, int file, void *to, size_t n, uint64_t at)
{
	const struct bytes *b = &file_of(d, file)->now;
	int r = fault(sim_of(d), DISK_SIM_READ);

	if (r < 0)
		return r;
	if (at >= b->n)
		return 0;
	if (n > b->n - at)
		n = (size_t)(b->n - at);
	if (n)
		memcpy(to, b->p + at, n);
	return (ssize_t)n;
}

static uint64_t used(const struct disk_sim *sim)
{
	uint64_t n = 0;

	for (size_t k = 0; k < NAMES; k++) {
		if (sim->root.now[k].inode)
			n += sim->root.now[k].inode->now.n;
		if (sim->bodies.now[k].inode)
			n += sim->bodies.now[k].inode->now.n;
	}
	return n;
}

static void write_first(struct inode *i, const struct iovec *iov, int n, uint64_t at, size_t first)
{
	for (; n > 0 && first > 0; n--, iov++) {
		size_t part = iov->iov_len < first ? iov->iov_len : first;

		if (part > 0)
			inode_write(i, iov->iov_base, part, at);
		at += part;
		first -= part;
	}
}

static ssize_t sim_pwritev(const struct disk *d, int file, const struct iovec *iov, int n, uint64_t at)
{
	struct disk_sim *sim = sim_of(d);
	struct inode *i = file_of(d, file);
	size_t total = 0;
	int r;

	for (int k = 0; k < n; k++)
		total += iov[k].iov_len;
	if (sim->short_most && total > sim->short_most)
		total = sim->short_most;
	if (sim->capacity && at + total > i->now.n) {
		uint64_t more = at + total - i->now.n, held = used(sim);
		uint64_t space = held < sim->capacity ? sim->capacity - held : 0;

		if (more > space) {
			if (more - space >= total)
				return -ENOSPC;
			total -= (size_t)(more - space);
		}
	}
	sim->writing = i;
	sim->iov = iov;
	sim->iovs = n;
	sim->writing_at = at;
	r = change_begins(sim, DISK_SIM_WRITE, total);
	sim->writing = NULL;
	if (r < 0)
		return r;
	write_first(i, iov, n, at, total);
	return (ssize_t)total;
}

static int sim_datasync(const struct disk *d, int file)
{
	int r = change_begins(sim_of(d), DISK_SIM_DATASYNC, 0);

	if (r < 0)
		return r;
	sim_of(d)->syncs++;
	inode_sync(file_of(d, file));
	return 0;
}

static int sim_dirsync(const struct disk *d, int dir)
{
	int r = change_begins(sim_of(d), DISK_SIM_DIRSYNC, 0);

	if (r < 0)
		return r;
	folder_sync(sim_of(d)->handle[dir].folder);
	return 0;
}

static int sim_truncate(const struct disk *d, int file, uint64_t size)
{
	int r = change_begins(sim_of(d), DISK_SIM_TRUNCATE, 0);

	if (r < 0)
		return r;
	inode_truncate(file_of(d, file), size);
	return 0;
}

static int sim_size(const struct disk *d, int file, uint64_t *ret)
{
	*ret = file_of(d, file)->now.n;
	return 0;
}

static int sim_rename(const struct disk *d, int dir, const char *from, const char *to)
{
	struct folder *f = sim_of(d)->handle[dir].folder;
	struct name *at = name_find(f->now, from);
	int r;

	if (!at)
		return -ENOENT;
	r = change_begins(sim_of(d), DISK_SIM_RENAME, 0);
	if (r < 0)
		return r;
	name_change(f, from, to, at->inode);
	return 0;
}

static int sim_unlink(const struct disk *d, int dir, const char *name)
{
	struct folder *f = sim_of(d)->handle[dir].folder;
	int r;

	if (!name_find(f->now, name))
		return sim_of(d)->cut ? -EIO : -ENOENT;
	r = change_begins(sim_of(d), DISK_SIM_UNLINK, 0);
	if (r < 0)
		return r;
	name_change(f, name, "", NULL);
	return 0;
}

static int sim_list(const struct disk *d, int dir, disk_list_fn *each, void *arg)
{
	struct folder *f = sim_of(d)->handle[dir].folder;

	if (sim_of(d)->cut)
		return -EIO;
	for (size_t k = 0; k < NAMES; k++)
		if (f->now[k].inode && !each(arg, f->now[k].name))
			break;
	return 0;
}

static int sim_space(const struct disk *d, int dir, uint64_t *ret_free)
{
	struct disk_sim *sim = sim_of(d);
	uint64_t held = used(sim);

	(void)dir;
	*ret_free = sim->capacity == 0 ? UINT64_MAX : held < sim->capacity ? sim->capacity - held : 0;
	return 0;
}

static int sim_descriptor(const struct disk *d, int dir, const char *name)
{
	struct name *at = name_find(sim_of(d)->handle[dir].folder->now, name);
	int fd;

	if (!at)
		return -ENOENT;
	fd = memfd_create("body", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, at->inode->now.p, at->inode->now.n) != (ssize_t)at->inode->now.n) {
		close(fd);
		return -EIO;
	}
	return fd;
}

static const struct disk sim_table = {
	.folder = sim_folder,
	.subfolder = sim_subfolder,
	.lock = sim_lock,
	.open = sim_open,
	.close = sim_close,
	.pread = sim_pread,
	.pwritev = sim_pwritev,
	.datasync = sim_datasync,
	.dirsync = sim_dirsync,
	.truncate = sim_truncate,
	.size = sim_size,
	.rename = sim_rename,
	.unlink = sim_unlink,
	.list = sim_list,
	.space = sim_space,
	.descriptor = sim_descriptor,
};

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
	folder_done(&sim->root);
	folder_done(&sim->bodies);
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
	t = need(calloc(1, sizeof(*t)));
	bytes_set(&t->now, &i->now);
	bytes_set(&t->disk, &i->disk);
	for (size_t k = 0; k < i->changes; k++) {
		struct change *c = change_add(t);

		c->truncate = i->change[k].truncate;
		c->at = i->change[k].at;
		bytes_set(&c->data, &i->change[k].data);
	}
	i->twin = t;
	return t;
}

static void folder_clone(struct folder *to, const struct folder *from)
{
	for (size_t k = 0; k < NAMES; k++) {
		to->now[k] = from->now[k];
		to->disk[k] = from->disk[k];
		to->now[k].inode = inode_get(inode_twin(from->now[k].inode));
		to->disk[k].inode = inode_get(inode_twin(from->disk[k].inode));
	}
	to->room = to->changes = from->changes;
	to->change = to->room ? need(calloc(to->room, sizeof(*to->change))) : NULL;
	for (size_t k = 0; k < to->changes; k++) {
		to->change[k] = from->change[k];
		to->change[k].inode = inode_get(inode_twin(from->change[k].inode));
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
	struct disk_sim *copy = need(disk_sim_new());

	folder_clone(&copy->root, &sim->root);
	folder_clone(&copy->bodies, &sim->bodies);
	/* A file without a name, but open, is lost anyway. */
	if (sim->writing && sim->writing->twin)
		write_first(sim->writing->twin, sim->iov, sim->iovs, sim->writing_at, first);
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

uint64_t disk_sim_ops(const struct disk_sim *sim)
{
	return sim->ops;
}

uint64_t disk_sim_syncs(const struct disk_sim *sim)
{
	return sim->syncs;
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
			bytes_size(&i->disk, (size_t)c->at);
		for (uint64_t at = c->at; !c->truncate && at < c->at + c->data.n;) {
			uint64_t end = (at / SECTOR + 1) * SECTOR;

			if (end > c->at + c->data.n)
				end = c->at + c->data.n;
			if (chance(seed))
				bytes_write(&i->disk, c->data.p + (at - c->at), (size_t)(end - at), at);
			at = end;
		}
	}
}

static void settle_inode(struct inode *i, enum disk_sim_cut how, uint32_t *seed)
{
	if (how == DISK_SIM_KEEP)
		bytes_set(&i->disk, &i->now);
	else if (how == DISK_SIM_SOME)
		settle_some(i, seed);
	bytes_set(&i->now, &i->disk);
	forget_changes(i);
}

static void settle_folder(struct folder *f, enum disk_sim_cut how, uint32_t *seed)
{
	bool ordered = chance(seed), lost = false; /* as a journal would, or in any order */

	for (size_t k = 0; k < f->changes && how == DISK_SIM_SOME; k++) {
		bool kept = chance(seed);

		if (kept && !(ordered && lost))
			name_apply(f->disk, &f->change[k]);
		lost |= !kept;
	}
	if (how != DISK_SIM_KEEP)
		names_set(f->now, f->disk);
	folder_sync(f);
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
	return name_find((*ret)->now, body ? path + 7 : path);
}

bool disk_sim_flip(struct disk_sim *sim, const char *file, uint64_t at, unsigned bit)
{
	struct folder *f;
	struct name *n = file_at(sim, file, &f);

	if (!n || at >= n->inode->now.n)
		return false;
	n->inode->now.p[at] ^= (unsigned char)(1U << bit);
	inode_sync(n->inode);
	return true;
}

bool disk_sim_remove(struct disk_sim *sim, const char *file)
{
	struct folder *f;
	struct name *n = file_at(sim, file, &f);

	if (!n)
		return false;
	name_change(f, n->name, "", NULL);
	folder_sync(f);
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
	bytes_write(&i->now, bytes, n, 0);
	inode_sync(i);
	name_change(f, "", f == &sim->bodies ? file + 7 : file, i);
	folder_sync(f);
	inode_put(i);
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
