#include "submit/carry_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/id.h"
#include "ipc/event.h"
#include "send/send.h"
#include "smtp/client.h"

#define WAITING	 (4U << 20)
#define RCPTS	 100U /* in one transaction: every server takes so many (RFC 5321 4.5.3.1.8) */
#define IDLE_MAX 2U   /* lanes that the server closed before anything was said in them */

struct carry {
	uv_loop_t *loop;
	const struct draft *draft;
	struct conf *conf;
	struct send *send;
	struct channel *queue, *lanes;	/* one pair: our end, and that of send/ */
	struct channel *ledger, *tells; /* another: where events are read, and told */
	struct event_sink events;
	struct id_source ids;
	unsigned connect_s, command_s, final_s;
	char helo[256];
	uint64_t secrets; /* how many there were */

	uint64_t lane, job; /* the last one's number */
	bool ready, done_asked;
	bool keep, open;     /* open: the lane, and it can have a job */
	size_t left;	     /* recipients without a result */
	size_t in_job, told; /* those of the job that is under way */
	size_t rcpt_max;
	uint32_t mail_max, jobs_in_lane;
	size_t answered; /* recipients of earlier jobs in this lane */
	bool lost;	 /* the connection, in the job that is under way */
	bool back;	 /* for lack of memory it was not even begun */
	unsigned idle_lanes;

	struct carry_result r;
	int (*before)(void *arg, const struct carry_result *so_far);
	void (*stale)(void *arg);
	void (*done)(void *arg, const struct carry_result *r); /* NULL: it was called */
	void (*tells_done)(void *arg, const struct carry_result *r);
	void *arg;
};

static void open_lane(struct carry *c);

/* ---- how it ends ---- */

/* Events were told before and come later: what is told now comes behind them. */
static void finish(struct carry *c)
{
	struct ipc_message m = { .type = IPC_TYPE_ping, .ping = { .number = 1 } };

	if (c->done_asked)
		return;
	c->done_asked = true;
	channel_send(c->tells, &m, -1); /* if it is closed already, that is told in a moment */
}

static void fail(struct carry *c, const char *text)
{
	c->r.end = IPC_LANE_LOCAL;
	(void)slice_copy(SLICE_LIT("4.3.0"), c->r.enhanced, sizeof(c->r.enhanced));
	(void)slice_copy(slice_head(slice_str(text), IPC_TEXT_MAX), c->r.text, sizeof(c->r.text));
	finish(c);
}

/* ---- as queue does ---- */

static bool tell(struct carry *c, struct ipc_message m, int fd)
{
	const char *broken = send_message(c->send, &m, &fd);

	if (fd >= 0)
		close(fd);
	if (broken)
		fail(c, broken);
	return !broken;
}

static uint64_t wall_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void begin_job(struct carry *c)
{
	const struct draft *d = c->draft;
	struct id id = id_next(&c->ids, wall_ms());
	int fd, r = c->before ? c->before(c->arg, &c->r) : 0;
	size_t n = 0;
	bool on;

	if (r < 0) {
		fail(c, strerrordesc_np(-r));
		return;
	}
	fd = fcntl(d->fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0) {
		fail(c, strerrordesc_np(errno));
		return;
	}
	c->job++;
	c->jobs_in_lane++;
	c->answered += c->told;
	c->told = 0;
	c->in_job = c->left < c->rcpt_max ? c->left : c->rcpt_max;
	on = tell(c,
		  (struct ipc_message){ .type = IPC_TYPE_job,
					.job = { .job = c->job,
						 .lane = c->lane,
						 .id = id_slice(&id),
						 .time_ms = wall_ms(),
						 .sender = slice_str(d->envelope.sender),
						 .body_size = d->octets,
						 .ret = d->envelope.ret,
						 .envid = slice_str(d->envelope.envid),
						 .smtputf8 = d->smtputf8,
						 .eightbit = d->eightbit } },
		  -1);
	for (size_t i = 0; on && n < c->in_job; i++) {
		if (c->r.rcpt[i].tried)
			continue;
		n++;
		on = tell(c,
			  (struct ipc_message){
				  .type = IPC_TYPE_job_rcpt,
				  .job_rcpt = { .job = c->job,
						.recipient = (uint32_t)i,
						.notify = d->envelope.recipient[i]->notify,
						.address = slice_str(d->envelope.recipient[i]->address) } },
			  -1);
	}
	if (!on) {
		close(fd);
		return;
	}
	if (tell(c,
		 (struct ipc_message){ .type = IPC_TYPE_job_body,
				       .job_body = { .job = c->job, .in_file = 1 } },
		 fd))
		tell(c, (struct ipc_message){ .type = IPC_TYPE_job_end, .job_end = { .job = c->job } }, -1);
}

static void close_lane(struct carry *c)
{
	tell(c, (struct ipc_message){ .type = IPC_TYPE_lane_close, .lane_close = { .lane = c->lane } }, -1);
}

static void open_lane(struct carry *c)
{
	c->lane++;
	c->ready = false;
	c->jobs_in_lane = 0;
	c->in_job = c->told = c->answered = 0;
	c->lost = c->back = false;
	tell(c,
	     (struct ipc_message){ .type = IPC_TYPE_lane_open,
				   .lane_open = { .lane = c->lane,
						  .protocol = IPC_LANE_SMTP,
						  .route = SLICE_LIT(CARRY_ROUTE),
						  .helo = slice_str(c->helo),
						  .connect_s = c->connect_s,
						  .command_s = c->command_s,
						  .final_s = c->final_s } },
	     -1);
}

static void take_where(struct carry *c, struct slice host, struct slice ip, uint16_t port)
{
	struct ip at = { .family = ip.n == 4 ? 4 : ip.n == 16 ? 6 : 0 };

	carry_copy(host, c->r.host, sizeof(c->r.host));
	c->r.port = port;
	c->r.ip[0] = '\0';
	if (at.family == 0)
		return;
	memcpy(at.byte, ip.p, ip.n);
	ip_format(&at, c->r.ip);
}

static void on_ready(struct carry *c, const struct ipc_lane_ready *m)
{
	if (m->lane != c->lane)
		return;
	c->ready = c->open = c->r.reached = true;
	take_where(c, m->host, m->ip, m->port);
	carry_copy(m->tls, c->r.tls, sizeof(c->r.tls));
	c->r.security = m->security;
	c->rcpt_max = m->rcpt_max > 0 && m->rcpt_max < RCPTS ? m->rcpt_max : RCPTS;
	c->mail_max = m->mail_max;
	begin_job(c);
}

/* Behind a message that was answered: the server takes so many in a connection, and no more; or what was
 * said behind it found nobody any more. */
static bool is_of_connection(const struct carry *c, const struct ipc_job_result *m)
{
	return c->answered > 0 && m->result == IPC_JOB_DEFERRED && !m->in_doubt &&
	       (m->code == 0 || m->code == 421);
}

static bool lane_takes_more(const struct carry *c)
{
	return c->mail_max == 0 || c->jobs_in_lane < c->mail_max;
}

static void on_result(struct carry *c, const struct ipc_job_result *m)
{
	struct carry_rcpt *to;

	if (m->job != c->job || m->recipient >= c->r.n || c->r.rcpt[m->recipient].tried)
		return;
	c->told++;
	if (is_of_connection(c, m)) {
		c->lost = true;
		return;
	}
	to = &c->r.rcpt[m->recipient];
	to->tried = true;
	c->left--;
	to->result = m->result;
	to->in_doubt = m->in_doubt;
	to->unreported = m->relayed;
	to->code = m->code;
	to->step = smtp_client_step_name((enum smtp_client_step)m->step);
	carry_copy(m->enhanced, to->enhanced, sizeof(to->enhanced));
	carry_copy(m->text, to->text, sizeof(to->text));
	if (c->told < c->in_job || c->lost)
		return;
	if (c->left > 0 && lane_takes_more(c))
		begin_job(c);
	else if (c->left == 0 && c->keep && lane_takes_more(c))
		finish(c);
	else
		close_lane(c);
}

/* What is left goes into another lane, where the one before was of use: a server that takes so many messages
 * and no more, or hangs up behind each. */
static void on_closed_lane(struct carry *c, const struct ipc_lane_closed *m)
{
	bool progress = c->answered > 0 || (c->in_job > 0 && c->told == c->in_job && !c->lost);
	bool again = m->end == IPC_LANE_IN_ORDER || m->end == IPC_LANE_BROKE || m->end == IPC_LANE_ANSWERED;

	if (m->lane != c->lane)
		return;
	c->open = false;
	if (c->done_asked)
		return; /* between two messages, as it may */
	if (c->left == 0) {
		finish(c);
		return;
	}
	if (again && (progress || (m->end == IPC_LANE_IN_ORDER && c->idle_lanes++ < IDLE_MAX))) {
		open_lane(c);
		return;
	}
	if (!c->ready)
		c->r.reached = false;
	if (m->host.n > 0)
		take_where(c, m->host, m->ip, m->port);
	if (c->back) {
		fail(c, "out of memory");
		return;
	}
	c->r.end = m->end == IPC_LANE_IN_ORDER ? IPC_LANE_BROKE : m->end;
	carry_copy(m->enhanced, c->r.enhanced, sizeof(c->r.enhanced));
	carry_copy(m->text, c->r.text, sizeof(c->r.text));
	finish(c);
}

/* Of a lane that closed, that was said before; else it was memory that was lacking. */
static void on_back(struct carry *c, const struct ipc_job_back *m)
{
	if (m->job != c->job || c->in_job == 0 || c->back)
		return;
	c->back = true;
	close_lane(c);
}

static void on_queue(void *arg, struct channel *ch, const struct ipc_message *m, int *fd)
{
	struct carry *c = arg;

	(void)ch, (void)fd;
	if (m->type == IPC_TYPE_lane_closed)
		on_closed_lane(c, &m->lane_closed);
	else if (c->done_asked)
		return;
	else if (m->type == IPC_TYPE_lane_ready)
		on_ready(c, &m->lane_ready);
	else if (m->type == IPC_TYPE_job_result)
		on_result(c, &m->job_result);
	else if (m->type == IPC_TYPE_job_back)
		on_back(c, &m->job_back);
}

/* ---- as the ledger does ---- */

static void tell_done(struct carry *c)
{
	void (*done)(void *arg, const struct carry_result *r) = c->done;

	c->done = NULL;
	if (done)
		done(c->arg, &c->r); /* c may be gone */
}

static void take_event(struct carry *c, const struct ipc_event *e)
{
	if (e->kind == EVENT_ATTEMPTED && c->r.n_tries < CARRY_TRIES_MAX)
		carry_try_take(&c->r.tries[c->r.n_tries++], e);
}

static void on_ledger(void *arg, struct channel *ch, const struct ipc_message *m, int *fd)
{
	struct carry *c = arg;

	(void)ch, (void)fd;
	if (m->type == IPC_TYPE_event)
		take_event(c, &m->event);
	else if (m->type == IPC_TYPE_ping)
		tell_done(c);
}

/* Nobody else holds an end of these pairs: it takes a kernel without memory. */
static void on_broken(void *arg, struct channel *ch, const char *why)
{
	struct carry *c = arg;

	if (ch != c->tells && ch != c->ledger) {
		fail(c, why);
		return;
	}
	if (c->r.end == IPC_LANE_IN_ORDER && c->left > 0)
		c->r.end = IPC_LANE_LOCAL;
	tell_done(c);
}

static void on_nothing(void *arg, struct channel *ch, const struct ipc_message *m, int *fd)
{
	(void)arg, (void)ch, (void)m, (void)fd;
}

/* ---- life ---- */

static int open_pair(struct carry *c, const struct channel_handlers *reads, struct channel **reader,
		     struct channel **writer)
{
	static const struct channel_handlers writes = { on_nothing, on_broken };
	int fd[2], r = channel_pair(fd);

	if (r < 0)
		return r;
	r = channel_new(c->loop, fd[0], WAITING, reads, c, reader);
	if (r < 0) {
		close(fd[0]);
		close(fd[1]);
		return r;
	}
	r = channel_new(c->loop, fd[1], WAITING, &writes, c, writer);
	if (r < 0)
		close(fd[1]);
	return r;
}

static void on_stale(void *arg, struct slice route, uint64_t generation)
{
	struct carry *c = arg;

	(void)route, (void)generation;
	c->stale(c->arg);
}

static int give_secret(struct carry *c, struct slice secret)
{
	struct ipc_credential m = {
		.route = SLICE_LIT(CARRY_ROUTE), .generation = c->secrets, .there = true, .secret = secret
	};

	return send_secret(c->send, &m);
}

/* The same number says that it is the same. */
void carry_secret(struct carry *c, struct slice secret, bool other)
{
	c->secrets += other;
	if (give_secret(c, secret) < 0)
		fail(c, "out of memory");
}

static int start(struct carry *c, const struct carry_setup *s)
{
	static const struct channel_handlers queue = { on_queue, on_broken },
					     ledger = { on_ledger, on_broken };
	struct send_setup setup = { .loop = s->loop,
				    .resolve = s->resolve,
				    .events = &c->events,
				    .stale = s->stale ? on_stale : NULL,
				    .arg = c };
	int r = carry_configure(s, &c->conf);

	if (r == 0)
		r = open_pair(c, &queue, &c->queue, &c->lanes);
	if (r == 0)
		r = open_pair(c, &ledger, &c->ledger, &c->tells);
	if (r == 0)
		r = send_new(&setup, &c->send);
	if (r == 0)
		r = send_configure(c->send, c->conf);
	if (r < 0)
		return r;
	c->events.ledger = c->tells;
	send_trust(c->send, s->tls);
	send_peer(c->send, c->lanes);
	c->secrets = 1;
	return give_secret(c, s->password);
}

int carry_begin(const struct carry_setup *setup, void (*done)(void *arg, const struct carry_result *r),
		void *arg, struct carry **ret)
{
	struct carry *c = calloc(1, sizeof(*c));
	int r = -ENOMEM;

	if (!c)
		return r;
	c->loop = setup->loop;
	c->draft = setup->draft;
	c->connect_s = setup->connect_s;
	c->command_s = setup->command_s;
	c->final_s = setup->final_s;
	c->before = setup->before;
	c->done = c->tells_done = done;
	c->stale = setup->stale;
	c->arg = arg;
	c->keep = setup->keep;
	c->rcpt_max = RCPTS;
	carry_copy(slice_str(setup->helo), c->helo, sizeof(c->helo));
	event_sink_init(&c->events);
	id_source_init(&c->ids, 0);
	c->r.n = c->left = setup->draft->envelope.recipients;
	c->r.rcpt = calloc(c->r.n ? c->r.n : 1, sizeof(*c->r.rcpt));
	c->r.tries = calloc(CARRY_TRIES_MAX, sizeof(*c->r.tries));
	if (c->r.rcpt && c->r.tries)
		r = start(c, setup);
	if (r < 0) {
		carry_free(c);
		return r;
	}
	open_lane(c);
	*ret = c;
	return 0;
}

static void forget_tries(struct carry *c)
{
	for (size_t i = 0; c->r.tries && i < c->r.n_tries; i++)
		free(c->r.tries[i].transcript);
	c->r.n_tries = 0;
}

int carry_next(struct carry *c, const struct draft *d)
{
	struct carry_rcpt *rcpt = calloc(d->envelope.recipients ? d->envelope.recipients : 1, sizeof(*rcpt));

	if (!rcpt)
		return -ENOMEM;
	free(c->r.rcpt);
	c->r.rcpt = rcpt;
	c->r.n = c->left = d->envelope.recipients;
	forget_tries(c);
	memset(c->r.tries, 0, CARRY_TRIES_MAX * sizeof(*c->r.tries));
	c->r.end = IPC_LANE_IN_ORDER;
	c->r.enhanced[0] = c->r.text[0] = '\0';
	c->draft = d;
	c->done = c->tells_done;
	c->done_asked = c->lost = false;
	c->idle_lanes = 0;
	if (c->open)
		begin_job(c);
	else
		open_lane(c);
	return 0;
}

bool carry_end(struct carry *c)
{
	if (!c->open)
		return false;
	c->r.n = c->left = 0;
	c->done = c->tells_done;
	c->done_asked = false;
	close_lane(c);
	return true;
}

void carry_free(struct carry *c)
{
	if (!c)
		return;
	c->events.ledger = NULL;
	send_free(c->send);
	channel_free(c->queue);
	channel_free(c->lanes);
	channel_free(c->ledger);
	channel_free(c->tells);
	conf_free(c->conf);
	forget_tries(c);
	free(c->r.tries);
	free(c->r.rcpt);
	free(c);
}
