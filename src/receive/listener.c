#include "receive/listener.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/turn.h"
#include "receive/private.h"
#include "receive/session.h"

#define ACCEPTS_A_TURN	    64
#define ACCEPT_PAUSE_MS	    100
#define ACCEPT_LOG_EVERY_MS 10000
#define KNOWN_MAX	    65536
#define KNOWN_AGE	    (UINT64_C(24) * 3600 * 1000)

struct listener_socket {
	struct list link;
	struct listener *l;
	char address[128 + 1];
	uint16_t port;
	int fd;
	uv_poll_t poll;
	uv_timer_t pause;
	unsigned handles; /* that are not closed yet */
};

int listener_new(struct receive *rx, struct slice name, struct listener **ret)
{
	struct listener *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->rx = rx;
	list_init(&l->sockets);
	list_init(&l->sessions);
	if (!slice_copy(name, l->name, sizeof(l->name)) || known_init(&l->known, KNOWN_MAX, KNOWN_AGE) < 0) {
		free(l);
		return -ENOMEM;
	}
	if (ip_count_init(&l->by_ip) < 0) {
		known_done(&l->known);
		free(l);
		return -ENOMEM;
	}
	list_push_back(&rx->listeners, &l->link);
	return *ret = l, 0;
}

void listener_free(struct listener *l)
{
	if (!l)
		return;
	list_remove(&l->link);
	known_done(&l->known);
	ip_count_done(&l->by_ip);
	rules_unref(l->rules);
	free(l);
}

/* Whoever floods us with connections must not flood the log as well. */
static void accept_failed(struct listener *l, int err)
{
	uint64_t now = receive_now_ms(l->rx);

	l->count.accept_errors++;
	if (l->accept_logged_ms && now - l->accept_logged_ms < ACCEPT_LOG_EVERY_MS)
		return;
	l->accept_logged_ms = now;
	LOG(LOG_WARNING, "accept-failed", LOG_STR("listener", l->name), LOG_ERRNO(err),
	    LOG_U("so_far", l->count.accept_errors));
}

void listener_sorry(const struct listener *l, int fd)
{
	char text[512];
	int n = snprintf(text, sizeof(text), "421 %.*s 4.3.2 out of resources, please try again later\r\n",
			 SLICE_ARG(l->rules->engine.hostname));

	if (l->rules->kind != WRONG_PORT_IMPLICIT && n > 0 && (size_t)n < sizeof(text))
		(void)!send(fd, text, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void on_readable(uv_poll_t *poll, int status, int events);

static void on_pause_over(uv_timer_t *t)
{
	struct listener_socket *sock = t->data;

	(void)uv_poll_start(&sock->poll, UV_READABLE, on_readable);
}

/* The next attempt would fail as this one did, and the socket stays readable: without
 * a pause the loop would do nothing else. */
static void pause_accepting(struct listener_socket *sock)
{
	uv_poll_stop(&sock->poll);
	uv_timer_start(&sock->pause, on_pause_over, ACCEPT_PAUSE_MS, 0);
}

/* One descriptor is kept for this: it is lent to the connection that waits first. */
static bool turn_next_away(struct listener_socket *sock)
{
	struct receive *rx = sock->l->rx;
	int fd = -1;

	if (rx->reserve_fd >= 0) {
		close(rx->reserve_fd);
		fd = accept4(sock->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			listener_sorry(sock->l, fd);
			close(fd);
		}
	}
	receive_reserve(rx);
	return fd >= 0;
}

/* False: enough for this turn. */
static bool accept_one(struct listener_socket *sock)
{
	int fd = accept4(sock->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), r;

	if (fd >= 0) {
		r = session_accept(sock->l, fd);
		if (r == -EUSERS || r == -ENOTCONN)
			r = 0; /* over the limits and more: counted there; or gone already */
		else if (r < 0)
			accept_failed(sock->l, r);
		return true;
	}
	switch (errno) {
	case EAGAIN:
		return false;
	case EMFILE:
	case ENFILE:
		accept_failed(sock->l, -errno);
		if (turn_next_away(sock))
			return true;
		break;
	case ENOMEM:
	case ENOBUFS:
	case EBADF:
	case EINVAL:
	case ENOTSOCK:
		accept_failed(sock->l, -errno);
		break;
	default: /* accept(2): an error of that connection, or a signal */
		return true;
	}
	pause_accepting(sock);
	return false;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct listener_socket *sock = poll->data;
	const char *before;

	(void)events;
	/* A reload took the listener away; main closes its socket presently. */
	if (!sock->l->rules)
		return;
	if (status < 0) {
		accept_failed(sock->l, status);
		pause_accepting(sock);
		return;
	}
	before = turn_doing("new connections");
	for (int i = 0; i < ACCEPTS_A_TURN; i++)
		if (!accept_one(sock))
			break;
	turn_doing(before);
}

static void on_handle_closed(uv_handle_t *h)
{
	struct listener_socket *sock = h->data;

	if (--sock->handles == 0)
		free(sock);
}

static void socket_close(struct listener_socket *sock)
{
	list_remove(&sock->link);
	uv_close((uv_handle_t *)&sock->poll, on_handle_closed);
	uv_close((uv_handle_t *)&sock->pause, on_handle_closed);
	close(sock->fd); /* not before the loop has let go of it: main has another one */
}

int listener_add(struct listener *l, int fd, struct slice address, uint16_t port)
{
	struct listener_socket *sock = calloc(1, sizeof(*sock));
	int r;

	if (!sock) {
		close(fd);
		return -ENOMEM;
	}
	sock->l = l;
	sock->port = port;
	sock->fd = fd;
	list_init(&sock->link);
	if (!slice_copy(address, sock->address, sizeof(sock->address)))
		sock->address[0] = 0;
	r = uv_poll_init(l->rx->loop, &sock->poll, fd);
	if (r < 0) {
		close(fd);
		free(sock);
		return r;
	}
	uv_timer_init(l->rx->loop, &sock->pause);
	sock->handles = 2;
	sock->poll.data = sock->pause.data = sock;
	list_push_back(&l->sockets, &sock->link);
	r = uv_poll_start(&sock->poll, UV_READABLE, on_readable);
	if (r < 0)
		socket_close(sock);
	return r;
}

bool listener_remove(struct listener *l, struct slice address, uint16_t port)
{
	struct list *at, *after;

	LIST_EACH (&l->sockets, at, after) {
		struct listener_socket *sock = container_of(at, struct listener_socket, link);

		if (sock->port == port && slice_eq(slice_str(sock->address), address)) {
			socket_close(sock);
			return true;
		}
	}
	return false;
}

void listener_remove_all(struct listener *l)
{
	struct list *at, *after;

	LIST_EACH (&l->sockets, at, after)
		socket_close(container_of(at, struct listener_socket, link));
}

json_t *listener_json(const struct listener *l)
{
	json_t *o = counters_json(&l->count);

	if (!o)
		return NULL;
	json_object_set_new(o, "name", json_string(l->name));
	json_object_set_new(o, "port", json_integer(l->rules ? l->rules->port : 0));
	json_object_set_new(o, "sessions", json_integer((json_int_t)l->n_sessions));
	json_object_set_new(o, "known_addresses", json_integer((json_int_t)l->known.map.n));
	return o;
}
