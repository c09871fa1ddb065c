/* account_private.h - what account.c and account_check.c share. */
#ifndef POSTERN_SUBMIT_ACCOUNT_PRIVATE_H
#define POSTERN_SUBMIT_ACCOUNT_PRIVATE_H

#include "conf/tree.h"
#include "submit/account.h"

#define ACCOUNT_WORDS_MAX 32  /* of a command */
#define ACCOUNT_NAME_MAX  200 /* octets of `name` */

struct account_reading {
	struct conf_findings f;
	struct submit_accounts *all;
	const char *home; /* NULL: there is none */
	char *from_name;  /* of the account at hand: the name that its `from` has; NULL: none */
};

/* A command that is one text becomes its words; what is wrong with it is an error.  0 or -ENOMEM. */
int account_split(struct account_reading *r, const struct submit_account *a, const char *key, char ***list,
		  size_t *n);
/* `from: Ann Example <ann@example.org>`: the address becomes *address, which points into *text and goes with
 * it; the name is kept for account_check().  What cannot be read stays as it is.  0 or -ENOMEM. */
int account_take_from(struct account_reading *r, struct slice *address, char **text);
/* All lines were read: whether they fit together, and which server they mean.  0 or -ENOMEM. */
int account_check(struct account_reading *r, struct submit_account *a);

#endif
