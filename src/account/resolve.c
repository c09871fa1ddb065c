#include <errno.h>

#include "account/store.h"
#include "base/list.h"
#include "base/wire.h"

/* Addresses looked at for one recipient, so that no net of aliases is slow. */
#define VISITS_MAX 2000

struct visited {
	struct map_node node;
	char key[];
};

struct walk {
	struct account_store *store;
	struct account_targets *to;
	struct map seen; /* aliases whose targets were all followed, or are being */
	/* What led here; "@domain" stands for a catch-all. */
	char path[ACCOUNT_DEPTH_MAX + 1][ACCOUNT_ADDRESS_MAX + 1];
	unsigned depth;
	bool not_local, looped, disabled;
	bool over;   /* too deep or too many: the whole answer is a loop */
	bool failed; /* the database */
};

struct domain {
	int64_t id;
	bool enabled;
	char name[ACCOUNT_DOMAIN_MAX + 1];
	char catch_all[ACCOUNT_ADDRESS_MAX + 1];
	char postmaster[ACCOUNT_ADDRESS_MAX + 1];
};

static void walk_address(struct walk *w, const struct account_address *a);

static bool stopped(const struct walk *w)
{
	return w->failed || w->over;
}

static bool on_path(const struct walk *w, const char *key)
{
	for (unsigned i = 0; i < w->depth; i++)
		if (slice_eq(slice_str(w->path[i]), slice_str(key)))
			return true;
	return false;
}

static bool push(struct walk *w, const char *key)
{
	if (w->depth == ACCOUNT_DEPTH_MAX + 1) {
		w->over = true;
		return false;
	}
	slice_copy(slice_str(key), w->path[w->depth++], sizeof(w->path[0]));
	return true;
}

static void pop(struct walk *w)
{
	w->depth--;
}

/* A place is reached once, however many aliases lead there. */
static void add_target(struct walk *w, bool remote, struct slice address, struct slice place,
		       struct slice mailbox)
{
	struct slice key = w->depth > 0 ? slice_str(w->path[w->depth - 1]) : slice_of(NULL, 0);
	struct slice domain = slice_tail(key, slice_rfind(key, '@') + 1);
	struct account_target *t;
	char *text;

	if (stopped(w) || map_find(&w->to->by_place, place))
		return;
	if (w->to->n == ACCOUNT_TARGETS_MAX) {
		w->over = true;
		return;
	}
	t = calloc(1, sizeof(*t) + address.n + mailbox.n + domain.n + place.n + 4);
	if (!t) {
		w->failed = true;
		return;
	}
	text = (char *)(t + 1);
	t->remote = remote;
	t->address = memcpy(text, address.p, address.n);
	text += address.n + 1;
	t->mailbox = mailbox.n ? memcpy(text, mailbox.p, mailbox.n) : text;
	text += mailbox.n + 1;
	t->domain = remote && domain.n > 0 ? memcpy(text, domain.p, domain.n) : text;
	text += domain.n + 1;
	memcpy(text, place.p, place.n);
	map_insert(&w->to->by_place, &t->by_place, slice_of(text, place.n));
	*w->to->last = t;
	w->to->last = &t->next;
	w->to->n++;
}

static void add_mailbox(struct walk *w, struct slice address, struct slice path)
{
	struct buf place;

	buf_init(&place, ACCOUNT_MAILBOX_MAX);
	buf_byte(&place, '/'); /* tells a folder from an address */
	buf_put(&place, path);
	if (!buf_ok(&place))
		w->failed = true;
	else
		add_target(w, false, address, buf_slice(&place), path);
	buf_done(&place);
}

static void add_account(struct walk *w, struct slice local, struct slice local_key, struct slice domain)
{
	struct buf address, path;

	buf_init(&address, ACCOUNT_ADDRESS_MAX);
	buf_init(&path, ACCOUNT_MAILBOX_MAX);
	buf_put(&address, local);
	buf_byte(&address, '@');
	buf_put(&address, domain);
	account_mailbox_path(local_key, domain, &path);
	if (!buf_ok(&address) || !buf_ok(&path))
		w->failed = true;
	else
		add_mailbox(w, buf_slice(&address), buf_slice(&path));
	buf_done(&address);
	buf_done(&path);
}

/* True the first time. */
static bool visit(struct walk *w, const char *key)
{
	size_t n = strlen(key);
	struct visited *v;

	if (map_find(&w->seen, slice_of(key, n)))
		return false;
	if (w->seen.n == VISITS_MAX) {
		w->over = true;
		return false;
	}
	v = calloc(1, sizeof(*v) + n + 1);
	if (!v) {
		w->failed = true;
		return false;
	}
	memcpy(v->key, key, n);
	map_insert(&w->seen, &v->node, slice_of(v->key, n));
	return true;
}

/* The rows are gathered first: following one asks the same question again. */
static int gather_targets(struct walk *w, int64_t domain, struct slice local_key, struct buf *to)
{
	struct db_query *q = db_query(account_store_db(w->store),
				      "SELECT t.text FROM alias a JOIN alias_target t"
				      " ON t.alias = a.id WHERE a.domain = ? AND a.local_key = ?");
	int r, n = 0;

	db_put_i64(q, domain);
	db_put(q, local_key);
	while ((r = db_step(q)) > 0) {
		wire_put_bytes(to, db_col(q, 0));
		n++;
	}
	db_end(q);
	if (r == 0 && !buf_ok(to))
		r = -ENOMEM;
	return r < 0 ? r : n;
}

/* Follows the alias of that name.  True if there is one. */
static bool walk_alias(struct walk *w, const struct domain *d, struct slice local_key, const char *key)
{
	struct account_address next;
	struct slice list, text;
	struct buf rows;
	int n;

	buf_init(&rows, (ACCOUNT_TARGETS_MAX + 1) * (ACCOUNT_ADDRESS_MAX + 8));
	n = gather_targets(w, d->id, local_key, &rows);
	if (n < 0)
		w->failed = true;
	list = buf_slice(&rows);
	if (n > 0 && visit(w, key) && push(w, key)) {
		while (!stopped(w) && wire_bytes(&list, ACCOUNT_ADDRESS_MAX, &text))
			if (account_address_parse(text, &next))
				walk_address(w, &next);
		pop(w);
	}
	buf_done(&rows);
	return n > 0;
}

static bool walk_account(struct walk *w, const struct domain *d, struct slice local_key)
{
	struct db_query *q =
		db_query(account_store_db(w->store),
			 "SELECT a.local, a.local_key, d.name, a.enabled AND d.enabled"
			 " FROM account a JOIN domain d ON d.id = a.domain"
			 " WHERE a.domain = ?1 AND a.local_key = ?2"
			 " UNION ALL SELECT a.local, a.local_key, d.name, a.enabled AND d.enabled"
			 " FROM address x JOIN account a ON a.id = x.account"
			 " JOIN domain d ON d.id = a.domain"
			 " WHERE x.domain = ?3 AND x.local_key = ?2 LIMIT 1");
	int r;

	db_put_i64(q, d->id);
	db_put(q, local_key);
	db_put(q, slice_str(d->name));
	r = db_step(q);
	if (r < 0)
		w->failed = true;
	else if (r > 0 && db_col_i64(q, 3))
		add_account(w, db_col(q, 0), db_col(q, 1), db_col(q, 2));
	else if (r > 0)
		w->disabled = true;
	db_end(q);
	return r > 0;
}

/* An alias goes before the account of the same name; inside itself it means the account. */
static bool walk_name(struct walk *w, const struct domain *d, struct slice local_key)
{
	char key[ACCOUNT_ADDRESS_MAX + 1];
	bool inside;

	snprintf(key, sizeof(key), "%.*s@%s", SLICE_ARG(local_key), d->name);
	inside = on_path(w, key);
	if (!inside && walk_alias(w, d, local_key, key))
		return true;
	if (stopped(w) || walk_account(w, d, local_key))
		return true;
	if (inside)
		w->looped = true;
	return inside;
}

/* Follows an address that stands in for another (catch-all, postmaster). */
static void walk_instead(struct walk *w, const char *key, const char *address)
{
	struct account_address a;

	if (on_path(w, key) || !account_address_parse(slice_str(address), &a) || !push(w, key))
		return;
	walk_address(w, &a);
	pop(w);
}

static bool is_postmaster(struct slice local_key)
{
	return slice_eq(local_key, SLICE_LIT("postmaster")) || slice_eq(local_key, SLICE_LIT("abuse"));
}

/* Mail for postmaster is never refused (RFC 5321 4.5.1): when the configured address
 * leads nowhere, it waits in a folder of its own. */
static void walk_postmaster(struct walk *w, struct slice local_key, const char *domain,
			    const char *configured)
{
	char key[ACCOUNT_ADDRESS_MAX + 1];
	size_t before = w->to->n;
	struct buf path;

	snprintf(key, sizeof(key), "%.*s@%s", SLICE_ARG(local_key), domain);
	if (configured[0] == 0)
		configured = (const char *)account_store_postmaster(w->store).p;
	if (configured && configured[0])
		walk_instead(w, key, configured);
	if (w->to->n > before || stopped(w))
		return;
	buf_init(&path, ACCOUNT_MAILBOX_MAX);
	account_postmaster_path(slice_str(domain), &path);
	add_mailbox(w, slice_str(key), buf_slice(&path));
	buf_done(&path);
}

/* 1, 0 when it is none of ours, or negative errno. */
static int find_domain(struct walk *w, struct slice name, struct domain *ret)
{
	struct db_query *q = db_query(account_store_db(w->store),
				      "SELECT id, enabled, catch_all, postmaster FROM domain WHERE name = ?");
	int r;

	db_put(q, name);
	r = db_step(q);
	if (r > 0) {
		ret->id = db_col_i64(q, 0);
		ret->enabled = db_col_i64(q, 1) != 0;
		slice_copy(name, ret->name, sizeof(ret->name));
		slice_copy(db_col(q, 2), ret->catch_all, sizeof(ret->catch_all));
		slice_copy(db_col(q, 3), ret->postmaster, sizeof(ret->postmaster));
	}
	db_end(q);
	return r;
}

static void walk_foreign(struct walk *w, const struct account_address *a)
{
	struct slice domain = account_address_domain(a);

	if (slice_eq(domain, account_store_hostname(w->store))) {
		if (is_postmaster(account_address_local_key(a)))
			walk_postmaster(w, account_address_local_key(a), a->key + a->local_n + 1, "");
	} else if (w->depth > 0) {
		add_target(w, true, slice_str(a->text), slice_str(a->text), slice_of(NULL, 0));
	} else {
		w->not_local = true;
	}
}

static void walk_address(struct walk *w, const struct account_address *a)
{
	struct slice local = account_address_local_key(a);
	char catch_all[ACCOUNT_ADDRESS_MAX + 1];
	struct domain d = { 0 };
	size_t n = 0;
	int r = find_domain(w, account_address_domain(a), &d);

	if (r < 0)
		w->failed = true;
	else if (r == 0)
		walk_foreign(w, a);
	else if (!d.enabled)
		w->disabled = true;
	if (r <= 0 || !d.enabled)
		return;
	while (!stopped(w) && account_local_next(local, account_store_delimiters(w->store), &n))
		if (walk_name(w, &d, slice_head(local, n)))
			return;
	if (stopped(w))
		return;
	if (is_postmaster(local)) {
		walk_postmaster(w, local, d.name, d.postmaster);
	} else if (d.catch_all[0]) {
		snprintf(catch_all, sizeof(catch_all), "@%s", d.name);
		walk_instead(w, catch_all, d.catch_all);
	}
}

static enum account_verdict verdict(const struct walk *w)
{
	if (w->failed)
		return ACCOUNT_TRY_LATER;
	if (w->over)
		return ACCOUNT_LOOP;
	if (w->to->n > 0)
		return ACCOUNT_OK;
	if (w->not_local)
		return ACCOUNT_NOT_LOCAL;
	if (w->looped)
		return ACCOUNT_LOOP;
	return w->disabled ? ACCOUNT_DISABLED : ACCOUNT_NO_SUCH_USER;
}

static void walk(struct walk *w, struct slice address)
{
	struct account_address a;

	if (slice_eq_nocase(address, SLICE_LIT("postmaster")))
		walk_postmaster(w, SLICE_LIT("postmaster"), (const char *)account_store_hostname(w->store).p,
				"");
	else if (account_address_parse(address, &a))
		walk_address(w, &a);
	else
		w->not_local = true;
}

enum account_verdict account_resolve(struct account_store *s, struct slice address,
				     struct account_targets *ret)
{
	struct walk *w = calloc(1, sizeof(*w));
	struct map_node *node;
	enum account_verdict v = ACCOUNT_TRY_LATER;

	memset(ret, 0, sizeof(*ret));
	ret->last = &ret->first;
	if (w && map_init(&ret->by_place) == 0 && map_init(&w->seen) == 0) {
		w->store = s;
		w->to = ret;
		walk(w, address);
		v = verdict(w);
		while ((node = map_take_any(&w->seen)))
			free(container_of(node, struct visited, node));
		map_done(&w->seen);
	}
	free(w);
	if (v != ACCOUNT_OK)
		account_targets_done(ret);
	return v;
}

void account_targets_done(struct account_targets *t)
{
	struct account_target *at, *next;

	for (at = t->first; at; at = next) {
		next = at->next;
		free(at);
	}
	map_done(&t->by_place);
	memset(t, 0, sizeof(*t));
	t->last = &t->first;
}
