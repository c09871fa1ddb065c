/* sendmail.h - the command line of sendmail, as programs use it: an engine.
 *
 * PHP, cron, git and scripts call "sendmail -t -i", and know nothing else.  Here is only what their options
 * mean, and which exit status tells them what; nothing is read or sent.  As Postfix's sendmail has it,
 * where that and Sendmail's own differ; doc/sendmail.md has the table.
 *
 * No option makes it read or write a file of the caller's choice: programs that put a stranger's words on
 * this command line have opened machines that way (-C, -X, -oQ of Sendmail).
 */
#ifndef POSTERN_SUBMIT_SENDMAIL_H
#define POSTERN_SUBMIT_SENDMAIL_H

#include "mime/problem.h"

enum sendmail_mode {
	SENDMAIL_SEND,	  /* -bm: a message from standard input */
	SENDMAIL_SMTP,	  /* -bs: SMTP on standard input and output */
	SENDMAIL_LIST,	  /* -bp, mailq */
	SENDMAIL_FLUSH,	  /* -q, -qI, -qR */
	SENDMAIL_NOTHING, /* newaliases, -bi, -I, -bh, -q15m: there is nothing to do, and that went well */
};

struct sendmail {
	enum sendmail_mode mode;
	bool recipients_from_header; /* -t */
	bool dot_ends;		     /* without -i, -oi */
	bool eightbit;		     /* -B 8BITMIME */
	unsigned verbose;	     /* how often -v */
	unsigned notify;	     /* -N: SMTP_NOTIFY_ flags of smtp/path.h */
	unsigned ret;		     /* -R: SMTP_RET_ */
	const char *sender;	     /* -f, -r; "" and "<>" too; or NULL */
	const char *full_name;	     /* -F; or NULL */
	const char *envid;	     /* -V: printable, at most 100 in xtext; or NULL */
	const char *flush_id;	     /* -qI: FLUSH only this message; or NULL */
	const char *flush_site;	     /* -qR: FLUSH only this domain; or NULL */
	size_t recipients;
};

#define SENDMAIL_ERROR_MAX 200

/* argv[0] is sendmail, mailq or newaliases, wherever it lies. */
bool sendmail_is_called(const char *argv0);
/* argv[0] says mailq or newaliases, or it is sendmail.  recipient: room for argc of them, each a list of
 * addresses.  Returns EX_OK, or EX_USAGE with a line in reterr.  What ret holds points into argv. */
int sendmail_parse(int argc, char *const *argv, const char **recipient, struct sendmail *ret,
		   char reterr[static SENDMAIL_ERROR_MAX]);

/* Appends -V's id as MAIL's ENVID wants it: in xtext (RFC 3461 4). */
void sendmail_put_envid(const struct sendmail *s, struct buf *to);

/* The exit status (sysexits.h) for what a server said of a recipient, or of all: the reply's code, and its
 * enhanced status or "".  0: no reply, the server was not reached or went away: EX_TEMPFAIL. */
int sendmail_exit(int code, struct slice enhanced);
/* The exit status for what is wrong with a message. */
int sendmail_exit_fault(enum mime_fault fault);
/* Of several recipients' statuses the one that is told: what lasts before what may pass. */
int sendmail_exit_worse(int a, int b);

#endif
