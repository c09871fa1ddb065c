#include "queue/handout.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "ipc/event.h"
#include "queue/bounce.h"
#include "queue/envelope.h"

#define BODY_MAX    (2U << 20) /* in memory: the ceiling of spool.body_memory */
#define WHOLE_MAX   65536      /* octets of a message that is read with one call */
#define ROOM_MS	    20	       /* then the channels are asked again for room */
#define EXPIRE_TURN 32	       /* messages that are given up in one turn */

struct handout {
	struct spool *sp;
	struct schedule *schedule;
	struct carrier local;
	struct carrier smtp[LANES_CARRIERS];
	struct lanes *lanes;
	struct event_sink *events; /* or NULL */
	struct bounce *bounce;	   /* or NULL */
	struct handout_counters count;
};

int handout_new(struct spool *sp, struct schedule *schedule, struct handout **ret)
{
	struct handout *h = calloc(1, sizeof(*h));

	if (!h)
		return -ENOMEM;
	h->sp = sp;
	h->schedule = schedule;
	carrier_init(&h->local);
	for (unsigned i = 0; i < LANES_CARRIERS; i++)
		carrier_init(&h->smtp[i]);
	h->lanes = lanes_new(h->smtp);
	if (!h->lanes) {
		free(h);
		return -ENOMEM;
	}
	*ret = h;
	return 0;
}

void handout_free(struct handout *h)
{
	if (!h)
		return;
	lanes_free(h->lanes);
	carrier_peer(&h->local, NULL);
	for (unsigned i = 0; i < LANES_CARRIERS; i++)
		carrier_peer(&h->smtp[i], NULL);
	free(h);
}

void handout_configure(struct handout *h, const struct lanes_setup *setup, uint64_t now_ms)
{
	lanes_configure(h->lanes, setup, now_ms);
}

const struct lanes *handout_lanes(const struct handout *h)
{
	return h->lanes;
}

void handout_events(struct handout *h, struct event_sink *events)
{
	h->events = events;
}

void handout_bounce(struct handout *h, struct bounce *bounce)
{
	h->bounce = bounce;
}

/* ---- carriers come and go ---- */

static void in_doubt(struct handout *h, const struct carrier_job *j, struct slice to)
{
	LOG(LOG_NOTICE, "possibly-twice", LOG_S("id", id_slice(&j->id)), LOG_S("to", to));
	h->count.possibly_twice++;
}

/* It died with these in its hands: any of them may be delivered already. */
static void take_back_all(struct handout *h, struct carrier *c, uint64_t now_ms)
{
	uint64_t due_ms = now_ms + schedule_pause_ms(c->losses);
	struct list *at, *after;

	if (!list_empty(&c->jobs))
		c->losses++;
	LIST_EACH (&c->jobs, at, after) {
		const struct carrier_job *j = container_of(at, struct carrier_job, link);

		for (uint32_t i = 0; i < j->n; i++)
			if (schedule_look_rcpt(h->schedule, &j->id, j->out[i].n) == SCHEDULE_ACTIVE)
				in_doubt(h, j, j->out[i].address); /* not removed by an operator */
		schedule_give_back(h->schedule, j->number, due_ms);
	}
}

void handout_local_peer(struct handout *h, struct channel *ch, uint64_t now_ms)
{
	take_back_all(h, &h->local, now_ms);
	carrier_peer(&h->local, ch);
}

void handout_smtp_peer(struct handout *h, unsigned index, struct channel *ch, uint64_t now_ms)
{
	take_back_all(h, &h->smtp[index], now_ms);
	lanes_carrier_gone(h->lanes, index);
	carrier_peer(&h->smtp[index], ch);
}

/* ---- handing over ---- */

/* All of a body that is not in a file of its own. */
static int read_body(struct handout *h, const struct carrier_job *j, struct buf *to)
{
	if (j->size > to->max)
		return -EBADMSG; /* such a body has a file */
	while (to->n < j->size) {
		unsigned char *p;
		size_t room = buf_reserve(to, (size_t)j->size - to->n, &p);
		ssize_t got = room > 0 ? spool_read_body(h->sp, &j->id, to->n, p, room) : -ENOMEM;

		if (got <= 0)
			return got < 0 ? (int)got : -EBADMSG;
		buf_filled(to, (size_t)got);
	}
	return 0;
}

/* Before the carrier hears of it.  A spool that takes no marks would take no outcome
 * either, and the message would be delivered again after each restart. */
static int mark_attempts(struct handout *h, const struct schedule_job *due)
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < due->n; i++)
		r = spool_mark(h->sp, &due->id, due->rcpt[i], SPOOL_MARK_ATTEMPT, SLICE_LIT(""));
	return r;
}

/* Everything that can fail is read before the first octet goes over: a job is
 * handed over whole or not at all.  *ret_fd is the caller's to close. */
static int read_job(struct handout *h, struct carrier_job *j, struct carrier_load *load, struct buf *headers,
		    struct buf *body)
{
	struct spool_info info;
	int r = spool_info(h->sp, &j->id, &info);
	bool whole;

	if (r < 0)
		return r;
	j->accepted_ms = info.time_ms;
	j->size = info.body_size;
	r = body ? spool_read_whole(h->sp, &j->id, WHOLE_MAX, &j->envelope, headers, body) : -ENODATA;
	whole = r == 0;
	if (r == -ENODATA)
		r = spool_read_meta(h->sp, &j->id, &j->envelope, headers);
	if (r < 0)
		return r;
	load->recipients = buf_slice(&j->envelope);
	load->headers = buf_slice(headers);
	if (!envelope_get(&load->recipients, &load->e) || !carrier_job_names(j, load))
		return -EBADMSG;
	if (!body)
		return 0;
	if (!whole)
		load->fd = spool_body_fd(h->sp, &j->id);
	if (!whole && load->fd < 0)
		r = load->fd == -ENODATA ? read_body(h, j, body) : load->fd;
	load->body = buf_slice(body);
	return r;
}

static int hand_over(struct handout *h, const struct schedule_job *due, struct carrier *c,
		     struct carrier_job *j)
{
	struct carrier_load load = { .due = due, .fd = -1 };
	struct buf headers, body;
	int r;

	buf_init(&headers, IPC_CHUNK_MAX);
	buf_init(&body, BODY_MAX);
	r = read_job(h, j, &load, &headers, &body);
	if (r == 0)
		r = mark_attempts(h, due);
	if (r == 0)
		carrier_send(c, j, &load);
	if (load.fd >= 0)
		close(load.fd);
	buf_done(&headers);
	buf_done(&body);
	return r;
}

static void record(struct handout *h, const struct carrier_job *j, const struct carrier_rcpt *o,
		   uint32_t recipient, enum schedule_result said, struct slice status, struct slice text,
		   uint64_t now_ms);

/* The message cannot be read back.  Nothing is tried with a damaged one until an
 * operator has looked at it; other errors may pass. */
static void not_handed_over(struct handout *h, const struct schedule_job *due, const struct carrier_job *j,
			    int error, uint64_t now_ms)
{
	LOG(LOG_ERR, "not-handed-over", LOG_S("id", id_slice(&due->id)), LOG_ERRNO(error));
	if (error == -ENOENT) {
		schedule_remove(h->schedule, &due->id);
		schedule_give_back(h->schedule, due->number, now_ms);
		return;
	}
	if (error != -EBADMSG) {
		schedule_give_back(h->schedule, due->number, now_ms + schedule_pause_ms(0));
		return;
	}
	for (uint32_t i = 0; i < due->n; i++)
		record(h, j, NULL, due->rcpt[i], SCHEDULE_SAID_FAILED, SLICE_LIT("5.3.0"),
		       SLICE_LIT("the stored message is damaged"), now_ms);
}

/* lane: 0 for local.  False when it could not be handed over. */
static bool begin(struct handout *h, const struct schedule_job *due, struct carrier *c, uint64_t lane,
		  uint64_t now_ms)
{
	struct carrier_job *j = carrier_job_new(due);
	int r;

	if (!j) {
		schedule_give_back(h->schedule, due->number, now_ms + schedule_pause_ms(0));
		return false;
	}
	j->lane = lane;
	r = hand_over(h, due, c, j);
	if (r < 0) {
		not_handed_over(h, due, j, r, now_ms);
		carrier_job_free(j);
		return false;
	}
	h->count.jobs++;
	return true;
}

/* While nothing goes out, nobody would notice that a message has become too old. */
static void expire(struct handout *h, uint64_t now_ms)
{
	struct lanes_trouble t;
	struct schedule_job due;

	lanes_trouble(h->lanes, &t);
	for (unsigned n = 0; n < EXPIRE_TURN && schedule_next_expired(h->schedule, now_ms, &due); n++) {
		struct carrier_load load = { .due = &due, .fd = -1 };
		struct carrier_job *j = carrier_job_new(&due);
		struct carrier_rcpt o;
		struct buf headers;

		if (!j) {
			schedule_give_back(h->schedule, due.number, now_ms + schedule_pause_ms(0));
			return;
		}
		buf_init(&headers, IPC_CHUNK_MAX);
		(void)read_job(h, j, &load, &headers, NULL); /* for its names; it goes without */
		for (uint32_t i = 0; i < due.n; i++)
			record(h, j, carrier_job_take(j, due.rcpt[i], &o) ? &o : NULL, due.rcpt[i],
			       SCHEDULE_SAID_DEFERRED, slice_str(t.status), slice_str(t.text), now_ms);
		buf_done(&headers);
		carrier_job_free(j);
	}
}

static uint64_t soonest(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t run_local(struct handout *h, uint64_t now_ms)
{
	struct schedule_job due;

	schedule_open(h->schedule, h->local.ch != NULL);
	while (carrier_ready(&h->local) && h->local.n_jobs < HANDOUT_LOCAL_JOBS) {
		if (!carrier_has_room(&h->local))
			return schedule_wait_ms(h->schedule, now_ms) == UINT64_MAX ? UINT64_MAX : ROOM_MS;
		if (!schedule_next(h->schedule, now_ms, &due))
			return schedule_wait_ms(h->schedule, now_ms);
		begin(h, &due, &h->local, 0, now_ms);
	}
	return UINT64_MAX; /* credit or local will wake us */
}

static uint64_t run_lanes(struct handout *h, uint64_t now_ms)
{
	struct lanes_trouble t;
	struct schedule_job due;
	struct carrier *c;
	uint64_t lane;

	for (;;) {
		enum lanes_state state = lanes_look(h->lanes, now_ms);

		schedule_open(h->schedule, state != LANES_WAIT);
		if (state == LANES_WAIT) {
			lanes_trouble(h->lanes, &t);
			expire(h, now_ms);
			return t.until_ms - now_ms;
		}
		if (state == LANES_FULL)
			return UINT64_MAX; /* the end of a job will wake us */
		if (schedule_wait_ms(h->schedule, now_ms) > 0)
			return schedule_wait_ms(h->schedule, now_ms);
		if (state == LANES_NO_ROOM || !schedule_next(h->schedule, now_ms, &due))
			return ROOM_MS;
		lane = lanes_take(h->lanes, due.number, &c, now_ms);
		if (lane == 0)
			schedule_give_back(h->schedule, due.number, now_ms + schedule_pause_ms(0));
		else if (!begin(h, &due, c, lane, now_ms))
			lanes_job_over(h->lanes, lane, false, now_ms);
	}
}

uint64_t handout_run(struct handout *h, uint64_t now_ms)
{
	uint64_t next = lanes_tick(h->lanes, now_ms), wait;

	wait = lanes_setup(h->lanes)->on ? run_lanes(h, now_ms) : run_local(h, now_ms);
	return next == UINT64_MAX ? wait : soonest(wait, next > now_ms ? next - now_ms : 0);
}

void handout_try_now(struct handout *h)
{
	lanes_wait_no_more(h->lanes);
}

void handout_shift(struct handout *h, int64_t by_ms)
{
	lanes_shift(h->lanes, by_ms);
}

/* ---- outcomes ---- */

/* o: NULL when the envelope could not be read. */
static void record_answer(struct handout *h, const struct schedule_answer *a, const struct carrier_rcpt *o,
			  uint32_t recipient, struct slice status, struct slice text, uint64_t now_ms)
{
	bool told = a->now == SCHEDULE_DONE && o && bounce_wants(h->bounce, o->notify, false);
	struct envelope_reason why = { .failed = a->now == SCHEDULE_FAILED,
				       .delivered = told,
				       .expired = a->expired,
				       .attempts = a->attempts,
				       .next_ms = a->next_ms,
				       .status = status,
				       .text = text };
	unsigned char room[1024];
	struct buf detail;
	int r;

	if (a->now == SCHEDULE_DONE && !told) {
		r = spool_outcome(h->sp, &a->id, recipient, SPOOL_DELIVERED);
	} else {
		buf_init_in(&detail, room, sizeof(room));
		envelope_put_reason(&why, &detail);
		r = spool_mark(h->sp, &a->id, recipient, SPOOL_MARK_DEFERRED, buf_slice(&detail));
	}
	if (told || a->now == SCHEDULE_FAILED)
		bounce_note(h->bounce, &a->id, now_ms);
	if (r < 0)
		LOG(LOG_ERR, "outcome-not-recorded", LOG_S("id", id_slice(&a->id)),
		    LOG_U("recipient", recipient), LOG_ERRNO(r));
}

static void log_delivered(const struct handout *h, const struct carrier_job *j, const struct carrier_rcpt *o,
			  const struct schedule_answer *a, struct slice text, uint64_t now_ms)
{
	struct slice to = o ? o->address : SLICE_LIT("");
	uint64_t delay_ms = now_ms > j->accepted_ms ? now_ms - j->accepted_ms : 0;
	char site[ENDPOINT_TEXT_MAX];

	if (j->lane == 0)
		LOG(LOG_NOTICE, "delivered", LOG_S("id", id_slice(&a->id)), LOG_S("to", to),
		    LOG_S("mailbox", o ? o->mailbox : SLICE_LIT("")), LOG_U("delay_ms", delay_ms),
		    LOG_U("size", j->size));
	else
		LOG(LOG_NOTICE, "delivered", LOG_S("id", id_slice(&a->id)), LOG_S("to", to),
		    LOG_STR("site", endpoint_format(&lanes_setup(h->lanes)->to, site)), LOG_S("reply", text),
		    LOG_U("delay_ms", delay_ms), LOG_U("size", j->size));
}

static void log_answer(const struct handout *h, const struct carrier_job *j, const struct carrier_rcpt *o,
		       const struct schedule_answer *a, struct slice status, struct slice text,
		       uint64_t now_ms)
{
	struct slice to = o ? o->address : SLICE_LIT("");

	if (a->now == SCHEDULE_DONE)
		log_delivered(h, j, o, a, text, now_ms);
	else if (a->now == SCHEDULE_DEFERRED)
		LOG(LOG_WARNING, "deferred", LOG_S("id", id_slice(&a->id)), LOG_S("to", to),
		    LOG_S("status", status), LOG_S("reason", text), LOG_U("attempts", a->attempts),
		    LOG_U("next_s", (a->next_ms - now_ms) / 1000));
	else
		LOG(LOG_ERR, "failed", LOG_S("id", id_slice(&a->id)), LOG_S("to", to),
		    LOG_S("status", status), LOG_S("reason", text), LOG_U("expired", a->expired));
}

/* The same for the ledger. */
static void tell_answer(const struct handout *h, const struct carrier_job *j, const struct carrier_rcpt *o,
			const struct schedule_answer *a, uint32_t recipient, struct slice status,
			struct slice text, uint64_t now_ms)
{
	struct event_sink *e = h->events;
	char site[ENDPOINT_TEXT_MAX];
	enum event_kind kind = a->now == SCHEDULE_DONE	     ? EVENT_DELIVERED
			       : a->now == SCHEDULE_DEFERRED ? EVENT_DEFERRED
			       : a->expired		     ? EVENT_EXPIRED
							     : EVENT_FAILED;

	event_begin(e, kind, now_ms, id_slice(&a->id), recipient);
	event_text(e, EVENT_KEY_TO, o ? o->address : SLICE_LIT(""));
	if (j->lane)
		event_text(e, EVENT_KEY_SITE_NAME,
			   slice_str(endpoint_format(&lanes_setup(h->lanes)->to, site)));
	event_text(e, EVENT_KEY_STATUS, status);
	event_text(e, j->lane ? EVENT_KEY_REPLY : EVENT_KEY_REASON, text);
	if (a->now == SCHEDULE_DONE)
		event_text(e, EVENT_KEY_MAILBOX, o ? o->mailbox : SLICE_LIT(""));
	event_number(e, EVENT_KEY_ATTEMPTS, a->attempts);
	if (a->now == SCHEDULE_DEFERRED)
		event_number(e, EVENT_KEY_NEXT, a->next_ms);
	event_number(e, EVENT_KEY_DELAY, now_ms > j->accepted_ms ? now_ms - j->accepted_ms : 0);
	event_send(e);
}

/* o: NULL when the envelope could not be read. */
static void record(struct handout *h, const struct carrier_job *j, const struct carrier_rcpt *o,
		   uint32_t recipient, enum schedule_result said, struct slice status, struct slice text,
		   uint64_t now_ms)
{
	struct schedule_answer a;

	if (!schedule_answer(h->schedule, j->number, recipient, said, now_ms, &a)) {
		if (said == SCHEDULE_SAID_DELIVERED) /* removed by an operator, but too late */
			LOG(LOG_NOTICE, "delivered-after-removal", LOG_S("id", id_slice(&j->id)),
			    LOG_S("to", o ? o->address : SLICE_LIT("")));
		return;
	}
	if (a.now == SCHEDULE_DONE)
		h->count.delivered++;
	else if (a.now == SCHEDULE_DEFERRED)
		h->count.deferred++;
	else
		h->count.failed++;
	record_answer(h, &a, o, recipient, status, text, now_ms);
	log_answer(h, j, o, &a, status, text, now_ms);
	tell_answer(h, j, o, &a, recipient, status, text, now_ms);
}

static const char *on_result(struct handout *h, struct carrier *c, const struct ipc_job_result *m,
			     uint64_t now_ms)
{
	static const enum schedule_result said[] = { [IPC_JOB_DELIVERED] = SCHEDULE_SAID_DELIVERED,
						     [IPC_JOB_DEFERRED] = SCHEDULE_SAID_DEFERRED,
						     [IPC_JOB_FAILED] = SCHEDULE_SAID_FAILED };
	struct carrier_job *j = carrier_find(c, m->job);
	struct carrier_rcpt o;

	if (!j || m->result < IPC_JOB_DELIVERED || m->result > IPC_JOB_FAILED)
		return "a result of no job, or of no known kind";
	if (!carrier_job_take(j, m->recipient, &o))
		return "a result of nobody in this job";
	if (m->in_doubt && m->result == IPC_JOB_DEFERRED)
		in_doubt(h, j, o.address);
	record(h, j, &o, m->recipient, said[m->result], m->enhanced, m->text, now_ms);
	return NULL;
}

static const char *on_credit(struct handout *h, struct carrier *c, const struct ipc_job_credit *m,
			     uint64_t now_ms)
{
	struct carrier_job *j = NULL;
	const char *broken = carrier_credit(c, m, &j);

	if (j && j->lane)
		lanes_job_over(h->lanes, j->lane, !j->back, now_ms);
	if (j)
		carrier_job_free(j);
	return broken;
}

/* Nothing was tried: no attempt of this message, and no reason to make it wait by itself.  The
 * mark of the attempt is taken off, so that a restart does not call it possibly twice. */
static const char *on_back(struct handout *h, struct carrier *c, const struct ipc_job_back *m,
			   uint64_t now_ms)
{
	struct carrier_job *j = carrier_find(c, m->job);
	struct schedule_answer a = { .now = SCHEDULE_DEFERRED, .next_ms = now_ms };

	if (!j || j->back)
		return "a job back that is not there";
	a.id = j->id;
	a.attempts = j->attempt > 0 ? j->attempt - 1 : 0;
	for (uint32_t i = 0; i < j->n; i++)
		if (schedule_look_rcpt(h->schedule, &j->id, j->out[i].n) == SCHEDULE_ACTIVE)
			record_answer(h, &a, &j->out[i], j->out[i].n, m->enhanced, m->text, now_ms);
	j->back = true;
	j->n = 0;
	schedule_give_back(h->schedule, j->number, now_ms);
	return NULL;
}

const char *handout_local_message(struct handout *h, const struct ipc_message *m, uint64_t now_ms)
{
	if (m->type == IPC_TYPE_job_result)
		return on_result(h, &h->local, &m->job_result, now_ms);
	if (m->type == IPC_TYPE_job_credit)
		return on_credit(h, &h->local, &m->job_credit, now_ms);
	return "a message that local may not send";
}

bool handout_is_for(const struct ipc_message *m)
{
	return m->type == IPC_TYPE_job_result || m->type == IPC_TYPE_job_credit ||
	       m->type == IPC_TYPE_job_back || m->type == IPC_TYPE_lane_closed ||
	       m->type == IPC_TYPE_lane_ready || m->type == IPC_TYPE_resolved;
}

const char *handout_smtp_message(struct handout *h, unsigned index, const struct ipc_message *m,
				 uint64_t now_ms)
{
	struct carrier *c = &h->smtp[index];

	switch (m->type) {
	case IPC_TYPE_job_result:
		return on_result(h, c, &m->job_result, now_ms);
	case IPC_TYPE_job_credit:
		return on_credit(h, c, &m->job_credit, now_ms);
	case IPC_TYPE_job_back:
		return on_back(h, c, &m->job_back, now_ms);
	case IPC_TYPE_lane_closed:
		return lanes_closed(h->lanes, index, &m->lane_closed, now_ms);
	case IPC_TYPE_lane_ready:
		return NULL;
	default:
		return "a message that smtp may not send";
	}
}

void handout_count(const struct handout *h, struct handout_counters *ret)
{
	*ret = h->count;
}
