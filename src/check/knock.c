/* A connection, watched. */
#include "check/knock.h"

#include <errno.h>
#include <ifaddrs.h>
#include <linux/errqueue.h>
#include <linux/icmp.h>
#include <netinet/in.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct knock {
	uv_poll_t poll;
	uv_timer_t timer;
	unsigned handles;
	int fd;
	struct probe_port *port;
	uint64_t began_ns;
	bool over; /* done was called, or it is cancelled */
	knock_done *done;
	void *arg;
};

/* ---- who said no ---- */

static bool is_own(const struct ip *ip)
{
	struct ifaddrs *all, *i;
	bool own = ip_is_loopback(ip);

	if (own || getifaddrs(&all) < 0)
		return own;
	for (i = all; i && !own; i = i->ifa_next) {
		struct ip one;

		own = i->ifa_addr && ip_from_sockaddr(i->ifa_addr, &one) && ip_eq(&one, ip);
	}
	freeifaddrs(all);
	return own;
}

/* ICMP's "administratively prohibited", in both families.  RFC 1812 5.2.7.1, RFC 4443 3.1 */
static bool is_prohibited(const struct sock_extended_err *e)
{
	if (e->ee_origin == SO_EE_ORIGIN_ICMP)
		return e->ee_type == ICMP_DEST_UNREACH &&
		       (e->ee_code == ICMP_NET_ANO || e->ee_code == ICMP_HOST_ANO ||
			e->ee_code == ICMP_PKT_FILTERED);
	return e->ee_type == 1 && (e->ee_code == 1 || e->ee_code == 5);
}

/* What the error queue says.  True if there was an ICMP message of somebody's. */
static bool read_icmp(struct knock *k, bool *ret_prohibited)
{
	unsigned char control[512];
	struct msghdr m = { .msg_control = control, .msg_controllen = sizeof(control) };
	struct cmsghdr *c;

	if (recvmsg(k->fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
		return false;
	for (c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		const struct sock_extended_err *e = (const void *)CMSG_DATA(c);

		if (!(c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) &&
		    !(c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR))
			continue;
		if (e->ee_origin != SO_EE_ORIGIN_ICMP && e->ee_origin != SO_EE_ORIGIN_ICMP6)
			continue;
		(void)ip_from_sockaddr(SO_EE_OFFENDER(e), &k->port->icmp_from);
		*ret_prohibited = is_prohibited(e);
		return k->port->icmp_from.family != 0;
	}
	return false;
}

static void judge_error(struct knock *k, int error)
{
	struct probe_port *p = k->port;
	bool prohibited = false, icmp = k->fd >= 0 && read_icmp(k, &prohibited);
	char from[IP_TEXT_MAX];

	p->error = -error;
	switch (error) {
	case ECONNREFUSED:
		p->reach = PROBE_REFUSED;
		break;
	case ETIMEDOUT:
		p->reach = PROBE_SILENT;
		break;
	case ENETUNREACH:
	case EHOSTUNREACH:
	case EHOSTDOWN:
	case ENETDOWN:
	case EACCES:
		p->reach = PROBE_UNREACHABLE;
		break;
	case EPERM:
		p->reach = PROBE_PROHIBITED;
		p->local = true;
		snprintf(p->local_why, sizeof(p->local_why), "the system refuses it (%s)", strerror(error));
		break;
	default:
		p->reach = PROBE_FAILED;
	}
	if (!icmp)
		return;
	if (prohibited || error == EACCES)
		p->reach = PROBE_PROHIBITED;
	/* Of the host itself to itself that is nothing odd. */
	if (is_own(&p->icmp_from) && !is_own(&p->ip)) {
		p->local = true;
		snprintf(p->local_why, sizeof(p->local_why), "the ICMP message came from its own address %s",
			 ip_format(&p->icmp_from, from));
	}
}

/* ---- one connection ---- */

static void on_closed(uv_handle_t *h)
{
	struct knock *k = h->data;

	if (--k->handles == 0)
		free(k);
}

static void end(struct knock *k, int error)
{
	int fd = k->fd;

	if (k->over)
		return;
	k->over = true;
	k->port->connect_ms = (uint32_t)((uv_hrtime() - k->began_ns) / 1000000);
	uv_timer_stop(&k->timer);
	uv_poll_stop(&k->poll);
	if (error) {
		judge_error(k, error);
		close(fd);
		fd = -1;
	} else {
		k->port->reach = PROBE_OPEN;
	}
	uv_close((uv_handle_t *)&k->poll, on_closed);
	uv_close((uv_handle_t *)&k->timer, on_closed);
	k->done(k->arg, fd);
}

static void on_poll(uv_poll_t *h, int status, int events)
{
	struct knock *k = h->data;
	int error = 0;
	socklen_t n = sizeof(error);

	(void)events;
	if (getsockopt(k->fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0)
		error = errno;
	end(k, error ? error : status < 0 ? -status : 0);
}

static void on_timeout(uv_timer_t *h)
{
	end(h->data, ETIMEDOUT);
}

static int open_socket(const struct probe_port *p)
{
	struct sockaddr_storage sa;
	socklen_t n = ip_to_sockaddr(&p->ip, p->port, &sa);
	int one = 1, fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), error;

	if (fd < 0)
		return -errno;
	if (p->ip.family == 4)
		(void)setsockopt(fd, IPPROTO_IP, IP_RECVERR, &one, sizeof(one));
	else
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &one, sizeof(one));
	if (connect(fd, (const struct sockaddr *)&sa, n) == 0 || errno == EINPROGRESS)
		return fd;
	error = errno;
	close(fd);
	return -error;
}

int knock_begin(uv_loop_t *loop, struct probe_port *port, unsigned timeout_ms, knock_done *done, void *arg,
		struct knock **ret)
{
	struct knock *k = calloc(1, sizeof(*k));
	int r;

	if (!k)
		return -ENOMEM;
	k->port = port;
	k->done = done;
	k->arg = arg;
	k->began_ns = uv_hrtime();
	k->fd = open_socket(port);
	if (k->fd < 0) {
		r = k->fd;
		judge_error(k, -r);
		free(k);
		return r;
	}
	r = uv_poll_init(loop, &k->poll, k->fd);
	if (r < 0) {
		close(k->fd);
		free(k);
		return r;
	}
	uv_timer_init(loop, &k->timer);
	k->poll.data = k->timer.data = k;
	k->handles = 2;
	uv_poll_start(&k->poll, UV_WRITABLE, on_poll);
	uv_timer_start(&k->timer, on_timeout, timeout_ms, 0);
	*ret = k;
	return 0;
}

void knock_cancel(struct knock *k)
{
	if (!k || k->over)
		return;
	k->over = true;
	close(k->fd);
	uv_close((uv_handle_t *)&k->poll, on_closed);
	uv_close((uv_handle_t *)&k->timer, on_closed);
}
