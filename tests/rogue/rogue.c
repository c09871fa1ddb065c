#include "rogue.h"

#include <dirent.h>
#include <fcntl.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "role/request.h"
#include "role/walls.h"

struct seen_channel seen_channels[SEEN_MAX];
void (*seen_message)(enum ipc_role from, const struct ipc_message *m);

int __real_walls_enter(struct role *r, bool sandboxed);
int __wrap_walls_enter(struct role *r, bool sandboxed);
int __real_role_run(const struct role_ops *ops, unsigned index, int control_fd, bool sandboxed);
int __wrap_role_run(const struct role_ops *ops, unsigned index, int control_fd, bool sandboxed);
int __real_channel_new(uv_loop_t *loop, int fd, size_t max_waiting, const struct channel_handlers *h,
		       void *arg, struct channel **ret);
int __wrap_channel_new(uv_loop_t *loop, int fd, size_t max_waiting, const struct channel_handlers *h,
		       void *arg, struct channel **ret);
void __real_channel_free(struct channel *ch);
void __wrap_channel_free(struct channel *ch);
struct passwd *__real_getpwnam(const char *name);
struct passwd *__wrap_getpwnam(const char *name);

static bool in_role, sandbox;

/* ---- users ---- */

/* "rogue-queue" and the like are users of their own, which no machine need have. */
struct passwd *__wrap_getpwnam(const char *name)
{
	static struct passwd pw;
	static char text[32];

	if (strncmp(name, "rogue-", 6) != 0)
		return __real_getpwnam(name);
	for (unsigned role = IPC_SMTP; role < IPC_ROLES; role++)
		if (!strcmp(name + 6, ipc_role_name(role))) {
			snprintf(text, sizeof(text), "%s", name);
			pw = (struct passwd){ .pw_name = text,
					      .pw_uid = 61000 + role,
					      .pw_gid = 61000 + role };
			return &pw;
		}
	return NULL;
}

/* ---- what a role has from its first moment ---- */

static void tell_descriptors(const char *role)
{
	DIR *d = opendir("/proc/self/fd");
	struct dirent *e;
	char to[256];

	while (d && (e = readdir(d))) {
		ssize_t n = readlinkat(dirfd(d), e->d_name, to, sizeof(to) - 1);

		if (n <= 0 || strtol(e->d_name, NULL, 10) == dirfd(d))
			continue;
		to[n] = '\0';
		dprintf(2, "rogue role=%s descriptor=%s to=%s\n", role, e->d_name, to);
	}
	if (d)
		closedir(d);
}

int __wrap_role_run(const struct role_ops *ops, unsigned index, int control_fd, bool sandboxed)
{
	const char *role = ipc_role_name(ops->id);

	in_role = true;
	tell_descriptors(role);
	for (char **e = environ; *e; e++)
		dprintf(2, "rogue role=%s environment=%.*s\n", role, (int)strcspn(*e, "="), *e);
	return __real_role_run(ops, index, control_fd, sandboxed);
}

/* ---- channels ---- */

struct tap {
	const struct channel_handlers *h;
	void *arg;
	enum ipc_role who;
};

static void on_message(void *arg, struct channel *ch, const struct ipc_message *m, int *fd)
{
	struct tap *t = arg;

	if (seen_message)
		seen_message(t->who, m);
	t->h->message(t->arg, ch, m, fd);
}

static void on_closed(void *arg, struct channel *ch, const char *why)
{
	struct tap *t = arg;

	t->h->closed(t->arg, ch, why);
}

static const struct channel_handlers tapped = { on_message, on_closed };

int __wrap_channel_new(uv_loop_t *loop, int fd, size_t max_waiting, const struct channel_handlers *h,
		       void *arg, struct channel **ret)
{
	struct tap *t;
	int r;

	if (!in_role)
		return __real_channel_new(loop, fd, max_waiting, h, arg, ret);
	t = calloc(1, sizeof(*t)); /* never freed: a test that lives for seconds */
	if (!t)
		return -ENOMEM;
	*t = (struct tap){ h, arg, ((struct role_peer *)arg)->who };
	if (t->who < IPC_MAIN || t->who >= IPC_ROLES)
		t->who = 0; /* admin's clients have other arguments */
	r = __real_channel_new(loop, fd, max_waiting, &tapped, t, ret);
	for (int i = 0; r == 0 && i < SEEN_MAX; i++)
		if (!seen_channels[i].ch) {
			seen_channels[i] = (struct seen_channel){ *ret, fd, t->who };
			break;
		}
	return r;
}

void __wrap_channel_free(struct channel *ch)
{
	for (int i = 0; ch && i < SEEN_MAX; i++)
		if (seen_channels[i].ch == ch)
			seen_channels[i].ch = NULL;
	__real_channel_free(ch);
}

/* ---- the plan ---- */

int real_walls(struct role *r)
{
	return __real_walls_enter(r, sandbox);
}

/* "role" and "role 0" are meant by the first word. */
static bool is_meant(const struct role *r, const char *word)
{
	return !strcmp(word, ipc_role_name(r->ops->id)) && r->index == 0;
}

int __wrap_walls_enter(struct role *r, bool sandboxed)
{
	char path[1024], word[16] = "", argument[512] = "";
	FILE *f;
	int err;

	sandbox = sandboxed;
	snprintf(path, sizeof(path), "%s/rogue", r->conf->runtime_dir);
	f = fopen(path, "re");
	if (f && fscanf(f, "%15s %511s", word, argument) < 2)
		word[0] = '\0';
	if (f)
		fclose(f);
	if (!strcmp(word, "walls") && r->index == 0)
		attempts_run(r, argument, sandboxed);
	err = __real_walls_enter(r, sandboxed);
	if (err == 0 && is_meant(r, word)) {
		dprintf(2, "rogue role=%s mode=%s\n", word, argument);
		misbehave_start(r, argument);
	}
	return err;
}
