/* queue_world.h - for tests only: queue and local as the processes they are.
 *
 * The test plays main, smtp and admin at the other ends of the channels; what the
 * two keep lies in a folder of its own.  Everything is static: each test program has
 * its own world.
 */
#ifndef POSTERN_ROLE_QUEUE_WORLD_H
#define POSTERN_ROLE_QUEUE_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/id.h"
#include "ipc/raw.h"
#include "role/role.h"

#define WAIT_MS 60000 /* for what must come: nobody waits for long where all is well */
/* More of the configuration. */
#ifndef WORLD_CONF
#define WORLD_CONF ""
#endif

struct proc {
	pid_t pid;
	int control;
};

static struct world {
	char dir[64];
	struct proc queue, local;
	int smtp, admin, ledger; /* our ends of the channels to queue */
	struct id_source ids;
	uint64_t tx;
} w;

static __attribute__((unused)) uint64_t world_ms(void)
{
	return uv_hrtime() / 1000000;
}

/* Until it is so; whether it is. */
#define WAIT_FOR(fact)                                                                    \
	({                                                                                \
		for (uint64_t end_ = world_ms() + WAIT_MS; !(fact) && world_ms() < end_;) \
			usleep(10000);                                                    \
		(fact);                                                                   \
	})

/* ---- messages ---- */

static __attribute__((unused)) void send_msg(int fd, const struct ipc_message *m, int pass)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct buf b;
	struct iovec iov;
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	buf_init(&b, IPC_PACKET_MAX);
	ipc_encode(m, &b);
	assert_true(buf_ok(&b));
	iov = (struct iovec){ b.p + b.from, b.n };
	if (pass >= 0) {
		struct cmsghdr *c;

		msg.msg_control = control;
		msg.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &pass, sizeof(pass));
	}
	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLOUT };

		if (sendmsg(fd, &msg, MSG_NOSIGNAL) >= 0 || errno != EAGAIN)
			break;
		poll(&p, 1, WAIT_MS);
	}
	buf_done(&b);
}

/* The next message of that type; others are passed over.  False when none came. */
static __attribute__((unused)) bool recv_msg(int fd, enum ipc_type type, struct ipc_message *ret, int wait_ms)
{
	while (raw_waits(fd, wait_ms)) {
		int r = raw_take(fd, ret);

		if (r == -1)
			return false;
		assert_int_equal(r, 0);
		if (ret->type == type)
			return true;
	}
	return false;
}

/* ---- processes ---- */

static __attribute__((unused)) int pair_with(struct proc *p, enum ipc_role as)
{
	struct ipc_message m = { .type = IPC_TYPE_peer, .peer = { .role = (uint8_t)as } };
	int fd[2];

	assert_int_equal(channel_pair(fd), 0);
	send_msg(p->control, &m, fd[1]);
	close(fd[1]);
	return fd[0];
}

static __attribute__((unused)) void start(struct proc *p, const struct role_ops *ops)
{
	struct ipc_message m = { .type = IPC_TYPE_conf,
				 .conf = { .generation = 1, .file = SLICE_LIT("test.conf") } };
	int fd[2], text = memfd_create("conf", 0);

	assert_int_equal(channel_pair(fd), 0);
	p->pid = fork();
	assert_true(p->pid >= 0);
	if (p->pid == 0) {
		close(fd[0]);
		_exit(role_run(ops, 0, fd[1], false));
	}
	close(fd[1]);
	p->control = fd[0];
	dprintf(text,
		"hostname: mx.test\nstate_dir: %s/state\nmailboxes: {dir: %s/mail}\nruntime_dir: %s/run\n"
		"log: {level: error}\nspool: {free_min: 0}\n" WORLD_CONF,
		w.dir, w.dir, w.dir);
	send_msg(p->control, &m, text);
	close(text);
	if (!recv_msg(p->control, IPC_TYPE_ready, &m, WAIT_MS))
		fail_msg("a role did not become ready");
}

static __attribute__((unused)) void stop(struct proc *p)
{
	if (p->pid > 0) {
		kill(p->pid, SIGKILL);
		waitpid(p->pid, NULL, 0);
		close(p->control);
	}
	p->pid = 0;
}

static __attribute__((unused)) void introduce(void)
{
	struct ipc_message to_queue = { .type = IPC_TYPE_peer, .peer = { .role = IPC_LOCAL } };
	struct ipc_message to_local = { .type = IPC_TYPE_peer, .peer = { .role = IPC_QUEUE } };
	int fd[2];

	assert_int_equal(channel_pair(fd), 0);
	send_msg(w.queue.control, &to_queue, fd[0]);
	send_msg(w.local.control, &to_local, fd[1]);
	close(fd[0]);
	close(fd[1]);
}

static __attribute__((unused)) void start_queue(void)
{
	struct ipc_message m;

	start(&w.queue, &role_queue);
	w.smtp = pair_with(&w.queue, IPC_SMTP);
	w.admin = pair_with(&w.queue, IPC_ADMIN);
	w.ledger = pair_with(&w.queue, IPC_LEDGER); /* who does not listen */
	assert_true(recv_msg(w.smtp, IPC_TYPE_accepting, &m, WAIT_MS));
	assert_int_equal(m.accepting.result, 0);
}

static __attribute__((unused)) void stop_queue(void)
{
	stop(&w.queue);
	close(w.smtp);
	close(w.admin);
	close(w.ledger);
}

static __attribute__((unused)) void start_local(void)
{
	start(&w.local, &role_local);
	introduce();
}

static __attribute__((unused)) int set_up(void **state)
{
	char path[128];

	(void)state;
	memset(&w, 0, sizeof(w));
	snprintf(w.dir, sizeof(w.dir), "/tmp/queue-test-XXXXXX");
	if (!mkdtemp(w.dir))
		return -1;
	for (const char *const *d = (const char *const[]){ "state", "state/spool", "mail", "run", NULL }; *d;
	     d++) {
		snprintf(path, sizeof(path), "%s/%s", w.dir, *d);
		mkdir(path, 0700);
	}
	id_source_init(&w.ids, 1);
	start_queue();
	return 0;
}

static __attribute__((unused)) int rm(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static __attribute__((unused)) int tear_down(void **state)
{
	(void)state;
	stop_queue();
	stop(&w.local);
	return nftw(w.dir, rm, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- a message in ---- */

static __attribute__((unused)) void put_rcpt(uint64_t tx, uint8_t kind, const char *address,
					     const char *mailbox)
{
	struct ipc_message m = { .type = IPC_TYPE_rcpt,
				 .rcpt = { .tx = tx,
					   .kind = kind,
					   .address = slice_str(address),
					   .original = slice_str(address),
					   .mailbox = slice_str(mailbox) } };

	send_msg(w.smtp, &m, -1);
}

static __attribute__((unused)) void put_body(uint64_t tx, struct slice body)
{
	int64_t window = IPC_BODY_WINDOW;

	do {
		struct ipc_message m = { .type = IPC_TYPE_body,
					 .body = { .tx = tx, .data = slice_head(body, 40000) } };
		struct ipc_message credit;

		while (window < (int64_t)m.body.data.n) {
			assert_true(recv_msg(w.smtp, IPC_TYPE_credit, &credit, WAIT_MS));
			assert_int_equal(credit.credit.tx, tx);
			window += credit.credit.octets;
		}
		window -= (int64_t)m.body.data.n;
		send_msg(w.smtp, &m, -1);
		body = slice_tail(body, 40000);
	} while (body.n > 0);
}

/* Asks for the commit; what queue answers. */
static __attribute__((unused)) unsigned put_commit(uint64_t tx, const struct id *id, uint64_t size)
{
	struct ipc_message m = { .type = IPC_TYPE_commit,
				 .commit = { .tx = tx,
					     .id = id_slice(id),
					     .time_ms = 1800000000000,
					     .body_size = size,
					     .sender = SLICE_LIT("ann@example.org"),
					     .listener = SLICE_LIT("submission"),
					     .headers = SLICE_LIT("Received: by the test\r\n") } };

	send_msg(w.smtp, &m, -1);
	if (!recv_msg(w.smtp, IPC_TYPE_stored, &m, WAIT_MS))
		fail_msg("the commit was not answered");
	assert_int_equal(m.stored.tx, tx);
	return m.stored.result;
}

static __attribute__((unused)) struct id submit(const char *user, struct slice body)
{
	struct id id = id_next(&w.ids, 1800000000000);
	char address[128], mailbox[128];

	snprintf(address, sizeof(address), "%s@example.org", user);
	snprintf(mailbox, sizeof(mailbox), "example.org/%s", user);
	put_rcpt(++w.tx, IPC_TARGET_MAILBOX, address, mailbox);
	put_body(w.tx, body);
	assert_int_equal(put_commit(w.tx, &id, body.n), 0);
	return id;
}

/* ---- what came of it ---- */

static __attribute__((unused)) int in_mailbox(const char *user, char *name, size_t size)
{
	char path[256];
	struct dirent *e;
	int n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "%s/mail/example.org/%s/new", w.dir, user);
	d = opendir(path);
	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.') {
			n++;
			if (name)
				snprintf(name, size, "%s/%s", path, e->d_name);
		}
	if (d)
		closedir(d);
	return n;
}

static __attribute__((unused)) int wait_mailbox(const char *user, int want)
{
	(void)WAIT_FOR(in_mailbox(user, NULL, 0) >= want);
	return in_mailbox(user, NULL, 0);
}

/* All parts of the answer. */
static __attribute__((unused)) json_t *ask(const char *fmt, ...)
{
	struct ipc_message m = { .type = IPC_TYPE_request, .request = { .req = 9 } };
	json_t *all = json_array(), *q;
	json_error_t err;
	char *text;
	va_list ap;

	va_start(ap, fmt);
	q = json_vpack_ex(&err, 0, fmt, ap);
	va_end(ap);
	assert_non_null(q);
	text = json_dumps(q, JSON_COMPACT);
	json_decref(q);
	m.request.json = slice_str(text);
	send_msg(w.admin, &m, -1);
	free(text);
	do {
		assert_true(recv_msg(w.admin, IPC_TYPE_response, &m, WAIT_MS));
		json_array_append_new(all, json_loadb((const char *)m.response.json.p, m.response.json.n, 0,
						      NULL));
	} while (!m.response.last);
	return all;
}

static __attribute__((unused)) void assert_answer(json_t *all, size_t part, const char *key, const char *want)
{
	json_t *v = json_object_get(json_array_get(all, part), key);

	if (!v || strcmp(json_string_value(v) ? json_string_value(v) : "", want) != 0)
		fail_msg("part %zu: %s should be \"%s\": %s", part, key, want, json_dumps(all, 0));
	json_decref(all);
}

/* The rows of `queue list`, one way or another limited. */
static __attribute__((unused)) json_t *rows(const char *key, const char *value)
{
	json_t *all =
		key ? ask("{s:s, s:s}", "ask", "queue.list", key, value) : ask("{s:s}", "ask", "queue.list");
	json_t *list = json_array(), *part;
	size_t i;

	json_array_foreach(all, i, part) json_array_extend(list, json_object_get(part, "messages"));
	json_decref(all);
	return list;
}

static __attribute__((unused)) size_t listed(const char *key, const char *value)
{
	json_t *list = rows(key, value);
	size_t n = json_array_size(list);

	json_decref(list);
	return n;
}

/* So many are listed, and not one more or less, once queue knows all that is to be known. */
static __attribute__((unused)) void wait_listed(const char *key, const char *value, size_t n)
{
	if (!WAIT_FOR(listed(key, value) == n))
		assert_int_equal(listed(key, value), n);
}

static __attribute__((unused)) void wait_state(const char *state, size_t n)
{
	wait_listed("state", state, n);
}

static __attribute__((unused)) void wait_empty(void)
{
	wait_listed(NULL, NULL, 0);
}

#define WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

#endif
