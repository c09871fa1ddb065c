/* handout_result.c - what became of a recipient: planned, written down, logged, told. */
#include <errno.h>

#include "base/log.h"
#include "ipc/event.h"
#include "queue/bounce.h"
#include "queue/handout_private.h"

void handout_in_doubt(struct handout *h, const struct carrier_job *j, const struct carrier_rcpt *to,
		      const char *why, uint64_t now_ms)
{
	LOG(LOG_NOTICE, "possibly-twice", LOG_S("id", id_slice(&j->id)), LOG_S("to", to->address));
	h->count.possibly_twice++;
	event_begin(h->events, EVENT_IN_DOUBT, now_ms, id_slice(&j->id), to->n);
	event_text(h->events, EVENT_KEY_TO, to->address);
	event_text(h->events, EVENT_KEY_REASON, slice_str(why));
	event_send(h->events);
}

/* ---- written down ---- */

#define UNKEPT_MS 60000 /* then what could not be kept is tried again */

/* o: NULL when the envelope could not be read. */
/* There is no memory for why it failed, or for whom to tell of it: nobody would ever be told.  A failure
 * is tried again; what was delivered is not, and goes unreported. */
static int cannot_keep(struct handout *h, struct schedule_answer *a, uint32_t recipient, uint64_t now_ms)
{
	if (a->now == SCHEDULE_DEFERRED)
		return -ENOMEM;
	if (a->now == SCHEDULE_DONE)
		return spool_outcome(h->sp, &a->id, recipient, SPOOL_DELIVERED);
	a->now = SCHEDULE_DEFERRED;
	a->next_ms = now_ms + UNKEPT_MS;
	schedule_unsettle(h->schedule, &a->id, recipient, a->next_ms, now_ms);
	return -ENOMEM;
}

static void write_down(struct handout *h, struct schedule_answer *a, const struct carrier_rcpt *o,
		       uint32_t recipient, const struct outcome *what, uint64_t now_ms)
{
	bool told = a->now == SCHEDULE_DONE && o && !what->discarded &&
		    bounce_wants(h->bounce, o->notify, what->peer_tells);
	struct envelope_reason why = { .failed = a->now == SCHEDULE_FAILED,
				       .delivered = told,
				       .relayed = told && what->lane && what->lane->way == CARRIER_RELAY,
				       .expired = a->expired,
				       .attempts = a->attempts,
				       .next_ms = a->next_ms,
				       .status = what->status,
				       .text = what->text,
				       .code = (uint16_t)what->code,
				       .step = (uint8_t)what->step,
				       .blocked = slice_starts(what->text, SLICE_LIT(PORT25_TEXT)) };
	unsigned char room[1024];
	struct buf detail;
	int r;

	if (what->lane && what->lane->way == CARRIER_RELAY)
		why.remote = slice_str(what->lane->host);
	if (a->now == SCHEDULE_DONE && !told) {
		r = spool_outcome(h->sp, &a->id, recipient, SPOOL_DELIVERED);
	} else {
		buf_init_in(&detail, room, sizeof(room));
		envelope_put_reason(&why, &detail);
		r = spool_mark(h->sp, &a->id, recipient, SPOOL_MARK_DEFERRED, buf_slice(&detail));
		if (r == -ENOMEM)
			r = cannot_keep(h, a, recipient, now_ms);
	}
	if (told || a->now == SCHEDULE_FAILED)
		bounce_note(h->bounce, &a->id, now_ms);
	if (r < 0)
		LOG(LOG_ERR, "outcome-not-recorded", LOG_S("id", id_slice(&a->id)),
		    LOG_U("recipient", recipient), LOG_ERRNO(r));
}

/* ---- logged and told ---- */

/* All that is known of one outcome. */
struct told {
	struct handout *h;
	const struct carrier_job *j;
	const struct carrier_rcpt *o; /* or NULL */
	const struct schedule_answer *a;
	const struct outcome *what;
	const struct route_meaning *meaning; /* NULL: there is none to be found */
	uint32_t recipient;
	uint64_t now_ms;
};

static struct slice address_of(const struct told *t)
{
	return t->o ? t->o->address : SLICE_LIT("");
}

static uint64_t delay_ms(const struct told *t)
{
	return t->now_ms > t->j->accepted_ms ? t->now_ms - t->j->accepted_ms : 0;
}

static void log_done(const struct told *t)
{
	const struct lane *lane = t->what->lane;

	if (t->what->discarded)
		LOG(LOG_NOTICE, "discarded", LOG_S("id", id_slice(&t->a->id)), LOG_S("to", address_of(t)),
		    LOG_S("reason", t->what->text));
	else if (!lane)
		LOG(LOG_NOTICE, "delivered", LOG_S("id", id_slice(&t->a->id)), LOG_S("to", address_of(t)),
		    LOG_S("mailbox", t->o ? t->o->mailbox : SLICE_LIT("")), LOG_U("delay_ms", delay_ms(t)),
		    LOG_U("size", t->j->size));
	else if (t->j->way == CARRIER_LMTP)
		LOG(LOG_NOTICE, "delivered", LOG_S("id", id_slice(&t->a->id)), LOG_S("to", address_of(t)),
		    LOG_STR("site", lane->site), LOG_S("reply", t->what->text),
		    LOG_U("delay_ms", delay_ms(t)), LOG_U("size", t->j->size));
	else
		LOG(LOG_NOTICE, "relayed", LOG_S("id", id_slice(&t->a->id)), LOG_S("to", address_of(t)),
		    LOG_STR("site", lane->site), LOG_STR("host", lane->host), LOG_U("port", lane->port),
		    LOG_STR("tls", lane->tls), LOG_STR("security", lanes_security(lane->security)),
		    LOG_S("reply", t->what->text), LOG_U("delay_ms", delay_ms(t)), LOG_U("size", t->j->size));
}

static void log_outcome(const struct told *t)
{
	const struct schedule_answer *a = t->a;
	const char *class = t->meaning ? t->meaning->name : "";

	if (a->now == SCHEDULE_DONE)
		log_done(t);
	else if (a->now == SCHEDULE_DEFERRED)
		LOG(LOG_WARNING, "deferred", LOG_S("id", id_slice(&a->id)), LOG_S("to", address_of(t)),
		    LOG_S("status", t->what->status), LOG_S("reason", t->what->text), LOG_STR("class", class),
		    LOG_U("attempts", a->attempts),
		    LOG_U("next_s", a->next_ms > t->now_ms ? (a->next_ms - t->now_ms) / 1000 : 0));
	else
		LOG(LOG_ERR, a->expired ? "expired" : "failed", LOG_S("id", id_slice(&a->id)),
		    LOG_S("to", address_of(t)), LOG_S("status", t->what->status),
		    LOG_S("reason", t->what->text), LOG_STR("class", class), LOG_U("expired", a->expired));
}

static enum event_kind event_of(const struct told *t)
{
	if (t->a->now == SCHEDULE_DONE)
		return t->what->discarded	    ? EVENT_DISCARDED
		       : t->j->way == CARRIER_RELAY ? EVENT_RELAYED
						    : EVENT_DELIVERED;
	if (t->a->now == SCHEDULE_DEFERRED)
		return EVENT_DEFERRED;
	return t->a->expired ? EVENT_EXPIRED : EVENT_FAILED;
}

static void tell_lane(struct event_sink *e, const struct lane *lane)
{
	size_t blank = slice_find(slice_str(lane->destination), ' ');
	char ip[IP_TEXT_MAX];

	event_text(e, EVENT_KEY_SITE_NAME, slice_str(lane->site));
	event_text(e, EVENT_KEY_HOST, slice_str(lane->host));
	if (lane->ip.family != 0)
		event_text(e, EVENT_KEY_IP, slice_str(ip_format(&lane->ip, ip)));
	if (lane->port > 0)
		event_number(e, EVENT_KEY_PORT, lane->port);
	if (lane->way != CARRIER_RELAY)
		return;
	event_text(e, EVENT_KEY_ROUTE, slice_head(slice_str(lane->destination), blank));
	event_text(e, EVENT_KEY_TLS, slice_str(lane->tls));
	event_text(e, EVENT_KEY_SECURITY, slice_str(lanes_security(lane->security)));
	event_text(e, EVENT_KEY_SOURCE, slice_str(lane->source));
	if (lane->fell_back)
		event_number(e, EVENT_KEY_FELL_BACK, 1);
}

/* It was tried by nobody: which site it waited for. */
static void tell_where(struct event_sink *e, const struct told *t)
{
	struct schedule_rcpt_view v;

	if (schedule_look_route(t->h->schedule, &t->a->id, t->recipient, &v) && v.destination.n > 0)
		event_text(e, EVENT_KEY_SITE_NAME, v.site.n > 0 ? v.site : v.destination);
}

/* The same for the ledger. */
static void tell(const struct told *t)
{
	struct event_sink *e = t->h->events;
	const struct schedule_answer *a = t->a;

	event_begin(e, event_of(t), t->now_ms, id_slice(&a->id), t->recipient);
	event_text(e, EVENT_KEY_TO, address_of(t));
	if (t->what->lane)
		tell_lane(e, t->what->lane);
	else if (a->expired)
		tell_where(e, t);
	if (t->what->code > 0)
		event_number(e, EVENT_KEY_CODE, (uint64_t)t->what->code);
	event_text(e, EVENT_KEY_STATUS, t->what->status);
	event_text(e, t->what->lane ? EVENT_KEY_REPLY : EVENT_KEY_REASON, t->what->text);
	if (t->meaning) {
		event_text(e, EVENT_KEY_CLASS, slice_str(t->meaning->name));
		event_text(e, EVENT_KEY_ACTION, slice_str(route_action_name(t->meaning->action)));
		event_text(e, EVENT_KEY_MEANING, slice_str(t->meaning->what));
	}
	if (a->now == SCHEDULE_DONE && t->j->way == CARRIER_LOCAL)
		event_text(e, EVENT_KEY_MAILBOX, t->o ? t->o->mailbox : SLICE_LIT(""));
	event_number(e, EVENT_KEY_ATTEMPTS, a->attempts);
	if (a->now == SCHEDULE_DEFERRED)
		event_number(e, EVENT_KEY_NEXT, a->next_ms);
	event_number(e, EVENT_KEY_DELAY, delay_ms(t));
	event_send(e);
}

/* ---- all of it ---- */

static const struct route_meaning *meaning_of(const struct handout *h, const struct outcome *what,
					      struct route_meaning *room)
{
	if (what->said == SCHEDULE_SAID_DELIVERED || (!what->lane && !what->elsewhere))
		return NULL;
	*room = meanings_of(&h->meanings, what->text, what->status, what->code, what->step);
	return room;
}

static void count(struct handout_counters *c, const struct outcome *what, const struct schedule_answer *a)
{
	if (a->now == SCHEDULE_DONE) {
		c->delivered += !what->discarded;
		c->discarded += what->discarded;
	} else if (a->now == SCHEDULE_DEFERRED) {
		c->deferred++;
	} else {
		c->failed++;
	}
}

void handout_record(struct handout *h, const struct carrier_job *j, const struct carrier_rcpt *o,
		    uint32_t recipient, const struct outcome *what, uint64_t now_ms)
{
	static const enum schedule_result says[] = { [ROUTE_DEFER] = SCHEDULE_SAID_DEFERRED,
						     [ROUTE_DEFER_SLOW] = SCHEDULE_SAID_SLOW,
						     [ROUTE_DEFER_PAUSE] = SCHEDULE_SAID_PAUSE,
						     [ROUTE_FAIL] = SCHEDULE_SAID_FAILED };
	struct route_meaning room;
	const struct route_meaning *meaning = meaning_of(h, what, &room);
	enum schedule_result said = what->said;
	struct schedule_answer a;

	/* Our own mailboxes' server means what it says; others are judged by what they mean. */
	if (meaning && what->lane && j->way == CARRIER_RELAY) {
		said = says[meaning->action];
		schedule_heard(h->schedule, j->lane, what->status, what->text);
		schedule_pause(h->schedule, j->lane, meaning->pause_s * UINT64_C(1000), now_ms);
	}
	if (!schedule_answer(h->schedule, j->number, recipient, said, now_ms, &a)) {
		if (said == SCHEDULE_SAID_DELIVERED) /* removed by an operator, but too late */
			LOG(LOG_NOTICE, "delivered-after-removal", LOG_S("id", id_slice(&j->id)),
			    LOG_S("to", o ? o->address : SLICE_LIT("")));
		return;
	}
	write_down(h, &a, o, recipient, what, now_ms);
	count(&h->count, what, &a);
	struct told t = { h, j, o, &a, what, meaning, recipient, now_ms };

	log_outcome(&t);
	tell(&t);
}

/* ---- what carriers say ---- */

const char *handout_result(struct handout *h, struct carrier *c, const struct ipc_job_result *m,
			   uint64_t now_ms)
{
	static const enum schedule_result said[] = { [IPC_JOB_DELIVERED] = SCHEDULE_SAID_DELIVERED,
						     [IPC_JOB_DEFERRED] = SCHEDULE_SAID_DEFERRED,
						     [IPC_JOB_FAILED] = SCHEDULE_SAID_FAILED };
	struct carrier_job *j = carrier_find(c, m->job);
	struct outcome what = { .status = m->enhanced, .text = m->text, .code = m->code, .step = m->step };
	struct carrier_rcpt o;

	if (!j || m->result < IPC_JOB_DELIVERED || m->result > IPC_JOB_FAILED || m->step >= SMTP_CLIENT_STEPS)
		return "a result of no job, or of no known kind";
	if (j->lost)
		return NULL;
	if (!carrier_job_take(j, m->recipient, &o))
		return "a result of nobody in this job";
	if (m->in_doubt && m->result == IPC_JOB_DEFERRED)
		handout_in_doubt(h, j, &o, "the server did not answer the end of the message", now_ms);
	what.said = said[m->result];
	what.peer_tells = j->way == CARRIER_RELAY && !m->relayed;
	what.lane = j->way == CARRIER_LOCAL ? NULL : lanes_find(&h->lanes, j->lane);
	if (what.lane && what.lane->port == 25 && m->code > 0)
		port25_worked(&h->port25, &what.lane->ip, now_ms);
	handout_record(h, j, &o, m->recipient, &what, now_ms);
	return NULL;
}

const char *handout_credit(struct handout *h, struct carrier *c, const struct ipc_job_credit *m,
			   uint64_t now_ms)
{
	struct carrier_job *j = NULL;
	const char *broken = carrier_credit(c, m, &j);
	struct lane *lane = j ? lanes_find(&h->lanes, j->lane) : NULL;

	if (lane && !j->back && !j->lost)
		handout_site_works(h, lane, now_ms);
	if (j)
		carrier_job_free(j);
	return broken;
}

/* The mark of the attempt is taken off, so that a restart does not call it possibly twice. */
void handout_untried(struct handout *h, struct carrier_job *j, struct slice status, struct slice text,
		     uint64_t now_ms)
{
	struct schedule_answer a = { .now = SCHEDULE_DEFERRED, .next_ms = now_ms, .id = j->id };
	struct outcome why = {
		.said = SCHEDULE_SAID_DEFERRED, .status = status, .text = text, .step = SMTP_CLIENT_IDLE
	};

	a.attempts = j->attempt > 0 ? j->attempt - 1 : 0;
	for (uint32_t i = 0; i < j->n; i++)
		if (schedule_look_rcpt(h->schedule, &j->id, j->out[i].n) == SCHEDULE_ACTIVE)
			write_down(h, &a, &j->out[i], j->out[i].n, &why, now_ms);
	j->n = 0;
	j->untried = true;
}

/* Nothing was tried: no attempt of this message, and no reason to make it wait by itself. */
const char *handout_back(struct handout *h, struct carrier *c, const struct ipc_job_back *m, uint64_t now_ms)
{
	struct carrier_job *j = carrier_find(c, m->job);

	if (!j || j->back)
		return "a job back that is not there";
	j->back = true;
	if (j->lost)
		return NULL;
	if (!j->untried)
		handout_untried(h, j, m->enhanced, m->text, now_ms);
	schedule_give_back(h->schedule, j->number, now_ms);
	return NULL;
}
