/* A connection, watched. */
#include "check/knock.h"

#include <errno.h>
#include <ifaddrs.h>
#include <linux/errqueue.h>
#include <linux/icmp.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Who is asked once more: a rule of this machine answers within its own connect().  Where the kernel leaves
 * that to a thread of its own, soon after. */
#define AT_ONCE_MS 50
/* The kernel sends a SYN again after a second (RFC 6298 2); then, how often the count is looked at. */
#define AGAIN_MS 1050
#define LOOK_MS	 100
#define DEAF_MS	 2500
#define MIN_TTL	 255 /* what comes from further away than the next host, or from here, has less */

struct knock {
	uv_poll_t poll;
	uv_timer_t timer;
	unsigned handles;
	int fd;
	struct probe_port *port;
	uint64_t began_ns;
	bool over;    /* done was called, or it is cancelled */
	bool at_once; /* it was answered before connect() was back, however late that was seen */
	bool deaf;    /* the second knock */
	uint64_t timeout_ms;
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

/* "There is no such host": what this machine tells itself where nobody answers ARP or neighbour discovery. */
static bool is_no_host(const struct sock_extended_err *e)
{
	return e->ee_origin == SO_EE_ORIGIN_ICMP
		       ? e->ee_type == ICMP_DEST_UNREACH && e->ee_code == ICMP_HOST_UNREACH
		       : e->ee_type == 1 && e->ee_code == 3;
}

/* What the error queue says.  True if there was an ICMP message of somebody's. */
static bool read_icmp(struct knock *k, bool *ret_prohibited, bool *ret_no_host)
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
		*ret_no_host = is_no_host(e);
		return k->port->icmp_from.family != 0;
	}
	return false;
}

/* Did what was sent leave?  It is known once it was sent again.  That a packet failed to go is no rule's
 * doing while it still waits here (for ARP, say): then the socket is charged for it. */
static enum probe_sent was_sent(int fd)
{
	struct tcp_info info = { 0 };
	uint32_t memory[SK_MEMINFO_VARS] = { 0 };
	socklen_t n = sizeof(info), m = sizeof(memory);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n) < 0 || info.tcpi_state != TCP_SYN_SENT ||
	    info.tcpi_retransmits == 0)
		return PROBE_SENT_UNKNOWN;
	if (info.tcpi_retrans > 0)
		return PROBE_SENT;
	if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &m) < 0 || memory[SK_MEMINFO_WMEM_ALLOC] > 0)
		return PROBE_SENT_UNKNOWN;
	return PROBE_SENT_HELD;
}

static void judge_sent(struct probe_port *p, enum probe_sent sent)
{
	p->sent = sent;
	if (sent != PROBE_SENT_HELD)
		return;
	p->local = true;
	snprintf(p->local_why, sizeof(p->local_why),
		 "the system throws away what is to be sent there, so it never reaches the network");
}

/* What connect() itself said, before anything was sent. */
static void judge_at_once(struct probe_port *p, int error)
{
	switch (error) {
	case ENETUNREACH:
	case EHOSTUNREACH:
	case ENETDOWN:
	case EADDRNOTAVAIL:
	case EAFNOSUPPORT:
		p->reach = PROBE_UNREACHABLE;
		p->no_route = true;
		break;
	case EPERM:
	case EACCES:
	case EINVAL: /* a route of type "blackhole" */
		p->reach = error == EINVAL ? PROBE_UNREACHABLE : PROBE_PROHIBITED;
		p->sent = PROBE_SENT_HELD;
		p->local = true;
		snprintf(p->local_why, sizeof(p->local_why), "the system refuses it (%s)", strerror(error));
		break;
	default:
		p->reach = PROBE_FAILED;
	}
	p->error = -error;
}

static void judge_error(struct knock *k, int error)
{
	struct probe_port *p = k->port;
	bool prohibited = false, no_host = false, icmp = read_icmp(k, &prohibited, &no_host);
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
	default:
		p->reach = PROBE_FAILED;
	}
	if (!icmp)
		return;
	if (prohibited || error == EACCES)
		p->reach = PROBE_PROHIBITED;
	/* Of the host itself to itself that is nothing odd. */
	if (!is_own(&p->icmp_from) || is_own(&p->ip))
		return;
	if (no_host) {
		p->no_neighbour = true;
	} else {
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

static void finish(struct knock *k, int fd)
{
	k->over = true;
	uv_timer_stop(&k->timer);
	uv_close((uv_handle_t *)&k->poll, on_closed);
	uv_close((uv_handle_t *)&k->timer, on_closed);
	k->done(k->arg, fd);
}

static int open_socket(const struct probe_port *p, bool deaf)
{
	struct sockaddr_storage sa;
	socklen_t n = ip_to_sockaddr(&p->ip, p->port, &sa);
	int one = 1, ttl = MIN_TTL, fd, error;
	int level = p->ip.family == 4 ? IPPROTO_IP : IPPROTO_IPV6;

	fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, level, level == IPPROTO_IP ? IP_RECVERR : IPV6_RECVERR, &one, sizeof(one));
	if (deaf &&
	    setsockopt(fd, level, level == IPPROTO_IP ? IP_MINTTL : IPV6_MINHOPCOUNT, &ttl, sizeof(ttl)) < 0)
		goto failed;
	if (connect(fd, (const struct sockaddr *)&sa, n) == 0 || errno == EINPROGRESS)
		return fd;
failed:
	error = errno;
	close(fd);
	return -error;
}

/* ---- the second knock ---- */

static void on_again(uv_timer_t *h)
{
	struct knock *k = h->data;
	enum probe_sent sent = was_sent(k->fd);

	if (sent == PROBE_SENT_UNKNOWN && uv_hrtime() - k->began_ns < DEAF_MS * 1000000ULL)
		return;
	close(k->fd);
	judge_sent(k->port, sent);
	finish(k, -1);
}

/* A reset at once, of another machine's address: who made it?  False: that cannot be found out. */
static bool ask_again(struct knock *k)
{
	const struct probe_port *p = k->port;

	if (p->reach != PROBE_REFUSED || p->icmp_from.family ||
	    (!k->at_once && p->connect_ms >= AT_ONCE_MS) || k->timeout_ms <= AGAIN_MS || is_own(&p->ip))
		return false;
	k->fd = open_socket(p, true);
	if (k->fd < 0)
		return false;
	k->deaf = true;
	k->began_ns = uv_hrtime();
	uv_timer_start(&k->timer, on_again, AGAIN_MS, LOOK_MS);
	return true;
}

/* ---- the first ---- */

static void end(struct knock *k, int error)
{
	if (k->over)
		return;
	k->port->connect_ms = (uint32_t)((uv_hrtime() - k->began_ns) / 1000000);
	uv_timer_stop(&k->timer);
	uv_poll_stop(&k->poll);
	if (!error) {
		k->port->reach = PROBE_OPEN;
		finish(k, k->fd);
		return;
	}
	judge_error(k, error);
	if (error == ETIMEDOUT && !k->port->local)
		judge_sent(k->port, was_sent(k->fd));
	close(k->fd);
	if (!ask_again(k))
		finish(k, -1);
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
	k->timeout_ms = timeout_ms;
	k->began_ns = uv_hrtime();
	k->fd = open_socket(port, false);
	if (k->fd < 0) {
		r = k->fd;
		judge_at_once(port, -r);
		free(k);
		return r;
	}
	k->at_once = poll(&(struct pollfd){ .fd = k->fd, .events = POLLOUT }, 1, 0) > 0;
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
	if (!k->deaf)
		uv_poll_stop(&k->poll);
	close(k->fd);
	uv_close((uv_handle_t *)&k->poll, on_closed);
	uv_close((uv_handle_t *)&k->timer, on_closed);
}
