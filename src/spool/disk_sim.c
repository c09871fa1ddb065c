/* disk_sim.c - the operations of the simulated disk. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "spool/disk_sim_store.h"

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
		sim->handle[h] = (struct handle){ true, f, sim_inode_get(i) };
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
	struct name *at = sim_name_find(f->now, name);
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
	i = sim_need(calloc(1, sizeof(*i)));
	i->refs = 1;
	sim_name_change(f, "", name, i);
	r = handle_new(sim, NULL, i);
	sim_inode_put(i);
	return r;
}

void sim_close(const struct disk *d, int file)
{
	struct handle *h = &sim_of(d)->handle[file];

	sim_inode_put(h->inode);
	*h = (struct handle){ 0 };
}

static struct inode *file_of(const struct disk *d, int file)
{
	return sim_need(sim_of(d)->handle[file].inode);
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

void sim_write_first(struct inode *i, const struct iovec *iov, int n, uint64_t at, size_t first)
{
	for (; n > 0 && first > 0; n--, iov++) {
		size_t part = iov->iov_len < first ? iov->iov_len : first;

		if (part > 0)
			sim_inode_write(i, iov->iov_base, part, at);
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
	sim_write_first(i, iov, n, at, total);
	return (ssize_t)total;
}

static int sim_datasync(const struct disk *d, int file)
{
	int r = change_begins(sim_of(d), DISK_SIM_DATASYNC, 0);

	if (r < 0)
		return r;
	sim_inode_sync(file_of(d, file));
	return 0;
}

static int sim_dirsync(const struct disk *d, int dir)
{
	int r = change_begins(sim_of(d), DISK_SIM_DIRSYNC, 0);

	if (r < 0)
		return r;
	sim_folder_sync(sim_of(d)->handle[dir].folder);
	return 0;
}

static int sim_truncate(const struct disk *d, int file, uint64_t size)
{
	int r = change_begins(sim_of(d), DISK_SIM_TRUNCATE, 0);

	if (r < 0)
		return r;
	sim_inode_truncate(file_of(d, file), size);
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
	struct name *at = sim_name_find(f->now, from);
	int r;

	if (!at)
		return -ENOENT;
	r = change_begins(sim_of(d), DISK_SIM_RENAME, 0);
	if (r < 0)
		return r;
	sim_name_change(f, from, to, at->inode);
	return 0;
}

static int sim_unlink(const struct disk *d, int dir, const char *name)
{
	struct folder *f = sim_of(d)->handle[dir].folder;
	int r;

	if (!sim_name_find(f->now, name))
		return sim_of(d)->cut ? -EIO : -ENOENT;
	r = change_begins(sim_of(d), DISK_SIM_UNLINK, 0);
	if (r < 0)
		return r;
	sim_name_change(f, name, "", NULL);
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
	struct name *at = sim_name_find(sim_of(d)->handle[dir].folder->now, name);
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

const struct disk sim_table = {
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
