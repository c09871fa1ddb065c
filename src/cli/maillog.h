/* maillog.h - a line in the system's mail log (syslog(3), facility mail) for each message that a
 * program hands over to sendmail, or to send without anybody at a terminal: cron and PHP lose what is
 * said on standard error.
 *
 *	info role=sendmail event=submission result=sent status=0 uid=33 user=www-data by=php-fpm8.2
 *	    from=shop@example.org to=ann@example.net recipients=1 message_id=<...> size=812
 *	    account=site host=mail.example.org port=587 text="250 2.0.0 ..."
 *
 * result: sent, kept (in the user's outbox), deferred (not now, and not kept), unsure, failed.  What is said
 * of a failure is in text.  No secret is in it, no argument of a command, nothing of the message but its
 * Message-ID.  Where no log is (/dev/log) nothing happens.
 */
#ifndef POSTERN_CLI_MAILLOG_H
#define POSTERN_CLI_MAILLOG_H

#include "base/id.h"
#include "cli/carrier.h"
#include "submit/outbox_file.h"

/* From here on; standard error is overheard. */
void cli_maillog_begin(const char *program);

struct cli_maillog {
	int status;			   /* the exit status that tells it */
	const struct cli_carrier *carrier; /* or NULL */
	const struct draft *draft;	   /* or NULL */
	const struct carry_result *r;	   /* or NULL */
	const char *kept;		   /* its id in the outbox; or NULL */
	const char *text; /* why it failed; NULL: what the result says, or what was overheard */
};
void cli_maillog(const struct cli_maillog *m);
/* The command ends: if no line was written yet, this is the one. */
void cli_maillog_end(int status);
/* What became of one that waited; nothing is logged of those that wait on. */
void cli_maillog_waited(const struct outbox_message *m, enum outbox_state state);

#endif
