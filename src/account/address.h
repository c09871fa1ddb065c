/* address.h - mail addresses as keys of the accounts database.
 *
 * Domains are compared in lower case with U-labels as A-labels, local parts
 * without regard to ASCII case (RFC 5321 2.4 leaves that to the host that
 * delivers: here).  UTF-8 in a local part is compared byte by byte.
 */
#ifndef POSTERN_ACCOUNT_ADDRESS_H
#define POSTERN_ACCOUNT_ADDRESS_H

#include "base/buf.h"

#define ACCOUNT_LOCAL_MAX   64
#define ACCOUNT_DOMAIN_MAX  255
#define ACCOUNT_ADDRESS_MAX (ACCOUNT_LOCAL_MAX + 1 + ACCOUNT_DOMAIN_MAX)
#define ACCOUNT_MAILBOX_MAX 400

struct account_address {
	char text[ACCOUNT_ADDRESS_MAX + 1]; /* canonical, the local part's case kept */
	char key[ACCOUNT_ADDRESS_MAX + 1];  /* what is compared */
	size_t local_n;			    /* octets of local part, the same in both */
};

/* False unless the text is one address with a domain. */
bool account_address_parse(struct slice text, struct account_address *ret);
struct slice account_address_local(const struct account_address *a);
struct slice account_address_local_key(const struct account_address *a);
struct slice account_address_domain(const struct account_address *a);

/* A domain in its canonical form; false if it is none (a literal is none). */
bool account_domain_parse(struct slice text, char ret[static ACCOUNT_DOMAIN_MAX + 1]);

/* The names that mail for local+extension may have, longest first: start with *n
 * at 0; false when there are no more.  Each byte of delimiters may part them. */
bool account_local_next(struct slice local, struct slice delimiters, size_t *n);

/* May this local part be the name of a folder?  A quoted string, '/', controls
 * and a leading '.' are refused, not escaped: other programs read the folders. */
bool account_local_is_safe(struct slice local);
/* Appends example.org/user: the folder below the mail root, by the key. */
void account_mailbox_path(struct slice local_key, struct slice domain, struct buf *to);
/* Appends _postmaster/example.org: where mail for postmaster waits when no address
 * is configured.  No domain has an underscore, so nothing else can be there. */
void account_postmaster_path(struct slice domain, struct buf *to);

#endif
