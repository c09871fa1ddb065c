/* sendmail.h - the parts of the sendmail command: what programs find under the names sendmail, mailq and
 * newaliases.  What their options mean stands in submit/sendmail.h.
 */
#ifndef POSTERN_CLI_SENDMAIL_H
#define POSTERN_CLI_SENDMAIL_H

#include "base/id.h"
#include "cli/carrier.h"
#include "cli/identity.h"
#include "submit/sendmail.h"

struct cli_sendmail {
	struct sendmail s;
	const char **recipient;
	struct cli_identity identity;
};

/* ---- its modes: the exit status, of sysexits.h ---- */

int cli_sendmail_smtp(struct cli_sendmail *m);
int cli_sendmail_list(const struct cli_sendmail *m);
int cli_sendmail_flush(const struct cli_sendmail *m);

/* ---- what sending and -bs share ---- */

/* Waits some seconds for the socket of a Postern that is being started anew, if mail is to go that way. */
void cli_sendmail_await(void);
/* Whether to try again, after a pause: *times begins with 0. */
bool cli_sendmail_pause(unsigned *times);
/* As cli_carrier_find(); EX_OK, or the exit status, said. */
int cli_sendmail_carrier(struct cli_carrier **ret);
/* How a message is read that goes out by c; NULL: one that nobody will take, which is read all the same. */
struct letter_setup cli_sendmail_letter(const struct cli_sendmail *m, const struct cli_carrier *c);
/* The exit status for what came of a message, and for what draft_read() said. */
int cli_sendmail_status(const struct carry_result *r);
int cli_sendmail_unread(int r, const struct mime_problem *problem, struct buf *words);

/* What was not taken for a reason that passes is kept in the user's outbox, where the account says so; and
 * where the server was reached, what waits there for it goes out, too.  Returns the status that is left;
 * *ret_id is untouched if nothing was kept.  The result is gone with that. */
int cli_sendmail_keep(struct cli_carrier *c, const struct draft *d, const struct carry_result *r, int status,
		      struct id *ret_id);

/* What came of a message, on standard error: each recipient that did not get it, and why. */
void cli_sendmail_say(const struct provider *p, const struct draft *d, const struct carry_result *r,
		      unsigned verbose);
/* The same in a line, for the answer to a message that came by SMTP. */
void cli_sendmail_put(const struct draft *d, const struct carry_result *r, struct buf *to);

#endif
