/* account.h - the accounts that mail is submitted by, as a file has them: an engine.
 *
 *	default: work
 *	accounts:
 *	  work:
 *	    url: smtp://smtp.example.org
 *	    user: ann@example.org
 *	    password_command: pass show mail/work
 *
 * YAML, read as the server's configuration is (conf/tree.h): unknown names are errors with the nearest one,
 * and whatever can be wrong by itself is found here, with its line.  No secret stands in it, only
 * where one is kept.  No file is opened and no command run here.
 */
#ifndef POSTERN_SUBMIT_ACCOUNT_H
#define POSTERN_SUBMIT_ACCOUNT_H

#include "conf/conf.h"
#include "submit/provider.h"

/* Which senders that a program tells sendmail become the account's own (letter.h). */
enum submit_account_rewrite {
	SUBMIT_ACCOUNT_REWRITE_AUTO, /* LOCAL at a server that one logs in to, else NO */
	SUBMIT_ACCOUNT_REWRITE_NO,
	SUBMIT_ACCOUNT_REWRITE_LOCAL,
	SUBMIT_ACCOUNT_REWRITE_ALL,
};

enum submit_account_tls { SUBMIT_ACCOUNT_TLS_AUTO, SUBMIT_ACCOUNT_TLS_STARTTLS, SUBMIT_ACCOUNT_TLS_IMPLICIT };

/* What means the same as in a route of the server (conf.h) is called the same.  Strings are never NULL. */
struct submit_account {
	const char *name; /* in the file */
	unsigned line;
	const char *url, *provider, *host; /* one of them */
	uint16_t port;
	int tls; /* enum submit_account_tls */
	const char *user;
	const char *from, *full_name;		  /* whom it sends as, "" */
	int rewrite_from;			  /* enum submit_account_rewrite */
	const char *local_to;			  /* who gets mail for addresses of this machine; "" */
	const char *password_file;		  /* "" */
	char **password_command, **token_command; /* end with NULL, too; NULL: none */
	size_t n_password_command, n_token_command;
	int mechanism; /* enum conf_mechanism; with token_command never AUTO */
	char **fingerprints;
	size_t n_fingerprints;
	const char *ca_file;	      /* "" */
	bool queue;		      /* what cannot be submitted now is kept, and tried again */
	uint32_t messages_per_minute; /* 0: as fast as it goes */

	struct provider server; /* what url, provider, host, port, tls and user come to */
};

struct submit_accounts {
	struct submit_account *account;
	size_t n;
	const char *standard; /* the name behind `default`, "" */
};

/* home: for paths that begin with ~/; NULL: there is none, and they are errors.  0; -EINVAL with findings
 * that say why; -ENOMEM.  conf_findings_free() them either way. */
int submit_accounts_parse(struct slice text, const char *home, struct submit_accounts **ret,
			  struct conf_finding **ret_findings);
void submit_accounts_free(struct submit_accounts *all); /* NULL is fine */

/* NULL: there is none of that name. */
const struct submit_account *submit_account(const struct submit_accounts *all, const char *name);
/* The one behind `default`, or the only one; NULL: none is. */
const struct submit_account *submit_account_standard(const struct submit_accounts *all);
/* The name that is nearest, NULL: none is near. */
const char *submit_account_near(const struct submit_accounts *all, const char *name);

/* As the file that comes to the same: paths as they were understood, each word of a command by itself. */
void submit_accounts_show(const struct submit_accounts *all, struct buf *to);

#endif
