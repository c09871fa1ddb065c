/* path_private.h - what path.c and params.c share. */
#ifndef POSTERN_SMTP_PATH_PRIVATE_H
#define POSTERN_SMTP_PATH_PRIVATE_H

#include "smtp/path.h"

enum smtp_path_kind {
	SMTP_PATH_REVERSE, /* of MAIL: may be <> */
	SMTP_PATH_FORWARD, /* of RCPT: may be <postmaster> */
};

/* Take "<...>".  *cur stands where the grammar ended if that fails. */
enum smtp_parse smtp_path_take(struct slice *cur, enum smtp_path_kind kind, struct smtp_path *ret);
/* Take one well-formed UTF-8 sequence of two to four bytes. */
bool smtp_utf8_take(struct slice *cur);

#endif
