/* recover.h - the steps of recovery, for recover*.c only. */
#ifndef POSTERN_SPOOL_RECOVER_H
#define POSTERN_SPOOL_RECOVER_H

#include "spool/state.h"

struct numbers {
	uint64_t *n;
	size_t count, room;
	bool failed;
};
void recover_number(struct numbers *v, uint64_t n); /* v->failed: out of memory */

int recover_read(struct spool *sp, const char *name, unsigned char **ret, size_t *ret_n);
uint64_t recover_nonzero(struct slice s); /* octets up to the last that is not zero */

/* One segment, by its index or by a scan; last: the one that was open. */
int recover_segment(struct spool *sp, uint64_t number, bool last);
/* The logs in order; known: the segments that should be there. */
int recover_logs(struct spool *sp, const struct numbers *logs, struct numbers *known);

#endif
