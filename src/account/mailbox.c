#include <errno.h>

#include "account/store.h"

int account_mailbox(struct account_store *s, struct slice name, struct account_mailbox *ret)
{
	struct account_address a;
	struct account_mailbox box = { 0 };
	struct db_query *q;
	struct buf path;
	int r;

	if (!account_address_parse(name, &a))
		return -ENOENT;
	q = db_query(account_store_db(s),
		     "SELECT a.local || '@' || d.name, a.local_key, d.name"
		     " FROM account a JOIN domain d ON d.id = a.domain WHERE d.name = ? AND a.local_key = ?");
	db_put(q, account_address_domain(&a));
	db_put(q, account_address_local_key(&a));
	r = db_step(q);
	if (r > 0) {
		buf_init(&path, ACCOUNT_MAILBOX_MAX);
		account_mailbox_path(db_col(q, 1), db_col(q, 2), &path);
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
