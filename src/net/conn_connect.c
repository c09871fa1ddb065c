/* A connection that we begin. */
#include <errno.h>
#include <netinet/in.h>
#include <unistd.h>

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

/* The port is found with connect(), which knows where it goes: so one address has 28,000 ports
 * for each server, not for all together. */
static int bind_to(struct conn *c, const struct ip *source)
{
	struct sockaddr_storage sa;
	socklen_t n = ip_to_sockaddr(source, 0, &sa);
	int one = 1, r = 0, fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	if (bind(fd, (const struct sockaddr *)&sa, n) < 0)
		r = -errno;
	if (r == 0)
		r = uv_tcp_open(&c->tcp, fd);
	if (r < 0)
		close(fd);
	return r;
}

static int begin_tcp(struct conn *c, const struct endpoint *to, const struct ip *source)
{
	struct sockaddr_storage sa;
	int r = 0;

	if (source && source->family)
		r = bind_to(c, source);
	if (r < 0)
		return r;
	ip_to_sockaddr(&to->ip, to->port, &sa);
	return uv_tcp_connect(&c->connect_req, &c->tcp, (const struct sockaddr *)&sa, on_connected);
}

int conn_connect_from(const struct conn_setup *setup, const struct endpoint *to, const struct ip *source,
		      struct conn **ret)
{
	struct conn *c;
	int r = conn_new(setup, to->path[0] != '\0', &c);

	if (r < 0)
		return r;
	c->connecting = true;
	c->connect_req.data = c;
	if (to->path[0]) /* What is wrong comes with the callback. */
		uv_pipe_connect(&c->connect_req, &c->pipe, to->path, on_connected);
	else
		r = begin_tcp(c, to, source);
	if (r < 0) {
		c->connecting = false;
		conn_close(c);
		return r;
	}
	*ret = c;
	return 0;
}

int conn_connect(const struct conn_setup *setup, const struct endpoint *to, struct conn **ret)
{
	return conn_connect_from(setup, to, NULL, ret);
}
