#include "role/ledger_events.h"

#include <errno.h>
#include <sodium.h>
#include <time.h>

#include "base/log.h"
#include "base/turn.h"
#include "history/file.h"
#include "role/ledger_events_private.h"

#define FLUSH_MS     1000
#define KEPT_BATCHES 32		      /* in memory, for those who follow */
#define BATCHES_MAX  EVENTS_PARTS_MAX /* that the disk has not taken */
#define COMPLAIN_MS  60000

uint64_t ledger_events_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int ledger_events_new(struct role *r, struct ledger_events **ret)
{
	struct ledger_events *l = calloc(1, sizeof(*l));
	char why[256];
	bool aside;
	int err;

	if (!l)
		return -ENOMEM;
	l->role = r;
	list_init(&l->batches);
	list_init(&l->questions);
	list_init(&l->sending);
	list_init(&l->followers);
	event_sink_init(&l->own);
	l->own.local = true;
	randombytes_buf(&l->epoch, sizeof(l->epoch));
	l->epoch >>= 12; /* exact as a number of JSON, in whatever language reads it */
	snprintf(l->path, sizeof(l->path), "%s/ledger/events.db", r->conf->state_dir);
	err = events_open(l->path, &l->events, &aside, why, sizeof(why));
	/* No reason to stay away: those who follow see events all the same. */
	if (err < 0)
		LOG(LOG_ERR, "ledger-unusable", LOG_STR("path", l->path), LOG_STR("why", why),
		    LOG_ERRNO(err));
	else if (aside)
		LOG(LOG_ERR, "history-set-aside", LOG_STR("path", l->path),
		    LOG_STR("why", "the file was damaged; what happened before is not known any more"));
	if (l->events)
		events_count(l->events, &l->counters);
	*ret = l;
	return 0;
}

int ledger_events_start(struct ledger_events *l)
{
	int err = uv_timer_init(l->role->loop, &l->flush);

	if (err == 0)
		err = uv_timer_init(l->role->loop, &l->pace);
	l->flush.data = l->pace.data = l->work.data = l;
	l->started = err == 0;
	return err;
}

/* ---- writing ---- */

static bool is_unsaved(const struct batch *b)
{
	return b->n > b->stored;
}

static size_t gather_parts(struct ledger_events *l)
{
	struct list *at, *after;
	size_t n = 0;

	LIST_EACH (&l->batches, at, after) {
		struct batch *b = container_of(at, struct batch, link);

		if (is_unsaved(b) && n < EVENTS_PARTS_MAX)
			l->parts[n++] = (struct events_part){ .batch = b,
							      .first_ms = b->first_ms,
							      .last_ms = b->last_ms,
							      .n = b->n,
							      .n_hashes = b->n_hashes,
							      .octets = b->octets };
	}
	l->keep = (struct events_keep){ .now_ms = ledger_events_now_ms(),
					.keep_ms = l->role->conf->history_keep_s * UINT64_C(1000),
					.octets_max = l->role->conf->history_size };
	return n;
}

/* On the thread, or on the loop at the end. */
static void write_parts(struct ledger_events *l)
{
	char why[256];
	bool aside;

	l->anew = false;
	l->result = events_write(l->events, l->parts, l->n_parts, &l->keep);
	if (l->result != -EBADMSG)
		return;
	/* Damaged while we used it: what is in memory goes to a new file. */
	events_free(l->events);
	l->events = NULL;
	l->anew = history_file_set_aside(l->path) == 0 &&
		  events_open(l->path, &l->events, &aside, why, sizeof(why)) == 0;
}

static void forget_rows(struct ledger_events *l)
{
	struct list *at, *after;

	LIST_EACH (&l->batches, at, after) {
		struct batch *b = container_of(at, struct batch, link);

		b->row = 0;
		b->stored = 0;
	}
	LOG(LOG_ERR, "history-set-aside", LOG_STR("path", l->path),
	    LOG_STR("why", "the file is damaged; what happened before is not known any more"));
}

static void written(struct ledger_events *l)
{
	uint64_t now = ledger_events_now_ms();

	if (l->result == 0)
		for (size_t i = 0; i < l->n_parts; i++)
			l->parts[i].batch->stored = l->parts[i].n;
	if (l->anew)
		forget_rows(l);
	else if (l->result < 0 && now - l->complained_ms >= COMPLAIN_MS) {
		l->complained_ms = now;
		LOG(LOG_ERR, "ledger-write-failed", LOG_STR("path", l->path), LOG_ERRNO(l->result));
	}
	l->n_parts = 0;
}

static void work(uv_work_t *w)
{
	struct ledger_events *l = w->data;

	if (l->asking)
		ledger_question_run(l->asking, l->events);
	else
		write_parts(l);
}

static void arm_flush(struct ledger_events *l);

static void finish_close(struct ledger_events *l);

static void on_worked(uv_work_t *w, int status)
{
	struct ledger_events *l = w->data;
	struct question *q = l->asking;
	const char *before = turn_doing("the history");

	(void)status;
	l->busy = false;
	l->asking = NULL;
	if (l->events)
		events_count(l->events, &l->counters);
	if (q)
		ledger_question_found(q);
	else
		written(l);
	if (l->closed)
		finish_close(l);
	else {
		if (l->result < 0)
			arm_flush(l);
		ledger_events_work(l);
	}
	turn_doing(before);
}

void ledger_events_work(struct ledger_events *l)
{
	if (l->busy || l->closed || !l->started)
		return;
	if (l->write_due) {
		l->write_due = false;
		l->n_parts = l->events ? gather_parts(l) : 0;
	}
	if (l->n_parts == 0) {
		if (list_empty(&l->questions))
			return;
		l->asking = ledger_question_next(l);
	}
	l->result = 0;
	l->busy = uv_queue_work(l->role->loop, &l->work, work, on_worked) == 0;
}

static void on_flush(uv_timer_t *t)
{
	struct ledger_events *l = t->data;

	l->flush_set = false;
	l->write_due = true;
	ledger_events_work(l);
}

static void arm_flush(struct ledger_events *l)
{
	if (l->flush_set || !l->started)
		return;
	l->flush_set = true;
	uv_timer_start(&l->flush, on_flush, FLUSH_MS, 0);
}

/* ---- what comes ---- */

static void free_first(struct ledger_events *l)
{
	struct batch *b = container_of(l->batches.next, struct batch, link);

	list_remove(&b->link);
	l->n_batches--;
	free(b);
}

/* NULL: the disk is far behind, or there is no memory. */
static struct batch *begin_batch(struct ledger_events *l)
{
	struct batch *b;

	while (l->n_batches >= KEPT_BATCHES) {
		b = container_of(l->batches.next, struct batch, link);
		/* Without a file they are only passing through. */
		if ((l->busy || l->events) && is_unsaved(b))
			break;
		free_first(l);
	}
	if (l->n_batches >= BATCHES_MAX)
		return NULL;
	b = batch_new();
	if (!b)
		return NULL;
	b->first = l->next;
	list_push_back(&l->batches, &b->link);
	l->n_batches++;
	return b;
}

static bool keep(struct ledger_events *l, const struct ipc_event *e)
{
	struct batch *b = list_empty(&l->batches) ? NULL : container_of(l->batches.prev, struct batch, link);

	if (!b || !batch_add(b, e)) {
		b = begin_batch(l);
		if (!b || !batch_add(b, e)) {
			l->dropped++;
			l->untold++;
			return false;
		}
		/* The one before is full. */
		l->write_due = true;
		ledger_events_work(l);
	}
	l->next++;
	return true;
}

/* There is a hole here: whoever reads it shall know. */
static void tell_lost(struct ledger_events *l, uint64_t time_ms)
{
	unsigned char field[16];
	struct buf b;
	struct ipc_event e = { .kind = EVENT_LOST, .time_ms = time_ms, .recipient = EVENT_NO_RECIPIENT };
	uint64_t n = l->untold;

	buf_init_in(&b, field, sizeof(field));
	buf_byte(&b, EVENT_KEY_COUNT);
	for (int i = 0; i < 8; i++)
		buf_byte(&b, (unsigned char)(n >> (8 * i)));
	e.fields = buf_slice(&b);
	if (keep(l, &e))
		l->untold -= n;
}

void ledger_events_add(struct ledger_events *l, const struct ipc_event *e)
{
	l->received++;
	l->lost += e->lost;
	l->untold += e->lost;
	if (l->untold > 0)
		tell_lost(l, e->time_ms);
	if (!keep(l, e))
		return;
	arm_flush(l);
	ledger_follow(l);
}

struct event_sink *ledger_events_sink(struct ledger_events *l)
{
	return &l->own;
}

void ledger_events_tell(struct ledger_events *l)
{
	ledger_events_add(l, event_made(&l->own));
}

/* ---- numbers, and the end ---- */

void ledger_events_status(struct ledger_events *l, json_t *to)
{
	const struct events_counters *c = &l->counters;
	json_t *j = json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "usable",
			      l->busy || l->events, "received", (json_int_t)l->received, "lost",
			      (json_int_t)l->lost, "dropped", (json_int_t)l->dropped, "kept",
			      (json_int_t)c->events, "octets", (json_int_t)c->octets, "octets_max",
			      (json_int_t)l->role->conf->history_size, "oldest", (json_int_t)c->oldest_ms,
			      "taken_out", (json_int_t)c->taken_out, "damaged", (json_int_t)c->damaged,
			      "followers", (json_int_t)ledger_followers(l));

	json_object_set_new(to, "events", j);
}

static void finish_close(struct ledger_events *l)
{
	void (*closed)(struct role *) = l->closed;
	struct role *r = l->role;

	if (l->events) {
		l->n_parts = gather_parts(l);
		if (l->n_parts > 0)
			write_parts(l);
	}
	events_free(l->events);
	l->events = NULL;
	while (!list_empty(&l->batches))
		free_first(l);
	closed(r);
}

void ledger_events_close(struct ledger_events *l, void (*closed)(struct role *r))
{
	l->closed = closed;
	if (l->started) {
		uv_timer_stop(&l->flush);
		uv_timer_stop(&l->pace);
	}
	ledger_questions_end(l);
	if (!l->busy)
		finish_close(l);
}
