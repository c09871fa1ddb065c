/* usage.h - "how full is this mailbox?", asked of role local by the command line.
 *
 * Counting a large mailbox takes a while, so it is done on the thread pool.
 */
#ifndef POSTERN_ROLE_USAGE_H
#define POSTERN_ROLE_USAGE_H

#include "role/role.h"

/* {"ask": "mailbox.usage", "mailbox": "example.org/user"}: {"octets", "messages"}.  root: of all
 * mailboxes.  Answers, at once or later. */
void usage_request(struct role *r, int root, struct role_request *req);

#endif
