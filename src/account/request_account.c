/* Accounts: the questions about them. */
#include <errno.h>

#include "account/request_private.h"
#include "account/sasl.h"

#define ADDRESSES_MAX 64 /* an account; they are shown in one answer */

static const char account_spec[] = "account:s enabled:b password:b password_set:i created:i last_login:i"
				   " exposed:i exposed_listener:s exposed_ip:s addresses:i keys:i owner:s"
				   " class:s messages_per_minute:i";
#define QUOTA_ODD 65536 /* octets; less was meant as something else */
#define ACCOUNT_COLUMNS                                                                       \
	"SELECT a.local || '@' || d.name, a.enabled, a.password IS NOT NULL, a.password_set," \
	" a.created, a.last_login, a.exposed, a.exposed_listener, a.exposed_ip,"              \
	" (SELECT count(*) FROM address WHERE account = a.id),"                               \
	" (SELECT count(*) FROM api_key WHERE account = a.id AND revoked IS NULL), o.name,"   \
	" a.class, a.messages_per_minute"                                                     \
	" FROM account a JOIN domain d ON d.id = a.domain JOIN owner o ON o.id = d.owner "

/* Where its mail lies, and how much that may be: octets, 0 for any. */
static void add_mailbox(struct request *rq, json_t **to)
{
	const char *name = json_string_value(json_object_get(*to, "account"));
	struct account_mailbox box;
	int r = name ? account_mailbox(rq->store, slice_str(name), &box) : -ENOMEM;

	if (r == -ENOENT)
		return;
	request_set(to, "mailbox", r == 0 ? json_string(box.path) : NULL);
	request_set(to, "quota", r == 0 ? json_integer((json_int_t)box.quota) : NULL);
}

static json_t *show_account(struct request *rq, int64_t id)
{
	struct db_query *q = db_query(rq->db, ACCOUNT_COLUMNS "WHERE a.id = ?");
	json_t *j = NULL;
	json_int_t quota;
	int r;

	db_put_i64(q, id);
	r = db_step(q);
	if (r > 0)
		j = request_row(q, account_spec);
	db_end(q);
	if (!j)
		return request_db_error(rq, r < 0 ? r : -ENOMEM);
	q = db_query(rq->db, "SELECT text FROM address WHERE account = ? ORDER BY text");
	db_put_i64(q, id);
	request_set(&j, "addresses", request_column(q));
	q = db_query(rq->db, "SELECT x.local || '@' || y.name FROM account a JOIN domain d ON d.id = a.domain"
			     " JOIN alias_target t ON t.key = a.local_key || '@' || d.name"
			     " JOIN alias x ON x.id = t.alias JOIN domain y ON y.id = x.domain"
			     " WHERE a.id = ? ORDER BY 1 LIMIT 50");
	db_put_i64(q, id);
	request_set(&j, "named_by", request_column(q));
	add_mailbox(rq, &j);
	quota = json_integer_value(json_object_get(j, "quota"));
	if (quota > 0 && quota < QUOTA_ODD)
		request_set(&j, "warning",
			    json_sprintf(
				    "a quota of %lld octets holds hardly a message: write a unit, such as 2G",
				    (long long)quota));
	if (j && !json_is_null(json_object_get(j, "exposed")))
		request_set(&j, "advice",
			    json_string("a client sent this account's password unencrypted: set a new one"
					" (postern account set --password), and TLS in that client"));
	return j ? j : request_db_error(rq, -ENOMEM);
}

/* Who has this address already?  NULL: nobody but perhaps the account `but`. */
static json_t *taken(struct request *rq, const struct account_address *a, int64_t but)
{
	struct db_query *q =
		db_query(rq->db,
			 "SELECT 'an account', a.id FROM account a JOIN domain d ON d.id = a.domain"
			 " WHERE d.name = ?1 AND a.local_key = ?2 AND a.id <> ?3"
			 " UNION ALL SELECT 'an address of account ' || a.local || '@' || d.name, a.id"
			 " FROM address x JOIN account a ON a.id = x.account"
			 " JOIN domain d ON d.id = a.domain"
			 " WHERE x.domain = ?1 AND x.local_key = ?2 AND a.id <> ?3"
			 " AND EXISTS (SELECT 1 FROM domain WHERE name = ?1)");
	json_t *err = NULL;
	int r;

	db_put(q, account_address_domain(a));
	db_put(q, account_address_local_key(a));
	db_put_i64(q, but);
	r = db_step(q);
	if (r < 0)
		err = request_db_error(rq, r);
	else if (r > 0)
		err = request_error("an alias can lead to several accounts: postern alias add",
				    "%s is %.*s already", a->text, SLICE_ARG(db_col(q, 0)));
	db_end(q);
	return err;
}

static bool is_alias(struct request *rq, const struct account_address *a)
{
	struct db_query *q = db_query(rq->db, "SELECT 1 FROM alias a JOIN domain d ON d.id = a.domain"
					      " WHERE d.name = ? AND a.local_key = ?");
	int64_t one;

	db_put(q, account_address_domain(a));
	db_put(q, account_address_local_key(a));
	return db_get_i64(q, &one) == 0;
}

static json_t *insert_address(struct request *rq, int64_t account, const char *text)
{
	bool whole = slice_starts(slice_str(text), SLICE_LIT("*@"));
	struct account_address a;
	char domain[ACCOUNT_DOMAIN_MAX + 1], shown[ACCOUNT_DOMAIN_MAX + 3];
	struct db_query *q;
	json_t *err;
	int r;

	if (whole ? !account_domain_parse(slice_str(text + 2), domain)
		  : !account_address_parse(slice_str(text), &a))
		return request_error("write it as name@example.org, or *@example.org for all of a domain",
				     "'%s' is not a mail address", text);
	if (!whole) {
		err = taken(rq, &a, account);
		if (err)
			return err;
		if (is_alias(rq, &a))
			return request_error(
				"an alias that names the account lets it send as that address already",
				"%s is an alias", a.text);
	}
	q = db_query(rq->db,
		     "INSERT OR IGNORE INTO address (account, domain, local_key, text) VALUES (?, ?, ?, ?)");
	db_put_i64(q, account);
	if (whole) {
		snprintf(shown, sizeof(shown), "*@%s", domain);
		db_put(q, slice_str(domain));
		db_put(q, SLICE_LIT("*"));
		db_put(q, slice_str(shown));
	} else {
		db_put(q, account_address_domain(&a));
		db_put(q, account_address_local_key(&a));
		db_put(q, slice_str(a.text));
	}
	r = db_run(q);
	return r < 0 ? request_db_error(rq, r) : NULL;
}

static json_t *insert_addresses(struct request *rq, int64_t account, const char *key)
{
	json_t *err = NULL, *item;
	struct db_query *q;
	int64_t n = 0;
	size_t i;
	int r;

	json_array_foreach(json_object_get(rq->ask, key), i, item)
	{
		err = insert_address(rq, account, json_string_value(item));
		if (err)
			return err;
	}
	q = db_query(rq->db, "SELECT count(*) FROM address WHERE account = ?");
	db_put_i64(q, account);
	r = db_get_i64(q, &n);
	if (r < 0)
		return request_db_error(rq, r);
	if (n > ADDRESSES_MAX)
		return request_error("use aliases, or *@domain",
				     "an account has at most %d further addresses", ADDRESSES_MAX);
	return NULL;
}

static json_t *remove_addresses(struct request *rq, int64_t account)
{
	json_t *item;
	size_t i;

	json_array_foreach(json_object_get(rq->ask, "remove"), i, item)
	{
		struct slice text = slice_str(json_string_value(item));
		struct account_address a = { 0 };
		struct db_query *q;
		int r;

		/* As it is shown, so that *@example.org is found too. */
		account_address_parse(text, &a);
		q = db_query(rq->db, "DELETE FROM address WHERE account = ?1 AND"
				     " (text = ?2 OR (domain = ?3 AND local_key = ?4))");
		db_put_i64(q, account);
		db_put(q, text);
		db_put(q, a.local_n ? account_address_domain(&a) : SLICE_LIT(""));
		db_put(q, account_address_local_key(&a));
		r = db_run(q);
		if (r < 0)
			return request_db_error(rq, r);
		if (db_changes(rq->db) == 0)
			return request_error("postern account show lists what it has",
					     "%.*s is not a further address of this account",
					     SLICE_ARG(text));
	}
	return NULL;
}

/* With a new password the old one's exposure is over. */
static json_t *set_password(struct request *rq, int64_t account)
{
	const struct account_verifier *v = rq->password ? &rq->password->verifier : NULL;
	struct db_query *q;
	int64_t scram = 0;
	int r;

	if (!rq->password)
		return NULL;
	q = db_query(rq->db, "SELECT d.scram FROM account a JOIN domain d ON d.id = a.domain WHERE a.id = ?");
	db_put_i64(q, account);
	r = db_get_i64(q, &scram);
	q = db_query(rq->db, "UPDATE account SET password = ?, password_set = ?, exposed = NULL,"
			     " exposed_listener = NULL, exposed_ip = NULL, scram_rounds = ?, scram_salt = ?,"
			     " scram_stored = ?, scram_server = ? WHERE id = ?");
	db_put(q, slice_str(rq->password->hash));
	db_put_i64(q, rq->now);
	if (scram && v->rounds) {
		db_put_i64(q, v->rounds);
		db_put_blob(q, slice_of(v->salt, sizeof(v->salt)));
		db_put_blob(q, slice_of(v->stored, sizeof(v->stored)));
		db_put_blob(q, slice_of(v->server, sizeof(v->server)));
	} else {
		for (int i = 0; i < 4; i++)
			db_put_null(q);
	}
	db_put_i64(q, account);
	r = r < 0 ? r : db_run(q);
	return r < 0 ? request_db_error(rq, r) : NULL;
}

static json_t *set_quota(struct request *rq, int64_t account)
{
	struct db_query *q;
	bool by_default;
	uint64_t octets;
	int r;

	if (!request_has(rq, "quota"))
		return NULL;
	if (!account_quota_parse(request_slice(rq, "quota"), &by_default, &octets))
		return request_error("write a size: 500M, 1G; or none, or default", "'%s' is not a quota",
				     request_str(rq, "quota"));
	q = db_query(rq->db, "UPDATE account SET quota = ? WHERE id = ?");
	if (by_default)
		db_put_null(q);
	else
		db_put_i64(q, (int64_t)octets);
	db_put_i64(q, account);
	r = db_run(q);
	return r < 0 ? request_db_error(rq, r) : NULL;
}

/* How its mail is sent on: its class, and its pace. */
static json_t *set_sending(struct request *rq, int64_t account)
{
	enum account_class class = ACCOUNT_CLASS_DEFAULT;
	bool by_default = true;
	struct db_query *q;
	uint32_t pace = 0;
	int r = 0;

	if (request_has(rq, "class") && !account_class_parse(request_slice(rq, "class"), &class))
		return request_error("there are bulk, normal and urgent, and default: as the listener says",
				     "'%s' is not a class", request_str(rq, "class"));
	if (request_has(rq, "messages_per_minute") &&
	    !account_pace_parse(request_slice(rq, "messages_per_minute"), &by_default, &pace))
		return request_error("write a number from 1; or none, or default",
				     "'%s' is not a number of messages a minute",
				     request_str(rq, "messages_per_minute"));
	if (request_has(rq, "class")) {
		q = db_query(rq->db, "UPDATE account SET class = ? WHERE id = ?");
		if (class == ACCOUNT_CLASS_DEFAULT)
			db_put_null(q);
		else
			db_put(q, slice_str(account_class_name(class)));
		db_put_i64(q, account);
		r = db_run(q);
	}
	if (r == 0 && request_has(rq, "messages_per_minute")) {
		q = db_query(rq->db, "UPDATE account SET messages_per_minute = ? WHERE id = ?");
		if (by_default)
			db_put_null(q);
		else
			db_put_i64(q, pace);
		db_put_i64(q, account);
		r = db_run(q);
	}
	return r < 0 ? request_db_error(rq, r) : NULL;
}

static json_t *set_account(struct request *rq, int64_t account)
{
	struct db_query *q = db_query(rq->db, "UPDATE account SET version = version + 1,"
					      " enabled = coalesce(?, enabled) WHERE id = ?");
	json_t *err;
	int r;

	if (request_has(rq, "enabled"))
		db_put_i64(q, request_bool(rq, "enabled"));
	else
		db_put_null(q);
	db_put_i64(q, account);
	r = db_run(q);
	if (r == 0 && request_bool(rq, "no_password")) {
		q = db_query(rq->db,
			     "UPDATE account SET password = NULL, password_set = NULL, exposed = NULL,"
			     " scram_rounds = NULL, scram_salt = NULL, scram_stored = NULL,"
			     " scram_server = NULL WHERE id = ?");
		db_put_i64(q, account);
		r = db_run(q);
	}
	err = r < 0 ? request_db_error(rq, r) : set_password(rq, account);
	if (!err)
		err = set_quota(rq, account);
	if (!err)
		err = set_sending(rq, account);
	if (!err)
		err = remove_addresses(rq, account);
	if (!err)
		err = insert_addresses(rq, account, "addresses");
	return err ? err : insert_addresses(rq, account, "add");
}

static json_t *finish(struct request *rq, int64_t account, json_t *err)
{
	return request_commit(rq, err ? err : show_account(rq, account));
}

static json_t *insert_account(struct request *rq, int64_t domain, const struct account_address *a)
{
	struct db_query *q = db_query(rq->db, "INSERT INTO account (domain, local, local_key, created)"
					      " VALUES (?, ?, ?, ?)");
	char advice[400];
	int r;

	db_put_i64(q, domain);
	db_put(q, account_address_local(a));
	db_put(q, account_address_local_key(a));
	db_put_i64(q, rq->now);
	r = db_run(q);
	if (r == -EEXIST) {
		snprintf(advice, sizeof(advice), "change it: postern account set %s", a->text);
		return request_error(advice, "account %s exists already", a->text);
	}
	return r < 0 ? request_db_error(rq, r) : NULL;
}

json_t *account_add(struct request *rq)
{
	struct account_address a;
	int64_t domain, account = 0;
	json_t *err;
	int r;

	if (request_address(rq, "account", &a, &err) < 0 ||
	    request_domain(rq, account_address_domain(&a), &domain, &err) < 0)
		return err;
	if (!account_local_is_safe(account_address_local(&a)))
		return request_error("an account's name becomes a folder: no '/', no quotes, no '.' in front",
				     "%s cannot be an account", a.text);
	if (!account_sasl_name_stays(slice_str(a.text)))
		return request_error(
			"write its letters as they are usually typed (Unicode NFKC), without "
			"invisible or decorated forms of them",
			"%s cannot be an account: programs that log in change this name (SASLprep), "
			"and would not be found by it",
			a.text);
	r = db_begin(rq->db);
	if (r < 0)
		return request_db_error(rq, r);
	err = insert_account(rq, domain, &a);
	account = db_last_id(rq->db);
	if (!err)
		err = taken(rq, &a, account);
	return finish(rq, account, err ? err : set_account(rq, account));
}

json_t *account_set(struct request *rq)
{
	struct account_address a;
	int64_t account;
	json_t *err;
	int r;

	if (request_account(rq, &a, &account, &err) < 0)
		return err;
	r = db_begin(rq->db);
	return r < 0 ? request_db_error(rq, r) : finish(rq, account, set_account(rq, account));
}

json_t *account_show(struct request *rq)
{
	struct account_address a;
	int64_t account;
	json_t *err;

	if (request_account(rq, &a, &account, &err) < 0)
		return err;
	return show_account(rq, account);
}

json_t *account_list(struct request *rq)
{
	struct account_address after = { 0 };
	struct db_query *q;
	int64_t domain = 0;
	json_t *err;

	if (request_has(rq, "domain") && request_domain(rq, request_slice(rq, "domain"), &domain, &err) < 0)
		return err;
	if (request_has(rq, "after") && request_address(rq, "after", &after, &err) < 0)
		return err;
	q = db_query(rq->db,
		     ACCOUNT_COLUMNS "WHERE (d.name, a.local_key) > (?1, ?2) AND (?3 = 0 OR d.id = ?3)"
				     " AND (?4 = 0 OR a.exposed IS NOT NULL) ORDER BY d.name, a.local_key");
	db_put(q, after.local_n ? account_address_domain(&after) : SLICE_LIT(""));
	db_put(q, account_address_local_key(&after));
	db_put_i64(q, domain);
	db_put_i64(q, request_bool(rq, "exposed"));
	return request_list(rq, q, "accounts", account_spec, "account");
}

json_t *account_remove(struct request *rq)
{
	struct account_address a;
	struct db_query *q;
	int64_t account;
	json_t *was;
	int r;

	if (request_account(rq, &a, &account, &was) < 0)
		return was;
	was = show_account(rq, account);
	q = db_query(rq->db, "DELETE FROM account WHERE id = ?");
	db_put_i64(q, account);
	r = db_run(q);
	if (r < 0) {
		json_decref(was);
		return request_db_error(rq, r);
	}
	json_object_set(was, "removed", json_object_get(was, "account"));
	return was;
}
