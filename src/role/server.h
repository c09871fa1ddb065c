/* server.h - process main: starts the roles, hands them what only it may open, and
 * keeps them running.
 *
 * For the files of main alone (supervisor.c, children.c, blame.c, listeners.c,
 * certificates.c, files.c, folders.c, privilege.c, main_status.c).  main parses nothing
 * hostile: its configuration and certificates come from the administrator, and
 * from roles it takes `ready`, `complain` and two fixed questions of admin.
 */
#ifndef POSTERN_ROLE_SERVER_H
#define POSTERN_ROLE_SERVER_H

#include <uv.h>

#include "conf/conf.h"
#include "ipc/channel.h"
#include "role/role.h"
#include "role/supervisor.h"

#define CHILDREN_MAX	 (ROLE_SMTP_MAX + IPC_ROLES)
#define LISTENERS_MAX	 128
#define CERTIFICATES_MAX 256

struct server;

struct account { /* of the machine: what a role runs as */
	uid_t uid;
	gid_t gid;
};

struct child {
	struct server *server;
	enum ipc_role role;
	unsigned index;
	struct account as;
	pid_t pid; /* 0: not running */
	struct channel *ch;
	bool ready, listening; /* listening: its listeners were sent to it */
	uint64_t generation;   /* of the configuration that it has last said to have */
	uint64_t started_ms;   /* of the loop's clock */
	unsigned restarts, backoff_ms;
	unsigned short_lives; /* in a row */
	bool condemned;	      /* was killed, and has not ended yet */
	bool off;	      /* not needed by this configuration */
	/* blame.c's: with which roles this process has not worked, as bits; and when it, or
	 * another for it, was started anew for the sake of which pair. */
	unsigned quarrels;
	enum ipc_role blamed_with;
	uint64_t blamed_ms, spared_ms;
	uint64_t beat; /* number of the last ping */
	bool beat_open, hung_told;
	unsigned beats_missed, hangs;
	uv_timer_t restart, kill; /* kill: it was told to go and has not */
	bool timers;
};

struct listener { /* one address and port, or one Unix socket */
	char name[65];
	char address[129];
	struct ip ip;
	uint16_t port;
	int fd[ROLE_SMTP_MAX]; /* a socket for each smtp process; of a Unix socket, one */
	unsigned n_fd;
	enum ipc_role role; /* that accepts */
};

struct certificate_file {
	char *cert, *key; /* paths; NULL key: both in cert */
	struct {
		dev_t dev;
		ino_t ino;
		off_t size;
		struct timespec changed;
	} seen[2];
	int pem_fd; /* sealed memory: chain and key */
	int64_t not_after;
	char sha256[65];
	char *names; /* of hosts, with spaces between */
};

enum server_state { SERVER_STARTING, SERVER_RUNNING, SERVER_DRAINING, SERVER_HURRYING };

struct server {
	uv_loop_t loop;
	const struct supervisor_setup *setup;
	bool root;
	enum server_state state;
	int status;
	uint64_t started_ms;

	struct conf *conf;
	int conf_fd; /* sealed memory: the text */
	uint64_t generation;

	int exe_fd;	       /* this program: a restarted role is the same version, whatever lies on disk */
	int lock_fd, roles_fd; /* folders.c */
	struct child child[CHILDREN_MAX];
	unsigned n_children, n_smtp;

	struct listener listener[LISTENERS_MAX];
	unsigned n_listeners;

	struct certificate_file certificate[CERTIFICATES_MAX];
	unsigned n_certificates;
	bool self_signed;
	uint64_t certificate_generation;
	unsigned char ticket_secret[32];
	uv_timer_t watch, watch_files, heartbeat;

	uv_signal_t on_signal[4];
	uint64_t draining; /* which roles were told to go, as bits */
	struct {
		bool open;
		uint64_t req;
		json_t *notes; /* what the answer says besides */
		uv_timer_t timeout;
	} reload; /* the command line waits for it */
};

/* ---- supervisor.c ---- */
void server_child_ready(struct server *s, struct child *c);
void server_child_gone(struct server *s, struct child *c);
/* A question of the command line, passed on by admin. */
void server_request(struct server *s, const struct ipc_request *m);
void server_answer(struct server *s, uint64_t req, json_t *answer); /* takes the reference */

/* ---- config.c: reading, checking, saying what is wrong ---- */
/* The text and what it means.  Findings go to ret_findings (NULL: to standard error).
 * 0 or negative errno; then findings say why. */
int server_config_read(const struct supervisor_setup *setup, bool root, struct buf *text, struct conf **ret,
		       struct conf_finding **ret_findings);
const char *server_config_path(const struct supervisor_setup *setup, bool root, char *room, size_t size);

/* ---- children.c ---- */
int children_plan(struct server *s); /* which there are, and as whom; says what is missing */
int child_start(struct child *c);
void child_send(struct child *c, const struct ipc_message *m, int fd);
void child_send_conf(struct child *c);
void child_end(struct child *c, unsigned grace_ms); /* SIGKILL after that */
void children_apply(struct server *s);		    /* starts and ends what the new configuration wants */
void children_reap(struct server *s);
bool children_running(const struct server *s, enum ipc_role role);
bool children_ready(const struct server *s, uint64_t generation);
struct child *children_find(struct server *s, unsigned role, unsigned index); /* NULL: none */
bool children_talk(enum ipc_role a, enum ipc_role b); /* whether they have a channel */
const struct child *children_first(const struct server *s, enum ipc_role role);

/* ---- blame.c ---- */
void blame_complaint(struct child *from, const struct ipc_complain *m);

/* ---- heartbeat.c ---- */
void heartbeat_start(struct server *s);
void heartbeat_heard(struct child *c, const struct ipc_pong *m);

/* ---- listeners.c ---- */
/* Opens what conf wants and is not open, into a new list; nothing of the old one changes.
 * Errors are told through say() one by one; -errno of the last. */
int listeners_open(struct server *s, const struct conf *conf, void (*say)(void *arg, const char *text),
		   void *arg);
/* After a successful listeners_open(): tells the roles, closes what is not wanted any more. */
void listeners_apply(struct server *s);
void listeners_forget(void); /* instead of listeners_apply() */
void listeners_send_all(struct server *s, struct child *c);
void listeners_close(struct server *s);

/* ---- certificates.c ---- */
int certificates_load(struct server *s, const struct conf *conf, void (*say)(void *arg, const char *text),
		      void *arg);
void certificates_send(struct server *s, struct child *c); /* NULL: to all smtp */
void certificates_watch(struct server *s);

/* ---- files.c ---- */
void files_send(struct server *s); /* as they are now, to all who need them */
void files_watch(struct server *s);

/* ---- folders.c ---- */
int folders_make(struct server *s);
int folders_lock(struct server *s);

/* ---- privilege.c ---- */
int privilege_account(const char *user, const char *group, struct account *ret);
void privilege_keep_few(void);
/* In the child, before exec: become that account for good. 0 or negative errno. */
int privilege_become(const struct account *as);

/* ---- main_status.c ---- */
json_t *server_status(struct server *s);
void server_notify(const char *state); /* systemd's, if it asked for it */

#endif
