#include "cli/control.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "cli/cli.h"
#include "conf/conf.h"
#include "conf/file.h"
#include "ipc/message.h"

#define ANSWER_TIMEOUT_MS 30000 /* from one part to the next; a password hash may wait its turn */

static struct {
	const char *socket, *file;
} where;

bool control_option(int opt, const char *arg)
{
	if (opt == 'c')
		where.file = arg;
	else if (opt == CONTROL_OPT_SOCKET)
		where.socket = arg;
	else
		return false;
	return true;
}

static bool fits(int n, size_t size)
{
	return n > 0 && (size_t)n < size;
}

/* From the configuration that the server would read, too. */
static bool socket_by_conf(char *ret, size_t size)
{
	char file[1024];
	struct conf_setup setup = { .file = file, .root = getuid() == 0 };
	struct conf_finding *findings = NULL;
	struct conf *conf = NULL;
	struct buf text;
	bool ok = false;
	int r = 0;

	buf_init(&text, CONF_FILE_MAX);
	if (where.file)
		ok = slice_copy(slice_str(where.file), file, sizeof(file));
	else
		ok = conf_file_default(setup.root, file, sizeof(file));
	if (ok)
		r = conf_file_read(file, &text);
	if (r < 0 && (where.file || r != -ENOENT)) {
		fprintf(stderr, "postern: cannot read %s: %s\n", file, strerror(-r));
		ok = false;
	} else {
		r = conf_parse(buf_slice(&text), &setup, &conf, &findings);
		ok = r == 0 && fits(snprintf(ret, size, "%s/control.sock", conf->runtime_dir), size);
		if (!ok)
			fprintf(stderr,
				"postern: %s has errors, so it does not say where the server is asked\n"
				"See them: postern config check -c %s; or name the socket: --socket PATH\n",
				file, file);
	}
	conf_findings_free(findings);
	conf_free(conf);
	buf_done(&text);
	return ok;
}

static bool socket_path(char *ret, size_t size)
{
	const char *dir = getenv("POSTERN_RUNTIME_DIR");
	int n;

	if (where.socket)
		n = snprintf(ret, size, "%s", where.socket);
	else if (!where.file && dir && *dir)
		n = snprintf(ret, size, "%s/control.sock", dir);
	else
		return socket_by_conf(ret, size);
	if (!fits(n, size)) {
		fputs("postern: the path of the control socket is too long\n", stderr);
		return false;
	}
	return true;
}

static int connect_server(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd;

	if (!socket_path(at.sun_path, sizeof(at.sun_path)))
		return -1;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0)
		return fd;
	if (errno == EACCES || errno == EPERM)
		fprintf(stderr,
			"postern: not allowed to ask the server at %s\n"
			"Ask as root, as the server's user, or as a member of its control_group.\n",
			at.sun_path);
	else
		fprintf(stderr,
			"postern: no server answers at %s (%s): is it running?\n"
			"Start it: postern serve\n",
			at.sun_path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

static int send_question(int fd, json_t *question, struct slice secret)
{
	char *text = json_dumps(question, JSON_COMPACT);
	struct ipc_message m = { .type = IPC_TYPE_request,
				 .request = { .req = 1, .json = slice_str(text), .secret = secret } };
	struct buf b;
	int r = CLI_OK;

	buf_init(&b, IPC_PACKET_MAX);
	if (text)
		ipc_encode(&m, &b);
	if (!text || !buf_ok(&b)) {
		fputs("postern: the question is too long\n", stderr);
		r = CLI_FAILED;
	} else if (send(fd, b.p + b.from, b.n, MSG_NOSIGNAL) < 0) {
		fprintf(stderr, "postern: the server does not take the question: %s\n", strerror(errno));
		r = CLI_NO_SERVER;
	}
	buf_wipe(&b);
	free(text);
	return r;
}

static int print_error(const json_t *part, const char *error)
{
	const char *advice = json_string_value(json_object_get(part, "advice"));

	fprintf(stderr, "postern: %s\n", error);
	if (advice)
		fprintf(stderr, "%s\n", advice);
	return CLI_FAILED;
}

/* One part of the answer; *ret_last when it ends it. */
static int one_part(struct slice *packet, int (*part)(void *arg, json_t *part), void *arg, bool *ret_last)
{
	struct ipc_message m;
	const char *error;
	json_t *j;
	int r;

	if (!ipc_take(packet, &m) || m.type != IPC_TYPE_response) {
		fputs("postern: the server's answer is not understood; are its version and this program's "
		      "the same?\n",
		      stderr);
		return CLI_NO_SERVER;
	}
	j = json_loadb((const char *)m.response.json.p, m.response.json.n, 0, NULL);
	if (!j) {
		fputs("postern: the server's answer is not JSON\n", stderr);
		return CLI_NO_SERVER;
	}
	*ret_last = m.response.last;
	error = json_string_value(json_object_get(j, "error"));
	r = error ? print_error(j, error) : part ? part(arg, j) : CLI_OK;
	json_decref(j);
	return r;
}

static int receive_answer(int fd, int (*part)(void *arg, json_t *part), void *arg)
{
	static unsigned char packet[IPC_PACKET_MAX];
	struct pollfd p = { .fd = fd, .events = POLLIN };
	bool last = false;
	int r = CLI_OK;

	while (r == CLI_OK && !last) {
		struct slice rest;
		ssize_t n;

		if (poll(&p, 1, ANSWER_TIMEOUT_MS) <= 0) {
			fputs("postern: the server does not answer in time\n", stderr);
			return CLI_NO_SERVER;
		}
		n = recv(fd, packet, sizeof(packet), 0);
		if (n <= 0) {
			fputs("postern: the server closed the connection before it answered; may this user "
			      "ask it?\n",
			      stderr);
			return CLI_NO_SERVER;
		}
		rest = slice_of(packet, (size_t)n);
		while (r == CLI_OK && !last && rest.n > 0)
			r = one_part(&rest, part, arg, &last);
		explicit_bzero(packet, (size_t)n);
	}
	return r;
}

int control_ask(json_t *question, struct slice secret, int (*part)(void *arg, json_t *part), void *arg)
{
	int fd, r;

	if (!question) {
		fputs("postern: out of memory\n", stderr);
		return CLI_FAILED;
	}
	fd = connect_server();
	r = fd < 0 ? CLI_NO_SERVER : send_question(fd, question, secret);
	if (r == CLI_OK)
		r = receive_answer(fd, part, arg);
	if (fd >= 0)
		close(fd);
	json_decref(question);
	return r;
}
