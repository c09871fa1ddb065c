/* What main knows of the server: its part of `postern status`. */
#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "role/server.h"
#include "role/versions.h"
#include "role/watchdog.h"

static json_t *children_json(const struct server *s)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < s->n_children; i++) {
		const struct child *c = &s->child[i];
		uint64_t up;

		if (c->off && !c->pid)
			continue;
		up = c->pid ? (uv_now(&s->loop) - c->started_ms) / 1000 : 0;

		json_array_append_new(list, json_pack("{s:s, s:i, s:i, s:b, s:I, s:i, s:I, s:i}", "role",
						      ipc_role_name(c->role), "index", (int)c->index, "pid",
						      (int)c->pid, "ready", (int)c->ready, "uptime_s",
						      (json_int_t)up, "restarts", (int)c->restarts, "uid",
						      (json_int_t)c->as.uid, "hangs", (int)c->hangs));
	}
	return list;
}

static json_t *listeners_json(const struct server *s)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < s->n_listeners; i++)
		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:i}", "listener", s->listener[i].name, "address",
						s->listener[i].address, "port", (int)s->listener[i].port));
	return list;
}

static json_t *names_json(const char *names)
{
	struct slice rest = slice_str(names), one;
	json_t *list = json_array();

	while (cur_until(&rest, ' ', &one))
		json_array_append_new(list, json_stringn((const char *)one.p, one.n));
	if (rest.n > 0)
		json_array_append_new(list, json_stringn((const char *)rest.p, rest.n));
	return list;
}

static json_t *certificates_json(const struct server *s)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < s->n_certificates; i++)
		json_array_append_new(list,
				      json_pack("{s:s, s:o, s:I, s:s, s:b}", "file", s->certificate[i].cert,
						"names", names_json(s->certificate[i].names), "not_after",
						(json_int_t)s->certificate[i].not_after, "sha256",
						s->certificate[i].sha256, "self_signed",
						(int)s->self_signed));
	return list;
}

json_t *server_status(struct server *s)
{
	struct version v[VERSIONS_MAX];
	size_t n = versions(v);
	json_t *libraries = json_object(), *j = json_object();
	char room[1024];

	for (size_t i = 0; i < n; i++)
		json_object_set_new(libraries, v[i].name, json_string(v[i].text));
	json_object_set_new(j, "role", json_string("main"));
	json_object_set_new(j, "pid", json_integer(getpid()));
	json_object_set_new(j, "version", json_string(POSTERN_VERSION));
	json_object_set_new(j, "hostname", json_string(s->conf->hostname));
	json_object_set_new(j, "configuration_file",
			    json_string(server_config_path(s->setup, s->root, room, sizeof(room))));
	json_object_set_new(j, "generation", json_integer((json_int_t)s->generation));
	json_object_set_new(j, "uptime_s",
			    json_integer((json_int_t)((uv_now(&s->loop) - s->started_ms) / 1000)));
	watchdog_status(j);
	json_object_set_new(j, "libraries", libraries);
	json_object_set_new(j, "processes", children_json(s));
	json_object_set_new(j, "listeners", listeners_json(s));
	json_object_set_new(j, "certificates", certificates_json(s));
	return j;
}

void server_notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	size_t n = path ? strlen(path) : 0;
	int fd;

	if (n < 2 || n >= sizeof(at.sun_path) || (path[0] != '/' && path[0] != '@'))
		return;
	memcpy(at.sun_path, path, n);
	if (path[0] == '@')
		at.sun_path[0] = '\0'; /* the abstract namespace */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&at,
	       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
	close(fd);
}
