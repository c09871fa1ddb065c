/* disk_sim.h - a disk in memory that knows what is durable; for tests.
 *
 * Bytes written but not synced, and names changed but not covered by a dirsync,
 * may be lost, kept or torn at a power cut, as the test asks.  It can also fill
 * up, write short, fail any operation, and decay.  One root folder (whatever
 * path is opened) and one subfolder, "bodies".  Not for several threads.
 */
#ifndef POSTERN_SPOOL_DISK_SIM_H
#define POSTERN_SPOOL_DISK_SIM_H

#include "spool/disk.h"

struct disk_sim;

struct disk_sim *disk_sim_new(void); /* NULL: out of memory */
void disk_sim_free(struct disk_sim *sim);
const struct disk *disk_sim_disk(struct disk_sim *sim);
/* The same content, nothing open, no hook and no faults. */
struct disk_sim *disk_sim_clone(const struct disk_sim *sim);

/* --- power --- */

enum disk_sim_cut {
	DISK_SIM_LOSE, /* only what was synced is there */
	DISK_SIM_KEEP, /* all is there, up to the torn write */
	DISK_SIM_SOME, /* of what was not synced, sectors and names by chance */
};

/* Called before each operation that changes something (a write, sync, name); n:
 * the octets of a write, 0 for others.  In it disk_sim_clone_torn() gives the
 * disk on which only the first octets of that write happened. */
typedef void disk_sim_hook(void *arg, struct disk_sim *sim, size_t n);
void disk_sim_set_hook(struct disk_sim *sim, disk_sim_hook *hook, void *arg);
struct disk_sim *disk_sim_clone_torn(const struct disk_sim *sim, size_t first);

/* After this many more changing operations all fail with -EIO, until disk_sim_reboot(). */
void disk_sim_cut_after(struct disk_sim *sim, uint64_t ops);
bool disk_sim_is_cut(const struct disk_sim *sim);  /* and not rebooted yet */
uint64_t disk_sim_ops(const struct disk_sim *sim); /* so far */
/* All that was open is closed; what the cut left is the content now. */
void disk_sim_reboot(struct disk_sim *sim, enum disk_sim_cut how, uint32_t seed);

/* --- faults --- */

enum disk_sim_op {
	DISK_SIM_WRITE,
	DISK_SIM_READ,
	DISK_SIM_DATASYNC,
	DISK_SIM_DIRSYNC,
	DISK_SIM_TRUNCATE,
	DISK_SIM_RENAME,
	DISK_SIM_UNLINK,
	DISK_SIM_OPEN,
	DISK_SIM_OPS
};

/* After that many more of the kind, times of them fail so. */
void disk_sim_fail(struct disk_sim *sim, enum disk_sim_op op, unsigned after, unsigned times, int error);
void disk_sim_capacity(struct disk_sim *sim, uint64_t octets);
void disk_sim_short_writes(struct disk_sim *sim, size_t most); /* 0: no limit */

/* --- decay, and looking --- */

/* Files are "name" or "bodies/name"; false: not there, or shorter. */
bool disk_sim_flip(struct disk_sim *sim, const char *file, uint64_t at, unsigned bit);
bool disk_sim_remove(struct disk_sim *sim, const char *file);
bool disk_sim_put(struct disk_sim *sim, const char *file, const void *bytes, size_t n);
/* The content, valid until the file changes; NULL: not there. */
const unsigned char *disk_sim_content(const struct disk_sim *sim, const char *file, size_t *ret_n);
/* The name of the nth file that ends so, in order of name; NULL: none. */
const char *disk_sim_name(const struct disk_sim *sim, const char *suffix, size_t nth);
size_t disk_sim_open_files(const struct disk_sim *sim);

#endif
