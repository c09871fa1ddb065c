#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "send/private.h"

#define OUTPUT_MAX (64U << 10)
#define PIECE	   (16U << 10) /* read from a body's file at once */
#define QUIT_S	   5
#define TLS_S	   60	/* a handshake */
#define DATA_S	   120	/* RFC 5321 4.5.3.2.4 */
#define BLOCK_S	   180	/* 4.5.3.2.5 */
#define TALK_S	   600	/* all of it, up to the first MAIL */
#define MESSAGE_S  1800 /* a message, and as much as its size takes at so many octets a second */
#define PACE	   512

struct lane *lane_find(const struct send *s, uint64_t number)
{
	const struct list *bucket = &s->lane_by.bucket[number % SEND_TABLE];
	struct list *at, *after;

	LIST_EACH (bucket, at, after) {
		struct lane *l = container_of(at, struct lane, bucket);

		if (l->number == number)
			return l;
	}
	return NULL;
}

static uint64_t now(const struct lane *l)
{
	return uv_now(l->send->loop);
}

/* ---- the end ---- */

static void on_timer_closed(uv_handle_t *h)
{
	free(h->data);
}

void lane_hang_up(struct lane *l, bool gently)
{
	if (gently)
		conn_close_gently(l->conn);
	else
		conn_close(l->conn);
	l->conn = NULL;
	smtp_client_free(l->engine);
	l->engine = NULL;
	login_free(l->login);
	l->login = NULL;
}

static void lane_free(struct lane *l)
{
	struct send *s = l->send;

	list_remove(&l->waiter.link);
	lane_dial_end(l);
	lane_hang_up(l, false);
	way_put(l->way);
	list_remove(&l->link);
	list_remove(&l->bucket);
	s->n_lanes--;
	l->timer.data = l;
	uv_close((uv_handle_t *)&l->timer, on_timer_closed);
	send_lane_gone(s);
}

void lane_drop(struct lane *l)
{
	while (!list_empty(&l->jobs))
		send_job_free(container_of(l->jobs.next, struct send_job, in_lane));
	lane_free(l);
}

/* Those that are whole go back, each with its credit; the others when they are whole. */
static void give_jobs_back(struct lane *l, const char *enhanced, struct slice text)
{
	struct list *at, *after;

	LIST_EACH (&l->jobs, at, after) {
		struct send_job *j = container_of(at, struct send_job, in_lane);

		if (j != l->job && j->complete)
			send_job_back(j, enhanced, text);
	}
	LIST_EACH (&l->jobs, at, after) {
		struct send_job *j = container_of(at, struct send_job, in_lane);

		list_remove(at);
		l->n_jobs--;
		j->lane = NULL;
		if (j->complete)
			send_job_over(j);
	}
	l->job = NULL;
}

void lane_fail(struct lane *l, enum ipc_lane_end end, const char *enhanced, const char *text)
{
	if (l->over)
		return;
	l->over = true;
	l->send->count.failed += end != IPC_LANE_IN_ORDER;
	/* First of all: else the jobs that come back would be sent the same way again. */
	lane_tell_closed(l, end, enhanced, slice_str(text), l->try.port || l->try.number ? &l->try : NULL);
	give_jobs_back(l, enhanced, slice_str(text));
}

static enum ipc_lane_end end_of(const struct lane *l, const struct smtp_client_ask *a)
{
	/* A server that ends an idle connection is in its right, if it ever did anything. */
	bool failed = a->broken && !l->leaving && (a->step != SMTP_CLIENT_IDLE || l->jobs_done == 0);

	if (!failed)
		return IPC_LANE_IN_ORDER;
	if (l->no_memory)
		return IPC_LANE_LOCAL;
	return a->code > 0 ? IPC_LANE_ANSWERED : IPC_LANE_BROKE;
}

/* The engine has given all results and wants to close. */
static void finish(struct lane *l, const struct smtp_client_ask *a)
{
	char text[IPC_TEXT_MAX];

	if (a->code > 0)
		snprintf(text, sizeof(text), "%d %s %.*s", a->code, a->enhanced, SLICE_ARG(a->text));
	else
		snprintf(text, sizeof(text), "%.*s", SLICE_ARG(a->text));
	if (l->state == LANE_TALKS) {
		lane_talked(l, lane_how(l, a), a->code, a->enhanced, slice_str(text));
		return;
	}
	if (l->job)
		lane_tell_attempt(l, &l->try, DIAL_READY, l->job, slice_str(text), l->job->begun_ms);
	lane_fail(l, end_of(l, a), a->enhanced, text);
	lane_hang_up(l, !l->timed_out);
}

/* ---- the work ---- */

static bool write_out(struct lane *l)
{
	struct slice out = smtp_client_output(l->engine);
	size_t n = conn_write_room(l->conn);

	if (n > out.n)
		n = out.n;
	if (n == 0 || conn_write(l->conn, slice_head(out, n)) < 0)
		return false;
	smtp_client_sent(l->engine, n);
	l->written += n;
	return true;
}

static bool give_input(struct lane *l)
{
	struct slice in = l->handshaking ? SLICE_LIT("") : conn_input(l->conn);
	size_t n;

	if (in.n == 0)
		return false;
	n = smtp_client_feed(l->engine, in);
	conn_consume(l->conn, n);
	return n > 0;
}

static bool give_body(struct lane *l)
{
	static unsigned char room[PIECE];
	struct slice piece;
	size_t taken;
	ssize_t n;

	n = send_job_read(l->job, room, sizeof(room), &piece);
	if (n < 0) {
		LOG(LOG_ERR, "body-unreadable", LOG_S("id", id_slice(&l->job->id)), LOG_ERRNO((int)n));
		smtp_client_body_fail(l->engine, "4.3.0", "the message cannot be read");
		return true;
	}
	if (n == 0) {
		smtp_client_body_end(l->engine);
		return true;
	}
	taken = smtp_client_body(l->engine, piece);
	l->job->sent += taken;
	l->send->count.octets += taken;
	return taken > 0;
}

static void job_done(struct lane *l)
{
	struct send_job *j = l->job;

	lane_tell_attempt(l, &l->try, DIAL_READY, j, SLICE_LIT(""), j->begun_ms);
	l->job = NULL;
	l->jobs_done++;
	l->send->count.messages++;
	send_job_over(j);
}

/* The engine is ready: for the next job, for the end, or for nothing. */
static bool next_job(struct lane *l)
{
	struct send_job *j;

	if (l->job)
		job_done(l);
	j = list_empty(&l->jobs) ? NULL : container_of(l->jobs.next, struct send_job, in_lane);
	if (l->leaving || smtp_client_is_spent(l->engine)) {
		smtp_client_quit(l->engine);
		return true;
	}
	if (!j || !j->complete)
		return false;
	if (!send_job_ready(j)) {
		send_job_back(j, "4.3.0", SLICE_LIT("out of memory"));
		send_job_over(j);
		return true;
	}
	j->message.tls_verified = lane_security(l) >= IPC_SECURITY_VERIFIED && l->look.policy.proven;
	if (!smtp_client_mail(l->engine, &j->message)) {
		send_job_back(j, "4.3.0", SLICE_LIT("out of memory"));
		send_job_over(j);
		return true;
	}
	j->begun_ms = now(l);
	l->job = j;
	return true;
}

static bool on_ready(struct lane *l)
{
	if (l->state == LANE_SENDS)
		return next_job(l);
	/* SCRAM: a server that knows the password proves it before it says 235. */
	if (l->login && !login_proved(l->login)) {
		lane_talked(l, DIAL_PASSWORD, 0, "4.7.8",
			    SLICE_LIT("the server did not prove that it knows the password"));
		return true;
	}
	login_free(l->login);
	l->login = NULL;
	lane_talked(l, DIAL_READY, 0, "", SLICE_LIT(""));
	return true;
}

static bool lose(struct lane *l)
{
	smtp_client_lost(l->engine, "4.4.2", l->why);
	return true;
}

/* One step; false when the outside world must move first. */
static bool step(struct lane *l)
{
	const struct smtp_client_ask *a = smtp_client_want(l->engine);
	bool wrote = !l->handshaking && write_out(l);

	switch (a->want) {
	case SMTP_CLIENT_RESULT:
		send_job_result(l->job, a);
		smtp_client_go_on(l->engine);
		return true;
	case SMTP_CLIENT_CLOSE:
		finish(l, a);
		return true;
	case SMTP_CLIENT_TLS:
		if (l->handshaking || l->ended)
			return l->ended && !l->handshaking ? lose(l) : false;
		if (smtp_client_output(l->engine).n > 0)
			return wrote;
		lane_start_tls(l);
		return true;
	case SMTP_CLIENT_AUTH:
		if (l->ended)
			return lose(l);
		lane_auth(l, a);
		return !l->waits_for_secret;
	case SMTP_CLIENT_CHALLENGE:
		lane_challenge(l, a);
		return true;
	default:
		break;
	}
	if (give_input(l))
		return true;
	if (l->ended)
		return lose(l);
	if (a->want == SMTP_CLIENT_READY)
		return on_ready(l);
	if (a->want == SMTP_CLIENT_BODY && smtp_client_output(l->engine).n < OUTPUT_MAX / 2)
		return give_body(l);
	return wrote;
}

/* ---- time ---- */

static void give_up_waiting(struct lane *l)
{
	const char *step_name = smtp_client_step_name(smtp_client_step(l->engine));

	l->timed_out = true;
	if (l->handshaking)
		snprintf(l->why, sizeof(l->why), "the TLS handshake took too long");
	else if (l->waits_for_secret)
		snprintf(l->why, sizeof(l->why), "a new token did not come in time");
	else
		snprintf(l->why, sizeof(l->why), "the server did not answer in time (at %s)", step_name);
	l->waits_for_secret = false;
	smtp_client_lost(l->engine, "4.4.2", l->why);
}

static void on_timer(uv_timer_t *t)
{
	struct lane *l = t->data;

	if (l->state == LANE_DIALS) {
		lane_dial_tick(l);
		return;
	}
	if (l->engine)
		give_up_waiting(l);
	lane_run(l);
}

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

static unsigned patience_s(const struct lane *l)
{
	if (l->handshaking)
		return least(l->command_s, TLS_S);
	switch (smtp_client_step(l->engine)) {
	case SMTP_CLIENT_AT_FINAL:
		return l->final_s;
	case SMTP_CLIENT_AT_QUIT:
		return QUIT_S;
	case SMTP_CLIENT_AT_DATA:
		return least(l->command_s, DATA_S);
	case SMTP_CLIENT_AT_BODY:
		return least(l->command_s, BLOCK_S);
	default:
		return l->command_s;
	}
}

/* However steadily it drips: when this is over it is too slow.  Not once all of a message is sent: who
 * then hangs up may have it delivered twice. */
static uint64_t limit_ms(const struct lane *l)
{
	if (l->state == LANE_TALKS)
		return l->talk_ms + TALK_S * UINT64_C(1000);
	if (!l->job || smtp_client_step(l->engine) == SMTP_CLIENT_AT_FINAL)
		return UINT64_MAX;
	return l->job->begun_ms + (MESSAGE_S + l->job->message.size / PACE) * UINT64_C(1000);
}

/* Each answer, and each octet that is taken, gives new time; half an answer does not. */
static void arm_session(struct lane *l)
{
	enum smtp_client_step at = smtp_client_step(l->engine);
	uint64_t mark = 1 + 2U * l->handshaking + 4U * l->tls_up + 8U * l->state + 16U * at + l->written +
			smtp_client_replies(l->engine) * UINT64_C(0x100000001);
	uint64_t wait = patience_s(l) * UINT64_C(1000), limit = limit_ms(l);

	if (l->state == LANE_SENDS && smtp_client_want(l->engine)->want == SMTP_CLIENT_READY) {
		uv_timer_stop(&l->timer); /* queue says when it has been idle for long enough */
		l->mark = 0;
	} else if (mark != l->mark || !uv_is_active((uv_handle_t *)&l->timer)) {
		l->mark = mark;
		if (limit < now(l) + wait)
			wait = limit > now(l) ? limit - now(l) : 0;
		uv_timer_start(&l->timer, on_timer, wait, 0);
	}
}

static void arm(struct lane *l)
{
	const struct dial_ask *a = dial_want(&l->dial);

	if (l->engine) {
		arm_session(l);
	} else if (l->state == LANE_DIALS && a->want == DIAL_WAIT) {
		l->mark = 0;
		uv_timer_start(&l->timer, on_timer, a->until_ms > now(l) ? a->until_ms - now(l) : 0, 0);
	} else {
		uv_timer_stop(&l->timer); /* the resolver has its own patience */
	}
}

static bool waits_for_dial(const struct lane *l)
{
	return l->looking || dial_want(&l->dial)->want == DIAL_WAIT;
}

void lane_run(struct lane *l)
{
	if (l->running)
		return;
	l->running = true;
	while (!l->over) {
		if (l->state == LANE_DIALS)
			lane_dial_run(l);
		else if (!l->engine || !step(l))
			break;
		if (l->state == LANE_DIALS && waits_for_dial(l))
			break;
	}
	l->running = false;
	if (l->over)
		lane_free(l);
	else
		arm(l);
}

void lane_on_conn(struct lane *l, enum conn_event event)
{
	switch (event) {
	case CONN_EOF:
		l->ended = true;
		snprintf(l->why, sizeof(l->why), "the server closed the connection");
		break;
	case CONN_ERROR:
		l->ended = true;
		l->no_memory = conn_lacks_memory(l->conn);
		snprintf(l->why, sizeof(l->why), "the connection broke: %s", conn_error(l->conn));
		break;
	case CONN_TLS_DONE:
	case CONN_TLS_FAILED:
		lane_tls_done(l, event == CONN_TLS_FAILED);
		break;
	case CONN_INPUT:
	case CONN_DRAINED:
	case CONN_CONNECTED:
		break;
	}
	lane_run(l);
}

/* ---- birth ---- */

static void on_way(void *arg, struct way *w)
{
	struct lane *l = arg;

	if (w->state != WAY_OK)
		lane_fail(l, IPC_LANE_DNS, w->enhanced, w->text);
	else if (l->has_key && memcmp(l->key, w->key, sizeof(l->key)) != 0)
		lane_fail(l, IPC_LANE_MOVED, "4.4.4", "its mail servers are others now");
	else
		lane_dial_begin(l);
	lane_run(l);
}

static struct way *way_of(struct send *s, const struct ipc_lane_open *m)
{
	struct endpoint to;

	if (m->route.n == 0)
		return endpoint_parse(m->endpoint, &to) ? way_to_endpoint(s, &to) : NULL;
	return way_get(s, m->route, m->domain, m->relax);
}

static bool set_names(struct lane *l, const struct ipc_lane_open *m)
{
	return slice_copy(m->helo, l->helo, sizeof(l->helo)) &&
	       (m->source.n == 0 || ip_parse(m->source, &l->source));
}

static const char *no_memory(struct send *s, const struct ipc_lane_open *m)
{
	struct ipc_message no = { .type = IPC_TYPE_lane_closed,
				  .lane_closed = { .lane = m->lane,
						   .failed = true,
						   .enhanced = SLICE_LIT("4.3.0"),
						   .text = SLICE_LIT("out of memory"),
						   .end = IPC_LANE_LOCAL } };

	if (s->queue)
		channel_send(s->queue, &no, -1);
	return NULL;
}

static bool is_sound(const struct send *s, const struct ipc_lane_open *m)
{
	struct endpoint to;
	struct ip ip;

	if (s->n_lanes >= SEND_LANES_MAX || m->lane == 0 || lane_find(s, m->lane) ||
	    (m->protocol != IPC_LANE_LMTP && m->protocol != IPC_LANE_SMTP))
		return false;
	if (m->route.n == 0 && (m->protocol != IPC_LANE_LMTP || !endpoint_parse(m->endpoint, &to)))
		return false;
	return (m->source.n == 0 || ip_parse(m->source, &ip)) && (m->key.n == 0 || m->key.n == IPC_SITE_KEY);
}

const char *lane_open(struct send *s, const struct ipc_lane_open *m)
{
	struct lane *l;

	if (!is_sound(s, m))
		return "a lane too many, or twice, or of an unknown kind, or to nowhere";
	l = calloc(1, sizeof(*l));
	if (!l)
		return no_memory(s, m);
	l->send = s;
	l->number = m->lane;
	l->connect_s = m->connect_s;
	l->command_s = m->command_s;
	l->final_s = m->final_s;
	l->lmtp = m->protocol == IPC_LANE_LMTP;
	l->mailboxes = m->route.n == 0;
	l->has_key = m->key.n > 0;
	if (l->has_key)
		memcpy(l->key, m->key.p, sizeof(l->key));
	list_init(&l->jobs);
	list_init(&l->waiter.link);
	if (!set_names(l, m) || !(l->way = way_of(s, m))) {
		free(l);
		return no_memory(s, m);
	}
	l->waiter.done = on_way;
	l->waiter.arg = l;
	list_push_back(&s->lanes, &l->link);
	list_push_back(send_table_bucket(&s->lane_by, l->number), &l->bucket);
	s->n_lanes++;
	s->count.opened++;
	uv_timer_init(s->loop, &l->timer);
	l->timer.data = l;
	if (l->way->state == WAY_ASKING)
		way_wait(l->way, &l->waiter);
	else
		on_way(l, l->way);
	return NULL;
}

void lane_work(struct lane *l)
{
	lane_run(l);
}

void lane_leave(struct lane *l)
{
	struct list *at, *after;

	l->leaving = true;
	LIST_EACH (&l->jobs, at, after) {
		struct send_job *j = container_of(at, struct send_job, in_lane);

		if (j == l->job)
			continue;
		list_remove(at);
		l->n_jobs--;
		j->lane = NULL;
		if (j->complete) {
			send_job_back(j, "4.3.2", SLICE_LIT("the connection is being closed"));
			send_job_over(j);
		}
	}
	if (l->state != LANE_SENDS)
		lane_fail(l, IPC_LANE_IN_ORDER, "4.3.2", "it was not through yet");
	lane_run(l);
}
