/* ledger_limits.h - ledger's counter of limits: what smtp claims, and what people ask of it. */
#ifndef POSTERN_ROLE_LEDGER_LIMITS_H
#define POSTERN_ROLE_LEDGER_LIMITS_H

#include "policy/claims.h"
#include "role/role.h"

void ledger_claim(struct role *r, struct claims *c, unsigned index, const struct ipc_claim *m);
/* limit.list, limit.clear */
void ledger_limits_request(struct role *r, struct claims *c, struct role_request *req);

#endif
