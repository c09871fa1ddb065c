/* report.h - tells the ledger how encryption with a server of another domain went: what reports of
 * TLSRPT (RFC 8460) are made of.
 *
 * One result for each connection that came so far that it could be seen, for each policy that could
 * not be had, and for each host that a policy forbids.  May be lost: mail never waits for it.
 */
#ifndef POSTERN_SEND_REPORT_H
#define POSTERN_SEND_REPORT_H

#include "base/tls_result.h"
#include "route/dial.h"
#include "send/way.h"

struct lane;

/* Greeted, and as safe as the policy wants it: the mail goes. */
void report_ready(const struct lane *l);
/* A try that came to nothing; what has to do with encryption is told. */
void report_failed(const struct lane *l, const struct dial_try *t, enum dial_how how);
/* The host may not be used, as its policy says. */
void report_forbidden(const struct lane *l, size_t host);
/* The policy of the domain could not be had, or not a newer one. */
void report_policy(const struct way *w, enum tls_result result, const char *words);

#endif
