#include "resolve/event.h"

/* Handles close in the loop's own time, so each has memory of its own: the event may be freed
 * before, also from within its callback. */
struct watch {
	union {
		uv_handle_t any;
		uv_poll_t poll;
		uv_timer_t timer;
	};
};

struct event {
	struct ub_event face;
	struct event_base *base;
	int fd; /* -1: only a time limit */
	short bits;
	void (*cb)(int fd, short bits, void *arg);
	void *arg;
	struct timeval limit; /* of a persistent event: begins anew each time */
	bool limited;
	struct watch *poll, *timer; /* NULL: not active */
};

static struct event *event_of(struct ub_event *face)
{
	return (struct event *)(void *)face;
}

static struct event_base *base_of(struct ub_event_base *face)
{
	return (struct event_base *)(void *)face;
}

static void on_closed(uv_handle_t *h)
{
	free(h->data);
}

/* Inactive from now on; the descriptor may be closed. */
static void unwatch(struct watch **w)
{
	if (!*w)
		return;
	(*w)->any.data = *w;
	uv_close(&(*w)->any, on_closed);
	*w = NULL;
}

static void stop(struct event *e)
{
	unwatch(&e->poll);
	unwatch(&e->timer);
}

static int start_timer(struct event *e);

/* It fires: whatever the callback does with the event, it must find it at rest. */
static void fire(struct event *e, short bits)
{
	if (!(e->bits & UB_EV_PERSIST))
		stop(e);
	else if (e->limited)
		start_timer(e); /* no memory is wanted for it: it is there */
	e->cb(e->fd, bits, e->arg);
}

static void on_poll(uv_poll_t *p, int status, int events)
{
	struct event *e = p->data;
	short bits = 0;

	/* What is wrong with the descriptor is found out by using it. */
	if (status < 0)
		bits = e->bits & (UB_EV_READ | UB_EV_WRITE);
	if (events & UV_READABLE)
		bits |= UB_EV_READ;
	if (events & UV_WRITABLE)
		bits |= UB_EV_WRITE;
	if (status < 0)
		uv_poll_stop(p);
	fire(e, bits);
}

static void on_timer(uv_timer_t *t)
{
	fire(t->data, UB_EV_TIMEOUT);
}

static int start_timer(struct event *e)
{
	uint64_t ms = (uint64_t)e->limit.tv_sec * 1000 + ((uint64_t)e->limit.tv_usec + 999) / 1000;

	if (!e->timer) {
		e->timer = calloc(1, sizeof(*e->timer));
		if (!e->timer)
			return -1;
		uv_timer_init(e->base->loop, &e->timer->timer); /* never fails */
	}
	e->timer->timer.data = e;
	return uv_timer_start(&e->timer->timer, on_timer, ms, 0) < 0 ? -1 : 0;
}

static int start_poll(struct event *e)
{
	int events = (e->bits & UB_EV_READ ? UV_READABLE : 0) | (e->bits & UB_EV_WRITE ? UV_WRITABLE : 0);

	unwatch(&e->poll);
	e->poll = calloc(1, sizeof(*e->poll));
	if (!e->poll)
		return -1;
	if (uv_poll_init(e->base->loop, &e->poll->poll, e->fd) < 0) {
		free(e->poll);
		e->poll = NULL;
		return -1;
	}
	e->poll->poll.data = e;
	return uv_poll_start(&e->poll->poll, events, on_poll) < 0 ? -1 : 0;
}

/* ---- what libunbound calls ---- */

static void event_add_bits(struct ub_event *face, short bits)
{
	event_of(face)->bits |= bits;
}

static void event_del_bits(struct ub_event *face, short bits)
{
	event_of(face)->bits &= (short)~bits;
}

static void event_set_fd(struct ub_event *face, int fd)
{
	stop(event_of(face));
	event_of(face)->fd = fd;
}

static void event_free(struct ub_event *face)
{
	struct event *e = event_of(face);

	stop(e);
	free(e);
}

static int event_add(struct ub_event *face, struct timeval *limit)
{
	struct event *e = event_of(face);
	int r = 0;

	e->limited = limit != NULL;
	unwatch(&e->timer);
	if (limit) {
		e->limit = *limit;
		r = start_timer(e);
	}
	if (r == 0 && e->fd >= 0 && (e->bits & (UB_EV_READ | UB_EV_WRITE)))
		r = start_poll(e);
	if (r < 0)
		stop(e);
	return r;
}

static int event_del(struct ub_event *face)
{
	stop(event_of(face));
	return 0;
}

static int event_add_timer(struct ub_event *face, struct ub_event_base *base, void (*cb)(int, short, void *),
			   void *arg, struct timeval *limit)
{
	struct event *e = event_of(face);

	stop(e);
	e->base = base_of(base);
	e->fd = -1;
	e->bits = UB_EV_TIMEOUT;
	e->cb = cb;
	e->arg = arg;
	return event_add(face, limit);
}

/* Signals and Windows: libunbound has no use for them here, but wants them to be there. */
static int event_no_signal(struct ub_event *face, struct timeval *limit)
{
	(void)face;
	(void)limit;
	return -1;
}

static void event_nothing(struct ub_event *face)
{
	(void)face;
}

static void event_nothing_bits(struct ub_event *face, int bits)
{
	(void)face;
	(void)bits;
}

static struct ub_event_vmt event_calls = {
	.add_bits = event_add_bits,
	.del_bits = event_del_bits,
	.set_fd = event_set_fd,
	.free = event_free,
	.add = event_add,
	.del = event_del,
	.add_timer = event_add_timer,
	.del_timer = event_del,
	.add_signal = event_no_signal,
	.del_signal = event_del,
	.winsock_unregister_wsaevent = event_nothing,
	.winsock_tcp_wouldblock = event_nothing_bits,
};

static struct ub_event *base_new_event(struct ub_event_base *face, int fd, short bits,
				       void (*cb)(int, short, void *), void *arg)
{
	struct event *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->face.magic = UB_EVENT_MAGIC;
	e->face.vmt = &event_calls;
	e->base = base_of(face);
	e->fd = fd;
	e->bits = bits;
	e->cb = cb;
	e->arg = arg;
	return &e->face;
}

static struct ub_event *base_new_signal(struct ub_event_base *face, int fd, void (*cb)(int, short, void *),
					void *arg)
{
	(void)face;
	(void)fd;
	(void)cb;
	(void)arg;
	return NULL;
}

static struct ub_event *base_new_wsaevent(struct ub_event_base *face, void *wsaevent,
					  void (*cb)(int, short, void *), void *arg)
{
	(void)wsaevent;
	return base_new_signal(face, -1, cb, arg);
}

static void base_nothing(struct ub_event_base *face)
{
	(void)face;
}

static int base_no_dispatch(struct ub_event_base *face)
{
	(void)face;
	return -1;
}

static int base_no_exit(struct ub_event_base *face, struct timeval *when)
{
	(void)face;
	(void)when;
	return -1;
}

static struct ub_event_base_vmt base_calls = {
	.free = base_nothing,
	.dispatch = base_no_dispatch,
	.loopexit = base_no_exit,
	.new_event = base_new_event,
	.new_signal = base_new_signal,
	.winsock_register_wsaevent = base_new_wsaevent,
};

void event_base_init(struct event_base *b, uv_loop_t *loop)
{
	b->face.magic = UB_EVENT_MAGIC;
	b->face.vmt = &base_calls;
	b->loop = loop;
}
