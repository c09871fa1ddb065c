/* sts_cache_fuzz.c - a day in the life of the cache, against what must hold of it: a policy counts until it
 * is too old and no longer, with or without its record; nothing counts that was not given; what could not be
 * fetched is left alone for a while; and the ceilings stand. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "route/sts.h"

#define CHECK(what)              \
	do {                     \
		if (!(what))     \
			abort(); \
	} while (0)

#define DOMAINS 4
#define MANY	64
#define FEW	2
#define BEGIN	1000000
#define OCTETS	1000000

/* What was said of a domain. */
struct known {
	bool asked;
	int64_t fetched, failed;
	char id[4], failed_id[4];
	struct sts_policy policy;
};

static const char *const domains[DOMAINS] = { "a.example", "b.example", "c.example", "d.example" };
static struct known known[DOMAINS];
static struct sts_policy said;

static void make_policy(struct sts_policy *p, uint8_t how)
{
	static const uint32_t ages[] = { 86400, 604800, 600, 100 };

	memset(p, 0, sizeof(*p));
	p->mode = how & 1 ? STS_MODE_ENFORCE : STS_MODE_TESTING;
	p->max_age = ages[how >> 1 & 3];
	p->mx_n = (size_t)snprintf(p->mx, sizeof(p->mx), "mx%u.example", how >> 3);
}

static bool same(const struct sts_policy *a, const struct sts_policy *b)
{
	return a->mode == b->mode && a->max_age == b->max_age && a->mx_n == b->mx_n &&
	       !memcmp(a->mx, b->mx, a->mx_n);
}

/* forgets: it may have dropped what it knew, for want of room. */
static void check_next(struct sts_cache *c, unsigned d, enum sts_record record, const char *id, int64_t now,
		       bool forgets)
{
	const struct known *k = &known[d];
	int64_t age = k->policy.max_age > STS_RETRY_S ? k->policy.max_age : STS_RETRY_S;
	bool counts = k->fetched > 0 && now < k->fetched + age;
	bool left_alone = k->failed > 0 && strcmp(k->failed_id, id) == 0 && now < k->failed + STS_RETRY_S;
	bool found = record == STS_RECORD_FOUND;
	enum sts_next next = sts_cache_next(c, slice_str(domains[d]), record, id, now, &said);
	bool used = next == STS_USE || next == STS_USE_AND_FETCH;

	if (used)
		CHECK(counts && same(&said, &k->policy));
	if (next == STS_FETCH || next == STS_USE_AND_FETCH)
		CHECK(found && (forgets || !left_alone));
	if (forgets)
		return;
	CHECK(next != STS_NONE || !counts);
	if (!k->asked)
		CHECK(next == STS_ASK);
	if (counts && !found)
		CHECK(next == STS_USE);
	if (counts && found && strcmp(k->id, id) == 0)
		CHECK(used);
	if (counts && found && strcmp(k->id, id) != 0)
		CHECK(next == (left_alone ? STS_USE : STS_FETCH));
	if (next == STS_NONE)
		CHECK(!found || left_alone);
}

static void step(struct sts_cache *c, const uint8_t *in, int64_t *now, bool forgets)
{
	static const int64_t later[] = { 0, 1, 99, 100, 299, 300, 600, 3599, 3600, 86399, 86400, 600000 };
	unsigned d = in[0] >> 2 & 3;
	struct slice domain = slice_str(domains[d]);
	struct known *k = &known[d];
	char id[4] = { (char)('a' + (in[0] >> 4 & 1)), 0 };
	struct sts_policy p;
	struct sts_kept kept;
	struct buf text;
	bool none;

	*now += later[in[1] % (sizeof(later) / sizeof(later[0]))];
	make_policy(&p, in[2]);
	switch (in[0] & 3) {
	case 0:
		check_next(c, d, in[0] & 0x20 ? STS_RECORD_FOUND : STS_RECORD_UNKNOWN, id, *now, forgets);
		break;
	case 1:
		sts_cache_fetched(c, domain, id, &p, *now);
		k->asked = true;
		k->fetched = *now;
		k->failed = 0;
		k->policy = p;
		memcpy(k->id, id, sizeof(id));
		break;
	case 2:
		sts_cache_failed(c, domain, id, *now);
		k->asked = true;
		k->failed = *now;
		memcpy(k->failed_id, id, sizeof(id));
		break;
	default: /* what the ledger has is some seconds old */
		buf_init(&text, STS_POLICY_MAX);
		sts_policy_text(&p, &text);
		kept = (struct sts_kept){ slice_str(id), buf_slice(&text), *now - (in[0] & 0x20 ? 0 : 50) };
		/* It was told of each that was fetched: who has forgotten that one hears of no older one. */
		none = in[0] & 0x40 || (forgets && kept.fetched <= k->fetched);
		sts_cache_recall(c, domain, none ? NULL : &kept, *now);
		k->asked = true;
		if (!none && kept.fetched > k->fetched) {
			k->fetched = kept.fetched;
			k->failed = 0;
			k->policy = p;
			memcpy(k->id, id, sizeof(id));
		}
		buf_done(&text);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An octet: how much room there is; then three for each thing that happens. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool few = size > 0 && data[0] & 1;
	struct sts_cache *c = sts_cache_new(few ? FEW : MANY, OCTETS);
	struct sts_cache_counters count;
	int64_t now = BEGIN;

	CHECK(c);
	memset(known, 0, sizeof(known));
	for (size_t at = 1; at + 3 <= size && at < 1000; at += 3) {
		step(c, data + at, &now, few);
		sts_cache_count(c, &count);
		CHECK(count.entries <= (few ? FEW : MANY) && count.octets <= OCTETS);
	}
	sts_cache_free(c);
	return 0;
}
