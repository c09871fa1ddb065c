/* request_private.h - what the files of request.c share. */
#ifndef POSTERN_ACCOUNT_REQUEST_PRIVATE_H
#define POSTERN_ACCOUNT_REQUEST_PRIVATE_H

#include "account/request.h"

struct request {
	struct account_store *store;
	struct db *db;
	const json_t *ask; /* its fields are of the right types */
	const struct account_password *password;
	int64_t now;
};

/* Fields of the question; NULL, or 0, when absent. */
const char *request_str(const struct request *rq, const char *key);
struct slice request_slice(const struct request *rq, const char *key);
bool request_has(const struct request *rq, const char *key);
bool request_bool(const struct request *rq, const char *key);

/* advice may be NULL.  Both are for people.  Never NULL: without memory, JSON's null. */
json_t *request_error(const char *advice, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
json_t *request_db_error(struct request *rq, int r);
/* A member more, which is taken over.  Without memory for it *j goes and is NULL, for half an
 * answer is a wrong one; and NULL stays NULL. */
void request_set(json_t **j, const char *key, json_t *value);
/* Commits what was changed, if the answer that tells of it is there and is no error; else
 * rolls back: nothing is done that is told as not done.  The answer for the client. */
json_t *request_commit(struct request *rq, json_t *answer);
/* {"what": text} */
json_t *request_done(const char *what, const char *text);

/* One row as an object.  spec: "name:s since:i enabled:b", a column each. */
json_t *request_row(const struct db_query *q, const char *spec);
/* All rows, or as many as fit, as {"name": [...], "next": the last one's "key"}; ends the query. */
json_t *request_list(struct request *rq, struct db_query *q, const char *name, const char *spec,
		     const char *key);
/* The first column of all rows as an array; ends the query.  NULL on an error. */
json_t *request_column(struct db_query *q);

/* 0 and the row's id, or an answer that says why not in *reterr (to be returned at once). */
int request_owner(struct request *rq, const char *name, int64_t *ret, json_t **reterr);
int request_domain(struct request *rq, struct slice name, int64_t *ret, json_t **reterr);
int request_account(struct request *rq, struct account_address *ret_name, int64_t *ret, json_t **reterr);
/* The address in that field, whose domain must be ours. */
int request_address(struct request *rq, const char *key, struct account_address *ret, json_t **reterr);
/* A domain, or an address's domain, that is not here. */
json_t *request_no_domain(struct slice name);
/* Remove aliases, accounts and keys of a domain. */
int request_empty_domain(struct request *rq, int64_t domain);

typedef json_t *request_run(struct request *rq);
request_run owner_add, owner_list, owner_show, owner_set, owner_remove;
request_run domain_add, domain_list, domain_show, domain_set, domain_remove;
request_run account_add, account_list, account_show, account_set, account_remove;
request_run alias_add, alias_list, alias_show, alias_set, alias_remove, alias_resolve;
request_run key_add, key_list, key_show, key_set, key_remove;

#endif
