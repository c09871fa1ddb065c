/* send_merge_judge.h - what an answer to one message of many says about the others. */
#ifndef POSTERN_CLI_SEND_MERGE_JUDGE_H
#define POSTERN_CLI_SEND_MERGE_JUDGE_H

#include "route/classify.h"
#include "submit/carry.h"
#include "submit/merge_journal.h"

enum cli_merge_verdict {
	CLI_MERGE_NEXT,
	CLI_MERGE_SLOW,	     /* the server wants fewer, or is away for a moment */
	CLI_MERGE_US,	     /* every message would be refused so: this one is not to blame */
	CLI_MERGE_NO_SERVER, /* none was ever reached */
	CLI_MERGE_ENDED,     /* the certificate, or the login */
};

struct route_meaning cli_merge_meaning(const struct carry_rcpt *t);
/* What became of this recipient.  A refusal that is temporary in its own words is none. */
enum merge_state cli_merge_state(const struct carry_rcpt *t, const struct route_meaning *m);
/* worst: of its recipients, and what its answer means; NULL: there is none.  one_sender: all messages have
 * the same one; worked: the server answered to a message before. */
enum cli_merge_verdict cli_merge_judge(const struct carry_result *res, const struct carry_rcpt *worst,
				       const struct route_meaning *m, bool one_sender, bool worked);
/* Refused, and not because of its recipient: several in a row say something about all. */
bool cli_merge_is_same(const struct merge_line *l, enum route_class class);

#endif
