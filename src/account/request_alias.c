/* Aliases: the questions about them. */
#include <errno.h>

#include "account/request_private.h"

#define SHOWN	       3   /* targets in a list */
#define RESOLVED_SHOWN 100 /* and of one address: what an answer has room for */

static const char list_spec[] = "alias:s targets:i first:s created:i";

static int find_alias(struct request *rq, struct account_address *ret_name, int64_t *ret, json_t **reterr)
{
	char advice[400];
	struct db_query *q;
	int64_t domain;
	int r = request_address(rq, "alias", ret_name, reterr);

	if (r == 0)
		r = request_domain(rq, account_address_domain(ret_name), &domain, reterr);
	if (r < 0)
		return r;
	q = db_query(rq->db, "SELECT id FROM alias WHERE domain = ? AND local_key = ?");
	db_put_i64(q, domain);
	db_put(q, account_address_local_key(ret_name));
	r = db_get_i64(q, ret);
	if (r == -ENOENT) {
		snprintf(advice, sizeof(advice), "add it: postern alias add %s TARGET", ret_name->text);
		*reterr = request_error(advice, "no such alias %s here", ret_name->text);
	} else if (r < 0) {
		*reterr = request_db_error(rq, r);
	}
	return r;
}

/* NULL: mail for it arrives. Not an error: its targets may be about to be made. */
static const char *trouble(struct request *rq, struct slice alias)
{
	struct account_targets targets;
	enum account_verdict v = account_resolve(rq->store, alias, &targets);

	account_targets_done(&targets);
	switch (v) {
	case ACCOUNT_LOOP:
		return "it leads in a circle, or too far: mail for it is refused";
	case ACCOUNT_NO_SUCH_USER:
		return "none of its targets exists: mail for it is refused";
	case ACCOUNT_DISABLED:
		return "its targets are switched off: mail for it is refused";
	default:
		return NULL;
	}
}

static json_t *show_alias(struct request *rq, int64_t id)
{
	struct db_query *q =
		db_query(rq->db, "SELECT a.local || '@' || d.name, a.created,"
				 " (SELECT count(*) FROM alias_target WHERE alias = a.id)"
				 " FROM alias a JOIN domain d ON d.id = a.domain WHERE a.id = ?");
	json_t *j = NULL, *list;
	const char *why;
	int r;

	db_put_i64(q, id);
	r = db_step(q);
	if (r > 0)
		j = request_row(q, "alias:s created:i count:i");
	db_end(q);
	if (!j)
		return request_db_error(rq, r < 0 ? r : -ENOMEM);
	why = trouble(rq, slice_str(json_string_value(json_object_get(j, "alias"))));
	if (why)
		request_set(&j, "warning", json_string(why));
	q = db_query(rq->db, "SELECT text, key FROM alias_target WHERE alias = ? AND key > ? ORDER BY key");
	db_put_i64(q, id);
	db_put(q, request_slice(rq, "after"));
	list = request_list(rq, q, "targets", "text:s key:s", "key");
	if (!j || json_is_null(list) || json_object_update(j, list) < 0) {
		json_decref(j);
		j = request_db_error(rq, -ENOMEM);
	}
	json_decref(list);
	return j;
}

static json_t *change_targets(struct request *rq, int64_t alias, const char *key, const char *sql)
{
	json_t *item;
	size_t i;

	json_array_foreach(json_object_get(rq->ask, key), i, item)
	{
		struct account_address a;
		struct db_query *q;
		int r;

		if (!account_address_parse(slice_str(json_string_value(item)), &a))
			return request_error("write it as name@example.org", "'%s' is not a mail address",
					     json_string_value(item));
		q = db_query(rq->db, sql);
		db_put_i64(q, alias);
		db_put(q, slice_str(a.key));
		db_put(q, slice_str(a.text));
		r = db_run(q);
		if (r < 0)
			return request_db_error(rq, r);
		if (db_changes(rq->db) == 0)
			return request_error("postern alias show lists its targets",
					     "%s is not a target of this alias", a.text);
	}
	return NULL;
}

static json_t *set_targets(struct request *rq, int64_t alias)
{
	static const char insert[] = "INSERT INTO alias_target (alias, key, text) VALUES (?, ?, ?)"
				     " ON CONFLICT (alias, key) DO UPDATE SET text = excluded.text";
	static const char delete[] =
		"DELETE FROM alias_target WHERE alias = ?1 AND key = ?2 AND ?3 IS NOT NULL";
	struct db_query *q;
	int64_t n = 0;
	json_t *err;
	int r;

	if (request_has(rq, "targets")) {
		q = db_query(rq->db, "DELETE FROM alias_target WHERE alias = ?");
		db_put_i64(q, alias);
		r = db_run(q);
		if (r < 0)
			return request_db_error(rq, r);
	}
	err = change_targets(rq, alias, "targets", insert);
	if (!err)
		err = change_targets(rq, alias, "remove", delete);
	if (!err)
		err = change_targets(rq, alias, "add", insert);
	if (err)
		return err;
	q = db_query(rq->db, "SELECT count(*) FROM alias_target WHERE alias = ?");
	db_put_i64(q, alias);
	r = db_get_i64(q, &n);
	if (r < 0)
		return request_db_error(rq, r);
	if (n == 0)
		return request_error("name one, or remove the alias: postern alias remove",
				     "an alias needs a target");
	if (n > ACCOUNT_TARGETS_MAX)
		return request_error(NULL, "an alias has at most %d targets", ACCOUNT_TARGETS_MAX);
	return NULL;
}

static json_t *finish(struct request *rq, int64_t alias, json_t *err)
{
	return request_commit(rq, err ? err : show_alias(rq, alias));
}

/* An address given to an account cannot be an alias as well: one of the two would be without effect. */
static json_t *given_away(struct request *rq, const struct account_address *a)
{
	struct db_query *q =
		db_query(rq->db, "SELECT a.local || '@' || d.name FROM address x"
				 " JOIN account a ON a.id = x.account JOIN domain d ON d.id = a.domain"
				 " WHERE x.domain = ? AND x.local_key = ?");
	json_t *err = NULL;

	db_put(q, account_address_domain(a));
	db_put(q, account_address_local_key(a));
	if (db_step(q) > 0)
		err = request_error("remove it there first: postern account set ACCOUNT --remove-address",
				    "%s is an address of account %.*s", a->text, SLICE_ARG(db_col(q, 0)));
	db_end(q);
	return err;
}

static json_t *insert_alias(struct request *rq, int64_t domain, const struct account_address *a)
{
	struct db_query *q = db_query(rq->db, "INSERT INTO alias (domain, local, local_key, created)"
					      " VALUES (?, ?, ?, ?)");
	char advice[400];
	int r;

	db_put_i64(q, domain);
	db_put(q, account_address_local(a));
	db_put(q, account_address_local_key(a));
	db_put_i64(q, rq->now);
	r = db_run(q);
	if (r == -EEXIST) {
		snprintf(advice, sizeof(advice), "change it: postern alias set %s --add TARGET", a->text);
		return request_error(advice, "alias %s exists already", a->text);
	}
	return r < 0 ? request_db_error(rq, r) : NULL;
}

json_t *alias_add(struct request *rq)
{
	struct account_address a;
	int64_t domain, alias = 0;
	json_t *err;
	int r;

	if (request_address(rq, "alias", &a, &err) < 0 ||
	    request_domain(rq, account_address_domain(&a), &domain, &err) < 0)
		return err;
	err = given_away(rq, &a);
	if (err)
		return err;
	r = db_begin(rq->db);
	if (r < 0)
		return request_db_error(rq, r);
	err = insert_alias(rq, domain, &a);
	alias = db_last_id(rq->db);
	return finish(rq, alias, err ? err : set_targets(rq, alias));
}

json_t *alias_set(struct request *rq)
{
	struct account_address a;
	int64_t alias;
	json_t *err;
	int r;

	if (find_alias(rq, &a, &alias, &err) < 0)
		return err;
	r = db_begin(rq->db);
	return r < 0 ? request_db_error(rq, r) : finish(rq, alias, set_targets(rq, alias));
}

json_t *alias_show(struct request *rq)
{
	struct account_address a;
	int64_t alias;
	json_t *err;

	if (find_alias(rq, &a, &alias, &err) < 0)
		return err;
	return show_alias(rq, alias);
}

json_t *alias_list(struct request *rq)
{
	struct account_address after = { 0 };
	struct db_query *q;
	int64_t domain = 0;
	json_t *err;

	if (request_has(rq, "domain") && request_domain(rq, request_slice(rq, "domain"), &domain, &err) < 0)
		return err;
	if (request_has(rq, "after") && request_address(rq, "after", &after, &err) < 0)
		return err;
	q = db_query(rq->db, "SELECT a.local || '@' || d.name,"
			     " (SELECT count(*) FROM alias_target WHERE alias = a.id),"
			     " (SELECT group_concat(text, ', ') FROM (SELECT text FROM alias_target"
			     " WHERE alias = a.id ORDER BY key LIMIT ?4)), a.created"
			     " FROM alias a JOIN domain d ON d.id = a.domain"
			     " WHERE (d.name, a.local_key) > (?1, ?2) AND (?3 = 0 OR d.id = ?3)"
			     " ORDER BY d.name, a.local_key");
	db_put(q, after.local_n ? account_address_domain(&after) : SLICE_LIT(""));
	db_put(q, account_address_local_key(&after));
	db_put_i64(q, domain);
	db_put_i64(q, SHOWN);
	return request_list(rq, q, "aliases", list_spec, "alias");
}

json_t *alias_remove(struct request *rq)
{
	struct account_address a;
	struct db_query *q;
	int64_t alias;
	json_t *err;
	int r;

	if (find_alias(rq, &a, &alias, &err) < 0)
		return err;
	q = db_query(rq->db, "DELETE FROM alias WHERE id = ?");
	db_put_i64(q, alias);
	r = db_run(q);
	return r < 0 ? request_db_error(rq, r) : request_done("removed", a.text);
}

/* What becomes of mail for an address: whatever it is, of ours or not. */
json_t *alias_resolve(struct request *rq)
{
	struct account_targets targets;
	enum account_verdict v = account_resolve(rq->store, request_slice(rq, "address"), &targets);
	json_t *list = json_array(), *j;
	unsigned n = 0;

	for (const struct account_target *t = targets.first; t && n < RESOLVED_SHOWN; t = t->next, n++)
		json_array_append_new(list, json_pack("{s:b, s:s, s:s}", "remote", t->remote, "address",
						      t->address, "mailbox", t->mailbox));
	j = json_pack("{s:s, s:I, s:o}", "verdict", account_verdict_name(v), "count", (json_int_t)targets.n,
		      "targets", list);
	account_targets_done(&targets);
	return j ? j : request_db_error(rq, -ENOMEM);
}
