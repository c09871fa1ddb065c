#include "account/request.h"

#include <errno.h>
#include <stdarg.h>

#include "account/request_private.h"

#define PAGE_MAX 32768 /* octets of rows in one answer; a message carries 48 KiB */

/* Fields: "name!" a string that must be there, "name=" a string, "name?" true or
 * false, "name*" a list of strings. */
static const struct question {
	const char *ask, *fields;
	request_run *run;
} questions[] = {
	{ "owner.add", "owner!", owner_add },
	{ "owner.list", "after=", owner_list },
	{ "owner.show", "owner!", owner_show },
	{ "owner.set", "owner! name!", owner_set },
	{ "owner.remove", "owner!", owner_remove },
	{ "domain.add", "domain! owner= scram? enabled? catch_all= postmaster=", domain_add },
	{ "domain.list", "owner= after=", domain_list },
	{ "domain.show", "domain!", domain_show },
	{ "domain.set", "domain! owner= scram? enabled? catch_all= postmaster=", domain_set },
	{ "domain.remove", "domain! with_accounts?", domain_remove },
	{ "account.add", "account! enabled? addresses* quota= class= messages_per_minute=", account_add },
	{ "account.list", "domain= after= exposed?", account_list },
	{ "account.show", "account!", account_show },
	{ "account.set",
	  "account! enabled? add* remove* no_password? quota= class= messages_per_minute=", account_set },
	{ "account.remove", "account!", account_remove },
	{ "alias.add", "alias! targets*", alias_add },
	{ "alias.list", "domain= after=", alias_list },
	{ "alias.show", "alias! after=", alias_show },
	{ "alias.set", "alias! add* remove* targets*", alias_set },
	{ "alias.remove", "alias!", alias_remove },
	{ "alias.resolve", "address!", alias_resolve },
	{ "key.add", "account! name! senders* networks* listeners*", key_add },
	{ "key.list", "account= after=", key_list },
	{ "key.show", "account! name!", key_show },
	{ "key.set", "account! name! revoked? senders* networks* listeners*", key_set },
	{ "key.remove", "account! name!", key_remove },
};

const char *request_str(const struct request *rq, const char *key)
{
	return json_string_value(json_object_get(rq->ask, key));
}

struct slice request_slice(const struct request *rq, const char *key)
{
	return slice_str(request_str(rq, key));
}

bool request_has(const struct request *rq, const char *key)
{
	return json_object_get(rq->ask, key) != NULL;
}

bool request_bool(const struct request *rq, const char *key)
{
	return json_is_true(json_object_get(rq->ask, key));
}

json_t *request_error(const char *advice, const char *fmt, ...)
{
	char text[1024];
	va_list ap;
	json_t *j;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* Cut in the middle of a character it would be no text, and JSON takes only text. */
	if (n >= (int)sizeof(text)) {
		n = sizeof(text) - 1;
		while (n > 0 && ((unsigned char)text[n - 1] & 0xc0) == 0x80)
			n--;
		if (n > 0 && (unsigned char)text[n - 1] >= 0xc0)
			n--;
		text[n] = '\0';
	}
	j = json_pack("{s:s}", "error", text);
	if (j && advice)
		json_object_set_new(j, "advice", json_string(advice));
	return j ? j : json_null(); /* which needs no memory, and is no NULL: that is no error */
}

void request_set(json_t **j, const char *key, json_t *value)
{
	if (!*j) {
		json_decref(value);
	} else if (json_object_set_new(*j, key, value) < 0) {
		json_decref(*j);
		*j = NULL;
	}
}

json_t *request_commit(struct request *rq, json_t *answer)
{
	int r;

	if (!answer || json_is_null(answer) || json_object_get(answer, "error")) {
		db_rollback(rq->db);
		return answer;
	}
	r = db_commit(rq->db);
	if (r == 0)
		return answer;
	json_decref(answer);
	return request_db_error(rq, r);
}

json_t *request_db_error(struct request *rq, int r)
{
	if (r == -ENOMEM)
		return request_error("try again later", "out of memory");
	return request_error("nothing was changed; the server's log and the disk may say more",
			     "the accounts database failed: %s (%s)", db_error(rq->db), strerrordesc_np(-r));
}

json_t *request_done(const char *what, const char *text)
{
	return json_pack("{s:s}", what, text);
}

static json_t *column_json(const struct db_query *q, int column, char type)
{
	struct slice s;

	if (db_col_is_null(q, column))
		return json_null();
	if (type == 'i')
		return json_integer(db_col_i64(q, column));
	if (type == 'b')
		return json_boolean(db_col_i64(q, column) != 0);
	s = db_col(q, column);
	return json_stringn((const char *)s.p, s.n);
}

json_t *request_row(const struct db_query *q, const char *spec)
{
	struct slice in = slice_str(spec), key, rest;
	json_t *j = json_object();

	for (int column = 0; j && cur_until(&in, ':', &key); column++) {
		char type = (char)in.p[0];

		in = slice_tail(in, 1);
		if (json_object_setn_new(j, (const char *)key.p, key.n, column_json(q, column, type)) < 0) {
			json_decref(j);
			return NULL;
		}
		cur_until(&in, ' ', &rest);
	}
	return j;
}

json_t *request_list(struct request *rq, struct db_query *q, const char *name, const char *spec,
		     const char *key)
{
	json_t *rows = json_array(), *j = json_object(), *last = NULL;
	size_t size = 0;
	int r = -ENOMEM;

	while (rows && j && (r = db_step(q)) > 0) {
		json_t *row = request_row(q, spec);
		size_t n = row ? json_dumpb(row, NULL, 0, JSON_COMPACT) : 0;

		if (n == 0) {
			json_decref(row);
			r = -ENOMEM;
			break;
		}
		if (size > 0 && size + n > PAGE_MAX) {
			json_object_set(j, "next", json_object_get(last, key));
			json_decref(row);
			r = 0;
			break;
		}
		if (json_array_append_new(rows, row) < 0) {
			r = -ENOMEM;
			break;
		}
		size += n;
		last = row;
	}
	db_end(q);
	if (r < 0 || json_object_set(j, name, rows) < 0) {
		json_decref(j);
		j = request_db_error(rq, r < 0 ? r : -ENOMEM);
	}
	json_decref(rows);
	return j;
}

json_t *request_column(struct db_query *q)
{
	json_t *rows = json_array();
	int r = -ENOMEM;

	while (rows && (r = db_step(q)) > 0)
		if (json_array_append_new(rows, column_json(q, 0, 's')) < 0) {
			r = -ENOMEM;
			break;
		}
	db_end(q);
	if (r < 0) {
		json_decref(rows);
		return NULL;
	}
	return rows;
}

static json_t *check_field(const json_t *ask, struct slice spec)
{
	struct slice name = slice_head(spec, spec.n - 1);
	char key[32];
	const json_t *v, *item;
	size_t i;

	slice_copy(name, key, sizeof(key));
	v = json_object_get(ask, key);
	switch (spec.p[spec.n - 1]) {
	case '!':
		if (!json_is_string(v) || json_string_length(v) == 0)
			return request_error(NULL, "%s is missing", key);
		return NULL;
	case '=':
		return !v || json_is_string(v) ? NULL : request_error(NULL, "%s must be a string", key);
	case '?':
		return !v || json_is_boolean(v) ? NULL : request_error(NULL, "%s must be true or false", key);
	default:
		if (v && !json_is_array(v))
			return request_error(NULL, "%s must be a list", key);
		json_array_foreach(v, i,
				   item) if (!json_is_string(item) ||
					     json_string_length(item) ==
						     0) return request_error(NULL,
									     "%s must be a list of strings",
									     key);
		return NULL;
	}
}

static bool names_field(struct slice specs, const char *key)
{
	struct slice spec;

	while (specs.n > 0) {
		if (!cur_until(&specs, ' ', &spec)) {
			spec = specs;
			specs.n = 0;
		}
		if (slice_eq(slice_head(spec, spec.n - 1), slice_str(key)))
			return true;
	}
	return slice_eq(slice_str(key), SLICE_LIT("ask"));
}

static json_t *check_fields(const struct question *qn, const json_t *ask)
{
	struct slice in = slice_str(qn->fields), spec;
	json_t *err = NULL, *v;
	const char *key;

	json_object_foreach((json_t *)(uintptr_t)ask, key,
			    v) if (!names_field(in, key)) return request_error(NULL, "%s has no field '%s'",
									       qn->ask, key);
	while (!err && in.n > 0) {
		if (!cur_until(&in, ' ', &spec)) {
			spec = in;
			in.n = 0;
		}
		err = check_field(ask, spec);
	}
	return err;
}

json_t *account_request(struct account_store *s, const json_t *ask, const struct account_password *password,
			int64_t now)
{
	struct request rq = {
		.store = s, .db = account_store_db(s), .ask = ask, .password = password, .now = now
	};
	const char *name = json_string_value(json_object_get(ask, "ask"));
	json_t *answer;

	for (size_t i = 0; name && i < sizeof(questions) / sizeof(questions[0]); i++) {
		if (!slice_eq(slice_str(questions[i].ask), slice_str(name)))
			continue;
		answer = check_fields(&questions[i], ask);
		if (!answer)
			answer = questions[i].run(&rq);
		return json_is_null(answer) ? NULL : answer;
	}
	return request_error(NULL, "this server knows no question '%s'", name ? name : "");
}

bool account_request_takes_password(const char *ask)
{
	return slice_eq(slice_str(ask), SLICE_LIT("account.add")) ||
	       slice_eq(slice_str(ask), SLICE_LIT("account.set"));
}

json_t *request_no_domain(struct slice name)
{
	char advice[320];

	snprintf(advice, sizeof(advice), "add it: postern domain add %.*s", SLICE_ARG(name));
	return request_error(advice, "no such domain %.*s here", SLICE_ARG(name));
}

int request_domain(struct request *rq, struct slice name, int64_t *ret, json_t **reterr)
{
	char canonical[ACCOUNT_DOMAIN_MAX + 1];
	struct db_query *q;
	int r;

	if (!account_domain_parse(name, canonical)) {
		*reterr = request_error(NULL, "'%.*s' is not the name of a domain", SLICE_ARG(name));
		return -EINVAL;
	}
	q = db_query(rq->db, "SELECT id FROM domain WHERE name = ?");
	db_put(q, slice_str(canonical));
	r = db_get_i64(q, ret);
	if (r < 0)
		*reterr = r == -ENOENT ? request_no_domain(slice_str(canonical)) : request_db_error(rq, r);
	return r;
}

int request_address(struct request *rq, const char *key, struct account_address *ret, json_t **reterr)
{
	if (account_address_parse(request_slice(rq, key), ret))
		return 0;
	*reterr = request_error("write it as name@example.org", "'%s' is not a mail address",
				request_str(rq, key));
	return -EINVAL;
}

int request_account(struct request *rq, struct account_address *ret_name, int64_t *ret, json_t **reterr)
{
	char advice[400];
	struct db_query *q;
	int64_t domain;
	int r = request_address(rq, "account", ret_name, reterr);

	if (r == 0)
		r = request_domain(rq, account_address_domain(ret_name), &domain, reterr);
	if (r < 0)
		return r;
	q = db_query(rq->db, "SELECT id FROM account WHERE domain = ? AND local_key = ?");
	db_put_i64(q, domain);
	db_put(q, account_address_local_key(ret_name));
	r = db_get_i64(q, ret);
	if (r == -ENOENT) {
		snprintf(advice, sizeof(advice), "add it: postern account add %s", ret_name->text);
		*reterr = request_error(advice, "no such account %s here", ret_name->text);
	} else if (r < 0) {
		*reterr = request_db_error(rq, r);
	}
	return r;
}
