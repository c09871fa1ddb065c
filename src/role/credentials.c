#include "role/credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

#define CREDENTIALS_MAX 64
#define COMMAND_MS	10000
#define STALE_MS	30000
#define OUTPUT_MAX	IPC_SECRET_MAX

/* A command that runs. */
struct run {
	struct credential *for_; /* NULL: its answer is for nobody any more */
	uv_process_t process;
	uv_pipe_t out;
	uv_timer_t limit;
	unsigned handles;
	bool ended, eof, too_long, too_slow;
	int64_t status;
	int signal;
	struct buf text;
};

struct credential {
	struct server *server;
	char route[65];
	char *file, **command; /* copies: a reload takes the configuration away */
	size_t n_command;
	uint64_t generation, read_ms;
	bool known, there, waited_for; /* waited_for: said to be stale while it may not be read yet */
	struct run *run;
	uv_timer_t later;
	bool later_open;
	struct buf secret;
	char why[IPC_TEXT_MAX];
};

static struct credential *all[CREDENTIALS_MAX];
static size_t n_all;
static uint64_t last_generation;

/* ---- to the smtp processes ---- */

static void send_to(const struct credential *k, struct child *c)
{
	struct ipc_message m = { .type = IPC_TYPE_credential,
				 .credential = { .route = slice_str(k->route),
						 .generation = k->generation,
						 .there = k->there,
						 .secret = buf_slice(&k->secret),
						 .why = slice_str(k->why) } };

	child_send(c, &m, -1);
}

static void send_to_all(const struct credential *k)
{
	struct server *s = k->server;

	for (unsigned i = 0; i < s->n_children; i++)
		if (s->child[i].role == IPC_SMTP && s->child[i].ch)
			send_to(k, &s->child[i]);
}

void credentials_send(struct child *c)
{
	for (size_t i = 0; i < n_all; i++)
		if (all[i]->known)
			send_to(all[i], c);
}

/* ---- what was read ---- */

static void failed(struct credential *k, const char *why)
{
	buf_wipe(&k->secret);
	buf_init(&k->secret, OUTPUT_MAX);
	k->known = true;
	k->there = false;
	k->generation = ++last_generation;
	snprintf(k->why, sizeof(k->why), "%s", why);
	LOG(LOG_ERR, "credential-failed", LOG_STR("route", k->route), LOG_STR("why", why));
	send_to_all(k);
}

/* Its first line.  The same as before is no other one: who was refused with it is told so at once. */
static void take(struct credential *k, struct slice text)
{
	struct slice line = slice_trim(slice_head(text, slice_find(text, '\n')));

	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	if (line.n == 0) {
		failed(k, k->file ? "the password file's first line is empty"
				  : "the password command wrote nothing");
		return;
	}
	if (!k->there || !slice_eq(buf_slice(&k->secret), line)) {
		buf_wipe(&k->secret);
		buf_init(&k->secret, OUTPUT_MAX);
		buf_put(&k->secret, line);
		k->generation = ++last_generation;
	}
	k->known = true;
	k->there = buf_ok(&k->secret);
	snprintf(k->why, sizeof(k->why), "%s", k->there ? "" : "it is too long, or memory is lacking");
	LOG(LOG_INFO, "credential-read", LOG_STR("route", k->route));
	send_to_all(k);
}

/* ---- from a file ---- */

static void read_file(struct credential *k)
{
	int fd = open(k->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	unsigned char room[OUTPUT_MAX];
	char why[400];
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0 || (n = read(fd, room, sizeof(room))) < 0) {
		snprintf(why, sizeof(why), "the password file %.200s cannot be read: %s", k->file,
			 strerrordesc_np(errno));
		failed(k, why);
	} else {
		if (st.st_mode & S_IROTH)
			LOG(LOG_WARNING, "credential-open", LOG_STR("route", k->route),
			    LOG_STR("file", k->file), LOG_STR("note", "everybody can read it: chmod 600"));
		take(k, slice_of(room, (size_t)n));
	}
	explicit_bzero(room, sizeof(room));
	if (fd >= 0)
		close(fd);
}

/* ---- from a command ---- */

static void on_handle_closed(uv_handle_t *h)
{
	struct run *r = h->data;

	if (--r->handles > 0)
		return;
	buf_wipe(&r->text);
	free(r);
}

static void conclude(struct run *r)
{
	struct credential *k = r->for_;
	char why[128] = "";

	if (!r->ended || !r->eof)
		return;
	if (r->too_slow)
		snprintf(why, sizeof(why), "the password command took longer than %d s", COMMAND_MS / 1000);
	else if (r->too_long)
		snprintf(why, sizeof(why), "the password command wrote more than %d octets", OUTPUT_MAX);
	else if (r->signal)
		snprintf(why, sizeof(why), "the password command was ended by signal %d", r->signal);
	else if (r->status != 0)
		snprintf(why, sizeof(why), "the password command failed with status %d", (int)r->status);
	uv_close((uv_handle_t *)&r->process, on_handle_closed);
	uv_close((uv_handle_t *)&r->out, on_handle_closed);
	uv_close((uv_handle_t *)&r->limit, on_handle_closed);
	if (!k)
		return;
	k->run = NULL;
	if (why[0])
		failed(k, why);
	else
		take(k, buf_slice(&r->text));
}

static void on_exit_of(uv_process_t *p, int64_t status, int sig)
{
	struct run *r = p->data;

	r->ended = true;
	r->status = status;
	r->signal = sig;
	conclude(r);
}

/* And all that it began. */
static void end_it(struct run *r)
{
	if (!r->ended)
		kill(-r->process.pid, SIGKILL);
}

static void on_limit(uv_timer_t *t)
{
	struct run *r = t->data;

	r->too_slow = true;
	end_it(r);
	/* What it left behind may hold its output open for ever. */
	uv_read_stop((uv_stream_t *)&r->out);
	r->eof = true;
	conclude(r);
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *ret)
{
	static unsigned char room[1024];

	(void)h, (void)suggested;
	*ret = uv_buf_init((char *)room, sizeof(room));
}

static void on_output(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct run *r = stream->data;

	if (n > 0) {
		buf_put(&r->text, slice_of(buf->base, (size_t)n));
		explicit_bzero(buf->base, (size_t)n);
	}
	if (n > 0 && !buf_ok(&r->text) && !r->too_long) {
		r->too_long = true;
		end_it(r);
	}
	if (n < 0) {
		uv_read_stop(stream);
		r->eof = true;
		conclude(r);
	}
}

static void run_command(struct credential *k)
{
	static char *env[] = { (char *)"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
			       (char *)"LANG=C", NULL };
	struct run *r = calloc(1, sizeof(*r));
	uv_stdio_container_t io[3] = { { .flags = UV_IGNORE },
				       { .flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE },
				       { .flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO } };
	uv_process_options_t o = { .file = k->command[0],
				   .args = k->command,
				   .env = env,
				   .exit_cb = on_exit_of,
				   .flags = UV_PROCESS_DETACHED, /* a group of its own */
				   .stdio = io,
				   .stdio_count = 3 };
	char why[400];
	int err;

	if (!r) {
		failed(k, "out of memory");
		return;
	}
	buf_init(&r->text, OUTPUT_MAX);
	r->for_ = k;
	k->run = r;
	uv_pipe_init(&k->server->loop, &r->out, 0);
	uv_timer_init(&k->server->loop, &r->limit);
	r->out.data = r->limit.data = r->process.data = r;
	r->handles = 3;
	io[1].data.stream = (uv_stream_t *)&r->out;
	err = uv_spawn(&k->server->loop, &r->process, &o);
	if (err < 0) {
		k->run = NULL;
		r->for_ = NULL;
		r->ended = r->eof = true;
		snprintf(why, sizeof(why), "the password command %.200s cannot be run: %s", k->command[0],
			 strerrordesc_np(-err));
		failed(k, why);
		conclude(r);
		return;
	}
	uv_read_start((uv_stream_t *)&r->out, on_alloc, on_output);
	uv_timer_start(&r->limit, on_limit, COMMAND_MS, 0);
}

static void read_it(struct credential *k)
{
	if (k->run)
		return;
	k->read_ms = uv_now(&k->server->loop);
	k->waited_for = false;
	if (k->file)
		read_file(k);
	else
		run_command(k);
}

/* ---- when one was refused ---- */

static void on_later(uv_timer_t *t)
{
	read_it(t->data);
}

void credentials_stale(struct child *from, const struct ipc_credential_stale *m)
{
	struct server *s = from->server;
	uint64_t now = uv_now(&s->loop);

	for (size_t i = 0; i < n_all; i++) {
		struct credential *k = all[i];

		if (!slice_eq(slice_str(k->route), m->route) || !k->known)
			continue;
		if (k->generation != m->generation) { /* another process was first */
			send_to(k, from);
		} else if (now >= k->read_ms + STALE_MS) {
			read_it(k);
		} else if (!k->run && !k->waited_for) {
			/* It was read a moment ago: that same one will be read again, later. */
			k->waited_for = true;
			uv_timer_start(&k->later, on_later, k->read_ms + STALE_MS - now, 0);
			send_to(k, from);
		} else if (!k->run) {
			send_to(k, from);
		}
		return;
	}
}

/* ---- which there are ---- */

static void on_later_closed(uv_handle_t *h)
{
	free(h->data);
}

static void forget(struct credential *k)
{
	if (k->run) {
		k->run->for_ = NULL;
		end_it(k->run);
	}
	for (size_t i = 0; i < k->n_command; i++)
		free(k->command[i]);
	free(k->command);
	free(k->file);
	buf_wipe(&k->secret);
	if (k->later_open)
		uv_close((uv_handle_t *)&k->later, on_later_closed);
	else
		free(k);
}

void credentials_wipe(void)
{
	for (size_t i = 0; i < n_all; i++)
		forget(all[i]);
	n_all = 0;
}

static bool copy(struct credential *k, const struct conf_route *r)
{
	if (!slice_copy(slice_str(r->name), k->route, sizeof(k->route)))
		return false;
	if (r->password_file[0]) {
		k->file = strdup(r->password_file);
		return k->file != NULL;
	}
	k->command = calloc(r->n_password_command + 1, sizeof(*k->command));
	if (!k->command)
		return false;
	for (; k->n_command < r->n_password_command; k->n_command++) {
		k->command[k->n_command] = strdup(r->password_command[k->n_command]);
		if (!k->command[k->n_command])
			return false;
	}
	return true;
}

static void add(struct server *s, const struct conf_route *r)
{
	struct credential *k = calloc(1, sizeof(*k));

	if (!k || n_all == CREDENTIALS_MAX) {
		LOG(LOG_ERR, "credential-failed", LOG_STR("route", r->name),
		    LOG_STR("why", k ? "too many routes with a password" : "out of memory"));
		free(k);
		return;
	}
	k->server = s;
	buf_init(&k->secret, OUTPUT_MAX);
	if (!copy(k, r)) {
		LOG(LOG_ERR, "credential-failed", LOG_STR("route", r->name), LOG_STR("why", "out of memory"));
		forget(k);
		return;
	}
	uv_timer_init(&s->loop, &k->later);
	k->later.data = k;
	k->later_open = true;
	all[n_all++] = k;
	read_it(k);
}

void credentials_load(struct server *s)
{
	const struct conf *conf = s->conf;

	credentials_wipe();
	for (size_t i = 0; i < conf->n_routes; i++)
		if (conf->routes[i].password_file[0] || conf->routes[i].n_password_command > 0)
			add(s, &conf->routes[i]);
}
