#include "role/role.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/log.h"
#include "base/turn.h"
#include "ipc/memory.h"
#include "role/request.h"
#include "role/walls.h"
#include "role/watchdog.h"

#define CONF_TEXT_MAX	 (1U << 20)
#define MAIN_GONE_MS	 1000
#define UNLINKED_MS	 2000 /* a peer's channel ended: by then another should have come */
#define SILENT_EVERY_MS	 10000
#define ORPHAN_SECONDS	 2 /* after main's death the kernel ends us, even if the loop hangs */
#define DESCRIPTORS_SMTP 32768
#define DESCRIPTORS	 1024

/* One role is the whole process, so what belongs to the process is here once. */
static struct {
	struct role role;
	uv_loop_t loop;
	struct role_peer main;
	struct role_peer peer[IPC_ROLES][ROLE_SMTP_MAX];
	uint64_t last_link;
	int status;
	bool exiting, sandboxed;
	uint64_t started_ns;
	uv_timer_t leave, unlinked;
} self;

static const struct channel_handlers peer_handlers;

struct role_peer *role_peer_slot(struct role *r, enum ipc_role who, unsigned index)
{
	(void)r;
	if (who == IPC_MAIN)
		return &self.main;
	if (who <= IPC_MAIN || who >= IPC_ROLES || index >= ROLE_SMTP_MAX || (who != IPC_SMTP && index > 0))
		return NULL;
	return &self.peer[who][index];
}

struct channel *role_peer(struct role *r, enum ipc_role who, unsigned index)
{
	struct role_peer *p = role_peer_slot(r, who, index);

	return p ? p->ch : NULL;
}

void role_exit(struct role *r)
{
	self.exiting = true;
	uv_stop(r->loop);
}

static void fail(struct role *r, const char *event, int err)
{
	LOG(LOG_ERR, event, LOG_ERRNO(err));
	self.status = 1;
	role_exit(r);
}

/* ---- peers ---- */

static void on_unlinked(uv_timer_t *t);

static int peer_open(struct role_peer *p, int fd)
{
	int r = channel_new(p->role->loop, fd, ROLE_WAITING_MAX, &peer_handlers, p, &p->ch);

	if (r == 0)
		p->link = ++self.last_link;
	return r;
}

static void peer_close(struct role_peer *p)
{
	struct role *r = p->role;

	channel_free(p->ch);
	p->ch = NULL;
	if (p->who == IPC_MAIN)
		return;
	if (!self.exiting && !uv_is_active((uv_handle_t *)&self.unlinked))
		uv_timer_start(&self.unlinked, on_unlinked, UNLINKED_MS, UNLINKED_MS);
	if (r->ops->peer)
		r->ops->peer(r, p->who, p->index, NULL);
}

static void complain(struct role_peer *p, enum ipc_complaint kind, const char *why)
{
	struct ipc_message m = {
		.type = IPC_TYPE_complain,
		.complain = { .role = (uint8_t)p->who, .index = (uint8_t)p->index, .kind = (uint8_t)kind }
	};

	LOG(LOG_ERR, "peer-broken", LOG_STR("peer", ipc_role_name(p->who)), LOG_U("index", p->index),
	    LOG_STR("why", why));
	if (self.main.ch)
		channel_send(self.main.ch, &m, -1);
}

void role_peer_broken(struct role *r, enum ipc_role who, unsigned index, const char *why)
{
	struct role_peer *p = role_peer_slot(r, who, index);

	if (!p || !p->ch || who == IPC_MAIN)
		return;
	complain(p, IPC_COMPLAINT_BROKEN, why);
	peer_close(p);
}

void role_peer_silent(struct role *r, enum ipc_role who, unsigned index)
{
	struct role_peer *p = role_peer_slot(r, who, index);

	if (!p || !p->ch || who == IPC_MAIN || uv_now(r->loop) - p->complained_ms < SILENT_EVERY_MS)
		return;
	p->complained_ms = uv_now(r->loop);
	complain(p, IPC_COMPLAINT_SILENT, "no answer in time");
}

/* Peers whose channel ended and that got no other.  Most often main is about to start
 * that role anew, and knows better; but a process can close a channel and live on. */
static void on_unlinked(uv_timer_t *t)
{
	bool any = false;

	(void)t;
	for (unsigned who = 0; who < IPC_ROLES; who++)
		for (unsigned i = 0; i < ROLE_SMTP_MAX; i++)
			if (self.peer[who][i].link && !self.peer[who][i].ch) {
				struct ipc_message m = { .type = IPC_TYPE_complain,
							 .complain = { .role = (uint8_t)who,
								       .index = (uint8_t)i,
								       .kind = IPC_COMPLAINT_UNLINKED } };

				if (self.main.ch)
					channel_send(self.main.ch, &m, -1);
				any = true;
			}
	if (!any)
		uv_timer_stop(&self.unlinked);
}

static void on_peer(struct role *r, const struct ipc_peer *m, int *fd)
{
	struct role_peer *p = role_peer_slot(r, (enum ipc_role)m->role, m->index);
	int err;

	if (!p || p->who == IPC_MAIN) {
		LOG(LOG_ERR, "peer-refused", LOG_U("peer", m->role), LOG_U("index", m->index));
		return;
	}
	if (*fd < 0) { /* no descriptor was left for it, and it is not sent again */
		fail(r, "peer-failed", EMFILE);
		return;
	}
	if (p->ch) /* it was started anew; its old channel has not said so yet */
		peer_close(p);
	err = peer_open(p, *fd);
	if (err < 0) {
		fail(r, "peer-failed", err);
		return;
	}
	*fd = -1;
	if (r->ops->peer)
		r->ops->peer(r, p->who, p->index, p->ch);
}

/* ---- configuration ---- */

static int parse_conf(const struct ipc_conf *m, int fd, struct conf **ret)
{
	struct conf_finding *findings = NULL;
	struct conf_setup setup = { .port_offset = m->port_offset, .root = m->root };
	char file[1025];
	struct buf text;
	int r;

	if (fd < 0 || !slice_copy(m->file, file, sizeof(file)))
		return -EINVAL;
	setup.file = file;
	buf_init(&text, CONF_TEXT_MAX);
	r = ipc_memory_read(fd, &text);
	if (r == 0)
		r = conf_parse(buf_slice(&text), &setup, ret, &findings);
	conf_findings_free(findings); /* main has shown them */
	buf_done(&text);
	return r;
}

static void send_ready(struct role *r)
{
	struct ipc_message m = { .type = IPC_TYPE_ready, .ready = { .generation = r->conf_generation } };

	channel_send(r->main, &m, -1);
}

/* From the loop: that it turns is the answer. */
static void send_pong(struct role *r, uint64_t number)
{
	struct ipc_message m = { .type = IPC_TYPE_pong, .pong = { .number = number } };

	channel_send(r->main, &m, -1);
}

static void set_log(struct role *r)
{
	int index = r->ops->id == IPC_SMTP ? (int)r->index : -1;
	int err = log_open((enum log_to)r->conf->log_to, (enum log_format)r->conf->log_format,
			   ipc_role_name(r->ops->id), index);

	log_level(r->conf->log_level);
	if (err < 0)
		LOG(LOG_WARNING, "log-unreachable", LOG_ERRNO(err));
}

static void read_boot(struct role *r)
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, r->boot, sizeof(r->boot) - 1);

	if (fd >= 0)
		close(fd);
	while (n > 0 && r->boot[n - 1] == '\n')
		n--;
	r->boot[n > 0 ? n : 0] = '\0';
	for (ssize_t i = 0; i < n; i++)
		if (!strchr("0123456789abcdef-", r->boot[i]))
			r->boot[0] = '\0';
}

static void on_first_conf(struct role *r, struct conf *conf)
{
	int err;

	r->conf = conf;
	set_log(r);
	read_boot(r);
	err = walls_before_open(r) ? walls_enter(r, self.sandboxed) : 0;
	if (err == 0 && r->ops->open)
		err = r->ops->open(r);
	if (err == 0 && !walls_before_open(r))
		err = walls_enter(r, self.sandboxed);
	if (err == 0 && r->ops->start)
		err = r->ops->start(r);
	if (err < 0) {
		fail(r, "start-failed", err);
		return;
	}
	watchdog_forgive(); /* nobody waits yet */
	send_ready(r);
}

static void on_conf(struct role *r, const struct ipc_conf *m, int fd)
{
	struct conf *old = r->conf, *conf;
	int err = parse_conf(m, fd, &conf);

	if (err < 0) {
		/* main has checked this very text */
		if (old)
			LOG(LOG_ERR, "conf-refused", LOG_ERRNO(err));
		else
			fail(r, "conf-refused", err);
		return;
	}
	r->conf_generation = m->generation;
	if (!old) {
		on_first_conf(r, conf);
		return;
	}
	r->conf = conf;
	log_level(conf->log_level);
	if (r->ops->reconfigured)
		r->ops->reconfigured(r, old);
	conf_free(old);
	send_ready(r);
}

/* ---- messages ---- */

static void drain(struct role *r, unsigned seconds)
{
	if (r->ops->drain && r->conf)
		r->ops->drain(r, seconds);
	else
		role_exit(r);
}

static void on_main_message(struct role *r, const struct ipc_message *m, int *fd)
{
	if (!r->conf && m->type != IPC_TYPE_conf) {
		fail(r, "message-before-conf", EPROTO);
		return;
	}
	switch (m->type) {
	case IPC_TYPE_conf:
		on_conf(r, &m->conf, *fd);
		return;
	case IPC_TYPE_peer:
		on_peer(r, &m->peer, fd);
		return;
	case IPC_TYPE_drain:
		drain(r, m->drain.seconds);
		return;
	case IPC_TYPE_request:
		role_request_run(r, &self.main, &m->request);
		return;
	case IPC_TYPE_ping:
		send_pong(r, m->ping.number);
		return;
	case IPC_TYPE_response:
		if (r->ops->message)
			r->ops->message(r, IPC_MAIN, 0, m, fd);
		return;
	case IPC_TYPE_listen:
	case IPC_TYPE_unlisten:
	case IPC_TYPE_certificate:
	case IPC_TYPE_ticket_secret:
	case IPC_TYPE_credential:
	case IPC_TYPE_file:
		if (r->ops->control)
			r->ops->control(r, m, fd);
		return;
	default:
		LOG(LOG_ERR, "message-unexpected", LOG_STR("from", "main"),
		    LOG_STR("type", ipc_type_name(m->type)));
	}
}

static void on_message(void *arg, struct channel *ch, const struct ipc_message *m, int *fd)
{
	struct role_peer *p = arg;
	struct role *r = p->role;
	const char *before;

	(void)ch;
	if (self.exiting)
		return;
	before = turn_doing(ipc_type_name(m->type));
	if (p->who == IPC_MAIN)
		on_main_message(r, m, fd);
	else if (m->type == IPC_TYPE_request && p->who == IPC_ADMIN)
		role_request_run(r, p, &m->request);
	else if (m->type == IPC_TYPE_request || !r->ops->message)
		role_peer_broken(r, p->who, p->index, "a message that it may not send");
	else
		r->ops->message(r, p->who, p->index, m, fd);
	turn_doing(before);
}

static void on_leave(uv_timer_t *t)
{
	(void)t;
	role_exit(&self.role);
}

static void on_closed(void *arg, struct channel *ch, const char *why)
{
	struct role_peer *p = arg;
	struct role *r = p->role;

	(void)ch;
	if (p->who != IPC_MAIN) {
		if (why != channel_eof)
			complain(p, IPC_COMPLAINT_BROKEN, why);
		peer_close(p);
		return;
	}
	/* Without main there is no server: finish what one second allows. */
	if (!self.exiting)
		LOG(LOG_NOTICE, "main-gone", LOG_STR("why", why));
	peer_close(p);
	r->main = NULL;
	uv_timer_start(&self.leave, on_leave, MAIN_GONE_MS, 0);
	drain(r, 0);
}

static const struct channel_handlers peer_handlers = { on_message, on_closed };

/* ---- status ---- */

json_t *role_own_status(struct role *r)
{
	json_t *j = json_object(), *peers = json_array();

	if (!j || !peers) {
		json_decref(j);
		json_decref(peers);
		return NULL;
	}
	json_object_set_new(j, "role", json_string(ipc_role_name(r->ops->id)));
	json_object_set_new(j, "index", json_integer(r->index));
	json_object_set_new(j, "pid", json_integer(getpid()));
	json_object_set_new(j, "uptime_s",
			    json_integer((json_int_t)((uv_hrtime() - self.started_ns) / 1000000000)));
	json_object_set_new(j, "memory", json_integer((json_int_t)walls_memory()));
	json_object_set_new(j, "sandbox", json_string(walls_text()));
	json_object_set_new(j, "configuration", json_integer((json_int_t)r->conf_generation));
	watchdog_status(j);
	for (unsigned who = IPC_MAIN; who < IPC_ROLES; who++)
		for (unsigned i = 0; i < ROLE_SMTP_MAX; i++) {
			struct role_peer *p = role_peer_slot(r, (enum ipc_role)who, i);
			struct channel_counters c;

			if (!p || !p->ch || (p->who == IPC_MAIN && i > 0))
				continue;
			channel_count(p->ch, &c);
			json_array_append_new(peers, json_pack("{s:s, s:i, s:I, s:I, s:I, s:I}", "role",
							       ipc_role_name(p->who), "index", (int)i, "sent",
							       (json_int_t)c.sent, "received",
							       (json_int_t)c.received, "waiting",
							       (json_int_t)c.waiting, "waited_max",
							       (json_int_t)c.waited_max));
		}
	json_object_set_new(j, "channels", peers);
	if (r->ops->status)
		r->ops->status(r, j);
	return j;
}

/* ---- the process ---- */

/* main died.  The end of file on its channel lets us finish; if the loop hangs, the
 * alarm's default action ends the process. */
static void on_orphaned(int sig)
{
	(void)sig;
	alarm(ORPHAN_SECONDS);
}

/* Whether to stop is main's decision alone: a terminal's Ctrl-C reaches all. */
static void set_signals(void)
{
	static const int ignored[] = { SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGQUIT, SIGUSR2 };
	struct sigaction ign = { .sa_handler = SIG_IGN }, orphan = { .sa_handler = on_orphaned };

	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		sigaction(ignored[i], &ign, NULL);
	sigaction(SIGUSR1, &orphan, NULL);
	prctl(PR_SET_PDEATHSIG, SIGUSR1);
}

/* In ps and top: "postern:queue", "postern:smtp/1". */
static void name_process(const struct role_ops *ops, unsigned index)
{
	char name[32];

	if (ops->id == IPC_SMTP)
		snprintf(name, sizeof(name), "postern:smtp/%u", index);
	else
		snprintf(name, sizeof(name), "postern:%s", ipc_role_name(ops->id));
	prctl(PR_SET_NAME, name);
}

static void on_never(uv_poll_t *h, int status, int events)
{
	(void)h;
	(void)status;
	(void)events;
}

/* libuv ends the process when it cannot enlarge its table of descriptors, so that is
 * made large enough now, for all that may ever be open: 8 octets each. */
static void reserve_descriptors(const struct role *r)
{
	static uv_poll_t highest;
	rlim_t max = r->ops->id == IPC_SMTP ? DESCRIPTORS_SMTP : DESCRIPTORS;
	struct rlimit limit;
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), high;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < max)
		max = limit.rlim_cur;
	high = fcntl(fd, F_DUPFD_CLOEXEC, (int)max - 8);
	if (high >= 0 && uv_poll_init(&self.loop, &highest, high) == 0) {
		uv_poll_start(&highest, UV_READABLE, on_never);
		uv_close((uv_handle_t *)&highest, NULL);
	}
	if (high >= 0)
		close(high);
	if (fd >= 0)
		close(fd);
}

static int set_up(struct role *r, int control_fd)
{
	int err = uv_loop_init(&self.loop);

	if (err < 0)
		return err;
	reserve_descriptors(r);
	r->loop = &self.loop;
	for (unsigned who = 0; who < IPC_ROLES; who++)
		for (unsigned i = 0; i < ROLE_SMTP_MAX; i++)
			self.peer[who][i] = (struct role_peer){ r, (enum ipc_role)who, i, NULL, 0, 0 };
	self.main = (struct role_peer){ r, IPC_MAIN, 0, NULL, 0, 0 };
	err = peer_open(&self.main, control_fd);
	if (err < 0)
		return err;
	r->main = self.main.ch;
	uv_timer_init(&self.loop, &self.leave);
	uv_unref((uv_handle_t *)&self.leave);
	uv_timer_init(&self.loop, &self.unlinked);
	uv_unref((uv_handle_t *)&self.unlinked);
	return watchdog_start(&self.loop);
}

int role_run(const struct role_ops *ops, unsigned index, int control_fd, bool sandboxed)
{
	struct role *r = &self.role;
	int err;

	r->ops = ops;
	r->index = index;
	self.sandboxed = sandboxed;
	self.started_ns = uv_hrtime();
	set_signals();
	name_process(ops, index);
	tzset(); /* reads a file, which the sandbox will not allow later */
	log_open(LOG_TO_STDERR, LOG_AS_KV, ipc_role_name(ops->id), ops->id == IPC_SMTP ? (int)index : -1);
	err = set_up(r, control_fd);
	if (err < 0) {
		LOG(LOG_ERR, "start-failed", LOG_ERRNO(err));
		return 1;
	}
	while (!self.exiting)
		if (uv_run(r->loop, UV_RUN_DEFAULT) == 0)
			break; /* nothing is left to wait for: the channel to main is gone */
	for (unsigned who = IPC_MAIN; who < IPC_ROLES; who++)
		for (unsigned i = 0; i < ROLE_SMTP_MAX; i++)
			if (self.peer[who][i].ch)
				channel_flush(self.peer[who][i].ch);
	if (self.main.ch)
		channel_flush(self.main.ch);
	return self.status;
}
