/* What the command line asks of the history. */
#include <errno.h>

#include "base/turn.h"
#include "base/id.h"
#include "history/event_json.h"
#include "role/ledger_events_private.h"

#define QUESTIONS_MAX 16
#define FOLLOWERS_MAX 32
#define IDS_MAX	      200
#define IDS_DEFAULT   20
#define OUT_MAX	      (4U << 20) /* octets of events gathered for an answer */
#define PAGE_MAX      (1U << 20) /* after that many the rest is asked for anew */
#define PART_MAX      40000
#define ONE_MAX	      46000  /* an event as JSON; with the rest of a part it stays below IPC_CHUNK_MAX */
#define ROOM_MIN      131072 /* of the way back, before another part is made */
#define PARTS_A_TURN  4
#define TURN_MS	      2
#define FOLLOW_MS     50    /* events gathered for those who follow */
#define WAIT_MS	      20000 /* then a follower hears that nothing happened */
#define FOLLOW_PARTS  8	    /* in one answer */

struct question {
	struct list link;
	struct ledger_events *l;
	struct role_request *req;
	struct batch_match match;
	bool find; /* lives of messages; else a stretch of time */
	int64_t after;
	uint64_t next; /* all before this one are in the file when it is asked */
	size_t limit;

	struct id ids[IDS_MAX]; /* oldest first */
	size_t n_ids;
	bool more_ids;
	struct buf out;
	bool cut;
	int64_t row;
	int error;
};

struct follower {
	struct list link;
	struct role_request *req;
	struct batch_match match;
	uint64_t after, lost;
	uint64_t until_ms;
};

/* ---- on the thread ---- */

static int id_cmp(const struct id *a, struct slice b)
{
	return slice_cmp(id_slice(a), b);
}

/* The newest ids, in order; false when this event's can be none of them. */
static void add_id(struct question *q, struct slice id)
{
	size_t at = q->n_ids;

	while (at > 0 && id_cmp(&q->ids[at - 1], id) > 0)
		at--;
	if (at > 0 && id_cmp(&q->ids[at - 1], id) == 0)
		return;
	if (q->n_ids == q->limit) {
		q->more_ids = true;
		if (at == 0)
			return;
		memmove(&q->ids[0], &q->ids[1], (at - 1) * sizeof(q->ids[0]));
		id_parse(id, &q->ids[at - 1]);
		return;
	}
	memmove(&q->ids[at + 1], &q->ids[at], (q->n_ids - at) * sizeof(q->ids[0]));
	if (id_parse(id, &q->ids[at]))
		q->n_ids++;
}

static bool find_ids(void *arg, const struct ipc_event *e)
{
	struct question *q = arg;

	if (e->id.n > 0 && batch_matches(&q->match, e))
		add_id(q, e->id);
	/* Batches come newest first: ten minutes before the oldest of enough there is nothing newer. */
	return q->n_ids < q->limit || e->time_ms + 600000 > id_time_ms(&q->ids[0]);
}

static void put_out(struct question *q, const struct ipc_event *e)
{
	if (q->cut)
		return;
	batch_put(e, &q->out);
	if (!buf_ok(&q->out) || q->out.n > OUT_MAX)
		q->cut = true;
}

static bool is_of(const struct question *q, const struct ipc_event *e)
{
	size_t low = 0, high = q->n_ids;

	while (low < high && e->id.n > 0) {
		size_t middle = low + (high - low) / 2;
		int c = id_cmp(&q->ids[middle], e->id);

		if (c == 0)
			return true;
		if (c < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (q->n_ids == 1) {
		struct batch_match m = { .id = id_slice(&q->ids[0]) };

		return batch_matches(&m, e);
	}
	return false;
}

static bool find_lives(void *arg, const struct ipc_event *e)
{
	struct question *q = arg;

	if (is_of(q, e))
		put_out(q, e);
	return !q->cut;
}

/* What an event that matches is found by, if it is: how many, one of which it has. */
static size_t hashes_of(const struct batch_match *m, uint32_t ret[static 2])
{
	size_t n = 0;

	if (m->id.n > 0) {
		ret[n++] = batch_hash(BATCH_ID, m->id);
	} else if (m->name.n > 0) {
		ret[n++] = batch_hash(BATCH_ADDRESS, m->name);
		ret[n++] = batch_hash(BATCH_MESSAGE_ID, m->name);
	} else if (m->account.n > 0) {
		ret[n++] = batch_hash(BATCH_ACCOUNT, m->account);
	} else if (m->site.n > 0 && m->no_message) {
		ret[n++] = batch_hash(BATCH_SITE, m->site);
	}
	return n;
}

static int find(struct question *q, struct events *e)
{
	uint32_t hashes[IDS_MAX];
	struct events_scan s = { .hashes = hashes, .since_ms = q->match.since_ms };
	int r = 0;

	if (id_parse(q->match.id, &q->ids[0])) {
		q->n_ids = 1;
	} else {
		s.n_hashes = hashes_of(&q->match, hashes);
		r = events_scan(e, &s, find_ids, q);
	}
	if (r < 0 || q->n_ids == 0)
		return r;
	for (size_t i = 0; i < q->n_ids; i++)
		hashes[i] = batch_hash(BATCH_ID, id_slice(&q->ids[i]));
	s = (struct events_scan){
		.hashes = hashes, .n_hashes = q->n_ids, .since_ms = id_time_ms(&q->ids[0]), .forward = true
	};
	return events_scan(e, &s, find_lives, q);
}

struct reading {
	struct question *q;
	struct events_scan scan;
};

static bool read_one(void *arg, const struct ipc_event *e)
{
	struct reading *r = arg;
	struct question *q = r->q;

	/* A page ends where a row does. */
	if (q->row != r->scan.row && q->out.n > PAGE_MAX)
		return false;
	q->row = r->scan.row;
	if (batch_matches(&q->match, e))
		put_out(q, e);
	return !q->cut;
}

static int read_on(struct question *q, struct events *e)
{
	struct reading r = { .q = q,
			     .scan = { .since_ms = q->match.since_ms, .forward = true, .after = q->after } };
	uint32_t hashes[2];
	int err;

	r.scan.n_hashes = hashes_of(&q->match, hashes);
	r.scan.hashes = r.scan.n_hashes > 0 ? hashes : NULL;
	err = events_scan(e, &r.scan, read_one, &r);

	/* All that there is was read: there is no page after this one. */
	if (r.scan.row == q->row)
		q->row = 0;
	return err;
}

void ledger_question_run(struct question *q, struct events *e)
{
	q->error = !e ? -ENOENT : q->find ? find(q, e) : read_on(q, e);
}

/* ---- answers ---- */

struct part {
	struct role_request *req;
	struct buf text;
	bool any;
};

static void part_begin(struct part *p)
{
	buf_reset(&p->text);
	buf_str(&p->text, "{\"events\":[");
	p->any = false;
}

static void part_send(struct part *p)
{
	buf_str(&p->text, "]}");
	if (p->any && buf_ok(&p->text))
		role_answer_text(p->req, buf_slice(&p->text), false);
	part_begin(p);
}

/* True: a part went out. */
static bool part_add(struct part *p, const struct ipc_event *e)
{
	static char room[ONE_MAX];
	struct buf one;
	bool sent = false;

	buf_init_in(&one, room, sizeof(room));
	event_json_put(e, &one);
	if (p->any && p->text.n + one.n > PART_MAX) {
		part_send(p);
		sent = true;
	}
	if (p->any)
		buf_byte(&p->text, ',');
	buf_put(&p->text, buf_slice(&one));
	p->any = true;
	return sent;
}

static void part_init(struct part *p, struct role_request *req)
{
	p->req = req;
	buf_init(&p->text, IPC_CHUNK_MAX);
	part_begin(p);
}

static void question_end(struct question *q, json_t *last)
{
	role_answer(q->req, last, true);
	buf_done(&q->out);
	list_remove(&q->link);
	q->l->n_questions--;
	free(q);
}

static json_t *end_of(const struct question *q)
{
	const struct ledger_events *l = q->l;

	return json_pack("{s:b, s:b, s:I, s:I, s:I, s:I, s:I, s:I}", "cut", (int)q->cut, "more",
			 (int)q->more_ids, "after", (json_int_t)q->row, "next", (json_int_t)q->next, "epoch",
			 (json_int_t)l->epoch, "oldest_ms", (json_int_t)l->counters.oldest_ms, "keep_s",
			 (json_int_t)l->role->conf->history_keep_s, "lost",
			 (json_int_t)(l->lost + l->dropped));
}

/* Some parts of it; false: it is over. */
static void question_send(struct question *q)
{
	struct part p;
	struct ipc_event e;
	unsigned parts = 0;
	struct slice cur = buf_slice(&q->out);
	size_t before = cur.n;

	part_init(&p, q->req);
	while (parts < PARTS_A_TURN && role_answer_room(q->req) >= ROOM_MIN && batch_take(&cur, &e))
		parts += part_add(&p, &e);
	part_send(&p);
	buf_done(&p.text);
	buf_consume(&q->out, before - cur.n);
	if (role_answer_room(q->req) == 0)
		question_end(q, NULL); /* nobody waits for it */
	else if (q->out.n == 0)
		question_end(q, end_of(q));
}

static void follower_end(struct follower *f, json_t *last)
{
	role_answer(f->req, last, true);
	list_remove(&f->link);
	free(f);
}

/* What came since; true when the follower has had its answer. */
static bool follower_look(struct ledger_events *l, struct follower *f)
{
	struct list *at, *after;
	struct part p;
	unsigned parts = 0;
	bool any = false;

	part_init(&p, f->req);
	LIST_EACH (&l->batches, at, after) {
		struct batch *b = container_of(at, struct batch, link);
		struct slice cur = slice_of(b->bytes, b->octets);
		struct ipc_event e;
		uint64_t n = b->first;

		if (f->after < n) {
			f->lost += n - f->after;
			f->after = n;
		}
		if (b->first + b->n <= f->after)
			continue;
		for (; parts < FOLLOW_PARTS && batch_take(&cur, &e); n++) {
			if (n < f->after)
				continue;
			f->after = n + 1;
			if (!batch_matches(&f->match, &e))
				continue;
			parts += part_add(&p, &e);
			any = true;
		}
	}
	part_send(&p);
	buf_done(&p.text);
	if (!any && f->lost == 0 && uv_now(l->role->loop) < f->until_ms)
		return false;
	follower_end(f, json_pack("{s:I, s:I, s:I}", "next", (json_int_t)f->after, "epoch",
				  (json_int_t)l->epoch, "missed", (json_int_t)f->lost));
	return true;
}

static void on_pace(uv_timer_t *t)
{
	struct ledger_events *l = t->data;
	const char *before = turn_doing("showing events");
	struct list *at, *after;
	uint64_t soon = UINT64_MAX, now = uv_now(t->loop);

	LIST_EACH (&l->sending, at, after) {
		soon = TURN_MS;
		question_send(container_of(at, struct question, link));
	}
	LIST_EACH (&l->followers, at, after) {
		struct follower *f = container_of(at, struct follower, link);

		if (role_answer_room(f->req) == 0)
			follower_end(f, NULL);
		else if (role_answer_room(f->req) >= ROOM_MIN && follower_look(l, f))
			continue;
		else if (soon > FOLLOW_MS)
			soon = f->until_ms > now + FOLLOW_MS ? f->until_ms - now : FOLLOW_MS;
	}
	if (soon < UINT64_MAX)
		uv_timer_start(&l->pace, on_pace, soon, 0);
	turn_doing(before);
}

void ledger_follow(struct ledger_events *l)
{
	if (!list_empty(&l->followers) && l->started &&
	    (!uv_is_active((uv_handle_t *)&l->pace) || uv_timer_get_due_in(&l->pace) > FOLLOW_MS))
		uv_timer_start(&l->pace, on_pace, FOLLOW_MS, 0);
}

struct question *ledger_question_next(struct ledger_events *l)
{
	struct question *q = container_of(l->questions.next, struct question, link);

	list_remove(&q->link);
	return q;
}

void ledger_question_found(struct question *q)
{
	struct ledger_events *l = q->l;

	list_push_back(&l->sending, &q->link);
	if (q->error < 0)
		question_end(q, json_pack("{s:s}", "error", "the history cannot be read"));
	else if (!l->closed)
		uv_timer_start(&l->pace, on_pace, 0, 0);
}

/* ---- questions ---- */

static const char *get_text(const json_t *json, const char *key, struct slice *ret)
{
	const json_t *v = json_object_get(json, key);

	if (!v)
		return NULL;
	if (!json_is_string(v) || json_string_length(v) > IPC_ADDRESS_MAX)
		return "what is looked for must be a text";
	*ret = slice_of(json_string_value(v), json_string_length(v));
	return NULL;
}

static const char *get_time(const json_t *json, const char *key, uint64_t *ret)
{
	const json_t *v = json_object_get(json, key);

	if (v && (!json_is_integer(v) || json_integer_value(v) < 0))
		return "a time must be milliseconds since 1970";
	*ret = (uint64_t)json_integer_value(v);
	return NULL;
}

static const char *get_match(const json_t *json, struct batch_match *ret)
{
	const struct {
		const char *key;
		struct slice *to;
	} texts[] = { { "id", &ret->id },
		      { "name", &ret->name },
		      { "account", &ret->account },
		      { "domain", &ret->domain },
		      { "site", &ret->site } };
	const json_t *kinds = json_object_get(json, "kinds"), *k;
	const char *wrong;
	size_t i;

	*ret = (struct batch_match){ 0 };
	json_array_foreach(kinds, i, k)
	{
		unsigned kind = event_kind_find(slice_str(json_string_value(k)));

		if (!kind)
			return "there is no such kind of event";
		ret->kinds |= UINT32_C(1) << kind;
	}
	wrong = get_time(json, "since_ms", &ret->since_ms);
	if (!wrong)
		wrong = get_time(json, "until_ms", &ret->until_ms);
	for (i = 0; !wrong && i < sizeof(texts) / sizeof(texts[0]); i++)
		wrong = get_text(json, texts[i].key, texts[i].to);
	ret->no_message = json_is_true(json_object_get(json, "no_message"));
	return wrong;
}

static void ask(struct ledger_events *l, struct role_request *req, bool find)
{
	const json_t *limit = json_object_get(req->json, "limit");
	struct question *q;
	struct batch_match m;
	const char *wrong = get_match(req->json, &m);
	struct id id;

	if (!wrong && find && !id_parse(m.id, &id) && m.name.n == 0 && m.account.n == 0)
		wrong = "what is looked for: an id, a name or an account";
	if (!wrong && limit && (json_integer_value(limit) < 1 || json_integer_value(limit) > IDS_MAX))
		wrong = "the limit must be from 1 to 200";
	if (!wrong && !l->busy && !l->events)
		wrong = "the history's database cannot be opened; the log line ledger-unusable says why";
	if (wrong) {
		role_answer_error(req, wrong, NULL);
		return;
	}
	q = l->n_questions < QUESTIONS_MAX ? calloc(1, sizeof(*q)) : NULL;
	if (q)
		q->req = role_request_keep(req);
	if (!q || !q->req) {
		free(q);
		role_answer_error(req, "too many questions at once", "try again in a moment");
		return;
	}
	q->l = l;
	q->find = find;
	q->match = m; /* the JSON moved to the kept request, and with it the texts */
	q->limit = limit ? (size_t)json_integer_value(limit) : IDS_DEFAULT;
	q->after = json_integer_value(json_object_get(q->req->json, "after"));
	q->next = l->next;
	buf_init(&q->out, OUT_MAX + IPC_EVENT_MAX + 64);
	list_push_back(&l->questions, &q->link);
	l->n_questions++;
	l->write_due = true; /* what happened a moment ago is asked for most */
	ledger_events_work(l);
}

unsigned ledger_followers(struct ledger_events *l)
{
	struct list *at, *next;
	unsigned n = 0;

	LIST_EACH (&l->followers, at, next)
		n++;
	return n;
}

static void follow(struct ledger_events *l, struct role_request *req)
{
	const json_t *after = json_object_get(req->json, "after"),
		     *epoch = json_object_get(req->json, "epoch");
	struct follower *f;
	struct batch_match m;
	const char *wrong = get_match(req->json, &m);

	if (wrong) {
		role_answer_error(req, wrong, NULL);
		return;
	}
	f = ledger_followers(l) < FOLLOWERS_MAX ? calloc(1, sizeof(*f)) : NULL;
	if (f)
		f->req = role_request_keep(req);
	if (!f || !f->req) {
		free(f);
		role_answer_error(req, "too many follow the events already", NULL);
		return;
	}
	f->match = m;
	f->after = l->next;
	f->until_ms = uv_now(l->role->loop) + WAIT_MS;
	if (!after)
		f->until_ms = 0; /* it only asks where we are */
	else if ((uint64_t)json_integer_value(epoch) == l->epoch &&
		 (uint64_t)json_integer_value(after) <= l->next)
		f->after = (uint64_t)json_integer_value(after);
	else
		f->after = 0; /* of another life: all of this one came after it */
	list_push_back(&l->followers, &f->link);
	uv_timer_start(&l->pace, on_pace, 0, 0);
}

void ledger_events_request(struct ledger_events *l, struct role_request *req)
{
	if (!strcmp(req->ask, "events.find"))
		ask(l, req, true);
	else if (!strcmp(req->ask, "events.read"))
		ask(l, req, false);
	else if (!strcmp(req->ask, "events.follow"))
		follow(l, req);
	else
		role_answer_error(req, "the ledger answers no such question", NULL);
}

void ledger_questions_end(struct ledger_events *l)
{
	struct list *at, *after;

	LIST_EACH (&l->sending, at, after)
		question_end(container_of(at, struct question, link),
			     json_pack("{s:s}", "error", "the server is stopping"));
	LIST_EACH (&l->questions, at, after)
		question_end(container_of(at, struct question, link),
			     json_pack("{s:s}", "error", "the server is stopping"));
	LIST_EACH (&l->followers, at, after)
		follower_end(container_of(at, struct follower, link),
			     json_pack("{s:s}", "error", "the server is stopping"));
}
