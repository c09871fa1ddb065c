/* disk_sim_store.h - what the simulated disk holds, and what of it is durable;
 * for disk_sim*.c only.  Tests that run out of memory abort. */
#ifndef POSTERN_SPOOL_DISK_SIM_STORE_H
#define POSTERN_SPOOL_DISK_SIM_STORE_H

#include "spool/disk_sim.h"

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
	uint64_t capacity, ops, cut_in;
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

static inline struct disk_sim *sim_of(const struct disk *d)
{
	return (struct disk_sim *)(uintptr_t)d;
}

void *sim_need(void *p);
void sim_bytes_size(struct bytes *b, size_t n);
void sim_bytes_write(struct bytes *b, const void *p, size_t n, uint64_t at);
void sim_bytes_set(struct bytes *b, const struct bytes *from);
void sim_forget_changes(struct inode *i);
void sim_inode_put(struct inode *i);
struct inode *sim_inode_get(struct inode *i);
struct change *sim_change_add(struct inode *i);
void sim_inode_write(struct inode *i, const void *p, size_t n, uint64_t at);
void sim_inode_truncate(struct inode *i, uint64_t size);
void sim_inode_sync(struct inode *i);
struct name *sim_name_find(struct name *names, const char *name);
void sim_name_apply(struct name *names, const struct name_change *c);
void sim_name_change(struct folder *f, const char *from, const char *to, struct inode *inode);
void sim_forget_name_changes(struct folder *f);
void sim_names_set(struct name *to, const struct name *from);
void sim_folder_sync(struct folder *f);
void sim_folder_done(struct folder *f);

/* disk_sim.c */
extern const struct disk sim_table;
void sim_write_first(struct inode *i, const struct iovec *iov, int n, uint64_t at, size_t first);
void sim_close(const struct disk *d, int file);

#endif
