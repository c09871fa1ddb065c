/* The listening sockets: main opens and keeps them, so that a role which is started
 * anew, or a new configuration, drops none. */
#include <errno.h>
#include <grp.h>
#include <sys/socket.h>

#include "base/log.h"
#include "net/listen.h"
#include "role/server.h"

/* What listeners_open() found out; listeners_apply() makes it the truth. */
static struct {
	struct listener list[LISTENERS_MAX];
	unsigned n;
	bool kept[LISTENERS_MAX]; /* its sockets are those of an old one */
} next;

static bool same_place(const struct listener *a, const struct listener *b)
{
	return a->port == b->port && !strcmp(a->address, b->address) &&
	       (a->port || !strcmp(a->name, b->name));
}

static struct listener *find(struct listener *list, unsigned n, const struct listener *what)
{
	for (unsigned i = 0; i < n; i++)
		if (same_place(&list[i], what))
			return &list[i];
	return NULL;
}

static void close_sockets(struct listener *l)
{
	for (unsigned i = 0; i < l->n_fd; i++)
		close(l->fd[i]);
	l->n_fd = 0;
}

/* ---- opening ---- */

static void explain(struct server *s, const struct listener *l, int r,
		    void (*say)(void *arg, const char *text), void *arg)
{
	char text[512], holder[64];
	const char *more = "";

	if (r == -EACCES) {
		snprintf(text, sizeof(text),
			 "cannot listen on port %u of %s (%s): ports below 1024 are root's; start as root, "
			 "or add --port-offset 10000",
			 l->port, l->address, l->name);
	} else if (r == -EADDRINUSE) {
		if (l->port && listen_holder(l->port, holder, sizeof(holder)))
			snprintf(text, sizeof(text), "cannot listen on port %u of %s (%s): process %s has it",
				 l->port, l->address, l->name, holder);
		else
			snprintf(text, sizeof(text), "cannot listen on %s %u (%s): another process has it%s",
				 l->address, l->port, l->name,
				 s->root ? "" : "; which one, root can see: ss -ltnp");
	} else {
		if (r == -EADDRNOTAVAIL)
			more = ": this machine has no such address";
		snprintf(text, sizeof(text), "cannot listen on %s port %u (%s): %s%s", l->address, l->port,
			 l->name, strerror(-r), more);
	}
	say(arg, text);
}

static int open_tcp(struct server *s, struct listener *l)
{
	int r = listen_probe(&l->ip, l->port);

	while (r == 0 && l->n_fd < s->n_smtp) {
		r = listen_tcp(&l->ip, l->port, &l->fd[l->n_fd]);
		if (r == 0)
			l->n_fd++;
	}
	if (r < 0)
		close_sockets(l);
	return r;
}

static bool has_ipv6(void)
{
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

static int add_tcp(struct server *s, const struct conf_listener *cl, const struct ip *ip,
		   void (*say)(void *arg, const char *text), void *arg)
{
	struct listener l = { .ip = *ip, .port = cl->port, .role = IPC_SMTP }, *old;
	int r;

	ip_format(ip, l.address);
	snprintf(l.name, sizeof(l.name), "%s", cl->name);
	if (ip->family == 6 && !has_ipv6())
		return 0; /* a kernel without IPv6: the IPv4 half of the default serves */
	if (next.n == LISTENERS_MAX) {
		say(arg, "too many listeners");
		return -E2BIG;
	}
	old = find(s->listener, s->n_listeners, &l);
	if (old) {
		memcpy(l.fd, old->fd, sizeof(l.fd));
		l.n_fd = old->n_fd;
	} else {
		r = open_tcp(s, &l);
		if (r < 0) {
			explain(s, &l, r, say, arg);
			return r;
		}
	}
	next.kept[next.n] = old != NULL;
	next.list[next.n++] = l;
	return 0;
}

/* group: who may use it; "": the group of the role */
static int add_unix(struct server *s, const char *name, const char *file, int type, mode_t mode,
		    enum ipc_role role, const char *group_name, void (*say)(void *arg, const char *text),
		    void *arg)
{
	struct listener l = { .role = role }, *old;
	const struct child *owner = children_first(s, role);
	struct group *group = *group_name ? getgrnam(group_name) : NULL;
	int r;

	snprintf(l.name, sizeof(l.name), "%s", name);
	if (snprintf(l.address, sizeof(l.address), "%s/%s", s->conf->runtime_dir, file) >=
	    (int)sizeof(l.address)) {
		say(arg, "runtime_dir is too long for the name of a socket");
		return -ENAMETOOLONG;
	}
	old = find(s->listener, s->n_listeners, &l);
	if (old) {
		l.fd[0] = old->fd[0];
	} else {
		r = listen_unix(l.address, type, mode, &l.fd[0]);
		if (r < 0) {
			explain(s, &l, r, say, arg);
			return r;
		}
		if (mode == 0660 && (s->root || group) && owner &&
		    chown(l.address, s->root ? owner->as.uid : (uid_t)-1,
			  group ? group->gr_gid : owner->as.gid) < 0)
			say(arg, role == IPC_ADMIN ? "the control socket cannot be given to its group"
						   : "dovecot.sock cannot be given to dovecot.group");
	}
	l.n_fd = 1;
	next.kept[next.n] = old != NULL;
	next.list[next.n++] = l;
	return 0;
}

/* Nobody may be let in by a group that is not there. */
static int add_dovecot(struct server *s, void (*say)(void *arg, const char *text), void *arg)
{
	const char *group = s->root ? s->conf->dovecot_group : "";
	char text[200];

	if (*group && !getgrnam(group)) {
		snprintf(text, sizeof(text),
			 "there is no group '%s' that may use dovecot.sock: install Dovecot, or name the "
			 "group of its processes (dovecot.group in the configuration)",
			 group);
		say(arg, text);
		return -ENOENT;
	}
	return add_unix(s, "@dovecot", "dovecot.sock", SOCK_STREAM, 0660, IPC_SMTP, group, say, arg);
}

void listeners_forget(void)
{
	for (unsigned i = 0; i < next.n; i++)
		if (!next.kept[i]) {
			close_sockets(&next.list[i]);
			if (!next.list[i].port)
				unlink(next.list[i].address);
		}
	next.n = 0;
}

int listeners_open(struct server *s, const struct conf *conf, void (*say)(void *arg, const char *text),
		   void *arg)
{
	int r = 0, err;

	next.n = 0;
	if (role_ops_of(IPC_ADMIN)) {
		err = add_unix(s, "@control", "control.sock", SOCK_SEQPACKET, 0660, IPC_ADMIN,
			       s->conf->control_group, say, arg);
		r = err < 0 ? err : r;
	}
	if (role_ops_of(IPC_SMTP) && s->conf->local_socket) {
		err = add_unix(s, "@local", "submit.sock", SOCK_STREAM, 0666, IPC_SMTP, "", say, arg);
		r = err < 0 ? err : r;
	}
	if (role_ops_of(IPC_SMTP) && s->conf->dovecot) {
		err = add_dovecot(s, say, arg);
		r = err < 0 ? err : r;
	}
	for (size_t i = 0; i < conf->n_listeners && role_ops_of(IPC_SMTP); i++) {
		const struct conf_listener *cl = &conf->listeners[i];

		for (size_t k = 0; k < cl->n_addresses && cl->enabled; k++) {
			err = add_tcp(s, cl, &cl->addresses[k], say, arg);
			r = err < 0 ? err : r;
		}
	}
	if (r < 0)
		listeners_forget();
	return r;
}

/* ---- telling ---- */

static void send_to(struct child *c, const struct listener *l, bool listen)
{
	struct ipc_message m = { .type = IPC_TYPE_unlisten,
				 .unlisten = { slice_str(l->name), slice_str(l->address), l->port } };
	unsigned k = l->port ? c->index : 0;

	if (c->role != l->role || k >= l->n_fd || (!l->port && c->index > 0))
		return;
	if (listen) {
		m.type = IPC_TYPE_listen;
		m.listen = (struct ipc_listen){ slice_str(l->name), slice_str(l->address), l->port };
	}
	child_send(c, &m, listen ? l->fd[k] : -1);
}

static void send_to_all(struct server *s, const struct listener *l, bool listen)
{
	for (unsigned i = 0; i < s->n_children; i++)
		if (s->child[i].ready)
			send_to(&s->child[i], l, listen);
}

void listeners_send_all(struct server *s, struct child *c)
{
	c->listening = true;
	for (unsigned i = 0; i < s->n_listeners; i++)
		send_to(c, &s->listener[i], true);
}

void listeners_apply(struct server *s)
{
	for (unsigned i = 0; i < s->n_listeners; i++) {
		struct listener *old = &s->listener[i], *now = find(next.list, next.n, old);

		if (now && !strcmp(now->name, old->name))
			continue;
		send_to_all(s, old, false);
		LOG(LOG_NOTICE, "unlisten", LOG_STR("listener", old->name), LOG_STR("address", old->address),
		    LOG_U("port", old->port));
		if (!now)
			close_sockets(old);
	}
	for (unsigned i = 0; i < next.n; i++) {
		const struct listener *now = &next.list[i], *old = find(s->listener, s->n_listeners, now);

		if (old && !strcmp(now->name, old->name))
			continue;
		LOG(LOG_NOTICE, "listen", LOG_STR("listener", now->name), LOG_STR("address", now->address),
		    LOG_U("port", now->port));
		send_to_all(s, now, true);
	}
	memcpy(s->listener, next.list, sizeof(next.list));
	s->n_listeners = next.n;
	next.n = 0;
}

void listeners_close(struct server *s)
{
	for (unsigned i = 0; i < s->n_listeners; i++) {
		if (!s->listener[i].port)
			unlink(s->listener[i].address);
		close_sockets(&s->listener[i]);
	}
	s->n_listeners = 0;
}
