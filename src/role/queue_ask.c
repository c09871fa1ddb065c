#include "role/queue_ask.h"

#include <errno.h>
#include <sodium.h>

#include "base/list.h"
#include "base/log.h"
#include "base/turn.h"
#include "queue/bounce.h"
#include "ipc/event.h"
#include "queue/describe.h"
#include "role/queue_relay.h"
#include "role/queue_summary.h"

#define WALKS_MAX     16
#define TURN_MESSAGES 32		/* acted upon in one turn */
#define TURN_NS	      UINT64_C(5000000) /* looking at messages, of one question in one turn */
#define TURN_RCPTS    200
#define PART_MAX      24000  /* octets of JSON in one part, a little more at most */
#define CAT_CHUNK     24576  /* octets of the message in one part */
#define ROOM_MIN      131072 /* that the way back must have */
#define LIST_DEFAULT  1000

struct walk;

/* One message that the walk has come to; false ends the walk. */
typedef bool step_fn(struct walk *w);

/* An answer that takes more than one turn. */
struct walk {
	struct list link;
	struct queue_ask *ask;
	struct role_request *req;
	step_fn *step;
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

uint64_t queue_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- what can be done to a message ---- */

/* Written down, so that a restart does not forget what the operator asked for. */
static int retry(struct queue_ask *a, const struct id *id, const struct spool_info *info)
{
	uint64_t now = queue_now_ms();
	struct envelope_reason why = { .next_ms = now,
				       .step = SMTP_CLIENT_IDLE,
				       .text = SLICE_LIT("an operator asked to try it again") };
	struct schedule_view v;
	struct buf detail;
	int r = 0;

	if (!schedule_look(a->schedule, id, &v))
		return -ENOENT;
	why.attempts = v.attempts;
	buf_init(&detail, 1024);
	envelope_put_reason(&why, &detail);
	for (uint32_t i = 0; r == 0 && i < info->recipients; i++) {
		enum schedule_rcpt state = schedule_look_rcpt(a->schedule, id, i);

		if (state == SCHEDULE_FAILED || state == SCHEDULE_DEFERRED)
			r = spool_mark(a->sp, id, i, SPOOL_MARK_DEFERRED, buf_slice(&detail));
	}
	buf_done(&detail);
	return r < 0 ? r : schedule_retry_now(a->schedule, id, now);
}

static int act(struct queue_ask *a, const char *verb, const struct id *id)
{
	struct spool_info info;
	int r = spool_info(a->sp, id, &info);

	if (r < 0)
		return r;
	if (!strcmp(verb, "hold")) {
		r = spool_mark(a->sp, id, SPOOL_ALL_RECIPIENTS, SPOOL_MARK_HOLD, SLICE_LIT(""));
		if (r == 0)
			schedule_hold(a->schedule, id);
	} else if (!strcmp(verb, "release")) {
		r = spool_mark(a->sp, id, SPOOL_ALL_RECIPIENTS, SPOOL_MARK_RELEASE, SLICE_LIT(""));
		if (r == 0)
			schedule_release(a->schedule, id, queue_now_ms());
	} else if (!strcmp(verb, "remove")) {
		r = spool_outcome(a->sp, id, SPOOL_ALL_RECIPIENTS, SPOOL_REMOVED);
		if (r == 0)
			schedule_remove(a->schedule, id);
	} else if (!strcmp(verb, "bounce")) {
		r = bounce_give_up(a->bounce, id, queue_now_ms());
		if (r == 0)
			r = -EBUSY;
	} else {
		r = retry(a, id, &info);
	}
	return r < 0 ? r : 0;
}

static const char *past(const char *verb)
{
	static const struct {
		const char *verb, *event;
	} rows[] = {
		{ "hold", "held" },	{ "release", "released" }, { "remove", "removed" },
		{ "retry", "retried" }, { "bounce", "given-up" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (!strcmp(rows[i].verb, verb))
			return rows[i].event;
	return "unknown";
}

/* What its first open recipient waits for: when it is gone its history is found by that. */
static void find_site(const struct queue_ask *a, const struct id *id, char site[static 256])
{
	struct schedule_rcpt_view v;
	struct spool_info info;

	site[0] = 0;
	if (spool_info(a->sp, id, &info) < 0)
		return;
	for (uint32_t i = 0; i < info.recipients && !site[0]; i++)
		if (schedule_look_route(a->schedule, id, i, &v) && v.state != SCHEDULE_DONE)
			(void)slice_copy(v.site.n > 0 ? v.site : v.destination, site, 256);
}

static int act_and_log(struct queue_ask *a, const char *verb, const struct id *id)
{
	unsigned kind = event_kind_find(slice_str(past(verb)));
	char site[256];
	int r;

	find_site(a, id, site);
	r = act(a, verb, id);
	if (r == 0 && kind) {
		event_begin(a->events, (enum event_kind)kind, queue_now_ms(), id_slice(id),
			    EVENT_NO_RECIPIENT);
		event_text(a->events, EVENT_KEY_BY, SLICE_LIT("administrator"));
		event_text(a->events, EVENT_KEY_SITE_NAME, slice_str(site));
		event_send(a->events);
	}
	if (r == 0)
		LOG(LOG_NOTICE, past(verb), LOG_S("id", id_slice(id)));
	else
		LOG(LOG_WARNING, "not-done", LOG_STR("verb", verb), LOG_S("id", id_slice(id)), LOG_ERRNO(r));
	return r;
}

/* ---- walks ---- */

static void walk_end(struct walk *w, json_t *last)
{
	role_answer(w->req, last, true);
	list_remove(&w->link);
	w->ask->n_walks--;
	free(w);
}

/* False at the end of the turn, and with w->left 0 at the end of the queue. */
static bool next_match(struct walk *w, struct describe *d)
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
static bool step_list(struct walk *w)
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
		walk_end(w, json_pack("{s:o, s:I}", "messages", rows, "listed", (json_int_t)w->done));
		return false;
	}
	if (json_array_size(rows) > 0)
		role_answer(w->req, json_pack("{s:o}", "messages", rows), false);
	else
		json_decref(rows);
	return true;
}

static bool step_act(struct walk *w)
{
	struct describe d;

	for (unsigned i = 0; i < TURN_MESSAGES && w->left > 0; i++) {
		if (!next_match(w, &d))
			break;
		describe_done(&d);
		/* Without a verb they are only counted. */
		if (!w->verb || act_and_log(w->ask, w->verb, &w->at) == 0)
			w->done++;
		w->left--;
	}
	if (w->left > 0)
		return true;
	if (w->verb)
		w->ask->changed(w->ask->role);
	walk_end(w, json_pack("{s:I}", "done", (json_int_t)w->done));
	return false;
}

/* The recipients of one message, some a turn; w->done is the next one's number. */
static bool step_show(struct walk *w)
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
		walk_end(w, json_pack("{s:o}", "recipients", rows));
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
		walk_end(w, json_pack("{s:o}", "recipients", rows));
		return false;
	}
	role_answer(w->req, json_pack("{s:o}", "recipients", rows), false);
	return true;
}

/* Text where it is UTF-8 and does not grow too much as JSON, base64 otherwise. */
static json_t *chunk(struct slice s)
{
	size_t size = sodium_base64_ENCODED_LEN(s.n, sodium_base64_VARIANT_ORIGINAL);
	json_t *text = json_stringn((const char *)s.p, s.n);
	char *b64;

	if (text && json_dumpb(text, NULL, 0, JSON_ENCODE_ANY) <= 2 * CAT_CHUNK - 4096)
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
static bool step_cat(struct walk *w)
{
	unsigned char *p = malloc(CAT_CHUNK);
	ssize_t got = p ? spool_read_body(w->ask->sp, &w->at, w->done, p, CAT_CHUNK) : -ENOMEM;

	if (got > 0) {
		w->done += (uint64_t)got;
		role_answer(w->req, chunk(slice_of(p, (size_t)got)), false);
	} else if (got == 0) {
		walk_end(w, json_object());
	} else {
		walk_end(w, json_pack("{s:s}", "error",
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
		struct walk *w = container_of(at, struct walk, link);
		size_t room = role_answer_room(w->req);

		if (room == 0)
			walk_end(w, NULL); /* nobody waits for it */
		else if (room >= ROOM_MIN) {
			w->turn_ends = uv_hrtime() + TURN_NS;
			w->step(w);
		}
	}
	if (list_empty(&a->walks))
		uv_timer_stop(&a->turn);
	turn_doing(before);
}

/* NULL, having answered, when there are too many. */
static struct walk *walk_new(struct queue_ask *a, struct role_request *req, step_fn *step)
{
	struct walk *w = a->n_walks < WALKS_MAX ? calloc(1, sizeof(*w)) : NULL;

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

/* ---- the questions ---- */

static bool get_id(struct role_request *req, struct id *ret)
{
	const char *text = json_string_value(json_object_get(req->json, "id"));
	char error[64] = "not a message id";

	if (text && id_parse(slice_str(text), ret))
		return true;
	/* Of several that were named, which one; whole or not at all, as a cut may not be UTF-8. */
	if (text && strlen(text) <= 32)
		snprintf(error, sizeof(error), "not a message id: %s", text);
	role_answer_error(req, error, "`postern queue list` shows the ids, 13 characters each");
	return false;
}

static void not_there(struct role_request *req, const struct id *id)
{
	char error[64];

	snprintf(error, sizeof(error), "no such message: %s", id->text);
	role_answer_error(req, error, "it was delivered or removed, or never here; the log knows its id");
}

static void ask_list(struct queue_ask *a, struct role_request *req)
{
	json_t *limit = json_object_get(req->json, "limit");
	struct describe_filter filter;
	const char *wrong = describe_filter_get(req->json, handout_meanings(a->handout), &filter);
	struct walk *w;

	if (wrong || (limit && (!json_is_integer(limit) || json_integer_value(limit) < 1))) {
		role_answer_error(req, wrong ? wrong : "the limit must be a number from 1", NULL);
		return;
	}
	w = walk_new(a, req, step_list);
	if (!w)
		return;
	/* The JSON moved to the kept request, and with it the filter's strings. */
	w->filter = filter;
	w->left = limit ? (uint64_t)json_integer_value(limit) : LIST_DEFAULT;
}

/* When what is left of it is given up: its life begins when it is let go (RFC 4865). */
static uint64_t expires(const struct queue_ask *a, const struct describe *d)
{
	uint64_t from = d->info.time_ms;

	if (d->readable && d->envelope.hold_until_ms > from)
		from = d->envelope.hold_until_ms;
	return from + a->role->conf->relay_lifetime_s * UINT64_C(1000);
}

static void ask_show(struct queue_ask *a, struct role_request *req)
{
	struct describe d;
	json_t *full = NULL, *headers = NULL;
	struct walk *w;
	struct id id;

	if (!get_id(req, &id))
		return;
	if (describe_init(&d, a->sp, a->schedule, handout_meanings(a->handout), &id)) {
		full = describe_full(&d);
		if (full && d.info.time_ms > 0)
			json_object_set_new(full, "expires", json_integer((json_int_t)expires(a, &d)));
		headers = describe_headers(&d);
	}
	describe_done(&d);
	w = full && headers ? walk_new(a, req, step_show) : NULL;
	if (w) {
		w->at = id;
		role_answer(w->req, json_pack("{s:o}", "message", full), false);
		role_answer(w->req, json_pack("{s:o}", "headers", headers), false);
		return;
	}
	json_decref(full);
	json_decref(headers);
	if (!full && json_is_object(req->json) && json_is_true(json_object_get(req->json, "if_there")))
		role_answer(req, json_object(), true);
	else if (!full && json_is_object(req->json))
		not_there(req, &id);
}

static void ask_cat(struct queue_ask *a, struct role_request *req)
{
	struct buf envelope, headers;
	struct walk *w;
	struct id id;
	int r;

	if (!get_id(req, &id))
		return;
	buf_init(&envelope, ENVELOPE_MAX);
	buf_init(&headers, 65536);
	r = spool_read_meta(a->sp, &id, &envelope, &headers);
	buf_done(&envelope);
	if (r == -ENOENT)
		not_there(req, &id);
	else if (r < 0)
		role_answer_error(req, "the message cannot be read", strerrordesc_np(-r));
	w = r == 0 ? walk_new(a, req, step_cat) : NULL;
	if (w) {
		struct slice s = buf_slice(&headers);

		w->at = id;
		for (; s.n > 0; s = slice_tail(s, CAT_CHUNK))
			role_answer(w->req, chunk(slice_head(s, CAT_CHUNK)), false);
	}
	buf_done(&headers);
}

/* By id, or by filter with "all": true, so that a forgotten filter harms nobody. */
static void ask_act(struct queue_ask *a, struct role_request *req)
{
	const char *verb = strchr(req->ask, '.') + 1;
	struct describe_filter filter;
	const char *wrong;
	struct walk *w;
	struct id id;
	int r;

	if (!json_is_true(json_object_get(req->json, "all")) && strcmp(verb, "count") != 0) {
		if (!get_id(req, &id))
			return;
		r = act_and_log(a, verb, &id);
		if (r == 0)
			role_answer(req, json_pack("{s:i}", "done", 1), true);
		else if (r == -ENOENT)
			not_there(req, &id);
		else if (r == -EBUSY)
			role_answer_error(req, "all its recipients are under way, or done", "try again");
		else
			role_answer_error(req, "the spool did not take it", strerrordesc_np(-r));
		a->changed(a->role);
		return;
	}
	wrong = describe_filter_get(req->json, handout_meanings(a->handout), &filter);
	if (wrong) {
		role_answer_error(req, wrong, NULL);
		return;
	}
	w = walk_new(a, req, step_act);
	if (!w)
		return;
	w->filter = filter;
	for (const char *const *v =
		     (const char *const[]){ "hold", "release", "remove", "retry", "bounce", NULL };
	     *v; v++)
		if (!strcmp(*v, verb))
			w->verb = *v;
}

static void ask_summary(struct queue_ask *a, struct role_request *req)
{
	queue_summary(a->schedule, queue_now_ms(), req);
}

static void ask_relay(struct queue_ask *a, struct role_request *req)
{
	queue_relay_ask(a->schedule, a->handout, req, queue_now_ms());
}

void queue_ask(struct queue_ask *a, struct role_request *req)
{
	static const struct {
		const char *ask;
		void (*run)(struct queue_ask *a, struct role_request *req);
	} rows[] = {
		{ "queue.list", ask_list },	  { "queue.show", ask_show },	{ "queue.cat", ask_cat },
		{ "queue.hold", ask_act },	  { "queue.release", ask_act }, { "queue.remove", ask_act },
		{ "queue.retry", ask_act },	  { "queue.bounce", ask_act },	{ "queue.count", ask_act },
		{ "queue.summary", ask_summary }, { "queue.relay", ask_relay },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (!strcmp(rows[i].ask, req->ask)) {
			rows[i].run(a, req);
			return;
		}
	role_answer_error(
		req, "the queue answers no such question",
		"queue.list, show, cat, summary, count, hold, release, remove, retry, bounce, relay");
}

int queue_ask_new(struct role *r, struct spool *sp, struct schedule *schedule, struct handout *handout,
		  void (*changed)(struct role *r), struct queue_ask **ret)
{
	struct queue_ask *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	a->role = r;
	a->sp = sp;
	a->schedule = schedule;
	a->handout = handout;
	a->changed = changed;
	list_init(&a->walks);
	uv_timer_init(r->loop, &a->turn);
	a->turn.data = a;
	*ret = a;
	return 0;
}

void queue_ask_bounce(struct queue_ask *a, struct bounce *bounce)
{
	a->bounce = bounce;
}

void queue_ask_events(struct queue_ask *a, struct event_sink *events)
{
	a->events = events;
}

static void on_timer_closed(uv_handle_t *h)
{
	free(h->data);
}

void queue_ask_free(struct queue_ask *a)
{
	if (!a)
		return;
	while (!list_empty(&a->walks))
		walk_end(container_of(a->walks.next, struct walk, link),
			 json_pack("{s:s}", "error", "the server is stopping"));
	uv_close((uv_handle_t *)&a->turn, on_timer_closed);
}
