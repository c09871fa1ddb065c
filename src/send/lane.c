#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "send/private.h"

#define INPUT_MAX  (16U << 10)
#define OUTPUT_MAX (64U << 10)
#define PIECE	   (16U << 10) /* read from a body's file at once */
#define QUIT_S	   5

static void lane_run(struct lane *l);

struct lane *lane_find(const struct send *s, uint64_t number)
{
	struct list *at, *after;

	LIST_EACH (&s->lanes, at, after) {
		struct lane *l = container_of(at, struct lane, link);

		if (l->number == number)
			return l;
	}
	return NULL;
}

/* ---- the end ---- */

static void on_timer_closed(uv_handle_t *h)
{
	free(h->data);
}

static void lane_free(struct lane *l)
{
	struct send *s = l->send;

	smtp_client_free(l->engine);
	list_remove(&l->link);
	s->n_lanes--;
	l->timer.data = l;
	uv_close((uv_handle_t *)&l->timer, on_timer_closed);
	send_lane_gone(s);
}

void lane_drop(struct lane *l)
{
	while (!list_empty(&l->jobs))
		send_job_free(container_of(l->jobs.next, struct send_job, in_lane));
	conn_close(l->conn);
	lane_free(l);
}

static struct slice ip_of(const struct lane *l)
{
	return slice_of(l->to.ip.byte, l->to.ip.family == 4 ? 4 : l->to.ip.family == 6 ? 16 : 0);
}

static void tell_ready(struct lane *l)
{
	struct ipc_message m = { .type = IPC_TYPE_lane_ready,
				 .lane_ready = { .lane = l->number, .ip = ip_of(l), .port = l->to.port } };

	l->told_ready = true;
	if (l->send->queue)
		channel_send(l->send->queue, &m, -1);
}

static enum ipc_lane_end end_of(const struct lane *l, bool failed, bool answered)
{
	if (!failed)
		return IPC_LANE_IN_ORDER;
	if (l->connected)
		return answered ? IPC_LANE_ANSWERED : IPC_LANE_BROKE;
	if (l->timed_out)
		return IPC_LANE_TIMED_OUT;
	return IPC_LANE_REFUSED;
}

static void tell_closed(const struct lane *l, enum ipc_lane_end end, const char *enhanced, struct slice text)
{
	struct ipc_message m = { .type = IPC_TYPE_lane_closed,
				 .lane_closed = { .lane = l->number,
						  .failed = end != IPC_LANE_IN_ORDER,
						  .enhanced = slice_str(enhanced),
						  .text = slice_head(text, IPC_TEXT_MAX),
						  .end = (uint8_t)end,
						  .ip = ip_of(l),
						  .port = l->to.port } };

	if (l->send->queue)
		channel_send(l->send->queue, &m, -1);
}

/* The engine has given all results and wants to close. */
static void finish(struct lane *l, const struct smtp_client_ask *a)
{
	/* A server that ends an idle connection is in its right, if it ever did anything. */
	bool failed = a->broken && !l->leaving && (a->step != SMTP_CLIENT_IDLE || l->jobs_done == 0);
	struct list *at, *after;
	char text[IPC_TEXT_MAX];

	if (a->code > 0)
		snprintf(text, sizeof(text), "%d %s %.*s", a->code, a->enhanced, SLICE_ARG(a->text));
	else
		snprintf(text, sizeof(text), "%.*s", SLICE_ARG(a->text));
	/* First of all: else the jobs that come back would be sent the same way again. */
	tell_closed(l, end_of(l, failed, a->code > 0), a->enhanced, slice_str(text));
	LIST_EACH (&l->jobs, at, after) {
		struct send_job *j = container_of(at, struct send_job, in_lane);

		if (j != l->job && j->complete)
			send_job_back(j, a->enhanced, slice_str(text));
	}
	l->send->count.failed += failed;
	LIST_EACH (&l->jobs, at, after) {
		struct send_job *j = container_of(at, struct send_job, in_lane);

		list_remove(at); /* what is not whole yet goes back when it is */
		if (j->complete)
			send_job_over(j);
	}
	if (l->timed_out)
		conn_close(l->conn);
	else
		conn_close_gently(l->conn);
	lane_free(l);
}

/* ---- the work ---- */

static bool write_out(struct lane *l)
{
	struct slice out = smtp_client_output(l->engine);
	size_t n = l->connected ? conn_write_room(l->conn) : 0;

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
	struct slice in = l->connected ? conn_input(l->conn) : SLICE_LIT("");
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

	l->job = NULL;
	l->jobs_done++;
	l->send->count.messages++;
	send_job_over(j);
}

/* The engine is ready: for the next job, for the end, or for nothing. */
static bool next_job(struct lane *l)
{
	struct send_job *j;

	if (!l->told_ready)
		tell_ready(l);
	if (l->job)
		job_done(l);
	j = list_empty(&l->jobs) ? NULL : container_of(l->jobs.next, struct send_job, in_lane);
	if (l->leaving) {
		smtp_client_quit(l->engine);
		return true;
	}
	if (!j || !j->complete)
		return false;
	if (!send_job_ready(j) || !smtp_client_mail(l->engine, &j->message)) {
		smtp_client_lost(l->engine, "4.3.0", "out of memory");
		return true;
	}
	l->job = j;
	return true;
}

/* One step; false when the outside world must move first, or the lane is gone. */
static bool step(struct lane *l, bool *ret_gone)
{
	const struct smtp_client_ask *a = smtp_client_want(l->engine);
	bool wrote = write_out(l);

	switch (a->want) {
	case SMTP_CLIENT_RESULT:
		send_job_result(l->job, a);
		smtp_client_go_on(l->engine);
		return true;
	case SMTP_CLIENT_CLOSE:
		*ret_gone = true;
		finish(l, a);
		return false;
	case SMTP_CLIENT_TLS: /* never asked for by the setup */
		smtp_client_lost(l->engine, "4.7.4", "no TLS here");
		return true;
	default:
		break;
	}
	if (give_input(l))
		return true;
	if (l->ended) {
		smtp_client_lost(l->engine, l->connected ? "4.4.2" : "4.4.1", l->why);
		return true;
	}
	if (a->want == SMTP_CLIENT_READY)
		return next_job(l);
	if (a->want == SMTP_CLIENT_BODY && smtp_client_output(l->engine).n < OUTPUT_MAX / 2)
		return give_body(l);
	return wrote;
}

/* ---- time ---- */

static void on_timer(uv_timer_t *t)
{
	struct lane *l = t->data;
	const char *step_name = smtp_client_step_name(smtp_client_step(l->engine));

	l->timed_out = true;
	if (l->connected)
		snprintf(l->why, sizeof(l->why), "the server did not answer in time (at %s)", step_name);
	else
		snprintf(l->why, sizeof(l->why), "connecting took too long");
	smtp_client_lost(l->engine, l->connected ? "4.4.2" : "4.4.1", l->why);
	lane_run(l);
}

/* Each answer, and each octet that is taken, gives new time; half an answer does not. */
static void arm(struct lane *l)
{
	enum smtp_client_step at = smtp_client_step(l->engine);
	uint64_t mark =
		1 + l->connected + l->written + smtp_client_replies(l->engine) * UINT64_C(0x100000001) + at;
	unsigned seconds = !l->connected		? l->connect_s
			   : at == SMTP_CLIENT_AT_FINAL ? l->final_s
			   : at == SMTP_CLIENT_AT_QUIT	? QUIT_S
							: l->command_s;

	if (smtp_client_want(l->engine)->want == SMTP_CLIENT_READY) {
		uv_timer_stop(&l->timer); /* queue says when it has been idle for long enough */
		l->mark = 0;
	} else if (mark != l->mark || !uv_is_active((uv_handle_t *)&l->timer)) {
		l->mark = mark;
		uv_timer_start(&l->timer, on_timer, seconds * UINT64_C(1000), 0);
	}
}

static void lane_run(struct lane *l)
{
	bool gone = false;

	while (step(l, &gone))
		;
	if (!gone)
		arm(l);
}

/* The site is one of our own configuration, so its administrator can do something about it. */
static void say_unconnected(struct lane *l, int r, const char *what)
{
	int n = snprintf(l->why, sizeof(l->why), "cannot connect: %s", what);
	char *at = l->why + n;
	size_t room = sizeof(l->why) - (size_t)n;

	if (r == -EACCES)
		snprintf(at, room, ": the socket and all folders above it must be open to user id %u",
			 (unsigned)geteuid());
	else if (r == -ENOENT || r == -ECONNREFUSED)
		snprintf(at, room, ": start the server there, or correct delivery.lmtp");
}

static void on_conn(void *arg, struct conn *c, enum conn_event event)
{
	struct lane *l = arg;

	switch (event) {
	case CONN_CONNECTED:
		l->connected = true;
		break;
	case CONN_EOF:
		l->ended = true;
		snprintf(l->why, sizeof(l->why), "the server closed the connection");
		break;
	case CONN_ERROR:
		l->ended = true;
		if (l->connected)
			snprintf(l->why, sizeof(l->why), "the connection broke: %s", conn_error(c));
		else
			say_unconnected(l, conn_connect_status(c), conn_error(c));
		break;
	case CONN_INPUT:
	case CONN_DRAINED:
	case CONN_TLS_DONE:
	case CONN_TLS_FAILED:
		break;
	}
	lane_run(l);
}

/* ---- birth ---- */

const char *lane_open(struct send *s, const struct ipc_lane_open *m)
{
	struct conn_setup setup = { s->loop, INPUT_MAX, OUTPUT_MAX, on_conn, NULL };
	struct lane *l;
	int r;

	if (s->n_lanes >= SEND_LANES_MAX || lane_find(s, m->lane) || m->lane == 0 ||
	    m->protocol != IPC_LANE_LMTP)
		return "a lane too many, or twice, or of an unknown kind";
	l = calloc(1, sizeof(*l));
	if (!l)
		return "out of memory";
	l->send = s;
	l->number = m->lane;
	l->connect_s = m->connect_s;
	l->command_s = m->command_s;
	l->final_s = m->final_s;
	memcpy(l->hostname, s->hostname, sizeof(l->hostname));
	l->setup = (struct smtp_client_setup){ .protocol = SMTP_CLIENT_LMTP, .helo = slice_str(l->hostname) };
	l->engine = smtp_client_new(&l->setup);
	if (!l->engine || !endpoint_parse(m->endpoint, &l->to)) {
		smtp_client_free(l->engine);
		free(l);
		return "out of memory, or a lane to nowhere";
	}
	list_init(&l->jobs);
	list_push_back(&s->lanes, &l->link);
	s->n_lanes++;
	s->count.opened++;
	uv_timer_init(s->loop, &l->timer);
	l->timer.data = l;
	setup.arg = l;
	r = conn_connect(&setup, &l->to, &l->conn);
	if (r < 0) {
		l->ended = true;
		say_unconnected(l, r, strerrordesc_np(-r));
	}
	lane_run(l);
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
		if (j->complete) {
			send_job_back(j, "4.3.2", SLICE_LIT("the connection is being closed"));
			send_job_over(j);
		}
	}
	if (!l->connected && !l->ended) {
		l->ended = true;
		snprintf(l->why, sizeof(l->why), "not connected yet");
	}
	lane_run(l);
}
