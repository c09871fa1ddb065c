/* role.h - what every process but main has in common.
 *
 * A role is one process: an event loop, a channel to main, channels to the
 * roles it talks to, its configuration, its counters.  role_run() does all that
 * is the same for each; a role is the table of what differs.  Order at start:
 *
 *	conf arrives → open() (as the role's own user) → start() → `ready` to main
 *
 * The sandbox comes after open() for smtp and admin, which read files of the system,
 * and before it for the others, which may start threads there: see walls.c.
 *
 * Peers come, and come again after a restart, by peer(); their messages by
 * message().  Handlers run on the loop and never block.
 */
#ifndef POSTERN_ROLE_ROLE_H
#define POSTERN_ROLE_ROLE_H

#include <jansson.h>
#include <uv.h>

#include "conf/conf.h"
#include "ipc/channel.h"

#define ROLE_SMTP_MAX 64 /* processes of role smtp */

struct role;
struct role_request;

struct role_ops {
	enum ipc_role id;
	/* Open files, databases, descriptors; threads not before this.  0, or negative errno after logging
	 * why. */
	int (*open)(struct role *r);
	/* Start to work: sandboxed from here on. */
	int (*start)(struct role *r);
	/* A checked new configuration stands in r->conf; old is freed after the call. May be NULL. */
	void (*reconfigured)(struct role *r, const struct conf *old);
	/* From main: listen, unlisten, certificate, ticket_secret, credential, file.  *fd as in channel.h.
	 * May be NULL. */
	void (*control)(struct role *r, const struct ipc_message *m, int *fd);
	/* A channel to that role and index is open (NULL: it closed; what was asked over it is lost). */
	void (*peer)(struct role *r, enum ipc_role who, unsigned index, struct channel *ch);
	void (*message)(struct role *r, enum ipc_role who, unsigned index, const struct ipc_message *m,
			int *fd);
	/* The command line asks: r->json["ask"] names what, e.g. "queue.list". */
	void (*request)(struct role *r, struct role_request *req);
	/* Counters for `postern status`: add to the object. */
	void (*status)(struct role *r, json_t *to);
	/* Take nothing new, finish, then call role_exit().  0 seconds: main is gone, or in a
	 * hurry; the process ends in a second whatever this does. May come twice. May be NULL. */
	void (*drain)(struct role *r, unsigned seconds);
};

struct role {
	const struct role_ops *ops;
	unsigned index; /* of several smtp processes */
	uv_loop_t *loop;
	struct conf *conf;
	uint64_t conf_generation;
	struct channel *main;
	char boot[64]; /* the kernel's boot_id, read before the walls; "": it has none to read */
	void *state;   /* the role's own */
};

#define ROLE_WAITING_MAX (4U << 20) /* octets that a channel to a peer may keep waiting */

/* The whole life of the process; returns its exit status.  control_fd: the channel to main. */
int role_run(const struct role_ops *ops, unsigned index, int control_fd, bool sandboxed);
void role_exit(struct role *r);

/* What every role says of itself, ops->status() included; NULL: out of memory. */
json_t *role_own_status(struct role *r);

/* NULL while that role is away. */
struct channel *role_peer(struct role *r, enum ipc_role who, unsigned index);
/* That peer said what no working peer says: its channel is closed (peer() hears of it)
 * and main asked to start it anew.  Fine from inside message(). */
void role_peer_broken(struct role *r, enum ipc_role who, unsigned index, const char *why);

/* It has not answered for so long that it must hang, or be up to something: main is told.
 * The channel stays as it is. */
void role_peer_silent(struct role *r, enum ipc_role who, unsigned index);

/* A question from the command line.  json and secret (a password) belong to the
 * request; the secret is wiped when the last answer is given. */
struct role_request {
	json_t *json;
	const char *ask; /* json["ask"] */
	struct slice secret;

	/* role.c's own: whom to answer */
	struct role *role;
	enum ipc_role who;
	unsigned index;
	uint64_t link, req;
	bool kept, done;
};

/* Send part of the answer (takes the reference; an object of at most IPC_CHUNK_MAX
 * octets as text); the last one ends the request.  A long list is sent in parts.
 * A request may be kept and answered later: role_request_keep() moves it to the
 * heap, the last answer frees it. */
void role_answer(struct role_request *req, json_t *part, bool last);
/* The same with an object that is text already, of at most IPC_CHUNK_MAX octets. */
void role_answer_text(struct role_request *req, struct slice json, bool last);
/* {"error": "...", "advice": "..."}; ends the request. */
void role_answer_error(struct role_request *req, const char *error, const char *advice);
struct role_request *role_request_keep(struct role_request *req); /* NULL: out of memory */
/* Octets of answer that the way back takes now; 0 when nobody waits for it any more. */
size_t role_answer_room(const struct role_request *req);

extern const struct role_ops role_smtp, role_queue, role_keeper, role_ledger, role_local, role_admin,
	role_fetch;
/* By id, from the table in roles.c; NULL if there is none. */
const struct role_ops *role_ops_of(enum ipc_role id);

#endif
