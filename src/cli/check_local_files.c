/* check --local: which configurations there are, read with care. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/check_local.h"

#define FILES_MAX   500
#define DEPTH_MAX   10
#define ENTRIES_MAX 100000
#define APART_MAX   16 /* instances of Postfix */

/* ---- one file ---- */

/* O_PATH opens nothing: a FIFO does not wait, a tape does not rewind.  What is opened then is what was looked
 * at. */
static int open_regular(const char *path, bool follow, struct stat *st)
{
	int fd = open(path, O_PATH | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW)), real;
	char name[64];

	if (fd < 0)
		return -errno;
	if (fstat(fd, st) < 0) {
		real = -errno;
	} else if (!S_ISREG(st->st_mode)) {
		real = S_ISDIR(st->st_mode) ? -EISDIR : -EINVAL;
	} else {
		snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
		real = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
		if (real < 0)
			real = -errno;
	}
	close(fd);
	return real;
}

int local_read_file(const char *path, bool follow, struct buf *text, struct stat *st)
{
	int fd = open_regular(path, follow, st), r = 0;

	if (fd < 0)
		return fd;
	while (r == 0) {
		unsigned char *to;
		size_t room = buf_reserve(text, 65536, &to);
		ssize_t got = room > 0 ? read(fd, to, room) : 0;

		if (got < 0 && errno != EINTR)
			r = -errno;
		if (got == 0)
			break;
		if (got > 0)
			buf_filled(text, (size_t)got);
	}
	close(fd);
	return r;
}

bool local_others_read(const char *path, mode_t mode)
{
	char *real = mode & S_IROTH ? realpath(path, NULL) : NULL;
	bool can = real != NULL;
	struct stat st;

	for (char *slash = real ? strrchr(real, '/') : NULL; can && slash; slash = strrchr(real, '/')) {
		*slash = '\0';
		can = stat(real[0] ? real : "/", &st) == 0 && (st.st_mode & S_IXOTH);
	}
	free(real);
	return can;
}

/* ---- what is read of one ---- */

static void expose(struct local_file *f, const char *path, mode_t mode)
{
	if (f->exposed || !local_others_read(path, mode))
		return;
	f->exposed = strdup(path);
	f->mode = mode & 07777;
}

/* smtp_sasl_password_maps = hash:/etc/postfix/sasl_passwd: is our server in it, and its table up to date? */
static void look_at_passwords(struct local_file *f, struct advise_local_server *s)
{
	static const struct {
		const char *type, *table;
	} types[] = { { "hash:", ".db" }, { "btree:", ".db" },	 { "lmdb:", ".lmdb" }, { "cdb:", ".cdb" },
		      { "dbm:", ".pag" }, { "texthash:", NULL }, { "sdbm:", ".pag" } };
	char table[ADVISE_LOCAL_PASSWORDS + 8];
	const char *path = NULL;
	struct stat st, made;
	struct buf text;

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]) && !path; i++) {
		size_t n = strlen(types[i].type);

		if (strncmp(s->passwords, types[i].type, n) != 0)
			continue;
		path = s->passwords + n;
		table[0] = '\0';
		if (types[i].table)
			snprintf(table, sizeof(table), "%s%s", path, types[i].table);
	}
	if (!path || path[0] != '/' || strpbrk(path, ", "))
		return;
	buf_init(&text, ADVISE_LOCAL_MAX);
	if (local_read_file(path, true, &text, &st) == 0) {
		if (!advise_local_has_password(s, buf_slice(&text)))
			advise_wrong_add(s, ADVISE_WRONG_NO_ENTRY);
		expose(f, path, st.st_mode);
		if (table[0] && (stat(table, &made) < 0 ? errno == ENOENT : made.st_mtime < st.st_mtime))
			advise_wrong_add(s, ADVISE_WRONG_POSTMAP);
		if (table[0] && stat(table, &made) == 0)
			expose(f, table, made.st_mode);
		if (f->exposed)
			advise_wrong_add(s, ADVISE_WRONG_READABLE);
	}
	buf_wipe(&text);
}

static bool lies_beside(const char *path, const char *name)
{
	const char *slash = strrchr(path, '/');
	char other[PATH_MAX];

	return snprintf(other, sizeof(other), "%.*s%s", slash ? (int)(slash - path) + 1 : 0, path, name) <
		       (int)sizeof(other) &&
	       access(other, F_OK) == 0;
}

/* The file that holds the password. */
static void expose_password(struct local_file *f, const struct advise_local_server *s)
{
	const char *path = local_source_path(f, s->password_file);
	struct stat st;

	if (stat(path, &st) == 0)
		expose(f, path, st.st_mode);
}

static void judge_here(struct local_file *f)
{
	for (size_t i = 0; i < f->local.n; i++) {
		struct advise_local_server *s = &f->local.server[i];

		if (s->password) {
			expose_password(f, s);
			if (f->exposed)
				advise_wrong_add(s, ADVISE_WRONG_READABLE);
		}
		if (s->program[0] == '/' && access(s->program, X_OK) < 0 && errno == ENOENT)
			advise_wrong_add(s, ADVISE_WRONG_NO_PROGRAM);
		if (s->passwords[0] && s->host[0])
			look_at_passwords(f, s);
		if (f->kind == ADVISE_LOCAL_EXIM_DEBIAN && lies_beside(f->path, "exim4.conf"))
			advise_wrong_add(s, ADVISE_WRONG_SUPERSEDED);
	}
}

const char *local_error_words(int error)
{
	switch (error) {
	case -EINVAL:
		return "it is no regular file";
	case -EISDIR:
		return "it is a folder";
	case -ELOOP:
		return "it is a symbolic link";
	case -EACCES:
	case -EPERM:
		return "it may not be read by you; root may";
	default:
		return strerror(-error);
	}
}

static struct local_file *add(struct local_files *files, const char *path)
{
	if (files->n == FILES_MAX) {
		files->cut = true;
		return NULL;
	}
	if (files->n == files->cap) {
		size_t cap = files->cap ? 2 * files->cap : 8;
		struct local_file *f = realloc(files->f, cap * sizeof(*f));

		if (!f) {
			files->failed = true;
			return NULL;
		}
		files->f = f;
		files->cap = cap;
	}
	files->f[files->n] = (struct local_file){ .path = strdup(path), .kind = ADVISE_LOCAL_KINDS };
	if (!files->f[files->n].path) {
		files->failed = true;
		return NULL;
	}
	return &files->f[files->n++];
}

static bool seen(const struct local_files *files, const struct stat *st)
{
	for (size_t i = 0; i < files->n; i++)
		if (files->f[i].ino == st->st_ino && files->f[i].dev == st->st_dev)
			return true;
	return false;
}

static void done(struct local_file *f)
{
	local_sources_done(f);
	free(f->path);
	free(f->exposed);
}

/* ---- which ---- */

/* Other instances of Postfix that one names. */
struct apart {
	char *path[APART_MAX];
	size_t n;
};

static void on_apart(void *arg, const char *path)
{
	struct apart *a = arg;

	if (a && a->n < APART_MAX && (a->path[a->n] = strdup(path)) != NULL)
		a->n++;
}

/* Whose ~ is meant in it: root looks into others' homes. */
static const char *home_of(const char *path, char to[static PATH_MAX])
{
	const char *home = getenv("HOME"), *end;

	if (!home)
		home = "";
	if (strncmp(path, "/home/", 6) != 0 || (home[0] && strncmp(path, home, strlen(home)) == 0))
		return home;
	end = strchr(path + 6, '/');
	snprintf(to, PATH_MAX, "%.*s", (int)(end ? end - path : 0), path);
	return to;
}

/* What is read of a file that is worth it; false: nothing of it is kept. */
static bool read_whole(struct local_files *files, struct local_file *f, struct buf *text,
		       const struct stat *st, struct apart *apart)
{
	char home[PATH_MAX];

	f->dev = st->st_dev;
	f->ino = st->st_ino;
	if (local_gather(f, home_of(f->path, home), text, st, on_apart, apart) < 0) {
		files->failed = true;
		return true;
	}
	judge_here(f);
	/* Postfix without a relayhost, git without sendemail */
	return f->named || f->local.n > 0;
}

/* Reads it, and keeps it if it is of use.  apart: may be NULL. */
static void take_one(struct local_files *files, const char *path, bool named, bool follow,
		     struct apart *apart)
{
	enum advise_local_kind kind = advise_local_kind_of(slice_str(path));
	struct stat st = { 0 };
	struct local_file *f;
	struct buf text;
	int r;

	buf_init(&text, ADVISE_LOCAL_MAX + 1);
	r = local_read_file(path, follow, &text, &st);
	if (r == 0 && seen(files, &st))
		goto out;
	if (r == -ENOENT && local_has_parts(kind, path)) /* PHP needs no php.ini */
		r = 0;
	if (r == 0 && kind == ADVISE_LOCAL_KINDS)
		kind = advise_local_kind_by(buf_slice(&text));
	if (!named && (r == -ENOENT || r == -ENOTDIR || r == -EISDIR || kind == ADVISE_LOCAL_KINDS))
		goto out;
	f = add(files, path);
	if (!f)
		goto out;
	f->kind = kind;
	f->named = named;
	f->error = r;
	if (r < 0) {
		f->why = local_error_words(r);
	} else if (kind == ADVISE_LOCAL_KINDS) {
		f->error = -ENOMSG;
		f->why = "it is no configuration that is known";
	} else if (!read_whole(files, f, &text, &st, apart)) {
		done(f);
		files->n--;
	}
out:
	buf_wipe(&text); /* passwords stand in it */
}

/* And what it names besides, which names no more. */
static void take(struct local_files *files, const char *path, bool named, bool follow)
{
	struct apart apart = { .n = 0 };

	take_one(files, path, named, follow, &apart);
	for (size_t i = 0; i < apart.n; i++) {
		take_one(files, apart.path[i], false, true, NULL);
		free(apart.path[i]);
	}
}

/* .env.example: what is to be filled in. */
static bool is_template(const char *name)
{
	static const char *const ends[] = { ".example", ".sample", ".dist",	 ".template",
					    ".tpl",	".test",   "-sample.php" };

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		size_t n = strlen(ends[i]), len = strlen(name);

		if (len >= n && strcmp(name + len - n, ends[i]) == 0)
			return true;
	}
	return false;
}

/* All that the pattern fits, below that folder. */
static void take_all(struct local_files *files, const char *folder, struct slice pattern)
{
	char whole[PATH_MAX];
	glob_t found;

	/* What is no pattern may be missing. */
	if (snprintf(whole, sizeof(whole), "%s%.*s", folder, SLICE_ARG(pattern)) >= (int)sizeof(whole) ||
	    glob(whole, GLOB_NOMAGIC, NULL, &found) != 0)
		return;
	for (size_t i = 0; i < found.gl_pathc; i++)
		if (!is_template(found.gl_pathv[i]))
			take(files, found.gl_pathv[i], false, true);
	globfree(&found);
}

void local_find_usual(struct local_files *files)
{
	const char *home = getenv("HOME");

	for (unsigned k = 0; k < ADVISE_LOCAL_KINDS; k++) {
		struct slice rest = slice_str(advise_local_kind_paths((enum advise_local_kind)k));

		while (rest.n > 0) {
			struct slice word = slice_head(rest, slice_find(rest, ' '));

			rest = slice_tail(rest, word.n + 1);
			if (!cur_byte(&word, '~')) {
				take_all(files, "", word);
				continue;
			}
			if (home && home[0])
				take_all(files, home, word);
			if (geteuid() == 0) /* whoever looks after the machine means everybody */
				take_all(files, "/home/*", word);
		}
	}
}

/* Others' code, and what is made from it. */
static bool passed_over(const char *name)
{
	static const char *const names[] = {
		".",	"..",	"node_modules", "vendor",	    "site-packages", "__pycache__",
		".svn", "venv", ".venv",	"bower_components", ".cache",	     "dist-packages"
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

/* A pool whose php.ini is there, and has it. */
static bool is_of_php_ini(const char *path)
{
	const char *slash = strrchr(path, '/');

	return advise_local_kind_of(slice_str(path)) == ADVISE_LOCAL_PHP_INI &&
	       strcmp(slash + 1, "php.ini") != 0 &&
	       (lies_beside(path, "php.ini") || lies_beside(path, "../php.ini") ||
		lies_beside(path, "../php/php.ini"));
}

struct walk {
	struct local_files *files;
	size_t entries;
	dev_t dev; /* other file systems are not walked into */
};

/* Symbolic links are not followed, so it ends, and stays where it was sent. */
static void walk(struct walk *w, const char *folder, unsigned depth)
{
	struct dirent **names;
	int n = scandir(folder, &names, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		const char *name = names[i]->d_name;
		char path[PATH_MAX];
		struct stat st;

		if (++w->entries > ENTRIES_MAX || depth == DEPTH_MAX)
			w->files->cut = true;
		else if (!passed_over(name) && !is_template(name) &&
			 snprintf(path, sizeof(path), "%s%s%s", folder,
				  folder[strlen(folder) - 1] == '/' ? "" : "/", name) < (int)sizeof(path) &&
			 lstat(path, &st) == 0) {
			if (S_ISDIR(st.st_mode) && st.st_dev == w->dev && strcmp(name, ".git") == 0) {
				snprintf(path, sizeof(path), "%s/.git/config", folder);
				take(w->files, path, false, false);
			} else if (S_ISDIR(st.st_mode) && st.st_dev == w->dev) {
				walk(w, path, depth + 1);
			} else if (!S_ISDIR(st.st_mode) && !S_ISLNK(st.st_mode) &&
				   advise_local_kind_of(slice_str(path)) != ADVISE_LOCAL_KINDS &&
				   !is_of_php_ini(path)) {
				take(w->files, path, false, false);
			}
		}
		free(names[i]);
	}
	if (n >= 0)
		free(names);
}

void local_find_named(struct local_files *files, const char *path)
{
	struct walk w = { .files = files };
	struct stat st;
	size_t before = files->n;

	if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode)) {
		take(files, path, true, true);
		return;
	}
	w.dev = st.st_dev;
	walk(&w, path, 0);
	if (files->n == before && !files->failed) {
		struct local_file *f = add(files, path);

		if (!f)
			return;
		f->named = true;
		f->error = access(path, R_OK | X_OK) < 0 ? -errno : -ENOMSG;
		f->why = f->error == -ENOMSG ? "nothing that is known in it names a server to submit mail to"
					     : local_error_words(f->error);
	}
}

void local_files_done(struct local_files *files)
{
	for (size_t i = 0; i < files->n; i++)
		done(&files->f[i]);
	free(files->f);
	*files = (struct local_files){ 0 };
}
