/* sts.h - MTA-STS (RFC 8461): what a domain's record and its policy say; and which policy holds now.
 *
 * An engine: octets and times in, decisions out.  The record is asked of the DNS, the policy
 * fetched over HTTPS, by send/sts.h and role `fetch`.
 *
 * A policy is read as section 3.2 has it; beyond that: empty lines and blanks at the end of
 * a line are let pass; a line without a colon, a version that is not ours, a mode that is
 * none, a lack of max_age or (but for mode none) of mx make it invalid.  Of what may stand there once
 * the first counts.  Keys that are not known are ignored.  max_age is cut at a year.
 */
#ifndef POSTERN_ROUTE_STS_H
#define POSTERN_ROUTE_STS_H

#include "base/buf.h"
#include "dns/dns.h"

#define STS_POLICY_MAX	65536 /* octets of a policy file */
#define STS_ID_MAX	32
#define STS_MX_MAX	64   /* patterns; a policy with more is invalid */
#define STS_MX_TEXT_MAX 4096 /* all of them, blanks between; the same */
#define STS_MAX_AGE	31557600
#define STS_RETRY_S	300 /* a fetch that failed is not tried again before (RFC 8461 3.3) */
#define STS_REFRESH_S                                                                        \
	86400 /* a policy that is used is fetched anew after so long, though nothing changed \
	       */

/* ---- the record ---- */

enum sts_record {
	STS_RECORD_NONE, /* none, or more than one: the domain does not do MTA-STS (3.1) */
	STS_RECORD_FOUND,
	STS_RECORD_UNKNOWN, /* the DNS did not answer */
};
/* Of the answer to TXT of _mta-sts.DOMAIN.  id: NUL-terminated, letters and digits. */
enum sts_record sts_record(const struct dns_answer *a, char ret_id[STS_ID_MAX + 1]);
/* One string of it; false if it is no record of ours. */
bool sts_record_parse(struct slice txt, char ret_id[STS_ID_MAX + 1]);
/* The record's name, and that of the host that has the policy; false: too long. */
bool sts_record_name(const struct dns_name *domain, struct dns_name *ret);
bool sts_host_name(const struct dns_name *domain, struct dns_name *ret);

/* ---- the policy ---- */

enum sts_mode { STS_MODE_NONE, STS_MODE_TESTING, STS_MODE_ENFORCE };
const char *sts_mode_name(enum sts_mode mode); /* "enforce" */

struct sts_policy {
	enum sts_mode mode;
	uint32_t max_age;	      /* seconds */
	size_t mx_n;		      /* octets of mx */
	char mx[STS_MX_TEXT_MAX + 1]; /* lower case, blanks between: "mx.example.org *.example.net" */
};
/* NULL, or what is wrong in a few words; then *ret is undefined. */
const char *sts_policy_parse(struct slice text, struct sts_policy *ret);
/* The same as text, as short as it can be: what is kept.  sts_policy_parse() reads it back. */
void sts_policy_text(const struct sts_policy *p, struct buf *to);
/* Does it list this host (RFC 8461 4.1)?  "*." stands for one label. */
bool sts_policy_lists(const struct sts_policy *p, struct slice host);

/* ---- what is known of domains ---- */

/* A cache with a ceiling, in one smtp process; the ledger keeps what it learns over restarts.
 * Times are seconds of the wall clock. */
struct sts_cache;
struct sts_cache *sts_cache_new(size_t entries_max, size_t octets_max); /* NULL: out of memory */
void sts_cache_free(struct sts_cache *c);

enum sts_next {
	STS_USE,	   /* this policy holds */
	STS_NONE,	   /* there is none */
	STS_ASK,	   /* the ledger may know more: ask it, sts_cache_recall(), then again */
	STS_FETCH,	   /* fetch, then sts_cache_fetched() or _failed(), then again */
	STS_USE_AND_FETCH, /* this policy holds; fetch a newer one meanwhile */
};
/* What to do for a domain, given its record.  *ret (may be NULL) is filled with USE. */
enum sts_next sts_cache_next(struct sts_cache *c, struct slice domain, enum sts_record record, const char *id,
			     int64_t now, struct sts_policy *ret);

struct sts_kept {		 /* what the ledger has of a domain */
	struct slice id, policy; /* sts_policy_text() */
	int64_t fetched;
};
/* The ledger's answer; NULL: it knows nothing, or is away. */
void sts_cache_recall(struct sts_cache *c, struct slice domain, const struct sts_kept *kept, int64_t now);
void sts_cache_fetched(struct sts_cache *c, struct slice domain, const char *id, const struct sts_policy *p,
		       int64_t now);
void sts_cache_failed(struct sts_cache *c, struct slice domain, const char *id, int64_t now);

struct sts_cache_counters {
	size_t entries, octets;
	uint64_t taken_out;
};
void sts_cache_count(const struct sts_cache *c, struct sts_cache_counters *ret);

#endif
