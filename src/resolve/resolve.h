/* resolve.h - asking the DNS: a validating resolver with its cache, on the event loop.
 *
 * libunbound does it.  Where it asks is settled by struct resolve_setup: by recursion of its own
 * from the root servers; of servers that it is told to forward to; or, by default, by recursion until it
 * turns out that the network does not let us (nobody answers on port 53), and from then on of the system's
 * servers, those of resolv.conf.  resolve_status says which.
 *
 * No file is opened after resolve_new(): anchors, /etc/hosts and resolv.conf come as text
 * (role/dns.h reads them).  No thread, no blocking call.  One a loop; questions with the same name and
 * type share what is on the way.
 *
 * done() is never called from within resolve_ask(), and exactly once unless the query is
 * cancelled; the answer belongs to the resolver and ends with the call, the query is gone by then.
 * Not for done(): resolve_free().
 */
#ifndef POSTERN_RESOLVE_RESOLVE_H
#define POSTERN_RESOLVE_RESOLVE_H

#include <uv.h>

#include "dns/dns.h"

#define RESOLVE_SERVERS_MAX 8

struct resolve;
struct resolve_query;

struct resolve_server {
	struct ip ip;
	uint16_t port;
};

enum resolve_recursion {
	RESOLVE_RECURSION_AUTO, /* yes, and no where the network does not let us */
	RESOLVE_RECURSION_YES,
	RESOLVE_RECURSION_NO, /* of the system's servers */
};

enum resolve_validate {
	RESOLVE_VALIDATE_AUTO, /* not where the system's servers keep signatures from us */
	RESOLVE_VALIDATE_YES,
	RESOLVE_VALIDATE_NO, /* nothing is secure, nothing bogus */
};

struct resolve_setup {
	const struct resolve_server
		*servers; /* to be asked instead of the world; recursion is then ignored */
	size_t n_servers;
	enum resolve_recursion recursion;
	enum resolve_validate validate;
	struct slice anchors;	  /* trust anchors: DS and DNSKEY records, a line each */
	struct slice resolv_conf; /* as the file has it */
	struct slice hosts;	  /* the same of /etc/hosts */
	uint64_t cache;		  /* octets, of all caches together; 0: 16 MiB */
	unsigned queries;	  /* on the way at once; more are answered DNS_NO_MEMORY; 0: 1000 */
	unsigned timeout_ms;	  /* of a question, all in all; 0: 20 s */
};

/* 0 or negative errno: -EINVAL: anchors that cannot be read.  The setup is copied. */
int resolve_new(uv_loop_t *loop, const struct resolve_setup *setup, struct resolve **ret);
/* What is on the way is forgotten: its done() is not called.  The loop must turn once more for the handles.
 */
void resolve_free(struct resolve *r);

/* Another setup from now on.  What is on the way is asked anew where it goes another way; the cache stays
 * as long as the way is the same.  0; on an error (as above) all stays as it was. */
int resolve_configure(struct resolve *r, const struct resolve_setup *setup);

typedef void (*resolve_done)(void *arg, const struct dns_answer *a);

/* Ask the DNS.  0, or -ENOMEM: then done() will not be called. */
int resolve_ask(struct resolve *r, const struct dns_question *q, resolve_done done, void *arg,
		struct resolve_query **ret);
/* The same for a host that somebody named in a configuration or on a command line, type A or
 * AAAA: /etc/hosts first, then the servers of the configuration or, if it names none, those of
 * resolv.conf (that may know what the world does not), with its search list for a name without
 * a dot.  What a file or resolv.conf's servers say is never secure. */
int resolve_ask_host(struct resolve *r, const struct dns_question *q, resolve_done done, void *arg,
		     struct resolve_query **ret);
void resolve_cancel(struct resolve_query *q); /* NULL is fine */

enum resolve_way {
	RESOLVE_BY_RECURSION,
	RESOLVE_BY_SERVERS, /* of the configuration */
	RESOLVE_BY_SYSTEM,  /* of resolv.conf, because the configuration says so */
	RESOLVE_BLOCKED,    /* the same, because nobody else can be reached: port 53 is blocked */
};

struct resolve_status {
	enum resolve_way way;
	bool validates;
	unsigned on_the_way;
	uint64_t asked, failed, timed_out, bogus, refused; /* refused: too many on the way */
};

void resolve_status(const struct resolve *r, struct resolve_status *ret);
/* Called, from the loop, when way and validates are known, and when they change: the time to
 * tell. */
void resolve_on_change(struct resolve *r, void (*changed)(void *arg), void *arg);

#endif
