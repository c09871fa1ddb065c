/* sendmail -bs: SMTP on standard input and output, for mail programs that would rather speak it than write to
 * a pipe.  With a Postern on this machine it is a passage to its socket; else the server's own engine
 * answers, and each message goes to the provider before its final dot is answered, so that no answer promises
 * more than what was done.  Lines may end with LF alone, too: see submit/pipe_lines.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>

#include "base/id.h"
#include "cli/cli.h"
#include "cli/maillog.h"
#include "cli/sendmail.h"
#include "cli/text.h"
#include "smtp/server.h"
#include "submit/pipe_lines.h"

#define PIECE	   PIPE_BUF /* so much a pipe takes at once when poll() says that it takes something */
#define SIZE_MAX_S (UINT64_C(1) << 30)
#define RCPTS_MAX  1000
#define ERRORS_MAX 100

static bool write_all(int fd, struct slice s)
{
	while (s.n > 0) {
		ssize_t n = write(fd, s.p, s.n);

		if (n < 0 && errno != EINTR)
			return false;
		s = slice_tail(s, n > 0 ? (size_t)n : 0);
	}
	return true;
}

/* Its chunk would be counted wrongly, and what is left of it be taken for commands. */
static int refuse_chunk(void)
{
	(void)write_all(STDOUT_FILENO, SLICE_LIT("421 4.5.0 BDAT wants lines that end with CR LF\r\n"));
	fputs("postern sendmail: BDAT wants lines that end with CR LF\n", stderr);
	return EX_PROTOCOL;
}

/* ---- the passage ---- */

/* Octets on their way from one descriptor to the other. */
struct way {
	int from, to;
	struct pipe_lines *lines; /* of those that come from the program */
	struct pipe_lines *answers;
	bool ended; /* nothing comes any more */
	bool refused;
	size_t n, at;
	char room[PIECE];
};

static bool way_is_open(const struct way *w)
{
	return !w->ended || w->n > 0;
}

static ssize_t fill(struct way *w)
{
	char room[(PIECE - 2) / 2];
	struct buf to;
	ssize_t n;

	if (!w->lines) {
		n = read(w->from, w->room, sizeof(w->room));
		if (n > 0 && w->answers)
			pipe_lines_answer(w->answers, slice_of(w->room, (size_t)n));
		return n;
	}
	n = read(w->from, room, sizeof(room));
	if (n <= 0)
		return n;
	buf_init_in(&to, w->room, sizeof(w->room));
	w->refused = !pipe_lines_feed(w->lines, slice_of(room, (size_t)n), &to);
	n = (ssize_t)buf_slice(&to).n;
	if (n > 0 || w->refused)
		return n;
	errno = EAGAIN; /* a CR, of which is not known yet what it ends */
	return -1;
}

/* False: it is broken. */
static bool move(struct way *w, short from_events, short to_events)
{
	ssize_t n;

	if (w->n == 0 && !w->ended && from_events) {
		n = fill(w);
		if (n < 0)
			return errno == EINTR || errno == EAGAIN;
		w->ended = n == 0 || w->refused;
		w->n = (size_t)n;
		w->at = 0;
	} else if (w->n > 0 && to_events) {
		n = write(w->to, w->room + w->at, w->n);
		if (n < 0)
			return errno == EINTR || errno == EAGAIN;
		w->at += (size_t)n;
		w->n -= (size_t)n;
	}
	return true;
}

static int pass(int server)
{
	struct pipe_lines lines;
	struct way in = { .from = STDIN_FILENO, .to = server, .lines = &lines };
	struct way out = { .from = server, .to = STDOUT_FILENO, .answers = &lines };
	bool told = false;

	pipe_lines_init(&lines);

	while (way_is_open(&out)) {
		struct pollfd p[] = {
			{ .fd = in.n == 0 && !in.ended ? in.from : -1, .events = POLLIN },
			{ .fd = in.n > 0 ? in.to : -1, .events = POLLOUT },
			{ .fd = out.n == 0 && !out.ended ? out.from : -1, .events = POLLIN },
			{ .fd = out.n > 0 ? out.to : -1, .events = POLLOUT },
		};

		if (poll(p, 4, -1) < 0 && errno != EINTR)
			return EX_OSERR;
		if (!move(&out, p[2].revents, p[3].revents))
			return EX_IOERR;
		if (!move(&in, p[0].revents, p[1].revents)) { /* the server closed: what it said last comes */
			in.ended = true;
			in.n = 0;
		}
		if (!way_is_open(&in) && !told) {
			shutdown(server, SHUT_WR);
			told = true;
		}
	}
	return in.refused ? refuse_chunk() : EX_OK;
}

static int connect_local(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = -1, r;

	if (!slice_copy(slice_str(path), at.sun_path, sizeof(at.sun_path)))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
		r = -errno;
		if (fd >= 0)
			close(fd);
		return r;
	}
	/* A write must not wait for a server that waits until we read. */
	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

/* ---- the engine ---- */

struct session {
	const struct cli_sendmail *m;
	struct cli_carrier *carrier;
	struct smtp_server *engine;
	struct pipe_lines lines;
	struct draft draft;
	bool open; /* a transaction: draft is there */
	int body;  /* as it came; -1: none */
	int failed;
	char said[600];
};

static void end_transaction(struct session *s)
{
	if (s->open)
		draft_done(&s->draft);
	if (s->body >= 0)
		close(s->body);
	s->open = false;
	s->body = -1;
	s->failed = 0;
}

/* code, enhanced: if it is the message or the address that is wrong, and not the machine. */
static void refuse(struct session *s, int r, const struct mime_problem *problem, int code,
		   const char *enhanced)
{
	struct buf words;
	bool later = r != -EBADMSG;

	buf_init_in(&words, s->said, sizeof(s->said) - 1);
	(void)cli_sendmail_unread(r, problem, &words);
	s->said[buf_slice(&words).n] = '\0';
	smtp_server_answer(s->engine, later ? 451 : code, later ? "4.3.0" : enhanced, s->said);
}

/* An address as it came, in the brackets that keep it one. */
static bool put_path(const struct smtp_path *path, struct buf *to)
{
	buf_byte(to, '<');
	smtp_path_put(path, to);
	buf_byte(to, '>');
	return buf_ok(to);
}

static void on_mail(struct session *s, const struct smtp_server_ask *ask)
{
	struct mime_problem problem = { 0 };
	unsigned char room[4 * SMTP_PATH_MAX];
	struct slice domain = slice_str(s->m->identity.domain);
	struct submit_envelope *e = &s->draft.envelope;
	struct buf path;

	end_transaction(s);
	buf_init_in(&path, room, sizeof(room));
	s->open = true;
	if (draft_init(&s->draft) < 0 || !put_path(&ask->path, &path)) {
		smtp_server_answer(s->engine, 452, "4.3.0", "out of memory");
	} else if (submit_envelope_sender(e, buf_slice(&path), domain, &problem) != MIME_FINE) {
		refuse(s, problem.fault == MIME_NO_MEMORY ? -ENOMEM : -EBADMSG, &problem, 553, "5.1.7");
	} else {
		e->ret = (uint8_t)ask->mail.ret;
		if (!slice_copy(ask->mail.envid, e->envid, sizeof(e->envid)))
			e->envid[0] = '\0';
		smtp_server_answer(s->engine, 250, NULL, NULL);
	}
}

static void on_rcpt(struct session *s, const struct smtp_server_ask *ask)
{
	struct submit_envelope *e = &s->draft.envelope;
	struct mime_problem problem = { 0 };
	unsigned char room[4 * SMTP_PATH_MAX];
	struct buf path;

	buf_init_in(&path, room, sizeof(room));
	e->notify = (uint8_t)ask->rcpt.notify;
	if (!put_path(&ask->path, &path))
		smtp_server_answer(s->engine, 452, "4.3.0", "out of memory");
	else if (submit_envelope_add(e, buf_slice(&path), slice_str(s->m->identity.domain),
				     SLICE_LIT("recipient"), &problem) != MIME_FINE)
		refuse(s, problem.fault == MIME_NO_MEMORY ? -ENOMEM : -EBADMSG, &problem, 553, "5.1.3");
	else
		smtp_server_answer(s->engine, 250, NULL, NULL);
}

static void on_data(struct session *s)
{
	struct mime_problem none = { .fault = MIME_NO_MEMORY };

	s->body = draft_file();
	if (s->body < 0)
		refuse(s, s->body, &none, 554, "5.3.0");
	else
		smtp_server_answer(s->engine, 354, NULL, NULL);
}

/* The message is in the file, and out of it becomes one that is ready. */
static int read_body(struct session *s, struct mime_problem *problem)
{
	struct letter_setup setup = cli_sendmail_letter(s->m, s->carrier);
	struct id_source ids;
	struct id id;

	id_source_init(&ids, 0);
	id = id_next(&ids, setup.time_ms);
	setup.id = id_slice(&id);
	setup.has_sender = true;
	setup.sender = slice_str(s->draft.envelope.sender);
	if (s->failed)
		return s->failed;
	if (lseek(s->body, 0, SEEK_SET) < 0)
		return -errno;
	return draft_read(&s->draft, s->body, &setup, problem);
}

/* Some got it, and some not: a client that comes again with all would send it twice. */
static bool is_for_good(const struct carry_result *r, int status)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->rcpt[i].tried && r->rcpt[i].result == IPC_JOB_DELIVERED)
			return true;
	return status != EX_TEMPFAIL;
}

static void on_commit(struct session *s)
{
	struct mime_problem problem = { 0 };
	const struct carry_result *result;
	int r = read_body(s, &problem), status;
	struct id id = { "" };
	bool for_good;
	struct buf words;

	if (r < 0) {
		refuse(s, r, &problem, 554, "5.6.0");
		cli_maillog(&(struct cli_maillog){ .status = r == -EBADMSG ? EX_DATAERR : EX_TEMPFAIL,
						   .carrier = s->carrier,
						   .draft = &s->draft,
						   .text = s->said });
		end_transaction(s);
		return;
	}
	r = cli_carrier_send(s->carrier, &s->draft, &result);
	if (r != CLI_OK) {
		smtp_server_answer(s->engine, 451, "4.3.0",
				   "not sent: what is wrong stands on standard error");
		cli_maillog(&(struct cli_maillog){
			.status = EX_TEMPFAIL, .carrier = s->carrier, .draft = &s->draft });
	} else {
		cli_sendmail_say(cli_carrier_provider(s->carrier), &s->draft, result, s->m->s.verbose);
		status = cli_sendmail_status(result);
		buf_init_in(&words, s->said, sizeof(s->said) - 1);
		cli_sendmail_put(&s->draft, result, &words);
		for_good = is_for_good(result, status);
		status = cli_sendmail_keep(s->carrier, &s->draft, result, status, &id);
		if (id.text[0] && status == EX_OK) {
			buf_reset(&words);
			buf_fmt(&words, "kept in the outbox as %s", id.text);
		}
		s->said[buf_slice(&words).n] = '\0';
		if (status == EX_OK)
			smtp_server_answer(s->engine, 250, "2.0.0", s->said);
		else if (for_good)
			smtp_server_answer(s->engine, 554, "5.0.0", s->said);
		else
			smtp_server_answer(s->engine, 451, "4.0.0", s->said);
	}
	end_transaction(s);
}

/* False: it is over. */
static bool on_ask(struct session *s, const struct smtp_server_ask *ask)
{
	switch (ask->want) {
	case SMTP_SERVER_HELO:
		smtp_server_answer(s->engine, 250, NULL, NULL);
		return true;
	case SMTP_SERVER_MAIL:
		on_mail(s, ask);
		return true;
	case SMTP_SERVER_RCPT:
		on_rcpt(s, ask);
		return true;
	case SMTP_SERVER_DATA:
		on_data(s);
		return true;
	case SMTP_SERVER_BODY:
		if (!s->failed && !write_all(s->body, ask->data))
			s->failed = -errno;
		smtp_server_go_on(s->engine);
		return true;
	case SMTP_SERVER_COMMIT:
		on_commit(s);
		return true;
	case SMTP_SERVER_RESET:
		end_transaction(s);
		smtp_server_go_on(s->engine);
		return true;
	default: /* CLOSE; what TLS and AUTH ask never comes, for neither is offered */
		return false;
	}
}

static bool flush_output(struct session *s)
{
	struct slice out = smtp_server_output(s->engine);

	pipe_lines_answer(&s->lines, out);
	if (!write_all(STDOUT_FILENO, out))
		return false;
	smtp_server_sent(s->engine, out.n);
	return true;
}

static int serve(struct session *s)
{
	static unsigned char room[65536], lines[2 * sizeof(room) + 2];
	const struct smtp_server_ask *ask;
	struct slice input = SLICE_LIT("");
	bool chunk = false;
	struct buf ready;
	ssize_t n;

	for (;;) {
		ask = smtp_server_want(s->engine);
		if (ask->want != SMTP_SERVER_INPUT) {
			if (on_ask(s, ask))
				continue;
			return flush_output(s) ? EX_OK : EX_IOERR;
		}
		input = slice_tail(input, smtp_server_feed(s->engine, input));
		if (smtp_server_want(s->engine)->want != SMTP_SERVER_INPUT)
			continue;
		if (!flush_output(s))
			return EX_IOERR;
		if (input.n > 0)
			continue;
		if (chunk)
			return refuse_chunk();
		do
			n = read(STDIN_FILENO, room, sizeof(room));
		while (n < 0 && errno == EINTR);
		if (n <= 0)
			return n < 0 ? EX_IOERR : EX_OK;
		buf_init_in(&ready, lines, sizeof(lines));
		chunk = !pipe_lines_feed(&s->lines, slice_of(room, (size_t)n), &ready);
		input = buf_slice(&ready);
	}
}

static int answer_ourselves(const struct cli_sendmail *m, struct cli_carrier *c, int status)
{
	struct smtp_server_setup setup = { .role = SMTP_LOCAL,
					   .hostname = slice_str(m->identity.domain),
					   .bare = SMTP_BARE_FIX,
					   .max_size = SIZE_MAX_S,
					   .max_recipients = RCPTS_MAX,
					   .max_errors = ERRORS_MAX };
	struct session s = { .m = m, .carrier = c, .body = -1, .engine = smtp_server_new(&setup) };

	if (!s.engine)
		return EX_TEMPFAIL;
	if (status != EX_OK)
		smtp_server_refuse(s.engine, 554, "5.3.5",
				   "no server to send by: what is wrong stands on standard error");
	else
		smtp_server_greet(s.engine, false);
	if (status == EX_OK)
		status = serve(&s);
	else
		(void)flush_output(&s);
	end_transaction(&s);
	smtp_server_free(s.engine);
	return status;
}

/* inetd, and whoever plays it, would make a relay for strangers of this. */
static bool is_network(int fd)
{
	struct sockaddr_storage at;
	socklen_t n = sizeof(at);

	return getsockname(fd, (struct sockaddr *)&at, &n) == 0 &&
	       (at.ss_family == AF_INET || at.ss_family == AF_INET6);
}

int cli_sendmail_smtp(struct cli_sendmail *m)
{
	struct cli_carrier *c = NULL;
	unsigned times = 0;
	const char *path;
	int status, fd;

	if (is_network(STDIN_FILENO)) {
		(void)write_all(STDOUT_FILENO, SLICE_LIT("554 5.7.1 no service for strangers here\r\n"));
		fputs("postern sendmail: -bs is for programs of this machine, not for connections of the "
		      "network: `postern serve` is\n",
		      stderr);
		return EX_USAGE;
	}
	status = cli_sendmail_carrier(&c);
	path = status == EX_OK ? cli_carrier_provider(c)->path : "";
	if (!*path) {
		status = answer_ourselves(m, c, status);
		cli_carrier_free(c);
		return status;
	}
	do
		fd = connect_local(path);
	while ((fd == -ECONNREFUSED || fd == -ENOENT) && cli_sendmail_pause(&times));
	if (fd >= 0) {
		status = pass(fd);
		close(fd);
	} else {
		(void)write_all(STDOUT_FILENO,
				SLICE_LIT("421 4.3.2 the server of this machine does not answer\r\n"));
		fprintf(stderr, "postern sendmail: %s: %s\n", path, strerrordesc_np(-fd));
		status = EX_TEMPFAIL;
	}
	cli_carrier_free(c);
	return status;
}
