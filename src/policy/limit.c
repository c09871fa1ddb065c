#include "policy/limit.h"

#include <errno.h>
#include <stdlib.h>

#define SLOTS	    9	/* eight of the window, and the one that is under way */
#define DENIED_MS   100 /* ledger had nothing left: it is not asked again at once */
#define FULL_MS	    1000
#define REPORT_MS   1000 /* a refusal is told to ledger no more often, for each count */
#define LOOK_OLDEST 16

struct limit_use {
	struct map_node node;
	struct list age; /* of all of its sort */
	struct list hot; /* of those with a claim */
	struct list out; /* of those that have something to say to ledger */
	struct limit limit;
	uint32_t level; /* at once */
	uint32_t slot[SLOTS];
	uint64_t slot_no;				      /* the one under way */
	uint32_t claim, wish, want, asked, pins;	      /* want: what was asked for in all */
	bool tell;					      /* a new ledger shall know */
	uint64_t denied_ms, full_ms, refused_ms, reported_ms; /* until when; until when; until when; when */
	size_t n;
	unsigned char key[];
};

/* Strangers make counts by connecting, as many as they have addresses; accounts and local
 * users are few.  Each sort gives way to its own only: else whoever has spent an account's
 * limit would wash its count out by connections from the networks that IPv6 gives him. */
enum sort { OF_STRANGERS, OF_USERS, SORTS };

struct limits {
	struct map map;
	struct list age[SORTS]; /* used longest ago first */
	size_t n[SORTS];
	struct list hot, out;
	struct limits_counters counters;
};

int limits_new(struct limits **ret)
{
	struct limits *l = calloc(1, sizeof(*l));

	if (!l || map_init(&l->map) < 0) {
		free(l);
		return -ENOMEM;
	}
	for (int i = 0; i < SORTS; i++)
		list_init(&l->age[i]);
	list_init(&l->hot);
	list_init(&l->out);
	*ret = l;
	return 0;
}

static enum sort sort_of(struct slice key)
{
	return key.p[0] >= LIMIT_ACCOUNT_MESSAGES ? OF_USERS : OF_STRANGERS;
}

static void forget(struct limits *l, struct limit_use *u)
{
	l->n[sort_of(slice_of(u->key, u->n))]--;
	map_remove(&l->map, &u->node);
	list_remove(&u->age);
	list_remove(&u->hot);
	list_remove(&u->out);
	free(u);
}

void limits_free(struct limits *l)
{
	struct list *at, *after;

	if (!l)
		return;
	for (int i = 0; i < SORTS; i++)
		LIST_EACH (&l->age[i], at, after)
			forget(l, container_of(at, struct limit_use, age));
	map_done(&l->map);
	free(l);
}

/* ---- how much is in use ---- */

static uint64_t slot_ms(const struct limit_use *u)
{
	uint64_t ms = (u->limit.window_ms + SLOTS - 2) / (SLOTS - 1);

	return ms ? ms : 1;
}

static uint32_t sum(const struct limit_use *u)
{
	uint64_t n = 0;

	for (int i = 0; i < SLOTS; i++)
		n += u->slot[i];
	return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

/* What is older than the window drops out. */
static uint32_t in_use(struct limit_use *u, uint64_t now)
{
	uint64_t no;

	if (u->limit.window_ms == 0)
		return u->level;
	no = now / slot_ms(u);
	if (no >= u->slot_no + SLOTS)
		memset(u->slot, 0, sizeof(u->slot));
	else
		for (uint64_t i = u->slot_no + 1; i <= no; i++)
			u->slot[i % SLOTS] = 0;
	if (no > u->slot_no)
		u->slot_no = no;
	return sum(u);
}

static void set_limit(struct limit_use *u, const struct limit *limit, uint64_t now)
{
	uint32_t had;

	if (u->limit.window_ms != limit->window_ms) {
		/* After a reload all of it counts as if it was now: rather too much than too little. */
		had = u->limit.window_ms ? in_use(u, now) : 0;
		u->limit = *limit;
		memset(u->slot, 0, sizeof(u->slot));
		u->slot_no = now / slot_ms(u);
		u->slot[u->slot_no % SLOTS] = had;
	}
	u->limit = *limit;
}

static uint32_t free_part(const struct limit *l)
{
	return l->processes <= 1 ? l->max : l->max / (8 * l->processes);
}

static uint32_t share(const struct limit *l)
{
	uint32_t n = l->processes <= 1 ? l->max : l->max / l->processes;

	return n ? n : l->max ? 1 : 0;
}

static uint32_t pool(const struct limit *l)
{
	return l->max - (l->processes <= 1 ? l->max : free_part(l) * l->processes);
}

static uint32_t ahead(const struct limit *l)
{
	return l->processes <= 1 ? 0 : l->max / (16 * l->processes);
}

static uint32_t beyond_free(struct limit_use *u, uint64_t now)
{
	uint32_t use = in_use(u, now), free = free_part(&u->limit);

	return use > free ? use - free : 0;
}

static bool too_much(struct limit_use *u, uint64_t now)
{
	return u->claim > beyond_free(u, now) + 2 * ahead(&u->limit);
}

/* ---- the table ---- */

static bool idle(const struct limit_use *u)
{
	return u->level == 0 && u->claim == 0 && u->asked == 0 && u->pins == 0;
}

static void evict(struct limits *l, enum sort sort, uint64_t now)
{
	struct limit_use *least = NULL;
	struct list *at = l->age[sort].next;
	uint32_t least_use = UINT32_MAX;

	for (int i = 0; i < LOOK_OLDEST && at != &l->age[sort]; i++) {
		struct limit_use *u = container_of(at, struct limit_use, age);

		at = at->next;
		if (!idle(u)) {
			list_remove(&u->age);
			list_push_back(&l->age[sort], &u->age);
		} else if (in_use(u, now) < least_use) {
			least_use = in_use(u, now);
			least = u;
		}
	}
	if (!least)
		return;
	l->counters.evicted += least_use > 0;
	forget(l, least);
}

/* A few each time, so that what is over does not stay. */
static void drop_old(struct limits *l, enum sort sort, uint64_t now)
{
	for (int i = 0; i < 2 && !list_empty(&l->age[sort]); i++) {
		struct limit_use *u = container_of(l->age[sort].next, struct limit_use, age);

		if (idle(u) && in_use(u, now) == 0) {
			forget(l, u);
		} else {
			/* Whoever has a session is not looked at again at once. */
			if (!idle(u)) {
				list_remove(&u->age);
				list_push_back(&l->age[sort], &u->age);
			}
			return;
		}
	}
}

static struct limit_use *find(const struct limits *l, struct slice key)
{
	struct map_node *node = map_find(&l->map, key);

	return node ? container_of(node, struct limit_use, node) : NULL;
}

static struct limit_use *find_or_add(struct limits *l, uint64_t now, struct slice key)
{
	struct limit_use *u = find(l, key);
	enum sort sort = sort_of(key);

	if (u)
		return u;
	drop_old(l, sort, now);
	if (l->n[sort] >= LIMITS_MAX)
		evict(l, sort, now);
	u = l->n[sort] < 2 * LIMITS_MAX ? calloc(1, sizeof(*u) + key.n) : NULL;
	if (!u)
		return NULL;
	list_init(&u->age);
	list_init(&u->hot);
	list_init(&u->out);
	memcpy(u->key, key.p, key.n);
	u->n = key.n;
	map_insert(&l->map, &u->node, slice_of(u->key, u->n));
	list_push_back(&l->age[sort], &u->age);
	l->n[sort]++;
	return u;
}

/* ---- taking and giving ---- */

static void say(struct limits *l, struct limit_use *u)
{
	if (list_empty(&u->out))
		list_push_back(&l->out, &u->out);
}

static void wish_for(struct limits *l, struct limit_use *u, uint32_t n)
{
	if (n > u->wish)
		u->wish = n;
	if (u->asked == 0)
		say(l, u);
}

static void add(struct limit_use *u, uint32_t n)
{
	if (u->limit.window_ms == 0)
		u->level += n;
	else
		u->slot[u->slot_no % SLOTS] += n;
}

unsigned limit_retry_s(const struct limit_use *u, uint64_t now_ms)
{
	uint64_t at = 0, ms;

	if (u->limit.window_ms == 0)
		return 60;
	/* When the oldest that is counted here drops out; of others' use nothing is known. */
	for (uint64_t no = u->slot_no >= SLOTS ? u->slot_no - SLOTS + 1 : 0; no <= u->slot_no && !at; no++)
		if (u->slot[no % SLOTS] > 0)
			at = (no + SLOTS) * slot_ms(u);
	ms = at > now_ms ? at - now_ms : slot_ms(u);
	return (unsigned)((ms + 999) / 1000);
}

static enum limit_answer refuse(struct limits *l, struct limit_use *u, uint64_t now)
{
	u->refused_ms = now + (uint64_t)limit_retry_s(u, now) * 1000;
	if (u->asked == 0 && (u->reported_ms == 0 || now - u->reported_ms >= REPORT_MS)) {
		u->reported_ms = now;
		say(l, u);
	}
	return LIMIT_REFUSED;
}

enum limit_answer limit_take(struct limits *l, uint64_t now_ms, const struct limit_key *key,
			     const struct limit *limit, uint32_t n, bool hurry, struct limit_use **ret)
{
	struct limit_use *u = find_or_add(l, now_ms, limit_key_slice(key));
	uint32_t use, allowed;

	*ret = u;
	if (!u)
		return LIMIT_TAKEN;
	list_remove(&u->age);
	list_push_back(&l->age[sort_of(limit_key_slice(key))], &u->age);
	set_limit(u, limit, now_ms);
	use = in_use(u, now_ms);
	allowed = free_part(limit) + u->claim;
	if (use >= limit->max || n > limit->max - use)
		return refuse(l, u, now_ms);
	if (use + n <= allowed) {
		if (ahead(limit) > 0 && use + n + ahead(limit) / 2 > allowed && u->denied_ms <= now_ms &&
		    !hurry)
			wish_for(l, u, 0);
		add(u, n);
		return LIMIT_TAKEN;
	}
	if (limit->processes <= 1)
		return refuse(l, u, now_ms);
	if (hurry || u->full_ms > now_ms) {
		l->counters.hurried++;
		if (use + n > share(limit))
			return refuse(l, u, now_ms);
		add(u, n);
		if (list_empty(&u->hot))
			list_push_back(&l->hot, &u->hot);
		return LIMIT_TAKEN;
	}
	if (u->denied_ms > now_ms)
		return refuse(l, u, now_ms);
	wish_for(l, u, n);
	return LIMIT_ASK;
}

void limit_give(struct limits *l, uint64_t now_ms, struct limit_use *u, uint32_t n)
{
	if (!u)
		return;
	if (u->limit.window_ms == 0) {
		u->level -= n < u->level ? n : u->level;
		/* At once: else a client whose connections come and go quickly would fill the
		 * limit with claims for those that are over. */
		if (u->asked == 0 && too_much(u, now_ms))
			say(l, u);
		return;
	}
	in_use(u, now_ms);
	/* The newest first: what was not used was taken lately. */
	for (uint64_t i = 0; i < SLOTS && n > 0 && u->slot_no >= i; i++) {
		uint32_t *slot = &u->slot[(u->slot_no - i) % SLOTS];
		uint32_t part = n < *slot ? n : *slot;

		*slot -= part;
		n -= part;
	}
}

void limit_give_key(struct limits *l, uint64_t now_ms, const struct limit_key *key, uint32_t n)
{
	limit_give(l, now_ms, find(l, limit_key_slice(key)), n);
}

void limit_pin(struct limit_use *u)
{
	u->pins++;
}

void limit_unpin(struct limits *l, struct limit_use *u)
{
	(void)l;
	u->pins--;
}

/* ---- ledger ---- */

bool limits_sweep(struct limits *l, uint64_t now_ms)
{
	struct list *at, *after;

	LIST_EACH (&l->hot, at, after) {
		struct limit_use *u = container_of(at, struct limit_use, hot);

		if (u->asked > 0 || !list_empty(&u->out))
			continue;
		if (too_much(u, now_ms) || beyond_free(u, now_ms) > u->claim)
			say(l, u); /* gives back; or tells what was taken while ledger was away */
		else if (u->claim == 0)
			list_remove(&u->hot);
	}
	return !list_empty(&l->hot);
}

/* Ask for more, or give back, or only say what is. */
static void set_want(struct limit_use *u, uint64_t now, struct limit_claim *c)
{
	uint32_t need = beyond_free(u, now), most = pool(&u->limit);
	uint64_t want = (uint64_t)in_use(u, now) + u->wish + ahead(&u->limit);

	want = want > free_part(&u->limit) ? want - free_part(&u->limit) : 0;
	if (want < need)
		want = need;
	if (want > most)
		want = most;
	if (want > u->claim && u->limit.processes > 1) {
		c->want = (uint32_t)want;
		c->answer = true;
		return;
	}
	if (too_much(u, now))
		u->claim = need + ahead(&u->limit);
	c->want = u->claim;
	c->answer = u->tell;
}

bool limits_next(struct limits *l, uint64_t now_ms, struct limit_claim *ret)
{
	struct limit_use *u;

	if (list_empty(&l->out))
		return false;
	u = container_of(l->out.next, struct limit_use, out);
	list_remove(&u->out);
	*ret = (struct limit_claim){ .key = slice_of(u->key, u->n),
				     .use = in_use(u, now_ms),
				     .limit = u->limit.max,
				     .have = beyond_free(u, now_ms),
				     .pool = pool(&u->limit) };
	if (u->refused_ms > now_ms)
		ret->refused_s = (uint32_t)((u->refused_ms - now_ms + 999) / 1000);
	set_want(u, now_ms, ret);
	u->tell = false;
	if (ret->answer) {
		u->asked = 1;
		u->want = ret->want;
		l->counters.asked++;
		if (list_empty(&u->hot))
			list_push_back(&l->hot, &u->hot);
	}
	return true;
}

struct limit_use *limits_granted(struct limits *l, uint64_t now_ms, struct slice key, uint32_t claim,
				 bool full)
{
	struct limit_use *u = find(l, key);

	if (!u || u->asked == 0)
		return NULL;
	u->asked = 0;
	if (full)
		u->full_ms = now_ms + FULL_MS;
	if (claim < u->want &&
	    (claim <= u->claim || in_use(u, now_ms) + u->wish > free_part(&u->limit) + claim)) {
		u->denied_ms = now_ms + DENIED_MS;
		l->counters.denied++;
	} else {
		l->counters.granted++;
	}
	u->claim = claim;
	u->wish = 0;
	return u;
}

void limits_ledger_new(struct limits *l)
{
	struct list *at, *after;

	/* Whoever has a claim, or asked for one, is among the hot. */
	LIST_EACH (&l->hot, at, after) {
		struct limit_use *u = container_of(at, struct limit_use, hot);

		u->asked = 0;
		u->tell = true;
		say(l, u);
	}
}

static bool clear_one(struct limit_use *u, struct slice who)
{
	enum limit_kind kind;
	struct slice listener;
	struct buf text;
	bool had = false;

	buf_init(&text, 4 * LIMIT_KEY_MAX);
	if (limit_key_show(slice_of(u->key, u->n), &kind, &listener, &text) &&
	    (who.n == 0 || slice_eq_nocase(buf_slice(&text), who))) {
		had = sum(u) > 0;
		memset(u->slot, 0, sizeof(u->slot));
		u->denied_ms = u->refused_ms = 0;
	}
	buf_done(&text);
	return had;
}

size_t limits_clear(struct limits *l, struct slice who)
{
	struct list *at, *after;
	size_t n = 0;

	for (int i = 0; i < SORTS; i++)
		LIST_EACH (&l->age[i], at, after)
			n += clear_one(container_of(at, struct limit_use, age), who);
	return n;
}

void limits_count(const struct limits *l, struct limits_counters *ret)
{
	const struct list *at;

	*ret = l->counters;
	ret->counts = l->map.n;
	ret->claims = 0;
	for (at = l->hot.next; at != &l->hot; at = at->next)
		ret->claims++;
}
