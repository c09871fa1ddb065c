/* path.h - mailbox addresses and the parameters of MAIL and RCPT.
 *
 * Parsers over slices: outputs point into the input, are untouched on failure,
 * and *reterr_at says at which byte the grammar ended.  Nothing is allocated.
 * RFC 5321 4.1.2, RFC 6531 3.3, RFC 3461 4, RFC 1870, RFC 6152, RFC 4954 5, RFC 4865,
 * RFC 6710, RFC 8689.
 */
#ifndef POSTERN_SMTP_PATH_H
#define POSTERN_SMTP_PATH_H

#include "base/buf.h"

/* RFC 5321 4.5.3.1 */
#define SMTP_LOCAL_PART_MAX	64
#define SMTP_LOCAL_PART_SRS_MAX 200 /* of a rewritten sender, which others make longer too: smtp/srs.h */
#define SMTP_DOMAIN_MAX		255
#define SMTP_PATH_MAX		256

enum smtp_parse {
	SMTP_PARSE_OK,
	SMTP_PARSE_SYNTAX,
	SMTP_PARSE_TOO_LONG,   /* local part, domain or path */
	SMTP_PARSE_UTF8,       /* not valid UTF-8 (RFC 3629) */
	SMTP_PARSE_NEEDS_UTF8, /* a UTF-8 address without SMTPUTF8 */
	SMTP_PARSE_PARAM_UNKNOWN,
	SMTP_PARSE_PARAM_BAD, /* known, with a value it may not have */
	SMTP_PARSE_PARAM_TWICE,
};

struct smtp_path {
	bool null;	     /* <>; no other member is set */
	bool quoted;	     /* the local part came as a quoted string */
	bool literal;	     /* the domain is an address literal: [192.0.2.1] */
	bool utf8;	     /* a byte over 127 in it */
	struct slice local;  /* as it came, quotes and backslashes included */
	struct slice domain; /* as it came; empty only for <postmaster> (RFC 5321 4.5.1) */
};

enum smtp_body { SMTP_BODY_7BIT, SMTP_BODY_8BITMIME };
enum smtp_ret { SMTP_RET_UNSET, SMTP_RET_FULL, SMTP_RET_HDRS };
enum {
	SMTP_NOTIFY_UNSET = 0,
	SMTP_NOTIFY_NEVER = 1,
	SMTP_NOTIFY_SUCCESS = 2,
	SMTP_NOTIFY_FAILURE = 4,
	SMTP_NOTIFY_DELAY = 8,
};

struct smtp_mail_params {
	uint64_t size; /* octets; 0 if not given */
	enum smtp_body body;
	bool smtputf8;
	enum smtp_ret ret;
	struct slice envid;    /* xtext, as it came */
	struct slice auth;     /* xtext, as it came; kept for nobody, RFC 4954 5 */
	bool requiretls;       /* RFC 8689 */
	uint32_t hold_for_s;   /* HOLDFOR (RFC 4865), 0 if not given */
	uint64_t hold_until_s; /* HOLDUNTIL, since 1970; 0 if not given */
	uint8_t mt_priority;   /* MT-PRIORITY's value + 10 (RFC 6710), 0 if not given */
};

struct smtp_rcpt_params {
	unsigned notify;    /* SMTP_NOTIFY_ flags */
	struct slice orcpt; /* "rfc822;" xtext, as it came */
};

/* Which parameters this session has announced: others are unknown. */
struct smtp_params_offered {
	bool size, eightbitmime, smtputf8, dsn, auth, requiretls, hold, mt_priority;
};

/* What follows "MAIL " and "RCPT ", without the line end. */
enum smtp_parse smtp_parse_mail(struct slice args, const struct smtp_params_offered *offered,
				struct smtp_path *ret, struct smtp_mail_params *ret_params,
				size_t *reterr_at);
enum smtp_parse smtp_parse_rcpt(struct slice args, const struct smtp_params_offered *offered, bool smtputf8,
				struct smtp_path *ret, struct smtp_rcpt_params *ret_params,
				size_t *reterr_at);
/* A bare address, "user@example.org" (no angle brackets): configuration, command line. */
enum smtp_parse smtp_parse_address(struct slice text, struct smtp_path *ret, size_t *reterr_at);

/* Appends local@domain as it came ("" for null).  smtp_path_put_canonical()
 * writes the form that is compared and stored: domain in lower case, U-labels
 * as A-labels, a quoted local part without needless quotes, its case kept.
 * False when the domain has a label that IDNA 2008 does not allow; or when memory was
 * lacking to know that, and then the buffer has failed. */
void smtp_path_put(const struct smtp_path *path, struct buf *to);
bool smtp_path_put_canonical(const struct smtp_path *path, struct buf *to);
/* The same for a domain alone (no literal): configuration, accounts. */
bool smtp_domain_put_canonical(struct slice domain, struct buf *to);
/* The address in an address literal; false if the path has none. */
struct ip;
bool smtp_path_literal(const struct smtp_path *path, struct ip *ret);

#endif
