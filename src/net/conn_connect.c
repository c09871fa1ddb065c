/* A connection that we begin. */
#include <errno.h>

#include "net/conn_private.h"

static void on_connected(uv_connect_t *req, int status)
{
	struct conn *c = req->data;

	if (c->closed)
		return;
	c->connecting = false;
	if (status == 0) {
		c->tell_connected = true;
		conn_learn_addresses(c);
	} else {
		c->broken = true;
		c->connect_status = status;
		conn_fail(c, uv_strerror(status));
	}
	conn_run(c);
}

int conn_connect_status(const struct conn *c)
{
	return c->connect_status;
}

int conn_connect(const struct conn_setup *setup, const struct endpoint *to, struct conn **ret)
{
	struct sockaddr_storage sa;
	struct conn *c;
	int r = conn_new(setup, to->path[0] != '\0', &c);

	if (r < 0)
		return r;
	c->connecting = true;
	c->connect_req.data = c;
	if (to->path[0]) {
		/* What is wrong comes with the callback. */
		uv_pipe_connect(&c->connect_req, &c->pipe, to->path, on_connected);
	} else {
		ip_to_sockaddr(&to->ip, to->port, &sa);
		r = uv_tcp_connect(&c->connect_req, &c->tcp, (const struct sockaddr *)&sa, on_connected);
	}
	if (r < 0) {
		c->connecting = false;
		conn_close(c);
		return r;
	}
	*ret = c;
	return 0;
}
