#include "queue/load.h"

#include <errno.h>

#include "base/log.h"
#include "ipc/message.h"
#include "queue/envelope.h"

void load_init(struct load *l, struct spool *sp, struct schedule *schedule)
{
	*l = (struct load){ .sp = sp, .schedule = schedule };
}

/* Where one recipient stands, by what the spool remembers of it. */
static enum schedule_rcpt state_of(struct load *l, const struct id *id, uint32_t n,
				   const struct envelope_rcpt *r, struct schedule_message *m)
{
	struct envelope_reason why = { 0 };
	struct spool_recipient known;
	enum schedule_rcpt state;
	unsigned char room[1024];
	struct buf detail;

	buf_init_in(&detail, room, sizeof(room));
	if (spool_recipient(l->sp, id, n, &known, &detail) < 0)
		known = (struct spool_recipient){ 0 };
	if (envelope_get_reason(buf_slice(&detail), &why) && why.attempts > m->attempts)
		m->attempts = why.attempts;
	if (known.done || why.delivered) { /* the latter is only to be told of */
		state = SCHEDULE_DONE;
	} else if (why.failed && !known.attempted) {
		state = SCHEDULE_FAILED;
	} else if (r->kind == IPC_TARGET_REMOTE) {
		state = SCHEDULE_WAITING;
	} else if (known.attempted) {
		LOG(LOG_NOTICE, "possibly-twice", LOG_S("id", id_slice(id)), LOG_S("to", r->address));
		l->possibly_twice++;
		state = SCHEDULE_READY;
	} else if (known.deferred) {
		state = SCHEDULE_DEFERRED;
		if (m->due_ms == 0 || why.next_ms < m->due_ms)
			m->due_ms = why.next_ms;
	} else {
		state = SCHEDULE_READY;
	}
	return state;
}

/* Delivered, and only to be told of: nothing to hand out. */
static bool all_done(struct slice states)
{
	for (size_t i = 0; i < states.n; i++)
		if (states.p[i] != SCHEDULE_DONE)
			return false;
	return true;
}

static int load_one(struct load *l, const struct spool_info *info, uint64_t now_ms)
{
	struct schedule_message m = { .id = info->id, .accepted_ms = info->time_ms, .held = info->held };
	struct buf bytes, headers, states;
	struct envelope_rcpt rcpt;
	struct envelope e;
	struct slice cur;
	int r;

	buf_init(&bytes, ENVELOPE_MAX);
	buf_init(&headers, 65536);
	buf_init(&states, ENVELOPE_RECIPIENTS_MAX);
	r = info->damaged ? -EBADMSG : spool_read_meta(l->sp, &info->id, &bytes, &headers);
	cur = buf_slice(&bytes);
	if (r == 0 && (!envelope_get(&cur, &e) || e.recipients != info->recipients))
		r = -EBADMSG;
	for (uint32_t i = 0; r == 0 && i < e.recipients; i++) {
		if (envelope_get_rcpt(&cur, &rcpt))
			buf_byte(&states, (unsigned char)state_of(l, &info->id, i, &rcpt, &m));
		else
			r = -EBADMSG;
	}
	if (r == 0 && !buf_ok(&states))
		r = -ENOMEM;
	m.rcpt = buf_slice(&states).p;
	m.recipients = (uint32_t)states.n;
	/* Written while the clock was wrong: nothing waits for a time that we never meant. */
	if (m.accepted_ms > now_ms)
		m.accepted_ms = now_ms;
	if (m.due_ms > schedule_retry_at(UINT32_MAX, now_ms))
		m.due_ms = schedule_retry_at(UINT32_MAX, now_ms);
	if (r == 0 && !all_done(buf_slice(&states)))
		r = schedule_add(l->schedule, &m, now_ms);
	buf_done(&bytes);
	buf_done(&headers);
	buf_done(&states);
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
	l->begun = l->done = l->again = false;
	l->loaded = l->damaged = 0;
	return true;
}
