/* postern dovecot-login: what Dovecot's passdb "checkpassword" runs for each login.
 *
 * Name and password come on descriptor 3, each ending with NUL; on success the program
 * that the arguments name is run, with USER in its environment.  Exit status: 1 wrong,
 * 111 try again later.  The interface: https://cr.yp.to/checkpwd/interface.html; the
 * environment variables TCPREMOTEIP and SERVICE are Dovecot's.
 */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "cli/cli.h"
#include "dovecot/dict.h"
#include "ipc/message.h"

#define SOCKET_USUAL "/run/postern/dovecot.sock"
#define PATIENCE_S   45 /* the server gives up before */
#define LOGIN_FD     3
#define LOGIN_MAX    (IPC_ADDRESS_MAX + IPC_SECRET_MAX + 64)

enum { WRONG = 1, LATER = 111 };

static int later(const char *what)
{
	fprintf(stderr, "postern dovecot-login: %s: %s\n", what, strerror(errno));
	return LATER;
}

static bool read_login(struct buf *to)
{
	for (;;) {
		unsigned char *p;
		size_t room = buf_reserve(to, LOGIN_MAX, &p);
		ssize_t n = room > 0 ? read(LOGIN_FD, p, room) : 0;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n == 0 && room > 0;
		buf_filled(to, (size_t)n);
	}
}

static bool put_question(struct slice login, struct buf *to)
{
	struct slice user, password;

	if (!cur_until(&login, 0, &user) || !cur_until(&login, 0, &password))
		return false;
	buf_str(to, "H3\t2\t0\t\tpostern\nP");
	dovecot_escape(user, to);
	buf_byte(to, '\t');
	dovecot_escape(password, to);
	buf_byte(to, '\t');
	dovecot_escape(slice_str(getenv("SERVICE")), to);
	buf_byte(to, '\t');
	dovecot_escape(slice_str(getenv("TCPREMOTEIP")), to);
	buf_byte(to, '\n');
	return buf_ok(to);
}

static int connect_to(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct timeval patience = { .tv_sec = PATIENCE_S };
	int fd;

	if (!slice_copy(slice_str(path), at.sun_path, sizeof(at.sun_path))) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0)
		return fd;
	close(fd);
	return -1;
}

static bool send_all(int fd, struct slice s)
{
	while (s.n > 0) {
		ssize_t n = send(fd, s.p, s.n, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		s = slice_tail(s, (size_t)n);
	}
	return true;
}

/* One line, without its LF. */
static bool read_reply(int fd, struct buf *to)
{
	for (;;) {
		unsigned char *p;
		size_t room = buf_reserve(to, 4096, &p);
		ssize_t n = room > 0 ? recv(fd, p, room, 0) : 0;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			if (n == 0)
				errno = ECONNRESET;
			return false;
		}
		buf_filled(to, (size_t)n);
		if (to->p[to->from + to->n - 1] == '\n')
			return true;
	}
}

static int succeed(struct buf *reply, char **argv)
{
	unsigned char *p = reply->p + reply->from + 1;
	size_t n = reply->n - 2;
	json_t *value = dovecot_unescape(p, &n) ? json_loadb((const char *)p, n, 0, NULL) : NULL;
	const char *user = json_string_value(json_object_get(value, "user"));

	errno = EPROTO;
	if (!user || setenv("USER", user, 1) < 0)
		return later("the server's answer");
	/* What is left of our own environment is nobody's home. */
	unsetenv("HOME");
	unsetenv("SHELL");
	unsetenv("EXTRA");
	execv(argv[0], argv);
	return later(argv[0]);
}

static int ask(const char *path, struct slice question, char **argv)
{
	struct buf reply;
	int fd = connect_to(path), r;

	if (fd < 0)
		return later(path);
	buf_init(&reply, 2 * DOVECOT_VALUE_MAX + 2);
	if (!send_all(fd, question) || !read_reply(fd, &reply))
		r = later(path);
	else if (reply.p[reply.from] == 'O' && reply.n > 2)
		r = succeed(&reply, argv);
	else
		r = reply.p[reply.from] == 'N' ? WRONG : LATER;
	if (r == LATER && reply.n > 2 && reply.p[reply.from] == 'F')
		fprintf(stderr, "postern dovecot-login: %.*s\n", (int)reply.n - 2, reply.p + reply.from + 1);
	buf_done(&reply);
	close(fd);
	return r;
}

int cli_dovecot_login(int argc, char **argv)
{
	static const struct option options[] = { { "socket", required_argument, NULL, 's' }, { 0 } };
	const char *path = SOCKET_USUAL;
	struct buf login, question;
	int opt, r;

	while ((opt = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		if (opt != 's')
			return cli_usage_only(argv[0]);
		path = optarg;
	}
	if (optind == argc)
		return cli_usage(argv[0], "Dovecot runs this, and says which program comes next");
	/* Asked about a user without a password: that is the userdb's business. */
	if (getenv("AUTHORIZED"))
		return LATER;
	buf_init(&login, LOGIN_MAX);
	buf_init(&question, DOVECOT_LINE_MAX + 64);
	if (!read_login(&login))
		r = later("name and password");
	else
		r = put_question(buf_slice(&login), &question)
			    ? ask(path, buf_slice(&question), argv + optind)
			    : WRONG;
	buf_wipe(&login);
	buf_wipe(&question);
	return r;
}
