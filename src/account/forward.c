#include "account/forward.h"

#include <errno.h>
#include <sodium.h>

#include "smtp/srs.h"

/* The secret of the database has other uses: this one has its own. */
static void make_key(const struct account_store *s, unsigned char ret[static SRS_KEY])
{
	static const unsigned char use[] = "sender rewriting";
	struct slice secret = account_store_secret(s);

	crypto_generichash(ret, SRS_KEY, use, sizeof(use) - 1, secret.p, secret.n);
}

/* 1, 0, or negative errno.  The server's own name counts: postmaster there may be forwarded. */
static int is_ours(struct account_store *s, struct slice domain)
{
	struct db_query *q;
	int r;

	if (slice_eq_nocase(domain, account_store_hostname(s)))
		return 1;
	q = db_query(account_store_db(s), "SELECT 1 FROM domain WHERE name = ? AND enabled");
	db_put(q, domain);
	r = db_step(q);
	db_end(q);
	return r;
}

/* A domain as it is stored; false: it is none. */
static bool domain_of(struct slice address, char ret[static ACCOUNT_DOMAIN_MAX + 1])
{
	return account_domain_parse(slice_tail(address, slice_rfind(address, '@') + 1), ret);
}

int account_forward_sender(struct account_store *s, struct slice sender, struct slice domain, uint64_t day,
			   struct buf *to)
{
	unsigned char key[SRS_KEY];
	char theirs[ACCOUNT_DOMAIN_MAX + 1];
	int r;

	if (sender.n == 0 || !domain_of(sender, theirs))
		return 0;
	r = is_ours(s, slice_str(theirs));
	if (r != 0)
		return r < 0 ? r : 0;
	make_key(s, key);
	(void)srs_make(sender, domain, key, day, to);
	explicit_bzero(key, sizeof(key));
	return buf_ok(to) ? 0 : -ENOMEM;
}

enum account_verdict account_forward_back(struct account_store *s, struct slice address, bool null_sender,
					  uint64_t day, struct buf *to)
{
	struct slice local = slice_head(address, slice_rfind(address, '@'));
	unsigned char key[SRS_KEY];
	char domain[ACCOUNT_DOMAIN_MAX + 1];
	enum srs_result opened;
	int r;

	if (!srs_is(local) || !domain_of(address, domain))
		return ACCOUNT_NOT_LOCAL;
	r = is_ours(s, slice_str(domain));
	if (r <= 0)
		return r < 0 ? ACCOUNT_TRY_LATER : ACCOUNT_NOT_LOCAL;
	make_key(s, key);
	opened = srs_open(local, key, day, to);
	explicit_bzero(key, sizeof(key));
	if (opened != SRS_OK)
		return ACCOUNT_NO_SUCH_USER;
	if (!buf_ok(to))
		return ACCOUNT_TRY_LATER;
	return null_sender ? ACCOUNT_OK : ACCOUNT_REPORTS_ONLY;
}
