#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "send/private.h"

#define OUTPUT_MAX (64U << 10)
#define PIECE	   (16U << 10) /* read from a body's file at once */
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
	l->job = l->ahead = NULL;
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

/* The server hung up behind the message before, as it may: what lay in its hands already was not begun. */
static bool is_lost_ahead(const struct lane *l, const struct smtp_client_ask *a)
{
	return l->begun_ahead && a->broken && a->code == 0 && a->step == SMTP_CLIENT_AT_MAIL && !l->timed_out;
}

static enum ipc_lane_end end_of(const struct lane *l, const struct smtp_client_ask *a)
{
	/* A server that ends an idle connection is in its right, if it ever did anything. */
	bool idle = a->step == SMTP_CLIENT_IDLE || is_lost_ahead(l, a);
	bool failed = a->broken && !l->leaving && (!idle || l->jobs_done == 0);

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
	lane_look_at_end(l, a);
	if (is_lost_ahead(l, a))
		l->job = NULL; /* goes back as the others do */
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

/* Makes j->message; false: out of memory. */
static bool prepare(struct lane *l, struct send_job *j)
{
	if (!send_job_ready(j))
		return false;
	j->message.tls_verified = lane_security(l) >= IPC_SECURITY_VERIFIED && l->look.policy.proven;
	return true;
}

/* The next message's commands go with the end of the one before. */
static void look_ahead(struct lane *l)
{
	struct send_job *j;

	if (l->ahead || l->leaving || l->ended || !l->job || l->n_jobs < 2 || l->no_ahead ||
	    !smtp_client_takes_ahead(l->engine))
		return;
	j = container_of(l->job->in_lane.next, struct send_job, in_lane);
	if (!j->complete || j->unfit_ahead)
		return;
	if (prepare(l, j) && smtp_client_ahead(l->engine, &j->message))
		l->ahead = j;
	else
		j->unfit_ahead = true;
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
	l->begun_ahead = l->ahead != NULL;
	if (!l->ahead && (l->leaving || smtp_client_is_spent(l->engine))) {
		smtp_client_quit(l->engine);
		return true;
	}
	if (!j || !j->complete)
		return false;
	if ((!l->ahead && !prepare(l, j)) || !smtp_client_mail(l->engine, &j->message)) {
		send_job_back(j, "4.3.0", SLICE_LIT("out of memory"));
		send_job_over(j);
		return true;
	}
	l->ahead = NULL;
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
	if (l->job && smtp_client_want(l->engine)->want == SMTP_CLIENT_READY)
		job_done(l); /* it was through before the connection ended */
	smtp_client_lost(l->engine, "4.4.2", l->why);
	return true;
}

/* One step; false when the outside world must move first. */
static bool step(struct lane *l)
{
	const struct smtp_client_ask *a = smtp_client_want(l->engine);
	bool wrote;

	look_ahead(l);
	wrote = !l->handshaking && write_out(l);

	switch (a->want) {
	case SMTP_CLIENT_RESULT:
		if (!is_lost_ahead(l, a))
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
		lane_arm(l);
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

		if (j == l->job || j == l->ahead)
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
