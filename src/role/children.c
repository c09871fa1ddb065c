/* The roles as processes: planned, started, linked to each other, started again. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/log.h"
#include "role/credentials.h"
#include "role/server.h"
#include "sandbox/sandbox.h"

/* A role that is killed now and then is back before anybody waits a second.  Only one
 * that cannot live at all is given more and more time. */
#define BACKOFF_FIRST_MS 20
#define BACKOFF_USUAL_MS 320
#define BACKOFF_MAX_MS	 10000
#define SHORT_MS	 2000 /* a life */
#define SHORT_LIVES	 10   /* in a row, and it is no accident any more */
#define EOF_GRACE_MS	 2000
#define WAITING_MAX	 (1U << 20)

/* ---- the plan ---- */

static const enum ipc_role order[] = { IPC_KEEPER, IPC_LEDGER, IPC_LOCAL, IPC_QUEUE,
				       IPC_FETCH,  IPC_SMTP,   IPC_ADMIN };

/* Another configuration may want it. */
static bool is_off(const struct server *s, enum ipc_role role)
{
	return role == IPC_FETCH && !s->conf->relay_mta_sts;
}

/* The user that a role runs as; what lacks is told. */
static int account_for(struct server *s, enum ipc_role role, struct account *ret)
{
	const struct conf *conf = s->conf;
	char own[80];

	if (!s->root) {
		*ret = (struct account){ getuid(), getgid() };
		return 0;
	}
	if (role == IPC_LOCAL && *conf->mail_user) {
		if (privilege_account(conf->mail_user, conf->mail_group, ret) == 0)
			return 0;
		fprintf(stderr,
			"postern: there is no user '%s' or group '%s' for the mailboxes (mailboxes.user and "
			".group in the configuration)\n"
			"`make install` creates the usual ones; or: useradd --system %s\n",
			conf->mail_user, conf->mail_group, conf->mail_user);
		return -ENOENT;
	}
	snprintf(own, sizeof(own), "%.60s-%s", conf->user, ipc_role_name(role));
	if (privilege_account(own, NULL, ret) == 0 || privilege_account(conf->user, NULL, ret) == 0)
		return 0;
	fprintf(stderr,
		"postern: there is no user '%s' (nor '%s') for role %s to run as\n"
		"`make install` creates them; or: useradd --system %s; or set `user` in the configuration\n",
		own, conf->user, ipc_role_name(role), conf->user);
	return -ENOENT;
}

int children_plan(struct server *s)
{
	int r = 0;

	s->n_smtp = conf_smtp_processes(s->conf);
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		unsigned n = order[i] == IPC_SMTP ? s->n_smtp : 1;
		struct account as;
		int err;

		if (!role_ops_of(order[i]))
			continue;
		err = account_for(s, order[i], &as);
		if (err < 0) {
			r = err;
			if (order[i] != IPC_LOCAL)
				return r; /* the same would be said of each */
			continue;
		}
		for (unsigned k = 0; k < n; k++) {
			struct child *c = &s->child[s->n_children++];

			*c = (struct child){ .server = s,
					     .role = order[i],
					     .index = k,
					     .as = as,
					     .off = is_off(s, order[i]) };
		}
	}
	return r;
}

const struct child *children_first(const struct server *s, enum ipc_role role)
{
	for (unsigned i = 0; i < s->n_children; i++)
		if (s->child[i].role == role)
			return &s->child[i];
	return NULL;
}

bool children_running(const struct server *s, enum ipc_role role)
{
	for (unsigned i = 0; i < s->n_children; i++)
		if (s->child[i].pid && (role == 0 || s->child[i].role == role))
			return true;
	return false;
}

bool children_ready(const struct server *s, uint64_t generation)
{
	for (unsigned i = 0; i < s->n_children; i++)
		if (!s->child[i].off && (!s->child[i].ready || s->child[i].generation < generation))
			return false;
	return true;
}

/* ---- messages ---- */

void child_send(struct child *c, const struct ipc_message *m, int fd)
{
	if (c->ch)
		channel_send(c->ch, m, fd);
}

void child_send_conf(struct child *c)
{
	struct server *s = c->server;
	char room[1024];
	struct ipc_message m = {
		.type = IPC_TYPE_conf,
		.conf = { .generation = s->generation,
			  .file = slice_str(server_config_path(s->setup, s->root, room, sizeof(room))),
			  .port_offset = (uint16_t)s->setup->port_offset,
			  .root = s->root },
	};

	child_send(c, &m, s->conf_fd);
}

struct child *children_find(struct server *s, unsigned role, unsigned index)
{
	for (unsigned i = 0; i < s->n_children; i++)
		if (s->child[i].role == role && s->child[i].index == index)
			return &s->child[i];
	return NULL;
}

static void on_message(void *arg, struct channel *ch, const struct ipc_message *m, int *fd)
{
	struct child *c = arg;

	(void)ch;
	(void)fd;
	if (m->type == IPC_TYPE_ready) {
		c->ready = true;
		c->generation = m->ready.generation;
		server_child_ready(c->server, c);
	} else if (m->type == IPC_TYPE_pong) {
		heartbeat_heard(c, &m->pong);
	} else if (m->type == IPC_TYPE_complain) {
		blame_complaint(c, &m->complain);
	} else if (m->type == IPC_TYPE_credential_stale && c->role == IPC_SMTP) {
		credentials_stale(c, &m->credential_stale);
	} else if (m->type == IPC_TYPE_request && c->role == IPC_ADMIN) {
		server_request(c->server, &m->request);
	} else {
		LOG(LOG_ERR, "message-unexpected", LOG_STR("from", ipc_role_name(c->role)),
		    LOG_STR("type", ipc_type_name(m->type)));
		if (c->pid)
			kill(c->pid, SIGKILL);
	}
}

/* Its process ends on this, or has ended: SIGCHLD does the rest. */
static void on_closed(void *arg, struct channel *ch, const char *why)
{
	struct child *c = arg;

	if (why == channel_eof) {
		/* Unless it only says so. */
		child_end(c, EOF_GRACE_MS);
	} else {
		LOG(LOG_ERR, "role-broken", LOG_STR("role", ipc_role_name(c->role)), LOG_U("index", c->index),
		    LOG_STR("why", why));
		if (c->pid)
			kill(c->pid, SIGKILL);
	}
	channel_free(ch);
	c->ch = NULL;
}

static const struct channel_handlers handlers = { on_message, on_closed };

/* ---- links ---- */

bool children_talk(enum ipc_role a, enum ipc_role b)
{
	static const struct {
		enum ipc_role a, b;
	} pairs[] = {
		{ IPC_SMTP, IPC_QUEUE },   { IPC_SMTP, IPC_KEEPER },  { IPC_SMTP, IPC_LEDGER },
		{ IPC_QUEUE, IPC_LOCAL },  { IPC_QUEUE, IPC_KEEPER }, { IPC_LOCAL, IPC_KEEPER },
		{ IPC_QUEUE, IPC_LEDGER }, { IPC_SMTP, IPC_FETCH },
	};

	if (a == IPC_ADMIN || b == IPC_ADMIN)
		return a != b;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		if ((pairs[i].a == a && pairs[i].b == b) || (pairs[i].a == b && pairs[i].b == a))
			return true;
	return false;
}

static void send_peer(struct child *to, const struct child *other, int fd)
{
	struct ipc_message m = { .type = IPC_TYPE_peer,
				 .peer = { .role = (uint8_t)other->role, .index = (uint8_t)other->index } };

	child_send(to, &m, fd);
}

/* Channels to all that run; an old one to the process before closes by itself. */
static void link_up(struct child *c)
{
	struct server *s = c->server;

	for (unsigned i = 0; i < s->n_children; i++) {
		struct child *other = &s->child[i];
		int fd[2], r;

		if (other == c || !other->ch || !children_talk(c->role, other->role))
			continue;
		r = channel_pair(fd);
		if (r < 0) {
			LOG(LOG_ERR, "link-failed", LOG_ERRNO(r), LOG_STR("role", ipc_role_name(c->role)),
			    LOG_STR("peer", ipc_role_name(other->role)));
			continue;
		}
		send_peer(c, other, fd[0]);
		send_peer(other, c, fd[1]);
		close(fd[0]);
		close(fd[1]);
	}
}

/* ---- processes ---- */

/* Only what a role may need: no PATH, no LD_ anything, no secrets of whoever started us. */
static const char *const passed_on[] = {
	"HOME",
	"XDG_STATE_HOME",
	"TZ",
	"LANG",
#ifdef SANDBOX_SANITIZER
	"ASAN_SYMBOLIZER_PATH",
	"UBSAN_OPTIONS",
	"LLVM_PROFILE_FILE",
#endif
};

#define ENVIRONMENT_MAX (sizeof(passed_on) / sizeof(passed_on[0]) + 2)

static void clean_environment(char *room[static ENVIRONMENT_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < sizeof(passed_on) / sizeof(passed_on[0]); i++) {
		const char *v = getenv(passed_on[i]);

		if (v && asprintf(&room[n], "%s=%s", passed_on[i], v) > 0)
			n++;
	}
#ifdef SANDBOX_SANITIZER
	/* LeakSanitizer stops its own process with ptrace, which the sandbox forbids. */
	const char *asan = getenv("ASAN_OPTIONS");

	if (asprintf(&room[n], "ASAN_OPTIONS=%s%sdetect_leaks=0", asan ? asan : "",
		     asan && *asan ? ":" : "") > 0)
		n++;
#endif
	room[n] = NULL;
}

static void reset_signals(void)
{
	struct sigaction def = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		sigaction(sig, &def, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void die_saying(const char *what)
{
	dprintf(STDERR_FILENO, "postern: cannot start a role: %s: %s\n", what, strerror(errno));
	_exit(127);
}

/* In the new process. */
static _Noreturn void become_role(struct child *c, int control)
{
	struct server *s = c->server;
	int null = open("/dev/null", O_RDWR);
	char role[16], index[8], fd[8];
	char *env[ENVIRONMENT_MAX];
	char *argv[] = { (char *)"postern",
			 (char *)"role",
			 role,
			 index,
			 fd,
			 s->setup->no_sandbox ? (char *)"--no-sandbox" : NULL,
			 NULL };
	int r;

	reset_signals();
	umask(077);
	snprintf(role, sizeof(role), "%s", ipc_role_name(c->role));
	snprintf(index, sizeof(index), "%u", c->index);
	snprintf(fd, sizeof(fd), "%d", 3);
	/* 0 nothing, 1 and 2 where errors go, 3 the channel to main, 4 the program until exec,
	 * 5 the lock that lasts as long as any role. */
	control = fcntl(control, F_DUPFD_CLOEXEC, 10);
	s->exe_fd = fcntl(s->exe_fd, F_DUPFD_CLOEXEC, 10);
	s->roles_fd = fcntl(s->roles_fd, F_DUPFD_CLOEXEC, 10);
	if (null < 0 || control < 0 || s->exe_fd < 0 || s->roles_fd < 0 || dup2(null, 0) < 0 ||
	    dup2(2, 1) < 0 || dup2(control, 3) < 0 || dup3(s->exe_fd, 4, O_CLOEXEC) < 0 ||
	    dup2(s->roles_fd, 5) < 0)
		die_saying("descriptors");
	if (syscall(SYS_close_range, 6U, ~0U, 0U) < 0)
		for (int at = 6; at < 4096; at++)
			close(at);
	clean_environment(env);
	r = privilege_become(&c->as);
	if (r < 0) {
		errno = -r;
		die_saying("changing the user");
	}
	syscall(SYS_execveat, 4, "", argv, env, AT_EMPTY_PATH);
	die_saying("exec");
}

int child_start(struct child *c)
{
	struct server *s = c->server;
	int fd[2], r;
	pid_t pid;

	if (!c->timers) {
		uv_timer_init(&s->loop, &c->restart);
		uv_timer_init(&s->loop, &c->kill);
		c->restart.data = c->kill.data = c;
		c->timers = true;
	}
	r = channel_pair(fd);
	if (r < 0)
		return r;
	pid = fork();
	if (pid == 0)
		become_role(c, fd[1]);
	r = pid < 0 ? -errno : 0;
	close(fd[1]);
	if (r == 0)
		r = channel_new(&s->loop, fd[0], WAITING_MAX, &handlers, c, &c->ch);
	if (r < 0) {
		close(fd[0]);
		if (pid > 0)
			kill(pid, SIGKILL);
		return r;
	}
	c->pid = pid;
	c->ready = false;
	c->generation = 0;
	c->started_ms = uv_now(&s->loop);
	child_send_conf(c);
	if (c->role == IPC_SMTP)
		certificates_send(s, c);
	if (c->role == IPC_SMTP)
		credentials_send(c);
	link_up(c);
	return 0;
}

static void on_restart(uv_timer_t *t);

static void start_again(struct child *c)
{
	int r;

	if (c->pid || c->off || c->server->state >= SERVER_DRAINING)
		return;
	r = child_start(c);
	if (r < 0) {
		LOG(LOG_ERR, "restart-failed", LOG_ERRNO(r), LOG_STR("role", ipc_role_name(c->role)));
		uv_timer_start(&c->restart, on_restart, BACKOFF_MAX_MS, 0);
	}
}

static void on_restart(uv_timer_t *t)
{
	start_again(t->data);
}

static void on_kill(uv_timer_t *t)
{
	struct child *c = t->data;

	if (!c->pid)
		return;
	c->condemned = true;
	LOG(LOG_WARNING, "role-killed", LOG_STR("role", ipc_role_name(c->role)), LOG_U("index", c->index),
	    LOG_STR("why", "it did not end when told to"));
	kill(c->pid, SIGKILL);
}

void child_end(struct child *c, unsigned grace_ms)
{
	if (c->pid && c->timers)
		uv_timer_start(&c->kill, on_kill, grace_ms, 0);
}

static unsigned backoff_ms(unsigned short_lives)
{
	unsigned max = short_lives > SHORT_LIVES ? BACKOFF_MAX_MS : BACKOFF_USUAL_MS;
	unsigned ms = BACKOFF_FIRST_MS;

	for (unsigned i = 0; i < short_lives && ms < max; i++)
		ms *= 2;
	return ms < max ? ms : max;
}

static void on_ended(struct child *c, int status)
{
	struct server *s = c->server;
	uint64_t lived = uv_now(&s->loop) - c->started_ms;

	c->pid = 0;
	c->ready = c->condemned = false;
	c->quarrels = 0;
	uv_timer_stop(&c->kill);
	if (c->ch) {
		channel_free(c->ch);
		c->ch = NULL;
	}
	if (c->off) {
		LOG(LOG_NOTICE, "role-off", LOG_STR("role", ipc_role_name(c->role)));
	} else if (s->state < SERVER_DRAINING) {
		c->restarts++;
		c->short_lives = lived < SHORT_MS ? c->short_lives + 1 : 0;
		c->backoff_ms = backoff_ms(c->short_lives);
		LOG(LOG_ERR, "role-died", LOG_STR("role", ipc_role_name(c->role)), LOG_U("index", c->index),
		    LOG_STR("by", WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "exit"),
		    LOG_U("status", (uint64_t)(WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status))),
		    LOG_U("restart_ms", c->backoff_ms));
		uv_timer_start(&c->restart, on_restart, c->backoff_ms, 0);
	}
	server_child_gone(s, c);
}

void children_apply(struct server *s)
{
	struct ipc_message m = { .type = IPC_TYPE_drain, .drain = { 0 } };

	for (unsigned i = 0; i < s->n_children; i++) {
		struct child *c = &s->child[i];
		bool off = is_off(s, c->role);

		if (off == c->off)
			continue;
		c->off = off;
		if (off) {
			child_send(c, &m, -1);
			child_end(c, EOF_GRACE_MS);
		} else if (!c->pid) {
			start_again(c);
		}
	}
}

void children_reap(struct server *s)
{
	for (unsigned i = 0; i < s->n_children; i++) {
		struct child *c = &s->child[i];
		int status;

		if (c->pid && waitpid(c->pid, &status, WNOHANG) == c->pid)
			on_ended(c, status);
	}
}
