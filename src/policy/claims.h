/* claims.h - ledger's part of limits of the whole server: who holds how much of each.
 *
 * Knows only claims: how much each process holds of a limit beyond the part that is free
 * to it (limit.h).  A process says what it wants in all, and what it uses already,
 * whatever others hold; it is granted what is left of the pool.  So nothing is lost when either
 * side begins anew: a process that ends drops its claims, and to a new ledger all
 * tell theirs again.
 *
 * An engine.  Bounded: when CLAIMS_MAX are held, a claim for somebody new is answered
 * `full`, and the process uses its share; nobody's is forgotten for it.
 */
#ifndef POSTERN_POLICY_CLAIMS_H
#define POSTERN_POLICY_CLAIMS_H

#include "policy/limit.h"

#define CLAIMS_MAX	 100000
#define CLAIMS_PROCESSES 64

struct claims;

int claims_new(struct claims **ret); /* 0 or -ENOMEM */
void claims_free(struct claims *c);

/* process < CLAIMS_PROCESSES.  Returns the granted claim; *ret_full: it cannot be counted here. */
uint32_t claims_claim(struct claims *c, uint64_t now_ms, unsigned process, const struct limit_claim *claim,
		      bool *ret_full);
/* That process is gone. */
void claims_drop(struct claims *c, unsigned process);
/* Those who were refused long ago need not be listed any more; now and then. */
void claims_sweep(struct claims *c, uint64_t now_ms);

struct claims_row {
	enum limit_kind kind;
	struct slice listener, who;
	uint32_t use, limit; /* use: of the processes that told, their last word */
	uint64_t refused_ms; /* the time until which it is refused; 0: nobody was refused lately */
};
void claims_each(struct claims *c, uint64_t now_ms, bool (*each)(void *arg, const struct claims_row *row),
		 void *arg);
/* Of the last claim: whom it told of as refused who had not been for a minute.  At most one. */
void claims_met(struct claims *c, uint64_t now_ms, bool (*each)(void *arg, const struct claims_row *row),
		void *arg);
/* How many count for that text of who; "": all.  They are forgotten where nothing is in use at once. */
size_t claims_clear(struct claims *c, struct slice who);
size_t claims_size(const struct claims *c);

#endif
