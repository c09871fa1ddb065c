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

static const struct conf_source *source_of(const struct send *s, struct slice name)
{
	for (size_t i = 0; i < s->conf->n_sources; i++)
		if (slice_eq(slice_str(s->conf->sources[i].name), name))
			return &s->conf->sources[i];
	return NULL;
}

/* False: its source is not in our configuration.  After a reload queue may be a moment ahead, or behind. */
static bool set_source(struct lane *l, struct slice name)
{
	const struct conf_source *c = source_of(l->send, name);

	for (size_t i = 0; c && i < c->n_addresses && i < 2; i++)
		l->source[l->n_sources++] = c->addresses[i];
	return name.n == 0 || c;
}

static const char *cannot(struct send *s, const struct ipc_lane_open *m, const char *why)
{
	struct ipc_message no = { .type = IPC_TYPE_lane_closed,
				  .lane_closed = { .lane = m->lane,
						   .failed = true,
						   .enhanced = SLICE_LIT("4.3.0"),
						   .text = slice_str(why),
						   .end = IPC_LANE_LOCAL } };

	if (s->queue)
		channel_send(s->queue, &no, -1);
	return NULL;
}

static bool is_sound(const struct send *s, const struct ipc_lane_open *m)
{
	struct endpoint to;

	if (s->n_lanes >= SEND_LANES_MAX || m->lane == 0 || lane_find(s, m->lane) ||
	    (m->protocol != IPC_LANE_LMTP && m->protocol != IPC_LANE_SMTP))
		return false;
	if (m->route.n == 0 && (m->protocol != IPC_LANE_LMTP || !endpoint_parse(m->endpoint, &to)))
		return false;
	return m->key.n == 0 || m->key.n == IPC_SITE_KEY;
}

const char *lane_open(struct send *s, const struct ipc_lane_open *m)
{
	struct lane *l;

	if (!is_sound(s, m))
		return "a lane too many, or twice, or of an unknown kind, or to nowhere";
	l = calloc(1, sizeof(*l));
	if (!l)
		return cannot(s, m, "out of memory");
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
	slice_copy(m->helo, l->helo, sizeof(l->helo));
	if (!set_source(l, m->source)) {
		free(l);
		return cannot(s, m, "its source is not in the configuration");
	}
	l->way = way_of(s, m);
	if (!l->way) {
		free(l);
		return cannot(s, m, "out of memory");
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
