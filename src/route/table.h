/* table.h - which route a recipient takes: an engine.
 *
 * Rules are asked in order; the first one is taken of which each criterion that has
 * patterns has one that matches.  The last rule is the one for all that is left, and is taken
 * whatever its criteria say.  Patterns, letters in either case:
 *
 *	example.org         that domain
 *	.example.org        all domains below it, not itself
 *	ann@example.org     that address
 *	<>                  the null sender; of accounts: nobody
 *	*                   all
 *
 * Domains are compared as they are written: xn-- stays xn--.  Asking costs a look-up for each
 * label of the domain and rule, however many patterns there are.
 */
#ifndef POSTERN_ROUTE_TABLE_H
#define POSTERN_ROUTE_TABLE_H

#include "base/slice.h"

#define ROUTE_ADDRESS_MAX 1024 /* octets; longer ones match only "*" */

struct route_patterns {
	char *const *p;
	size_t n; /* 0: all */
};

struct route_table_rule {
	struct route_patterns to, from, accounts;
};

struct route_table;

/* Copies the rules.  n > 0.  0 or -ENOMEM. */
int route_table_new(const struct route_table_rule *rules, size_t n, struct route_table **ret);
void route_table_free(struct route_table *t); /* NULL is fine */

/* The number of the rule.  Addresses as local@domain; sender "" is the null sender, account "" nobody. */
size_t route_table_find(const struct route_table *t, struct slice recipient, struct slice sender,
			struct slice account);

#endif
