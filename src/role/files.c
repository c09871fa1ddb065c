/* Files of the system that smtp and fetch read before their walls stood: read anew for them at a reload, and
 * when they change. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/file.h"
#include "ipc/memory.h"
#include "net/tls_client.h"
#include "role/dns.h"
#include "role/server.h"

#define WATCH_MS 5000

struct seen {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec changed;
};

static struct seen seen[IPC_FILES];

/* NULL: nobody needs it. */
static const char *path_of(const struct conf *conf, enum ipc_file_kind which)
{
	switch (which) {
	case IPC_FILE_ANCHORS:
		return conf->dns_validate == CONF_VALIDATE_NO ? NULL : conf->dns_trust_anchors;
	case IPC_FILE_RESOLV_CONF:
		return conf->dns_resolv_conf;
	case IPC_FILE_HOSTS:
		return conf->dns_hosts;
	default:
		return tls_ca_file(*conf->relay_ca_file ? conf->relay_ca_file : NULL);
	}
}

static struct seen look(const char *path)
{
	struct seen now;
	struct stat st;

	memset(&now, 0, sizeof(now)); /* it is compared octet by octet */
	if (path && stat(path, &st) == 0) {
		now.dev = st.st_dev;
		now.ino = st.st_ino;
		now.size = st.st_size;
		now.changed = st.st_mtim;
	}
	return now;
}

static void send_one(struct server *s, enum ipc_file_kind which, const char *path)
{
	struct ipc_message m = { .type = IPC_TYPE_file, .file = { .which = (uint8_t)which } };
	struct buf text;
	int fd = -1, err;

	seen[which] = look(path);
	buf_init(&text, which == IPC_FILE_AUTHORITIES ? TLS_CA_MAX : DNS_FILE_MAX);
	err = path ? conf_file_read(path, &text) : 0;
	if (err < 0 && err != -EFBIG)
		buf_reset(&text);
	if (err < 0)
		LOG(LOG_WARNING, "file-unreadable", LOG_STR("file", path), LOG_ERRNO(err));
	if (text.n > 0)
		fd = ipc_memory_file("file", buf_slice(&text));
	buf_done(&text);
	m.file.there = fd >= 0;
	for (unsigned i = 0; i < s->n_children; i++) {
		struct child *c = &s->child[i];

		if (c->role == IPC_SMTP || (c->role == IPC_FETCH && which == IPC_FILE_AUTHORITIES))
			child_send(c, &m, fd);
	}
	if (fd >= 0)
		close(fd);
}

void files_send(struct server *s)
{
	for (enum ipc_file_kind which = 0; which < IPC_FILES; which++)
		send_one(s, which, path_of(s->conf, which));
}

static void on_watch(uv_timer_t *t)
{
	struct server *s = t->data;

	for (enum ipc_file_kind which = 0; which < IPC_FILES; which++) {
		const char *path = path_of(s->conf, which);
		struct seen now = look(path);

		/* One that is missing for a moment is being replaced. */
		if (now.ino == 0 || memcmp(&now, &seen[which], sizeof(now)) == 0)
			continue;
		LOG(LOG_NOTICE, "file-changed", LOG_STR("file", path));
		send_one(s, which, path);
	}
}

void files_watch(struct server *s)
{
	for (enum ipc_file_kind which = 0; which < IPC_FILES; which++)
		seen[which] = look(path_of(s->conf, which));
	uv_timer_init(&s->loop, &s->watch_files);
	s->watch_files.data = s;
	uv_timer_start(&s->watch_files, on_watch, WATCH_MS, WATCH_MS);
}
