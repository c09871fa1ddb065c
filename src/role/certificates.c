/* Certificates: read as root, handed to smtp as memory, read anew when the files change. */
#include <errno.h>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/log.h"
#include "conf/file.h"
#include "ipc/memory.h"
#include "net/tls.h"
#include "role/server.h"

#define WATCH_MS 5000

struct say {
	void (*say)(void *arg, const char *text);
	void *arg;
};

static void complain(const struct say *to, const char *file, const char *why)
{
	char text[1400];

	snprintf(text, sizeof(text), "certificate %s: %s", file, why);
	to->say(to->arg, text);
}

static void look(const char *path, struct certificate_file *f, int which)
{
	struct stat st;

	memset(&f->seen[which], 0, sizeof(f->seen[which]));
	if (!path || stat(path, &st) < 0)
		return;
	f->seen[which].dev = st.st_dev;
	f->seen[which].ino = st.st_ino;
	f->seen[which].size = st.st_size;
	f->seen[which].changed = st.st_mtim;
}

static void forget(struct certificate_file *f)
{
	free(f->cert);
	free(f->key);
	free(f->names);
	if (f->pem_fd > 0)
		close(f->pem_fd);
	*f = (struct certificate_file){ 0 };
}

/* Chain and key together must make a server: a scratch one says so. */
static int check(struct slice pem, const char *file, const struct say *to)
{
	struct tls_server *t;
	char why[512] = "";
	int r = tls_server_new(&t);

	if (r < 0)
		return r;
	r = tls_server_load(t, &pem, 1, why, sizeof(why));
	if (r < 0)
		complain(to, file, *why ? why : strerror(-r));
	tls_server_free(t);
	return r;
}

/* For status only: where memory or names are lacking, none. */
static char *names_of(struct slice pem)
{
	struct buf names;
	char *text = NULL;

	buf_init(&names, 8192);
	if (tls_certificate_names(pem, &names) == 0)
		text = slice_dup(buf_slice(&names));
	buf_done(&names);
	return text;
}

static int load_one(const char *cert, const char *key, struct certificate_file *f, const struct say *to)
{
	struct buf pem;
	int r;

	*f = (struct certificate_file){ 0 };
	buf_init(&pem, CONF_FILE_MAX);
	look(cert, f, 0);
	look(key, f, 1);
	r = conf_file_read(cert, &pem);
	if (r < 0)
		complain(to, cert, strerror(-r));
	if (r == 0 && key && *key && strcmp(cert, key) != 0) {
		buf_byte(&pem, '\n');
		r = conf_file_read(key, &pem);
		if (r < 0)
			complain(to, key, strerror(-r));
	}
	if (r == 0)
		r = check(buf_slice(&pem), cert, to);
	if (r == 0) {
		f->cert = strdup(cert);
		f->key = key && *key ? strdup(key) : NULL;
		tls_certificate_info(buf_slice(&pem), &f->not_after, f->sha256);
		f->names = names_of(buf_slice(&pem));
		f->pem_fd = ipc_memory_file("certificate", buf_slice(&pem));
		r = f->pem_fd < 0 ? f->pem_fd : f->cert ? 0 : -ENOMEM;
	}
	buf_wipe(&pem);
	if (r < 0)
		forget(f);
	return r;
}

/* Made once, kept in state_dir/tls: a client that has accepted it sees it again. */
static int make_self_signed(struct server *s, const struct conf *conf, const char *path, const struct say *to)
{
	const char *const names[] = { conf->hostname };
	char temporary[1100];
	struct buf pem;
	int fd = -1, r;

	(void)s;
	snprintf(temporary, sizeof(temporary), "%s.new", path);
	buf_init(&pem, 65536);
	r = tls_self_signed(names, 1, &pem);
	if (r == 0) {
		unlink(temporary);
		fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd < 0 || write(fd, pem.p + pem.from, pem.n) != (ssize_t)pem.n || fsync(fd) < 0 ||
		    rename(temporary, path) < 0)
			r = -errno;
	}
	if (fd >= 0)
		close(fd);
	buf_wipe(&pem);
	if (r < 0)
		complain(to, path, strerror(-r));
	else
		LOG(LOG_NOTICE, "certificate-made", LOG_STR("name", conf->hostname), LOG_STR("file", path));
	return r;
}

static int load_self_signed(struct server *s, const struct conf *conf, struct certificate_file *f,
			    const struct say *to)
{
	char path[1024];
	struct stat st;
	int r = 0;

	/* One for each name that the host ever had. */
	if (snprintf(path, sizeof(path), "%s/tls/self-signed-%s.pem", conf->state_dir, conf->hostname) >=
	    (int)sizeof(path))
		return -ENAMETOOLONG;
	if (stat(path, &st) < 0)
		r = make_self_signed(s, conf, path, to);
	return r < 0 ? r : load_one(path, NULL, f, to);
}

int certificates_load(struct server *s, const struct conf *conf, void (*say)(void *arg, const char *text),
		      void *arg)
{
	const struct say to = { say, arg };
	struct certificate_file *list = calloc(CERTIFICATES_MAX, sizeof(*list));
	unsigned n = 0;
	int r = 0, err;

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < conf->n_certificates && n < CERTIFICATES_MAX; i++) {
		err = load_one(conf->certificates[i].cert, conf->certificates[i].key, &list[n], &to);
		if (err < 0)
			r = err;
		else
			n++;
	}
	if (conf->n_certificates == 0) {
		r = load_self_signed(s, conf, &list[0], &to);
		n = r == 0;
	}
	if (r == 0) {
		for (unsigned i = 0; i < s->n_certificates; i++)
			forget(&s->certificate[i]);
		memcpy(s->certificate, list, n * sizeof(*list));
		s->n_certificates = n;
		s->self_signed = conf->n_certificates == 0;
		s->certificate_generation++;
	} else {
		for (unsigned i = 0; i < n; i++)
			forget(&list[i]);
	}
	free(list);
	return r;
}

static void send_one(struct server *s, struct child *c)
{
	struct ipc_message m = { .type = IPC_TYPE_ticket_secret,
				 .ticket_secret = { { s->ticket_secret, sizeof(s->ticket_secret) } } };

	child_send(c, &m, -1);
	for (unsigned i = 0; i < s->n_certificates; i++) {
		m = (struct ipc_message){ .type = IPC_TYPE_certificate,
					  .certificate = { s->certificate_generation, i,
							   s->n_certificates } };
		child_send(c, &m, s->certificate[i].pem_fd);
	}
}

void certificates_send(struct server *s, struct child *c)
{
	if (c) {
		send_one(s, c);
		return;
	}
	for (unsigned i = 0; i < s->n_children; i++)
		if (s->child[i].role == IPC_SMTP && s->child[i].ch)
			send_one(s, &s->child[i]);
}

/* ---- watching ---- */

static bool has_changed(const struct certificate_file *f)
{
	struct certificate_file now = { 0 };

	look(f->cert, &now, 0);
	look(f->key, &now, 1);
	/* A file that is missing for a moment is being replaced. */
	if (!now.seen[0].ino || (f->key && !now.seen[1].ino))
		return false;
	return memcmp(now.seen, f->seen, sizeof(now.seen)) != 0;
}

static void say_in_log(void *arg, const char *text)
{
	(void)arg;
	LOG(LOG_ERR, "certificate-refused", LOG_STR("why", text));
}

static void on_watch(uv_timer_t *t)
{
	struct server *s = t->data;
	bool changed = false;

	for (unsigned i = 0; i < s->n_certificates; i++)
		changed |= has_changed(&s->certificate[i]);
	if (!changed)
		return;
	if (certificates_load(s, s->conf, say_in_log, NULL) < 0) {
		/* Said once; when they change again they are looked at again. */
		for (unsigned i = 0; i < s->n_certificates; i++) {
			look(s->certificate[i].cert, &s->certificate[i], 0);
			look(s->certificate[i].key, &s->certificate[i], 1);
		}
		return;
	}
	certificates_send(s, NULL);
	LOG(LOG_NOTICE, "certificates-reloaded", LOG_U("count", s->n_certificates));
}

void certificates_watch(struct server *s)
{
	uv_timer_init(&s->loop, &s->watch);
	s->watch.data = s;
	uv_timer_start(&s->watch, on_watch, WATCH_MS, WATCH_MS);
}
