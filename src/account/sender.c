#include <errno.h>

#include "account/store.h"

struct sender {
	struct account_store *store;
	uint64_t account, key;
	struct slice own_local, own_domain; /* of the account */
	char own[ACCOUNT_ADDRESS_MAX + 1];
};

static int load_account(struct sender *s)
{
	struct db_query *q =
		db_query(account_store_db(s->store),
			 "SELECT a.local_key, d.name FROM account a JOIN domain d ON d.id = a.domain"
			 " WHERE a.id = ? AND a.enabled AND d.enabled");
	int r;

	db_put_i64(q, (int64_t)s->account);
	r = db_step(q);
	if (r > 0) {
		size_t n = db_col(q, 0).n;

		snprintf(s->own, sizeof(s->own), "%.*s@%.*s", SLICE_ARG(db_col(q, 0)),
			 SLICE_ARG(db_col(q, 1)));
		s->own_local = slice_of(s->own, n);
		s->own_domain = slice_str(s->own + n + 1);
	}
	db_end(q);
	return r;
}

/* An address of the account's own, one given to it, or an alias that names it. */
static int is_its_own(struct sender *s, struct slice local_key, struct slice domain)
{
	struct db_query *q;
	int64_t yes;
	int r;

	if (slice_eq(local_key, s->own_local) && slice_eq(domain, s->own_domain))
		return 1;
	q = db_query(account_store_db(s->store),
		     "SELECT EXISTS (SELECT 1 FROM address WHERE account = ?1 AND domain = ?2"
		     " AND local_key IN (?3, '*'))"
		     " OR EXISTS (SELECT 1 FROM alias a JOIN domain d ON d.id = a.domain"
		     " JOIN alias_target t ON t.alias = a.id"
		     " WHERE d.name = ?2 AND d.enabled AND a.local_key = ?3 AND t.key = ?4)");
	db_put_i64(q, (int64_t)s->account);
	db_put(q, domain);
	db_put(q, local_key);
	db_put(q, slice_str(s->own));
	r = db_get_i64(q, &yes);
	return r < 0 ? r : yes != 0;
}

/* A key without limits of this kind allows what its account may. */
static int key_allows(struct sender *s, struct slice local_key, struct slice domain)
{
	char address[ACCOUNT_ADDRESS_MAX + 1], whole[ACCOUNT_DOMAIN_MAX + 3];
	struct db_query *q;
	int64_t yes;
	int r;

	if (s->key == 0)
		return 1;
	snprintf(address, sizeof(address), "%.*s@%.*s", SLICE_ARG(local_key), SLICE_ARG(domain));
	snprintf(whole, sizeof(whole), "*@%.*s", SLICE_ARG(domain));
	q = db_query(account_store_db(s->store),
		     "SELECT NOT EXISTS (SELECT 1 FROM key_limit WHERE api_key = ?1 AND kind = 'sender')"
		     " OR EXISTS (SELECT 1 FROM key_limit WHERE api_key = ?1 AND kind = 'sender'"
		     " AND value IN (?2, ?3))");
	db_put_i64(q, (int64_t)s->key);
	db_put(q, slice_str(address));
	db_put(q, slice_str(whole));
	r = db_get_i64(q, &yes);
	return r < 0 ? r : yes != 0;
}

/* Keys are revoked while sessions use them. */
static int key_lives(struct sender *s)
{
	struct db_query *q;
	int64_t yes;
	int r;

	if (s->key == 0)
		return 1;
	q = db_query(
		account_store_db(s->store),
		"SELECT EXISTS (SELECT 1 FROM api_key WHERE id = ? AND account = ? AND revoked IS NULL)");
	db_put_i64(q, (int64_t)s->key);
	db_put_i64(q, (int64_t)s->account);
	r = db_get_i64(q, &yes);
	return r < 0 ? r : yes != 0;
}

enum account_verdict account_may_send(struct account_store *store, uint64_t account, uint64_t key,
				      struct slice address)
{
	struct sender s = { .store = store, .account = account, .key = key };
	struct account_address a;
	bool own = false, allowed = false;
	size_t n = 0;
	int r = load_account(&s);

	if (r > 0)
		r = key_lives(&s);
	if (r <= 0)
		return r < 0 ? ACCOUNT_TRY_LATER : ACCOUNT_DISABLED;
	if (address.n == 0)
		return ACCOUNT_OK;
	if (!account_address_parse(address, &a))
		return ACCOUNT_NOT_YOURS;
	while (!(own && allowed) &&
	       account_local_next(account_address_local_key(&a), account_store_delimiters(store), &n)) {
		struct slice local = slice_head(account_address_local_key(&a), n);

		r = is_its_own(&s, local, account_address_domain(&a));
		own = own || r > 0;
		if (r >= 0)
			r = key_allows(&s, local, account_address_domain(&a));
		allowed = allowed || r > 0;
		if (r < 0)
			return ACCOUNT_TRY_LATER;
	}
	return own && allowed ? ACCOUNT_OK : ACCOUNT_NOT_YOURS;
}
