#include "ipc/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/list.h"

/* A packet of IPC_PACKET_MAX must fit, and a few of them should be under way.
 * The kernel doubles the value and cuts it to net.core.wmem_max, whose usual
 * value is this one. */
#define SOCKET_BUFFER	 212992
#define FDS_MAX		 8   /* a broken peer may send more than the one we take */
#define MESSAGES_A_TURN	 256 /* so that one busy channel does not starve the loop */
#define PACKETS_A_TURN	 32
#define GATHER_KEPT	 16384 /* octets of memory that the gathering buffer may keep */
#define PACKET_OVERHEAD	 128
#define LATER_MS	 10
#define FLUSH_TIMEOUT_MS 5000

struct packet {
	struct list link;
	int fd; /* ours; -1: none */
	unsigned messages;
	size_t n;
	unsigned char bytes[];
};

struct channel {
	uv_poll_t poll;
	uv_prepare_t turn; /* runs before the loop sleeps, while something is gathered */
	uv_timer_t later;  /* while all that is gathered may wait */
	int open_handles;
	int fd;
	int events; /* that poll waits for */
	const struct channel_handlers *handlers;
	void *arg;
	struct buf gathered; /* what was sent in this turn */
	unsigned n_gathered; /* messages in it */
	bool wipe;	     /* a secret is among it */
	struct list waiting;
	size_t max_waiting;
	const char *dead; /* why nothing more is sent or received; NULL: alive */
	bool unheard;	  /* the peer closed its end; what it sent before can still be read */
	bool told;	  /* closed() was called */
	bool freed;
	struct channel_counters count;
	unsigned char packet[IPC_PACKET_MAX];
};

const char channel_eof[] = "the peer is gone";

/* Messages whose packets are overwritten after use. */
static bool carries_secret(unsigned type)
{
	switch (type) {
	case IPC_TYPE_ticket_secret:
	case IPC_TYPE_request:
	case IPC_TYPE_response: /* a new API key is shown once */
	case IPC_TYPE_auth_start:
	case IPC_TYPE_auth_step:
	case IPC_TYPE_auth_challenge:
	case IPC_TYPE_exposed:
	case IPC_TYPE_credential:
		return true;
	default:
		return false;
	}
}

int channel_pair(int ret_fd[2])
{
	const int size = SOCKET_BUFFER;
	int fd[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd) < 0)
		return -errno;
	for (int i = 0; i < 2; i++)
		if (setsockopt(fd[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) < 0) {
			int r = -errno;

			close(fd[0]);
			close(fd[1]);
			return r;
		}
	ret_fd[0] = fd[0];
	ret_fd[1] = fd[1];
	return 0;
}

static void packet_free(struct packet *p)
{
	list_remove(&p->link);
	if (p->fd >= 0)
		close(p->fd);
	explicit_bzero(p->bytes, p->n);
	free(p);
}

/* Nothing goes over it any more.  shutdown() makes the socket readable, so the
 * owner hears of it from the loop, wherever we are now. */
static void die(struct channel *ch, const char *why)
{
	if (ch->dead)
		return;
	ch->dead = why;
	shutdown(ch->fd, SHUT_RDWR);
}

static void wait_for(struct channel *ch, int events);

/* Sending failed.  The end of file comes by reading, after what the peer said last. */
static void unhear(struct channel *ch)
{
	ch->unheard = true;
	while (!list_empty(&ch->waiting))
		packet_free(container_of(ch->waiting.next, struct packet, link));
	ch->count.waiting = 0;
	wait_for(ch, UV_READABLE);
}

static void tell_closed(struct channel *ch)
{
	if (ch->told || ch->freed)
		return;
	ch->told = true;
	uv_poll_stop(&ch->poll);
	ch->handlers->closed(ch->arg, ch, ch->dead);
}

/* 0, -EAGAIN, or another negative errno: the peer is gone. */
static int send_packet(int socket, struct slice bytes, int fd)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { (void *)(uintptr_t)bytes.p, bytes.n };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (fd >= 0) {
		struct cmsghdr *c;

		msg.msg_control = control.room;
		msg.msg_controllen = sizeof(control.room);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	do
		n = sendmsg(socket, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

static void on_poll(uv_poll_t *poll, int status, int events);

static void wait_for(struct channel *ch, int events)
{
	if (ch->freed || ch->told || ch->events == events)
		return;
	ch->events = events;
	if (uv_poll_start(&ch->poll, events, on_poll) < 0)
		die(ch, "poll failed");
}

static void send_waiting(struct channel *ch)
{
	for (int i = 0; i < PACKETS_A_TURN && !list_empty(&ch->waiting); i++) {
		struct packet *p = container_of(ch->waiting.next, struct packet, link);
		int r = send_packet(ch->fd, slice_of(p->bytes, p->n), p->fd);

		if (r == -EAGAIN || r == -EWOULDBLOCK)
			return;
		if (r < 0) {
			unhear(ch);
			return;
		}
		ch->count.waiting -= p->n + PACKET_OVERHEAD;
		ch->count.sent += p->messages;
		packet_free(p);
	}
	if (list_empty(&ch->waiting))
		wait_for(ch, UV_READABLE);
}

static int keep_packet(struct channel *ch, struct slice bytes, unsigned messages, int fd)
{
	size_t cost = bytes.n + PACKET_OVERHEAD;
	struct packet *p;

	if (cost + ch->count.waiting > ch->max_waiting) {
		die(ch, "stalled: too much waits to be sent");
		return -EPIPE;
	}
	p = malloc(sizeof(*p) + bytes.n);
	if (!p) {
		die(ch, "out of memory");
		return -EPIPE;
	}
	p->fd = -1;
	if (fd >= 0) {
		p->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		if (p->fd < 0) {
			free(p);
			die(ch, "out of descriptors");
			return -EPIPE;
		}
	}
	p->messages = messages;
	p->n = bytes.n;
	memcpy(p->bytes, bytes.p, bytes.n);
	list_push_back(&ch->waiting, &p->link);
	ch->count.waiting += cost;
	if (ch->count.waiting > ch->count.waited_max)
		ch->count.waited_max = ch->count.waiting;
	wait_for(ch, UV_READABLE | UV_WRITABLE);
	return 0;
}

static int send_bytes(struct channel *ch, struct slice bytes, unsigned messages, int fd)
{
	int r;

	/* Order: nothing may overtake what waits. */
	if (!list_empty(&ch->waiting))
		return keep_packet(ch, bytes, messages, fd);
	r = send_packet(ch->fd, bytes, fd);
	if (r == -EAGAIN || r == -EWOULDBLOCK)
		return keep_packet(ch, bytes, messages, fd);
	if (r < 0) {
		unhear(ch);
		return -EPIPE;
	}
	ch->count.sent += messages;
	return 0;
}

static void forget_gathered(struct channel *ch)
{
	if (ch->wipe)
		buf_wipe(&ch->gathered);
	else if (ch->gathered.cap > GATHER_KEPT)
		buf_done(&ch->gathered);
	else
		buf_reset(&ch->gathered);
	ch->wipe = false;
	ch->n_gathered = 0;
}

/* Out with what this turn has gathered. */
static int send_gathered(struct channel *ch, int fd)
{
	int r = 0;

	if (ch->n_gathered > 0 && !ch->dead && !ch->unheard)
		r = send_bytes(ch, buf_slice(&ch->gathered), ch->n_gathered, fd);
	forget_gathered(ch);
	return r;
}

static void on_turn(uv_prepare_t *h)
{
	uv_prepare_stop(h);
	send_gathered(h->data, -1);
}

/* False: it does not fit behind what is there, or at all. */
static bool gather(struct channel *ch, const struct ipc_message *m)
{
	size_t before = ch->gathered.n;

	ch->wipe |= carries_secret(m->type); /* even if it fits only in part */
	ipc_encode(m, &ch->gathered);
	if (buf_ok(&ch->gathered)) {
		ch->n_gathered++;
		return true;
	}
	ch->gathered.failed = false;
	ch->gathered.n = before;
	return false;
}

/* There is no memory to gather it in.  It goes by itself, from room that is always
 * there: its receiver would wait for it, or miss it among others. */
static int send_alone(struct channel *ch, const struct ipc_message *m, int fd)
{
	static _Thread_local unsigned char room[IPC_PACKET_MAX];
	struct buf b;
	int r;

	forget_gathered(ch);
	buf_init_in(&b, room, sizeof(room));
	ipc_encode(m, &b);
	r = buf_ok(&b) ? send_bytes(ch, buf_slice(&b), 1, fd) : -EMSGSIZE;
	if (carries_secret(m->type))
		explicit_bzero(room, b.n);
	return r;
}

static void on_later(uv_timer_t *t)
{
	send_gathered(t->data, -1);
}

/* 0: it is among what is gathered; 1: it is on its way already. */
static int put(struct channel *ch, const struct ipc_message *m, int fd)
{
	int r;

	if (ch->dead || ch->unheard || ch->freed)
		return -EPIPE;
	/* The receiver could not tell whose descriptor it is. */
	if ((fd >= 0 || ch->n_gathered == IPC_TOGETHER) && send_gathered(ch, -1) < 0)
		return -EPIPE;
	if (!gather(ch, m)) {
		if (send_gathered(ch, -1) < 0)
			return -EPIPE;
		if (!gather(ch, m)) {
			r = send_alone(ch, m, fd);
			return r < 0 ? r : 1;
		}
	}
	if (fd < 0)
		return 0;
	r = send_gathered(ch, fd);
	return r < 0 ? r : 1;
}

int channel_send(struct channel *ch, const struct ipc_message *m, int fd)
{
	int r = put(ch, m, fd);

	if (r == 0)
		uv_prepare_start(&ch->turn, on_turn);
	return r < 0 ? r : 0;
}

int channel_send_later(struct channel *ch, const struct ipc_message *m)
{
	int r = put(ch, m, -1);

	if (r == 0 && !uv_is_active((uv_handle_t *)&ch->later))
		uv_timer_start(&ch->later, on_later, LATER_MS, 0);
	return r < 0 ? r : 0;
}

/* Descriptors of one packet: the first is the message's, more are refused. */
static bool take_descriptors(struct msghdr *msg, int *ret)
{
	unsigned n = 0;

	*ret = -1;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t octets;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		octets = c->cmsg_len - CMSG_LEN(0);
		for (size_t at = 0; at + sizeof(int) <= octets; at += sizeof(int)) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + at, sizeof(fd));
			if (n++ == 0)
				*ret = fd;
			else
				close(fd);
		}
	}
	/* Cut, and none there: we have no descriptor left for it.  The message comes without. */
	if (n == 0 || (n == 1 && !(msg->msg_flags & MSG_CTRUNC)))
		return true;
	if (*ret >= 0)
		close(*ret);
	return false;
}

/* All messages of a packet are tested before the first one is believed.  0: it is malformed. */
static unsigned take_apart(struct slice packet, struct ipc_message to[static IPC_TOGETHER])
{
	unsigned n = 0;

	while (packet.n > 0)
		if (n == IPC_TOGETHER || !ipc_take(&packet, &to[n++]))
			return 0;
	return n;
}

static void hand_on(struct channel *ch, struct slice packet, int *fd)
{
	/* One for all channels: no handler receives. */
	static _Thread_local struct ipc_message messages[IPC_TOGETHER];
	unsigned n = take_apart(packet, messages);
	bool secret = false;

	if (n == 0) {
		die(ch, "a message that does not decode");
		return;
	}
	if (n > 1 && *fd >= 0) {
		die(ch, "a descriptor for several messages");
		return;
	}
	for (unsigned i = 0; i < n && !ch->dead && !ch->freed; i++) {
		ch->count.received++;
		ch->handlers->message(ch->arg, ch, &messages[i], fd);
	}
	for (unsigned i = 0; i < n; i++)
		secret |= carries_secret(messages[i].type);
	if (secret)
		explicit_bzero(ch->packet, packet.n);
}

/* One packet from the socket to the handler.  False when there is no more to do now. */
static bool receive(struct channel *ch)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int) * FDS_MAX)];
	} control;
	struct iovec iov = { ch->packet, sizeof(ch->packet) };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.room,
			      .msg_controllen = sizeof(control.room) };
	ssize_t n = recvmsg(ch->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int fd;

	if (n < 0) {
		if (errno == EAGAIN || errno == EWOULDBLOCK)
			return false;
		/* ECONNRESET says only that the peer left something unread: what it
		 * sent before still stands in the queue, then comes the end. */
		if (errno != EINTR && errno != ECONNRESET)
			die(ch, "receiving failed");
		return true;
	}
	if (!take_descriptors(&msg, &fd)) {
		die(ch, "more than one descriptor in a message");
		return true;
	}
	if (n == 0)
		die(ch, channel_eof);
	else if (msg.msg_flags & MSG_TRUNC)
		die(ch, "a message over the size limit");
	else
		hand_on(ch, slice_of(ch->packet, (size_t)n), &fd);
	if (fd >= 0)
		close(fd);
	return true;
}

static void receive_all(struct channel *ch)
{
	uint64_t enough = ch->count.received + MESSAGES_A_TURN;

	for (int i = 0; i < PACKETS_A_TURN && ch->count.received < enough && !ch->dead && !ch->freed; i++)
		if (!receive(ch))
			break;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct channel *ch = poll->data;

	if (status < 0) {
		/* libuv's word for POLLERR, and it has stopped polling: a peer that was
		 * killed.  What it said before, and its end, can still be read. */
		while (!ch->dead && !ch->freed && receive(ch))
			;
		if (!ch->freed)
			die(ch, "poll failed");
	}
	if (!ch->dead && (events & UV_WRITABLE))
		send_waiting(ch);
	if (events & UV_READABLE)
		receive_all(ch);
	if (ch->dead)
		tell_closed(ch);
}

int channel_new(uv_loop_t *loop, int fd, size_t max_waiting, const struct channel_handlers *h, void *arg,
		struct channel **ret)
{
	struct channel *ch = calloc(1, sizeof(*ch));
	int r;

	if (!ch)
		return -ENOMEM;
	r = uv_poll_init(loop, &ch->poll, fd);
	if (r < 0) {
		free(ch);
		return r;
	}
	uv_prepare_init(loop, &ch->turn);
	uv_unref((uv_handle_t *)&ch->turn);
	uv_timer_init(loop, &ch->later);
	uv_unref((uv_handle_t *)&ch->later);
	ch->open_handles = 3;
	ch->poll.data = ch->turn.data = ch->later.data = ch;
	ch->fd = fd;
	buf_init(&ch->gathered, IPC_PACKET_MAX);
	ch->handlers = h;
	ch->arg = arg;
	ch->max_waiting = max_waiting;
	list_init(&ch->waiting);
	wait_for(ch, UV_READABLE);
	*ret = ch;
	return 0;
}

static void on_handle_closed(uv_handle_t *h)
{
	struct channel *ch = h->data;

	if (--ch->open_handles > 0)
		return;
	explicit_bzero(ch->packet, sizeof(ch->packet));
	free(ch);
}

void channel_free(struct channel *ch)
{
	if (!ch || ch->freed)
		return;
	send_gathered(ch, -1);
	buf_done(&ch->gathered);
	ch->freed = true;
	while (!list_empty(&ch->waiting))
		packet_free(container_of(ch->waiting.next, struct packet, link));
	ch->count.waiting = 0;
	uv_close((uv_handle_t *)&ch->poll, on_handle_closed);
	uv_close((uv_handle_t *)&ch->turn, on_handle_closed);
	uv_close((uv_handle_t *)&ch->later, on_handle_closed);
	close(ch->fd);
}

size_t channel_room(const struct channel *ch)
{
	uint64_t waiting = ch->count.waiting + ch->gathered.n;

	return waiting < ch->max_waiting ? ch->max_waiting - (size_t)waiting : 0;
}

void channel_flush(struct channel *ch)
{
	uint64_t end = uv_hrtime() / 1000000 + FLUSH_TIMEOUT_MS;

	if (!ch->freed)
		send_gathered(ch, -1);
	while (!ch->dead && !ch->freed && !list_empty(&ch->waiting)) {
		uint64_t now = uv_hrtime() / 1000000;
		struct pollfd p = { .fd = ch->fd, .events = POLLOUT };

		if (now >= end || (poll(&p, 1, (int)(end - now)) < 0 && errno != EINTR))
			return;
		send_waiting(ch);
	}
}

void channel_count(const struct channel *ch, struct channel_counters *ret)
{
	*ret = ch->count;
	ret->waiting += ch->gathered.n;
}
