#include <errno.h>

#include "account/store.h"

#define LOGIN_EVERY_S	60 /* writes of the last login, and of a key's last use */
#define NETWORK_EVERY_S 86400
#define EXPOSED_EVERY_S 3600 /* strangers can cause this write, so it is rare */

static bool take(struct slice from, unsigned char *to, size_t n)
{
	if (from.n != n)
		return false;
	memcpy(to, from.p, n);
	return true;
}

static void read_verifier(const struct db_query *q, int column, struct account_verifier *ret)
{
	int64_t rounds = db_col_i64(q, column);

	if (rounds > 0 && rounds <= UINT32_MAX && take(db_col(q, column + 1), ret->salt, sizeof(ret->salt)) &&
	    take(db_col(q, column + 2), ret->stored, sizeof(ret->stored)) &&
	    take(db_col(q, column + 3), ret->server, sizeof(ret->server)))
		ret->rounds = (uint32_t)rounds;
}

int account_credential(struct account_store *s, struct slice name, struct account_credential *ret)
{
	struct account_address a;
	struct account_credential c = { 0 };
	struct db_query *q;
	int r;

	if (!account_address_parse(name, &a))
		return -ENOENT;
	q = db_query(
		account_store_db(s),
		"SELECT a.id, a.enabled AND d.enabled, d.scram, a.version, a.last_login, a.local || '@' "
		"|| d.name,"
		" a.password, a.scram_rounds, a.scram_salt, a.scram_stored, a.scram_server, o.name, a.class"
		" FROM account a JOIN domain d ON d.id = a.domain JOIN owner o ON o.id = d.owner WHERE "
		"d.name = ? AND a.local_key = ?");
	db_put(q, account_address_domain(&a));
	db_put(q, account_address_local_key(&a));
	r = db_step(q);
	if (r > 0) {
		c.id = (uint64_t)db_col_i64(q, 0);
		c.enabled = db_col_i64(q, 1) != 0;
		c.scram = db_col_i64(q, 2) != 0;
		c.version = db_col_i64(q, 3);
		c.last_login = db_col_i64(q, 4);
		read_verifier(q, 7, &c.verifier);
		(void)account_class_parse(db_col(q, 12), &c.class);
		if (!slice_copy(db_col(q, 5), c.name, sizeof(c.name)) ||
		    !slice_copy(db_col(q, 6), c.hash, sizeof(c.hash)) ||
		    !slice_copy(db_col(q, 11), c.owner, sizeof(c.owner)))
			r = -EBADMSG;
	}
	db_end(q);
	if (r > 0)
		*ret = c;
	return r > 0 ? 0 : r < 0 ? r : -ENOENT;
}

int account_note_login(struct account_store *s, const struct account_credential *c, int64_t now)
{
	struct db_query *q;

	if (now >= c->last_login && now < c->last_login + LOGIN_EVERY_S)
		return 0;
	q = db_query(account_store_db(s), "UPDATE account SET last_login = ? WHERE id = ?");
	db_put_i64(q, now);
	db_put_i64(q, (int64_t)c->id);
	return db_run_lazily(q);
}

static struct slice net_text(const struct ip_net *net, char room[static IP_TEXT_MAX + 5])
{
	char ip[IP_TEXT_MAX];

	snprintf(room, IP_TEXT_MAX + 5, "%s/%u", ip_format(&net->ip, ip), net->bits);
	return slice_str(room);
}

int64_t account_login_seen(struct account_store *s, struct slice name, const struct ip_net *network)
{
	char text[IP_TEXT_MAX + 5];
	struct account_address a = { 0 };
	struct db_query *q;
	int64_t seen = 0;

	account_address_parse(name, &a); /* else it is looked for as "" */
	q = db_query(account_store_db(s),
		     "SELECT n.seen FROM login_network n JOIN account a ON a.id = n.account"
		     " JOIN domain d ON d.id = a.domain"
		     " WHERE d.name = ? AND a.local_key = ? AND n.network = ?");
	db_put(q, a.local_n ? account_address_domain(&a) : SLICE_LIT(""));
	db_put(q, account_address_local_key(&a));
	db_put(q, net_text(network, text));
	return db_get_i64(q, &seen) < 0 ? 0 : seen;
}

int account_note_network(struct account_store *s, uint64_t account, const struct ip_net *network,
			 int64_t last, int64_t now)
{
	char text[IP_TEXT_MAX + 5];
	struct db_query *q;
	int r;

	if (last > 0 && now >= last && now < last + NETWORK_EVERY_S)
		return 0;
	q = db_query(account_store_db(s),
		     "INSERT OR REPLACE INTO login_network (account, network, seen) VALUES (?, ?, ?)");
	db_put_i64(q, (int64_t)account);
	db_put(q, net_text(network, text));
	db_put_i64(q, now);
	r = db_run_lazily(q);
	if (r < 0 || last > 0)
		return r;
	q = db_query(account_store_db(s), "DELETE FROM login_network WHERE account = ?1 AND network NOT IN"
					  " (SELECT network FROM login_network WHERE account = ?1"
					  " ORDER BY seen DESC LIMIT ?2)");
	db_put_i64(q, (int64_t)account);
	db_put_i64(q, ACCOUNT_NETWORKS_MAX);
	return db_run_lazily(q);
}

static int set_verifier(struct account_store *s, const struct account_credential *c,
			const struct account_verifier *v)
{
	struct db_query *q = db_query(account_store_db(s),
				      "UPDATE account SET scram_rounds = ?, scram_salt = ?, scram_stored = ?,"
				      " scram_server = ? WHERE id = ? AND version = ?");

	db_put_i64(q, v->rounds);
	db_put_blob(q, slice_of(v->salt, sizeof(v->salt)));
	db_put_blob(q, slice_of(v->stored, sizeof(v->stored)));
	db_put_blob(q, slice_of(v->server, sizeof(v->server)));
	db_put_i64(q, (int64_t)c->id);
	db_put_i64(q, c->version);
	return db_run(q);
}

int account_rehash(struct account_store *s, const struct account_credential *c, const char *hash,
		   const struct account_verifier *verifier)
{
	struct db_query *q;
	int r = 0;

	if (hash[0]) {
		q = db_query(account_store_db(s),
			     "UPDATE account SET password = ? WHERE id = ? AND version = ?");
		db_put(q, slice_str(hash));
		db_put_i64(q, (int64_t)c->id);
		db_put_i64(q, c->version);
		r = db_run(q);
	}
	if (r == 0 && verifier->rounds && c->scram)
		r = set_verifier(s, c, verifier);
	return r;
}

int account_key_find(struct account_store *s, const unsigned char hash[static ACCOUNT_KEY_HASH],
		     struct account_key *ret)
{
	struct db_query *q = db_query(account_store_db(s),
				      "SELECT k.id, a.id, k.revoked IS NULL AND a.enabled AND d.enabled,"
				      " k.last_used, a.local || '@' || d.name, o.name, a.class FROM api_key k"
				      " JOIN account a ON a.id = k.account JOIN domain d ON d.id = a.domain"
				      " JOIN owner o ON o.id = d.owner"
				      " WHERE k.hash = ?");
	int r;

	db_put_blob(q, slice_of(hash, ACCOUNT_KEY_HASH));
	r = db_step(q);
	if (r > 0) {
		struct account_key k = {
			.id = (uint64_t)db_col_i64(q, 0),
			.account = (uint64_t)db_col_i64(q, 1),
			.enabled = db_col_i64(q, 2) != 0,
			.last_used = db_col_i64(q, 3),
		};

		(void)account_class_parse(db_col(q, 6), &k.class);
		if (slice_copy(db_col(q, 4), k.name, sizeof(k.name)) &&
		    slice_copy(db_col(q, 5), k.owner, sizeof(k.owner)))
			*ret = k;
		else
			r = -EBADMSG;
	}
	db_end(q);
	return r > 0 ? 0 : r < 0 ? r : -ENOENT;
}

int account_key_allowed(struct account_store *s, uint64_t key, struct slice listener, const struct ip *ip)
{
	struct db_query *q =
		db_query(account_store_db(s), "SELECT kind, value FROM key_limit WHERE api_key = ?");
	bool by_listener = false, by_network = false, listener_ok = false, network_ok = false;
	struct ip_net net;
	int r;

	db_put_i64(q, (int64_t)key);
	while ((r = db_step(q)) > 0) {
		if (slice_eq(db_col(q, 0), SLICE_LIT("listener"))) {
			by_listener = true;
			listener_ok = listener_ok || slice_eq(db_col(q, 1), listener);
		} else if (slice_eq(db_col(q, 0), SLICE_LIT("network"))) {
			by_network = true;
			network_ok = network_ok || (ip_net_parse(db_col(q, 1), &net) && ip_net_has(&net, ip));
		}
	}
	db_end(q);
	if (slice_eq(listener, SLICE_LIT(ACCOUNT_DOVECOT)))
		by_listener = true;
	return r < 0 ? r : (!by_listener || listener_ok) && (!by_network || network_ok);
}

int account_note_key(struct account_store *s, const struct account_key *k, struct slice listener,
		     const struct ip *ip, int64_t now)
{
	char text[IP_TEXT_MAX];
	struct db_query *q;

	if (now >= k->last_used && now < k->last_used + LOGIN_EVERY_S)
		return 0;
	q = db_query(account_store_db(s),
		     "UPDATE api_key SET last_used = ?, last_listener = ?, last_ip = ? WHERE id = ?");
	db_put_i64(q, now);
	db_put(q, listener);
	db_put(q, slice_str(ip_format(ip, text)));
	db_put_i64(q, (int64_t)k->id);
	return db_run_lazily(q);
}

int account_any_scram(struct account_store *s)
{
	int64_t yes;
	int r = db_get_i64(db_query(account_store_db(s),
				    "SELECT EXISTS (SELECT 1 FROM domain WHERE scram AND enabled)"),
			   &yes);

	return r < 0 ? r : yes != 0;
}

int account_note_exposed(struct account_store *s, struct slice name, struct slice listener,
			 const struct ip *ip, int64_t now)
{
	char text[IP_TEXT_MAX];
	struct account_address a;
	struct db_query *q;
	int r;

	if (!account_address_parse(name, &a))
		return 0;
	q = db_query(account_store_db(s),
		     "UPDATE account SET exposed = ?1, exposed_listener = ?2, exposed_ip = ?3"
		     " WHERE local_key = ?4 AND domain = (SELECT id FROM domain WHERE name = ?5)"
		     " AND (exposed IS NULL OR exposed NOT BETWEEN ?1 - ?6 AND ?1)");
	db_put_i64(q, now);
	db_put(q, listener);
	db_put(q, slice_str(ip_format(ip, text)));
	db_put(q, account_address_local_key(&a));
	db_put(q, account_address_domain(&a));
	db_put_i64(q, EXPOSED_EVERY_S);
	r = db_run_lazily(q);
	return r < 0 ? r : db_changes(account_store_db(s)) > 0;
}
