/* describe.h - a message of the queue as JSON, for the command line; and which ones it means.
 *
 * Reads the spool and the schedule and changes neither.  Times are milliseconds
 * since 1970.
 */
#ifndef POSTERN_QUEUE_DESCRIBE_H
#define POSTERN_QUEUE_DESCRIBE_H

#include <jansson.h>

#include "queue/meanings.h"
#include "queue/schedule.h"
#include "spool/spool.h"

/* One message's envelope, read from the spool. */
struct describe {
	struct spool *sp;
	const struct schedule *schedule;
	const struct meanings *meanings; /* NULL: none of the configuration */
	struct spool_info info;
	bool scheduled; /* false: damaged, or not loaded yet after a start */
	struct schedule_view view;
	bool readable;
	struct envelope envelope;
	struct slice recipients; /* encoded, in bytes */
	struct buf bytes, headers;
};

/* Always to be ended with describe_done().  False: there is no such message. */
bool describe_init(struct describe *d, struct spool *sp, const struct schedule *schedule,
		   const struct meanings *meanings, const struct id *id);
void describe_done(struct describe *d);

const char *describe_state(const struct describe *d); /* as schedule_state_name(), "damaged", "loading" */

/* Each NULL when out of memory. */
json_t *describe_brief(const struct describe *d); /* a row of `queue list` */
json_t *describe_full(const struct describe *d);  /* `queue show`, but for the recipients */
json_t *describe_rcpt(const struct describe *d, uint32_t number, const struct envelope_rcpt *r);
/* The header, computed and the message's own, up to 32 KiB. */
json_t *describe_headers(const struct describe *d);

/* What `queue list` and the others are asked to look at; an empty field means any. */
struct describe_filter {
	const char *state, *sender, *recipient, *domain, *id; /* id: how it begins */
	const char *site;				      /* or destination, as it is called */
	const char *class; /* of the message (bulk), or of what a recipient was last told (greylist) */
};
/* The strings stay the JSON's. NULL, or what is wrong with the question. */
const char *describe_filter_get(const json_t *ask, const struct meanings *meanings,
				struct describe_filter *ret);
bool describe_matches(const struct describe *d, const struct describe_filter *f);

#endif
