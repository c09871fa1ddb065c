#include "account/store.h"

#include <errno.h>
#include <sodium.h>

#define APPLICATION_ID 0x506f7374 /* "Post" */
#define SECRET_BYTES   32

struct account_store {
	struct db *db;
	char *hostname, *postmaster, *delimiters, *listeners;
	uint64_t quota;
	unsigned char secret[SECRET_BYTES];
};

/* Append only: a step that was released is never changed.
 * Ids of accounts and keys are never used again (AUTOINCREMENT): sessions hold them.
 * local, text: as given; local_key, key: what is compared. */
static const char *const steps[] = {
	"CREATE TABLE secret (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;"
	"CREATE TABLE owner ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE COLLATE NOCASE,"
	" created INTEGER NOT NULL) STRICT;"
	"CREATE TABLE domain ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, owner INTEGER NOT NULL REFERENCES owner (id),"
	" name TEXT NOT NULL UNIQUE, enabled INTEGER NOT NULL DEFAULT 1, scram INTEGER NOT NULL DEFAULT 0,"
	" catch_all TEXT, postmaster TEXT, created INTEGER NOT NULL) STRICT;"
	"CREATE INDEX domain_owner ON domain (owner);"
	"CREATE TABLE account ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, domain INTEGER NOT NULL REFERENCES domain (id),"
	" local TEXT NOT NULL, local_key TEXT NOT NULL, enabled INTEGER NOT NULL DEFAULT 1,"
	" version INTEGER NOT NULL DEFAULT 1, password TEXT, password_set INTEGER,"
	" scram_rounds INTEGER, scram_salt BLOB, scram_stored BLOB, scram_server BLOB,"
	" created INTEGER NOT NULL, last_login INTEGER,"
	" exposed INTEGER, exposed_listener TEXT, exposed_ip TEXT,"
	" UNIQUE (domain, local_key)) STRICT;"
	/* Further addresses of an account; local_key "*" grants a whole domain, for sending only. */
	"CREATE TABLE address ("
	" account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,"
	" domain TEXT NOT NULL, local_key TEXT NOT NULL, text TEXT NOT NULL,"
	" PRIMARY KEY (account, domain, local_key)) STRICT, WITHOUT ROWID;"
	"CREATE INDEX address_key ON address (domain, local_key);"
	"CREATE TABLE alias ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, domain INTEGER NOT NULL REFERENCES domain (id),"
	" local TEXT NOT NULL, local_key TEXT NOT NULL, created INTEGER NOT NULL,"
	" UNIQUE (domain, local_key)) STRICT;"
	"CREATE TABLE alias_target ("
	" alias INTEGER NOT NULL REFERENCES alias (id) ON DELETE CASCADE,"
	" key TEXT NOT NULL, text TEXT NOT NULL, PRIMARY KEY (alias, key)) STRICT, WITHOUT ROWID;"
	"CREATE INDEX alias_target_key ON alias_target (key);"
	"CREATE TABLE api_key ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,"
	" name TEXT NOT NULL, hash BLOB NOT NULL UNIQUE, created INTEGER NOT NULL,"
	" last_used INTEGER, last_listener TEXT, last_ip TEXT, revoked INTEGER,"
	" UNIQUE (account, name)) STRICT;"
	"CREATE TABLE key_limit ("
	" api_key INTEGER NOT NULL REFERENCES api_key (id) ON DELETE CASCADE,"
	" kind TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (api_key, kind, value)) STRICT, WITHOUT ROWID",
	/* From where an account logged in: there it stays free when strangers guess at it. */
	"CREATE TABLE login_network ("
	" account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,"
	" network TEXT NOT NULL, seen INTEGER NOT NULL, PRIMARY KEY (account, network)) STRICT, WITHOUT "
	"ROWID",
	/* Octets of the mailbox.  0: any; NULL: as the configuration says. */
	"ALTER TABLE account ADD COLUMN quota INTEGER",
	/* Of what it sends.  class: NULL: as the listener says; messages_per_minute: 0: any, NULL: as the
	 * configuration says. */
	"ALTER TABLE account ADD COLUMN class TEXT;"
	"ALTER TABLE account ADD COLUMN messages_per_minute INTEGER;"
	"CREATE INDEX account_pace ON account (id) WHERE messages_per_minute IS NOT NULL",
};

static int load_secret(struct account_store *s)
{
	struct db_query *q = db_query(s->db, "SELECT value FROM secret WHERE name = 'salt'");
	int r = db_step(q);

	if (r > 0 && db_col(q, 0).n == SECRET_BYTES)
		memcpy(s->secret, db_col(q, 0).p, SECRET_BYTES);
	else if (r > 0)
		r = -EBADMSG;
	db_end(q);
	if (r != 0)
		return r > 0 ? 0 : r;
	randombytes_buf(s->secret, SECRET_BYTES);
	q = db_query(s->db, "INSERT INTO secret VALUES ('salt', ?)");
	db_put_blob(q, slice_of(s->secret, SECRET_BYTES));
	return db_run(q);
}

int account_store_configure(struct account_store *s, const struct account_settings *settings)
{
	char *hostname = slice_dup(slice_str(settings->hostname));
	char *postmaster = slice_dup(slice_str(settings->postmaster));
	char *delimiters = slice_dup(slice_str(settings->delimiters));
	char *listeners = slice_dup(slice_str(settings->listeners));
	char canonical[ACCOUNT_DOMAIN_MAX + 1];

	if (hostname && account_domain_parse(slice_str(hostname), canonical)) {
		free(hostname);
		hostname = slice_dup(slice_str(canonical));
	}
	if (!hostname || !postmaster || !delimiters || !listeners) {
		free(hostname);
		free(postmaster);
		free(delimiters);
		free(listeners);
		return -ENOMEM;
	}
	free(s->hostname);
	free(s->postmaster);
	free(s->delimiters);
	free(s->listeners);
	s->hostname = hostname;
	s->postmaster = postmaster;
	s->delimiters = delimiters;
	s->listeners = listeners;
	s->quota = settings->quota;
	return 0;
}

int account_store_open(const char *path, const struct account_settings *settings, struct account_store **ret,
		       char *reterr, size_t reterr_size)
{
	struct db_setup setup = { .path = path,
				  .application_id = APPLICATION_ID,
				  .step = steps,
				  .steps = sizeof(steps) / sizeof(steps[0]),
				  .sync_each = true };
	struct account_store *s = calloc(1, sizeof(*s));
	int r = -ENOMEM;

	if (sodium_init() < 0) /* 1: somebody did it before */
		r = -EIO;
	else if (s)
		r = account_store_configure(s, settings);
	if (r < 0) {
		snprintf(reterr, reterr_size, "%s", strerrordesc_np(-r));
	} else {
		r = db_open(&setup, &s->db, reterr, reterr_size);
		if (r == 0) {
			r = load_secret(s);
			if (r < 0)
				snprintf(reterr, reterr_size, "%s", db_error(s->db));
		}
	}
	if (r < 0) {
		account_store_close(s);
		return r;
	}
	*ret = s;
	return 0;
}

void account_store_close(struct account_store *s)
{
	if (!s)
		return;
	db_close(s->db);
	free(s->hostname);
	free(s->postmaster);
	free(s->delimiters);
	free(s->listeners);
	explicit_bzero(s, sizeof(*s));
	free(s);
}

struct db *account_store_db(struct account_store *s)
{
	return s->db;
}

struct slice account_store_hostname(const struct account_store *s)
{
	return slice_str(s->hostname);
}

struct slice account_store_postmaster(const struct account_store *s)
{
	return slice_str(s->postmaster);
}

struct slice account_store_delimiters(const struct account_store *s)
{
	return slice_str(s->delimiters);
}

uint64_t account_store_quota(const struct account_store *s)
{
	return s->quota;
}

struct slice account_store_listeners(const struct account_store *s)
{
	return slice_str(s->listeners);
}

struct slice account_store_secret(const struct account_store *s)
{
	return slice_of(s->secret, SECRET_BYTES);
}

const char *account_verdict_name(enum account_verdict v)
{
	static const char *const names[] = {
		[ACCOUNT_OK] = "ok",
		[ACCOUNT_NOT_LOCAL] = "not-local",
		[ACCOUNT_NO_SUCH_USER] = "no-such-user",
		[ACCOUNT_DISABLED] = "disabled",
		[ACCOUNT_NOT_YOURS] = "not-yours",
		[ACCOUNT_LOOP] = "loop",
		[ACCOUNT_REPORTS_ONLY] = "reports-only",
		[ACCOUNT_TRY_LATER] = "try-later",
	};

	return names[v];
}

int account_count(struct account_store *s, struct account_counts *ret)
{
	struct db_query *q =
		db_query(s->db, "SELECT (SELECT count(*) FROM owner), (SELECT count(*) FROM domain),"
				" (SELECT count(*) FROM account), (SELECT count(*) FROM alias),"
				" (SELECT count(*) FROM api_key WHERE revoked IS NULL),"
				" (SELECT count(*) FROM account WHERE exposed IS NOT NULL)");
	int r = db_step(q);

	if (r > 0)
		*ret = (struct account_counts){ db_col_i64(q, 0), db_col_i64(q, 1), db_col_i64(q, 2),
						db_col_i64(q, 3), db_col_i64(q, 4), db_col_i64(q, 5) };
	db_end(q);
	return r > 0 ? 0 : r;
}
