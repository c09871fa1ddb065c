#include "role/queue_ask.h"

#include <errno.h>

#include "role/queue_ask_private.h"
#include "role/queue_relay.h"
#include "role/queue_summary.h"

#define LIST_DEFAULT 1000

uint64_t queue_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

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
	struct queue_walk *w;

	if (wrong || (limit && (!json_is_integer(limit) || json_integer_value(limit) < 1))) {
		role_answer_error(req, wrong ? wrong : "the limit must be a number from 1", NULL);
		return;
	}
	w = queue_walk_new(a, req, queue_walk_list);
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
	struct queue_walk *w;
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
	w = full && headers ? queue_walk_new(a, req, queue_walk_show) : NULL;
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
	struct queue_walk *w;
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
	w = r == 0 ? queue_walk_new(a, req, queue_walk_cat) : NULL;
	if (w) {
		struct slice s = buf_slice(&headers);

		w->at = id;
		for (; s.n > 0; s = slice_tail(s, QUEUE_CAT_CHUNK))
			role_answer(w->req, queue_walk_chunk(slice_head(s, QUEUE_CAT_CHUNK)), false);
	}
	buf_done(&headers);
}

/* By id, or by filter with "all": true, so that a forgotten filter harms nobody. */
static void ask_act(struct queue_ask *a, struct role_request *req)
{
	const char *verb = strchr(req->ask, '.') + 1;
	struct describe_filter filter;
	const char *wrong;
	struct queue_walk *w;
	struct id id;
	int r;

	if (!json_is_true(json_object_get(req->json, "all")) && strcmp(verb, "count") != 0) {
		if (!get_id(req, &id))
			return;
		r = queue_act(a, verb, &id);
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
	w = queue_walk_new(a, req, queue_walk_act);
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
		queue_walk_end(container_of(a->walks.next, struct queue_walk, link),
			       json_pack("{s:s}", "error", "the server is stopping"));
	uv_close((uv_handle_t *)&a->turn, on_timer_closed);
}
