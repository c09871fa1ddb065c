/* check_local.h - the parts of `postern check --local`: finding and reading files, asking the servers,
 * printing. */
#ifndef POSTERN_CLI_CHECK_LOCAL_H
#define POSTERN_CLI_CHECK_LOCAL_H

#include <limits.h>
#include <sys/stat.h>

#include "advise/local_ask.h"
#include "base/buf.h"

/* A file that another takes in, or that belongs to it. */
struct local_source {
	char *path;
	const char *why;	      /* in words: why it was not read; NULL */
	char when[ADVISE_LOCAL_NAME]; /* git: the condition; "" */
	uint16_t by;		      /* which takes it in; 0: the configuration itself */
	unsigned line;		      /* where; 0: nowhere, it counts by where it lies */
	struct stat st;
	struct buf text; /* while it is read */
};

/* One configuration, read or not. */
struct local_file {
	char *path;
	enum advise_local_kind kind;
	int error;	 /* negative errno: it could not be read */
	const char *why; /* the same in words; NULL */
	bool named;	 /* by the caller: that it cannot be read is a failure */
	char *exposed; /* a file with a password that every user can read: this one, or a table that it names
			*/
	mode_t mode;   /* of that */
	dev_t dev;     /* this one, so that it is read once */
	ino_t ino;
	struct local_source *source; /* number 0 is the file itself, and has no path here */
	size_t n_sources;
	bool sources_cut; /* there were more, or deeper ones */
	char *beside;	  /* the file beside it, where there is one */
	struct advise_local local;
	struct advise_answer answer[ADVISE_LOCAL_SERVERS]; /* --ask */
};

struct local_files {
	struct local_file *f;
	size_t n, cap;
	bool cut;	 /* there were more than are looked at */
	bool failed;	 /* out of memory */
	bool no_network; /* --ask: a host that has nothing to do with mail could not be reached either */
};

/* A regular file's text, up to ADVISE_LOCAL_MAX + 1 octets, without waiting for anything and without opening
 * anything else: what is no regular file is -EINVAL (a device, a FIFO).  follow: symbolic links at its end.
 */
int local_read_file(const char *path, bool follow, struct buf *text, struct stat *st);
/* Whether every user of the machine can: by its mode, and those of the folders above. */
bool local_others_read(const char *path, mode_t mode);

/* A file and all that it takes in; home: whose ~ is meant, "" if that is not known.  f->path and f->kind are
 * set; st and the text are f's own.  Others that it names, configurations of their own, go to on_apart. */
int local_gather(struct local_file *f, const char *home, struct buf *text, const struct stat *st,
		 void (*on_apart)(void *arg, const char *path), void *arg);
void local_sources_done(struct local_file *f);
/* Whether something that lies beside it belongs to a php.ini that is not there. */
bool local_has_parts(enum advise_local_kind kind, const char *path);
/* Why a file was not read, from a negative errno. */
const char *local_error_words(int error);
/* The path of one of its files by its number (ADVISE_LOCAL_BESIDE too). */
const char *local_source_path(const struct local_file *f, uint16_t file);

/* The file that a change belongs into, where it is another than f's; false: it is that, or the one beside. */
bool local_change_path(const struct local_file *f, const struct advise_change *c, char to[static PATH_MAX]);

/* The usual places of this machine, and this folder's. */
void local_find_usual(struct local_files *files);
/* A file, or all known ones of a folder and those below it. */
void local_find_named(struct local_files *files, const char *path);
void local_files_done(struct local_files *files);

/* What all of it comes to. */
struct local_count {
	size_t servers, problems, warnings, notes, unread, failing;
};
void local_count(const struct local_files *files, struct local_count *ret);

void local_print(const struct local_files *files, bool asked, bool colour);
/* false: out of memory, said */
bool local_print_json(const struct local_files *files, bool asked);

#endif
