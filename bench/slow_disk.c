/* slow_disk.c - the server on a disk whose syncs take longer, for `make bench`.
 *
 * Linked with the whole server and --wrap=disk_real: the role that keeps the spool gets
 * the real disk through here, with SYNC_DELAY_MS more for each sync, and all other roles
 * are as ever.  So the product has no option for it.  At its end that role says on
 * standard error how many syncs the disk really did.
 */
#include <errno.h>
#include <stdatomic.h>

#include "spool/disk.h"

#ifndef SYNC_DELAY_MS
#define SYNC_DELAY_MS 5
#endif

const struct disk *__real_disk_real(void);
const struct disk *__wrap_disk_real(void);

static atomic_ulong syncs, folder_syncs;

static void delay(void)
{
	struct timespec left = { .tv_nsec = SYNC_DELAY_MS * 1000000L };

	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		;
}

static int slow_datasync(const struct disk *d, int file)
{
	atomic_fetch_add(&syncs, 1);
	delay();
	return __real_disk_real()->datasync(d, file);
}

static int slow_dirsync(const struct disk *d, int dir)
{
	atomic_fetch_add(&folder_syncs, 1);
	delay();
	return __real_disk_real()->dirsync(d, dir);
}

static void __attribute__((destructor)) say(void)
{
	if (atomic_load(&syncs) > 0)
		fprintf(stderr, "slow-disk delay_ms=%d syncs=%lu folder_syncs=%lu\n", SYNC_DELAY_MS,
			atomic_load(&syncs), atomic_load(&folder_syncs));
}

const struct disk *__wrap_disk_real(void)
{
	static struct disk slow;

	slow = *__real_disk_real();
	slow.datasync = slow_datasync;
	slow.dirsync = slow_dirsync;
	return &slow;
}
