/* queue_ask_private.h - what queue_ask.c (the questions), queue_walk.c (answers that take more than
 * one turn) and queue_act.c (what is done to a message) know of each other.
 */
#ifndef POSTERN_ROLE_QUEUE_ASK_PRIVATE_H
#define POSTERN_ROLE_QUEUE_ASK_PRIVATE_H

#include "base/list.h"
#include "queue/describe.h"
#include "role/queue_ask.h"

#define QUEUE_CAT_CHUNK 24576 /* octets of the message in one part */

struct queue_walk;

/* One message that the walk has come to; false ends the walk. */
typedef bool queue_walk_step(struct queue_walk *w);

/* An answer that takes more than one turn. */
struct queue_walk {
	struct list link;
	struct queue_ask *ask;
	struct role_request *req;
	queue_walk_step *step;
	struct describe_filter filter;
	const char *verb; /* what is done to each message that matches */
	struct id at;
	bool begun;
	uint64_t turn_ends; /* by uv_hrtime() */
	uint64_t left;	    /* of the limit */
	uint64_t done;	    /* messages acted upon or listed; octets, recipients sent */
};

struct queue_ask {
	struct role *role;
	struct spool *sp;
	struct schedule *schedule;
	struct handout *handout;
	struct bounce *bounce;
	void (*changed)(struct role *r);
	struct event_sink *events;
	uv_timer_t turn;
	struct list walks;
	unsigned n_walks;
};

/* ---- queue_act.c ---- */

/* "hold", "release", "remove", "bounce", "retry": done, logged and told.  -ENOENT: no such message;
 * -EBUSY: there is nothing left of it to give up. */
int queue_act(struct queue_ask *a, const char *verb, const struct id *id);

/* ---- queue_walk.c ---- */

/* NULL, having answered, when there are too many. */
struct queue_walk *queue_walk_new(struct queue_ask *a, struct role_request *req, queue_walk_step *step);
void queue_walk_end(struct queue_walk *w, json_t *last);
/* Text where it is UTF-8 and does not grow too much as JSON, base64 otherwise. */
json_t *queue_walk_chunk(struct slice s);

/* Steps. */
bool queue_walk_list(struct queue_walk *w); /* those that match the filter */
bool queue_walk_act(struct queue_walk *w);  /* something done to each of them, or they are counted */
bool queue_walk_show(struct queue_walk *w); /* the recipients of one message */
bool queue_walk_cat(struct queue_walk *w);  /* its body; the computed headers went first */

#endif
