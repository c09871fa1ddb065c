/* lane_open.c - a lane begins: what queue asks for, and where that is. */
#include <stdlib.h>
#include <string.h>

#include "send/private.h"

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
