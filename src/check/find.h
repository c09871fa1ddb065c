/* find.h - which hosts stand behind a domain or an address: what `postern check` looks at.
 *
 * In this order, and each says where it comes from:
 *
 *	SRV         _submissions._tcp and _submission._tcp (RFC 8314 5.1, RFC 6186), by priority
 *	autoconfig  the file that mail programs read, over HTTPS, of the domain itself; nobody else is asked
 *	provider    of route/providers.h: by the address's domain, or by whose MX hosts it has
 *	guess       smtp.DOMAIN and mail.DOMAIN, where they exist and nothing of the above is there
 *	MX          its MX hosts, port 25 alone: what servers use
 *
 * A name that has neither SRV nor MX records, and came without an @, is a host: itself.
 */
#ifndef POSTERN_CHECK_FIND_H
#define POSTERN_CHECK_FIND_H

#include "check/check.h"

struct find;

struct find_setup {
	uv_loop_t *loop;
	struct resolve *resolve;
	struct slice authorities; /* PEM, for HTTPS; outlives it */
	unsigned timeout_ms;	  /* of HTTPS */
	bool mx;		  /* only the MX hosts */
	bool host;		  /* it is a host, whatever the DNS says */
};

/* Called once, from the loop; the find is gone then.  What was found is added to the check.  note: what
 * else is worth saying ("it takes no mail (null MX)"), or "". */
typedef void find_done(void *arg, const char *note);

/* text: an address, a domain or a host's name; port: 0, or the only one to look at, of a host.  -EINVAL: it
 * is none of these; -ENOMEM. */
int find_begin(const struct find_setup *setup, struct check *check, const char *text, uint16_t port,
	       find_done *done, void *arg, struct find **ret);
void find_cancel(struct find *f); /* NULL is fine; the loop must turn once more */

#endif
