/* Queue asks where a destination is: the site that it belongs to, or why there is none. */
#include <stdlib.h>

#include "send/private.h"

struct ask {
	struct list link;
	struct send *send;
	struct way *way;
	struct way_waiter waiter;
	uint64_t req;
};

static void ask_free(struct ask *a)
{
	list_remove(&a->waiter.link);
	list_remove(&a->link);
	a->send->n_asks--;
	way_put(a->way);
	free(a);
}

void send_asks_drop(struct send *s)
{
	while (!list_empty(&s->asks))
		ask_free(container_of(s->asks.next, struct ask, link));
}

static void answer(struct send *s, uint64_t req, const struct way *w)
{
	static const uint8_t whats[] = { [WAY_OK] = IPC_RESOLVED_OK,
					 [WAY_PERMANENT] = IPC_RESOLVED_PERMANENT,
					 [WAY_TEMPORARY] = IPC_RESOLVED_TEMPORARY };
	struct ipc_message m = { .type = IPC_TYPE_resolved,
				 .resolved = { .req = req,
					       .what = IPC_RESOLVED_TEMPORARY,
					       .enhanced = SLICE_LIT("4.3.0"),
					       .text = SLICE_LIT("out of memory") } };

	if (w) {
		m.resolved.what = whats[w->state];
		m.resolved.site = slice_str(w->site);
		m.resolved.ttl_s = w->ttl_s;
		m.resolved.enhanced = slice_str(w->enhanced);
		m.resolved.text = slice_str(w->text);
	}
	if (w && w->state == WAY_OK)
		m.resolved.key = slice_of(w->key, sizeof(w->key));
	if (s->queue)
		channel_send(s->queue, &m, -1);
}

static void on_way(void *arg, struct way *w)
{
	struct ask *a = arg;

	answer(a->send, a->req, w);
	ask_free(a);
}

const char *send_ask(struct send *s, const struct ipc_resolve *m)
{
	struct way *w;
	struct ask *a;

	if (s->n_asks >= SEND_ASKS_MAX)
		return "questions without end";
	w = way_get(s, m->route, m->domain, m->relax);
	if (!w || w->state != WAY_ASKING) {
		answer(s, m->req, w);
		way_put(w);
		return NULL;
	}
	a = calloc(1, sizeof(*a));
	if (!a) {
		answer(s, m->req, NULL);
		way_put(w);
		return NULL;
	}
	a->send = s;
	a->way = w;
	a->req = m->req;
	a->waiter = (struct way_waiter){ .done = on_way, .arg = a };
	list_push_back(&s->asks, &a->link);
	s->n_asks++;
	way_wait(w, &a->waiter);
	return NULL;
}
