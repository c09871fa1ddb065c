/* bounce_report.h - what there is to say about a message, read from the spool, and the report of it.
 *
 * Reads spool and schedule, changes neither.  Times are milliseconds since 1970.
 */
#ifndef POSTERN_QUEUE_BOUNCE_REPORT_H
#define POSTERN_QUEUE_BOUNCE_REPORT_H

#include "mime/dsn.h"
#include "queue/meanings.h"
#include "queue/schedule.h"
#include "spool/spool.h"

enum bounce_kind {
	BOUNCE_FAILED,
	BOUNCE_DELIVERED, /* or relayed, and the sender asked to be told */
	BOUNCE_DELAYED,
	BOUNCE_KINDS, /* one past the last */
};
const char *bounce_kind_name(enum bounce_kind kind); /* "failed" */

struct bounce_rcpt {
	uint32_t number;
	void *detail;  /* the memory of dsn's slices that come from a mark */
	char *meaning; /* the same; or NULL */
	struct dsn_recipient dsn;
};

struct bounce_report {
	struct id about;
	enum bounce_kind kind;
	uint64_t time_ms, body_size;
	uint64_t begins_ms; /* its life: when it was accepted, or released */
	struct envelope e;  /* slices into meta */
	struct buf meta, headers;
	struct bounce_rcpt *rcpt; /* to be told */
	size_t n, room;
	uint32_t *unwanted; /* recipients of this kind that the sender does not want to hear of */
	size_t n_unwanted, room_unwanted;
};

struct bounce_times {
	uint64_t now_ms, lifetime_ms;
	const struct meanings *meanings; /* NULL: none of the configuration */
};

/* Everybody of that kind.  0, and always to be ended with bounce_report_done(); -ENOENT; -EBADMSG: the
 * envelope cannot be read; another negative errno. */
int bounce_report_read(struct spool *sp, const struct schedule *s, const struct id *id, enum bounce_kind kind,
		       const struct bounce_times *t, struct bounce_report *ret);
void bounce_report_done(struct bounce_report *r);

/* Appends the report; id: its own.  The same recipients make the same Message-ID.  0 or negative errno. */
int bounce_report_put(struct spool *sp, const struct bounce_report *r, const char *hostname,
		      const struct id *id, const struct bounce_times *t, struct buf *to,
		      struct dsn_facts *ret);

#endif
