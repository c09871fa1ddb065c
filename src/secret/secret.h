/* secret.h - a password or token where somebody keeps it: in a file, or behind a command: a service.
 *
 * Of either the first line, without blanks at its ends.  No shell, ever.  Who keeps the answer wipes it; here
 * nothing of it stays.
 */
#ifndef POSTERN_SECRET_SECRET_H
#define POSTERN_SECRET_SECRET_H

#include <sys/types.h>
#include <uv.h>

#include "base/buf.h"

#define SECRET_WHY_MAX 512

/* ---- a file ---- */

/* What is wrong with who may read or change a file of that mode and owner: the mode to give it ("600"); NULL:
 * nothing is.  Others have no business with it.  Its group may read it if the file belongs to root, or to
 * somebody else than who reads it: then somebody chose that group for it.  Nobody but the owner may write. */
const char *secret_mode_fault(mode_t mode, uid_t owner, uid_t me);

/* Adds the line to *to, whose ceiling is what is taken.  0, or a negative errno and why ("cannot be read: No
 * such file or directory").  *ret_chmod: as secret_mode_fault(), of the file that was read; not of a pipe. */
int secret_file(const char *path, struct buf *to, const char **ret_chmod, char why[static SECRET_WHY_MAX]);

/* ---- a command ---- */

struct secret_command_setup {
	uv_loop_t *loop;
	char **argv;	   /* ends with NULL */
	char **env;	   /* ends with NULL; NULL: a PATH and LANG=C */
	unsigned limit_ms; /* then it, and all that it began, is killed */
	size_t max;	   /* octets that it may write */
	bool keep_said;	   /* its standard error goes into why when it fails; else it has ours */
};

struct secret_command;

/* Runs it, with /dev/null to read from.  done is called once, from the loop: why is NULL and line the answer,
 * which is borrowed; or what went wrong ("failed with status 1: gpg: no secret key").  0; or a negative errno
 * and why, and done is not called. */
int secret_command(const struct secret_command_setup *setup,
		   void (*done)(void *arg, struct slice line, const char *why), void *arg,
		   struct secret_command **ret, char why[static SECRET_WHY_MAX]);
/* Before done: it is not called any more, and what runs is killed.  The loop must run once more for the
 * memory.  NULL is fine. */
void secret_command_drop(struct secret_command *c);

#endif
