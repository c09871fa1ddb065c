#include "role/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>

#include "base/log.h"
#include "ipc/memory.h"
#include "net/tls.h"
#include "role/credentials.h"
#include "role/server.h"
#include "role/watchdog.h"
#include "sandbox/sandbox.h"

#define DRAIN_GRACE_MS	  2000 /* beyond the time that a role was given */
#define INNER_DRAIN_S	  5    /* for roles that no stranger can delay */
#define HURRY_MS	  1000
#define RELOAD_TIMEOUT_MS 5000

/* ---- saying what is wrong ---- */

static void print_findings(const char *file, const struct conf_finding *f)
{
	struct buf b;

	buf_init(&b, 1U << 20);
	conf_findings_show(f, file, &b);
	fprintf(stderr, "%.*s", SLICE_ARG(buf_slice(&b)));
	buf_done(&b);
}

static void say_to_stderr(void *arg, const char *text)
{
	(void)arg;
	fprintf(stderr, "postern: %s\n", text);
}

/* ---- reload ---- */

struct reload {
	json_t *errors, *warnings;	  /* of the file */
	json_t *changes, *restart_needed; /* by it */
};

static void say_to_reload(void *arg, const char *text)
{
	struct reload *rl = arg;

	json_array_append_new(rl->errors, json_string(text));
	LOG(LOG_ERR, "reload-refused", LOG_STR("why", text));
}

static void add_findings(struct reload *rl, const char *file, const struct conf_finding *f)
{
	for (; f; f = f->next) {
		json_t *j = f->line ? json_sprintf("%s:%u: %s", file, f->line, f->text)
				    : json_sprintf("%s: %s", file, f->text);

		json_array_append_new(f->error ? rl->errors : rl->warnings, j);
		LOG(f->error ? LOG_ERR : LOG_WARNING, f->error ? "reload-refused" : "conf-warning",
		    LOG_STR("file", file), LOG_U("line", f->line), LOG_STR("why", f->text ? f->text : ""));
	}
}

static void add_changes(struct reload *rl, const struct conf_finding *f)
{
	for (; f; f = f->next) {
		json_array_append_new(f->note ? rl->changes : rl->restart_needed, json_string(f->text));
		LOG(f->note ? LOG_NOTICE : LOG_WARNING, f->note ? "conf-changed" : "restart-needed",
		    LOG_STR("what", f->text));
	}
}

/* What only a new start changes stays as it is, here and in every role, also in one that is
 * started anew after this: else that one would work in another folder than the rest. */
static int keep_fixed(const struct conf *old, struct conf *now, struct buf *text)
{
	int r = conf_keep_fixed(old, now);

	if (r <= 0)
		return r;
	buf_reset(text);
	conf_show(now, false, text);
	return buf_ok(text) ? 0 : -ENOMEM;
}

/* Everything that can fail comes before the first thing that changes. */
static int try_reload(struct server *s, struct reload *rl)
{
	struct conf_finding *findings = NULL, *changes = NULL;
	struct conf *now = NULL, *old = s->conf;
	char room[1024];
	struct buf text;
	int fd = -1, r;

	buf_init(&text, 1U << 20);
	r = server_config_read(s->setup, s->root, &text, &now, &findings);
	add_findings(rl, server_config_path(s->setup, s->root, room, sizeof(room)), findings);
	conf_findings_free(findings);
	if (r == 0)
		r = conf_reload_diff(old, now, &changes);
	if (r == 0)
		r = keep_fixed(old, now, &text);
	if (r == 0) {
		fd = ipc_memory_file("configuration", buf_slice(&text));
		if (fd < 0)
			r = fd;
	}
	if (r == 0)
		r = listeners_open(s, now, say_to_reload, rl);
	if (r == 0 && role_ops_of(IPC_SMTP)) {
		/* Certificates are the one thing that replaces what is in use at once;
		 * should they be bad, the listeners just opened are given up again. */
		r = certificates_load(s, now, say_to_reload, rl);
		if (r < 0)
			listeners_forget();
	}
	buf_done(&text);
	if (r < 0) {
		if (fd >= 0)
			close(fd);
		conf_findings_free(changes);
		conf_free(now);
		return r;
	}
	add_changes(rl, changes);
	conf_findings_free(changes);
	close(s->conf_fd);
	s->conf_fd = fd;
	s->conf = now;
	s->generation++;
	for (unsigned i = 0; i < s->n_children; i++)
		child_send_conf(&s->child[i]);
	certificates_send(s, NULL);
	credentials_load(s);
	listeners_apply(s);
	children_apply(s);
	files_send(s);
	log_level(now->log_level);
	conf_free(old);
	return 0;
}

static void finish_reload(struct server *s, bool all)
{
	json_t *waits = json_array();

	if (!s->reload.open) {
		json_decref(waits);
		return;
	}
	for (unsigned i = 0; i < s->n_children && !all; i++)
		if (!s->child[i].off && (!s->child[i].ready || s->child[i].generation < s->generation))
			json_array_append_new(waits, json_string(ipc_role_name(s->child[i].role)));
	json_object_set_new(s->reload.notes, "generation", json_integer((json_int_t)s->generation));
	json_object_set_new(s->reload.notes, "not_yet", waits);
	s->reload.open = false;
	uv_timer_stop(&s->reload.timeout);
	server_answer(s, s->reload.req, s->reload.notes);
	s->reload.notes = NULL;
}

static void on_reload_timeout(uv_timer_t *t)
{
	finish_reload(t->data, false);
}

/* req 0: a signal asked, nobody waits for an answer. */
static void reload(struct server *s, uint64_t req)
{
	struct reload rl = { json_array(), json_array(), json_array(), json_array() };
	json_t *answer = json_object();
	int r;

	server_notify("RELOADING=1");
	r = try_reload(s, &rl);
	server_notify("READY=1");
	json_object_set(answer, "warnings", rl.warnings);
	if (r < 0) {
		LOG(LOG_ERR, "reload-failed", LOG_ERRNO(r), LOG_STR("note", "nothing was changed"));
		json_object_set(answer, "errors", rl.errors);
	} else {
		LOG(LOG_NOTICE, "reloaded", LOG_U("generation", s->generation));
		json_object_set(answer, "changes", rl.changes);
		json_object_set(answer, "restart_needed", rl.restart_needed);
	}
	json_decref(rl.errors);
	json_decref(rl.warnings);
	json_decref(rl.changes);
	json_decref(rl.restart_needed);
	if (r < 0 && req) {
		server_answer(s, req, answer);
		return;
	}
	if (r < 0)
		req = 0;
	if (!req) {
		json_decref(answer);
		return;
	}
	s->reload.open = true;
	s->reload.req = req;
	s->reload.notes = answer;
	uv_timer_start(&s->reload.timeout, on_reload_timeout, RELOAD_TIMEOUT_MS, 0);
}

void server_answer(struct server *s, uint64_t req, json_t *answer)
{
	char *text = answer ? json_dumps(answer, JSON_COMPACT) : NULL;
	struct ipc_message m = { .type = IPC_TYPE_response, .response = { .req = req, .last = 1 } };

	m.response.json = text && strlen(text) <= IPC_CHUNK_MAX
				  ? slice_str(text)
				  : SLICE_LIT("{\"error\":\"the answer is too long\"}");
	for (unsigned i = 0; i < s->n_children; i++)
		if (s->child[i].role == IPC_ADMIN)
			child_send(&s->child[i], &m, -1);
	free(text);
	json_decref(answer);
}

/* Two fixed questions, compared as text: main parses nothing of others. */
void server_request(struct server *s, const struct ipc_request *m)
{
	if (slice_eq(m->json, SLICE_LIT("{\"ask\":\"status\"}")))
		server_answer(s, m->req, server_status(s));
	else if (!slice_eq(m->json, SLICE_LIT("{\"ask\":\"reload\"}")))
		server_answer(s, m->req,
			      json_pack("{s:s}", "error", "the main process answers status and reload only"));
	else if (s->state != SERVER_RUNNING || s->reload.open)
		server_answer(s, m->req,
			      json_pack("{s:s}", "error",
					s->reload.open ? "another reload is under way"
						       : "the server is not running steadily"));
	else
		reload(s, m->req);
}

/* ---- start and end of the whole ---- */

static void say_ready(struct server *s)
{
	struct buf b;

	buf_init(&b, 4096);
	for (unsigned i = 0; i < s->n_listeners; i++)
		if (s->listener[i].port)
			buf_fmt(&b, "%s%s=%s%s%s:%u", i ? " " : "", s->listener[i].name,
				s->listener[i].ip.family == 6 ? "[" : "", s->listener[i].address,
				s->listener[i].ip.family == 6 ? "]" : "", s->listener[i].port);
	LOG(LOG_NOTICE, "ready", LOG_STR("version", POSTERN_VERSION), LOG_STR("hostname", s->conf->hostname),
	    LOG_S("listeners", slice_trim(buf_slice(&b))), LOG_U("smtp_processes", s->n_smtp));
	buf_done(&b);
	server_notify("READY=1");
}

void server_child_ready(struct server *s, struct child *c)
{
	if (s->state == SERVER_STARTING) {
		/* Nobody is let in before all are there to serve him. */
		if (!children_ready(s, s->generation))
			return;
		s->state = SERVER_RUNNING;
		for (unsigned i = 0; i < s->n_children; i++)
			listeners_send_all(s, &s->child[i]);
		say_ready(s);
	} else if (s->state == SERVER_RUNNING) {
		if (c->generation == s->generation && !c->listening)
			listeners_send_all(s, c);
		if (children_ready(s, s->generation))
			finish_reload(s, true);
	}
}

static const enum ipc_role end_order[] = { IPC_SMTP,  IPC_QUEUE,  IPC_LOCAL, IPC_KEEPER,
					   IPC_FETCH, IPC_LEDGER, IPC_ADMIN };

/* The next kind of role to end; the loop stops when none is left. */
static void drain_next(struct server *s)
{
	for (size_t i = 0; i < sizeof(end_order) / sizeof(end_order[0]); i++) {
		enum ipc_role role = end_order[i];
		unsigned seconds = role == IPC_SMTP ? s->conf->drain_s : INNER_DRAIN_S;
		struct ipc_message m = { .type = IPC_TYPE_drain, .drain = { seconds } };

		if (!children_running(s, role))
			continue;
		if (s->draining & (UINT64_C(1) << role))
			return; /* under way */
		s->draining |= UINT64_C(1) << role;
		for (unsigned k = 0; k < s->n_children; k++)
			if (s->child[k].role == role && s->child[k].pid) {
				child_send(&s->child[k], &m, -1);
				child_end(&s->child[k], seconds * 1000 + DRAIN_GRACE_MS);
			}
		return;
	}
	uv_stop(&s->loop);
}

static void begin_drain(struct server *s, int status)
{
	if (s->state >= SERVER_DRAINING)
		return;
	s->status = status;
	s->state = SERVER_DRAINING;
	LOG(LOG_NOTICE, "draining", LOG_U("seconds", s->conf->drain_s));
	server_notify("STOPPING=1");
	listeners_close(s);
	drain_next(s);
}

static void hurry(struct server *s)
{
	struct ipc_message m = { .type = IPC_TYPE_drain, .drain = { 0 } };

	if (s->state == SERVER_HURRYING)
		return;
	s->state = SERVER_HURRYING;
	LOG(LOG_NOTICE, "stopping-at-once");
	for (unsigned i = 0; i < s->n_children; i++)
		if (s->child[i].pid) {
			s->draining |= UINT64_C(1) << s->child[i].role;
			child_send(&s->child[i], &m, -1);
			child_end(&s->child[i], HURRY_MS);
		}
	if (!children_running(s, 0))
		uv_stop(&s->loop);
}

void server_child_gone(struct server *s, struct child *c)
{
	c->listening = false;
	/* A role that cannot even begin will not by trying again: its log line says why. */
	if (s->state == SERVER_STARTING && c->restarts >= 3) {
		LOG(LOG_CRIT, "start-failed", LOG_STR("role", ipc_role_name(c->role)));
		begin_drain(s, EXIT_FAILURE);
	} else if (s->state >= SERVER_DRAINING) {
		drain_next(s);
	}
}

static void on_signal(uv_signal_t *h, int sig)
{
	struct server *s = h->data;

	if (sig == SIGCHLD) {
		children_reap(s);
	} else if (sig == SIGHUP) {
		LOG(LOG_NOTICE, "signal", LOG_STR("name", "SIGHUP"));
		if (s->state == SERVER_RUNNING)
			reload(s, 0);
	} else if (s->state >= SERVER_DRAINING) {
		hurry(s);
	} else {
		LOG(LOG_NOTICE, "signal", LOG_STR("name", sig == SIGTERM ? "SIGTERM" : "SIGINT"));
		begin_drain(s, EXIT_SUCCESS);
	}
}

static void watch_signals(struct server *s)
{
	static const int signals[] = { SIGCHLD, SIGHUP, SIGTERM, SIGINT };

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		uv_signal_init(&s->loop, &s->on_signal[i]);
		s->on_signal[i].data = s;
		uv_signal_start(&s->on_signal[i], on_signal, signals[i]);
	}
}

/* ---- the steps of a start; each says itself what is wrong ---- */

static int read_conf(struct server *s)
{
	struct conf_finding *findings = NULL;
	const char *file;
	char room[1024];
	struct buf text;
	int r;

	buf_init(&text, 1U << 20);
	r = server_config_read(s->setup, s->root, &text, &s->conf, &findings);
	file = server_config_path(s->setup, s->root, room, sizeof(room));
	/* A warning is not to name a file that is not there; an empty one is meant. */
	print_findings(s->setup->file || access(file, F_OK) == 0 ? file : "(no file)", findings);
	conf_findings_free(findings);
	if (r == 0) {
		s->generation = 1;
		s->conf_fd = ipc_memory_file("configuration", buf_slice(&text));
		if (s->conf_fd < 0) {
			r = s->conf_fd;
			fprintf(stderr, "postern: no memory for the configuration: %s\n", strerror(-r));
		}
	}
	buf_done(&text);
	return r;
}

static void raise_limits(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) < 0)
		return;
	l.rlim_cur = l.rlim_max;
	setrlimit(RLIMIT_NOFILE, &l);
}

static int start_children(struct server *s)
{
	for (unsigned i = 0; i < s->n_children; i++) {
		int r = s->child[i].off ? 0 : child_start(&s->child[i]);

		if (r < 0) {
			LOG(LOG_CRIT, "start-failed", LOG_STR("role", ipc_role_name(s->child[i].role)),
			    LOG_ERRNO(r));
			return r;
		}
	}
	return 0;
}

/* 0, or the exit status. */
static int prepare(struct server *s)
{
	umask(022);
	/* Private keys pass here.  The program is opened first: it is looked up as "who am I". */
	s->exe_fd = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	if (s->exe_fd < 0) {
		fprintf(stderr, "postern: cannot open /proc/self/exe: %s\n", strerror(errno));
		return EXIT_FAILURE;
	}
	if (!s->setup->no_sandbox && sandbox_close_memory() < 0) {
		fprintf(stderr, "postern: the memory cannot be closed: %s\n", strerror(errno));
		return EXIT_FAILURE;
	}
	if (read_conf(s) < 0)
		return EX_CONFIG;
	log_open((enum log_to)s->conf->log_to, (enum log_format)s->conf->log_format, "main", -1);
	log_level(s->conf->log_level);
	raise_limits();
	if (children_plan(s) < 0)
		return EX_CONFIG;
	if (folders_make(s) < 0 || folders_lock(s) < 0)
		return EXIT_FAILURE;
	if (listeners_open(s, s->conf, say_to_stderr, NULL) < 0)
		return EX_NOPERM;
	if (tls_process_begin() < 0) {
		fputs("postern: out of memory\n", stderr);
		return EXIT_FAILURE;
	}
	if (role_ops_of(IPC_SMTP) && certificates_load(s, s->conf, say_to_stderr, NULL) < 0)
		return EX_CONFIG;
	return 0;
}

static void run(struct server *s)
{
	if (getrandom(s->ticket_secret, sizeof(s->ticket_secret), 0) != sizeof(s->ticket_secret))
		LOG(LOG_WARNING, "no-randomness");
	listeners_apply(s);
	if (s->root)
		privilege_keep_few();
	watch_signals(s);
	certificates_watch(s);
	files_watch(s);
	heartbeat_start(s);
	watchdog_start(&s->loop);
	uv_timer_init(&s->loop, &s->reload.timeout);
	s->reload.timeout.data = s;
	if (start_children(s) < 0)
		begin_drain(s, EXIT_FAILURE);
	else if (role_ops_of(IPC_SMTP))
		credentials_load(s);
	if (s->state < SERVER_DRAINING || children_running(s, 0))
		uv_run(&s->loop, UV_RUN_DEFAULT);
	credentials_wipe();
	LOG(LOG_NOTICE, "stopped");
}

int supervisor_run(const struct supervisor_setup *setup)
{
	static struct server s; /* large, and as long-lived as the process */
	int status;

	s = (struct server){ .setup = setup,
			     .root = geteuid() == 0,
			     .conf_fd = -1,
			     .exe_fd = -1,
			     .lock_fd = -1,
			     .roles_fd = -1 };
	if (uv_loop_init(&s.loop) < 0)
		return EXIT_FAILURE;
	s.started_ms = uv_now(&s.loop);
	status = prepare(&s);
	if (status != 0) {
		listeners_forget();
		return status;
	}
	run(&s);
	listeners_close(&s);
	return s.status;
}
