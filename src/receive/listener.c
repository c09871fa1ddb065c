#include "receive/listener.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "receive/private.h"
#include "receive/session.h"

#define BACKLOG		    1024
#define ACCEPT_LOG_EVERY_MS 10000
#define KNOWN_MAX	    65536
#define KNOWN_AGE	    (UINT64_C(24) * 3600 * 1000)

struct listener_socket {
	struct list link;
	struct listener *l;
	char address[128 + 1];
	uint16_t port;
	union {
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	};
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

static void on_connection(uv_stream_t *stream, int status)
{
	struct listener_socket *sock = stream->data;
	int r = status;

	/* A reload took the listener away; main closes its socket presently. */
	if (!sock->l->rules)
		return;
	if (r == 0)
		r = session_accept(sock->l, stream);
	if (r < 0)
		accept_failed(sock->l, r);
}

static int open_stream(struct receive *rx, struct listener_socket *sock, int fd)
{
	struct sockaddr_storage sa = { 0 };
	socklen_t n = sizeof(sa);
	int r;

	if (getsockname(fd, (struct sockaddr *)&sa, &n) < 0)
		return -errno;
	if (sa.ss_family == AF_UNIX) {
		r = uv_pipe_init(rx->loop, &sock->pipe, 0);
		return r < 0 ? r : uv_pipe_open(&sock->pipe, fd);
	}
	r = uv_tcp_init(rx->loop, &sock->tcp);
	return r < 0 ? r : uv_tcp_open(&sock->tcp, fd);
}

static void on_socket_closed(uv_handle_t *h)
{
	free(h->data);
}

static void socket_close(struct listener_socket *sock)
{
	list_remove(&sock->link);
	sock->stream.data = sock;
	uv_close((uv_handle_t *)&sock->stream, on_socket_closed);
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
	list_init(&sock->link);
	if (!slice_copy(address, sock->address, sizeof(sock->address)))
		sock->address[0] = 0;
	r = open_stream(l->rx, sock, fd);
	if (r < 0) {
		close(fd);
		if (sock->stream.type == UV_UNKNOWN_HANDLE)
			free(sock);
		else
			socket_close(sock);
		return r;
	}
	sock->stream.data = sock;
	list_push_back(&l->sockets, &sock->link);
	r = uv_listen(&sock->stream, BACKLOG, on_connection);
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
