/* private.h - what file.c and command.c share. */
#ifndef POSTERN_SECRET_PRIVATE_H
#define POSTERN_SECRET_PRIVATE_H

#include "secret/secret.h"

struct slice secret_line(struct slice text); /* the first one, without blanks at its ends */

#endif
