#include "send/send.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "send/private.h"

int send_new(const struct send_setup *setup, struct send **ret)
{
	struct send *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	if (map_init(&s->ways) < 0) {
		free(s);
		return -ENOMEM;
	}
	if (recall_init(&s->recall) < 0) {
		map_done(&s->ways);
		free(s);
		return -ENOMEM;
	}
	s->setup = *setup;
	s->loop = setup->loop;
	list_init(&s->lanes);
	list_init(&s->jobs);
	list_init(&s->ways_kept);
	list_init(&s->asks);
	list_init(&s->explains);
	list_init(&s->secrets);
	send_table_init(&s->lane_by);
	send_table_init(&s->job_by);
	uv_timer_init(s->loop, &s->patience);
	s->patience.data = s;
	*ret = s;
	return 0;
}

static void drop_all(struct send *s)
{
	send_asks_drop(s);
	send_explains_drop(s);
	while (!list_empty(&s->lanes))
		lane_drop(container_of(s->lanes.next, struct lane, link));
	while (!list_empty(&s->jobs))
		send_job_free(container_of(s->jobs.next, struct send_job, link));
	memset(s->lost, 0, sizeof(s->lost));
}

static void on_timer_closed(uv_handle_t *h)
{
	free(h->data);
}

void send_free(struct send *s)
{
	if (!s)
		return;
	s->drained = NULL;
	drop_all(s);
	way_forget_all(s);
	send_secrets_drop(s);
	recall_done(&s->recall);
	map_done(&s->ways);
	uv_close((uv_handle_t *)&s->patience, on_timer_closed);
}

int send_configure(struct send *s, const struct conf *conf)
{
	s->conf = conf;
	way_forget_all(s);
	if (dns_name_from_user(slice_str(conf->hostname), &s->own_name) < 0)
		s->own_name.n = 0;
	return slice_copy(slice_str(conf->hostname), s->hostname, sizeof(s->hostname)) ? 0 : -ENAMETOOLONG;
}

void send_trust(struct send *s, struct tls_client *tls)
{
	s->tls = tls;
}

void send_peer(struct send *s, struct channel *ch)
{
	struct ipc_message m = { .type = IPC_TYPE_job_credit,
				 .job_credit = { .job = 0, .octets = SEND_WINDOW } };

	s->queue = NULL; /* nobody hears what becomes of the old one's */
	drop_all(s);
	s->queue = ch;
	if (ch && !s->draining)
		channel_send(ch, &m, -1);
}

bool send_is_for(const struct ipc_message *m)
{
	return m->type == IPC_TYPE_resolve || m->type == IPC_TYPE_lane_open ||
	       m->type == IPC_TYPE_lane_close || m->type == IPC_TYPE_job || m->type == IPC_TYPE_job_rcpt ||
	       m->type == IPC_TYPE_job_body || m->type == IPC_TYPE_job_end;
}

static const char *on_lane_open(struct send *s, const struct ipc_lane_open *m)
{
	struct ipc_message no = { .type = IPC_TYPE_lane_closed,
				  .lane_closed = { .lane = m->lane,
						   .failed = true,
						   .end = IPC_LANE_LOCAL,
						   .enhanced = SLICE_LIT("4.3.2"),
						   .text = SLICE_LIT("this process is being stopped") } };

	if (!s->draining)
		return lane_open(s, m);
	channel_send(s->queue, &no, -1);
	return NULL;
}

const char *send_message(struct send *s, const struct ipc_message *m, int *fd)
{
	struct lane *l;

	switch (m->type) {
	case IPC_TYPE_resolve:
		return send_ask(s, &m->resolve);
	case IPC_TYPE_lane_open:
		return on_lane_open(s, &m->lane_open);
	case IPC_TYPE_lane_close:
		l = lane_find(s, m->lane_close.lane);
		if (l) /* else it closed by itself, and queue will read that in a moment */
			lane_leave(l);
		return NULL;
	case IPC_TYPE_job:
		return send_job_begin(s, &m->job);
	case IPC_TYPE_job_rcpt:
		return send_job_rcpt(s, &m->job_rcpt);
	case IPC_TYPE_job_body:
		return send_job_body(s, &m->job_body, fd);
	case IPC_TYPE_job_end:
		return send_job_end(s, &m->job_end);
	default:
		return "a message that it may not send";
	}
}

static void drained(struct send *s)
{
	void (*fn)(void *) = s->drained;

	s->drained = NULL;
	uv_timer_stop(&s->patience);
	if (fn)
		fn(s->drained_arg);
}

void send_lane_gone(struct send *s)
{
	if (s->draining && s->n_lanes == 0)
		drained(s);
}

static void on_patience_over(uv_timer_t *t)
{
	drained(t->data);
}

void send_drain(struct send *s, unsigned seconds, void (*fn)(void *arg), void *arg)
{
	struct list *at, *after;

	s->draining = true;
	s->drained = fn;
	s->drained_arg = arg;
	uv_timer_start(&s->patience, on_patience_over, seconds * UINT64_C(1000), 0);
	LIST_EACH (&s->lanes, at, after)
		lane_leave(container_of(at, struct lane, link));
	if (s->n_lanes == 0)
		drained(s);
}

void send_status(const struct send *s, json_t *to)
{
	const struct {
		const char *name;
		uint64_t value;
	} rows[] = { { "open", s->n_lanes },
		     { "jobs", s->n_jobs },
		     { "opened", s->count.opened },
		     { "failed", s->count.failed },
		     { "messages", s->count.messages },
		     { "delivered", s->count.delivered },
		     { "deferred", s->count.deferred },
		     { "refused", s->count.failures },
		     { "in_doubt", s->count.in_doubt },
		     { "octets", s->count.octets },
		     { "tries", s->count.tries },
		     { "fell_back", s->count.fell_back },
		     { "ways", s->n_ways },
		     { "asking", s->n_asks } };
	json_t *lanes = json_object();

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		json_object_set_new(lanes, rows[i].name, json_integer((json_int_t)rows[i].value));
	json_object_set_new(to, "lanes", lanes);
}
