/* How long a client may take: for its next command, for a message, for reading what it is
 * told; and less of all that when the listener is nearly full of such clients.
 *
 * Time for a command is that of the whole line: its octets one by one win nothing.  A
 * message may pause for data_timeout, but must keep up min_data_rate over such times. */
#include <errno.h>

#include "base/log.h"
#include "base/turn.h"
#include "receive/session.h"

#define UNREAD_S	   60 /* what it was told it does not read: nothing goes out for so long */
#define PATIENCE_MIN_S	   1
#define PRESS_EVERY_MS	   1000
#define PRESS_LOG_EVERY_MS 10000

/* ---- a listener that is nearly full ---- */

/* From so many of its sessions on (in tenths of this process's share of max_sessions), times are
 * divided. */
static const struct {
	uint32_t tenths;
	unsigned divisor;
} levels[] = { { 0, 1 }, { 8, 10 }, { 9, 30 } };

static unsigned level_of(const struct listener *l, const struct rules *r)
{
	unsigned level = sizeof(levels) / sizeof(levels[0]) - 1;
	unsigned processes = l->rx->setup.processes ? l->rx->setup.processes : 1;

	while ((uint64_t)l->n_sessions * 10 * processes < (uint64_t)r->max_sessions * levels[level].tenths)
		level--;
	return level;
}

unsigned session_patience(const struct session *s, unsigned seconds)
{
	unsigned left = seconds / levels[level_of(s->listener, s->rules)].divisor;

	if (left >= PATIENCE_MIN_S || seconds < PATIENCE_MIN_S)
		return left;
	return PATIENCE_MIN_S;
}

/* What was promised to an idle session when there was room is taken back. */
static void shorten(struct session *s, uint64_t now)
{
	unsigned time =
		smtp_server_in_body(s->engine) ? s->rules->data_timeout_s : s->rules->command_timeout_s;
	uint64_t until = s->step_ms + (uint64_t)session_patience(s, time) * 1000;

	if (s->phase != SESSION_SMTP || s->wait != SESSION_WAITS_FOR_PEER || s->hung_up ||
	    until >= s->deadline_ms)
		return;
	s->deadline_ms = until > now ? until : now;
	session_arm(s);
}

void session_press(struct listener *l)
{
	unsigned level = level_of(l, l->rules), before = l->pressed;
	uint64_t now = receive_now_ms(l->rx);
	struct list *at, *after;

	/* Only who knocks makes it urgent; and a crowd at the brink must not cost a walk each. */
	if (level > before && l->pressed_ms && now - l->pressed_ms < PRESS_EVERY_MS)
		return;
	l->pressed = level;
	if (level <= before)
		return;
	l->pressed_ms = now;
	if (!l->pressed_logged_ms || now - l->pressed_logged_ms >= PRESS_LOG_EVERY_MS) {
		l->pressed_logged_ms = now;
		LOG(LOG_WARNING, "nearly-full", LOG_STR("listener", l->name),
		    LOG_U("sessions", l->n_sessions), LOG_U("max_sessions", l->rules->max_sessions),
		    LOG_U("command_timeout", l->rules->command_timeout_s / levels[level].divisor));
	}
	LIST_EACH (&l->sessions, at, after)
		shorten(container_of(at, struct session, link), now);
}

/* ---- the clock of one session ---- */

void session_deadline(struct session *s, uint64_t seconds)
{
	s->step_ms = receive_now_ms(s->rx);
	s->deadline_ms = s->step_ms + seconds * 1000;
}

static uint64_t unread_until(const struct session *s)
{
	unsigned most = s->rules->command_timeout_s;

	return s->unread_ms + (uint64_t)session_patience(s, most < UNREAD_S ? most : UNREAD_S) * 1000;
}

static uint64_t next_ring(const struct session *s)
{
	uint64_t at = s->deadline_ms < s->end_ms ? s->deadline_ms : s->end_ms;

	return s->unread_ms && unread_until(s) < at ? unread_until(s) : at;
}

static void on_timer(uv_timer_t *t);

/* The timer is moved only when it would ring too late; when it rings early it is
 * set anew.  So a busy session does not touch it. */
void session_arm(struct session *s)
{
	uint64_t at = next_ring(s), now = receive_now_ms(s->rx);
	uint64_t left = at > now ? at - now : 0;

	if (!uv_is_active((uv_handle_t *)&s->timer) || uv_timer_get_due_in(&s->timer) > left)
		uv_timer_start(&s->timer, on_timer, left, 0);
}

void session_told(struct session *s)
{
	if (s->unread_ms)
		return;
	s->unread_ms = receive_now_ms(s->rx);
	s->taken = conn_taken(s->conn);
}

/* ---- how fast a message comes ---- */

void session_pace_begin(struct session *s)
{
	s->pace_ms = receive_now_ms(s->rx);
	s->paced = 0;
}

bool session_pace(struct session *s, size_t octets)
{
	uint64_t now = receive_now_ms(s->rx);
	uint64_t window = session_patience(s, s->rules->data_timeout_s);

	s->paced += octets;
	if (now - s->pace_ms < window * 1000)
		return true;
	if (s->paced < window * s->rules->min_data_rate) {
		s->listener->count.timeouts++;
		s->why = "too slow";
		session_deadline(s, 10);
		session_hang_up(s, "4.4.2", "timeout: the message comes too slowly");
		return false;
	}
	session_pace_begin(s);
	return true;
}

/* ---- time is over ---- */

void session_hang_up(struct session *s, const char *enhanced, const char *text)
{
	if (s->hung_up)
		return;
	s->hung_up = true;
	smtp_server_hang_up(s->engine, enhanced, text);
}

static void smtp_timed_out(struct session *s)
{
	if (s->wait == SESSION_WAITS_FOR_ROLE) {
		/* The question goes the way of one to a role that is away. */
		s->tired = true;
		s->wait = SESSION_WAITS_FOR_PEER;
		session_deadline(s, s->rules->command_timeout_s);
		return;
	}
	if (s->wait == SESSION_WAITS_FOR_LEDGER) {
		session_limits_slow(s);
		return;
	}
	if (s->held) { /* keeper has answered; the client waits because it guessed */
		session_let_go(s);
		return;
	}
	if (s->wait == SESSION_WAITS_FOR_KEEPER) {
		receive_peer_silent(s->rx, IPC_KEEPER);
		session_keeper_failed(s);
		return;
	}
	if (s->wait == SESSION_WAITS_FOR_QUEUE) {
		receive_peer_silent(s->rx, IPC_QUEUE);
		/* What it has of the message it may keep: nobody was told 250. */
		s->tx.lost = true;
		if (s->committing)
			session_stored(s, ETIMEDOUT);
		return;
	}
	s->listener->count.timeouts++;
	s->why = "timeout";
	if (s->hung_up || conn_write_room(s->conn) < SESSION_OUTPUT_MAX / 2) {
		/* It does not even take what it is told. */
		s->over = true;
		return;
	}
	session_hang_up(s, "4.4.2",
			smtp_server_in_body(s->engine) ? "timeout: the message did not come on"
						       : "timeout: no command came");
}

static void smtp_ring(struct session *s, uint64_t now)
{
	if (now >= s->end_ms && !s->hung_up && s->wait == SESSION_WAITS_FOR_PEER) {
		s->end_ms = UINT64_MAX;
		s->listener->count.timeouts++;
		s->why = "session-timeout";
		session_deadline(s, 10);
		session_hang_up(s, "4.4.2", "timeout: this session took too long in all");
		return;
	}
	/* An answer that is waited for is not given up because the session is long: the
	 * message would be stored, and sent once more. */
	if (now >= s->end_ms)
		s->end_ms = now + 60000;
	if (now >= s->deadline_ms) {
		session_deadline(s, 10);
		smtp_timed_out(s);
	}
}

/* Output waits here and nothing of it went out.  What the kernel holds for the client is
 * the kernel's matter (TCP_USER_TIMEOUT, net/listen.c). */
static bool reads_nothing(struct session *s, uint64_t now)
{
	uint64_t taken;

	if (!s->unread_ms || now < unread_until(s) || s->committing)
		return false;
	taken = conn_taken(s->conn);
	s->unread_ms = now;
	if (taken != s->taken) {
		s->taken = taken;
		return false;
	}
	s->listener->count.timeouts++;
	s->why = "does not read";
	return true;
}

static void ring(struct session *s)
{
	uint64_t now = receive_now_ms(s->rx);

	if (reads_nothing(s, now)) {
		s->over = true;
	} else if (now < s->deadline_ms && now < s->end_ms) {
		session_arm(s);
		return;
	} else if (s->phase == SESSION_PROXY) {
		session_proxy_timeout(s);
	} else if (s->phase == SESSION_SNIFF) {
		s->opening = wrong_port_silence(&s->wrong);
	} else if (s->phase == SESSION_SMTP) {
		smtp_ring(s, now);
	} else {
		session_log_tls_failed(s, "timeout");
		s->over = true;
	}
	session_run(s);
}

static void on_timer(uv_timer_t *t)
{
	const char *before = turn_doing("time-outs of sessions");

	ring(t->data);
	turn_doing(before);
}
