/* recover_log.c - reading the outcome log back. */
#include <errno.h>

#include "spool/recover.h"

static int segment_event(struct spool *sp, const struct record_event *e, struct numbers *known)
{
	size_t i;

	if (e->number >= sp->writer.next_number && e->number < UINT64_MAX)
		sp->writer.next_number = e->number + 1;
	for (i = 0; i < known->count && known->n[i] != e->number; i++)
		;
	if (e->what == 1 && i == known->count)
		recover_number(known, e->number);
	else if (e->what != 1 && i < known->count)
		known->n[i] = known->n[--known->count];
	return known->failed ? -ENOMEM : 0;
}

static int replay(struct spool *sp, struct slice file, uint64_t number, struct numbers *known)
{
	struct record_scanner pass = { .file = file, .at = RECORD_FILE_HEAD };
	uint64_t durable = 0;
	enum record_scan what;
	struct record r;
	int error = 0;

	if (!record_file_nonce(file, RECORD_FILE_LOG, number, &pass.nonce)) {
		sp->recovery.damaged += file.n > RECORD_FILE_HEAD;
		return 0;
	}
	while ((what = record_next(&pass, &r)) != RECORD_END)
		if (what == RECORD_GOOD && r.durable > durable)
			durable = r.durable;
	pass.at = RECORD_FILE_HEAD;
	while (error == 0 && (what = record_next(&pass, &r)) != RECORD_END) {
		struct record_event e;

		if (what == RECORD_GOOD && record_get_event(r.type, r.payload, &e)) {
			if (e.type == RECORD_SEGMENT)
				error = segment_event(sp, &e, known);
			else if (!outcome_apply(sp, &e))
				error = -ENOMEM;
		} else if (!sp->recovery.clean && r.at >= durable) {
			sp->recovery.torn_bytes += recover_nonzero(slice_of(file.p + r.at, (size_t)r.n));
		} else {
			sp->recovery.damaged++;
		}
	}
	return error;
}

/* One that cannot be read is as one that is empty, and counted by replay(). */
static int read_log(struct spool *sp, const char *name, unsigned char **ret, size_t *ret_n)
{
	int r = recover_read(sp, name, ret, ret_n);

	if (r != -EIO && r != -EFBIG && r != -ENODATA)
		return r;
	*ret = calloc(1, RECORD_FILE_HEAD + 1);
	if (!*ret)
		return -ENOMEM;
	*ret_n = RECORD_FILE_HEAD + 1;
	return 0;
}

/* Whether the log begins with "forget what came before". */
static bool is_snapshot(struct slice file, uint64_t number)
{
	struct record_scanner pass = { .file = file, .at = RECORD_FILE_HEAD };
	struct record r;

	return record_file_nonce(file, RECORD_FILE_LOG, number, &pass.nonce) &&
	       record_next(&pass, &r) == RECORD_GOOD && r.type == RECORD_SNAPSHOT;
}

int recover_logs(struct spool *sp, const struct numbers *logs, struct numbers *known)
{
	size_t first = logs->count;
	int r = 0;

	/* From the newest snapshot on. */
	for (bool found_one = false; r == 0 && first > 0 && !found_one;) {
		char name[SPOOL_NAME_MAX];
		unsigned char *p;
		size_t n;

		name_numbered(name, logs->n[--first], ".log");
		r = read_log(sp, name, &p, &n);
		if (r < 0)
			break;
		found_one = is_snapshot(slice_of(p, n), logs->n[first]);
		free(p);
	}
	for (size_t i = first; r == 0 && i < logs->count; i++) {
		char name[SPOOL_NAME_MAX];
		unsigned char *p;
		size_t n;

		name_numbered(name, logs->n[i], ".log");
		r = read_log(sp, name, &p, &n);
		if (r < 0)
			break;
		sp->log.size += n;
		r = replay(sp, slice_of(p, n), logs->n[i], known);
		free(p);
	}
	sp->log.lowest = logs->count ? logs->n[0] : sp->log.next_number;
	return r;
}
