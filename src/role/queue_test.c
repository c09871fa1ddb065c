/* Queue and local as the processes they are; the test plays main, smtp and admin. */
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
#include "role/role.h"

#define WAIT_MS 20000

struct proc {
	pid_t pid;
	int control;
};

static struct world {
	char dir[64];
	struct proc queue, local;
	int smtp, admin; /* our ends of the channels to queue */
	struct id_source ids;
	uint64_t tx;
	unsigned char packet[IPC_PACKET_MAX];
} w;

/* ---- messages ---- */

static void send_msg(int fd, const struct ipc_message *m, int pass)
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
static bool recv_msg(int fd, enum ipc_type type, struct ipc_message *ret, int wait_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	while (poll(&p, 1, wait_ms) > 0) {
		ssize_t n = recv(fd, w.packet, sizeof(w.packet), MSG_DONTWAIT);

		if (n <= 0)
			return false;
		assert_true(ipc_decode(slice_of(w.packet, (size_t)n), ret));
		if (ret->type == type)
			return true;
	}
	return false;
}

/* ---- processes ---- */

static int pair_with(struct proc *p, enum ipc_role as)
{
	struct ipc_message m = { .type = IPC_TYPE_peer, .peer = { .role = (uint8_t)as } };
	int fd[2];

	assert_int_equal(channel_pair(fd), 0);
	send_msg(p->control, &m, fd[1]);
	close(fd[1]);
	return fd[0];
}

static void start(struct proc *p, const struct role_ops *ops)
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
		"log: {level: error}\nspool: {free_min: 0}\n",
		w.dir, w.dir, w.dir);
	send_msg(p->control, &m, text);
	close(text);
	if (!recv_msg(p->control, IPC_TYPE_ready, &m, WAIT_MS))
		fail_msg("a role did not become ready");
}

static void stop(struct proc *p)
{
	if (p->pid > 0) {
		kill(p->pid, SIGKILL);
		waitpid(p->pid, NULL, 0);
		close(p->control);
	}
	p->pid = 0;
}

static void introduce(void)
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

static void start_queue(void)
{
	struct ipc_message m;

	start(&w.queue, &role_queue);
	w.smtp = pair_with(&w.queue, IPC_SMTP);
	w.admin = pair_with(&w.queue, IPC_ADMIN);
	assert_true(recv_msg(w.smtp, IPC_TYPE_accepting, &m, WAIT_MS));
	assert_int_equal(m.accepting.result, 0);
}

static void stop_queue(void)
{
	stop(&w.queue);
	close(w.smtp);
	close(w.admin);
}

static void start_local(void)
{
	start(&w.local, &role_local);
	introduce();
}

static int set_up(void **state)
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

static int rm(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static int tear_down(void **state)
{
	(void)state;
	stop_queue();
	stop(&w.local);
	return nftw(w.dir, rm, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- a message in ---- */

static void put_rcpt(uint64_t tx, uint8_t kind, const char *address, const char *mailbox)
{
	struct ipc_message m = { .type = IPC_TYPE_rcpt,
				 .rcpt = { .tx = tx,
					   .kind = kind,
					   .address = slice_str(address),
					   .original = slice_str(address),
					   .mailbox = slice_str(mailbox) } };

	send_msg(w.smtp, &m, -1);
}

static void put_body(uint64_t tx, struct slice body)
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
static unsigned put_commit(uint64_t tx, const struct id *id, uint64_t size)
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

static struct id submit(const char *user, struct slice body)
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

static int in_mailbox(const char *user, char *name, size_t size)
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

static int wait_mailbox(const char *user, int want)
{
	for (int i = 0; i < WAIT_MS / 20 && in_mailbox(user, NULL, 0) < want; i++)
		usleep(20000);
	return in_mailbox(user, NULL, 0);
}

/* All parts of the answer. */
static json_t *ask(const char *fmt, ...)
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

static void assert_answer(json_t *all, size_t part, const char *key, const char *want)
{
	json_t *v = json_object_get(json_array_get(all, part), key);

	if (!v || strcmp(json_string_value(v) ? json_string_value(v) : "", want) != 0)
		fail_msg("part %zu: %s should be \"%s\": %s", part, key, want, json_dumps(all, 0));
	json_decref(all);
}

/* The rows of `queue list`, one way or another limited. */
static json_t *rows(const char *key, const char *value)
{
	json_t *all =
		key ? ask("{s:s, s:s}", "ask", "queue.list", key, value) : ask("{s:s}", "ask", "queue.list");
	json_t *list = json_array(), *part;
	size_t i;

	json_array_foreach(all, i, part) json_array_extend(list, json_object_get(part, "messages"));
	json_decref(all);
	return list;
}

static size_t listed(const char *key, const char *value)
{
	json_t *list = rows(key, value);
	size_t n = json_array_size(list);

	json_decref(list);
	return n;
}

static void wait_empty(void)
{
	for (int i = 0; i < WAIT_MS / 20 && listed(NULL, NULL) > 0; i++)
		usleep(20000);
	assert_int_equal(listed(NULL, NULL), 0);
}

/* ---- tests ---- */

static void test_into_the_mailbox(void **state)
{
	char name[512], text[1024];
	ssize_t n;
	int fd;

	(void)state;
	start_local();
	submit("bob", SLICE_LIT("Subject: hello\r\n\r\nfirst\r\n"));
	assert_int_equal(wait_mailbox("bob", 1), 1);
	in_mailbox("bob", name, sizeof(name));
	fd = open(name, O_RDONLY);
	n = read(fd, text, sizeof(text) - 1);
	assert_true(n > 0);
	close(fd);
	text[n] = '\0';
	assert_string_equal(text, "Return-Path: <ann@example.org>\nDelivered-To: bob@example.org\n"
				  "Received: by the test\nSubject: hello\n\nfirst\n");
	wait_empty();
}

static void test_large_body(void **state)
{
	enum { SIZE = 5 * 1000 * 1000 };
	char *body = malloc(SIZE), *got = malloc(SIZE), name[512];
	ssize_t n, head = sizeof("Return-Path: <ann@example.org>\nDelivered-To: bob@example.org\n"
				 "Received: by the test\n") -
			  1;
	int fd;

	(void)state;
	start_local();
	for (size_t i = 0; i < SIZE; i++)
		body[i] = (char)('a' + i * 7 % 23);
	memcpy(body, "A: b\r\n\r\n", 8);
	submit("bob", slice_of(body, SIZE));
	assert_int_equal(wait_mailbox("bob", 1), 1);
	in_mailbox("bob", name, sizeof(name));
	fd = open(name, O_RDONLY);
	assert_int_equal(lseek(fd, 0, SEEK_END), head + SIZE - 2);
	n = pread(fd, got, SIZE - 8, head + 6);
	assert_int_equal(n, SIZE - 8);
	assert_memory_equal(got, body + 8, SIZE - 8);
	close(fd);
	free(body);
	free(got);
	wait_empty();
}

static void test_many_recipients(void **state)
{
	struct id id = id_next(&w.ids, 1800000000000);
	char address[64], mailbox[64];

	(void)state;
	start_local();
	w.tx++;
	put_body(w.tx, SLICE_LIT("Subject: all\r\n\r\nx\r\n"));
	for (int i = 0; i < 250; i++) {
		snprintf(address, sizeof(address), "u%d@example.org", i);
		snprintf(mailbox, sizeof(mailbox), "example.org/u%d", i);
		put_rcpt(w.tx, IPC_TARGET_MAILBOX, address, mailbox);
	}
	assert_int_equal(put_commit(w.tx, &id, 19), 0);
	wait_empty();
	for (int i = 0; i < 250; i++) {
		snprintf(address, sizeof(address), "u%d", i);
		assert_int_equal(in_mailbox(address, NULL, 0), 1);
	}
}

static void test_rules_of_a_transaction(void **state)
{
	struct id id = id_next(&w.ids, 1800000000000), other = id_next(&w.ids, 1800000000000);
	struct ipc_message drop = { .type = IPC_TYPE_drop, .drop = { .tx = 5 } };

	(void)state;
	put_rcpt(1, IPC_TARGET_MAILBOX, "bob@example.org", "example.org/bob");
	put_body(1, SLICE_LIT("x\r\n"));
	assert_int_equal(put_commit(1, &id, 4), EPROTO); /* not what came */
	put_body(2, SLICE_LIT("x\r\n"));
	assert_int_equal(put_commit(2, &id, 3), EPROTO); /* for nobody */
	assert_int_equal(put_commit(3, &id, 0), EPROTO); /* never begun */
	put_rcpt(4, IPC_TARGET_MAILBOX, "bob@example.org", "example.org/bob");
	put_body(4, SLICE_LIT("x\r\n"));
	assert_int_equal(put_commit(4, &id, 3), 0);
	put_rcpt(5, IPC_TARGET_MAILBOX, "bob@example.org", "example.org/bob");
	put_body(5, SLICE_LIT("x\r\n"));
	assert_int_equal(put_commit(5, &id, 3), EEXIST);
	put_rcpt(5, IPC_TARGET_MAILBOX, "bob@example.org", "example.org/bob");
	put_body(5, SLICE_LIT("x\r\n"));
	send_msg(w.smtp, &drop, -1);
	assert_int_equal(put_commit(5, &other, 3), EPROTO);
	assert_int_equal(listed(NULL, NULL), 1);
	assert_int_equal(listed("state", "queued"), 1); /* local is away */
	/* Nobody's transaction outlives its channel. */
	put_rcpt(6, IPC_TARGET_MAILBOX, "bob@example.org", "example.org/bob");
	put_body(6, SLICE_LIT("x\r\n"));
	close(w.smtp);
	w.smtp = pair_with(&w.queue, IPC_SMTP);
	assert_int_equal(put_commit(6, &other, 3), EPROTO);
}

static void test_local_comes_late(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++)
		submit("bob", SLICE_LIT("Subject: x\r\n\r\nx\r\n"));
	assert_int_equal(listed("state", "queued"), 20);
	start_local();
	wait_empty();
	assert_int_equal(in_mailbox("bob", NULL, 0), 20);
}

/* Nothing is lost, whoever dies; what was under way may come twice. */
static void test_killed_in_the_middle(void **state)
{
	(void)state;
	start_local();
	for (int i = 0; i < 30; i++)
		submit("bob", SLICE_LIT("Subject: x\r\n\r\nx\r\n"));
	stop(&w.local);
	for (int i = 0; i < 30; i++)
		submit("eve", SLICE_LIT("Subject: x\r\n\r\nx\r\n"));
	start_local();
	usleep(1000);
	stop_queue();
	start_queue();
	introduce();
	wait_empty();
	assert_true(in_mailbox("bob", NULL, 0) >= 30);
	assert_true(in_mailbox("eve", NULL, 0) >= 30);
}

static void test_remote_waits(void **state)
{
	struct id id = id_next(&w.ids, 1800000000000);

	(void)state;
	start_local();
	put_rcpt(1, IPC_TARGET_REMOTE, "x@example.net", "");
	put_rcpt(1, IPC_TARGET_MAILBOX, "bob@example.org", "example.org/bob");
	put_body(1, SLICE_LIT("Subject: x\r\n\r\nx\r\n"));
	assert_int_equal(put_commit(1, &id, 17), 0);
	assert_int_equal(wait_mailbox("bob", 1), 1);
	for (int again = 0; again < 2; again++) {
		json_t *list, *row;

		for (int i = 0; i < 100 && listed("state", "waiting") == 0; i++)
			usleep(20000);
		list = rows("domain", "example.net");
		assert_int_equal(json_array_size(list), 1);
		row = json_array_get(list, 0);
		assert_string_equal(json_string_value(json_object_get(row, "state")), "waiting");
		assert_int_equal(json_array_size(json_object_get(row, "to")), 1);
		assert_non_null(strstr(json_string_value(json_object_get(row, "reason")), "no relay yet"));
		json_decref(list);
		stop_queue(); /* and so it stays */
		start_queue();
		introduce();
	}
	assert_int_equal(in_mailbox("bob", NULL, 0), 1);
}

static void test_hold_and_remove(void **state)
{
	struct id a = submit("bob", SLICE_LIT("Subject: a\r\n\r\nx\r\n"));
	struct id b = submit("eve", SLICE_LIT("Subject: b\r\n\r\nx\r\n"));

	(void)state;
	json_decref(ask("{s:s, s:s}", "ask", "queue.hold", "id", a.text));
	json_decref(ask("{s:s, s:s}", "ask", "queue.hold", "id", b.text));
	stop_queue();
	start_queue();
	start_local();
	usleep(300000);
	assert_int_equal(listed("state", "held"), 2);
	assert_int_equal(listed("recipient", "BOB@example.org"), 1);
	assert_int_equal(listed("recipient", "nobody@example.org"), 0);
	json_decref(ask("{s:s, s:b, s:s}", "ask", "queue.remove", "all", 1, "recipient", "eve@example.org"));
	assert_answer(ask("{s:s, s:s}", "ask", "queue.show", "id", b.text), 0, "error", "no such message");
	assert_answer(ask("{s:s, s:s}", "ask", "queue.hold", "id", "nonsense"), 0, "error",
		      "not a message id");
	assert_answer(ask("{s:s, s:s}", "ask", "queue.hold", "id", b.text), 0, "error", "no such message");
	json_decref(ask("{s:s, s:s}", "ask", "queue.release", "id", a.text));
	assert_int_equal(wait_mailbox("bob", 1), 1);
	wait_empty();
	assert_int_equal(in_mailbox("eve", NULL, 0), 0);
}

static void test_show_and_cat(void **state)
{
	struct id id = submit("bob", SLICE_LIT("Subject: a\r\n\r\nb\xff\r\n"));
	json_t *all, *part;
	size_t i;

	(void)state;
	all = ask("{s:s, s:s}", "ask", "queue.show", "id", id.text);
	part = json_object_get(json_array_get(all, 0), "message");
	assert_string_equal(json_string_value(json_object_get(part, "sender")), "ann@example.org");
	part = json_object_get(json_array_get(all, 1), "headers");
	assert_string_equal(json_string_value(part), "Received: by the test\r\nSubject: a\r\n");
	part = json_array_get(json_object_get(json_array_get(all, 2), "recipients"), 0);
	assert_string_equal(json_string_value(json_object_get(part, "state")), "queued");
	assert_string_equal(json_string_value(json_object_get(part, "mailbox")), "example.org/bob");
	json_decref(all);
	all = ask("{s:s, s:s}", "ask", "queue.cat", "id", id.text);
	assert_string_equal(json_string_value(json_object_get(json_array_get(all, 0), "text")),
			    "Received: by the test\r\n");
	json_array_foreach(all, i, part) if (json_object_get(part, "base64"))
		assert_string_equal(json_string_value(json_object_get(part, "base64")),
				    "U3ViamVjdDogYQ0KDQpi/w0K");
	json_decref(all);
}

/* A mailbox that cannot be written to is tried again, and an operator may hurry it. */
static void test_deferred_and_failed(void **state)
{
	char path[128];
	json_t *list;
	struct id id;
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/mail/example.org", w.dir);
	fd = open(path, O_CREAT | O_WRONLY, 0600); /* a file where a folder belongs */
	close(fd);
	start_local();
	id = submit("bob", SLICE_LIT("Subject: a\r\n\r\nx\r\n"));
	for (int i = 0; i < 200 && listed("state", "deferred") == 0; i++)
		usleep(20000);
	for (int again = 0; again < 2; again++) {
		list = rows("state", "deferred");
		assert_int_equal(json_array_size(list), 1);
		assert_non_null(strstr(json_string_value(json_object_get(json_array_get(list, 0), "reason")),
				       "folder"));
		json_decref(list);
		stop_queue(); /* what was said is remembered, and it is not tried at once */
		start_queue();
		introduce();
		usleep(200000);
	}
	unlink(path);
	json_decref(ask("{s:s, s:s}", "ask", "queue.retry", "id", id.text));
	assert_int_equal(wait_mailbox("bob", 1), 1);

	put_rcpt(++w.tx, IPC_TARGET_MAILBOX, "eve@example.org", "example.org/../../eve");
	put_body(w.tx, SLICE_LIT("x\r\n"));
	id = id_next(&w.ids, 1800000000000);
	assert_int_equal(put_commit(w.tx, &id, 3), 0);
	for (int i = 0; i < 200 && listed("state", "failed") == 0; i++)
		usleep(20000);
	stop_queue();
	start_queue();
	assert_int_equal(listed("state", "failed"), 1); /* never lost */
}

/* Turns one octet of what the spool has stored; how often the text was found. */
static int spoil(const char *text)
{
	char cmd[256];
	struct dirent *e;
	int found = 0;
	DIR *d;

	snprintf(cmd, sizeof(cmd), "%s/state/spool", w.dir);
	d = opendir(cmd);
	assert_non_null(d);
	while ((e = readdir(d))) {
		int fd = openat(dirfd(d), e->d_name, O_RDWR);
		off_t n = fd >= 0 ? lseek(fd, 0, SEEK_END) : 0;
		char *all = n > 0 ? malloc((size_t)n) : NULL, *at;

		if (all && pread(fd, all, (size_t)n, 0) == n &&
		    (at = memmem(all, (size_t)n, text, strlen(text)))) {
			assert_int_equal(pwrite(fd, "\xff", 1, at - all), 1);
			found++;
		}
		free(all);
		if (fd >= 0)
			close(fd);
	}
	closedir(d);
	return found;
}

/* What the disk spoiled is neither delivered nor dropped, and harms nobody else. */
static void test_damaged(void **state)
{
	(void)state;
	submit("bob", SLICE_LIT("Subject: a\r\n\r\nspoil me\r\n"));
	submit("bob", SLICE_LIT("Subject: b\r\n\r\nsound\r\n"));
	stop_queue();
	assert_int_equal(spoil("spoil me"), 1);
	start_queue();
	start_local();
	assert_int_equal(wait_mailbox("bob", 1), 1);
	for (int i = 0; i < 100 && listed("state", "damaged") + listed("state", "failed") == 0; i++)
		usleep(20000);
	assert_int_equal(listed("state", "damaged") + listed("state", "failed"), 1);
	assert_int_equal(listed(NULL, NULL), 1);
	assert_int_equal(in_mailbox("bob", NULL, 0), 1);
}

#define WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD(test_into_the_mailbox), WORLD(test_large_body),
		WORLD(test_many_recipients),  WORLD(test_rules_of_a_transaction),
		WORLD(test_local_comes_late), WORLD(test_killed_in_the_middle),
		WORLD(test_remote_waits),     WORLD(test_hold_and_remove),
		WORLD(test_show_and_cat),     WORLD(test_deferred_and_failed),
		WORLD(test_damaged),
	};

	signal(SIGPIPE, SIG_IGN);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
