#include "queue/handout.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "ipc/event.h"
#include "queue/handout_private.h"

#define ROOM_MS	  20  /* then the channels are asked again for room */
#define JOBS_TURN 256 /* handed out, or given up, in one turn of the loop */

static bool init(struct handout *h)
{
	bool ok = carrier_init(&h->local) == 0;

	for (unsigned i = 0; i < LANES_CARRIERS; i++)
		ok = ok && carrier_init(&h->smtp[i]) == 0;
	ok = ok && lanes_init(&h->lanes, h->smtp) == 0;
	ok = ok && asks_init(&h->asks) == 0;
	return ok && troubles_init(&h->troubles) == 0;
}

int handout_new(struct spool *sp, struct schedule *schedule, struct handout **ret)
{
	struct handout *h = calloc(1, sizeof(*h));

	if (!h)
		return -ENOMEM;
	h->sp = sp;
	h->schedule = schedule;
	list_init(&h->asks.waiting);
	if (!init(h)) {
		handout_free(h);
		return -ENOMEM;
	}
	*ret = h;
	return 0;
}

void handout_free(struct handout *h)
{
	if (!h)
		return;
	carrier_done(&h->local);
	for (unsigned i = 0; i < LANES_CARRIERS; i++)
		carrier_done(&h->smtp[i]);
	lanes_done(&h->lanes);
	asks_done(&h->asks);
	troubles_done(&h->troubles);
	ways_done(&h->ways);
	meanings_done(&h->meanings);
	free(h);
}

/* The schedule has one for all lanes: where mailboxes are at another server too, the shorter one. */
static uint64_t idle_ms(const struct conf *conf)
{
	unsigned s = conf->relay_idle_s;

	if (conf->delivery_by == CONF_BY_LMTP && conf->delivery_idle_s < s)
		s = conf->delivery_idle_s;
	return s * UINT64_C(1000);
}

int handout_configure(struct handout *h, const struct conf *conf, uint64_t now_ms)
{
	struct schedule_setup setup = { .life_ms = conf->relay_lifetime_s * UINT64_C(1000),
					.lanes_max = conf->relay_lanes,
					.account_per_minute = conf->relay_account_messages_per_minute,
					.idle_ms = idle_ms(conf),
					.seed = now_ms };
	bool first = !h->ways.conf;
	int other = ways_set(&h->ways, conf);

	if (other < 0)
		return other;
	if (meanings_set(&h->meanings, conf) < 0)
		LOG(LOG_ERR, "replies-not-configured", LOG_ERRNO(-ENOMEM));
	schedule_configure(h->schedule, &setup);
	handout_pools(h, now_ms);
	if (other && !first)
		schedule_forget_sites(h->schedule, now_ms);
	return other && !first;
}

const struct ways *handout_ways(const struct handout *h)
{
	return &h->ways;
}

const struct meanings *handout_meanings(const struct handout *h)
{
	return &h->meanings;
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

static void carrier_takes(struct handout *h, unsigned index, bool takes, uint64_t now_ms)
{
	if (h->takes[index] == takes)
		return;
	h->takes[index] = takes;
	schedule_carrier(h->schedule, index, takes, now_ms);
}

/* True when one has no room, which nobody tells us the end of. */
static bool look_at_carriers(struct handout *h, uint64_t now_ms)
{
	bool full = false;

	for (unsigned i = 0; i <= LANES_CARRIERS; i++) {
		const struct carrier *c = i < LANES_CARRIERS ? &h->smtp[i] : &h->local;
		bool takes = carrier_has_room(c);

		if (c->ch || h->takes[i])
			carrier_takes(h, i, takes, now_ms);
		full |= !takes && carrier_ready(c);
	}
	return full;
}

/* It died with these in its hands: any of them may be delivered already. */
static void take_back_all(struct handout *h, struct carrier *c, uint64_t now_ms)
{
	uint64_t due_ms = now_ms + schedule_pause_ms(c->losses);
	struct map_node *node = NULL;

	if (c->jobs.n > 0)
		c->losses++;
	while ((node = map_next(&c->jobs, node))) {
		const struct carrier_job *j = container_of(node, struct carrier_job, node);

		for (uint32_t i = 0; i < j->n && !j->lost; i++)
			if (schedule_look_rcpt(h->schedule, &j->id, j->out[i].n) == SCHEDULE_ACTIVE)
				handout_in_doubt(h, j, &j->out[i], "the process that delivered it ended",
						 now_ms); /* not removed by an operator */
		schedule_give_back(h->schedule, j->number, due_ms);
	}
}

void handout_local_peer(struct handout *h, struct channel *ch, uint64_t now_ms)
{
	take_back_all(h, &h->local, now_ms);
	carrier_takes(h, SCHEDULE_CARRIER_LOCAL, false, now_ms);
	if (h->local_lane)
		schedule_lane_closed(h->schedule, h->local_lane, SCHEDULE_LANE_GONE, SLICE_LIT(""),
				     SLICE_LIT(""), now_ms);
	h->local_lane = 0;
	carrier_peer(&h->local, ch);
}

void handout_smtp_peer(struct handout *h, unsigned index, struct channel *ch, uint64_t now_ms)
{
	struct lane *lane;

	take_back_all(h, &h->smtp[index], now_ms);
	carrier_takes(h, index, false, now_ms);
	carrier_peer(&h->smtp[index], ch);
	while ((lane = lanes_any_of(&h->lanes, index))) {
		if (!lane->over)
			schedule_lane_closed(h->schedule, lane->number, SCHEDULE_LANE_GONE, SLICE_LIT(""),
					     SLICE_LIT(""), now_ms);
		lanes_forget(&h->lanes, lane);
	}
	asks_carrier_gone(&h->asks, index);
}

/* ---- what is due ---- */

static void begin_job(struct handout *h, const struct schedule_job *due, uint64_t now_ms)
{
	struct lane *lane = due->lane == h->local_lane ? NULL : lanes_find(&h->lanes, due->lane);
	struct carrier *c = lane ? &h->smtp[lane->carrier] : &h->local;
	unsigned index = lane ? lane->carrier : SCHEDULE_CARRIER_LOCAL;
	struct carrier_job *j;

	if (!lane && due->lane != h->local_lane) { /* the schedule and we do not agree: our own bug */
		LOG(LOG_ERR, "job-without-lane", LOG_S("id", id_slice(&due->id)));
		schedule_give_back(h->schedule, due->number, now_ms + schedule_pause_ms(0));
		return;
	}
	j = handout_begin(h, due, c, lane ? lane->way : CARRIER_LOCAL, now_ms);
	if (j && lane)
		list_push_back(&lane->jobs, &j->in_lane);
	carrier_takes(h, index, carrier_has_room(c), now_ms);
}

/* False when the turn was too short for all. */
static bool hand_out(struct handout *h, uint64_t now_ms)
{
	struct schedule_doom why;
	struct schedule_job due;
	unsigned n = 0;

	for (; n < JOBS_TURN && schedule_next_doomed(h->schedule, now_ms, &due, &why); n++)
		handout_doomed(h, &due, &why, now_ms);
	for (; n < JOBS_TURN && now_ms >= h->full_until_ms && schedule_next_job(h->schedule, now_ms, &due);
	     n++)
		begin_job(h, &due, now_ms);
	return n < JOBS_TURN;
}

static void close_lanes(struct handout *h, uint64_t now_ms)
{
	uint64_t number;

	while (schedule_next_close(h->schedule, now_ms, &number)) {
		struct lane *lane = lanes_find(&h->lanes, number);

		if (lane)
			lanes_close(&h->lanes, lane);
	}
}

uint64_t handout_run(struct handout *h, uint64_t now_ms)
{
	bool full = look_at_carriers(h, now_ms), all;
	uint64_t wait;

	if (!h->local_lane && h->local.ch)
		h->local_lane =
			schedule_lane_attach(h->schedule, SCHEDULE_CARRIER_LOCAL, HANDOUT_LOCAL_JOBS, now_ms);
	handout_overdue(h, now_ms);
	handout_ask(h, now_ms);
	close_lanes(h, now_ms);
	handout_open_lanes(h, now_ms);
	all = hand_out(h, now_ms);
	wait = schedule_wait_ms(h->schedule, now_ms);
	if (!all)
		return 0;
	if (wait == 0 || ((full || !list_empty(&h->asks.waiting)) && wait > ROOM_MS))
		return ROOM_MS;
	return wait;
}

bool handout_next_silent(struct handout *h, bool *ret_local, unsigned *ret_index)
{
	if (h->local_silent) {
		h->local_silent = false;
		*ret_local = true;
		*ret_index = 0;
		return true;
	}
	if (h->silent == 0)
		return false;
	*ret_local = false;
	*ret_index = (unsigned)__builtin_ctzll(h->silent);
	h->silent &= h->silent - 1;
	return true;
}

void handout_shift(struct handout *h, int64_t by_ms)
{
	port25_shift(&h->port25, by_ms);
	h->full_until_ms = 0;
}

/* ---- messages ---- */

const char *handout_local_message(struct handout *h, const struct ipc_message *m, uint64_t now_ms)
{
	if (m->type == IPC_TYPE_job_result)
		return handout_result(h, &h->local, &m->job_result, now_ms);
	if (m->type == IPC_TYPE_job_credit)
		return handout_credit(h, &h->local, &m->job_credit, now_ms);
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
		return handout_result(h, c, &m->job_result, now_ms);
	case IPC_TYPE_job_credit:
		return handout_credit(h, c, &m->job_credit, now_ms);
	case IPC_TYPE_job_back:
		return handout_back(h, c, &m->job_back, now_ms);
	case IPC_TYPE_lane_closed:
		return handout_lane_closed(h, index, &m->lane_closed, now_ms);
	case IPC_TYPE_lane_ready:
		return handout_lane_ready(h, index, &m->lane_ready, now_ms);
	case IPC_TYPE_resolved:
		return handout_resolved(h, index, &m->resolved, now_ms);
	default:
		return "a message that smtp may not send";
	}
}

/* ---- looking ---- */

void handout_port25_restore(struct handout *h, uint64_t since_ms, uint64_t now_ms)
{
	port25_restore(&h->port25, since_ms);
	schedule_block(h->schedule, true, now_ms);
}

const struct port25 *handout_port25(const struct handout *h)
{
	return &h->port25;
}

bool handout_port25_changed(struct handout *h)
{
	bool changed = h->port25_changed;

	h->port25_changed = false;
	return changed;
}

void handout_count(const struct handout *h, struct handout_counters *ret)
{
	*ret = h->count;
	ret->lanes = h->lanes.all.n;
	ret->lanes_opened = h->lanes.opened;
	ret->lanes_failed = h->lanes.failures;
}
