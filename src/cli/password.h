/* password.h - a password from a prompt, a file or standard input; never from an argument,
 * which every user of the machine could read.
 */
#ifndef POSTERN_CLI_PASSWORD_H
#define POSTERN_CLI_PASSWORD_H

#include "base/buf.h"

/* file: NULL, or a path, or "-" for standard input; its first line is the password.  NULL: asked
 * for twice at the terminal, or the first line of standard input when that is no
 * terminal.  Says itself what is wrong; the caller wipes *ret in any case. */
bool cli_password(const char *file, const char *what, struct buf *ret);
/* One that there is already, of a login elsewhere: asked for once, at the terminal only. */
bool cli_password_known(const char *file, const char *what, struct buf *ret);

#endif
