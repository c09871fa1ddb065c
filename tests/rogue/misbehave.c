/* The ways in which a role may go wrong towards the others. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rogue.h"

#define BEGIN_MS 400 /* after the walls: by then it is ready, and has its peers */
#define TICK_MS	 5
#define A_TICK	 4
#define A_FLOOD	 400
#define PACKET	 (4U * IPC_PACKET_MAX)
#define MANY_FDS 200

static struct {
	struct role *role;
	uv_timer_t timer;
	uv_idle_t idle;
	uint64_t state;
	unsigned left; /* messages before it dies */
	const struct mode *mode;
	unsigned char packet[PACKET];
} self;

/* ---- chance ---- */

static uint64_t any(void)
{
	self.state ^= self.state << 13;
	self.state ^= self.state >> 7;
	self.state ^= self.state << 17;
	return self.state;
}

static uint64_t below(uint64_t n)
{
	return any() % n;
}

static uint64_t number(void)
{
	static const uint64_t edges[] = { 0,	     1,		 2,	     3,		 7,
					  UINT8_MAX, UINT16_MAX, UINT32_MAX, UINT64_MAX, INT64_MAX };

	return below(2) ? below(200) : edges[below(sizeof(edges) / sizeof(edges[0]))];
}

static struct slice octets(size_t max)
{
	static unsigned char room[65536];
	static const char *const words[] = { "ann@example.org",
					     "../../etc/passwd",
					     "example.org/ann",
					     "{\"ask\":\"status\"}",
					     "0000000000000",
					     "PLAIN",
					     "",
					     "{\"ask\":\"queue.delete\",\"all\":true}" };
	struct slice s = slice_str(words[below(sizeof(words) / sizeof(words[0]))]);
	size_t n = below(8) == 0 ? max : below(64);

	if (below(3) > 0)
		return slice_head(s, max);
	n = n > max ? max : n;
	for (size_t i = 0; i < n; i++)
		room[i] = (unsigned char)any();
	return slice_of(room, n);
}

/* A well-formed message of that type, of whatever content. */
static struct slice message(unsigned type, unsigned char *room)
{
	struct ipc_message m = { .type = (enum ipc_type)type };
	struct buf b;
	size_t n;

#define R_U8(f)	    f = (uint8_t)number();
#define R_U16(f)    f = (uint16_t)number();
#define R_U32(f)    f = (uint32_t)number();
#define R_U64(f)    f = number();
#define R_B(f, max) f = octets(max);
#define RANDOM(num, name)                                                \
	case num: {                                                      \
		struct ipc_##name *p = &m.name;                          \
		(void)p;                                                 \
		IPC_FIELDS_##name(P_U8, P_U16, P_U32, P_U64, P_B) break; \
	}
#define P_U8(f)	    p->R_U8(f)
#define P_U16(f)    p->R_U16(f)
#define P_U32(f)    p->R_U32(f)
#define P_U64(f)    p->R_U64(f)
#define P_B(f, max) p->R_B(f, max)
	switch (type) {
		IPC_MESSAGES(RANDOM)
	}
	buf_init(&b, IPC_PACKET_MAX);
	ipc_encode(&m, &b);
	n = buf_ok(&b) ? buf_slice(&b).n : 0;
	if (n > 0)
		memcpy(room, buf_slice(&b).p, n);
	buf_done(&b);
	return slice_of(room, n);
}

static unsigned any_type(void)
{
#define NUMBER(num, name) num,
	static const uint16_t all[] = { IPC_MESSAGES(NUMBER) };

	return all[below(sizeof(all) / sizeof(all[0]))];
}

/* What that peer does take from us: so it is not turned away at the door. */
static unsigned expected_type(enum ipc_role from, enum ipc_role to)
{
	static const struct {
		enum ipc_role from, to;
		unsigned types[12];
	} rows[] = {
		{ IPC_SMTP,
		  IPC_QUEUE,
		  { IPC_TYPE_body, IPC_TYPE_rcpt, IPC_TYPE_commit, IPC_TYPE_drop, IPC_TYPE_resolved,
		    IPC_TYPE_lane_ready, IPC_TYPE_lane_closed, IPC_TYPE_job_back, IPC_TYPE_job_result,
		    IPC_TYPE_job_credit } },
		{ IPC_SMTP,
		  IPC_KEEPER,
		  { IPC_TYPE_auth_start, IPC_TYPE_auth_step, IPC_TYPE_auth_abort, IPC_TYPE_exposed,
		    IPC_TYPE_sender, IPC_TYPE_recipient } },
		{ IPC_SMTP,
		  IPC_LEDGER,
		  { IPC_TYPE_mishap, IPC_TYPE_event, IPC_TYPE_tls_result, IPC_TYPE_sts_ask,
		    IPC_TYPE_sts_keep } },
		{ IPC_SMTP, IPC_FETCH, { IPC_TYPE_fetch } },
		{ IPC_FETCH, IPC_SMTP, { IPC_TYPE_fetched } },
		{ IPC_LEDGER, IPC_SMTP, { IPC_TYPE_sts_is } },
		{ IPC_QUEUE, IPC_LEDGER, { IPC_TYPE_event } },
		{ IPC_QUEUE,
		  IPC_SMTP,
		  { IPC_TYPE_credit, IPC_TYPE_stored, IPC_TYPE_accepting, IPC_TYPE_resolve,
		    IPC_TYPE_lane_open, IPC_TYPE_lane_close, IPC_TYPE_job, IPC_TYPE_job_rcpt,
		    IPC_TYPE_job_body, IPC_TYPE_job_end } },
		{ IPC_QUEUE,
		  IPC_LOCAL,
		  { IPC_TYPE_job, IPC_TYPE_job_mailbox, IPC_TYPE_job_body, IPC_TYPE_job_end } },
		{ IPC_QUEUE, IPC_KEEPER, { IPC_TYPE_recipient } },
		{ IPC_KEEPER,
		  IPC_SMTP,
		  { IPC_TYPE_auth_challenge, IPC_TYPE_auth_result, IPC_TYPE_verdict, IPC_TYPE_target,
		    IPC_TYPE_mechs } },
		{ IPC_KEEPER, IPC_QUEUE, { IPC_TYPE_paces, IPC_TYPE_verdict, IPC_TYPE_target } },
		{ IPC_LOCAL, IPC_QUEUE, { IPC_TYPE_job_result, IPC_TYPE_job_credit } },
		{ IPC_ADMIN, 0, { IPC_TYPE_request } },
	};

	if (to == IPC_ADMIN)
		return IPC_TYPE_response;
	if (to == IPC_MAIN && from == IPC_SMTP && below(3) == 0)
		return IPC_TYPE_credential_stale;
	if (to == IPC_MAIN)
		return below(2) ? IPC_TYPE_ready : IPC_TYPE_complain;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		unsigned n = 0;

		if (rows[i].from != from || (rows[i].to && rows[i].to != to))
			continue;
		while (n < 12 && rows[i].types[n])
			n++;
		return rows[i].types[below(n)];
	}
	return any_type();
}

/* ---- sending ---- */

static void put(int fd, struct slice bytes, int with, unsigned times)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int) * MANY_FDS)];
	} control = { 0 };
	struct iovec iov = { (void *)(uintptr_t)bytes.p, bytes.n };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (times > 0) {
		struct cmsghdr *c;

		msg.msg_control = control.room;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * times);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * times);
		for (unsigned i = 0; i < times; i++)
			memcpy(CMSG_DATA(c) + i * sizeof(int), &with, sizeof(int));
	}
	(void)!sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static struct slice noise(size_t n)
{
	for (size_t i = 0; i + 8 <= n; i += 8) {
		uint64_t v = any();

		memcpy(self.packet + i, &v, 8);
	}
	return slice_of(self.packet, n);
}

static void garbage(const struct seen_channel *c)
{
	put(c->fd, noise(1 + below(IPC_PACKET_MAX)), -1, 0);
}

static void empty(const struct seen_channel *c)
{
	put(c->fd, slice_of("", 0), -1, 0);
}

static void wrong(const struct seen_channel *c)
{
	put(c->fd, message(any_type(), self.packet), -1, 0);
}

static void expected(const struct seen_channel *c)
{
	put(c->fd, message(expected_type(self.role->ops->id, c->who), self.packet), -1, 0);
}

static void cut(const struct seen_channel *c)
{
	struct slice m = message(expected_type(self.role->ops->id, c->who), self.packet);

	put(c->fd, slice_head(m, below(m.n + 1)), -1, 0);
}

static void huge(const struct seen_channel *c)
{
	put(c->fd, noise(IPC_PACKET_MAX + 1 + below(IPC_PACKET_MAX)), -1, 0);
}

static void descriptors(const struct seen_channel *c)
{
	static const unsigned counts[] = { 1, 1, 1, 2, 8, 9, MANY_FDS };

	put(c->fd, message(expected_type(self.role->ops->id, c->who), self.packet), below(2) ? 0 : c->fd,
	    counts[below(sizeof(counts) / sizeof(counts[0]))]);
}

/* The loop stands: nothing is read, nothing said, on any channel. */
static void hang(const struct seen_channel *c)
{
	(void)c;
	for (;;)
		pause();
}

/* It lives, and answers main, but hears nobody else.  A uv_poll_t is the first of a channel. */
static void deaf(const struct seen_channel *c)
{
	if (c->who != IPC_MAIN)
		uv_poll_stop((uv_poll_t *)(void *)c->ch);
}

static void shut(const struct seen_channel *c)
{
	shutdown(c->fd, SHUT_RDWR);
}

static void leave(const struct seen_channel *c)
{
	(void)c;
	_exit(0);
}

/* ---- modes ---- */

static const struct mode {
	const char *name;
	void (*run)(const struct seen_channel *c);
	bool main, peers; /* to whom */
	bool flood;
} modes[] = {
	{ "garbage", garbage, false, true, false },
	{ "garbage-to-main", garbage, true, false, false },
	{ "empty", empty, false, true, false },
	{ "empty-to-main", empty, true, false, false },
	{ "wrong", wrong, false, true, false },
	{ "wrong-to-main", wrong, true, false, false },
	{ "expected", expected, false, true, false },
	{ "expected-to-main", expected, true, false, false },
	{ "flood", expected, false, true, true },
	{ "flood-to-main", expected, true, false, true },
	{ "cut", cut, false, true, false },
	{ "huge", huge, false, true, false },
	{ "descriptors", descriptors, true, true, false },
	{ "hang", hang, true, true, false },
	{ "deaf", deaf, false, true, false },
	{ "shut", shut, false, true, false },
	{ "shut-to-main", shut, true, false, false },
	{ "leave", leave, true, true, false },
};

static void act(unsigned times)
{
	for (unsigned k = 0; k < times; k++)
		for (int i = 0; i < SEEN_MAX; i++) {
			const struct seen_channel *c = &seen_channels[i];

			if (c->ch && c->who && (c->who == IPC_MAIN ? self.mode->main : self.mode->peers))
				self.mode->run(c);
		}
}

static void on_tick(uv_timer_t *t)
{
	(void)t;
	act(A_TICK);
}

static void on_idle(uv_idle_t *h)
{
	(void)h;
	act(A_FLOOD);
}

static void on_begin(uv_timer_t *t)
{
	dprintf(2, "rogue role=%s begins\n", ipc_role_name(self.role->ops->id));
	if (self.mode->flood) {
		uv_idle_init(t->loop, &self.idle);
		uv_idle_start(&self.idle, on_idle);
	} else {
		uv_timer_start(t, on_tick, 0, TICK_MS);
	}
}

/* In the middle of whatever is under way. */
static void count_down(enum ipc_role from, const struct ipc_message *m)
{
	if (from == IPC_MAIN || from == IPC_ADMIN || m->type == IPC_TYPE_mechs ||
	    m->type == IPC_TYPE_accepting || self.left-- > 0)
		return;
	dprintf(2, "rogue role=%s dies at=%s\n", ipc_role_name(self.role->ops->id), ipc_type_name(m->type));
	kill(getpid(), SIGKILL);
}

void misbehave_start(struct role *r, const char *mode)
{
	self.role = r;
	self.state = (uint64_t)getpid() * 2654435761U + uv_hrtime();
	if (!strcmp(mode, "die")) {
		self.left = (unsigned)below(6);
		seen_message = count_down;
		return;
	}
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (!strcmp(modes[i].name, mode))
			self.mode = &modes[i];
	if (!self.mode) {
		dprintf(2, "rogue: there is no mode %s\n", mode);
		abort();
	}
	uv_timer_init(r->loop, &self.timer);
	uv_timer_start(&self.timer, on_begin, BEGIN_MS, 0);
}
