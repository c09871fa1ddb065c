/* sasl.h - one SASL exchange on the server's side, up to where a secret is tested.
 *
 * PLAIN and SCRAM are GNU SASL's; LOGIN, which no standard describes, is a few
 * lines here, because clients look for its customary prompts.  PLAIN and LOGIN end
 * in a name and a password for the caller to test; SCRAM proves itself, with the
 * verifier that the store has or, for anybody else, with a false one that is
 * always the same for that name (RFC 5802 section 9).
 */
#ifndef POSTERN_ACCOUNT_SASL_H
#define POSTERN_ACCOUNT_SASL_H

#include "account/store.h"

#define ACCOUNT_SASL_MAX 12288 /* octets of a message either way */

struct account_sasl; /* of the process */
struct account_sasl_session;

int account_sasl_new(struct account_store *store, struct account_sasl **ret);
void account_sasl_free(struct account_sasl *sasl);

enum account_sasl_step {
	ACCOUNT_SASL_CHALLENGE, /* send it */
	ACCOUNT_SASL_PASSWORD,	/* test name and password */
	ACCOUNT_SASL_PROVED,	/* SCRAM: the client knows the password of name */
	ACCOUNT_SASL_REFUSED,	/* SCRAM: it does not */
	ACCOUNT_SASL_MALFORMED,
	ACCOUNT_SASL_FAILED, /* memory, or the database */
};

/* exporter: tls-exporter channel binding, or empty.  0, -EOPNOTSUPP (no such mechanism, or
 * not with this connection), -ENOMEM. */
int account_sasl_begin(struct account_sasl *sasl, struct slice mech, struct slice exporter,
		       struct account_sasl_session **ret);
/* has_data is false for the very first step of a client that sent no initial response. */
enum account_sasl_step account_sasl_step(struct account_sasl_session *s, bool has_data, struct slice data);
void account_sasl_end(struct account_sasl_session *s); /* wipes; NULL is fine */

/* Valid until the next step. */
struct slice account_sasl_challenge(const struct account_sasl_session *s);
struct slice account_sasl_name(const struct account_sasl_session *s); /* as SASLprep makes it */
struct slice account_sasl_password(const struct account_sasl_session *s);

/* Does SASLprep (RFC 4013) leave this name as it is?  PLAIN and LOGIN look only for names
 * that it leaves: an account by another one could never log in. */
bool account_sasl_name_stays(struct slice name);

/* Appends the name in the first data of PLAIN or LOGIN, for a password that came in clear
 * text; false if there is none.  Nothing is tested. */
bool account_sasl_exposed_name(struct slice mech, struct slice data, struct buf *to);

#endif
