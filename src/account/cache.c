#include "account/cache.h"

#include <errno.h>
#include <sodium.h>

#include "base/list.h"

#define MAC_BYTES 32

struct entry {
	struct map_node node; /* by account */
	struct list link;     /* oldest first */
	uint64_t account;
	uint64_t until;
	unsigned char mac[MAC_BYTES];
};

struct account_cache {
	struct map by_account;
	struct list oldest;
	size_t max;
	unsigned seconds;
	unsigned char key[32];
};

int account_cache_new(size_t max, unsigned seconds, struct account_cache **ret)
{
	struct account_cache *c = calloc(1, sizeof(*c));

	if (!c || map_init(&c->by_account) < 0) {
		free(c);
		return -ENOMEM;
	}
	list_init(&c->oldest);
	c->max = max;
	c->seconds = seconds;
	randombytes_buf(c->key, sizeof(c->key));
	*ret = c;
	return 0;
}

static void drop(struct account_cache *c, struct entry *e)
{
	map_remove(&c->by_account, &e->node);
	list_remove(&e->link);
	explicit_bzero(e, sizeof(*e));
	free(e);
}

void account_cache_free(struct account_cache *c)
{
	if (!c)
		return;
	while (!list_empty(&c->oldest))
		drop(c, container_of(c->oldest.next, struct entry, link));
	map_done(&c->by_account);
	explicit_bzero(c, sizeof(*c));
	free(c);
}

void account_cache_set_seconds(struct account_cache *c, unsigned seconds)
{
	c->seconds = seconds;
}

static void mac(const struct account_cache *c, const struct account_credential *who, struct slice password,
		unsigned char ret[static MAC_BYTES])
{
	crypto_generichash_state s;

	crypto_generichash_init(&s, c->key, sizeof(c->key), MAC_BYTES);
	/* Fixed lengths first, the password last: no two inputs run together. */
	crypto_generichash_update(&s, (const unsigned char *)&who->id, sizeof(who->id));
	crypto_generichash_update(&s, (const unsigned char *)&who->version, sizeof(who->version));
	crypto_generichash_update(&s, (const unsigned char *)who->hash, sizeof(who->hash));
	crypto_generichash_update(&s, password.p, password.n);
	crypto_generichash_final(&s, ret, MAC_BYTES);
	explicit_bzero(&s, sizeof(s));
}

static struct entry *find(const struct account_cache *c, uint64_t account)
{
	struct map_node *node = map_find(&c->by_account, slice_of(&account, sizeof(account)));

	return node ? container_of(node, struct entry, node) : NULL;
}

bool account_cache_has(struct account_cache *c, const struct account_credential *who, struct slice password,
		       uint64_t now)
{
	struct entry *e = find(c, who->id);
	unsigned char m[MAC_BYTES];

	if (!e)
		return false;
	if (now >= e->until || c->seconds == 0) {
		drop(c, e);
		return false;
	}
	mac(c, who, password, m);
	return sodium_memcmp(m, e->mac, MAC_BYTES) == 0;
}

void account_cache_add(struct account_cache *c, const struct account_credential *who, struct slice password,
		       uint64_t now)
{
	struct entry *e = find(c, who->id);

	if (e)
		drop(c, e);
	if (c->seconds == 0)
		return;
	if (c->by_account.n >= c->max && !list_empty(&c->oldest))
		drop(c, container_of(c->oldest.next, struct entry, link));
	e = calloc(1, sizeof(*e));
	if (!e)
		return; /* the next login costs a hash again */
	e->account = who->id;
	e->until = now + c->seconds;
	mac(c, who, password, e->mac);
	map_insert(&c->by_account, &e->node, slice_of(&e->account, sizeof(e->account)));
	list_push_back(&c->oldest, &e->link);
}
