/* queue.c - the process that keeps the mail: the only writer of the spool.
 *
 * Wires the parts together: intake (from smtp), the spool, the schedule, handout (to
 * local), and the command line's questions.  What decides stands in src/queue/.
 */
#include <errno.h>

#include "base/log.h"
#include "base/turn.h"
#include "ipc/event.h"
#include "queue/bounce.h"
#include "queue/clock.h"
#include "queue/handout.h"
#include "queue/intake.h"
#include "queue/load.h"
#include "queue/paces.h"
#include "role/queue_ask.h"
#include "role/queue_port25.h"
#include "role/queue_relay.h"
#include "role/queue_warming.h"
#include "role/role.h"

#define TICK_MS	      1000
#define FIRST_TICK_MS 100 /* without a ledger the spool is loaded then */
#define LOAD_TURN     64  /* messages read in one turn of the loop after a start */
#define DUE_MAX_MS    60000
#define DRAIN_LOOK_MS 50

struct queue {
	struct role *role;
	struct spool *sp;
	struct schedule *schedule;
	struct intake *intake;
	struct handout *handout;
	struct bounce *bounce;
	struct queue_ask *ask;
	struct load load;
	struct paces paces;
	struct buf warming;   /* what was last written of sources that warm up */
	uint64_t unscheduled; /* of intake's, when the spool was last gone through */
	struct queue_clock clock;
	struct event_sink events;
	uv_poll_t wake;
	uv_timer_t tick, due, leave;
	uv_idle_t loading;
	unsigned smtp; /* processes that are there */
	uint64_t leave_at;
	bool draining, closed;
	bool soon; /* the schedule is gone through at the end of this turn */
};

static void on_due(uv_timer_t *t);

/* The time for the schedule, which has moved with the clock if that was set. */
static uint64_t now_ms(struct queue *q)
{
	uint64_t wall = queue_now_ms();
	struct timespec steady;
	int64_t by;

	clock_gettime(CLOCK_BOOTTIME, &steady);
	by = queue_clock_look(&q->clock, wall,
			      (uint64_t)steady.tv_sec * 1000 + (uint64_t)steady.tv_nsec / 1000000);
	if (by != 0) {
		LOG(LOG_NOTICE, "clock-set", LOG_U("by_s", (uint64_t)(by < 0 ? -by : by) / 1000),
		    LOG_STR("direction", by < 0 ? "back" : "ahead"));
		schedule_shift(q->schedule, by);
		handout_shift(q->handout, by);
		bounce_shift(q->bounce, by);
	}
	return wall;
}

/* Hands out what is due, and sleeps until the next thing is. */
static void pump(struct queue *q)
{
	uint64_t wait, tell;
	unsigned index;
	bool local;

	q->soon = false;
	if (q->draining)
		return;
	/* In this order: what is refused while it is handed out is to be told of, and when, tell says. */
	wait = handout_run(q->handout, now_ms(q));
	tell = bounce_run(q->bounce, now_ms(q));
	if (tell < wait)
		wait = tell;
	if (wait > DUE_MAX_MS)
		wait = DUE_MAX_MS;
	uv_timer_start(&q->due, on_due, wait, 0);
	while (handout_next_silent(q->handout, &local, &index))
		role_peer_silent(q->role, local ? IPC_LOCAL : IPC_SMTP, index);
	if (bounce_keeper_silent(q->bounce)) {
		LOG(LOG_ERR, "overdue", LOG_STR("what", "the way of a report"));
		role_peer_silent(q->role, IPC_KEEPER, 0);
	}
	if (handout_port25_changed(q->handout))
		queue_port25_keep(q->role->conf->state_dir, handout_port25(q->handout));
}

static void on_due(uv_timer_t *t)
{
	const char *before = turn_doing("handing out");

	pump(t->data);
	turn_doing(before);
}

/* Once for all that a turn of the loop hears: what is due then goes to the carriers together, too. */
static void pump_soon(struct queue *q)
{
	if (q->soon)
		return;
	q->soon = true;
	uv_timer_start(&q->due, on_due, 0, 0);
}

/* An operator did something to messages. */
static void on_changed(struct role *r)
{
	struct queue *q = r->state;

	pump(q);
}

static void on_wake(uv_poll_t *p, int status, int events)
{
	struct queue *q = p->data;
	const char *before = turn_doing("messages that the disk has");

	(void)status;
	(void)events;
	if (intake_done(q->intake, now_ms(q)) > 0)
		pump(q);
	turn_doing(before);
}

static void on_loading(uv_idle_t *h)
{
	struct queue *q = h->data;

	if (!load_step(&q->load, LOAD_TURN, now_ms(q))) {
		uv_idle_stop(h);
		bounce_look(q->bounce);
		spool_settled(q->sp);
		LOG(LOG_INFO, q->load.reroute ? "queue-rerouted" : "queue-loaded",
		    LOG_U("messages", q->load.loaded), LOG_U("not_scheduled", q->load.damaged),
		    LOG_U("possibly_twice", q->load.possibly_twice), LOG_U("rerouted", q->load.rerouted));
	}
	pump(q);
}

/* What found no memory is found again in the spool. */
static void look_again(struct queue *q)
{
	struct intake_counters in;

	intake_count(q->intake, &in);
	if ((!q->load.again && in.unscheduled == q->unscheduled) || q->draining || !load_restart(&q->load))
		return;
	q->unscheduled = in.unscheduled;
	uv_idle_start(&q->loading, on_loading);
}

/* The ledger is there, so that it hears of who is in doubt; or it does not come soon. */
static void begin_loading(struct queue *q)
{
	if (!q->load.begun && !q->load.done && !q->draining)
		uv_idle_start(&q->loading, on_loading);
}

static void on_tick(uv_timer_t *t)
{
	struct queue *q = t->data;
	const char *before = turn_doing("the spool's upkeep");

	spool_tick(q->sp, now_ms(q));
	intake_accepting(q->intake);
	begin_loading(q);
	queue_warming_keep(q->role->conf->state_dir, q->schedule, &q->warming);
	look_again(q);
	turn_doing(before);
}

/* ---- start ---- */

static int open_spool(struct queue *q, const struct conf *conf, const char *boot)
{
	char dir[4096];
	struct spool_setup setup = {
		.dir = dir,
		.disk = disk_real(),
		.memory_max = conf->spool_memory,
		.body_memory_max = conf->spool_body_memory,
		.segment_max = conf->spool_segment,
		.free_min = conf->spool_free_min,
		.boot = boot,
	};
	struct spool_recovery found;
	int r;

	snprintf(dir, sizeof(dir), "%s/spool", conf->state_dir);
	r = spool_open(&setup, &q->sp);
	if (r < 0) {
		LOG(LOG_ERR, "spool-unusable", LOG_STR("dir", dir), LOG_ERRNO(r),
		    LOG_STR("advice", r == -EBUSY ? "another server uses it"
						  : "it must exist and belong to the server's user"));
		return r;
	}
	spool_recovered(q->sp, &found);
	LOG(found.damaged > 0 ? LOG_ERR : LOG_INFO, "spool-opened", LOG_U("messages", found.messages),
	    LOG_U("segments", found.segments), LOG_U("scanned", found.scanned),
	    LOG_U("torn_octets", found.torn_bytes), LOG_U("damaged", found.damaged),
	    LOG_U("orphans", found.orphans), LOG_U("power_lost", found.power_lost));
	return 0;
}

/* What senders are told, and when. */
static int configure_bounce(struct queue *q, const struct conf *conf)
{
	struct bounce_setup setup = { .hostname = conf->hostname,
				      .delay_ms = conf->relay_delay_warning_s * UINT64_C(1000),
				      .lifetime_ms = conf->relay_lifetime_s * UINT64_C(1000),
				      .meanings = handout_meanings(q->handout) };

	return bounce_configure(q->bounce, &setup);
}

static void queue_reconfigured(struct role *r, const struct conf *old)
{
	struct queue *q = r->state;
	int other;

	(void)old;
	if (q->closed)
		return;
	if (configure_bounce(q, r->conf) < 0)
		LOG(LOG_ERR, "reconfigure-failed", LOG_ERRNO(ENOMEM));
	other = handout_configure(q->handout, r->conf, now_ms(q));
	if (other < 0) { /* what it borrows of the old configuration is gone in a moment */
		role_exit(r);
		return;
	}
	if (other > 0) {
		load_reroute(&q->load);
		uv_idle_start(&q->loading, on_loading);
	}
	pump(q);
}

static int queue_open(struct role *r)
{
	struct queue *q = calloc(1, sizeof(*q));
	uint64_t blocked_ms;
	int err;

	if (!q)
		return -ENOMEM;
	r->state = q;
	q->role = r;
	event_sink_init(&q->events);
	buf_init(&q->warming, QUEUE_WARMING_MAX);
	err = open_spool(q, r->conf, r->boot);
	if (err == 0)
		err = schedule_new(HANDOUT_JOBS, &q->schedule);
	if (err == 0)
		err = handout_new(q->sp, q->schedule, &q->handout);
	if (err == 0)
		err = intake_new(q->sp, q->schedule, handout_ways(q->handout), &q->intake);
	if (err == 0)
		err = bounce_new(q->sp, q->schedule, q->intake, &q->bounce);
	if (err == 0)
		err = configure_bounce(q, r->conf);
	if (err == 0) {
		handout_events(q->handout, &q->events);
		handout_bounce(q->handout, q->bounce);
		bounce_events(q->bounce, &q->events);
		err = handout_configure(q->handout, r->conf, queue_now_ms());
	}
	if (err == 0)
		queue_warming_remember(r->conf->state_dir, q->schedule, queue_now_ms());
	if (err == 0 && queue_port25_remember(r->conf->state_dir, queue_now_ms(), &blocked_ms))
		handout_port25_restore(q->handout, blocked_ms, queue_now_ms());
	if (err == 0)
		err = queue_ask_new(r, q->sp, q->schedule, q->handout, on_changed, &q->ask);
	if (err == 0)
		queue_ask_bounce(q->ask, q->bounce);
	if (err == 0)
		queue_ask_events(q->ask, &q->events);
	return err;
}

static int queue_start(struct role *r)
{
	struct queue *q = r->state;
	struct spool_recovery found;
	int err = uv_poll_init(r->loop, &q->wake, spool_wake_fd(q->sp));

	if (err < 0)
		return err;
	uv_timer_init(r->loop, &q->tick);
	uv_timer_init(r->loop, &q->due);
	uv_timer_init(r->loop, &q->leave);
	uv_idle_init(r->loop, &q->loading);
	q->wake.data = q->tick.data = q->due.data = q->leave.data = q->loading.data = q;
	load_init(&q->load, q->sp, q->schedule, handout_ways(q->handout));
	q->load.events = &q->events;
	spool_recovered(q->sp, &found);
	if (found.power_lost)
		load_power_lost(&q->load, queue_now_ms());
	uv_poll_start(&q->wake, UV_READABLE, on_wake);
	uv_timer_start(&q->tick, on_tick, FIRST_TICK_MS, TICK_MS);
	return 0;
}

/* ---- peers ---- */

static void queue_peer(struct role *r, enum ipc_role who, unsigned index, struct channel *ch)
{
	struct queue *q = r->state;

	if (q->closed)
		return;
	if (who == IPC_SMTP && index < INTAKE_PEERS) {
		intake_peer(q->intake, index, ch);
		q->smtp += ch ? 1U : -1U;
		handout_smtp_peer(q->handout, index, ch, now_ms(q));
		pump(q);
	} else if (who == IPC_LOCAL) {
		handout_local_peer(q->handout, ch, now_ms(q));
		pump(q);
	} else if (who == IPC_LEDGER) {
		q->events.ledger = ch;
		begin_loading(q);
	} else if (who == IPC_KEEPER) {
		bounce_keeper(q->bounce, ch, now_ms(q));
		pump(q);
	}
}

static void queue_message(struct role *r, enum ipc_role who, unsigned index, const struct ipc_message *m,
			  int *fd)
{
	struct queue *q = r->state;
	const char *broken = "a message from somebody who has nothing to say";

	(void)fd;
	if (q->closed)
		return;
	if (who == IPC_SMTP && index < LANES_CARRIERS && handout_is_for(m)) {
		broken = handout_smtp_message(q->handout, index, m, now_ms(q));
		if (!broken)
			pump_soon(q);
	} else if (who == IPC_SMTP && index < INTAKE_PEERS) {
		broken = intake_message(q->intake, index, m, now_ms(q));
	} else if (who == IPC_LOCAL) {
		broken = handout_local_message(q->handout, m, now_ms(q));
		if (!broken)
			pump_soon(q);
	} else if (who == IPC_KEEPER && m->type == IPC_TYPE_paces) {
		broken = paces_take(&q->paces, q->schedule, &m->paces, now_ms(q));
		if (!broken)
			pump_soon(q);
	} else if (who == IPC_KEEPER && bounce_is_for(m)) {
		broken = bounce_keeper_message(q->bounce, m, now_ms(q));
		if (m->type == IPC_TYPE_verdict)
			pump_soon(q);
	}
	if (broken)
		role_peer_broken(r, who, index, broken);
}

static void queue_request(struct role *r, struct role_request *req)
{
	struct queue *q = r->state;

	if (q->closed) {
		role_answer_error(req, "the server is stopping", NULL);
		return;
	}
	now_ms(q); /* before anything is planned by the clock as it is now */
	queue_ask(q->ask, req);
}

/* ---- numbers ---- */

static void put(json_t *to, const char *key, uint64_t v)
{
	json_object_set_new(to, key, json_integer((json_int_t)v));
}

static void status_schedule(const struct queue *q, json_t *to)
{
	json_t *states = json_object();
	struct schedule_counters c;
	struct spool_info oldest;
	uint64_t now = queue_now_ms();

	schedule_count(q->schedule, &c);
	for (unsigned i = 0; i < SCHEDULE_STATES; i++)
		put(states, schedule_state_name((enum schedule_state)i), c.by_state[i]);
	json_object_set_new(to, "states", states);
	put(to, "messages", c.messages);
	put(to, "jobs", c.jobs);
	if (spool_next(q->sp, NULL, &oldest))
		put(to, "oldest_s", now > oldest.time_ms ? (now - oldest.time_ms) / 1000 : 0);
	json_object_set_new(to, "loaded", json_boolean(q->load.done));
	put(to, "not_scheduled", q->load.damaged);
}

static void queue_status(struct role *r, json_t *to)
{
	const struct queue *q = r->state;
	json_t *sj = json_object();
	struct spool_counters s;
	struct intake_counters in;
	struct handout_counters out;

	if (q->closed) {
		json_decref(sj);
		return;
	}
	status_schedule(q, to);
	spool_count(q->sp, &s);
	put(sj, "messages", s.messages);
	put(sj, "held", s.held);
	put(sj, "damaged", s.damaged);
	put(sj, "segments", s.segments);
	put(sj, "disk_octets", s.disk_bytes);
	put(sj, "live_octets", s.live_bytes);
	put(sj, "commits", s.commits);
	put(sj, "failed_commits", s.failed_commits);
	put(sj, "syncs", s.syncs);
	put(sj, "sync_us", s.sync_us);
	put(sj, "largest_batch", s.largest_batch);
	put(sj, "collecting", s.collecting);
	put(sj, "memory", s.memory_used);
	put(sj, "memory_max", s.memory_max);
	json_object_set_new(sj, "accepting", json_boolean(spool_accepting(q->sp) == 0));
	json_object_set_new(to, "spool", sj);
	intake_count(q->intake, &in);
	put(to, "transactions", in.transactions);
	put(to, "committing", in.committing);
	put(to, "stored", in.stored);
	put(to, "refused", in.refused);
	handout_count(q->handout, &out);
	put(to, "delivered", out.delivered);
	put(to, "deferred", out.deferred);
	put(to, "failed", out.failed);
	json_object_set_new(to, "reports", bounce_json(q->bounce));
	put(to, "events_sent", q->events.sent);
	put(to, "events_dropped", q->events.dropped);
	put(to, "possibly_twice", q->load.possibly_twice + out.possibly_twice);
	queue_relay_status(q->schedule, q->handout, queue_now_ms(), to);
}

/* ---- the end ---- */

/* Everything that was promised is on the disk already; closing only spares the next
 * start some work. */
static void leave(struct queue *q)
{
	q->closed = true;
	uv_timer_stop(&q->tick);
	uv_timer_stop(&q->due);
	uv_timer_stop(&q->leave);
	uv_idle_stop(&q->loading);
	uv_poll_stop(&q->wake);
	queue_warming_keep(q->role->conf->state_dir, q->schedule, &q->warming);
	buf_done(&q->warming);
	queue_ask_free(q->ask);
	intake_done(q->intake, now_ms(q));
	bounce_free(q->bounce);
	intake_free(q->intake);
	handout_free(q->handout);
	spool_close(q->sp);
	schedule_free(q->schedule);
	role_exit(q->role);
}

static void on_leave(uv_timer_t *t)
{
	struct queue *q = t->data;
	struct schedule_counters c;
	struct intake_counters in;

	schedule_count(q->schedule, &c);
	intake_count(q->intake, &in);
	if ((q->smtp == 0 && in.committing == 0 && c.jobs == 0) || uv_now(t->loop) >= q->leave_at)
		leave(q);
}

/* Sessions may still finish: leave when the last smtp process has gone, what it
 * committed is safe and what is with local has come back. */
static void queue_drain(struct role *r, unsigned seconds)
{
	struct queue *q = r->state;

	if (q->closed)
		return;
	q->draining = true;
	q->leave_at = uv_now(r->loop) + seconds * UINT64_C(1000);
	uv_timer_stop(&q->due);
	uv_idle_stop(&q->loading);
	if (seconds == 0)
		leave(q);
	else
		uv_timer_start(&q->leave, on_leave, 0, DRAIN_LOOK_MS);
}

const struct role_ops role_queue = {
	.id = IPC_QUEUE,
	.open = queue_open,
	.start = queue_start,
	.reconfigured = queue_reconfigured,
	.peer = queue_peer,
	.message = queue_message,
	.request = queue_request,
	.status = queue_status,
	.drain = queue_drain,
};
