/* API keys: the questions about them. */
#include <errno.h>

#include "account/key.h"
#include "account/request_private.h"

#define NAME_MAX_OCTETS 64
#define LIMITS_MAX	50 /* of one kind */

static const char key_spec[] =
	"account:s name:s created:i last_used:i last_listener:s last_ip:s revoked:i id:i";
#define KEY_COLUMNS                                                                                    \
	"SELECT a.local || '@' || d.name, k.name, k.created, k.last_used, k.last_listener, k.last_ip," \
	" k.revoked, k.id FROM api_key k JOIN account a ON a.id = k.account JOIN domain d"             \
	" ON d.id = a.domain "

static const struct kind {
	const char *field, *kind;
} kinds[] = { { "senders", "sender" }, { "networks", "network" }, { "listeners", "listener" } };

static int find_key(struct request *rq, int64_t *ret, json_t **reterr)
{
	struct account_address a;
	struct db_query *q;
	char advice[400];
	int64_t account;
	int r = request_account(rq, &a, &account, reterr);

	if (r < 0)
		return r;
	q = db_query(rq->db, "SELECT id FROM api_key WHERE account = ? AND name = ?");
	db_put_i64(q, account);
	db_put(q, request_slice(rq, "name"));
	r = db_get_i64(q, ret);
	if (r == -ENOENT) {
		snprintf(advice, sizeof(advice), "see those it has: postern key list %s", a.text);
		*reterr = request_error(advice, "%s has no key '%s'", a.text, request_str(rq, "name"));
	} else if (r < 0) {
		*reterr = request_db_error(rq, r);
	}
	return r;
}

static json_t *show_key(struct request *rq, int64_t id)
{
	struct db_query *q = db_query(rq->db, KEY_COLUMNS "WHERE k.id = ?");
	json_t *j = NULL;
	int r;

	db_put_i64(q, id);
	r = db_step(q);
	if (r > 0)
		j = request_row(q, key_spec);
	db_end(q);
	if (!j)
		return request_db_error(rq, r < 0 ? r : -ENOMEM);
	for (size_t i = 0; i < 3; i++) {
		q = db_query(rq->db,
			     "SELECT value FROM key_limit WHERE api_key = ? AND kind = ? ORDER BY value");
		db_put_i64(q, id);
		db_put(q, slice_str(kinds[i].kind));
		request_set(&j, kinds[i].field, request_column(q)); /* never as if it had no limits */
	}
	return j ? j : request_db_error(rq, -ENOMEM);
}

/* Without any listener to choose from, every name will do. */
static bool is_listener(struct request *rq, struct slice name)
{
	struct slice all = account_store_listeners(rq->store), one;
	bool any = all.n > 0;

	while (cur_until(&all, ' ', &one))
		if (slice_eq(one, name))
			return true;
	return !any && slice_find(name, ' ') == name.n;
}

/* The form in which a limit is stored and compared; false if it is none. */
static bool canonical_limit(struct request *rq, size_t kind, const char *text,
			    char ret[static ACCOUNT_ADDRESS_MAX + 1])
{
	struct account_address a;
	struct ip_net net;

	if (kind == 0 && slice_starts(slice_str(text), SLICE_LIT("*@"))) {
		ret[0] = '*';
		ret[1] = '@';
		return account_domain_parse(slice_str(text + 2), ret + 2);
	}
	if (kind == 0)
		return account_address_parse(slice_str(text), &a) &&
		       slice_copy(slice_str(a.key), ret, ACCOUNT_ADDRESS_MAX + 1);
	if (!slice_copy(slice_str(text), ret, ACCOUNT_ADDRESS_MAX + 1))
		return false;
	if (kind == 1)
		return ip_net_parse(slice_str(text), &net);
	return is_listener(rq, slice_str(text));
}

static json_t *bad_limit(struct request *rq, size_t kind, const char *text)
{
	char advice[320];

	if (kind == 0)
		return request_error("write it as name@example.org, or *@example.org for all of a domain",
				     "'%s' is not a mail address", text);
	if (kind == 1)
		return request_error("write it as 192.0.2.0/24, 2001:db8::/32 or one address",
				     "'%s' is not a network", text);
	snprintf(advice, sizeof(advice), "there are: %.*s",
		 SLICE_ARG(slice_head(slice_trim(account_store_listeners(rq->store)), 250)));
	return request_error(advice, "no listener is called '%s'", text);
}

/* The limits of each kind that the question names replace the old ones. */
static json_t *set_limits(struct request *rq, int64_t id)
{
	char value[ACCOUNT_ADDRESS_MAX + 1];
	json_t *item, *list;
	struct db_query *q;
	size_t i;
	int r;

	for (size_t kind = 0; kind < 3; kind++) {
		list = json_object_get(rq->ask, kinds[kind].field);
		if (!list)
			continue;
		if (json_array_size(list) > LIMITS_MAX)
			return request_error(NULL, "a key has at most %d %s", LIMITS_MAX, kinds[kind].field);
		q = db_query(rq->db, "DELETE FROM key_limit WHERE api_key = ? AND kind = ?");
		db_put_i64(q, id);
		db_put(q, slice_str(kinds[kind].kind));
		r = db_run(q);
		if (r < 0)
			return request_db_error(rq, r);
		json_array_foreach(list, i, item)
		{
			if (!canonical_limit(rq, kind, json_string_value(item), value))
				return bad_limit(rq, kind, json_string_value(item));
			q = db_query(rq->db, "INSERT OR IGNORE INTO key_limit VALUES (?, ?, ?)");
			db_put_i64(q, id);
			db_put(q, slice_str(kinds[kind].kind));
			db_put(q, slice_str(value));
			r = db_run(q);
			if (r < 0)
				return request_db_error(rq, r);
		}
	}
	return NULL;
}

static json_t *finish(struct request *rq, int64_t id, json_t *err)
{
	return request_commit(rq, err ? err : show_key(rq, id));
}

static json_t *insert_key(struct request *rq, int64_t account, const char *key)
{
	unsigned char hash[ACCOUNT_KEY_HASH];
	struct db_query *q = db_query(rq->db, "INSERT INTO api_key (account, name, hash, created)"
					      " VALUES (?, ?, ?, ?)");
	int r;

	account_key_hash(slice_str(key), hash);
	db_put_i64(q, account);
	db_put(q, request_slice(rq, "name"));
	db_put_blob(q, slice_of(hash, sizeof(hash)));
	db_put_i64(q, rq->now);
	r = db_run(q);
	if (r == -EEXIST)
		return request_error("choose another name, or remove the old key: postern key remove",
				     "a key '%s' exists already", request_str(rq, "name"));
	return r < 0 ? request_db_error(rq, r) : NULL;
}

static bool is_key_name(struct slice name)
{
	if (name.n == 0 || name.n > NAME_MAX_OCTETS || name.p[0] == '-')
		return false;
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] < ' ' || name.p[i] == 0x7f)
			return false;
	return true;
}

json_t *key_add(struct request *rq)
{
	char key[ACCOUNT_KEY_TEXT + 1];
	struct account_address a;
	int64_t account, id;
	json_t *j;
	int r;

	if (request_account(rq, &a, &account, &j) < 0)
		return j;
	if (!is_key_name(request_slice(rq, "name")))
		return request_error("use up to 64 octets without control characters, not beginning with '-'",
				     "'%s' cannot be the name of a key", request_str(rq, "name"));
	r = db_begin(rq->db);
	if (r < 0)
		return request_db_error(rq, r);
	account_key_make(key);
	j = insert_key(rq, account, key);
	id = db_last_id(rq->db);
	if (!j)
		j = set_limits(rq, id);
	if (!j) {
		j = show_key(rq, id);
		if (!json_is_null(j) && !json_object_get(j, "error"))
			request_set(&j, "key", json_string(key)); /* shown now or never */
	}
	explicit_bzero(key, sizeof(key));
	return request_commit(rq, j);
}

json_t *key_list(struct request *rq)
{
	struct slice after = request_slice(rq, "after");
	struct account_address a;
	struct db_query *q;
	int64_t account = 0;
	uint64_t id = 0;
	json_t *err;

	if (request_has(rq, "account") && request_account(rq, &a, &account, &err) < 0)
		return err;
	if (after.n > 0 && (!cur_u64(&after, INT64_MAX, &id) || after.n > 0))
		return request_error(NULL, "after must be a number");
	q = db_query(rq->db, KEY_COLUMNS "WHERE k.id > ?1 AND (?2 = 0 OR a.id = ?2) ORDER BY k.id");
	db_put_i64(q, (int64_t)id);
	db_put_i64(q, account);
	return request_list(rq, q, "keys", key_spec, "id");
}

json_t *key_show(struct request *rq)
{
	json_t *err;
	int64_t id;

	return find_key(rq, &id, &err) < 0 ? err : show_key(rq, id);
}

json_t *key_set(struct request *rq)
{
	struct db_query *q;
	json_t *err;
	int64_t id;
	int r;

	if (find_key(rq, &id, &err) < 0)
		return err;
	r = db_begin(rq->db);
	if (r == 0 && request_has(rq, "revoked")) {
		q = db_query(rq->db, "UPDATE api_key SET revoked = ? WHERE id = ?");
		if (request_bool(rq, "revoked"))
			db_put_i64(q, rq->now);
		else
			db_put_null(q);
		db_put_i64(q, id);
		r = db_run(q);
	}
	return finish(rq, id, r < 0 ? request_db_error(rq, r) : set_limits(rq, id));
}

json_t *key_remove(struct request *rq)
{
	struct db_query *q;
	json_t *err;
	int64_t id;
	int r;

	if (find_key(rq, &id, &err) < 0)
		return err;
	q = db_query(rq->db, "DELETE FROM api_key WHERE id = ?");
	db_put_i64(q, id);
	r = db_run(q);
	return r < 0 ? request_db_error(rq, r) : request_done("removed", request_str(rq, "name"));
}
