/* locks.h - keeper's counts of wrong passwords, as configured, and as people see them.
 *
 * The questions lock.list and lock.clear; what counts is in account/guess.h.
 */
#ifndef POSTERN_ROLE_LOCKS_H
#define POSTERN_ROLE_LOCKS_H

#include "account/auth.h"
#include "role/role.h"

int locks_new(const struct conf *conf, struct account_guess **ret); /* 0 or -ENOMEM */
int locks_configure(struct account_guess *g, const struct conf *conf);
/* A lock that this login began, in the log. */
void locks_log(const struct account_auth_event *e);
/* now_ms: the clock of the counts. */
void locks_request(struct account_guess *g, uint64_t now_ms, struct role_request *req);
json_t *locks_status(const struct account_guess *g);

#endif
