#include "account/guess.h"

#include <errno.h>
#include <sodium.h>

#include "account/address.h"

#define WAYS	    8 /* entries of a set: those that a new one may replace */
#define REMEMBERED  6 /* passwords and names that a count saw last */
#define SEARCH	    3 /* what a name weighs that is new to an address where others failed */
#define DELAY_AFTER 3 /* wrong ones that are answered at once */
#define DELAY_FIRST 250
#define DELAY_MAX   4000
#define WHO_MAX	    (ACCOUNT_ADDRESS_MAX + 1 + IP_TEXT_MAX + 4)

enum table { ADDRESS, NETWORK, ACCOUNT, KNOWN, TABLES };
static const size_t sizes[TABLES] = {
	[ADDRESS] = 32768, [NETWORK] = 8192, [ACCOUNT] = 32768, [KNOWN] = 8192
};

/* A leaking count: it is full_ms away from empty, and each wrong password adds a step. */
struct count {
	uint64_t key;	   /* 0: free */
	uint64_t name;	   /* KNOWN: the key of its account */
	uint64_t empty_ms; /* when it will have drained */
	uint64_t until_ms; /* locked; 0: never was */
	char *who;	   /* once it was locked */
	uint32_t secrets[REMEMBERED], names[REMEMBERED];
	uint8_t strikes;
};

struct account_guess {
	struct account_guess_limits limits;
	unsigned char secret[crypto_shorthash_KEYBYTES];
	struct count *counts[TABLES];
	struct account_guess_counters counters;
};

const char *account_guess_lock_name(enum account_guess_lock lock)
{
	static const char *const names[] = {
		[ACCOUNT_GUESS_FREE] = "free",	     [ACCOUNT_GUESS_ADDRESS] = "address",
		[ACCOUNT_GUESS_NETWORK] = "network", [ACCOUNT_GUESS_ACCOUNT] = "account",
		[ACCOUNT_GUESS_KNOWN] = "known",
	};

	return names[lock];
}

int account_guess_configure(struct account_guess *g, const struct account_guess_limits *limits)
{
	struct ip_net *exempt = calloc(limits->n_exempt + 1, sizeof(*exempt));

	if (!exempt)
		return -ENOMEM;
	if (limits->n_exempt > 0)
		memcpy(exempt, limits->exempt, limits->n_exempt * sizeof(*exempt));
	free((void *)(uintptr_t)g->limits.exempt);
	g->limits = *limits;
	g->limits.exempt = exempt;
	return 0;
}

int account_guess_new(const struct account_guess_limits *limits, const unsigned char secret[static 16],
		      struct account_guess **ret)
{
	struct account_guess *g = calloc(1, sizeof(*g));

	if (!g)
		return -ENOMEM;
	memcpy(g->secret, secret, sizeof(g->secret));
	for (int i = 0; i < TABLES; i++) {
		/* Memory that nobody touched costs nothing. */
		g->counts[i] = calloc(sizes[i], sizeof(*g->counts[i]));
		if (!g->counts[i]) {
			account_guess_free(g);
			return -ENOMEM;
		}
	}
	if (account_guess_configure(g, limits) < 0) {
		account_guess_free(g);
		return -ENOMEM;
	}
	*ret = g;
	return 0;
}

static void empty(struct count *c)
{
	free(c->who);
	*c = (struct count){ 0 };
}

void account_guess_free(struct account_guess *g)
{
	if (!g)
		return;
	/* A pointer is in those that were used alone; the others are not looked at, so
	 * that their memory stays untouched: a used one has a key. */
	for (int i = 0; i < TABLES; i++) {
		for (size_t k = 0; g->counts[i] && k < sizes[i]; k++)
			if (g->counts[i][k].key)
				empty(&g->counts[i][k]);
		free(g->counts[i]);
	}
	free((void *)(uintptr_t)g->limits.exempt);
	explicit_bzero(g, sizeof(*g));
	free(g);
}

/* ---- keys ---- */

static uint64_t hash(const struct account_guess *g, const void *p, size_t n)
{
	static const unsigned char nothing;
	unsigned char out[crypto_shorthash_BYTES];
	uint64_t h;

	crypto_shorthash(out, p ? p : &nothing, n, g->secret);
	memcpy(&h, out, sizeof(h));
	return h ? h : 1; /* 0 is a free entry */
}

static uint64_t hash_two(const struct account_guess *g, uint64_t a, uint64_t b)
{
	uint64_t both[2] = { a, b };

	return hash(g, both, sizeof(both));
}

/* However an address is written, it is one name. */
static uint64_t name_key(const struct account_guess *g, struct slice name)
{
	struct account_address a;

	if (account_address_parse(name, &a))
		name = slice_str(a.key);
	return hash(g, name.p, name.n);
}

static struct ip_net net_of(const struct ip *ip, unsigned bits)
{
	struct ip_net net = { .ip = { .family = ip->family }, .bits = (uint8_t)bits };

	for (unsigned i = 0; i < bits; i++)
		net.ip.byte[i / 8] |= (uint8_t)(ip->byte[i / 8] & (0x80U >> (i % 8)));
	return net;
}

static struct ip_net address_net(const struct ip *ip)
{
	return net_of(ip, ip->family == 4 ? 32 : ip->family == 6 ? 64 : 0);
}

static struct ip_net network_net(const struct account_guess *g, const struct ip *ip)
{
	return net_of(ip, ip->family == 4 ? g->limits.ipv4_bits : ip->family == 6 ? g->limits.ipv6_bits : 0);
}

struct ip_net account_guess_home(const struct account_guess *g, const struct ip *ip)
{
	return ip->family == 4 ? network_net(g, ip) : address_net(ip);
}

static uint64_t net_key(const struct account_guess *g, const struct ip_net *net)
{
	return hash(g, net, sizeof(*net));
}

static bool exempt(const struct account_guess *g, const struct ip *ip)
{
	if (ip->family == 0)
		return true;
	for (size_t i = 0; i < g->limits.n_exempt; i++)
		if (ip_net_has(&g->limits.exempt[i], ip))
			return true;
	return false;
}

/* All that one try is counted under. */
struct keys {
	uint64_t key[TABLES];
	bool applies[TABLES];
	uint32_t name, secret; /* as counts remember them; 0: unknown */
};

static void find_keys(const struct account_guess *g, const struct account_guess_try *t, struct keys *ret)
{
	struct ip_net address = address_net(&t->ip), network = network_net(g, &t->ip);
	uint64_t name = name_key(g, t->name);
	bool by_ip = !t->known && !exempt(g, &t->ip);

	*ret = (struct keys){ 0 };
	ret->key[ADDRESS] = net_key(g, &address);
	ret->key[NETWORK] = net_key(g, &network);
	ret->key[ACCOUNT] = name;
	ret->key[KNOWN] = hash_two(g, name, ret->key[ADDRESS]);
	ret->applies[ADDRESS] = by_ip && g->limits.per_address;
	ret->applies[NETWORK] = by_ip && g->limits.per_network;
	ret->applies[ACCOUNT] = !t->known && g->limits.per_account;
	ret->applies[KNOWN] = t->known && g->limits.per_known;
	ret->name = (uint32_t)name | 1;
	if (t->secret.n > 0)
		ret->secret = (uint32_t)hash_two(g, name, hash(g, t->secret.p, t->secret.n)) | 1;
}

static uint32_t limit_of(const struct account_guess *g, enum table which)
{
	const uint32_t limits[TABLES] = { [ADDRESS] = g->limits.per_address,
					  [NETWORK] = g->limits.per_network,
					  [ACCOUNT] = g->limits.per_account,
					  [KNOWN] = g->limits.per_known };

	return limits[which];
}

/* ---- entries ---- */

static uint64_t period(const struct account_guess *g)
{
	return (uint64_t)g->limits.period_s * 1000;
}

static uint64_t step_of(const struct account_guess *g, enum table which)
{
	uint32_t limit = limit_of(g, which);
	uint64_t step = limit ? period(g) / limit : 0;

	return step ? step : 1;
}

static struct count *set_of(const struct account_guess *g, enum table which, uint64_t key)
{
	return &g->counts[which][(key >> 16) % (sizes[which] / WAYS) * WAYS];
}

static struct count *find(const struct account_guess *g, enum table which, uint64_t key)
{
	struct count *set = set_of(g, which, key);

	for (int i = 0; i < WAYS; i++)
		if (set[i].key == key)
			return &set[i];
	return NULL;
}

/* How long it matters still: the later, the worse it stands. */
static uint64_t standing(const struct count *c)
{
	return c->empty_ms > c->until_ms ? c->empty_ms : c->until_ms;
}

static struct count *find_or_add(struct account_guess *g, enum table which, uint64_t key, uint64_t now)
{
	struct count *c = find(g, which, key), *set = set_of(g, which, key), *lowest = set;

	if (c)
		return c;
	for (int i = 0; i < WAYS; i++)
		if (standing(&set[i]) < standing(lowest))
			lowest = &set[i];
	if (lowest->key && standing(lowest) > now)
		g->counters.washed_out++;
	empty(lowest);
	lowest->key = key;
	return lowest;
}

static uint32_t count_of(const struct account_guess *g, enum table which, const struct count *c, uint64_t now)
{
	uint64_t step = step_of(g, which);

	return c->empty_ms > now ? (uint32_t)((c->empty_ms - now + step - 1) / step) : 0;
}

static bool seen(const uint32_t *ring, uint32_t what)
{
	for (int i = 0; what && i < REMEMBERED; i++)
		if (ring[i] == what)
			return true;
	return false;
}

static void see(uint32_t *ring, uint32_t what)
{
	if (!what || seen(ring, what))
		return;
	memmove(ring + 1, ring, (REMEMBERED - 1) * sizeof(*ring));
	ring[0] = what;
}

/* ---- verdicts ---- */

static const enum account_guess_lock lock_of[TABLES] = { [ADDRESS] = ACCOUNT_GUESS_ADDRESS,
							 [NETWORK] = ACCOUNT_GUESS_NETWORK,
							 [ACCOUNT] = ACCOUNT_GUESS_ACCOUNT,
							 [KNOWN] = ACCOUNT_GUESS_KNOWN };

static uint32_t delay_for(uint32_t count)
{
	uint32_t ms = DELAY_FIRST;

	if (count <= DELAY_AFTER)
		return 0;
	for (uint32_t i = DELAY_AFTER + 1; i < count && ms < DELAY_MAX; i++)
		ms *= 2;
	return ms < DELAY_MAX ? ms : DELAY_MAX;
}

/* The lock that holds longest. */
static void judge(const struct account_guess *g, uint64_t now, const struct keys *k,
		  struct account_guess_verdict *ret)
{
	*ret = (struct account_guess_verdict){ 0 };
	for (int i = 0; i < TABLES; i++) {
		const struct count *c = k->applies[i] ? find(g, (enum table)i, k->key[i]) : NULL;

		if (!c || c->until_ms <= now || c->until_ms - now <= ret->left_ms)
			continue;
		ret->lock = lock_of[i];
		ret->left_ms = c->until_ms - now;
		ret->delay_ms = DELAY_MAX / 2;
	}
}

static void name_it(const struct account_guess *g, enum table which, struct count *c,
		    const struct account_guess_try *t)
{
	struct ip_net net = which == NETWORK ? network_net(g, &t->ip) : address_net(&t->ip);
	char ip[IP_TEXT_MAX], who[WHO_MAX];
	struct account_address a;
	struct slice name = slice_head(t->name, ACCOUNT_ADDRESS_MAX);
	bool whole = net.ip.family == 4 && net.bits == 32;

	if (account_address_parse(t->name, &a))
		name = slice_str(a.key);
	ip_format(&net.ip, ip);
	if (which == ACCOUNT)
		snprintf(who, sizeof(who), "%.*s", SLICE_ARG(name));
	else
		snprintf(who, sizeof(who), "%.*s%s%s", which == KNOWN ? (int)name.n : 0, (const char *)name.p,
			 which == KNOWN ? " " : "", ip);
	if (which != ACCOUNT && !whole && net.ip.family)
		snprintf(who + strlen(who), sizeof(who) - strlen(who), "/%u", net.bits);
	/* A name may hold anything; this ends on somebody's terminal. */
	for (char *at = who; *at; at++)
		if ((unsigned char)*at < ' ' || (unsigned char)*at == 0x7f)
			*at = '?';
	free(c->who);
	c->who = slice_dup(slice_str(who)); /* NULL: it is locked without a name */
}

static void lock(struct account_guess *g, enum table which, struct count *c, uint64_t now,
		 const struct account_guess_try *t, struct account_guess_verdict *v)
{
	uint64_t ms = (uint64_t)g->limits.lock_s * 1000, most = (uint64_t)g->limits.lock_max_s * 1000;

	/* A lock that is long over is forgiven. */
	if (c->until_ms + period(g) < now)
		c->strikes = 0;
	for (unsigned i = 0; i < c->strikes && ms < most; i++)
		ms *= 2;
	if (ms > most)
		ms = most;
	c->until_ms = now + ms;
	if (c->strikes < UINT8_MAX)
		c->strikes++;
	name_it(g, which, c, t);
	g->counters.locks++;
	if (ms > v->begun_ms) {
		v->begun = lock_of[which];
		v->begun_ms = ms;
	}
}

/* False: it was the same again. */
static bool add(struct account_guess *g, enum table which, const struct keys *k, uint64_t now,
		const struct account_guess_try *t, struct account_guess_verdict *v)
{
	struct count *c = find_or_add(g, which, k->key[which], now);
	uint64_t step = step_of(g, which), weight = 1;
	uint32_t delay;

	c->name = k->key[ACCOUNT];
	if (seen(c->secrets, k->secret)) {
		delay = delay_for(count_of(g, which, c, now));
	} else {
		if ((which == ADDRESS || which == NETWORK) && c->names[0] && !seen(c->names, k->name))
			weight = SEARCH;
		if (c->empty_ms < now)
			c->empty_ms = now;
		c->empty_ms += step * weight;
		if (c->empty_ms - now > 2 * period(g)) /* a reload made the period shorter */
			c->empty_ms = now + 2 * period(g);
		delay = delay_for(count_of(g, which, c, now));
		if (c->empty_ms - now + step > period(g))
			lock(g, which, c, now, t, v);
		see(c->names, k->name);
		see(c->secrets, k->secret);
		if (delay > v->delay_ms)
			v->delay_ms = delay;
		return true;
	}
	if (delay > v->delay_ms)
		v->delay_ms = delay;
	return false;
}

void account_guess_may(const struct account_guess *g, uint64_t now_ms, const struct account_guess_try *t,
		       struct account_guess_verdict *ret)
{
	struct keys k;

	find_keys(g, t, &k);
	judge(g, now_ms, &k, ret);
}

void account_guess_outcome(struct account_guess *g, uint64_t now_ms, const struct account_guess_try *t,
			   bool right, struct account_guess_verdict *ret)
{
	bool any = false, fresh = false;
	struct keys k;

	find_keys(g, t, &k);
	judge(g, now_ms, &k, ret);
	if (ret->lock != ACCOUNT_GUESS_FREE) {
		g->counters.refused++;
		return;
	}
	if (right)
		return;
	for (int i = 0; i < TABLES; i++) {
		if (!k.applies[i])
			continue;
		any = true;
		fresh = add(g, (enum table)i, &k, now_ms, t, ret) || fresh;
	}
	if (fresh || !any)
		g->counters.wrong++;
	else
		g->counters.repeated++;
}

/* ---- for people ---- */

void account_guess_each(const struct account_guess *g, uint64_t now_ms,
			bool (*each)(void *arg, const struct account_guess_row *row), void *arg)
{
	for (int i = 0; i < TABLES; i++)
		for (size_t k = 0; k < sizes[i]; k++) {
			const struct count *c = &g->counts[i][k];
			struct account_guess_row row = { .what = lock_of[i], .who = c->who };

			if (!c->who || standing(c) <= now_ms)
				continue;
			row.count = count_of(g, (enum table)i, c, now_ms);
			row.left_ms = c->until_ms > now_ms ? c->until_ms - now_ms : 0;
			row.strikes = c->strikes;
			if (!each(arg, &row))
				return;
		}
}

static size_t clear_all(struct account_guess *g)
{
	size_t n = 0;

	for (int i = 0; i < TABLES; i++)
		for (size_t k = 0; k < sizes[i]; k++)
			if (g->counts[i][k].key) {
				empty(&g->counts[i][k]);
				n++;
			}
	return n;
}

static size_t clear_one(struct account_guess *g, enum table which, uint64_t key)
{
	struct count *c = find(g, which, key);

	if (!c)
		return 0;
	empty(c);
	return 1;
}

size_t account_guess_clear(struct account_guess *g, struct slice who)
{
	struct ip_net net;
	uint64_t name;
	size_t n;

	if (who.n == 0)
		return clear_all(g);
	if (ip_net_parse(who, &net)) {
		struct ip_net address = address_net(&net.ip);

		n = clear_one(g, NETWORK, net_key(g, &net));
		return n + clear_one(g, ADDRESS, net_key(g, &address));
	}
	name = name_key(g, who);
	n = clear_one(g, ACCOUNT, name);
	for (size_t k = 0; k < sizes[KNOWN]; k++)
		if (g->counts[KNOWN][k].key && g->counts[KNOWN][k].name == name) {
			empty(&g->counts[KNOWN][k]);
			n++;
		}
	return n;
}

void account_guess_count(const struct account_guess *g, struct account_guess_counters *ret)
{
	*ret = g->counters;
}
