/* ledger_tls.h - the ledger's part in encryption with other domains: results and policies of
 * history/tls.h, for role/ledger.c only. */
#ifndef POSTERN_ROLE_LEDGER_TLS_H
#define POSTERN_ROLE_LEDGER_TLS_H

#include "role/role.h"

int ledger_tls_open(struct role *r); /* always 0: mail never waits for this; logs what is wrong */
int ledger_tls_start(struct role *r);
bool ledger_tls_is_for(const struct ipc_message *m);
/* From an smtp process.  NULL, or how it broke the rules. */
const char *ledger_tls_message(struct role *r, unsigned index, const struct ipc_message *m);
void ledger_tls_request(struct role *r, struct role_request *req); /* "tls.results" */
void ledger_tls_status(json_t *to);
void ledger_tls_leave(void); /* writes what waits, and closes */

#endif
