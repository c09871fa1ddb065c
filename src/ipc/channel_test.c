/* Both ends of a channel on one loop; or one end, and raw packets from the other. */
#include "ipc/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cmocka.h>

struct end {
	struct channel *ch;
	unsigned messages, closed;
	uint64_t last_credit;
	bool in_order;
	int kept_fd;
	size_t body_octets;
	const char *why;
	bool free_inside;
};

static void on_message(void *arg, struct channel *ch, const struct ipc_message *m, int *fd)
{
	struct end *e = arg;

	assert_ptr_equal(ch, e->ch);
	e->messages++;
	if (m->type == IPC_TYPE_credit) {
		if (m->credit.tx != e->last_credit + 1)
			e->in_order = false;
		e->last_credit = m->credit.tx;
	}
	if (m->type == IPC_TYPE_body)
		e->body_octets += m->body.data.n;
	if (m->type == IPC_TYPE_conf) {
		e->kept_fd = *fd;
		*fd = -1;
	}
	if (e->free_inside) {
		channel_free(ch);
		e->ch = NULL;
	}
}

static void on_closed(void *arg, struct channel *ch, const char *why)
{
	struct end *e = arg;

	e->closed++;
	e->why = why;
	channel_free(ch);
	e->ch = NULL;
}

static const struct channel_handlers handlers = { on_message, on_closed };

struct fixture {
	uv_loop_t loop;
	int fd[2];
	struct end a, b;
};

static void open_end(struct fixture *f, struct end *e, int fd, size_t max)
{
	*e = (struct end){ .in_order = true, .kept_fd = -1 };
	assert_int_equal(channel_new(&f->loop, fd, max, &handlers, e, &e->ch), 0);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	assert_int_equal(uv_loop_init(&f->loop), 0);
	assert_int_equal(channel_pair(f->fd), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	channel_free(f->a.ch);
	channel_free(f->b.ch);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	free(f);
	return 0;
}

/* Turns until nothing happens any more. */
static void settle(struct fixture *f)
{
	for (int i = 0; i < 300; i++)
		uv_run(&f->loop, UV_RUN_NOWAIT);
}

static int send_credit(struct channel *ch, uint64_t n)
{
	struct ipc_message m = { .type = IPC_TYPE_credit, .credit = { .tx = n, .octets = 1 } };

	return channel_send(ch, &m, -1);
}

#define MANY 30000 /* more than a socket holds, however they are packed */

static void order_and_counters(void **state)
{
	struct fixture *f = *state;
	struct channel_counters c;

	open_end(f, &f->a, f->fd[0], 1 << 20);
	open_end(f, &f->b, f->fd[1], 1 << 20);
	/* More than a socket holds, so that some wait here. */
	for (uint64_t i = 1; i <= MANY; i++)
		assert_int_equal(send_credit(f->a.ch, i), 0);
	channel_count(f->a.ch, &c);
	assert_true(c.waiting > 0);
	settle(f);
	assert_int_equal(f->b.messages, MANY);
	assert_true(f->b.in_order);
	channel_count(f->a.ch, &c);
	assert_int_equal(c.sent, MANY);
	assert_int_equal(c.waiting, 0);
	assert_true(c.waited_max > 0);
	assert_int_equal(channel_room(f->a.ch), 1 << 20);
}

static void descriptor_arrives(void **state)
{
	struct fixture *f = *state;
	struct ipc_message m = { .type = IPC_TYPE_conf, .conf = { .generation = 7 } };
	int p[2];
	char got[3] = "";

	open_end(f, &f->a, f->fd[0], 4096);
	open_end(f, &f->b, f->fd[1], 4096);
	assert_int_equal(pipe(p), 0);
	assert_int_equal(channel_send(f->a.ch, &m, p[0]), 0);
	close(p[0]); /* was duplicated by sending */
	settle(f);
	assert_int_equal(f->b.messages, 1);
	assert_true(f->b.kept_fd >= 0);
	assert_true(fcntl(f->b.kept_fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(write(p[1], "hi", 2), 2);
	assert_int_equal(read(f->b.kept_fd, got, 2), 2);
	assert_string_equal(got, "hi");
	close(f->b.kept_fd);
	close(p[1]);
}

static void descriptor_that_waits_arrives(void **state)
{
	struct fixture *f = *state;
	struct ipc_message m = { .type = IPC_TYPE_conf };
	struct channel_counters c;
	int p[2];

	open_end(f, &f->a, f->fd[0], 1 << 20);
	for (uint64_t i = 1; i <= MANY; i++)
		assert_int_equal(send_credit(f->a.ch, i), 0);
	channel_count(f->a.ch, &c);
	assert_true(c.waiting > 0);
	assert_int_equal(pipe(p), 0);
	assert_int_equal(channel_send(f->a.ch, &m, p[0]), 0);
	close(p[0]);
	open_end(f, &f->b, f->fd[1], 4096);
	settle(f);
	assert_int_equal(f->b.messages, MANY + 1);
	assert_true(f->b.kept_fd >= 0);
	close(f->b.kept_fd);
	close(p[1]);
}

static void untaken_descriptor_is_closed(void **state)
{
	struct fixture *f = *state;
	struct ipc_message m = { .type = IPC_TYPE_credit, .credit = { .tx = 1 } };
	int p[2];

	open_end(f, &f->a, f->fd[0], 4096);
	open_end(f, &f->b, f->fd[1], 4096);
	assert_int_equal(pipe(p), 0);
	assert_int_equal(channel_send(f->a.ch, &m, p[1]), 0);
	close(p[1]);
	settle(f);
	assert_int_equal(f->b.messages, 1);
	char c;
	assert_int_equal(read(p[0], &c, 1), 0); /* no writer is left */
	close(p[0]);
}

static void largest_packets_pass(void **state)
{
	struct fixture *f = *state;
	static unsigned char bytes[IPC_CHUNK_MAX];
	struct ipc_message m = { .type = IPC_TYPE_body,
				 .body = { .tx = 1, .data = { bytes, sizeof(bytes) } } };

	open_end(f, &f->a, f->fd[0], 1 << 20);
	open_end(f, &f->b, f->fd[1], 4096);
	for (int i = 0; i < 16; i++)
		assert_int_equal(channel_send(f->a.ch, &m, -1), 0);
	settle(f);
	assert_int_equal(f->b.body_octets, 16 * sizeof(bytes));
}

static void oversized_message_is_not_sent(void **state)
{
	struct fixture *f = *state;
	static unsigned char bytes[IPC_CHUNK_MAX + 1];
	struct ipc_message m = { .type = IPC_TYPE_body,
				 .body = { .tx = 1, .data = { bytes, sizeof(bytes) } } };

	open_end(f, &f->a, f->fd[0], 1 << 20);
	assert_int_equal(channel_send(f->a.ch, &m, -1), -EMSGSIZE);
	assert_int_equal(send_credit(f->a.ch, 1), 0);
	close(f->fd[1]);
}

static void stalled_peer_is_closed(void **state)
{
	struct fixture *f = *state;
	int r = 0;

	open_end(f, &f->a, f->fd[0], 16384);
	for (uint64_t i = 1; i <= 100000 && r == 0; i++)
		r = send_credit(f->a.ch, i);
	assert_int_equal(r, -EPIPE);
	assert_int_equal(f->a.closed, 0); /* never from inside channel_send() */
	assert_int_equal(send_credit(f->a.ch, 1), -EPIPE);
	settle(f);
	assert_int_equal(f->a.closed, 1);
	assert_non_null(strstr(f->a.why, "stalled"));
	close(f->fd[1]);
}

static void last_words_are_heard(void **state)
{
	struct fixture *f = *state;

	open_end(f, &f->a, f->fd[0], 4096);
	open_end(f, &f->b, f->fd[1], 4096);
	assert_int_equal(send_credit(f->b.ch, 1), 0);
	channel_flush(f->b.ch); /* unread at a's end, so b sees a reset */
	assert_int_equal(send_credit(f->a.ch, 1), 0);
	assert_int_equal(send_credit(f->a.ch, 2), 0);
	channel_free(f->a.ch);
	f->a.ch = NULL;
	assert_int_equal(send_credit(f->b.ch, 2), 0);
	channel_flush(f->b.ch); /* it hears of the reset */
	assert_int_equal(send_credit(f->b.ch, 3), -EPIPE);
	settle(f);
	assert_int_equal(f->b.messages, 2);
	assert_int_equal(f->b.closed, 1);
}

static void freed_inside_its_handler(void **state)
{
	struct fixture *f = *state;

	open_end(f, &f->a, f->fd[0], 4096);
	open_end(f, &f->b, f->fd[1], 4096);
	f->b.free_inside = true;
	assert_int_equal(send_credit(f->a.ch, 1), 0);
	assert_int_equal(send_credit(f->a.ch, 2), 0);
	settle(f);
	assert_int_equal(f->b.messages, 1);
	assert_int_equal(f->b.closed, 0);
	assert_int_equal(f->a.closed, 1);
}

/* Octets of the next packet; -1: none waits. */
static ssize_t packet_waits(int socket)
{
	static unsigned char bytes[IPC_PACKET_MAX];

	return recv(socket, bytes, sizeof(bytes), MSG_DONTWAIT);
}

#define CREDIT_OCTETS 14

static void a_turn_goes_out_together(void **state)
{
	struct fixture *f = *state;
	struct ipc_message conf = { .type = IPC_TYPE_conf };
	struct channel_counters c;

	open_end(f, &f->a, f->fd[0], 1 << 20);
	assert_int_equal(send_credit(f->a.ch, 1), 0);
	assert_int_equal(send_credit(f->a.ch, 2), 0);
	assert_int_equal(packet_waits(f->fd[1]), -1);
	channel_count(f->a.ch, &c);
	assert_int_equal(c.waiting, 2 * CREDIT_OCTETS);
	assert_int_equal(channel_room(f->a.ch), (1 << 20) - 2 * CREDIT_OCTETS);
	uv_run(&f->loop, UV_RUN_NOWAIT);
	assert_int_equal(packet_waits(f->fd[1]), 2 * CREDIT_OCTETS);
	assert_int_equal(packet_waits(f->fd[1]), -1);

	/* One with a descriptor travels alone, and in its place. */
	assert_int_equal(send_credit(f->a.ch, 3), 0);
	assert_int_equal(channel_send(f->a.ch, &conf, STDERR_FILENO), 0);
	assert_int_equal(send_credit(f->a.ch, 4), 0);
	uv_run(&f->loop, UV_RUN_NOWAIT);
	assert_int_equal(packet_waits(f->fd[1]), CREDIT_OCTETS);
	assert_true(packet_waits(f->fd[1]) > CREDIT_OCTETS);
	assert_int_equal(packet_waits(f->fd[1]), CREDIT_OCTETS);

	/* No more than may be in a packet. */
	for (uint64_t i = 0; i < IPC_TOGETHER + 1; i++)
		assert_int_equal(send_credit(f->a.ch, i), 0);
	uv_run(&f->loop, UV_RUN_NOWAIT);
	assert_int_equal(packet_waits(f->fd[1]), IPC_TOGETHER * CREDIT_OCTETS);
	assert_int_equal(packet_waits(f->fd[1]), CREDIT_OCTETS);
	close(f->fd[1]);
}

static void what_may_wait_waits_for_company(void **state)
{
	struct ipc_message late = { .type = IPC_TYPE_credit, .credit = { .tx = 1, .octets = 1 } };
	struct fixture *f = *state;

	open_end(f, &f->a, f->fd[0], 1 << 20);
	/* Not before its time; which is up at once where a processor was waited for, and then it is sent
	 * again. */
	for (;;) {
		uint64_t begin = uv_hrtime();
		ssize_t n;

		uv_update_time(&f->loop); /* else its time may have begun long ago */
		assert_int_equal(channel_send_later(f->a.ch, &late), 0);
		uv_run(&f->loop, UV_RUN_NOWAIT);
		n = packet_waits(f->fd[1]);
		if (n == -1)
			break;
		assert_int_equal(n, CREDIT_OCTETS);
		assert_true(uv_hrtime() - begin >= 9 * UINT64_C(1000000));
	}
	/* It comes: what may not wait, behind it. */
	assert_int_equal(send_credit(f->a.ch, 2), 0);
	uv_run(&f->loop, UV_RUN_NOWAIT);
	assert_int_equal(packet_waits(f->fd[1]), 2 * CREDIT_OCTETS);
	/* It does not. */
	assert_int_equal(channel_send_later(f->a.ch, &late), 0);
	for (int i = 0; i < 40; i++) {
		uv_sleep(1);
		uv_run(&f->loop, UV_RUN_NOWAIT);
	}
	assert_int_equal(packet_waits(f->fd[1]), CREDIT_OCTETS);
	assert_int_equal(packet_waits(f->fd[1]), -1);
	close(f->fd[1]);
}

static void flush_sends_all(void **state)
{
	struct fixture *f = *state;
	struct channel_counters c;

	open_end(f, &f->a, f->fd[0], 1 << 20);
	for (uint64_t i = 1; i <= MANY; i++)
		assert_int_equal(send_credit(f->a.ch, i), 0);
	channel_count(f->a.ch, &c);
	if (fork() == 0) { /* reads all of it slowly */
		static unsigned char bytes[IPC_PACKET_MAX];
		size_t octets = 0;
		ssize_t n;

		close(f->fd[0]);
		fcntl(f->fd[1], F_SETFL, 0);
		while (octets < MANY * CREDIT_OCTETS && (n = recv(f->fd[1], bytes, sizeof(bytes), 0)) > 0)
			octets += (size_t)n;
		_exit(0);
	}
	channel_flush(f->a.ch);
	channel_count(f->a.ch, &c);
	assert_int_equal(c.waiting, 0);
	assert_int_equal(c.sent, MANY);
	close(f->fd[1]);
}

/* What a broken peer may put on the wire; each ends the channel. */
static const struct {
	const char *name;
	struct slice bytes;
	size_t zeros; /* so many more of them */
	unsigned fds;
	const char *why;
} broken[] = {
	{ "unknown type", SLICE_INIT("\xff\xff"), 0, 0, "decode" },
	{ "one byte", SLICE_INIT("\x2c"), 0, 0, "decode" },
	{ "short", SLICE_INIT("\x2c\x00\x01\x02"), 0, 0, "decode" },
	{ "bytes left over", SLICE_INIT("\x2c\x00"), 13, 0, "decode" },
	{ "a string longer than its packet", SLICE_INIT("\x28\x00\1\1\1\1\1\1\1\1\xff\xff\xff\xff"), 0, 0,
	  "decode" },
	{ "a good message before a bad one", SLICE_INIT("\x2c\0\1\1\1\1\1\1\1\1\1\1\1\1\xff\xff"), 0, 0,
	  "decode" },
	{ "a descriptor for two messages", SLICE_INIT("\x2c\0\1\1\1\1\1\1\1\1\1\1\1\1\x2c\0"), 12, 1,
	  "descriptor" },
	{ "over the packet size", SLICE_INIT("\x28\x00"), IPC_PACKET_MAX + 1, 0, "size limit" },
	{ "two descriptors", SLICE_INIT("\x2c\x00"), 12, 2, "descriptor" },
	{ "many descriptors", SLICE_INIT("\x2c\x00"), 12, 20, "descriptor" },
	{ "empty packet", SLICE_INIT(""), 0, 0, "gone" },
};

static void send_raw(int socket, const void *p, size_t n, unsigned fds)
{
	char room[CMSG_SPACE(sizeof(int) * 32)] __attribute__((aligned(8))) = { 0 };
	struct iovec iov = { (void *)(uintptr_t)p, n };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fds) {
		struct cmsghdr *c;

		msg.msg_control = room;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * fds);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * fds);
		for (unsigned i = 0; i < fds; i++)
			memcpy(CMSG_DATA(c) + i * sizeof(int), &(int){ STDERR_FILENO }, sizeof(int));
	}
	assert_int_equal(sendmsg(socket, &msg, MSG_NOSIGNAL), (ssize_t)n);
}

static int open_descriptors(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void broken_peer_is_closed(void **state)
{
	struct fixture *f = *state;
	static unsigned char bytes[IPC_PACKET_MAX + 64];

	close(f->fd[0]);
	close(f->fd[1]);
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		struct slice s = broken[i].bytes;
		int before = open_descriptors();

		assert_int_equal(channel_pair(f->fd), 0);
		open_end(f, &f->a, f->fd[0], 4096);
		memset(bytes, 0, sizeof(bytes));
		memcpy(bytes, s.p, s.n);
		send_raw(f->fd[1], bytes, s.n + broken[i].zeros, broken[i].fds);
		settle(f);
		if (f->a.closed != 1 || f->a.messages != 0 || !strstr(f->a.why, broken[i].why))
			fail_msg("%s: closed %u, messages %u, why %s", broken[i].name, f->a.closed,
				 f->a.messages, f->a.why ? f->a.why : "");
		close(f->fd[1]);
		assert_int_equal(open_descriptors(), before);
	}
}

static void too_many_messages_in_a_packet(void **state)
{
	struct fixture *f = *state;
	static unsigned char bytes[(IPC_TOGETHER + 1) * CREDIT_OCTETS];

	open_end(f, &f->a, f->fd[0], 4096);
	for (size_t i = 0; i < sizeof(bytes); i += CREDIT_OCTETS)
		bytes[i] = IPC_TYPE_credit;
	send_raw(f->fd[1], bytes, IPC_TOGETHER * CREDIT_OCTETS, 0);
	settle(f);
	assert_int_equal(f->a.messages, IPC_TOGETHER);
	send_raw(f->fd[1], bytes, sizeof(bytes), 0);
	settle(f);
	assert_int_equal(f->a.messages, IPC_TOGETHER);
	assert_int_equal(f->a.closed, 1);
	close(f->fd[1]);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(order_and_counters),
		T(descriptor_arrives),
		T(descriptor_that_waits_arrives),
		T(untaken_descriptor_is_closed),
		T(largest_packets_pass),
		T(oversized_message_is_not_sent),
		T(stalled_peer_is_closed),
		T(last_words_are_heard),
		T(freed_inside_its_handler),
		T(a_turn_goes_out_together),
		T(what_may_wait_waits_for_company),
		T(flush_sends_all),
		T(broken_peer_is_closed),
		T(too_many_messages_in_a_packet),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
