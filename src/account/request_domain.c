/* Owners and domains: the questions about them. */
#include <errno.h>

#include "account/request_private.h"

#define DEFAULT_OWNER "default"

static const char domain_spec[] =
	"domain:s owner:s enabled:b scram:b catch_all:s postmaster:s created:i accounts:i aliases:i";
#define DOMAIN_COLUMNS                                                                                  \
	"SELECT d.name, o.name, d.enabled, d.scram, d.catch_all, d.postmaster, d.created,"              \
	" (SELECT count(*) FROM account WHERE domain = d.id), (SELECT count(*) FROM alias WHERE domain" \
	" = d.id) FROM domain d JOIN owner o ON o.id = d.owner "

static bool is_owner_name(struct slice name)
{
	if (name.n == 0 || name.n > ACCOUNT_OWNER_MAX || name.p[0] == '-')
		return false;
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] < ' ' || name.p[i] == 0x7f)
			return false;
	return true;
}

static int insert_owner(struct request *rq, const char *name)
{
	struct db_query *q = db_query(rq->db, "INSERT INTO owner (name, created) VALUES (?, ?)");

	db_put(q, slice_str(name));
	db_put_i64(q, rq->now);
	return db_run(q);
}

int request_owner(struct request *rq, const char *name, int64_t *ret, json_t **reterr)
{
	struct db_query *q = db_query(rq->db, "SELECT id FROM owner WHERE name = ?");
	char advice[128];
	int r;

	db_put(q, slice_str(name));
	r = db_get_i64(q, ret);
	if (r == -ENOENT) {
		snprintf(advice, sizeof(advice), "add it: postern owner add '%.64s'", name);
		*reterr = request_error(advice, "no such owner '%s' here", name);
	} else if (r < 0) {
		*reterr = request_db_error(rq, r);
	}
	return r;
}

static json_t *owner_name_error(const char *name)
{
	return request_error("use up to 64 octets without control characters, not beginning with '-'",
			     "'%s' cannot be the name of an owner", name);
}

json_t *owner_add(struct request *rq)
{
	const char *name = request_str(rq, "owner");
	int r;

	if (!is_owner_name(slice_str(name)))
		return owner_name_error(name);
	r = insert_owner(rq, name);
	if (r == -EEXIST)
		return request_error(NULL, "owner '%s' exists already", name);
	return r < 0 ? request_db_error(rq, r) : request_done("owner", name);
}

json_t *owner_list(struct request *rq)
{
	struct db_query *q =
		db_query(rq->db, "SELECT name, created, (SELECT count(*) FROM domain WHERE owner = owner.id)"
				 " FROM owner WHERE name > ? ORDER BY name");

	db_put(q, request_slice(rq, "after"));
	return request_list(rq, q, "owners", "owner:s created:i domains:i", "owner");
}

json_t *owner_show(struct request *rq)
{
	json_t *j, *domains, *err;
	struct db_query *q;
	int64_t id;

	if (request_owner(rq, request_str(rq, "owner"), &id, &err) < 0)
		return err;
	q = db_query(rq->db, "SELECT name, created, (SELECT count(*) FROM domain WHERE owner = owner.id)"
			     " FROM owner WHERE id = ?");
	db_put_i64(q, id);
	j = db_step(q) > 0 ? request_row(q, "owner:s created:i domains:i") : NULL;
	db_end(q);
	q = db_query(rq->db, "SELECT name FROM domain WHERE owner = ? ORDER BY name LIMIT 100");
	db_put_i64(q, id);
	domains = request_column(q);
	if (j && domains)
		json_object_set(j, "first_domains", domains);
	json_decref(domains);
	return j ? j : request_db_error(rq, -EIO);
}

json_t *owner_set(struct request *rq)
{
	const char *name = request_str(rq, "name");
	struct db_query *q;
	json_t *err;
	int64_t id;
	int r;

	if (!is_owner_name(slice_str(name)))
		return owner_name_error(name);
	if (request_owner(rq, request_str(rq, "owner"), &id, &err) < 0)
		return err;
	q = db_query(rq->db, "UPDATE owner SET name = ? WHERE id = ?");
	db_put(q, slice_str(name));
	db_put_i64(q, id);
	r = db_run(q);
	if (r == -EEXIST)
		return request_error(NULL, "owner '%s' exists already", name);
	return r < 0 ? request_db_error(rq, r) : request_done("owner", name);
}

json_t *owner_remove(struct request *rq)
{
	const char *name = request_str(rq, "owner");
	struct db_query *q;
	json_t *err;
	int64_t id;
	int r;

	if (request_owner(rq, name, &id, &err) < 0)
		return err;
	q = db_query(rq->db, "DELETE FROM owner WHERE id = ?");
	db_put_i64(q, id);
	r = db_run(q);
	if (r == -ENOTEMPTY)
		return request_error(
			"remove its domains first, or give them to another: postern domain set DOMAIN"
			" --owner OTHER",
			"owner '%s' still has domains", name);
	return r < 0 ? request_db_error(rq, r) : request_done("removed", name);
}

/* The owner that is named, or the default one, made when it is first needed. */
static int owner_of_new(struct request *rq, int64_t *ret, json_t **reterr)
{
	const char *name = request_str(rq, "owner");
	int r;

	if (name)
		return request_owner(rq, name, ret, reterr);
	r = insert_owner(rq, DEFAULT_OWNER);
	if (r < 0 && r != -EEXIST) {
		*reterr = request_db_error(rq, r);
		return r;
	}
	return request_owner(rq, DEFAULT_OWNER, ret, reterr);
}

/* Sets the address in that field of a domain, "" to none.  NULL, or the error. */
static json_t *set_address(struct request *rq, int64_t domain, const char *key, const char *sql)
{
	struct account_address a;
	struct db_query *q;
	json_t *err;
	int r;

	if (!request_has(rq, key))
		return NULL;
	if (request_str(rq, key)[0] && request_address(rq, key, &a, &err) < 0)
		return err;
	q = db_query(rq->db, sql);
	if (request_str(rq, key)[0])
		db_put(q, slice_str(a.text));
	else
		db_put_null(q);
	db_put_i64(q, domain);
	r = db_run(q);
	return r < 0 ? request_db_error(rq, r) : NULL;
}

static json_t *set_flag(struct request *rq, int64_t domain, const char *key, const char *sql)
{
	struct db_query *q;
	int r;

	if (!request_has(rq, key))
		return NULL;
	q = db_query(rq->db, sql);
	db_put_i64(q, request_bool(rq, key));
	db_put_i64(q, domain);
	r = db_run(q);
	return r < 0 ? request_db_error(rq, r) : NULL;
}

/* Verifiers are there only while they are wanted: a stolen database is easier to attack with them. */
static json_t *drop_verifiers(struct request *rq, int64_t domain)
{
	struct db_query *q;
	int r;

	if (!request_has(rq, "scram") || request_bool(rq, "scram"))
		return NULL;
	q = db_query(rq->db, "UPDATE account SET scram_rounds = NULL, scram_salt = NULL, scram_stored = NULL,"
			     " scram_server = NULL WHERE domain = ?");
	db_put_i64(q, domain);
	r = db_run(q);
	return r < 0 ? request_db_error(rq, r) : NULL;
}

static json_t *set_domain(struct request *rq, int64_t domain)
{
	json_t *err = set_flag(rq, domain, "enabled", "UPDATE domain SET enabled = ? WHERE id = ?");

	if (!err)
		err = set_flag(rq, domain, "scram", "UPDATE domain SET scram = ? WHERE id = ?");
	if (!err)
		err = drop_verifiers(rq, domain);
	if (!err)
		err = set_address(rq, domain, "catch_all", "UPDATE domain SET catch_all = ? WHERE id = ?");
	if (!err)
		err = set_address(rq, domain, "postmaster", "UPDATE domain SET postmaster = ? WHERE id = ?");
	return err;
}

static json_t *show_domain(struct request *rq, int64_t domain)
{
	struct db_query *q = db_query(rq->db, DOMAIN_COLUMNS "WHERE d.id = ?");
	json_t *j = NULL;
	int64_t without = 0;
	int r;

	db_put_i64(q, domain);
	r = db_step(q);
	if (r > 0)
		j = request_row(q, domain_spec);
	db_end(q);
	if (!j)
		return request_db_error(rq, r < 0 ? r : -ENOMEM);
	if (!json_is_true(json_object_get(j, "scram")))
		return j;
	q = db_query(rq->db, "SELECT count(*) FROM account WHERE domain = ? AND password IS NOT NULL"
			     " AND scram_rounds IS NULL");
	db_put_i64(q, domain);
	if (db_get_i64(q, &without) == 0)
		request_set(&j, "without_verifier", json_integer(without));
	return j ? j : request_db_error(rq, -ENOMEM);
}

/* Ends the transaction one way or the other. */
static json_t *finish(struct request *rq, int64_t domain, json_t *err)
{
	return request_commit(rq, err ? err : show_domain(rq, domain));
}

json_t *domain_add(struct request *rq)
{
	char name[ACCOUNT_DOMAIN_MAX + 1];
	struct db_query *q;
	int64_t owner = 0, domain = 0;
	json_t *err = NULL;
	int r;

	if (!account_domain_parse(request_slice(rq, "domain"), name))
		return request_error("write it as example.org", "'%s' is not the name of a domain",
				     request_str(rq, "domain"));
	r = db_begin(rq->db);
	if (r < 0)
		return request_db_error(rq, r);
	if (owner_of_new(rq, &owner, &err) == 0) {
		q = db_query(rq->db, "INSERT INTO domain (owner, name, created) VALUES (?, ?, ?)");
		db_put_i64(q, owner);
		db_put(q, slice_str(name));
		db_put_i64(q, rq->now);
		r = db_run(q);
		domain = db_last_id(rq->db);
		if (r == -EEXIST)
			err = request_error("change it: postern domain set", "domain %s exists already",
					    name);
		else if (r < 0)
			err = request_db_error(rq, r);
		else
			err = set_domain(rq, domain);
	}
	return finish(rq, domain, err);
}

json_t *domain_set(struct request *rq)
{
	int64_t domain, owner;
	struct db_query *q;
	json_t *err = NULL;
	int r;

	if (request_domain(rq, request_slice(rq, "domain"), &domain, &err) < 0)
		return err;
	r = db_begin(rq->db);
	if (r < 0)
		return request_db_error(rq, r);
	if (request_has(rq, "owner") && request_owner(rq, request_str(rq, "owner"), &owner, &err) == 0) {
		q = db_query(rq->db, "UPDATE domain SET owner = ? WHERE id = ?");
		db_put_i64(q, owner);
		db_put_i64(q, domain);
		r = db_run(q);
		if (r < 0)
			err = request_db_error(rq, r);
	}
	return finish(rq, domain, err ? err : set_domain(rq, domain));
}

json_t *domain_list(struct request *rq)
{
	const char *owner = request_str(rq, "owner");
	struct db_query *q;
	json_t *err;
	int64_t id = 0;

	if (owner && request_owner(rq, owner, &id, &err) < 0)
		return err;
	q = db_query(rq->db, DOMAIN_COLUMNS "WHERE d.name > ?1 AND (?2 = 0 OR d.owner = ?2) ORDER BY d.name");
	db_put(q, request_slice(rq, "after"));
	db_put_i64(q, id);
	return request_list(rq, q, "domains", domain_spec, "domain");
}

json_t *domain_show(struct request *rq)
{
	int64_t domain;
	json_t *err;

	if (request_domain(rq, request_slice(rq, "domain"), &domain, &err) < 0)
		return err;
	return show_domain(rq, domain);
}

int request_empty_domain(struct request *rq, int64_t domain)
{
	struct db_query *q = db_query(rq->db, "DELETE FROM alias WHERE domain = ?");
	int r;

	db_put_i64(q, domain);
	r = db_run(q);
	if (r < 0)
		return r;
	q = db_query(rq->db, "DELETE FROM account WHERE domain = ?");
	db_put_i64(q, domain);
	return db_run(q);
}

static json_t *remove_domain(struct request *rq, int64_t domain)
{
	json_t *was = show_domain(rq, domain);
	int64_t accounts = json_integer_value(json_object_get(was, "accounts"));
	int64_t aliases = json_integer_value(json_object_get(was, "aliases"));
	const char *name = json_string_value(json_object_get(was, "domain"));
	struct db_query *q;
	int r = 0;

	if (!name)
		return was;
	if (accounts + aliases > 0 && !request_bool(rq, "with_accounts")) {
		json_t *err = request_error("remove them too: --with-accounts (mailbox files always stay)",
					    "domain %s still has %lld accounts and %lld aliases", name,
					    (long long)accounts, (long long)aliases);
		json_decref(was);
		return err;
	}
	r = db_begin(rq->db);
	if (r == 0)
		r = request_empty_domain(rq, domain);
	if (r == 0) {
		q = db_query(rq->db, "DELETE FROM domain WHERE id = ?");
		db_put_i64(q, domain);
		r = db_run(q);
	}
	if (r == 0)
		r = db_commit(rq->db);
	if (r < 0) {
		db_rollback(rq->db);
		json_decref(was);
		return request_db_error(rq, r);
	}
	json_object_set(was, "removed", json_object_get(was, "domain"));
	return was;
}

json_t *domain_remove(struct request *rq)
{
	int64_t domain;
	json_t *err;

	if (request_domain(rq, request_slice(rq, "domain"), &domain, &err) < 0)
		return err;
	return remove_domain(rq, domain);
}
