#include "queue/load.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "ipc/message.h"
#include "queue/admit.h"

void load_init(struct load *l, struct spool *sp, struct schedule *schedule, const struct ways *ways)
{
	*l = (struct load){ .sp = sp, .schedule = schedule, .ways = ways };
}

void load_power_lost(struct load *l, uint64_t now_ms)
{
	l->doubt_ms = now_ms;
}

/* Nobody knows when the power went: at the latest now, and what was due before may have been handed out
 * with its mark not yet synced. */
static bool was_due(const struct load *l, const struct spool_info *info, const struct envelope *e,
		    const struct spool_recipient *known, const struct envelope_reason *why)
{
	if (l->reroute || info->held || info->time_ms > l->doubt_ms || e->hold_until_ms > l->doubt_ms)
		return false;
	return !known->deferred || (!why->failed && why->next_ms <= l->doubt_ms);
}

/* Where one recipient stands, by what the spool remembers of it. */
static void look_at(struct load *l, const struct spool_info *info, const struct envelope *e, uint32_t n,
		    const struct envelope_rcpt *r, uint64_t now_ms, struct admit_rcpt *ret)
{
	const struct id *id = &info->id;
	struct envelope_reason why = { 0 };
	struct spool_recipient known;
	unsigned char room[1024];
	struct buf detail;

	buf_init_in(&detail, room, sizeof(room));
	if (spool_recipient(l->sp, id, n, &known, &detail) < 0)
		known = (struct spool_recipient){ 0 };
	*ret = (struct admit_rcpt){ .state = SCHEDULE_READY };
	if (envelope_get_reason(buf_slice(&detail), &why))
		ret->attempts = why.attempts;
	if (known.done || why.delivered) { /* the latter is only to be told of */
		ret->state = SCHEDULE_DONE;
		return;
	}
	if ((known.attempted && !l->reroute) || (l->doubt_ms > 0 && was_due(l, info, e, &known, &why))) {
		LOG(LOG_NOTICE, "possibly-twice", LOG_S("id", id_slice(id)), LOG_S("to", r->address));
		l->possibly_twice++;
		event_begin(l->events, EVENT_IN_DOUBT, now_ms, id_slice(id), n);
		event_text(l->events, EVENT_KEY_TO, r->address);
		event_text(l->events, EVENT_KEY_REASON, SLICE_LIT("the server ended while it was delivered"));
		event_send(l->events);
	}
	if (known.deferred && !known.attempted) {
		ret->state = why.failed ? SCHEDULE_FAILED : SCHEDULE_DEFERRED;
		ret->due_ms = why.next_ms;
	}
}

/* Delivered, and only to be told of: nothing to hand out. */
static bool all_done(const struct admit_rcpt *known, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (known[i].state != SCHEDULE_DONE)
			return false;
	return true;
}

/* Written while the clock was wrong: nothing waits for a time that we never meant. */
static void mend_times(struct admit *a, struct admit_rcpt *known, uint32_t n, uint64_t now_ms)
{
	if (a->accepted_ms > now_ms)
		a->accepted_ms = now_ms;
	for (uint32_t i = 0; i < n; i++)
		if (known[i].due_ms > schedule_retry_at(UINT32_MAX, now_ms))
			known[i].due_ms = schedule_retry_at(UINT32_MAX, now_ms);
}

static int admit_one(struct load *l, const struct spool_info *info, struct slice bytes, uint64_t now_ms)
{
	struct admit a = { .id = info->id, .accepted_ms = info->time_ms, .held = info->held };
	struct admit_rcpt *known;
	struct envelope_rcpt rcpt;
	struct envelope e;
	struct slice cur;
	int r = 0;

	if (!envelope_get(&bytes, &e) || e.recipients != info->recipients)
		return -EBADMSG;
	known = calloc(e.recipients + 1, sizeof(*known));
	if (!known)
		return -ENOMEM;
	cur = bytes;
	for (uint32_t i = 0; r == 0 && i < e.recipients; i++) {
		if (envelope_get_rcpt(&cur, &rcpt))
			look_at(l, info, &e, i, &rcpt, now_ms, &known[i]);
		else
			r = -EBADMSG;
	}
	a.envelope = &e;
	a.recipients = bytes;
	a.known = known;
	mend_times(&a, known, e.recipients, now_ms);
	if (r == 0 && !all_done(known, e.recipients))
		r = admit(l->schedule, l->ways, &a, now_ms);
	free(known);
	return r;
}

static int load_one(struct load *l, const struct spool_info *info, uint64_t now_ms)
{
	struct buf bytes, headers;
	int r;

	buf_init(&bytes, ENVELOPE_MAX);
	buf_init(&headers, 65536);
	r = info->damaged ? -EBADMSG : spool_read_meta(l->sp, &info->id, &bytes, &headers);
	if (r == 0)
		r = admit_one(l, info, buf_slice(&bytes), now_ms);
	buf_done(&bytes);
	buf_done(&headers);
	return r;
}

/* In the schedule already: does it still lead where it did? */
static int reroute_one(struct load *l, const struct spool_info *info, const struct schedule_view *v,
		       uint64_t now_ms)
{
	struct buf bytes, headers;
	struct envelope e;
	struct slice cur;
	int r;

	buf_init(&bytes, ENVELOPE_MAX);
	buf_init(&headers, 65536);
	r = spool_read_meta(l->sp, &info->id, &bytes, &headers);
	cur = buf_slice(&bytes);
	if (r == 0 && envelope_get(&cur, &e) && admit_differs(l->schedule, l->ways, &info->id, &e, cur)) {
		if (v->count[SCHEDULE_ACTIVE] > 0) {
			l->again = true;
		} else {
			schedule_remove(l->schedule, &info->id);
			r = admit_one(l, info, buf_slice(&bytes), now_ms);
			l->rerouted += r == 0;
		}
	}
	buf_done(&bytes);
	buf_done(&headers);
	return r;
}

bool load_step(struct load *l, unsigned messages, uint64_t now_ms)
{
	struct schedule_view known;
	struct spool_info info;

	for (unsigned i = 0; i < messages && !l->done; i++) {
		int r = 0;

		if (!spool_next(l->sp, l->begun ? &l->at : NULL, &info)) {
			l->done = true;
			break;
		}
		l->begun = true;
		l->at = info.id;
		if (!schedule_look(l->schedule, &info.id, &known))
			r = load_one(l, &info, now_ms);
		else if (l->reroute)
			r = reroute_one(l, &info, &known, now_ms);
		if (r == 0) {
			l->loaded++;
			continue;
		}
		if (r == -ENOMEM)
			l->again = true;
		else /* it stays in the spool for the operator; `queue list` shows it */
			l->damaged++;
		LOG(LOG_ERR, "not-scheduled", LOG_S("id", id_slice(&info.id)), LOG_ERRNO(r));
	}
	return !l->done;
}

bool load_restart(struct load *l)
{
	if (!l->done)
		return false;
	l->reroute &= l->again; /* the last pass met some that were under way */
	l->begun = l->done = l->again = false;
	l->loaded = l->damaged = 0;
	return true;
}

void load_reroute(struct load *l)
{
	l->reroute = true;
	l->begun = l->done = l->again = false;
	l->loaded = l->damaged = l->rerouted = 0;
}
