/* A role as main and its peers see it: the test holds the other ends of its channels. */
#include "role/role.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "ipc/raw.h"

/* ---- the role under test: keeps "later", answers it when "now" is asked ---- */

#define SLOW_MS 2000 /* longer than any turn that waits for a processor */

static struct role_request *kept;

static void t_request(struct role *r, struct role_request *req)
{
	char secret[32] = "";

	(void)r;
	if (!strcmp(req->ask, "echo")) {
		slice_copy(req->secret, secret, sizeof(secret));
		role_answer(req, json_pack("{s:s}", "part", "one"), false);
		role_answer(req, json_pack("{s:s}", "secret", secret), true);
	} else if (!strcmp(req->ask, "later")) {
		kept = role_request_keep(req);
	} else if (!strcmp(req->ask, "now")) {
		role_answer(kept, json_pack("{s:s}", "kept", kept->ask), true);
		role_answer(req, json_object(), true);
	} else if (!strcmp(req->ask, "slow")) {
		usleep(SLOW_MS * 1000);
		role_answer(req, json_object(), true);
	} else if (!strcmp(req->ask, "long")) {
		char *text = calloc(1, IPC_CHUNK_MAX + 1);

		memset(text, 'x', IPC_CHUNK_MAX);
		role_answer(req, json_pack("{s:s}", "text", text), true);
		free(text);
	} else if (strcmp(req->ask, "forgotten") != 0) {
		role_answer_error(req, "unknown", "advice");
	}
}

static void t_reconfigured(struct role *r, const struct conf *old)
{
	/* Both stand side by side here. */
	if (!strcmp(r->conf->hostname, old->hostname))
		role_exit(r);
}

static int t_open_fails(struct role *r)
{
	(void)r;
	return -EIO;
}

static const struct role_ops good = { .id = IPC_LEDGER,
				      .request = t_request,
				      .reconfigured = t_reconfigured };
static const struct role_ops bad = { .id = IPC_LEDGER, .open = t_open_fails };

/* ---- the other ends ---- */

#define WAIT_MS 60000 /* for what must come: nobody waits for long where all is well */

struct fixture {
	pid_t pid;
	int main;
};

static void begin(struct fixture *f, const struct role_ops *ops)
{
	int fd[2];

	assert_int_equal(channel_pair(fd), 0);
	f->pid = fork();
	if (f->pid == 0) {
		close(fd[0]);
		_exit(role_run(ops, 0, fd[1], false));
	}
	close(fd[1]);
	f->main = fd[0];
}

static int ended(struct fixture *f)
{
	int status;

	for (int i = 0; i < 6000; i++) {
		if (waitpid(f->pid, &status, WNOHANG) == f->pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		usleep(10000);
	}
	kill(f->pid, SIGKILL);
	waitpid(f->pid, &status, 0);
	fail_msg("the role does not end");
	return -1;
}

static void tell(int to, const struct ipc_message *m, int fd)
{
	char room[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = { 0 };
	struct iovec iov;
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct buf b;

	buf_init(&b, IPC_PACKET_MAX);
	ipc_encode(m, &b);
	assert_true(buf_ok(&b));
	iov = (struct iovec){ b.p + b.from, b.n };
	if (fd >= 0) {
		msg.msg_control = room;
		msg.msg_controllen = sizeof(room);
		*CMSG_FIRSTHDR(&msg) = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
							 .cmsg_type = SCM_RIGHTS,
							 .cmsg_len = CMSG_LEN(sizeof(int)) };
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), &fd, sizeof(fd));
	}
	assert_int_equal(sendmsg(to, &msg, MSG_NOSIGNAL), (ssize_t)b.n);
	buf_done(&b);
}

/* The next message there; its slices stand until the next call. */
static struct ipc_message hear(int from)
{
	struct ipc_message m;

	assert_true(raw_waits(from, WAIT_MS));
	assert_int_equal(raw_take(from, &m), 0);
	return m;
}

/* It has been through its loop meanwhile, and said nothing but what it was asked. */
static void is_quiet(struct fixture *f)
{
	for (uint64_t n = 100; n < 102; n++) {
		struct ipc_message m = { .type = IPC_TYPE_ping, .ping = { n } };

		tell(f->main, &m, -1);
		m = hear(f->main);
		assert_int_equal(m.type, IPC_TYPE_pong);
		assert_int_equal(m.pong.number, n);
	}
}

static bool silent(struct fixture *f, int from)
{
	is_quiet(f);
	return !raw_waits(from, 50);
}

static void send_conf(struct fixture *f, uint64_t generation, const char *text)
{
	struct ipc_message m = { .type = IPC_TYPE_conf,
				 .conf = {
					 .generation = generation, .file = SLICE_INIT("test"), .root = 1 } };
	int fd = memfd_create("conf", MFD_CLOEXEC);

	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	tell(f->main, &m, fd);
	close(fd);
}

static void begin_ready(struct fixture *f)
{
	struct ipc_message m;

	begin(f, &good);
	send_conf(f, 1, "hostname: one.example.org\n");
	m = hear(f->main);
	assert_int_equal(m.type, IPC_TYPE_ready);
	assert_int_equal(m.ready.generation, 1);
}

static int open_peer(struct fixture *f, enum ipc_role who)
{
	struct ipc_message m = { .type = IPC_TYPE_peer, .peer = { .role = (uint8_t)who, .index = 0 } };
	int fd[2];

	assert_int_equal(channel_pair(fd), 0);
	tell(f->main, &m, fd[1]);
	close(fd[1]);
	return fd[0];
}

static void ask(int to, uint64_t req, const char *json, const char *secret)
{
	struct ipc_message m = { .type = IPC_TYPE_request,
				 .request = {
					 .req = req, .json = slice_str(json), .secret = slice_str(secret) } };

	tell(to, &m, -1);
}

static void expect_answer(int from, uint64_t req, bool last, const char *text)
{
	struct ipc_message m = hear(from);

	assert_int_equal(m.type, IPC_TYPE_response);
	assert_int_equal(m.response.req, req);
	assert_int_equal(m.response.last, last);
	if (!memmem(m.response.json.p, m.response.json.n, text, strlen(text)))
		fail_msg("wanted %s in %.*s", text, SLICE_ARG(m.response.json));
}

static void end(struct fixture *f)
{
	struct ipc_message m = { .type = IPC_TYPE_drain, .drain = { 1 } };

	tell(f->main, &m, -1);
	assert_int_equal(ended(f), 0);
	close(f->main);
}

/* ---- tests ---- */

static void questions_are_answered(void **state)
{
	static const struct {
		const char *json, *secret, *first, *second;
	} cases[] = {
		{ "{\"ask\":\"echo\"}", "s3cret", "one", "s3cret" },
		{ "{\"ask\":\"else\"}", "", "\"advice\"", NULL },
		{ "{\"ask\":\"long\"}", "", "too long", NULL },
		{ "{\"ask\":\"forgotten\"}", "", "a bug", NULL },
		{ "{\"ask\":\"status\"}", "", "\"role\":\"ledger\"", NULL },
		{ "{\"ask\":7}", "", "not a question", NULL },
		{ "{\"ask\":\"\"}", "", "not a question", NULL },
		{ "{\"ask\":\"echo\",\"ask\":\"echo\"}", "", "not a question", NULL },
		{ "[\"ask\"]", "", "not a question", NULL },
		{ "{", "", "not a question", NULL },
		{ "", "", "not a question", NULL },
	};
	struct fixture f;
	int admin;

	(void)state;
	begin_ready(&f);
	admin = open_peer(&f, IPC_ADMIN);
	for (uint64_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ask(admin, i, cases[i].json, cases[i].secret);
		expect_answer(admin, i, !cases[i].second, cases[i].first);
		if (cases[i].second)
			expect_answer(admin, i, true, cases[i].second);
	}
	assert_true(silent(&f, admin));
	close(admin);
	end(&f);
}

static void a_late_answer_finds_its_way_or_is_dropped(void **state)
{
	struct fixture f;
	int admin;

	(void)state;
	begin_ready(&f);
	admin = open_peer(&f, IPC_ADMIN);
	ask(admin, 1, "{\"ask\":\"later\"}", "");
	ask(admin, 2, "{\"ask\":\"now\"}", "");
	expect_answer(admin, 1, true, "later");
	expect_answer(admin, 2, true, "{}");

	/* admin dies and comes again: an answer to the old one is not for the new one. */
	ask(admin, 3, "{\"ask\":\"later\"}", "");
	close(admin);
	admin = open_peer(&f, IPC_ADMIN);
	ask(admin, 3, "{\"ask\":\"now\"}", "");
	expect_answer(admin, 3, true, "{}");
	assert_true(silent(&f, admin));
	close(admin);
	end(&f);
}

/* Only admin asks; whoever else does, or talks nonsense, is reported and cut off. */
static void a_broken_peer_is_reported(void **state)
{
	struct fixture f;
	struct ipc_message m;
	struct pollfd p;
	char byte;
	int smtp;

	(void)state;
	begin_ready(&f);
	for (int way = 0; way < 2; way++) {
		smtp = open_peer(&f, IPC_SMTP);
		if (way == 0)
			ask(smtp, 1, "{\"ask\":\"echo\"}", "");
		else
			assert_int_equal(send(smtp, "nonsense", 8, 0), 8);
		m = hear(f.main);
		assert_int_equal(m.type, IPC_TYPE_complain);
		assert_int_equal(m.complain.role, IPC_SMTP);
		assert_int_equal(m.complain.index, 0);
		p = (struct pollfd){ .fd = smtp, .events = POLLIN };
		assert_int_equal(poll(&p, 1, WAIT_MS), 1);
		assert_true(recv(smtp, &byte, 1, 0) <= 0);
		close(smtp);
	}
	/* A plain end is no fault. */
	smtp = open_peer(&f, IPC_SMTP);
	close(smtp);
	is_quiet(&f);
	end(&f);
}

static void configurations_follow_each_other(void **state)
{
	struct ipc_message m;
	struct fixture f;

	(void)state;
	begin_ready(&f);
	send_conf(&f, 2, "hostname: two.example.org\n");
	m = hear(f.main);
	assert_int_equal(m.ready.generation, 2);
	send_conf(&f, 3, "hostnmae: broken\n"); /* main would not have sent it */
	is_quiet(&f);
	send_conf(&f, 4, "hostname: three.example.org\n");
	m = hear(f.main);
	assert_int_equal(m.ready.generation, 4);
	end(&f);
}

static void what_cannot_start_ends(void **state)
{
	struct ipc_message m = { .type = IPC_TYPE_drain };
	struct fixture f;

	(void)state;
	begin(&f, &good);
	tell(f.main, &m, -1); /* before its configuration */
	assert_int_equal(ended(&f), 1);
	close(f.main);

	begin(&f, &good);
	send_conf(&f, 1, "hostnmae: broken\n");
	assert_int_equal(ended(&f), 1);
	close(f.main);

	begin(&f, &bad);
	send_conf(&f, 1, "");
	assert_int_equal(ended(&f), 1);
	close(f.main);
}

static json_int_t slowest_ms(int admin, uint64_t req)
{
	struct ipc_message m;
	json_int_t n;
	json_t *j;

	ask(admin, req, "{\"ask\":\"status\"}", "");
	m = hear(admin);
	assert_int_equal(m.type, IPC_TYPE_response);
	j = json_loadb((const char *)m.response.json.p, m.response.json.n, 0, NULL);
	assert_non_null(json_object_get(j, "slowest_turn_ms"));
	n = json_integer_value(json_object_get(j, "slowest_turn_ms"));
	json_decref(j);
	return n;
}

/* A turn over 50 ms is counted, with what it did; one that the loop slept through is not.  On a busy machine
 * any turn may be over 50 ms, but none is as long as these. */
static void slow_turns_are_named(void **state)
{
	struct fixture f;
	int admin;

	(void)state;
	begin_ready(&f);
	admin = open_peer(&f, IPC_ADMIN);
	is_quiet(&f);
	usleep(SLOW_MS * 1000);
	is_quiet(&f); /* what it slept through is behind it */
	assert_true(slowest_ms(admin, 1) < SLOW_MS);
	ask(admin, 2, "{\"ask\":\"slow\"}", "");
	expect_answer(admin, 2, true, "{}");
	is_quiet(&f); /* that turn is over */
	assert_true(slowest_ms(admin, 3) >= SLOW_MS - 10);
	ask(admin, 4, "{\"ask\":\"status\"}", "");
	expect_answer(admin, 4, true, "\"slowest_turn\":\"request\"");
	close(admin);
	end(&f);
}

static void its_heart_beats(void **state)
{
	struct ipc_message m = { .type = IPC_TYPE_ping, .ping = { 7 } };
	struct fixture f;

	(void)state;
	begin_ready(&f);
	for (; m.ping.number < 10; m.ping.number++) {
		struct ipc_message a;

		tell(f.main, &m, -1);
		a = hear(f.main);
		assert_int_equal(a.type, IPC_TYPE_pong);
		assert_int_equal(a.pong.number, m.ping.number);
	}
	end(&f);
}

static void without_main_it_ends(void **state)
{
	struct fixture f;

	(void)state;
	begin_ready(&f);
	close(f.main);
	assert_int_equal(ended(&f), 0);
}

static void signals_are_mains_business(void **state)
{
	struct fixture f;

	(void)state;
	begin_ready(&f);
	kill(f.pid, SIGTERM);
	kill(f.pid, SIGINT);
	kill(f.pid, SIGHUP);
	is_quiet(&f); /* they were delivered before it ran again */
	assert_int_equal(waitpid(f.pid, NULL, WNOHANG), 0);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(questions_are_answered),
		cmocka_unit_test(a_late_answer_finds_its_way_or_is_dropped),
		cmocka_unit_test(a_broken_peer_is_reported),
		cmocka_unit_test(configurations_follow_each_other),
		cmocka_unit_test(what_cannot_start_ends),
		cmocka_unit_test(slow_turns_are_named),
		cmocka_unit_test(its_heart_beats),
		cmocka_unit_test(without_main_it_ends),
		cmocka_unit_test(signals_are_mains_business),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
