#include "queue/bounce.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "ipc/event.h"
#include "queue/bounce_private.h"
#include "smtp/path.h"

#define GATHER_MS     2000   /* from the first failure of a message to its report */
#define GATHER_MAX_MS 60000  /* while others of its recipients are under way */
#define AGAIN_MS      60000  /* what could not be made or stored */
#define FULL_MS	      5000   /* while the disk is full */
#define PENDING_MAX   100000 /* messages; more are looked for in the spool, later */
#define TURN	      8	     /* reports begun in one turn */
#define LOOK_TURN     256    /* messages looked at in one turn */
#define SILENT_AT     3	     /* times in a row that keeper let questions lie, */
#define ASIDE_MS      5000   /* so far apart at least */
#define PROCESS	      255    /* of ids: no smtp process has that number */

int bounce_new(struct spool *sp, struct schedule *schedule, struct intake *intake, struct bounce **ret)
{
	struct bounce *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	b->sp = sp;
	b->schedule = schedule;
	b->intake = intake;
	list_init(&b->open);
	heap_init(&b->due);
	id_source_init(&b->ids, PROCESS);
	if (map_init(&b->pending) < 0 || bounce_pace_init(&b->pace) < 0) {
		bounce_free(b);
		return -ENOMEM;
	}
	intake_own(intake, bounce_stored, b);
	*ret = b;
	return 0;
}

static void end_report(struct bounce *b, struct pending *p)
{
	if (p->stage != STAGE_WAITS)
		b->n_open--;
	p->stage = STAGE_WAITS;
	list_remove(&p->open);
	buf_done(&p->targets);
	free(p->sender_p);
	free(p->rcpt);
	p->sender_p = NULL;
	p->sender = slice_of(NULL, 0);
	p->rcpt = NULL;
	p->n = 0;
}

static void pending_free(struct bounce *b, struct pending *p)
{
	end_report(b, p);
	heap_remove(&b->due, &p->due);
	map_remove(&b->pending, &p->node);
	free(p);
}

void bounce_free(struct bounce *b)
{
	struct map_node *node;

	if (!b)
		return;
	if (b->intake)
		intake_own(b->intake, NULL, NULL);
	while (b->pending.bucket && (node = map_next(&b->pending, NULL)))
		pending_free(b, container_of(node, struct pending, node));
	map_done(&b->pending);
	heap_done(&b->due);
	bounce_pace_done(&b->pace);
	free(b->hostname);
	free(b);
}

int bounce_configure(struct bounce *b, const struct bounce_setup *setup)
{
	char *hostname = strdup(setup->hostname);

	if (!hostname)
		return -ENOMEM;
	free(b->hostname);
	b->hostname = hostname;
	b->setup = *setup;
	b->setup.hostname = hostname;
	b->late_next_ms = 0;
	return 0;
}

void bounce_events(struct bounce *b, struct event_sink *events)
{
	b->events = events;
}

/* ---- what there is to tell ---- */

bool bounce_wants(const struct bounce *b, uint8_t notify, bool peer_tells)
{
	return b && (notify & SMTP_NOTIFY_SUCCESS) && !peer_tells;
}

static struct pending *find(const struct bounce *b, const struct id *id)
{
	struct map_node *node = map_find(&b->pending, id_slice(id));

	return node ? container_of(node, struct pending, node) : NULL;
}

static struct pending *note(struct bounce *b, const struct id *id, uint64_t due_ms, uint64_t now_ms)
{
	struct pending *p = find(b, id);

	if (p)
		return p;
	p = b->pending.n < PENDING_MAX && heap_reserve(&b->due, b->pending.n + 1) ? calloc(1, sizeof(*p))
										  : NULL;
	if (!p) {
		b->overflow = true;
		return NULL;
	}
	p->id = *id;
	p->first_ms = now_ms;
	list_init(&p->open);
	map_insert(&b->pending, &p->node, id_slice(&p->id));
	heap_set(&b->due, &p->due, due_ms);
	return p;
}

void bounce_note(struct bounce *b, const struct id *id, uint64_t now_ms)
{
	if (b)
		note(b, id, now_ms + GATHER_MS, now_ms);
}

void bounce_look(struct bounce *b)
{
	b->loaded = b->looking = true;
	b->look_begun = false;
	b->late_next_ms = 0;
}

/* Does a mark say that there is something to tell of it? */
static bool has_something(struct bounce *b, const struct spool_info *info)
{
	struct spool_recipient known;
	struct envelope_reason why;
	unsigned char room[1024];
	struct buf detail;

	for (uint32_t i = 0; i < info->recipients; i++) {
		buf_init_in(&detail, room, sizeof(room));
		if (spool_recipient(b->sp, &info->id, i, &known, &detail) == 0 && !known.done &&
		    known.deferred && envelope_get_reason(buf_slice(&detail), &why) &&
		    (why.failed || why.delivered))
			return true;
	}
	return false;
}

/* Through all of the spool, once.  True: there is more. */
static bool look(struct bounce *b)
{
	struct spool_info info;

	if (!b->looking && b->overflow && b->loaded && b->pending.n < PENDING_MAX / 2) {
		bounce_look(b);
		b->overflow = false;
	}
	for (unsigned n = 0; b->looking && n < LOOK_TURN && !b->overflow; n++) {
		if (!spool_next(b->sp, b->look_begun ? &b->look_at : NULL, &info)) {
			b->looking = false;
			break;
		}
		b->look_begun = true;
		b->look_at = info.id;
		if (!info.damaged && has_something(b, &info))
			note(b, &info.id, b->now_ms, b->now_ms);
	}
	if (b->overflow)
		b->looking = false; /* begun again when there is room */
	return b->looking;
}

/* Messages by age: ids are in order of time, so each is looked at once, when it comes of age.  When the next
 * one does, or 0: there may be more now. */
static uint64_t look_at_late(struct bounce *b)
{
	struct spool_info info;
	struct schedule_view v;
	struct pending *p;

	for (unsigned n = 0; n < LOOK_TURN; n++) {
		if (!spool_next(b->sp, b->late_begun ? &b->late_at : NULL, &info))
			return b->now_ms + b->setup.delay_ms;
		if (info.time_ms + b->setup.delay_ms > b->now_ms)
			return info.time_ms + b->setup.delay_ms;
		if (!info.damaged && !info.warned && schedule_look(b->schedule, &info.id, &v) && !v.held &&
		    v.count[SCHEDULE_READY] + v.count[SCHEDULE_DEFERRED] + v.count[SCHEDULE_ACTIVE] > 0) {
			p = note(b, &info.id, b->now_ms, b->now_ms);
			if (!p)
				return b->now_ms + AGAIN_MS;
			p->late = true;
		}
		b->late_begun = true;
		b->late_at = info.id;
	}
	return 0;
}

/* Not in each turn: the spool keeps what is gone already in order too, and that may be thousands before the
 * first that is not. */
static uint64_t look_for_late(struct bounce *b)
{
	if (b->setup.delay_ms == 0 || !b->loaded)
		return UINT64_MAX;
	if (b->late_next_ms <= b->now_ms)
		b->late_next_ms = look_at_late(b);
	return b->late_next_ms;
}

/* ---- settling ---- */

void bounce_settle(struct bounce *b, const struct id *id, uint32_t number, enum bounce_kind kind)
{
	int r;

	if (kind == BOUNCE_DELAYED)
		return;
	if (kind == BOUNCE_FAILED)
		schedule_settle(b->schedule, id, number, SCHEDULE_DONE);
	r = spool_outcome(b->sp, id, number, kind == BOUNCE_FAILED ? SPOOL_BOUNCED : SPOOL_DELIVERED);
	if (r < 0)
		LOG(LOG_ERR, "outcome-not-recorded", LOG_S("id", id_slice(id)), LOG_U("recipient", number),
		    LOG_ERRNO(r));
}

static void settle_unwanted(struct bounce *b, const struct bounce_report *r)
{
	for (size_t i = 0; i < r->n_unwanted; i++)
		bounce_settle(b, &r->about, r->unwanted[i], r->kind);
	if (r->kind == BOUNCE_FAILED && r->n_unwanted > 0) {
		b->count.unwanted += r->n_unwanted;
		LOG(LOG_INFO, "not-reported", LOG_S("id", id_slice(&r->about)), LOG_S("sender", r->e.sender),
		    LOG_U("recipients", r->n_unwanted), LOG_STR("why", "notify"));
	}
}

/* There is nobody who could be told. */
void bounce_settle_untold(struct bounce *b, const struct bounce_report *r, const char *why, uint64_t *counter)
{
	for (size_t i = 0; i < r->n; i++)
		bounce_settle(b, &r->about, r->rcpt[i].number, r->kind);
	if (r->kind == BOUNCE_DELAYED)
		spool_mark(b->sp, &r->about, SPOOL_ALL_RECIPIENTS, SPOOL_MARK_WARNED, SLICE_LIT(""));
	if (r->kind != BOUNCE_FAILED)
		return;
	*counter += r->n;
	LOG(LOG_WARNING, "not-reported", LOG_S("id", id_slice(&r->about)), LOG_S("sender", r->e.sender),
	    LOG_U("recipients", r->n), LOG_S("to", r->rcpt[0].dsn.address),
	    LOG_S("reason", r->rcpt[0].dsn.said), LOG_STR("why", why));
}

void bounce_wait_until(struct bounce *b, struct pending *p, uint64_t ms)
{
	end_report(b, p);
	heap_set(&b->due, &p->due, ms);
}

void bounce_try_again(struct bounce *b, struct pending *p, const char *what, int error)
{
	uint64_t wait = (uint64_t)AGAIN_MS << (p->errors < 5 ? p->errors : 5);

	b->count.errors++;
	p->errors++;
	LOG(LOG_ERR, "report-not-made", LOG_S("id", id_slice(&p->id)), LOG_STR("step", what),
	    LOG_ERRNO(error < 0 ? -error : error), LOG_U("next_s", wait / 1000));
	bounce_wait_until(b, p, b->now_ms + wait);
}

/* ---- one message ---- */

/* Others of its recipients may fail in the next moments. */
static bool gathers(const struct bounce *b, const struct pending *p)
{
	struct schedule_view v;

	return b->now_ms < p->first_ms + GATHER_MAX_MS && schedule_look(b->schedule, &p->id, &v) &&
	       v.count[SCHEDULE_READY] + v.count[SCHEDULE_ACTIVE] > 0 && v.count[SCHEDULE_FAILED] > 0;
}

/* Of a late message the life begins when it was released. */
static bool is_late(const struct bounce *b, const struct pending *p, const struct bounce_report *r)
{
	return p->late && r->begins_ms + b->setup.delay_ms <= b->now_ms;
}

/* True: there is a report to be made, of r. */
static bool find_report(struct bounce *b, struct pending *p, struct bounce_report *r, int *ret_error)
{
	static const enum bounce_kind order[] = { BOUNCE_FAILED, BOUNCE_DELIVERED, BOUNCE_DELAYED };
	struct bounce_times t = { b->now_ms, b->setup.lifetime_ms, b->setup.meanings };

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		if (order[i] == BOUNCE_DELAYED && !p->late)
			continue;
		*ret_error = bounce_report_read(b->sp, b->schedule, &p->id, order[i], &t, r);
		if (*ret_error == 0)
			settle_unwanted(b, r);
		if (*ret_error == 0 && r->n > 0)
			return true;
		if (*ret_error == 0 && order[i] == BOUNCE_DELAYED)
			p->late = false; /* nobody wants to know, or it was delivered meanwhile */
		bounce_report_done(r);
		if (*ret_error < 0)
			return false;
	}
	return false;
}

static void begin(struct bounce *b, struct pending *p, const struct bounce_report *r)
{
	uint64_t at;

	p->kind = r->kind;
	if (r->e.sender.n == 0) {
		bounce_settle_untold(b, r, "null sender", &b->count.nobody);
		p->late = false;
		bounce_wait_until(b, p, b->now_ms);
		return;
	}
	if (r->kind == BOUNCE_DELAYED && !is_late(b, p, r)) {
		bounce_wait_until(b, p, r->begins_ms + b->setup.delay_ms);
		return;
	}
	if (!p->paced && r->kind == BOUNCE_DELAYED && !bounce_pace_free(&b->pace, r->e.sender, b->now_ms)) {
		/* It is only a warning: better none than hours later. */
		bounce_settle_untold(b, r, "too many", &b->count.held_back);
		b->count.held_back++;
		p->late = false;
		bounce_wait_until(b, p, b->now_ms);
		return;
	}
	at = p->paced ? b->now_ms : bounce_pace_take(&b->pace, r->e.sender, b->now_ms);
	p->paced = true;
	if (at > b->now_ms) {
		b->count.held_back++;
		bounce_wait_until(b, p, at);
		return;
	}
	bounce_ask(b, p, r->e.sender);
}

/* Of several that were asked together one counts. */
static void unanswered(struct bounce *b)
{
	if (b->unanswered > 0 && b->now_ms < b->unanswered_ms + ASIDE_MS)
		return;
	b->unanswered_ms = b->now_ms;
	if (++b->unanswered < SILENT_AT)
		return;
	b->unanswered = 0;
	b->keeper_silent = true;
}

static void work(struct bounce *b, struct pending *p)
{
	struct bounce_report r;
	int error = 0;

	if (p->stage == STAGE_STORES) { /* the disk takes its time, and will answer */
		heap_set(&b->due, &p->due, b->now_ms + AGAIN_MS);
		return;
	}
	if (gathers(b, p)) {
		bounce_wait_until(b, p, b->now_ms + GATHER_MS);
		return;
	}
	if (spool_accepting(b->sp) == -ENOSPC) { /* nobody's fault, and nothing to be logged for each */
		bounce_wait_until(b, p, b->now_ms + FULL_MS);
		return;
	}
	if (p->stage == STAGE_ASKS)
		unanswered(b);
	end_report(b, p); /* keeper did not answer in time */
	if (find_report(b, p, &r, &error)) {
		begin(b, p, &r);
		bounce_report_done(&r);
	} else if (error == -ENOMEM) {
		bounce_try_again(b, p, "read", error);
	} else {
		if (error < 0 && error != -ENOENT)
			LOG(LOG_ERR, "report-not-made", LOG_S("id", id_slice(&p->id)),
			    LOG_STR("step", "read"), LOG_ERRNO(-error));
		pending_free(b, p);
	}
}

bool bounce_keeper_silent(struct bounce *b)
{
	bool silent = b->keeper_silent;

	b->keeper_silent = false;
	return silent;
}

uint64_t bounce_run(struct bounce *b, uint64_t now_ms)
{
	uint64_t next;
	struct heap_node *top;

	b->now_ms = now_ms;
	if (look(b))
		return 0;
	next = look_for_late(b);
	for (unsigned n = 0; n < TURN && (top = heap_top(&b->due)) && top->key <= now_ms; n++)
		work(b, container_of(top, struct pending, due));
	top = heap_top(&b->due);
	if (top && top->key < next)
		next = top->key;
	return next == UINT64_MAX ? UINT64_MAX : next > now_ms ? next - now_ms : 0;
}

void bounce_shift(struct bounce *b, int64_t by_ms)
{
	struct map_node *node = NULL;

	while ((node = map_next(&b->pending, node))) {
		struct pending *p = container_of(node, struct pending, node);

		/* Of all alike: the heap stays in order. */
		p->due.key = by_ms < 0 && p->due.key < (uint64_t)-by_ms ? 0 : p->due.key + (uint64_t)by_ms;
		p->first_ms = by_ms < 0 && p->first_ms < (uint64_t)-by_ms ? 0 : p->first_ms + (uint64_t)by_ms;
	}
	b->late_next_ms = 0;
	b->unanswered = 0;
	bounce_pace_shift(&b->pace, by_ms);
}

/* ---- given up ---- */

static int give_up_one(struct bounce *b, const struct id *id, uint32_t number)
{
	struct spool_recipient known;
	struct envelope_reason why = { 0 };
	unsigned char room[1024], again[1024];
	struct buf detail, mark;
	int r;

	buf_init_in(&detail, room, sizeof(room));
	buf_init_in(&mark, again, sizeof(again));
	if (spool_recipient(b->sp, id, number, &known, &detail) < 0 || known.done)
		return 0;
	if (schedule_settle(b->schedule, id, number, SCHEDULE_FAILED) < 0)
		return 0; /* in a job, or delivered */
	(void)envelope_get_reason(buf_slice(&detail), &why);
	why.failed = why.by_administrator = true;
	why.next_ms = 0;
	if (why.text.n == 0) {
		why.status = SLICE_LIT("5.0.0");
		why.text = SLICE_LIT("returned by an administrator before it could be delivered");
	}
	envelope_put_reason(&why, &mark);
	r = spool_mark(b->sp, id, number, SPOOL_MARK_DEFERRED, buf_slice(&mark));
	return r < 0 ? r : 1;
}

int bounce_give_up(struct bounce *b, const struct id *id, uint64_t now_ms)
{
	struct schedule_view v;
	struct spool_info info;
	struct pending *p;
	int n = 0, r = spool_info(b->sp, id, &info);

	if (r == 0 && info.damaged)
		r = -EBADMSG;
	if (r == 0 && !schedule_look(b->schedule, id, &v))
		r = -EAGAIN;
	for (uint32_t i = 0; r >= 0 && i < info.recipients; i++) {
		r = give_up_one(b, id, i);
		n += r > 0 ? r : 0;
	}
	p = n > 0 ? note(b, id, now_ms, now_ms) : NULL;
	if (p && p->stage == STAGE_WAITS && !p->paced)
		heap_set(&b->due, &p->due, now_ms);
	return r < 0 ? r : n;
}

void bounce_count(const struct bounce *b, struct bounce_counters *ret)
{
	*ret = b->count;
	ret->waiting = b->pending.n;
}

json_t *bounce_json(const struct bounce *b)
{
	struct bounce_counters c;

	bounce_count(b, &c);
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "failed", (json_int_t)c.failed,
			 "delayed", (json_int_t)c.delayed, "delivered", (json_int_t)c.delivered, "recipients",
			 (json_int_t)c.recipients, "unwanted", (json_int_t)c.unwanted, "nobody_to_tell",
			 (json_int_t)c.nobody, "undeliverable", (json_int_t)c.undeliverable, "held_back",
			 (json_int_t)c.held_back, "waiting", (json_int_t)c.waiting, "errors",
			 (json_int_t)c.errors);
}
