#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "secret/private.h"

#define SAID_MAX  2048 /* of its standard error, from the end */
#define SHOWN_MAX 300

struct secret_command {
	struct secret_command_setup setup;
	uv_process_t process;
	uv_pipe_t out, err;
	uv_timer_t limit;
	unsigned handles;
	bool ended, eof, over, too_long, too_slow;
	int64_t status;
	int signal;
	struct buf text, said;
	void (*done)(void *arg, struct slice line, const char *why); /* NULL: nobody waits for it */
	void *arg;
};

static void on_handle_closed(uv_handle_t *h)
{
	struct secret_command *c = h->data;

	if (--c->handles > 0)
		return;
	buf_wipe(&c->text);
	buf_wipe(&c->said);
	free(c);
}

static void close_all(struct secret_command *c)
{
	c->over = true;
	uv_close((uv_handle_t *)&c->process, on_handle_closed);
	uv_close((uv_handle_t *)&c->out, on_handle_closed);
	uv_close((uv_handle_t *)&c->err, on_handle_closed);
	uv_close((uv_handle_t *)&c->limit, on_handle_closed);
}

/* ---- what it came to ---- */

static void keep(struct secret_command *c, struct slice more)
{
	struct slice all = slice_tail(more, more.n > SAID_MAX ? more.n - SAID_MAX : 0);

	if (c->said.n + all.n > SAID_MAX)
		buf_consume(&c->said, c->said.n + all.n - SAID_MAX);
	buf_put(&c->said, all);
}

/* It has ended: what it said before that is there, though its pipe may be held open for ever by something
 * that it left behind. */
static void read_rest(struct secret_command *c)
{
	char room[1024];
	uv_os_fd_t fd;
	ssize_t n;

	if (!c->setup.keep_said || uv_fileno((uv_handle_t *)&c->err, &fd) < 0)
		return;
	for (unsigned i = 0; i < 64 && (n = read(fd, room, sizeof(room))) > 0; i++)
		keep(c, slice_of(room, (size_t)n));
}

/* The end of what it said, on one line and without anything that a terminal would obey. */
static void put_said(struct secret_command *c, char why[static SECRET_WHY_MAX])
{
	struct slice s = buf_slice(&c->said);
	size_t n = strlen(why), end;

	while (s.n > 0 && s.p[s.n - 1] <= ' ')
		s.n--;
	if (s.n == 0)
		return;
	n += (size_t)snprintf(why + n, SECRET_WHY_MAX - n, ": %s", s.n > SHOWN_MAX ? "..." : "");
	if (s.n > SHOWN_MAX)
		s = slice_tail(s, s.n - SHOWN_MAX);
	while (s.n > 0 && (s.p[0] & 0xc0) == 0x80)
		s = slice_tail(s, 1);
	end = n + 2 * SHOWN_MAX < SECRET_WHY_MAX ? n + 2 * SHOWN_MAX : SECRET_WHY_MAX - 3;
	for (size_t i = 0; i < s.n && n < end; i++) {
		bool line = s.p[i] == '\n';

		if (line)
			why[n++] = ';';
		why[n++] = (char)(line || s.p[i] < ' ' || s.p[i] == 0x7f ? ' ' : s.p[i]);
	}
	why[n] = '\0';
}

static bool is_failed(struct secret_command *c, char why[static SECRET_WHY_MAX])
{
	const struct secret_command_setup *s = &c->setup;

	why[0] = '\0';
	if (c->too_slow)
		snprintf(why, SECRET_WHY_MAX, "took longer than %u s", s->limit_ms / 1000);
	else if (c->too_long)
		snprintf(why, SECRET_WHY_MAX, "wrote more than %zu octets", s->max);
	else if (c->signal)
		snprintf(why, SECRET_WHY_MAX, "was ended by signal %d", c->signal);
	else if (c->status != 0)
		snprintf(why, SECRET_WHY_MAX, "failed with status %d", (int)c->status);
	else if (!buf_ok(&c->text))
		snprintf(why, SECRET_WHY_MAX, "could not be heard: out of memory");
	else if (secret_line(buf_slice(&c->text)).n == 0)
		snprintf(why, SECRET_WHY_MAX,
			 c->text.n > 0 ? "wrote nothing in its first line" : "wrote nothing");
	if (!why[0])
		return false;
	read_rest(c);
	put_said(c, why);
	return true;
}

static void conclude(struct secret_command *c)
{
	void (*done)(void *arg, struct slice line, const char *why) = c->done;
	char why[SECRET_WHY_MAX];
	bool failed;

	if (!c->ended || !c->eof || c->over)
		return;
	failed = is_failed(c, why);
	c->done = NULL;
	close_all(c);
	if (done)
		done(c->arg, failed ? SLICE_LIT("") : secret_line(buf_slice(&c->text)), failed ? why : NULL);
}

/* ---- while it runs ---- */

static void on_exit_of(uv_process_t *p, int64_t status, int sig)
{
	struct secret_command *c = p->data;

	c->ended = true;
	c->status = status;
	c->signal = sig;
	conclude(c);
}

/* And all that it began. */
static void end_it(struct secret_command *c)
{
	if (!c->ended)
		kill(-c->process.pid, SIGKILL);
}

static void on_limit(uv_timer_t *t)
{
	struct secret_command *c = t->data;

	c->too_slow = true;
	end_it(c);
	/* What it left behind may hold its output open for ever. */
	uv_read_stop((uv_stream_t *)&c->out);
	c->eof = true;
	conclude(c);
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *ret)
{
	static unsigned char room[1024];

	(void)h, (void)suggested;
	*ret = uv_buf_init((char *)room, sizeof(room));
}

static void on_output(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct secret_command *c = stream->data;

	if (n > 0) {
		c->too_long |= (size_t)n > buf_room(&c->text);
		buf_put(&c->text, slice_of(buf->base, (size_t)n));
		explicit_bzero(buf->base, (size_t)n);
	}
	if (n > 0 && !buf_ok(&c->text))
		end_it(c);
	if (n < 0) {
		uv_read_stop(stream);
		c->eof = true;
		conclude(c);
	}
}

static void on_said(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct secret_command *c = stream->data;

	if (n > 0) {
		keep(c, slice_of(buf->base, (size_t)n));
		explicit_bzero(buf->base, (size_t)n);
	}
	if (n < 0)
		uv_read_stop(stream);
}

/* ---- its life ---- */

static int spawn(struct secret_command *c)
{
	static char *bare[] = { (char *)"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
				(char *)"LANG=C", NULL };
	const struct secret_command_setup *s = &c->setup;
	uv_stdio_container_t io[3] = { { .flags = UV_IGNORE },
				       { .flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE,
					 .data.stream = (uv_stream_t *)&c->out },
				       { .flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO } };
	uv_process_options_t o = { .file = s->argv[0],
				   .args = s->argv,
				   .env = s->env ? s->env : bare,
				   .exit_cb = on_exit_of,
				   .flags = UV_PROCESS_DETACHED, /* a group of its own */
				   .stdio = io,
				   .stdio_count = 3 };

	if (s->keep_said)
		io[2] = (uv_stdio_container_t){ .flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE,
						.data.stream = (uv_stream_t *)&c->err };
	return uv_spawn(s->loop, &c->process, &o);
}

int secret_command(const struct secret_command_setup *setup,
		   void (*done)(void *arg, struct slice line, const char *why), void *arg,
		   struct secret_command **ret, char why[static SECRET_WHY_MAX])
{
	struct secret_command *c = calloc(1, sizeof(*c));
	int r;

	if (!c) {
		snprintf(why, SECRET_WHY_MAX, "cannot be run: out of memory");
		return -ENOMEM;
	}
	c->setup = *setup;
	c->done = done;
	c->arg = arg;
	buf_init(&c->text, setup->max);
	buf_init(&c->said, SAID_MAX + 1);
	uv_pipe_init(setup->loop, &c->out, 0);
	uv_pipe_init(setup->loop, &c->err, 0);
	uv_timer_init(setup->loop, &c->limit);
	c->out.data = c->err.data = c->limit.data = c->process.data = c;
	c->handles = 4;
	r = spawn(c);
	if (r < 0) {
		c->ended = true;
		close_all(c);
		snprintf(why, SECRET_WHY_MAX, "cannot be run: %s", strerrordesc_np(-r));
		return r;
	}
	uv_read_start((uv_stream_t *)&c->out, on_alloc, on_output);
	if (setup->keep_said)
		uv_read_start((uv_stream_t *)&c->err, on_alloc, on_said);
	uv_timer_start(&c->limit, on_limit, setup->limit_ms, 0);
	*ret = c;
	return 0;
}

/* What was killed is waited for by the loop: its end comes, and is told to nobody. */
void secret_command_drop(struct secret_command *c)
{
	if (!c)
		return;
	c->done = NULL;
	end_it(c);
	uv_read_stop((uv_stream_t *)&c->out);
	c->eof = true;
	conclude(c);
}
