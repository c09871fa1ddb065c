/* admin - the control socket: takes the command line's questions, carries them to the
 * role that knows, and the answers back.  It knows no mail, no accounts and no keys.
 *
 * A question keeps its secret and its text as they came; only the request id is
 * changed, so that two clients with the same one do not meet.
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sys/socket.h>

#include "base/list.h"
#include "base/log.h"
#include "role/role.h"

#define CLIENTS_MAX	32
#define HOPS_MAX	512
#define CLIENT_HOPS_MAX 32
#define CLIENT_WAITING	(8U << 20) /* octets of answers that a slow reader may let wait */
#define SILENCE_MS	2000	   /* a role that has not told its status by then is named as silent */

struct client {
	struct list link;
	struct channel *ch;
	uid_t uid;
	unsigned hops;
};

/* A question under way to a role. */
struct hop {
	struct list link;
	struct client *client;
	uint64_t asked;	 /* the client's request id */
	uint64_t passed; /* ours, to the role */
	enum ipc_role who;
	unsigned index;
	struct gather *gather; /* it is one of several; NULL: alone */
};

/* A question that all roles answer. */
struct gather {
	uv_timer_t timeout;
	struct client *client; /* NULL: it left */
	uint64_t asked;
	unsigned open;
};

static struct {
	struct role *role;
	struct list clients, hops;
	unsigned n_clients, n_hops;
	uint64_t last_request;
	uint64_t questions, refused;
	uid_t server_uid;
	gid_t group;
	bool has_group;
	int listen_fd;
	uv_poll_t listen;
} admin = { .listen_fd = -1 };

/* ---- answers ---- */

static void answer_text(struct client *c, uint64_t req, struct slice json, bool last)
{
	struct ipc_message m = { .type = IPC_TYPE_response,
				 .response = { .req = req, .last = last, .json = json } };

	channel_send(c->ch, &m, -1);
}

static void answer(struct client *c, uint64_t req, json_t *j, bool last)
{
	char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;

	if (text && strlen(text) <= IPC_CHUNK_MAX)
		answer_text(c, req, slice_str(text), last);
	else
		answer_text(c, req, SLICE_LIT("{\"error\":\"the answer is too long\"}"), last);
	free(text);
	json_decref(j);
}

static void answer_error(struct client *c, uint64_t req, const char *error, const char *advice)
{
	answer(c, req,
	       advice ? json_pack("{s:s, s:s}", "error", error, "advice", advice)
		      : json_pack("{s:s}", "error", error),
	       true);
}

/* ---- hops ---- */

static void hop_free(struct hop *h)
{
	list_remove(&h->link);
	admin.n_hops--;
	if (h->client)
		h->client->hops--;
	free(h);
}

static void on_gather_closed(uv_handle_t *h)
{
	free(h->data);
}

/* All have answered, or the time is over: the last part names who has not. */
static void gather_end(struct gather *g)
{
	json_t *silent = json_array();
	struct list *at, *after;

	LIST_EACH (&admin.hops, at, after) {
		struct hop *h = container_of(at, struct hop, link);

		if (h->gather != g)
			continue;
		json_array_append_new(silent, json_pack("{s:s, s:i}", "role", ipc_role_name(h->who), "index",
							(int)h->index));
		hop_free(h);
	}
	if (g->client)
		answer(g->client, g->asked, json_pack("{s:o}", "silent", silent), true);
	else
		json_decref(silent);
	uv_close((uv_handle_t *)&g->timeout, on_gather_closed);
}

static void on_silence(uv_timer_t *t)
{
	gather_end(t->data);
}

/* 0, or negative errno: the role is away, or too much is under way. */
static int pass_on(struct client *c, uint64_t asked, enum ipc_role who, unsigned index, struct slice json,
		   struct slice secret, struct gather *g)
{
	struct channel *ch = role_peer(admin.role, who, index);
	struct ipc_message m = { .type = IPC_TYPE_request,
				 .request = { .req = ++admin.last_request, .json = json, .secret = secret } };
	struct hop *h;
	int r;

	if (!ch)
		return -ENOTCONN;
	if (admin.n_hops >= HOPS_MAX || (!g && c->hops >= CLIENT_HOPS_MAX))
		return -EBUSY;
	h = malloc(sizeof(*h));
	if (!h)
		return -ENOMEM;
	r = channel_send(ch, &m, -1);
	if (r < 0) {
		free(h);
		return r;
	}
	*h = (struct hop){ .client = c,
			   .asked = asked,
			   .passed = admin.last_request,
			   .who = who,
			   .index = index,
			   .gather = g };
	c->hops++;
	admin.n_hops++;
	list_push_back(&admin.hops, &h->link);
	return 0;
}

static void on_response(enum ipc_role who, unsigned index, const struct ipc_response *m)
{
	struct list *at, *after;

	LIST_EACH (&admin.hops, at, after) {
		struct hop *h = container_of(at, struct hop, link);
		struct gather *g = h->gather;

		if (h->passed != m->req || h->who != who || h->index != index)
			continue;
		answer_text(h->client, h->asked, m->json, m->last && !g);
		if (m->last) {
			hop_free(h);
			if (g && --g->open == 0)
				gather_end(g);
		}
		return;
	}
	/* The client left meanwhile. */
}

static void role_went(enum ipc_role who, unsigned index)
{
	struct list *at, *after;
	char text[64];

	snprintf(text, sizeof(text), "role %s ended before it answered", ipc_role_name(who));
	LIST_EACH (&admin.hops, at, after) {
		struct hop *h = container_of(at, struct hop, link);

		if (h->who != who || h->index != index || h->gather)
			continue;
		answer_error(h->client, h->asked, text, "It is being started again: ask once more.");
		hop_free(h);
	}
}

/* ---- questions ---- */

static const struct {
	const char *prefix;
	enum ipc_role who;
} routes[] = {
	{ "queue", IPC_QUEUE },	   { "owner", IPC_KEEPER },   { "domain", IPC_KEEPER },
	{ "account", IPC_KEEPER }, { "alias", IPC_KEEPER },   { "key", IPC_KEEPER },
	{ "lock", IPC_KEEPER },	   { "clients", IPC_LEDGER }, { "mailbox", IPC_LOCAL },
	{ "limit", IPC_LEDGER },   { "events", IPC_LEDGER },  { "send", IPC_SMTP },
	{ "tls", IPC_LEDGER },
};

static void ask_everybody(struct client *c, uint64_t req)
{
	struct gather *g = calloc(1, sizeof(*g));

	if (!g) {
		answer_error(c, req, "out of memory", NULL);
		return;
	}
	g->client = c;
	g->asked = req;
	g->timeout.data = g;
	uv_timer_init(admin.role->loop, &g->timeout);
	for (unsigned who = IPC_MAIN; who < IPC_ROLES; who++)
		for (unsigned i = 0; i < ROLE_SMTP_MAX; i++) {
			if ((i > 0 && who != IPC_SMTP) || who == IPC_ADMIN)
				continue;
			if (pass_on(c, req, (enum ipc_role)who, i, SLICE_LIT("{\"ask\":\"status\"}"),
				    SLICE_LIT(""), g) == 0)
				g->open++;
		}
	answer(c, req, role_own_status(admin.role), false);
	if (g->open == 0)
		gather_end(g);
	else
		uv_timer_start(&g->timeout, on_silence, SILENCE_MS, 0);
}

static void ask_role(struct client *c, const struct ipc_request *m, const char *ask)
{
	size_t n = strcspn(ask, ".");

	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		char text[64];
		int r;

		if (strlen(routes[i].prefix) != n || strncmp(routes[i].prefix, ask, n) != 0)
			continue;
		r = pass_on(c, m->req, routes[i].who, 0, m->json, m->secret, NULL);
		snprintf(text, sizeof(text), "role %s does not answer now", ipc_role_name(routes[i].who));
		if (r < 0)
			answer_error(c, m->req, text, "See: postern status");
		return;
	}
	answer_error(c, m->req, "the server knows no such question",
		     "Are the server's version and this program's the same? See: postern status");
}

static void on_question(struct client *c, const struct ipc_request *m)
{
	json_t *j = json_loadb((const char *)m->json.p, m->json.n, JSON_REJECT_DUPLICATES, NULL);
	const char *ask = json_string_value(json_object_get(j, "ask"));

	admin.questions++;
	if (!ask)
		answer_error(c, m->req, "not a question: a JSON object with \"ask\" is expected", NULL);
	else if (!strcmp(ask, "status"))
		ask_everybody(c, m->req);
	else if (strcmp(ask, "reload") != 0)
		ask_role(c, m, ask);
	else if (pass_on(c, m->req, IPC_MAIN, 0, SLICE_LIT("{\"ask\":\"reload\"}"), SLICE_LIT(""), NULL) < 0)
		answer_error(c, m->req, "the main process does not answer", NULL);
	json_decref(j);
}

/* ---- clients ---- */

static void client_free(struct client *c)
{
	struct list *at, *after;

	/* Their answers may still come; nobody is told then. A gather goes on without its client
	 * only to its own end. */
	LIST_EACH (&admin.hops, at, after) {
		struct hop *h = container_of(at, struct hop, link);
		struct gather *g = h->gather;

		if (h->client != c)
			continue;
		hop_free(h);
		if (g) {
			g->client = NULL;
			if (--g->open == 0)
				gather_end(g);
		}
	}
	list_remove(&c->link);
	admin.n_clients--;
	channel_free(c->ch);
	free(c);
}

static void on_client_message(void *arg, struct channel *ch, const struct ipc_message *m, int *fd)
{
	struct client *c = arg;

	(void)ch;
	(void)fd;
	if (m->type == IPC_TYPE_request) {
		on_question(c, &m->request);
		return;
	}
	LOG(LOG_WARNING, "control-refused", LOG_U("uid", c->uid), LOG_STR("why", "not a question"));
	client_free(c);
}

static void on_client_closed(void *arg, struct channel *ch, const char *why)
{
	struct client *c = arg;

	(void)ch;
	if (why != channel_eof)
		LOG(LOG_WARNING, "control-closed", LOG_U("uid", c->uid), LOG_STR("why", why));
	client_free(c);
}

static const struct channel_handlers client_handlers = { on_client_message, on_client_closed };

/* root, the server's user, and members of control_group. */
static bool may_ask(int fd, uid_t *ret_uid)
{
	struct ucred cred;
	gid_t groups[256];
	socklen_t n = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) < 0)
		return false;
	*ret_uid = cred.uid;
	if (cred.uid == 0 || cred.uid == getuid() || cred.uid == admin.server_uid)
		return true;
	if (!admin.has_group)
		return false;
	if (cred.gid == admin.group)
		return true;
	n = sizeof(groups);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &n) < 0)
		return false;
	for (size_t i = 0; i < n / sizeof(groups[0]); i++)
		if (groups[i] == admin.group)
			return true;
	return false;
}

static void accept_one(int fd)
{
	struct client *c;
	uid_t uid = (uid_t)-1;

	if (!may_ask(fd, &uid) || admin.n_clients >= CLIENTS_MAX) {
		admin.refused++;
		LOG(LOG_WARNING, "control-refused", LOG_U("uid", uid),
		    LOG_STR("why", admin.n_clients >= CLIENTS_MAX ? "too many clients"
								  : "not a member of control_group"));
		close(fd);
		return;
	}
	c = calloc(1, sizeof(*c));
	if (!c || channel_new(admin.role->loop, fd, CLIENT_WAITING, &client_handlers, c, &c->ch) < 0) {
		free(c);
		close(fd);
		return;
	}
	c->uid = uid;
	admin.n_clients++;
	list_push_back(&admin.clients, &c->link);
}

static void on_listen(uv_poll_t *p, int status, int events)
{
	(void)p;
	(void)events;
	for (int i = 0; i < 8 && status >= 0; i++) {
		int fd = accept4(admin.listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0)
			return;
		accept_one(fd);
	}
}

/* ---- the role ---- */

static int admin_open(struct role *r)
{
	struct passwd *pw = getpwnam(r->conf->user);
	struct group *gr = *r->conf->control_group ? getgrnam(r->conf->control_group) : NULL;

	admin.role = r;
	list_init(&admin.clients);
	list_init(&admin.hops);
	admin.server_uid = pw ? pw->pw_uid : getuid();
	admin.has_group = gr != NULL;
	admin.group = gr ? gr->gr_gid : 0;
	if (*r->conf->control_group && !gr)
		LOG(LOG_WARNING, "no-such-group", LOG_STR("control_group", r->conf->control_group));
	return 0;
}

static void admin_control(struct role *r, const struct ipc_message *m, int *fd)
{
	int err;

	if (m->type != IPC_TYPE_listen || *fd < 0 || admin.listen_fd >= 0)
		return;
	err = uv_poll_init(r->loop, &admin.listen, *fd);
	if (err == 0)
		err = uv_poll_start(&admin.listen, UV_READABLE, on_listen);
	if (err < 0) {
		LOG(LOG_ERR, "control-socket-failed", LOG_ERRNO(err));
		return;
	}
	admin.listen_fd = *fd;
	*fd = -1;
}

static void admin_peer(struct role *r, enum ipc_role who, unsigned index, struct channel *ch)
{
	(void)r;
	/* Also when it comes anew: what was asked of the old one is lost. */
	(void)ch;
	role_went(who, index);
}

static void admin_message(struct role *r, enum ipc_role who, unsigned index, const struct ipc_message *m,
			  int *fd)
{
	(void)fd;
	if (m->type == IPC_TYPE_response)
		on_response(who, index, &m->response);
	else
		role_peer_broken(r, who, index, "only answers come to admin");
}

static void admin_status(struct role *r, json_t *to)
{
	(void)r;
	json_object_set_new(to, "clients", json_integer(admin.n_clients));
	json_object_set_new(to, "questions", json_integer((json_int_t)admin.questions));
	json_object_set_new(to, "refused", json_integer((json_int_t)admin.refused));
}

/* What was answered in this very turn still goes out: freeing a channel sends it. */
static void admin_drain(struct role *r, unsigned seconds)
{
	(void)seconds;
	while (!list_empty(&admin.clients))
		client_free(container_of(admin.clients.next, struct client, link));
	role_exit(r);
}

const struct role_ops role_admin = {
	.id = IPC_ADMIN,
	.open = admin_open,
	.control = admin_control,
	.peer = admin_peer,
	.message = admin_message,
	.status = admin_status,
	.drain = admin_drain,
};
