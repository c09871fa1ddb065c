/* tls.h - what is known of encryption with other domains: how it went, day by day, which is what
 * reports of TLSRPT (RFC 8460) are made of; and their MTA-STS policies, kept over restarts.
 *
 * A small database.  Losing it loses no mail, so results are gathered in memory and written in
 * batches; what the disk does not take is dropped and counted.  Everything has a ceiling: of
 * results those of the oldest day with the lowest counts go first, of policies those that end first.
 */
#ifndef POSTERN_HISTORY_TLS_H
#define POSTERN_HISTORY_TLS_H

#include "base/ip.h"
#include "base/tls_result.h"

#define TLS_HISTORY_BATCH      500 /* then tls_history_flush() is due */
#define TLS_HISTORY_DAYS       30
#define TLS_HISTORY_POLICY_MAX 8192

struct tls_history;

/* Opens or makes the file; a damaged one is set aside (history/file.h).  0 or negative errno with a line in
 * reterr. */
int tls_history_open(const char *path, size_t results_max, size_t policies_max, struct tls_history **ret,
		     bool *ret_aside, char *reterr, size_t reterr_size);
void tls_history_free(struct tls_history *h); /* what is not flushed is lost; NULL is fine */

/* ---- results ---- */

struct tls_history_result {
	struct slice domain; /* of the recipients */
	enum tls_result_policy policy;
	enum tls_result result;
	struct slice host; /* the MX host; empty: none was tried */
	struct ip ip;	   /* its address, family 0: unknown; not kept when all went well */
	struct slice text; /* what was wrong; the last one is kept */
};
/* Copies it.  True when the batch is full and wants to be flushed. */
bool tls_history_add(struct tls_history *h, const struct tls_history_result *r, int64_t now);
/* In one transaction.  On an error, negative errno, the batch is dropped and counted. */
int tls_history_flush(struct tls_history *h);

struct tls_history_row {
	int64_t number;			/* for the next question's after */
	int64_t day;			/* days since 1970, UTC */
	struct tls_history_result what; /* slices are valid for the call */
	uint64_t count;
	int64_t last; /* seconds since 1970 */
};
struct tls_history_ask {
	int64_t since_day;   /* and all days after it */
	struct slice domain; /* empty: any */
	int64_t after;	     /* only rows behind this one; 0: from the first */
	size_t limit;
};
/* Calls each() for the rows, in the order in which they were begun; it returns false to stop.  Only what was
 * flushed. */
int tls_history_list(struct tls_history *h, const struct tls_history_ask *ask,
		     bool (*each)(void *arg, const struct tls_history_row *row), void *arg);

/* ---- policies ---- */

struct tls_history_policy {
	struct slice id, text; /* as route/sts.h writes it */
	int64_t fetched, expires;
};
/* 0 or negative errno. */
int tls_history_keep(struct tls_history *h, struct slice domain, const struct tls_history_policy *p);
/* 1: found, slices are valid until the next call; 0: not there, or over; negative errno. */
int tls_history_find(struct tls_history *h, struct slice domain, int64_t now, struct tls_history_policy *ret);

struct tls_history_counters {
	uint64_t results, policies, dropped, taken_out;
};
void tls_history_count(const struct tls_history *h, struct tls_history_counters *ret);

#endif
