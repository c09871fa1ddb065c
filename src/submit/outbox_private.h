/* outbox_private.h - for outbox*.c only. */
#ifndef POSTERN_SUBMIT_OUTBOX_PRIVATE_H
#define POSTERN_SUBMIT_OUTBOX_PRIVATE_H

#include "submit/outbox.h"

struct outbox {
	char *path;
	const struct disk *disk;
	int dir;
	struct id_source ids;
};

/* It is there, ours, and no other user may write to it; with make it is made before, readable by us alone.
 * 0 or a negative errno, with words. */
int outbox_folder(const char *path, bool make, char reterr[static OUTBOX_ERROR_MAX]);

#endif
