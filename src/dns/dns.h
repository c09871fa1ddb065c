/* dns.h - names, questions and answers of the DNS, as plain data; and reading an answer's octets.
 *
 * An engine: nothing here sends or waits.  Whoever has a question asks it in what way it likes
 * (resolve/resolve.h, a table in a test) and gets a struct dns_answer, in which what may go wrong
 * is told apart: there is no such name, it has no such record, nobody can be asked, the
 * signatures are wrong, nobody answered in time.
 *
 * A name is text without the final dot, in lower case, so that two are the same when their
 * octets are; the root is "".  An octet that a text cannot hold (a dot within a label, a blank,
 * anything beyond ASCII) becomes '?', which no host's name has.
 *
 * RFC 1035 (names, messages), 2308 (what does not exist), 3596 (AAAA), 2782 (SRV), 6698 (TLSA).
 */
#ifndef POSTERN_DNS_DNS_H
#define POSTERN_DNS_DNS_H

#include "base/ip.h"

#define DNS_NAME_MAX	253 /* octets of a name as text */
#define DNS_LABEL_MAX	63
#define DNS_RECORDS_MAX 128   /* of one answer; more are left out (of MX the worst), and the answer says so */
#define DNS_ALIASES_MAX 16    /* CNAMEs in a row */
#define DNS_TTL_MAX	86400 /* seconds; a longer one is cut */
#define DNS_WHY_MAX	160

struct dns_name {
	uint8_t n; /* octets of text */
	char text[DNS_NAME_MAX + 1];
};

/* A name of text, one final dot allowed: labels of 1 to 63 octets, printable ASCII, no
 * backslash.  False, and *ret untouched, if it is none.  "." is the root. */
bool dns_name_parse(struct slice text, struct dns_name *ret);
/* The same of what a user or a peer wrote: U-labels become A-labels (IDNA 2008 with the mapping
 * of UTS 46).  0; -EINVAL: no domain name; -ENOMEM. */
int dns_name_from_user(struct slice text, struct dns_name *ret);
bool dns_name_eq(const struct dns_name *a, const struct dns_name *b);
struct slice dns_name_slice(const struct dns_name *n);
/* Letters, digits, inner hyphens, and underscores, which some hosts have.  No host is called as
 * an address is (192.0.2.1). */
bool dns_name_is_host(const struct dns_name *n);
/* "_25._tcp." and the name; false if that is too long. */
bool dns_name_tlsa(const struct dns_name *host, uint16_t port, struct dns_name *ret);
/* 1.2.0.192.in-addr.arpa */
void dns_name_reverse(const struct ip *ip, struct dns_name *ret);

enum dns_type { /* their numbers on the wire */
		DNS_A = 1,
		DNS_CNAME = 5,
		DNS_PTR = 12,
		DNS_MX = 15,
		DNS_TXT = 16,
		DNS_AAAA = 28,
		DNS_SRV = 33,
		DNS_TLSA = 52,
};

const char *dns_type_name(enum dns_type t); /* "MX" */

struct dns_question {
	struct dns_name name;
	enum dns_type type;
};

enum dns_status {
	DNS_OK,	       /* one record at least */
	DNS_NXDOMAIN,  /* there is no such name */
	DNS_NODATA,    /* there is, without a record of that type */
	DNS_SERVFAIL,  /* its servers cannot be asked, or answer nonsense */
	DNS_BOGUS,     /* the signatures are missing or wrong: somebody errs, or lies */
	DNS_TIMEOUT,   /* no answer in the time that there was */
	DNS_NO_MEMORY, /* we lack memory, or have too many questions on the way */
};

const char *dns_status_name(enum dns_status s); /* "no such name": goes into a sentence */

struct dns_record {
	union {
		struct ip ip; /* A, AAAA */
		struct {
			uint16_t preference;
			struct dns_name host; /* "": null MX, if it is the only one (RFC 7505) */
		} mx;
		struct {
			uint8_t usage, selector, matching;
			struct slice data;
		} tlsa;
		struct slice txt;     /* all its strings in a row (RFC 7208 3.3) */
		struct dns_name name; /* CNAME, PTR */
		struct {
			uint16_t priority, weight, port;
			struct dns_name target;
		} srv;
	};
};

struct dns_answer {
	enum dns_status status;
	enum dns_type type;
	/* Proven by signatures from a trust anchor down; also that there is nothing (NXDOMAIN,
	 * NODATA).  With an alias: all of the way. */
	bool secure;
	bool alias;		   /* the name is an alias (CNAME) */
	bool more;		   /* there were more than DNS_RECORDS_MAX */
	uint32_t ttl;		   /* seconds: of all that led here the shortest; 0 after a failure */
	struct dns_name canonical; /* the name that has the records; without alias that of the question */
	size_t n;
	const struct dns_record *records; /* the answer's own, with all they point to */
	char why[DNS_WHY_MAX];		  /* of SERVFAIL and BOGUS, in words; may be "" */
	void *room;			  /* dns_answer_done() frees it */
};

/* One without records. */
void dns_answer_init(struct dns_answer *a, const struct dns_question *q, enum dns_status status);
/* From a message of the DNS.  Records of the answer section whose name is not the one asked for,
 * nor one that its aliases lead to, are ignored, and so is one that breaks the rules of its
 * type; a message that cannot be read, or that answers another question, becomes
 * DNS_SERVFAIL.  secure stays for the caller to set. */
void dns_answer_parse(struct dns_answer *a, const struct dns_question *q, struct slice message);
/* Whoever wants to keep an answer copies it.  0 or -ENOMEM. */
int dns_answer_copy(const struct dns_answer *from, struct dns_answer *ret);
void dns_answer_done(struct dns_answer *a);

#endif
