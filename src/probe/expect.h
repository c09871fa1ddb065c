/* expect.h - "587:starttls,auth,cert>14d": what must be so, for monitoring: an engine.
 *
 *	PORT[:CONDITION[,CONDITION]...]     without conditions: it greets as SMTP
 *
 *	open            it takes connections, and speaks SMTP
 *	closed          it does not take connections: refused, or silence
 *	refused         nobody listens there
 *	filtered        silence
 *	tls             TLS from the first octet
 *	starttls        STARTTLS is offered, and works
 *	no-starttls     it is not offered
 *	cert            the certificate verifies, chain and name
 *	cert>14d        and is valid for more than so many days yet
 *	tls>=1.2        no version below is taken (1.2 or 1.3)
 *	auth            AUTH is offered within TLS
 *	auth=MECH       with that mechanism
 *	no-auth         AUTH is not offered at all
 *	no-clear-auth   not before TLS
 *	no-relay        a stranger's recipient is refused (RCPT before AUTH, and --relay-test)
 *	size>=25M       messages of that size are taken (k, M, G: powers of 1000)
 *	ext=NAME        that extension is offered
 *	login           the login of --login was accepted
 *	dane, sts       the policy is there and matches
 *	within<2s       greeted within that time of the beginning (ms or s)
 *
 * All addresses of a host must meet them.
 */
#ifndef POSTERN_PROBE_EXPECT_H
#define POSTERN_PROBE_EXPECT_H

#include "probe/report.h"

#define PROBE_EXPECT_MAX 16 /* conditions of one port */

struct probe_condition {
	int kind;      /* expect.c's */
	uint64_t n;    /* days, octets, milliseconds, the version's minor */
	char word[32]; /* of the part behind "=" */
	char text[48]; /* as it was written */
};

struct probe_expect {
	uint16_t port;
	struct probe_condition condition[PROBE_EXPECT_MAX];
	size_t n;
};

/* NULL, or what is wrong with it in words (a literal). */
const char *probe_expect_parse(struct slice text, struct probe_expect *ret);
bool probe_expect_wants_login(const struct probe_expect *e);
/* Does that look meet the condition?  If not, why: "cert>14d: the certificate expires in 3 days". */
bool probe_expect_met(const struct probe_condition *c, const struct probe_port *p, int64_t now, char *ret_why,
		      size_t size);

#endif
