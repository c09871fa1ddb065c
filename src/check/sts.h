/* sts.h - a domain's policy of MTA-STS (RFC 8461), fetched once and held against its MX hosts.
 *
 * Nothing is cached: what is asked is what there is now, as a server would find it that never
 * asked before.
 */
#ifndef POSTERN_CHECK_STS_H
#define POSTERN_CHECK_STS_H

#include <uv.h>

#include "probe/report.h"
#include "resolve/resolve.h"
#include "route/sts.h"

struct check_sts;

enum check_sts_state {
	CHECK_STS_NONE,	   /* the domain has no record: it does not use it */
	CHECK_STS_POLICY,  /* see policy */
	CHECK_STS_UNKNOWN, /* there is a record, and the policy could not be had: words say why */
};

struct check_sts_found {
	enum check_sts_state state;
	struct sts_policy policy;
	char words[300];
};

typedef void check_sts_done(void *arg, const struct check_sts_found *found);

/* authorities: PEM; outlives it.  done is called once, from the loop; it is gone then.  0 or -ENOMEM. */
int check_sts_begin(uv_loop_t *loop, struct resolve *resolve, struct slice authorities, unsigned timeout_ms,
		    const struct dns_name *domain, check_sts_done *done, void *arg, struct check_sts **ret);
void check_sts_cancel(struct check_sts *s); /* NULL is fine */

/* What the policy says of an MX host, in port->sts and sts_words. */
void check_sts_match(const struct check_sts_found *found, const char *host, struct probe_port *port);

#endif
