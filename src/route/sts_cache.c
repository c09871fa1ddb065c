/* Which policy of MTA-STS holds now: RFC 8461 3.3 and 5.1.  */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "route/sts.h"

#define FORGET_NONE_S 3600 /* then the ledger is asked again */

struct entry {
	struct map_node node;
	struct list used; /* the last used at the end */
	int64_t fetched;  /* 0: there is no policy */
	int64_t asked;	  /* the ledger, or known to be newer than what it has */
	int64_t failed;	  /* the last fetch of failed_id, 0: it did not fail */
	uint32_t max_age;
	char id[STS_ID_MAX + 1], failed_id[STS_ID_MAX + 1];
	char *policy; /* sts_policy_text() */
	size_t n;
	size_t domain_n;
	unsigned char domain[];
};

struct sts_cache {
	struct map domains;
	struct list used;
	size_t octets, entries_max, octets_max;
	uint64_t taken_out;
};

struct sts_cache *sts_cache_new(size_t entries_max, size_t octets_max)
{
	struct sts_cache *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	if (map_init(&c->domains) < 0) {
		free(c);
		return NULL;
	}
	list_init(&c->used);
	c->entries_max = entries_max;
	c->octets_max = octets_max;
	return c;
}

static size_t size_of(const struct entry *e)
{
	return sizeof(*e) + e->domain_n + e->n;
}

static void drop(struct sts_cache *c, struct entry *e)
{
	c->octets -= size_of(e);
	map_remove(&c->domains, &e->node);
	list_remove(&e->used);
	free(e->policy);
	free(e);
}

void sts_cache_free(struct sts_cache *c)
{
	if (!c)
		return;
	while (!list_empty(&c->used))
		drop(c, container_of(c->used.next, struct entry, used));
	map_done(&c->domains);
	free(c);
}

/* Those not used for longest go; the ledger still has them. */
static void make_room(struct sts_cache *c, size_t octets)
{
	while (!list_empty(&c->used) &&
	       (c->domains.n >= c->entries_max || c->octets + octets > c->octets_max)) {
		drop(c, container_of(c->used.next, struct entry, used));
		c->taken_out++;
	}
}

static struct entry *find(struct sts_cache *c, struct slice domain)
{
	struct map_node *n = map_find(&c->domains, domain);

	return n ? container_of(n, struct entry, node) : NULL;
}

static struct entry *find_or_add(struct sts_cache *c, struct slice domain)
{
	struct entry *e = find(c, domain);

	if (e) {
		list_remove(&e->used);
		list_push_back(&c->used, &e->used);
		return e;
	}
	make_room(c, sizeof(*e) + domain.n + STS_MX_TEXT_MAX);
	e = calloc(1, sizeof(*e) + domain.n);
	if (!e)
		return NULL;
	e->domain_n = domain.n;
	memcpy(e->domain, domain.p, domain.n);
	c->octets += size_of(e);
	list_push_back(&c->used, &e->used);
	map_insert(&c->domains, &e->node, slice_of(e->domain, e->domain_n));
	return e;
}

/* False: out of memory; then it is as it was. */
static bool keep(struct sts_cache *c, struct entry *e, const char *id, const struct sts_policy *p,
		 int64_t fetched)
{
	struct buf b;
	char *copy;

	buf_init(&b, STS_POLICY_MAX);
	sts_policy_text(p, &b);
	copy = buf_ok(&b) ? slice_dup(buf_slice(&b)) : NULL;
	if (copy) {
		c->octets -= size_of(e);
		free(e->policy);
		e->policy = copy;
		e->n = b.n;
		c->octets += size_of(e);
		e->fetched = fetched;
		e->max_age = p->max_age;
		snprintf(e->id, sizeof(e->id), "%s", id);
		e->failed = 0;
	}
	buf_done(&b);
	return copy != NULL;
}

static bool holds(const struct entry *e, int64_t now)
{
	/* Long enough to be of use to whom it was fetched for, whatever it says: "max_age: 0" is fetched no
	 * more often than others.  A clock that was set back makes it no older than it is. */
	uint32_t age = e->max_age > STS_RETRY_S ? e->max_age : STS_RETRY_S;

	return e->fetched != 0 && now < e->fetched + (int64_t)age;
}

static bool may_fetch(const struct entry *e, const char *id, int64_t now)
{
	return e->failed == 0 || strcmp(e->failed_id, id) != 0 || now >= e->failed + STS_RETRY_S ||
	       now < e->failed;
}

enum sts_next sts_cache_next(struct sts_cache *c, struct slice domain, enum sts_record record, const char *id,
			     int64_t now, struct sts_policy *ret)
{
	struct entry *e = find(c, domain);
	bool found = record == STS_RECORD_FOUND;
	struct sts_policy p;

	if (!e || (!holds(e, now) && (now >= e->asked + FORGET_NONE_S || now < e->asked)))
		return STS_ASK;
	if (!holds(e, now))
		return found && may_fetch(e, id, now) ? STS_FETCH : STS_NONE;
	/* It was written by sts_policy_text(). */
	if (sts_policy_parse(slice_of(e->policy, e->n), &p) != NULL)
		return STS_NONE;
	if (ret)
		*ret = p;
	/* Without a record what is known holds all the same: somebody may be holding it back (5.1). */
	if (!found || !may_fetch(e, id, now))
		return STS_USE;
	if (strcmp(e->id, id) != 0)
		return STS_FETCH;
	return now >= e->fetched + STS_REFRESH_S || now >= e->fetched + (int64_t)(e->max_age / 2)
		       ? STS_USE_AND_FETCH
		       : STS_USE;
}

void sts_cache_recall(struct sts_cache *c, struct slice domain, const struct sts_kept *kept, int64_t now)
{
	struct entry *e = find_or_add(c, domain);
	char id[STS_ID_MAX + 1];
	struct sts_policy p;

	if (!e)
		return;
	e->asked = now;
	if (kept && kept->fetched > e->fetched && kept->fetched <= now &&
	    slice_copy(kept->id, id, sizeof(id)) && sts_policy_parse(kept->policy, &p) == NULL)
		(void)keep(c, e, id, &p, kept->fetched);
}

void sts_cache_fetched(struct sts_cache *c, struct slice domain, const char *id, const struct sts_policy *p,
		       int64_t now)
{
	struct entry *e = find_or_add(c, domain);

	if (!e)
		return;
	e->asked = now;
	if (!keep(c, e, id, p, now))
		sts_cache_failed(c, domain, id, now);
}

void sts_cache_failed(struct sts_cache *c, struct slice domain, const char *id, int64_t now)
{
	struct entry *e = find_or_add(c, domain);

	if (!e)
		return;
	e->asked = e->asked ? e->asked : now;
	e->failed = now;
	snprintf(e->failed_id, sizeof(e->failed_id), "%s", id);
}

void sts_cache_count(const struct sts_cache *c, struct sts_cache_counters *ret)
{
	*ret = (struct sts_cache_counters){ c->domains.n, c->octets, c->taken_out };
}
