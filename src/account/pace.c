#include <errno.h>

#include "account/store.h"

static const char *const names[] = { [ACCOUNT_CLASS_DEFAULT] = "default",
				     [ACCOUNT_CLASS_NORMAL] = "normal",
				     [ACCOUNT_CLASS_BULK] = "bulk",
				     [ACCOUNT_CLASS_URGENT] = "urgent" };

bool account_class_parse(struct slice text, enum account_class *ret)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (slice_eq(text, slice_str(names[i]))) {
			*ret = (enum account_class)i;
			return true;
		}
	return false;
}

const char *account_class_name(enum account_class c)
{
	return names[c];
}

int account_paces(struct account_store *s, uint64_t after, struct account_pace *ret, size_t n)
{
	struct db_query *q =
		db_query(account_store_db(s),
			 "SELECT id, messages_per_minute FROM account"
			 " WHERE messages_per_minute IS NOT NULL AND id > ? ORDER BY id LIMIT ?");
	int r, got = 0;

	db_put_i64(q, (int64_t)after);
	db_put_i64(q, (int64_t)n);
	while ((r = db_step(q)) > 0) {
		int64_t pace = db_col_i64(q, 1);

		ret[got++] =
			(struct account_pace){ .account = (uint64_t)db_col_i64(q, 0),
					       .per_minute = pace < 0		       ? 0
							     : pace < ACCOUNT_PACE_MAX ? (uint32_t)pace
										       : ACCOUNT_PACE_MAX };
	}
	db_end(q);
	return r < 0 ? r : got;
}

bool account_pace_parse(struct slice text, bool *ret_default, uint32_t *ret)
{
	uint64_t v = 0;

	*ret_default = slice_eq(text, SLICE_LIT("default"));
	if (!*ret_default && !slice_eq(text, SLICE_LIT("none")) &&
	    (!cur_u64(&text, ACCOUNT_PACE_MAX, &v) || text.n > 0 || v == 0))
		return false;
	*ret = (uint32_t)v;
	return true;
}
