#include <errno.h>

#include "account/store.h"

#define QUOTA_MAX (UINT64_C(1) << 60)

static uint64_t quota_of(const struct account_store *s, const struct db_query *q, int column)
{
	int64_t own = db_col_i64(q, column);

	if (db_col_is_null(q, column))
		return account_store_quota(s);
	return own > 0 ? (uint64_t)own : 0;
}

static struct db_query *find(struct account_store *s, struct slice domain, struct slice local_key)
{
	struct db_query *q = db_query(
		account_store_db(s),
		"SELECT a.local || '@' || d.name, a.local_key, d.name, a.quota"
		" FROM account a JOIN domain d ON d.id = a.domain WHERE d.name = ? AND a.local_key = ?");

	db_put(q, domain);
	db_put(q, local_key);
	return q;
}

int account_mailbox(struct account_store *s, struct slice name, struct account_mailbox *ret)
{
	struct account_address a;
	struct account_mailbox box = { 0 };
	struct db_query *q;
	struct buf path;
	int r;

	if (!account_address_parse(name, &a))
		return -ENOENT;
	q = find(s, account_address_domain(&a), account_address_local_key(&a));
	r = db_step(q);
	if (r > 0) {
		buf_init(&path, ACCOUNT_MAILBOX_MAX);
		account_mailbox_path(db_col(q, 1), db_col(q, 2), &path);
		box.quota = quota_of(s, q, 3);
		if (!buf_ok(&path) || !slice_copy(buf_slice(&path), box.path, sizeof(box.path)) ||
		    !slice_copy(db_col(q, 0), box.name, sizeof(box.name)))
			r = -EBADMSG;
		buf_done(&path);
	}
	db_end(q);
	if (r > 0)
		*ret = box;
	return r > 0 ? 0 : r < 0 ? r : -ENOENT;
}

int account_quota(struct account_store *s, struct slice path, uint64_t *ret)
{
	struct slice domain, local;
	struct db_query *q;
	uint64_t quota;
	int r;

	*ret = 0;
	if (!cur_until(&path, '/', &domain))
		return 0;
	local = slice_head(path, slice_find(path, '/'));
	q = find(s, domain, local);
	r = db_step(q);
	quota = r > 0 ? quota_of(s, q, 3) : 0;
	db_end(q);
	if (r < 0)
		return r;
	*ret = quota;
	return 0;
}

int account_any_quota(struct account_store *s)
{
	int64_t yes;
	int r;

	if (account_store_quota(s) > 0)
		return 1;
	r = db_get_i64(db_query(account_store_db(s), "SELECT EXISTS (SELECT 1 FROM account WHERE quota > 0)"),
		       &yes);
	return r < 0 ? r : yes != 0;
}

bool account_quota_parse(struct slice text, bool *ret_default, uint64_t *ret)
{
	bool by_default = slice_eq(text, SLICE_LIT("default"));
	uint64_t v = 0, factor = 1;

	if (!by_default && !slice_eq(text, SLICE_LIT("none"))) {
		if (!cur_u64(&text, QUOTA_MAX, &v))
			return false;
		if (cur_byte(&text, 'K'))
			factor = UINT64_C(1) << 10;
		else if (cur_byte(&text, 'M'))
			factor = UINT64_C(1) << 20;
		else if (cur_byte(&text, 'G'))
			factor = UINT64_C(1) << 30;
		else if (cur_byte(&text, 'T'))
			factor = UINT64_C(1) << 40;
		if (text.n > 0 || v > QUOTA_MAX / factor)
			return false;
	}
	*ret_default = by_default;
	*ret = v * factor;
	return true;
}
