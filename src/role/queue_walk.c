/* queue_walk.c - answers about the queue that take more than one turn: a bounded piece of work a turn,
 * and no faster than they are taken.
 */
#include <errno.h>
#include <sodium.h>

#include "base/turn.h"
#include "role/queue_ask_private.h"

#define WALKS_MAX     16
#define TURN_MESSAGES 32		/* acted upon in one turn */
#define TURN_NS	      UINT64_C(5000000) /* looking at messages, of one question in one turn */
#define TURN_RCPTS    200
#define PART_MAX      24000  /* octets of JSON in one part, a little more at most */
#define ROOM_MIN      131072 /* that the way back must have */

void queue_walk_end(struct queue_walk *w, json_t *last)
{
	role_answer(w->req, last, true);
	list_remove(&w->link);
	w->ask->n_walks--;
	free(w);
}

/* False at the end of the turn, and with w->left 0 at the end of the queue. */
static bool next_match(struct queue_walk *w, struct describe *d)
{
	struct spool_info info;

	while (uv_hrtime() < w->turn_ends) {
		if (!spool_next(w->ask->sp, w->begun ? &w->at : NULL, &info)) {
			w->left = 0;
			return false;
		}
		w->begun = true;
		w->at = info.id;
		if (describe_init(d, w->ask->sp, w->ask->schedule, handout_meanings(w->ask->handout),
				  &info.id) &&
		    describe_matches(d, &w->filter))
			return true;
		describe_done(d);
	}
	return false;
}

/* One turn of a listing: what matches among the next messages, as one part. */
bool queue_walk_list(struct queue_walk *w)
{
	json_t *rows = json_array(), *row;
	struct describe d;
	size_t octets = 0;

	while (rows && w->left > 0 && octets < PART_MAX) {
		if (!next_match(w, &d))
			break;
		row = describe_brief(&d);
		describe_done(&d);
		octets += row ? json_dumpb(row, NULL, 0, JSON_COMPACT) : 0;
		json_array_append_new(rows, row);
		w->left--;
		w->done++;
	}
	if (w->left == 0) {
		queue_walk_end(w, json_pack("{s:o, s:I}", "messages", rows, "listed", (json_int_t)w->done));
		return false;
	}
	if (json_array_size(rows) > 0)
		role_answer(w->req, json_pack("{s:o}", "messages", rows), false);
	else
		json_decref(rows);
	return true;
}

bool queue_walk_act(struct queue_walk *w)
{
	struct describe d;

	for (unsigned i = 0; i < TURN_MESSAGES && w->left > 0; i++) {
		if (!next_match(w, &d))
			break;
		describe_done(&d);
		/* Without a verb they are only counted. */
		if (!w->verb || queue_act(w->ask, w->verb, &w->at) == 0)
			w->done++;
		w->left--;
	}
	if (w->left > 0)
		return true;
	if (w->verb)
		w->ask->changed(w->ask->role);
	queue_walk_end(w, json_pack("{s:I}", "done", (json_int_t)w->done));
	return false;
}

/* The recipients of one message, some a turn; w->done is the next one's number. */
bool queue_walk_show(struct queue_walk *w)
{
	json_t *rows = json_array(), *row;
	struct envelope_rcpt r;
	struct describe d;
	struct slice cur;
	size_t octets = 0;
	uint32_t i = 0, n;

	if (!rows ||
	    !describe_init(&d, w->ask->sp, w->ask->schedule, handout_meanings(w->ask->handout), &w->at)) {
		if (rows)
			describe_done(&d);
		queue_walk_end(w, json_pack("{s:o}", "recipients", rows));
		return false;
	}
	n = d.readable ? d.envelope.recipients : 0;
	cur = d.recipients;
	for (; i < n && i < w->done + TURN_RCPTS && octets < PART_MAX && envelope_get_rcpt(&cur, &r); i++) {
		if (i < w->done)
			continue;
		row = describe_rcpt(&d, i, &r);
		octets += row ? json_dumpb(row, NULL, 0, JSON_COMPACT) : 0;
		json_array_append_new(rows, row);
	}
	describe_done(&d);
	w->done = i;
	if (i >= n) {
		queue_walk_end(w, json_pack("{s:o}", "recipients", rows));
		return false;
	}
	role_answer(w->req, json_pack("{s:o}", "recipients", rows), false);
	return true;
}

json_t *queue_walk_chunk(struct slice s)
{
	size_t size = sodium_base64_ENCODED_LEN(s.n, sodium_base64_VARIANT_ORIGINAL);
	json_t *text = json_stringn((const char *)s.p, s.n);
	char *b64;

	if (text && json_dumpb(text, NULL, 0, JSON_ENCODE_ANY) <= 2 * QUEUE_CAT_CHUNK - 4096)
		return json_pack("{s:o}", "text", text);
	json_decref(text);
	b64 = malloc(size);
	if (!b64)
		return NULL;
	sodium_bin2base64(b64, size, s.p, s.n, sodium_base64_VARIANT_ORIGINAL);
	text = json_pack("{s:s}", "base64", b64);
	free(b64);
	return text;
}

/* The body, a chunk a turn; the computed headers went first. */
bool queue_walk_cat(struct queue_walk *w)
{
	unsigned char *p = malloc(QUEUE_CAT_CHUNK);
	ssize_t got = p ? spool_read_body(w->ask->sp, &w->at, w->done, p, QUEUE_CAT_CHUNK) : -ENOMEM;

	if (got > 0) {
		w->done += (uint64_t)got;
		role_answer(w->req, queue_walk_chunk(slice_of(p, (size_t)got)), false);
	} else if (got == 0) {
		queue_walk_end(w, json_object());
	} else {
		queue_walk_end(w, json_pack("{s:s}", "error",
					    got == -EBADMSG ? "the stored message is damaged"
							    : "the message cannot be read (any more)"));
	}
	free(p);
	return got > 0;
}

static void on_turn(uv_timer_t *t)
{
	struct queue_ask *a = t->data;
	struct list *at, *after;
	const char *before = turn_doing("listing the queue");

	LIST_EACH (&a->walks, at, after) {
		struct queue_walk *w = container_of(at, struct queue_walk, link);
		size_t room = role_answer_room(w->req);

		if (room == 0)
			queue_walk_end(w, NULL); /* nobody waits for it */
		else if (room >= ROOM_MIN) {
			w->turn_ends = uv_hrtime() + TURN_NS;
			w->step(w);
		}
	}
	if (list_empty(&a->walks))
		uv_timer_stop(&a->turn);
	turn_doing(before);
}

struct queue_walk *queue_walk_new(struct queue_ask *a, struct role_request *req, queue_walk_step *step)
{
	struct queue_walk *w = a->n_walks < WALKS_MAX ? calloc(1, sizeof(*w)) : NULL;

	if (w)
		w->req = role_request_keep(req);
	if (!w || !w->req) {
		free(w);
		role_answer_error(req, "too many questions at once", "try again in a moment");
		return NULL;
	}
	w->ask = a;
	w->step = step;
	w->left = UINT64_MAX;
	list_push_back(&a->walks, &w->link);
	a->n_walks++;
	uv_timer_start(&a->turn, on_turn, 0, 1);
	return w;
}
